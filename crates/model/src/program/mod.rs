//! The lanes of a litmus test over the machine, as a relation: [`enabled`] lists what may happen
//! next, [`apply`] says what comes of it (docs/model.md, decision 1).
//!
//! The state keeps apart only what a test can tell apart:
//!
//! - A barrier is one event that all lanes take part in: that a lane has arrived shows nowhere.
//! - A wait that has been satisfied goes on at once: nothing can tell when it returns.
//! - Delivery and the begin of the routine are one event, unless a test can see that the APC is off
//!   the queue and has not run yet: it may be queued more than once, or it is a normal one and a
//!   special one may be queued to its lane, which goes ahead of all that is in the queue, but not
//!   of what is off it. Then the routine is an event of its own.
//! - The steps of an APC's body are events. Its return is one with its last step, unless it
//!   interrupts a wait: then others can see that the waiter has run and does not wait yet.
//! - An APC without a body runs in one event. Inside a wait, nothing tells a lane whose wait it
//!   interrupts from one that has taken the APC first and begins to wait afterwards; or, where
//!   others see that it waits, as for a resource, from one that has yet to take the APC and is
//!   given nothing before.
//! - Entering a region and acquiring a resource are one event, and so are releasing and leaving:
//!   what happens between the two may as well happen before or after both.
//! - What a lane has handed over is in the machine alone: the count of its owner pointer.
//! - What only steers (`repeat`, the ends of blocks but of a `call`) is no event.
//! - A step of a caller lane in user mode is one event with the system call that it makes, unless that
//!   waits. A `call` is one event where it begins and one where it ends, since APCs may run before it
//!   returns.
//! - A user APC has no body and runs in one event, and so does the completion of a request. The APC that
//!   suspends a lane is delivered in one event and returns in another.

mod body;
mod caller;
mod cursor;
mod data;
mod lane;
mod lock_steps;
mod locks;
mod state;
mod step;
mod turn;

use apclab_protocol::program::{Place, Program};

use body::Body;
use cursor::Cursor;
pub(crate) use data::{Assign, Change, Data, Shape, read, written};
pub use lane::Lane;
pub(crate) use locks::exclusive_holder;
pub use state::State;
pub(crate) use step::Ended;
pub(crate) use turn::{Turn, grant_waits};

use crate::kernel::{BugCheck, ThreadId};

/// Something that may happen next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Event {
    /// A lane executes its next step, or the next step of the APC's body that runs in it
    /// ([`State::position`]).
    Step {
        /// Counted from 0.
        lane: usize,
        /// Which of the ways in which the step may go, counted from 0: the answer (0 FALSE, 1
        /// TRUE) where the sources contradict each other, which waiter gets an event or a mutex,
        /// whether a user APC (1) ends a wait at its begin that might end or go on without,
        /// or whether one that would share a push lock has to wait (1) for others that wait or for
        /// itself. 0 for every other step.
        choice: usize,
    },
    /// All lanes pass their next barrier.
    Barrier,
    /// An APC interrupts a lane: it leaves the queue, and where nobody can tell the two apart its
    /// routine begins; without a body it also returns.
    Deliver {
        /// Counted from 0.
        lane: usize,
    },
    /// The routine that makes the innermost APC of a lane count as run (the kernel routine of a
    /// special APC, the normal routine of a normal one) begins; without a body it also returns.
    Routine {
        /// Counted from 0.
        lane: usize,
    },
    /// The routine of the innermost APC of a lane returns.
    Return {
        /// Counted from 0.
        lane: usize,
    },
    /// A lane that waits for a lock which nobody but its holder can give it (every kind but a KMUTEX)
    /// gets it.
    Grant {
        /// Counted from 0.
        lane: usize,
    },
    /// The time-out of a lane's wait passes.
    Expire {
        /// Counted from 0.
        lane: usize,
    },
    /// A user APC ends a lane's alertable wait.
    Alert {
        /// Counted from 0.
        lane: usize,
    },
    /// A user APC runs in a lane.
    UserApc {
        /// Counted from 0.
        lane: usize,
    },
}

impl Event {
    /// The lane whose event it is; `None` for a barrier, which is one of all lanes.
    pub fn lane(self) -> Option<usize> {
        match self {
            Self::Barrier => None,
            Self::Step { lane, .. }
            | Self::Deliver { lane }
            | Self::Routine { lane }
            | Self::Return { lane }
            | Self::Grant { lane }
            | Self::Expire { lane }
            | Self::Alert { lane }
            | Self::UserApc { lane } => Some(lane),
        }
    }
}

pub(crate) fn thread(lane: usize) -> ThreadId {
    ThreadId(number(lane))
}

pub(crate) fn place_of(lane: usize) -> Place {
    Place::Lane(index8(lane))
}

pub(crate) fn index8(index: usize) -> u8 {
    u8::try_from(index).expect("an index into a program's table is small")
}

/// The tables of a program are small: see the limits of the protocol.
fn number(index: usize) -> u32 {
    u32::try_from(index).expect("an index into a program's table is small")
}

/// Everything that may happen next.
pub fn enabled(state: &State, program: &Program<'_>) -> Vec<Event> {
    let mut events = Vec::new();
    let mut at_barrier = 0;
    for (lane, at) in state.lanes.iter().enumerate() {
        at_barrier += usize::from(at.enabled(&state.kernel, program, lane, &mut events));
    }
    if at_barrier == state.lanes.len() {
        events.push(Event::Barrier);
    }
    events
}

/// The state after `event`.
///
/// # Errors
///
/// The bug check that the event runs into. A program that the protocol's verifier accepts runs
/// into none.
///
/// # Panics
///
/// When the event is not one of [`enabled`], and when a lane executes a step of user mode that is
/// in kernel mode, which the protocol's verifier refuses.
pub fn apply(state: &State, program: &Program<'_>, event: Event) -> Result<State, BugCheck> {
    let mut next = state.clone();
    next.happen(program, event)?;
    Ok(next)
}

impl State {
    fn happen(&mut self, program: &Program<'_>, event: Event) -> Result<(), BugCheck> {
        let mut changes = Vec::new();
        let (apart, lanes) = (self.apart, self.lanes.len());
        for lane in event.lane().map_or(0..lanes, |lane| lane..lane + 1) {
            let mut turn = Turn {
                program,
                lane,
                kernel: &mut self.kernel,
                at: &mut self.lanes[lane],
                apart,
                changes: &mut changes,
            };
            turn.take(event)?;
        }
        for lane in grant_waits(&mut self.kernel, lanes) {
            self.lanes[lane].wait_ended(program, lane, Ended::Granted, &mut changes);
        }
        for change in changes {
            self.data.change(change);
        }
        Ok(())
    }
}

/// Whether the iteration is over: all lanes are parked and no APC is queued or runs (docs/model.md,
/// decision 5), but for ordinary user APCs, which may be left in the queues of caller lanes. When this is false and nothing is enabled, the test is deadlocked: on a target
/// it runs into the deadline of its waits.
pub fn is_final(state: &State, program: &Program<'_>) -> bool {
    let mut lanes = state.lanes.iter().enumerate();
    lanes.all(|(lane, at)| at.parked(&state.kernel, program, lane))
}

#[cfg(test)]
pub(crate) mod tests;
