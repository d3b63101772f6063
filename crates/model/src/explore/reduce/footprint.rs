//! What a step looks at and changes, other than its own lane's place and registers.

use apclab_protocol::limits::{APCS, EVENTS, LANES, LOCKS, VARIABLES};
use apclab_protocol::program::{Place, Program};
use apclab_protocol::step::Step;

use crate::kernel::Profile;

/// Things of a program, a bit each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Things(u128);

const _: () = assert!(VARIABLES + EVENTS + LOCKS + 2 * APCS + LANES < 128);

impl Things {
    /// Everything that there is, and more.
    const ALL: Self = Self(u128::MAX);
    /// The order in which threads have blocked.
    const ORDER: Self = Self(1 << 127);

    const fn bit(base: usize, index: u8) -> Self {
        Self(1 << (base + index as usize))
    }

    const fn variable(index: u8) -> Self {
        Self::bit(0, index)
    }

    const fn event(index: u8) -> Self {
        Self::bit(VARIABLES, index)
    }

    const fn lock(index: u8) -> Self {
        Self::bit(VARIABLES + EVENTS, index)
    }

    /// Whether an APC is in its queue, and where.
    const fn apc(index: u8) -> Self {
        Self::bit(VARIABLES + EVENTS + LOCKS, index)
    }

    /// How often an APC has run.
    const fn ran(index: u8) -> Self {
        Self::bit(VARIABLES + EVENTS + LOCKS + APCS, index)
    }

    /// The counters, the IRQL, the queue and the wait of a lane's thread.
    pub(super) const fn thread(lane: u8) -> Self {
        Self::bit(VARIABLES + EVENTS + LOCKS + 2 * APCS, lane)
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// What is looked at and what is changed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Footprint {
    reads: Things,
    writes: Things,
}

impl Footprint {
    const ALL: Self = Self {
        reads: Things::ALL,
        writes: Things::ALL,
    };

    const fn reads(reads: Things) -> Self {
        Self {
            reads,
            writes: Things(0),
        }
    }

    pub(super) const fn writes(writes: Things) -> Self {
        Self {
            reads: Things(0),
            writes,
        }
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self {
            reads: self.reads.and(other.reads),
            writes: self.writes.and(other.writes),
        }
    }

    /// Whether the order of the two may matter.
    pub(super) const fn conflicts(self, other: Self) -> bool {
        self.writes.meets(other.reads.and(other.writes)) || self.reads.meets(other.writes)
    }

    /// The footprint of a step, without that of the thread that executes it.
    pub(super) fn of(step: Step, program: &Program<'_>, profile: Profile) -> Self {
        let waits = match profile {
            Profile::Documented => Things::default(),
            Profile::Nt52 => Things::ORDER,
        };
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
            | Step::Repeat { .. }
            | Step::End => Self::default(),
            Step::Queue { apc, .. } => match program.apc(apc.into()) {
                Some(target) => Self::writes(Things::apc(apc).and(Things::thread(target.lane))),
                None => Self::ALL,
            },
            Step::Ran { apc, .. } => Self::reads(Things::ran(apc)),
            Step::Load { variable, .. } => Self::reads(Things::variable(variable)),
            Step::Store { variable, .. } => Self::writes(Things::variable(variable)),
            Step::Set { event }
            | Step::Reset { event }
            | Step::Wait { event }
            | Step::WaitFor { event, .. } => Self::writes(Things::event(event).and(waits)),
            Step::Acquire { lock, .. }
            | Step::Release { lock }
            | Step::Try { lock, .. }
            | Step::EnterAcquire { lock, .. }
            | Step::ReleaseLeave { lock }
            | Step::Convert { lock }
            | Step::Reinitialize { lock }
            | Step::HandOver { lock }
            | Step::ReleaseFor { lock, .. } => Self::writes(Things::lock(lock).and(waits)),
            Step::AcquiredExclusive { lock, .. }
            | Step::AcquiredShared { lock, .. }
            | Step::ExclusiveWaiters { lock, .. }
            | Step::SharedWaiters { lock, .. } => Self::reads(Things::lock(lock)),
            // Of user mode, or of the system calls of a caller lane. With caller lanes the search makes
            // no partial order.
            Step::Barrier
            | Step::WaitAs { .. }
            | Step::Call { .. }
            | Step::Sleep { .. }
            | Step::Start { .. }
            | Step::Suspend { .. }
            | Step::Resume { .. } => Self::ALL,
        }
    }

    /// What the APCs that are queued to a lane may touch when they run, without their bodies.
    pub(super) fn of_apcs(program: &Program<'_>, lane: u8) -> Self {
        let own = apcs_of(program, lane);
        own.fold(Self::default(), |all, apc| {
            all.and(Self::writes(Things::apc(apc).and(Things::ran(apc))))
        })
    }

    /// What the bodies of the APCs that are queued to a lane may touch.
    pub(super) fn of_bodies(program: &Program<'_>, lane: u8, profile: Profile) -> Self {
        let steps = apcs_of(program, lane).flat_map(|apc| program.steps(Place::Body(apc)));
        steps.fold(Self::default(), |all, step| {
            all.and(Self::of(step, program, profile))
        })
    }
}

/// The APCs that are queued to a lane.
fn apcs_of<'a>(program: &'a Program<'_>, lane: u8) -> impl Iterator<Item = u8> + 'a {
    let apcs = 0..u8::try_from(program.apcs()).unwrap_or(u8::MAX);
    apcs.filter(move |&apc| program.apc(apc.into()).is_some_and(|apc| apc.lane == lane))
}
