//! The relation of [`crate::program`], taken apart and remembered.
//!
//! What an event of a lane does depends on the machine and on that lane alone, and what becomes of the
//! values is the same whatever they are ([`Turn`]). So it is computed once for each machine and
//! place of the lane that the search meets, by the very code that [`crate::program::apply`] runs,
//! and looked up ever after: the state itself is only the numbers of its parts.

use std::sync::Arc;

use apclab_protocol::program::{Observed, Place, Program};

use super::intern::{Id, Intern, Map};
use super::layout::{Layout, Sizes, Words};
use crate::kernel::{BugCheck, Kernel};
use crate::program::{Assign, Change, Event, Lane, Shape, State, Turn, grant_waits};

mod evaluate;
mod values;

pub(super) use values::Op;
use values::Values;

/// Something that the relation has not been asked for before.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Miss {
    /// What the lane may do in that machine and at that place.
    Moves { lane: usize, kernel: Id, place: Id },
    /// Where the lane is after its wait.
    Woken { lane: usize, place: Id },
    /// Where the lane is after the barrier.
    Passed { lane: usize, place: Id },
    /// The sum of a value and a constant.
    Sum { sum: usize, value: Id },
}

/// What a lane may do: a range of the moves, in the order of [`crate::program::enabled`].
#[derive(Clone, Copy)]
struct List {
    first: u32,
    len: u32,
    at_barrier: bool,
    parked: bool,
}

/// One event of a lane, or the whole of a barrier.
#[derive(Clone, Copy)]
struct Move {
    kernel: Id,
    place: Id,
    ops: Range,
    /// The lanes whose waits end with it.
    woken: Range,
    /// The bug check that it runs into.
    bug_check: Option<Id>,
}

#[derive(Clone, Copy, Default)]
struct Range {
    first: u32,
    len: u32,
}

impl Range {
    fn of<T>(self, all: &[T]) -> &[T] {
        &all[self.first as usize..][..self.len as usize]
    }

    /// Appends, and gives where.
    fn append<T>(all: &mut Vec<T>, more: Vec<T>) -> Self {
        let number = |n: usize| u32::try_from(n).expect("fewer than 2^32 moves");
        let range = Self {
            first: number(all.len()),
            len: number(more.len()),
        };
        all.extend(more);
        range
    }
}

/// Where a lane is afterwards, and what becomes of the values.
#[derive(Clone, Copy)]
struct Arrival {
    place: Id,
    ops: Range,
}

/// Which transition: the number of a move, or a barrier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Taken(u32);

impl Taken {
    const BARRIER: Self = Self(u32::MAX);
}

/// What a state is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Something may happen.
    Inner,
    /// The iteration is over.
    Final,
    /// It is not over and nothing can happen.
    Deadlock,
    /// Not known before what was missing is there.
    Incomplete,
}

/// The relation of one program.
pub(super) struct Relation<'p> {
    program: &'p Program<'p>,
    apart: u32,
    kernels: Intern<Kernel>,
    places: Vec<Intern<Lane>>,
    values: Values,
    bug_checks: Intern<BugCheck>,
    lists: Vec<Map<u64, List>>,
    /// By lane and place.
    woken: Vec<Map<Id, Arrival>>,
    passed: Vec<Map<Id, Arrival>>,
    moves: Vec<Move>,
    events: Vec<Event>,
    ops: Vec<Op>,
    lanes_woken: Vec<usize>,
}

impl<'p> Relation<'p> {
    pub(super) fn new(program: &'p Program<'p>, initial: &State) -> Self {
        let (_, lanes, data) = initial.parts();
        Self {
            program,
            apart: initial.apart(),
            kernels: Intern::new(),
            places: lanes.iter().map(|_| Intern::new()).collect(),
            values: Values::new(program, data),
            bug_checks: Intern::new(),
            lists: lanes.iter().map(|_| Map::default()).collect(),
            woken: lanes.iter().map(|_| Map::default()).collect(),
            passed: lanes.iter().map(|_| Map::default()).collect(),
            moves: Vec::new(),
            events: Vec::new(),
            ops: Vec::new(),
            lanes_woken: Vec::new(),
        }
    }

    /// How many parts of each kind are known.
    pub(super) fn sizes(&self) -> Sizes {
        Sizes {
            kernels: self.kernels.len(),
            places: self.places.iter().map(Intern::len).collect(),
            values: self.values.len(),
            slots: self.values.slots(),
        }
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let kernels = self.kernels.get(0).bytes() * self.kernels.len();
        let lists: usize = self.lists.iter().map(Map::len).sum();
        let moves = self.moves.len() * (size_of::<Move>() + size_of::<Event>());
        kernels + lists * size_of::<(u64, List)>() * 2 + moves + self.ops.len() * size_of::<Op>()
    }

    /// Numbers the parts of a state.
    pub(super) fn number(&mut self, state: &State) -> (Id, Vec<Id>, Vec<Id>) {
        let (kernel, lanes, data) = state.parts();
        let kernel = self.kernels.id(kernel.clone());
        let places = self.places.iter_mut().zip(lanes);
        let places = places.map(|(table, lane)| table.id(lane.clone())).collect();
        (kernel, places, self.values.number(data.values()))
    }

