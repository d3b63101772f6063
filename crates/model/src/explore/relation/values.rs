//! Variables, registers and counts, as numbers in the fields of a state.

use std::sync::Arc;

use apclab_protocol::program::{Observed, Place, Program};
use apclab_protocol::step::Step;

use crate::explore::intern::{Id, Intern};
use crate::explore::layout::{Layout, Words};
use crate::explore::reduce::live::Live;
use crate::explore::reduce::symmetry::{Permutation, Symmetry};
use crate::program::{Assign, Change, Data, Lane, Shape, index8, place_of, written};

/// A change to a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Op {
    /// It gets a value.
    Put { to: u16, value: Id },
    /// It gets the value of another.
    Copy { to: u16, from: u16 },
    /// It gets the sum of another and a constant.
    Sum { to: u16, from: u16, sum: u16 },
}

/// The values of a program's states.
pub(super) struct Values {
    shape: Arc<Shape>,
    known: Intern<i64>,
    /// For each value of the data its field, if it matters and may change.
    fields: Vec<Option<u16>>,
    /// What each value is at first, and always if it has no field.
    initial: Vec<i64>,
    slots: usize,
    sums: Vec<Sum>,
    /// The observed values, under every permutation of identical lanes.
    observed: Vec<Vec<Option<usize>>>,
    /// The fields of what is in any of them, each once.
    looked_at: Vec<usize>,
    /// The fields of the registers of each lane.
    registers: Vec<Vec<u16>>,
}

/// The sums of values with one constant.
struct Sum {
    constant: i64,
    of: Vec<Option<Id>>,
}

