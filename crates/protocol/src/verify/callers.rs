//! The part of the walk that is about caller lanes: what belongs to user mode, what to kernel mode,
//! and that a call returns once a user APC may be there.

use super::Reason;
use super::walk::Walk;
use crate::program::{LockKind, Place};
use crate::step::Step;

/// The call that a lane is in.
#[derive(Clone, Copy)]
pub(super) struct InCall {
    /// The step that ends it.
    end: usize,
    /// How often it is executed in one iteration.
    rounds: u64,
    /// An alertable wait has ended: nothing that blocks follows.
    alerted: bool,
}

impl Walk<'_> {
    /// Whether a step is executed in user mode.
    fn of_user_mode(&self, step: Step) -> bool {
        match step {
            Step::Call { .. }
            | Step::Sleep { .. }
            | Step::Start { .. }
            | Step::Suspend { .. }
            | Step::Resume { .. } => true,
            Step::Queue { apc, .. } | Step::Ran { apc, .. } => {
                let apc = self.program.apc(apc.into());
                apc.is_some_and(|apc| apc.kind.user())
            }
            _ => {
                let kind = step.lock().and_then(|lock| self.kind(lock));
                kind.is_some_and(LockKind::user)
            }
        }
    }

    /// Whether the step is where it may be.
    pub(super) fn mode(&self, step: Step) -> Result<(), Reason> {
        let user = self.of_user_mode(step);
        let caller = matches!(self.place, Place::Lane(lane) if self.program.caller(lane.into()));
        match self.in_call {
            _ if !caller && (user || matches!(step, Step::WaitAs { .. })) => {
                return Err(Reason::CallerOnly);
            }
            _ if !caller || matches!(step, Step::Repeat { .. } | Step::End) => {}
            None if !user => return Err(Reason::NeedsCall),
            Some(_) if user => return Err(Reason::UserModeOnly),
            Some(call) if call.alerted && !ends_soon(step) => {
                return Err(Reason::AfterAlertableWait);
            }
            _ => {}
        }
        let of_driver = |apc: u8| {
            self.program
                .apc(apc.into())
                .is_some_and(|a| a.kind.of_driver())
        };
        match step {
            // The thread may be suspended, and the run over, in the midst of either.
            Step::HandOver { .. } if caller => Err(Reason::NotInACall),
            Step::Queue { apc, .. } if caller && of_driver(apc) => Err(Reason::NotInACall),
            _ => Ok(()),
        }
    }

    /// A call begins whose block ends at that step.
    pub(super) fn begin_call(&mut self, end: usize) {
        self.in_call = Some(InCall {
            end,
            rounds: self.rounds(),
            alerted: false,
        });
    }

    /// The block that ends at that step has ended.
    pub(super) fn end_call(&mut self, end: usize) {
        self.in_call = self.in_call.filter(|call| call.end != end);
    }

    /// A wait that a user APC may end: the call returns at once, so that the APC is delivered.
    pub(super) fn alertable(&mut self) -> Result<(), Reason> {
        let rounds = self.rounds();
        match &mut self.in_call {
            // In a block that is repeated within the call, another round would follow.
            Some(call) if call.rounds == rounds => {
                call.alerted = true;
                Ok(())
            }
            _ => Err(Reason::AfterAlertableWait),
        }
    }

    /// A request is started whose completion is that APC.
    pub(super) fn start(&mut self, apc: u8) -> Result<(), Reason> {
        let bit = 1_u16.checked_shl(apc.into()).unwrap_or(0);
        if self.started & bit != 0 || self.rounds() > 1 {
            return Err(Reason::StartedTwice);
        }
        self.started |= bit;
        Ok(())
    }
}

/// Whether a step neither waits nor opens anything.
fn ends_soon(step: Step) -> bool {
    matches!(
        step,
        Step::LeaveCritical
            | Step::LeaveGuarded
            | Step::Lower
            | Step::Release { .. }
            | Step::ReleaseLeave { .. }
            | Step::ApcsDisabled { .. }
            | Step::AllApcsDisabled { .. }
            | Step::Irql { .. }
            | Step::Ran { .. }
            | Step::Set { .. }
            | Step::Reset { .. }
            | Step::Store { .. }
            | Step::Load { .. }
    )
}
