//! What each step of a lane or a body does.

use apclab_protocol::program::{Place, Program};
use apclab_protocol::step::{Register, Step};

use super::locks::{Lock, lock};
use super::{State, place_of, thread};
use crate::kernel::{APC_LEVEL, Acquired, Answer, ApcId, BugCheck, ObjectId, PASSIVE_LEVEL};

/// What comes of a step for the one that executes it.
enum Effect {
    /// It goes on.
    Done,
    /// It goes on with a value in a register.
    Write(Register, i64),
    /// It goes into the block or past it.
    Tried {
        to: Register,
        acquired: bool,
        length: u32,
    },
    /// It waits.
    Waits,
}

impl State {
    /// In how many ways a step of the lane may go.
    pub(super) fn choices(&self, program: &Program<'_>, lane: usize, step: Step) -> usize {
        let takers = match step {
            // Above APC_LEVEL the predicate is a bug check, which is one way to go.
            Step::ApcsDisabled { .. } => match self.kernel.apcs_disabled(thread(lane)) {
                Ok(Answer::Either) => return 2,
                Ok(Answer::Is(_)) | Err(_) => return 1,
            },
            Step::Set { event } => self.kernel.event_takers(ObjectId(event.into())),
            Step::Release { lock: index } => match lock(program, index) {
                // The last release, after which somebody else may have it.
                Lock::Mutex(mutex) if self.kernel.mutex_state(mutex) == 0 => {
                    self.kernel.mutex_takers(mutex)
                }
                _ => return 1,
            },
            _ => return 1,
        };
        takers.len().max(1)
    }

    /// Executes a step of the lane, or of the APC's body that runs in it. `choice` is as in
    /// [`super::Event::Step`].
    pub(super) fn step(
        &mut self,
        program: &Program<'_>,
        lane: usize,
        place: Place,
        step: Step,
        choice: usize,
    ) -> Result<(), BugCheck> {
        let effect = self.execute(program, lane, place, step, choice)?;
        self.take_effect(program, place, &effect);
        Ok(())
    }

    /// The wait of the lane is over: with what it waited for, or because its time has passed.
    pub(super) fn wait_ended(&mut self, program: &Program<'_>, lane: usize, granted: bool) {
        let place = place_of(lane);
        let effect = match program.step(place, self.lanes[lane].next()) {
            Some(Step::WaitFor { to, .. }) => Effect::Write(to, granted.into()),
            Some(Step::Try { to, length, .. }) => Effect::Tried {
                to,
                acquired: granted,
                length,
            },
            _ => Effect::Done,
        };
        self.take_effect(program, place, &effect);
    }

    fn take_effect(&mut self, program: &Program<'_>, place: Place, effect: &Effect) {
        let cursor = match place {
            Place::Lane(lane) => &mut self.lanes[usize::from(lane)],
            Place::Body(apc) => &mut self.bodies[usize::from(apc)].cursor,
        };
        match *effect {
            Effect::Done => cursor.advance(program, place),
            Effect::Write(register, value) => {
                cursor.put(register, value);
                cursor.advance(program, place);
            }
            Effect::Tried {
                to,
                acquired,
                length,
            } => {
                cursor.put(to, acquired.into());
                if acquired {
                    cursor.enter_block(program, place);
                } else {
                    cursor.skip_block(program, place, length);
                }
            }
            Effect::Waits => {}
        }
    }

    fn execute(
        &mut self,
        program: &Program<'_>,
        lane: usize,
        place: Place,
        step: Step,
        choice: usize,
    ) -> Result<Effect, BugCheck> {
        let t = thread(lane);
        let kernel = &mut self.kernel;
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
                let inserted = kernel.insert_apc(ApcId(apc.into()), t)?;
                if let Some(to) = to {
                    return Ok(Effect::Write(to, inserted.into()));
                }
            }
            Step::Ran { apc, to } => {
                return Ok(Effect::Write(to, self.ran(apc.into()).into()));
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
            Step::Acquire { lock: index } => {
                let acquired = match lock(program, index) {
                    Lock::Fast(mutex) => kernel.acquire_fast_mutex(t, mutex)? == Acquired::Now,
                    Lock::Mutex(mutex) => kernel.wait(t, &[mutex], false, true)?.is_some(),
                };
                if !acquired {
                    return Ok(Effect::Waits);
                }
            }
            Step::Release { lock: index } => match lock(program, index) {
                Lock::Fast(mutex) => kernel.release_fast_mutex(t, mutex)?,
                Lock::Mutex(mutex) => {
                    kernel.release_mutex_choosing(t, mutex, choice)?;
                }
            },
            Step::Try {
                lock: index,
                to,
                milliseconds,
                length,
            } => {
                let may_block = milliseconds > 0;
                let acquired = match lock(program, index) {
                    Lock::Fast(mutex) => kernel.try_fast_mutex(t, mutex)?,
                    Lock::Mutex(mutex) => {
                        let acquired = kernel.wait(t, &[mutex], false, may_block)?.is_some();
                        if !acquired && may_block {
                            return Ok(Effect::Waits);
                        }
                        acquired
                    }
                };
                return Ok(Effect::Tried {
                    to,
                    acquired,
                    length,
                });
            }
            Step::Store {
                variable,
                from,
                constant,
            } => {
                let from = from.map_or(0, |from| self.cursor(place).register(from.into()));
                self.variables[usize::from(variable)] = from.wrapping_add(constant);
            }
            Step::Load { variable, to } => {
                return Ok(Effect::Write(to, self.variables[usize::from(variable)]));
            }
            Step::Barrier | Step::Repeat { .. } | Step::End => {
                unreachable!("a barrier is an event of all lanes, and a cursor steers by itself")
            }
        }
        Ok(Effect::Done)
    }
}