impl Values {
    pub(super) fn new(
        program: &Program<'_>,
        data: &Data,
        live: &Live,
        symmetry: Option<&Symmetry>,
    ) -> Self {
        let shape = Arc::clone(data.shape());
        let mut known = Intern::new();
        known.id(0);
        let mut slots = 0;
        let changes = changing(program, &shape, data.values().len());
        let fields = (0..data.values().len()).map(|index| {
            (live.ever(index) && changes[index]).then(|| {
                slots += 1;
                narrow(slots - 1)
            })
        });
        let fields: Vec<_> = fields.collect();
        let registers = (0..program.lanes()).map(|lane| {
            let own = shape.registers(place_of(lane));
            own.filter_map(|index| fields[index]).collect()
        });
        let registers = registers.collect();
        let group = symmetry.map_or(vec![Permutation::IDENTITY], Symmetry::group);
        let all = || (0..program.observed_len()).filter_map(|index| program.observed(index));
        let at = |observed, permutation: Permutation| match observed {
            Observed::Variable(variable) => Some(usize::from(variable)),
            Observed::Register { lane, register } => {
                let lane = place_of(permutation.of(lane.into()));
                shape.register(lane, register.into())
            }
            Observed::ApcRegister { apc, register } => {
                shape.register(Place::Body(apc), register.into())
            }
        };
        let observed = group.iter().map(|permutation| {
            let indices = all().map(|observed| at(observed, *permutation));
            indices.collect::<Vec<_>>()
        });
        let observed: Vec<_> = observed.collect();
        let mut looked_at: Vec<_> = observed.iter().flatten().flatten().copied().collect();
        looked_at.sort_unstable();
        looked_at.dedup();
        Self {
            fields,
            initial: data.values().to_vec(),
            shape,
            known,
            slots,
            sums: Vec::new(),
            observed,
            looked_at,
            registers,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    fn get(&self, id: Id) -> i64 {
        **self.known.get(id)
    }

    pub(super) fn registers(&self, lane: usize) -> &[u16] {
        &self.registers[lane]
    }

    /// The numbers of the fields' values.
    pub(super) fn number(&mut self, values: &[i64]) -> Vec<Id> {
        let matter = values
            .iter()
            .zip(&self.fields)
            .filter(|(_, field)| field.is_some());
        matter.map(|(&value, _)| self.known.id(value)).collect()
    }

    /// All values; for those without a field what they are at first.
    pub(super) fn all<const W: usize>(&self, layout: &Layout, state: &Words<W>) -> Vec<i64> {
        let value = |(field, &initial): (&Option<u16>, &i64)| {
            field.map_or(initial, |slot| {
                self.get(layout.slots[usize::from(slot)].get(state))
            })
        };
        self.fields.iter().zip(&self.initial).map(value).collect()
    }

    /// The numbers of all values that an outcome may have, whichever identical lane is which.
    pub(super) fn seen<const W: usize>(
        &self,
        layout: &Layout,
        state: &Words<W>,
        seen: &mut Vec<Id>,
    ) {
        seen.clear();
        seen.extend(self.looked_at.iter().map(|&index| {
            let field = self.fields[index].map(|slot| layout.slots[usize::from(slot)]);
            field.map_or(0, |field| field.get(state))
        }));
    }

    /// The outcome that [`Values::seen`] is, for each permutation in the order of the group.
    pub(super) fn outcomes<'a>(&'a self, seen: &'a [Id]) -> impl Iterator<Item = Vec<i64>> + 'a {
        let value = |&index: &Option<usize>| {
            // A register that no step names is 0.
            let Some(index) = index else { return 0 };
            match self.looked_at.binary_search(&index) {
                Ok(at) if self.fields[index].is_some() => self.get(seen[at]),
                _ => self.initial[index],
            }
        };
        let outcomes = self.observed.iter();
        outcomes.map(move |observed| observed.iter().map(value).collect())
    }

    /// What a lane's changes do to the fields, between two of its places.
    pub(super) fn ops(
        &mut self,
        changes: &[Change],
        live: &Live,
        lane: usize,
        (before, after): (&Lane, &Lane),
    ) -> Vec<Op> {
        let shape = Arc::clone(&self.shape);
        let assigns = changes.iter().map(|&change| shape.assign(change));
        let assigns = assigns.filter(|assign| live.at(lane, after, assign.to));
        let clear = |to| Assign {
            to,
            from: None,
            add: 0,
        };
        let cleared = live.dying(lane, before, after).map(clear);
        let all = assigns.chain(cleared);
        all.filter_map(|assign| self.op(assign)).collect()
    }

    /// `None` when the value that changes does not matter.
    fn op(&mut self, assign: Assign) -> Option<Op> {
        let to = self.fields[assign.to]?;
        let Some(from) = assign.from else {
            let value = self.known.id(assign.add);
            return Some(Op::Put { to, value });
        };
        let Some(from) = self.fields[from] else {
            let value = self.known.id(self.initial[from].wrapping_add(assign.add));
            return Some(Op::Put { to, value });
        };
        if assign.add == 0 {
            return Some(Op::Copy { to, from });
        }
        let known = self.sums.iter().position(|sum| sum.constant == assign.add);
        let sum = known.unwrap_or_else(|| {
            self.sums.push(Sum {
                constant: assign.add,
                of: Vec::new(),
            });
            self.sums.len() - 1
        });
        let sum = narrow(sum);
        Some(Op::Sum { to, from, sum })
    }

    /// Gives the sum that is missing, if one is.
    #[inline]
    pub(super) fn operate<const W: usize>(
        &self,
        layout: &Layout,
        op: Op,
        state: &mut Words<W>,
    ) -> Option<(usize, Id)> {
        let field = |slot: u16| layout.slots[usize::from(slot)];
        match op {
            Op::Put { to, value } => field(to).set(state, value),
            Op::Copy { to, from } => field(to).set(state, field(from).get(state)),
            Op::Sum { to, from, sum } => {
                let value = field(from).get(state);
                let sums = &self.sums[usize::from(sum)].of;
                match sums.get(value as usize) {
                    Some(&Some(result)) => field(to).set(state, result),
                    _ => return Some((sum.into(), value)),
                }
            }
        }
        None
    }

    pub(super) fn learn(&mut self, sum: usize, value: Id) {
        let result = self.get(value).wrapping_add(self.sums[sum].constant);
        let result = self.known.id(result);
        let of = &mut self.sums[sum].of;
        if of.len() <= value as usize {
            of.resize(value as usize + 1, None);
        }
        of[value as usize] = Some(result);
    }
}

/// Whether each value may ever change.
fn changing(program: &Program<'_>, shape: &Shape, count: usize) -> Vec<bool> {
    let mut changing = vec![false; count];
    for apc in 0..index8(program.apcs()) {
        changing[shape.ran(apc)] = true;
    }
    for place in program.places() {
        for step in program.steps(place) {
            let register = written(step);
            let register = register.and_then(|to| shape.register(place, to.into()));
            let variable = match step {
                Step::Store { variable, .. } => Some(variable.into()),
                _ => None,
            };
            for index in register.into_iter().chain(variable) {
                changing[index] = true;
            }
        }
    }
    changing
}

fn narrow(index: usize) -> u16 {
    u16::try_from(index).expect("a program has few values and constants")
}
