//! The performance counter.

use core::ptr::null_mut;

use wdk_sys::{LARGE_INTEGER, ntddk};

/// A reading of the performance counter, in ticks.
#[derive(Clone, Copy)]
pub(crate) struct Ticks(u64);

fn read(frequency: *mut LARGE_INTEGER) -> u64 {
    // SAFETY: the pointer is null or to a local of the caller's; any IRQL.
    let now = unsafe { ntddk::KeQueryPerformanceCounter(frequency) };
    // SAFETY: every bit pattern is a QuadPart.
    unsafe { now.QuadPart }.cast_unsigned()
}

/// Ticks in a second.
pub(crate) fn frequency() -> u64 {
    let mut frequency = LARGE_INTEGER::default();
    read(&raw mut frequency);
    // SAFETY: every bit pattern is a QuadPart.
    unsafe { frequency.QuadPart }.cast_unsigned().max(1)
}

impl Ticks {
    /// Now.
    pub(crate) fn now() -> Self {
        Self(read(null_mut()))
    }

    /// Now, where a step or an APC's routine begins.
    ///
    /// It asks for the frequency too, which nobody needs here. A kernel that schedules the lanes on
    /// purpose (the host) takes such a reading for the point at which another lane may go on, and any
    /// other reading for none: so each step is one unit of its search.
    pub(crate) fn at_a_step() -> Self {
        let mut frequency = LARGE_INTEGER::default();
        Self(read(&raw mut frequency))
    }

    /// The ticks as they are.
    pub(crate) const fn raw(self) -> u64 {
        self.0
    }

    /// Ticks since this reading.
    pub(crate) fn elapsed(self) -> u64 {
        Self::now().0.saturating_sub(self.0)
    }

    /// Time since this reading in units of 100 ns, with so many ticks in a second.
    pub(crate) fn elapsed_100ns(self, frequency: u64) -> u64 {
        let ticks = u128::from(self.elapsed());
        u64::try_from(ticks * 10_000_000 / u128::from(frequency.max(1))).unwrap_or(u64::MAX)
    }
}
