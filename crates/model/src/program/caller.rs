//! What the steps of caller lanes do: system calls, and what they make in user mode.

use apclab_protocol::program::{ApcKind as Kind, Program};
use apclab_protocol::step::{Step, WaitMode as Mode, answer};

use super::step::{Effect, Ended};
use super::turn::Turn;
use super::{place_of, thread};
use crate::kernel::{ApcId, Begun, BugCheck, Kernel, ObjectId, ThreadId, WaitMode};

/// Whether a wait of the step has a time-out of its own.
pub(super) fn timed(step: Step) -> bool {
    matches!(step, Step::WaitAs { .. } | Step::Sleep { .. })
}

/// What is written for the end of a wait.
pub(super) fn answer(ended: Ended) -> i64 {
    match ended {
        Ended::Granted => answer::SIGNALED,
        Ended::Expired => answer::TIMED_OUT,
        Ended::Alerted => answer::USER_APC,
    }
}

/// In how many ways a [`Step::WaitAs`] may begin.
pub(super) fn wait_choices(kernel: &Kernel, lane: usize, step: Step) -> usize {
    match step {
        Step::WaitAs {
            event,
            milliseconds,
            mode,
            ..
        } => {
            let event = ObjectId(event.into());
            kernel.wait_ways(
                thread(lane),
                &[event],
                false,
                wait_mode(mode),
                milliseconds > 0,
            )
        }
        _ => 1,
    }
}

/// Queues an APC of any kind, and gives the answer.
pub(super) fn queue(
    kernel: &mut Kernel,
    program: &Program<'_>,
    t: ThreadId,
    apc: u8,
) -> Result<bool, BugCheck> {
    let kind = program.apc(apc.into()).map(|apc| apc.kind);
    let apc = ApcId(apc.into());
    match kind {
        Some(Kind::User | Kind::SpecialUser) => {
            system_call(kernel, t, |kernel| kernel.insert_apc(apc, t))
        }
        Some(Kind::Completion) => kernel.complete_request(apc, t),
        Some(Kind::Special | Kind::Normal) | None => kernel.insert_apc(apc, t),
    }
}

/// Executes a step that only caller lanes have, or the end of a `call`.
pub(super) fn execute(
    kernel: &mut Kernel,
    lane: usize,
    step: Step,
    choice: usize,
) -> Result<Effect, BugCheck> {
    let t = thread(lane);
    let count = |to, before: u32| match to {
        Some(to) => Effect::Write(to, before.into()),
        None => Effect::Done,
    };
    Ok(match step {
        Step::Call { .. } => {
            kernel.enter_kernel(t);
            Effect::Called
        }
        Step::End => {
            kernel.return_to_user(t)?;
            Effect::Returned
        }
        Step::WaitAs {
            event,
            to,
            milliseconds,
            mode,
        } => {
            let (objects, mode) = ([ObjectId(event.into())], wait_mode(mode));
            let timed = milliseconds > 0;
            let begun = kernel.wait_as_choosing(t, &objects, false, mode, timed, choice)?;
            begins(to, begun)
        }
        Step::Sleep {
            milliseconds,
            alertable,
            to,
        } => {
            kernel.enter_kernel(t);
            let user = true;
            let begun = kernel.delay(t, WaitMode { user, alertable }, milliseconds > 0)?;
            if begun != Begun::Blocked {
                kernel.return_to_user(t)?;
            }
            begins(to, begun)
        }
        Step::Start { apc } => {
            system_call(kernel, t, |kernel| {
                kernel.hold_request(ApcId(apc.into()));
                Ok(())
            })?;
            Effect::Done
        }
        Step::Suspend { lane, to } => {
            let target = thread(lane.into());
            let before = system_call(kernel, t, |kernel| kernel.suspend(target, t))?;
            count(to, before)
        }
        Step::Resume { lane, to } => {
            let target = thread(lane.into());
            let before = system_call(kernel, t, |kernel| Ok(kernel.resume(target)))?;
            count(to, before)
        }
        _ => unreachable!("another lane may have the step too"),
    })
}

/// What comes of a wait that has begun.
fn begins(to: u8, begun: Begun) -> Effect {
    Effect::Write(
        to,
        match begun {
            Begun::Blocked => return Effect::Waits,
            Begun::Satisfied(_) => answer::SIGNALED,
            Begun::Alerted => answer::USER_APC,
            Begun::TimedOut => answer::TIMED_OUT,
        },
    )
}

/// A system call that does not wait, from user mode.
fn system_call<T>(
    kernel: &mut Kernel,
    t: ThreadId,
    call: impl FnOnce(&mut Kernel) -> Result<T, BugCheck>,
) -> Result<T, BugCheck> {
    kernel.enter_kernel(t);
    let answer = call(kernel)?;
    kernel.return_to_user(t)?;
    Ok(answer)
}

fn wait_mode(mode: Mode) -> WaitMode {
    WaitMode {
        user: mode.user(),
        alertable: mode.alertable(),
    }
}

impl Turn<'_> {
    /// The wait of the lane has ended without what it was for: if it was a sleep, its system call
    /// returns.
    pub(super) fn sleep_over(&mut self) -> Result<(), BugCheck> {
        let step = self.program.step(place_of(self.lane), self.at.next());
        if matches!(step, Some(Step::Sleep { .. })) {
            self.kernel.return_to_user(thread(self.lane))?;
        }
        Ok(())
    }
}
