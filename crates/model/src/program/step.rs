//! What each step of a lane or a body does.

use apclab_protocol::program::{Place, Program};
use apclab_protocol::step::{Register, Step};

use super::data::Change;
use super::turn::Turn;
use super::{Lane, caller, lock_steps, place_of, thread};
use crate::kernel::{APC_LEVEL, Answer, BugCheck, Kernel, ObjectId, PASSIVE_LEVEL};

/// What comes of a step for the one that executes it.
pub(super) enum Effect {
    /// It goes on.
    Done,
    /// It goes on with a value in a register.
    Write(Register, i64),
    /// It goes on, and the values change.
    Change(Change),
    /// It goes into the block or past it.
    Tried {
        to: Register,
        acquired: bool,
        length: u32,
    },
    /// It waits.
    Waits,
    /// It goes into the block of a `call`.
    Called,
    /// It goes past the end of a `call`.
    Returned,
}

/// How a wait has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// With what it was for.
    Granted,
    /// Its time has passed.
    Expired,
    /// By a user APC.
    Alerted,
}

/// In how many ways a step of the lane may go.
pub(super) fn choices(kernel: &Kernel, program: &Program<'_>, lane: usize, step: Step) -> usize {
    let takers = match step {
        // Above APC_LEVEL the predicate is a bug check, which is one way to go.
        Step::ApcsDisabled { .. } => match kernel.apcs_disabled(thread(lane)) {
            Ok(Answer::Either) => return 2,
            Ok(Answer::Is(_)) | Err(_) => return 1,
        },
        Step::Set { event } => kernel.event_takers(ObjectId(event.into())),
        Step::Acquire { lock, mode } => {
            return lock_steps::acquire_choices(kernel, program, thread(lane), lock, mode);
        }
        Step::Release { lock } => return lock_steps::release_choices(kernel, program, lock),
        Step::WaitAs { .. } => return caller::wait_choices(kernel, lane, step),
        _ => return 1,
    };
    takers.len().max(1)
}

impl Turn<'_> {
    /// Executes a step of the lane, or of the APC's body that runs in it. `choice` is as in
    /// [`super::Event::Step`].
    pub(super) fn step(&mut self, place: Place, step: Step, choice: usize) -> Result<(), BugCheck> {
        let effect = self.execute(place, step, choice)?;
        self.at
            .take_effect(self.program, place, &effect, self.changes);
        Ok(())
    }

    fn execute(&mut self, place: Place, step: Step, choice: usize) -> Result<Effect, BugCheck> {
        let (t, program) = (thread(self.lane), self.program);
        let kernel = &mut *self.kernel;
        if kernel.in_user_mode(t) {
            kernel.begin_user_step(t);
        }
        match step {
            Step::EnterCritical => kernel.enter_critical(t)?,
            Step::LeaveCritical => kernel.leave_critical(t)?,
            Step::EnterGuarded => kernel.enter_guarded(t)?,
            Step::LeaveGuarded => kernel.leave_guarded(t)?,
            Step::RaiseApc => {
                kernel.raise_irql(t, APC_LEVEL)?;
            }
            // One raise is as deep as they go, and it is made at PASSIVE_LEVEL.
            Step::Lower => kernel.lower_irql(t, PASSIVE_LEVEL)?,
            Step::ApcsDisabled { to } => {
                let disabled = match kernel.apcs_disabled(t)? {
                    Answer::Is(disabled) => disabled,
                    Answer::Either => choice == 1,
                };
                return Ok(Effect::Write(to, disabled.into()));
            }
            Step::AllApcsDisabled { to } => {
                return Ok(Effect::Write(to, kernel.all_apcs_disabled(t)?.into()));
            }
            Step::Irql { to } => return Ok(Effect::Write(to, kernel.irql(t).into())),
            Step::Queue { apc, to } => {
                let inserted = caller::queue(kernel, program, t, apc)?;
                if let Some(to) = to {
                    return Ok(Effect::Write(to, inserted.into()));
                }
            }
            Step::Ran { apc, to } => {
                return Ok(Effect::Change(Change::Count(place, to, apc)));
            }
            Step::Set { event } => {
                kernel.set_event_choosing(ObjectId(event.into()), choice);
            }
            Step::Reset { event } => {
                kernel.reset_event(ObjectId(event.into()));
            }
            Step::Wait { event } => {
                let granted = kernel.wait(t, &[ObjectId(event.into())], false, true)?;
                if granted.is_none() {
                    return Ok(Effect::Waits);
                }
            }
            Step::WaitFor {
                event,
                to,
                milliseconds,
            } => {
                let event = ObjectId(event.into());
                let granted = kernel.wait(t, &[event], false, milliseconds > 0)?.is_some();
                if !granted && milliseconds > 0 {
                    return Ok(Effect::Waits);
                }
                return Ok(Effect::Write(to, granted.into()));
            }
            Step::Store {
                variable,
                from,
                constant,
            } => {
                let from = from.map(|from| (place, from));
                return Ok(Effect::Change(Change::Store(variable, from, constant)));
            }
            Step::Load { variable, to } => {
                return Ok(Effect::Change(Change::Load(place, to, variable)));
            }
            Step::WaitAs { .. }
            | Step::Call { .. }
            | Step::End
            | Step::Sleep { .. }
            | Step::Start { .. }
            | Step::Suspend { .. }
            | Step::Resume { .. } => return caller::execute(kernel, self.lane, step, choice),
            Step::Barrier | Step::Repeat { .. } => {
                unreachable!("a barrier is an event of all lanes, and a cursor steers by itself")
            }
            _ => return lock_steps::execute(kernel, program, self.lane, step, choice),
        }
        Ok(Effect::Done)
    }
}

impl Lane {
    /// The wait of the lane is over.
    pub(crate) fn wait_ended(
        &mut self,
        program: &Program<'_>,
        lane: usize,
        ended: Ended,
        changes: &mut Vec<Change>,
    ) {
        let place = place_of(lane);
        let granted = ended == Ended::Granted;
        let effect = match program.step(place, self.next()) {
            Some(Step::WaitFor { to, .. }) => Effect::Write(to, granted.into()),
            Some(Step::WaitAs { to, .. } | Step::Sleep { to, .. }) => {
                Effect::Write(to, caller::answer(ended))
            }
            Some(Step::Try { to, length, .. }) => Effect::Tried {
                to,
                acquired: granted,
                length,
            },
            _ => Effect::Done,
        };
        self.take_effect(program, place, &effect, changes);
    }

    fn take_effect(
        &mut self,
        program: &Program<'_>,
        place: Place,
        effect: &Effect,
        changes: &mut Vec<Change>,
    ) {
        let cursor = self.cursor_mut(place);
        match *effect {
            Effect::Done | Effect::Write(..) | Effect::Change(_) => cursor.advance(program, place),
            Effect::Called | Effect::Tried { acquired: true, .. } => {
                cursor.enter_block(program, place);
            }
            Effect::Tried { length, .. } => cursor.skip_block(program, place, length),
            Effect::Returned => cursor.leave_call(program, place),
            Effect::Waits => {}
        }
        changes.extend(match *effect {
            Effect::Write(to, value) => Some(Change::Put(place, to, value)),
            Effect::Tried { to, acquired, .. } => Some(Change::Put(place, to, acquired.into())),
            Effect::Change(change) => Some(change),
            Effect::Done | Effect::Waits | Effect::Called | Effect::Returned => None,
        });
    }
}