    /// The event of a transition.
    pub(super) fn event(&self, taken: Taken) -> Event {
        match taken {
            Taken::BARRIER => Event::Barrier,
            Taken(index) => self.events[index as usize],
        }
    }

    pub(super) fn bug_check(&self, id: Id) -> &BugCheck {
        self.bug_checks.get(id)
    }

    /// The numbers of the observed values.
    pub(super) fn outcome<const W: usize>(
        &self,
        layout: &Layout,
        state: &Words<W>,
        outcome: &mut Vec<Id>,
    ) {
        self.values.outcome(layout, state, outcome);
    }

    /// The observed values.
    pub(super) fn outcome_values(&self, outcome: &[Id]) -> Vec<i64> {
        outcome.iter().map(|&id| self.values.get(id)).collect()
    }

    /// Gives every transition of the state to `visit`, with the state that it leads to or with
    /// the bug check that it runs into, in the order of [`crate::program::enabled`].
    ///
    /// What is not known is appended to `misses`; then not every transition has been given.
    pub(super) fn expand<const W: usize>(
        &self,
        layout: &Layout,
        state: &Words<W>,
        misses: &mut Vec<Miss>,
        mut visit: impl FnMut(Taken, Result<Words<W>, Id>),
    ) -> Kind {
        let known = misses.len();
        let kernel = layout.kernel.get(state);
        let mut lists = [const { None }; apclab_protocol::limits::LANES];
        let (mut parked, mut at_barrier, mut moves) = (true, true, 0);
        for (lane, field) in layout.lanes.iter().enumerate() {
            let place = field.get(state);
            let Some(&list) = self.lists[lane].get(&key(kernel, place)) else {
                misses.push(Miss::Moves {
                    lane,
                    kernel,
                    place,
                });
                continue;
            };
            parked &= list.parked;
            at_barrier &= list.at_barrier;
            moves += list.len;
            lists[lane] = Some(list);
        }
        if misses.len() > known {
            return Kind::Incomplete;
        }
        for (lane, list) in lists.iter().enumerate() {
            let Some(list) = list else { break };
            for number in list.first..list.first + list.len {
                let next = self.take(layout, state, lane, number, misses);
                if let Some(next) = next {
                    visit(Taken(number), next);
                }
            }
        }
        if at_barrier && let Some(next) = self.barrier(layout, state, misses) {
            visit(Taken::BARRIER, Ok(next));
        }
        if misses.len() > known {
            Kind::Incomplete
        } else if parked {
            Kind::Final
        } else if moves == 0 && !at_barrier {
            Kind::Deadlock
        } else {
            Kind::Inner
        }
    }

    /// `None` when something is missing.
    fn take<const W: usize>(
        &self,
        layout: &Layout,
        state: &Words<W>,
        lane: usize,
        number: u32,
        misses: &mut Vec<Miss>,
    ) -> Option<Result<Words<W>, Id>> {
        let taken = &self.moves[number as usize];
        if let Some(bug_check) = taken.bug_check {
            return Some(Err(bug_check));
        }
        let mut next = *state;
        layout.kernel.set(&mut next, taken.kernel);
        layout.lanes[lane].set(&mut next, taken.place);
        let known = misses.len();
        self.operate(layout, taken.ops, &mut next, misses);
        for &lane in taken.woken.of(&self.lanes_woken) {
            self.arrive(
                layout,
                lane,
                &self.woken[lane],
                &mut next,
                misses,
                |place| Miss::Woken { lane, place },
            );
        }
        (misses.len() == known).then_some(Ok(next))
    }

    fn barrier<const W: usize>(
        &self,
        layout: &Layout,
        state: &Words<W>,
        misses: &mut Vec<Miss>,
    ) -> Option<Words<W>> {
        let (mut next, known) = (*state, misses.len());
        for lane in 0..layout.lanes.len() {
            self.arrive(
                layout,
                lane,
                &self.passed[lane],
                &mut next,
                misses,
                |place| Miss::Passed { lane, place },
            );
        }
        (misses.len() == known).then_some(next)
    }

    /// Moves the lane to where `arrivals` says that it goes from where it is.
    fn arrive<const W: usize>(
        &self,
        layout: &Layout,
        lane: usize,
        arrivals: &Map<Id, Arrival>,
        state: &mut Words<W>,
        misses: &mut Vec<Miss>,
        miss: impl FnOnce(Id) -> Miss,
    ) {
        let field = layout.lanes[lane];
        let place = field.get(state);
        match arrivals.get(&place) {
            Some(arrival) => {
                field.set(state, arrival.place);
                self.operate(layout, arrival.ops, state, misses);
            }
            None => misses.push(miss(place)),
        }
    }

    fn operate<const W: usize>(
        &self,
        layout: &Layout,
        ops: Range,
        state: &mut Words<W>,
        misses: &mut Vec<Miss>,
    ) {
        for &op in ops.of(&self.ops) {
            if let Some((sum, value)) = self.values.operate(layout, op, state) {
                misses.push(Miss::Sum { sum, value });
            }
        }
    }
}

/// The key of a machine and a place.
fn key(kernel: Id, place: Id) -> u64 {
    u64::from(kernel) << 32 | u64::from(place)
}
