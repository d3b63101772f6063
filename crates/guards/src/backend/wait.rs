//! How to wait for a kernel object.
#![allow(unsafe_code, reason = "a trait that unsafe code trusts")]

use core::ffi::c_void;
use core::ptr::NonNull;

/// 100 ns units of a millisecond, the unit of NT's time-outs.
#[cfg(feature = "wdk")]
const UNITS_PER_MS: i64 = 10_000;

/// An event of the caller's, which ends a wait when it is signaled.
///
/// # Safety
/// The pointer is to an initialised KEVENT (on the model: to a `testing::Event`) that stays
/// where it is, initialised, as long as `self` is borrowed.
pub unsafe trait StopEvent {
    /// The event's address.
    fn object(&self) -> NonNull<c_void>;
}

/// In place of a stop event where there is none.
pub(crate) enum NeverStops {}

// SAFETY: there is no value, so that the method is never called.
unsafe impl StopEvent for NeverStops {
    fn object(&self) -> NonNull<c_void> {
        match *self {}
    }
}

/// How long to wait.
#[derive(Debug)]
pub(crate) enum Wait<'a, S> {
    Forever,
    /// This long; 0 is a try.
    Milliseconds(u32),
    /// This long, or until the event is signaled.
    MillisecondsOr(u32, &'a S),
}

/// How the wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    Acquired,
    Stopped,
    TimedOut,
}

impl<S> Wait<'_, S> {
    /// NT's form of the time-out: negative is relative to now, `None` for ever.
    #[cfg(feature = "wdk")]
    pub(crate) fn relative(&self) -> Option<i64> {
        match self {
            Self::Forever => None,
            // At most 2^32 ms: the product cannot overflow 63 bits.
            Self::Milliseconds(ms) | Self::MillisecondsOr(ms, _) => {
                Some(-(i64::from(*ms) * UNITS_PER_MS))
            }
        }
    }
}
