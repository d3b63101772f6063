//! Caller lanes: what a thread of user mode does with its lane.
//!
//! Host and device each have their own [`User`], the world of one such thread; the course of a lane is
//! the same in both.

mod lane;
pub(crate) mod patience;
#[cfg(test)]
mod tests;

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::call::Registers;
use apclab_protocol::program::{ApcKind, LockKind};
use apclab_protocol::step::Step;

pub use lane::Lane;

/// How a `call` came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    /// Its steps were executed.
    Done,
    /// The iteration is given up: the lane executes no further step.
    Halted,
}

/// A step that no thread of user mode executes. The driver refuses a program that has one there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotOfUserMode {
    /// Its index in the lane.
    pub step: usize,
}

/// What the thread of a caller lane can do. Indices are those of the program.
///
/// A lane may be suspended at any instruction, also inside one of these. So none of them allocates or
/// takes a lock that others need, as long as it succeeds.
pub trait User {
    /// Why something could not be done.
    type Error: From<NotOfUserMode>;

    /// Whether the iteration is given up; asked ahead of each step.
    fn over(&self) -> bool;

    /// Has the driver execute the block of a `call` in this thread.
    ///
    /// # Errors
    /// The request failed. It counts as halted.
    fn call(&mut self, step: u32, registers: &mut Registers) -> Result<Called, Self::Error>;

    /// Says that the lane is done.
    ///
    /// # Errors
    /// The request failed.
    fn done(&mut self, registers: &Registers) -> Result<(), Self::Error>;

    /// Sleeps; gives a value of [`apclab_protocol::step::answer`].
    ///
    /// # Errors
    /// The thread cannot go on.
    fn sleep(&mut self, milliseconds: u32, alertable: bool) -> Result<i64, Self::Error>;

    /// Queues a user APC; whether that was done.
    ///
    /// # Errors
    /// There is no routine for it, or no such thread.
    fn queue(&mut self, apc: u8) -> Result<bool, Self::Error>;

    /// How often a user APC has run in this iteration.
    ///
    /// # Errors
    /// The thread cannot go on.
    fn ran(&mut self, apc: u8) -> Result<i64, Self::Error>;

    /// Starts the request of a completion.
    ///
    /// # Errors
    /// The request was not accepted.
    fn start(&mut self, apc: u8) -> Result<(), Self::Error>;

    /// Suspends the thread of a lane; gives its previous suspend count.
    ///
    /// # Errors
    /// The system refuses.
    fn suspend(&mut self, lane: u8) -> Result<u32, Self::Error>;

    /// Resumes the thread of a lane; gives its previous suspend count.
    ///
    /// # Errors
    /// The system refuses.
    fn resume(&mut self, lane: u8) -> Result<u32, Self::Error>;

    /// Enters a critical section, waiting as long as it takes.
    ///
    /// # Errors
    /// It was not entered.
    fn enter(&mut self, section: u8) -> Result<(), Self::Error>;

    /// Enters a critical section if that needs no wait; whether it did.
    ///
    /// # Errors
    /// It was not entered.
    fn try_enter(&mut self, section: u8) -> Result<bool, Self::Error>;

    /// Leaves a critical section that this thread has entered.
    ///
    /// # Errors
    /// It was not left.
    fn leave(&mut self, section: u8) -> Result<(), Self::Error>;
}

/// Whether any lane is a caller.
pub fn has_callers(program: &ProgramBuf) -> bool {
    program.callers.contains(&true)
}

/// Whether a lane is a caller.
pub fn is_caller(program: &ProgramBuf, lane: usize) -> bool {
    program.callers.get(lane).copied().unwrap_or(false)
}

/// Whether an APC of the program is queued that needs `QueueUserAPC2`.
pub fn queues_special(program: &ProgramBuf) -> bool {
    let special = |apc: u8| {
        let apc = program.apcs.get(usize::from(apc));
        apc.is_some_and(|apc| apc.kind == ApcKind::SpecialUser)
    };
    let steps = program.lanes.iter().flatten();
    steps
        .into_iter()
        .any(|step| matches!(step, Step::Queue { apc, .. } if special(*apc)))
}

/// Whether a lock of the program is a critical section.
pub(crate) fn is_section(program: &ProgramBuf, lock: usize) -> bool {
    program
        .locks
        .get(lock)
        .is_some_and(|kind: &LockKind| kind.user())
}
