//! Which exercises ran, and how they went.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use apclab_guards::{NotMade, Passive};

use crate::{locks, regions, unscoped};

/// `None`: an exercise could not be made ready, or did not do what it should.
pub(crate) type Exercise = fn(&mut Passive) -> Option<()>;

/// The numbers that [`crate::ADD`] takes.
const EXERCISES: &[Exercise] = &[
    regions::nest,
    regions::raise,
    regions::stack,
    locks::fast_and_guarded_mutex,
    locks::kernel_mutex,
    locks::reentrant_kernel_mutex,
    locks::resource_in_a_region,
    locks::resource_tries,
    locks::resource_combined,
    locks::resource_unchecked,
    locks::reentrant_resource,
    locks::push_lock,
    locks::place,
    locks::stopped,
    unscoped::proofs,
    unscoped::unscoped,
    unscoped::hand_over,
    // The next one makes a mistake that is reported.
    unscoped::mistake,
    // The next ones stop the system.
    locks::drop_while_owned,
    locks::drop_above_apc_level,
];

/// Goes on only if the condition holds.
pub(crate) const fn holds(condition: bool) -> Option<()> {
    if condition { Some(()) } else { None }
}

/// What ran and what passed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) count: u64,
    pub(crate) sum: u64,
}

/// An exercise that did not pass, or that there is not.
#[derive(Debug)]
pub(crate) struct Failed;

/// The state of a device.
#[derive(Debug, Default)]
pub(crate) struct State {
    ran: AtomicU64,
    passed: AtomicU64,
    last: AtomicU32,
}

impl State {
    #[allow(clippy::unnecessary_wraps, reason = "the framework part allows for it")]
    pub(crate) fn try_new() -> Result<Self, NotMade> {
        Ok(Self::default())
    }

    /// Runs an exercise.
    pub(crate) fn add(&self, irql: &mut Passive, number: u32) -> Result<(), Failed> {
        let exercise = usize::try_from(number)
            .ok()
            .and_then(|number| EXERCISES.get(number))
            .ok_or(Failed)?;
        self.ran.fetch_add(1, Ordering::Relaxed);
        self.last.store(number, Ordering::Relaxed);
        exercise(irql).ok_or(Failed)?;
        self.passed.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    #[allow(clippy::unnecessary_wraps, reason = "the framework part allows for it")]
    pub(crate) fn read(&self, _irql: &mut Passive) -> Result<(Sums, u32), Failed> {
        let sums = Sums {
            count: self.ran.load(Ordering::Relaxed),
            sum: self.passed.load(Ordering::Relaxed),
        };
        Ok((sums, self.last.load(Ordering::Relaxed)))
    }
}
