//! Variables, registers and counts, as numbers in the fields of a state.

use super::*;
use crate::program::Data;

/// A change to a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::explore) enum Op {
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
    /// For each value of the data its field.
    fields: Vec<u16>,
    slots: usize,
    sums: Vec<Sum>,
    observed: Vec<Option<usize>>,
}

/// The sums of values with one constant.
struct Sum {
    constant: i64,
    of: Vec<Option<Id>>,
}

impl Values {
    pub(super) fn new(program: &Program<'_>, data: &Data) -> Self {
        let shape = Arc::clone(data.shape());
        let observed = (0..program.observed_len()).filter_map(|index| program.observed(index));
        let at = |observed| match observed {
            Observed::Variable(variable) => Some(usize::from(variable)),
            Observed::Register { lane, register } => {
                shape.register(Place::Lane(lane), register.into())
            }
            Observed::ApcRegister { apc, register } => {
                shape.register(Place::Body(apc), register.into())
            }
        };
        let observed = observed.map(at).collect();
        let slots = data.values().len();
        let mut known = Intern::new();
        known.id(0);
        Self {
            fields: (0..slots).map(narrow).collect(),
            shape,
            known,
            slots,
            sums: Vec::new(),
            observed,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    pub(super) fn get(&self, id: Id) -> i64 {
        **self.known.get(id)
    }

    /// The numbers of the fields' values.
    pub(super) fn number(&mut self, values: &[i64]) -> Vec<Id> {
        values.iter().map(|&value| self.known.id(value)).collect()
    }

    pub(super) fn outcome<const W: usize>(
        &self,
        layout: &Layout,
        state: &Words<W>,
        outcome: &mut Vec<Id>,
    ) {
        let value = |at: &Option<usize>| {
            // A register that no step names is 0.
            at.map_or(0, |at| {
                layout.slots[usize::from(self.fields[at])].get(state)
            })
        };
        outcome.clear();
        outcome.extend(self.observed.iter().map(value));
    }

    pub(super) fn ops(&mut self, changes: &[Change]) -> Vec<Op> {
        let shape = Arc::clone(&self.shape);
        let assigns = changes.iter().map(|&change| shape.assign(change));
        assigns.map(|assign| self.op(assign)).collect()
    }

    fn op(&mut self, assign: Assign) -> Op {
        let to = self.fields[assign.to];
        let Some(from) = assign.from else {
            let value = self.known.id(assign.add);
            return Op::Put { to, value };
        };
        let from = self.fields[from];
        if assign.add == 0 {
            return Op::Copy { to, from };
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
        Op::Sum { to, from, sum }
    }

    /// Gives the sum that is missing, if one is.
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

fn narrow(index: usize) -> u16 {
    u16::try_from(index).expect("a program has few values and constants")
}
