//! The performance counter.

use wdk_sys::{LARGE_INTEGER, ntddk};

/// A reading of the performance counter, in ticks.
#[derive(Clone, Copy)]
pub(crate) struct Ticks(u64);

fn read() -> (u64, u64) {
    let mut frequency = LARGE_INTEGER::default();
    // SAFETY: the out-pointer is to a local; any IRQL.
    let now = unsafe { ntddk::KeQueryPerformanceCounter(&raw mut frequency) };
    // SAFETY: every bit pattern is a QuadPart.
    let now = unsafe { now.QuadPart };
    // SAFETY: as above.
    let frequency = unsafe { frequency.QuadPart };
    (now.cast_unsigned(), frequency.cast_unsigned().max(1))
}

/// Ticks in a second.
pub(crate) fn frequency() -> u64 {
    read().1
}

impl Ticks {
    /// Now.
    pub(crate) fn now() -> Self {
        Self(read().0)
    }

    /// The ticks as they are.
    pub(crate) const fn raw(self) -> u64 {
        self.0
    }

    /// Time since this reading in units of 100 ns.
    pub(crate) fn elapsed_100ns(self) -> u64 {
        let (now, frequency) = read();
        let ticks = u128::from(now.saturating_sub(self.0));
        u64::try_from(ticks * 10_000_000 / u128::from(frequency)).unwrap_or(u64::MAX)
    }

    /// Time since this reading in milliseconds.
    pub(crate) fn elapsed_ms(self) -> u64 {
        self.elapsed_100ns() / 10_000
    }
}
