//! What can go wrong.

use std::fmt;

use thiserror::Error;

use crate::raw::{MAX_DEPTH, RawCriticalSection};

/// The system made no critical section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InitError {
    /// The routine failed. Systems before Windows Vista can run out of memory here; since then
    /// InitializeCriticalSectionAndSpinCount always succeeds (its reference page).
    #[error("the system can't initialize a critical section: error {0}")]
    System(
        /// What GetLastError said.
        u32,
    ),
    /// A critical section without debug information was asked for, and this system's kernel32.dll has no
    /// InitializeCriticalSectionEx, which came with Windows Vista.
    #[error("this system has no InitializeCriticalSectionEx")]
    NotSupported,
}

/// A spin count above [`MAX_SPIN_COUNT`](crate::MAX_SPIN_COUNT).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the spin count {0:#x} has bits that the system uses as flags")]
pub struct SpinCountTooLarge(
    /// The count.
    pub u32,
);

/// A critical section was not entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EnterError {
    /// This thread already owns the mutex; in a second `&mut T` it would have an alias of the first.
    #[error("this thread has already entered the critical section")]
    AlreadyEntered,
    /// This thread has entered [`MAX_DEPTH`] times and not left.
    #[error("this thread has entered the critical section {MAX_DEPTH} times")]
    TooDeep,
    /// A thread has ended without leaving, and the system lets this one in because it has been given the same
    /// thread identifier. Nobody can leave for the thread that has ended.
    #[error("the critical section's owner has ended without leaving it")]
    Abandoned,
}

/// Leaving was refused: the calling thread does not own the critical section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("this thread does not own the critical section")]
pub struct NotOwner;

/// Deleting was refused: a thread has entered and not left. The critical section comes back.
#[derive(Error)]
#[error("the critical section is still entered")]
pub struct StillEntered(
    /// What was not deleted.
    pub RawCriticalSection,
);

impl fmt::Debug for StillEntered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StillEntered").finish_non_exhaustive()
    }
}
