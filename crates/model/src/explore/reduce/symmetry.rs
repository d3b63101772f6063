//! Lanes that only their numbers tell apart.

use apclab_protocol::limits::LANES;
use apclab_protocol::program::Program;
use apclab_protocol::step::Step;

use crate::kernel::ThreadId;
use crate::program::{Lane, State, place_of, thread};

/// Where each lane goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in crate::explore) struct Permutation([u8; LANES]);

impl Permutation {
    pub(in crate::explore) const IDENTITY: Self = {
        let mut to = [0; LANES];
        let (mut lane, mut index) = (0, 0);
        while index < LANES {
            to[index] = lane;
            lane += 1;
            index += 1;
        }
        Self(to)
    };

    /// Lane `from[n]` goes to lane `to[n]`.
    pub(in crate::explore) fn set(&mut self, from: usize, to: usize) {
        self.0[from] = crate::program::index8(to);
    }

    pub(in crate::explore) fn of(self, lane: usize) -> usize {
        self.0[lane].into()
    }

    pub(in crate::explore) fn of_thread(self, t: ThreadId) -> ThreadId {
        thread(self.of(t.0 as usize))
    }

    /// First this, then the other.
    pub(in crate::explore) fn then(self, other: Self) -> Self {
        Self(self.0.map(|lane| other.0[usize::from(lane)]))
    }

    pub(in crate::explore) fn inverse(self) -> Self {
        let mut inverse = Self::IDENTITY;
        for lane in 0..LANES {
            inverse.set(self.of(lane), lane);
        }
        inverse
    }

    /// The state in which lane `of(l)` is what `l` is here.
    pub(in crate::explore) fn state(self, state: &State) -> State {
        let (kernel, lanes, data) = state.parts();
        let kernel = kernel.permuted(|t| self.of_thread(t));
        let inverse = self.inverse();
        let from = |lane| lanes[inverse.of(lane)].clone();
        let lanes: Vec<Lane> = (0..lanes.len()).map(from).collect();
        let mut values = data.values().to_vec();
        for lane in 0..lanes.len() {
            let to = data.shape().registers(place_of(self.of(lane)));
            let from = data.shape().registers(place_of(lane));
            values[to].copy_from_slice(&data.values()[from]);
        }
        state.with(kernel, lanes, data.with(values))
    }
}

/// The lanes of a test that are identical.
pub(in crate::explore) struct Symmetry {
    /// Each with two lanes or more.
    pub(in crate::explore) classes: Vec<Vec<usize>>,
}

impl Symmetry {
    /// `None` when no two lanes are identical: with the same steps, the same place in the initial
    /// state, and no APC of their own; nor in a test with caller lanes.
    pub(in crate::explore) fn new(program: &Program<'_>, initial: &State) -> Option<Self> {
        let mut places = program.places();
        if program.has_callers() || !places.all(|place| program.steps(place).all(names_no_lane)) {
            return None;
        }
        let mut classes: Vec<Vec<usize>> = Vec::new();
        for lane in 0..program.lanes() {
            let like = |class: &&mut Vec<usize>| identical(program, initial, class[0], lane);
            match classes.iter_mut().find(like) {
                Some(class) => class.push(lane),
                None => classes.push(vec![lane]),
            }
        }
        classes.retain(|class| class.len() > 1);
        (!classes.is_empty()).then_some(Self { classes })
    }

    /// Every permutation of identical lanes.
    pub(in crate::explore) fn group(&self) -> Vec<Permutation> {
        let mut group = vec![Permutation::IDENTITY];
        for class in &self.classes {
            // Each lane of the class in turn changes places with itself or one before it.
            for last in 1..class.len() {
                let swaps = (0..=last).map(|other| swap(class[last], class[other]));
                let swaps: Vec<_> = swaps.collect();
                let all = group
                    .iter()
                    .flat_map(|first| swaps.iter().map(|swap| first.then(*swap)));
                group = all.collect();
            }
        }
        group
    }
}

fn swap(one: usize, other: usize) -> Permutation {
    let mut swap = Permutation::IDENTITY;
    swap.set(one, other);
    swap.set(other, one);
    swap
}

/// Whether the two may change places: the program and the initial state are the same afterwards.
fn identical(program: &Program<'_>, initial: &State, one: usize, other: usize) -> bool {
    let (_, lanes, data) = initial.parts();
    let registers = |lane| data.shape().registers(place_of(lane)).len();
    program
        .steps(place_of(one))
        .eq(program.steps(place_of(other)))
        && registers(one) == registers(other)
        && lanes[one] == lanes[other]
        && swap(one, other).state(initial) == *initial
}

/// Whether a step means the same whichever lane executes it.
fn names_no_lane(step: Step) -> bool {
    match step {
        Step::EnterCritical
        | Step::LeaveCritical
        | Step::EnterGuarded
        | Step::LeaveGuarded
        | Step::RaiseApc
        | Step::Lower
        | Step::ApcsDisabled { .. }
        | Step::AllApcsDisabled { .. }
        | Step::Irql { .. }
        | Step::Queue { .. }
        | Step::Ran { .. }
        | Step::Set { .. }
        | Step::Reset { .. }
        | Step::Wait { .. }
        | Step::WaitFor { .. }
        | Step::WaitAs { .. }
        | Step::Call { .. }
        | Step::Sleep { .. }
        | Step::Start { .. }
        | Step::Barrier
        | Step::Acquire { .. }
        | Step::Release { .. }
        | Step::Try { .. }
        | Step::Repeat { .. }
        | Step::End
        | Step::Store { .. }
        | Step::Load { .. }
        | Step::EnterAcquire { .. }
        | Step::ReleaseLeave { .. }
        | Step::Convert { .. }
        | Step::Reinitialize { .. }
        | Step::AcquiredExclusive { .. }
        | Step::AcquiredShared { .. }
        | Step::ExclusiveWaiters { .. }
        | Step::SharedWaiters { .. } => true,
        // What is handed over belongs to a pointer that stands for the lane.
        Step::HandOver { .. }
        | Step::ReleaseFor { .. }
        | Step::Suspend { .. }
        | Step::Resume { .. } => false,
    }
}
