//! The relation of [`crate::program`], taken apart and remembered.
//!
//! What an event of a lane does depends on the machine and on that lane alone, and what becomes of the
//! values is the same whatever they are ([`Turn`]). So it is computed once for each machine and
//! place of the lane that the search meets, by the very code that [`crate::program::apply`] runs,
//! and looked up ever after: the state itself is only the numbers of its parts.

use std::sync::Arc;

use apclab_protocol::program::Program;

use super::intern::{Id, Intern, Map};
use super::layout::{Layout, Sizes, Words};
use super::reduce::Reductions;
use super::reduce::ample::{Ample, every_path_ends};
use super::reduce::live::Live;
use super::reduce::symmetry::{Permutation, Symmetry};
use crate::kernel::{BugCheck, Kernel};
use crate::program::{Event, Lane, State};

mod evaluate;
mod expand;
mod kernels;
mod lists;
mod sorted;
mod values;

pub(super) use expand::{Kind, Visit};
use kernels::Kernels;
use lists::Lists;

use values::{Op, Values};

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
    /// Whether what another lane may do from a place on may touch what a lane's events touch.
    Conflict { own: Id, other: usize, place: Id },
    /// The machine with its threads in other places.
    Permuted {
        kernel: Id,
        permutation: Permutation,
    },
}

/// What a lane may do: a range of the moves, in the order of [`crate::program::enabled`].
#[derive(Clone, Copy, Default)]
struct List {
    moves: Range,
    at_barrier: bool,
    parked: bool,
    /// What its events touch, if they may be enough.
    own: Option<Id>,
}

/// One event of a lane.
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
    #[inline]
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

/// The relation of one program.
pub(super) struct Relation<'p> {
    program: &'p Program<'p>,
    apart: u32,
    kernels: Kernels,
    /// Identical lanes have one table.
    places: Vec<Intern<Lane>>,
    table_of: Vec<usize>,
    values: Values,
    bug_checks: Intern<BugCheck>,
    lists: Vec<Lists>,
    /// By lane and place.
    woken: Vec<Map<Id, Arrival>>,
    passed: Vec<Map<Id, Arrival>>,
    moves: Vec<Move>,
    events: Vec<Event>,
    ops: Vec<Op>,
    lanes_woken: Vec<usize>,
    live: Live,
    ample: Option<Ample<'p>>,
    conflicts: Map<(Id, usize, Id), bool>,
    pub(super) symmetry: Option<Symmetry>,
    permuted: Map<(Id, Permutation), Id>,
}

impl<'p> Relation<'p> {
    pub(super) fn new(program: &'p Program<'p>, initial: &State, reductions: Reductions) -> Self {
        let (kernel, lanes, data) = initial.parts();
        let symmetry = Symmetry::new(program, initial).filter(|_| reductions.symmetry);
        let live = if reductions.dead_values {
            Live::new(program, data, symmetry.as_ref())
        } else {
            Live::all(program, data)
        };
        let mut table_of: Vec<_> = (0..lanes.len()).collect();
        for class in symmetry.iter().flat_map(|symmetry| &symmetry.classes) {
            for &lane in class {
                table_of[lane] = class[0];
            }
        }
        // A mutant may look at threads that the real machine does not look at.
        let ample = reductions.partial_order
            && kernel.mutant().is_none()
            && !program.has_callers()
            && every_path_ends(program);
        Self {
            program,
            apart: initial.apart(),
            kernels: Kernels::new(symmetry.is_some()),
            places: lanes.iter().map(|_| Intern::new()).collect(),
            table_of,
            values: Values::new(program, data, &live, symmetry.as_ref()),
            live,
            ample: ample.then(|| Ample::new(program, kernel.profile())),
            conflicts: Map::default(),
            symmetry,
            permuted: Map::default(),
            bug_checks: Intern::new(),
            lists: lanes.iter().map(|_| Lists::default()).collect(),
            woken: lanes.iter().map(|_| Map::default()).collect(),
            passed: lanes.iter().map(|_| Map::default()).collect(),
            moves: Vec::new(),
            events: Vec::new(),
            ops: Vec::new(),
            lanes_woken: Vec::new(),
        }
    }

    /// Takes notice of a wider layout.
    pub(super) fn widen(&mut self, layout: &Layout) {
        for (lists, field) in self.lists.iter_mut().zip(&layout.lanes) {
            lists.widen(layout.kernel.bits(), field.bits());
        }
    }

    /// How many parts of each kind are known.
    pub(super) fn sizes(&self) -> Sizes {
        Sizes {
            kernels: self.kernels.len(),
            places: self
                .table_of
                .iter()
                .map(|&table| self.places[table].len())
                .collect(),
            values: self.values.len(),
            slots: self.values.slots(),
        }
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let kernels = self.kernels.bytes();
        let lists: usize = self.lists.iter().map(Lists::bytes).sum();
        let moves = self.moves.len() * (size_of::<Move>() + size_of::<Event>());
        kernels + lists + moves + self.ops.len() * size_of::<Op>()
    }

    /// Numbers the parts of a state.
    pub(super) fn number(&mut self, state: &State) -> (Id, Vec<Id>, Vec<Id>) {
        let (kernel, lanes, data) = state.parts();
        let kernel = self.kernels.id(kernel.clone());
        let places = self.table_of.iter().zip(lanes);
        let places = places.map(|(&table, lane)| self.places[table].id(lane.clone()));
        (kernel, places.collect(), self.values.number(data.values()))
    }

    /// The state of that the numbers are. Values that do not matter are 0.
    pub(super) fn state<const W: usize>(
        &self,
        layout: &Layout,
        state: &Words<W>,
        like: &State,
    ) -> State {
        let kernel = Kernel::clone(self.kernels.get(layout.kernel.get(state)));
        let lanes = layout.lanes.iter().enumerate();
        let lanes = lanes.map(|(lane, field)| Lane::clone(self.place(lane, field.get(state))));
        let values = self.values.all(layout, state);
        let (_, _, data) = like.parts();
        like.with(kernel, lanes.collect(), data.with(values))
    }

    /// Whether the second state is the first one as far as anything matters.
    pub(super) fn same(&self, state: &State, other: &State) -> bool {
        let ((kernel, lanes, data), (other_kernel, other_lanes, other_data)) =
            (state.parts(), other.parts());
        let values = data.values().iter().zip(other_data.values()).enumerate();
        let matters = |index| {
            let mut lanes = lanes.iter().enumerate();
            lanes.all(|(lane, at)| self.live.at(lane, at, index))
        };
        kernel == other_kernel
            && lanes == other_lanes
            && values
                .into_iter()
                .all(|(index, (one, other))| one == other || !matters(index))
    }

    fn place(&self, lane: usize, id: Id) -> &Arc<Lane> {
        self.places[self.table_of[lane]].get(id)
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

    /// The numbers of all values that an outcome may have.
    pub(super) fn seen<const W: usize>(
        &self,
        layout: &Layout,
        state: &Words<W>,
        seen: &mut Vec<Id>,
    ) {
        self.values.seen(layout, state, seen);
    }

    /// The outcomes of all states for which one with those values stands, each with the permutation
    /// of its lanes that leads to the state.
    pub(super) fn outcomes(&self, seen: &[Id]) -> Vec<(Vec<i64>, Permutation)> {
        let group = self.symmetry.as_ref().map(Symmetry::group);
        let group = group.unwrap_or_else(|| vec![Permutation::IDENTITY]);
        let from = group.iter().map(|permutation| permutation.inverse());
        self.values.outcomes(seen).zip(from).collect()
    }
}
