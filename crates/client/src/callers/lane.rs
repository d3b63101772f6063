//! The course of one caller lane.

use apclab_protocol::call::Registers;
use apclab_protocol::limits;
use apclab_protocol::step::Step;

use super::{Called, NotOfUserMode, User};

/// What a lane has open, outermost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    /// A critical section that has been entered.
    Entered(u8),
    /// The block of a `try` that has entered one, which is left inside the block.
    Try,
    /// A block that is executed so many times more, from this step on.
    Repeat { first: usize, left: u32 },
}

/// The steps of one caller lane, ready to be executed once an iteration.
#[derive(Debug)]
pub struct Lane {
    steps: Vec<Step>,
    /// With room for all that the verifier lets a lane open, so that nothing is allocated on the way.
    open: Vec<Open>,
}

/// What comes after a step.
enum Next {
    /// The step with that index.
    Step(usize),
    /// The iteration is given up.
    Halted,
}

impl Lane {
    /// A lane with these steps, which the verifier has accepted.
    pub fn new(steps: Vec<Step>) -> Self {
        Self {
            steps,
            open: Vec::with_capacity(2 * limits::SCOPES),
        }
    }

    /// Executes the lane in the world of a thread: its steps until there are no more, or the iteration
    /// is given up, or something fails. Then leaves every critical section that it has entered and says
    /// that it is done, once.
    ///
    /// # Errors
    /// The first thing that failed.
    pub fn execute<U: User>(&mut self, user: &mut U) -> Result<(), U::Error> {
        let mut registers = [0; limits::REGISTERS];
        self.open.clear();
        let walked = self.walk(user, &mut registers);
        let left = self.leave_all(user);
        let done = user.done(&registers);
        walked.and(left).and(done)
    }

    fn walk<U: User>(&mut self, user: &mut U, registers: &mut Registers) -> Result<(), U::Error> {
        let mut index = 0;
        while let Some(step) = self.steps.get(index).copied() {
            if user.over() {
                return Ok(());
            }
            match self.step(user, index, step, registers)? {
                Next::Step(next) => index = next,
                Next::Halted => return Ok(()),
            }
        }
        Ok(())
    }

    fn step<U: User>(
        &mut self,
        user: &mut U,
        index: usize,
        step: Step,
        registers: &mut Registers,
    ) -> Result<Next, U::Error> {
        let behind = |length: u32| index.saturating_add(length as usize).saturating_add(2);
        // Every register of a step that decodes is one of the lane's.
        let mut write = |register: Option<u8>, value: i64| {
            if let Some(place) = register.and_then(|r| registers.get_mut(usize::from(r))) {
                *place = value;
            }
        };
        let mut next = index + 1;
        match step {
            Step::Call { length } => {
                next = behind(length);
                let number = u32::try_from(index).map_err(|_| NotOfUserMode { step: index })?;
                if user.call(number, registers)? == Called::Halted {
                    return Ok(Next::Halted);
                }
            }
            Step::Sleep {
                milliseconds,
                alertable,
                to,
            } => write(Some(to), user.sleep(milliseconds, alertable)?),
            Step::Queue { apc, to } => write(to, user.queue(apc)?.into()),
            Step::Ran { apc, to } => write(Some(to), user.ran(apc)?),
            Step::Start { apc } => user.start(apc)?,
            Step::Suspend { lane, to } => write(to, user.suspend(lane)?.into()),
            Step::Resume { lane, to } => write(to, user.resume(lane)?.into()),
            Step::Acquire { lock, .. } => {
                user.enter(lock)?;
                self.open.push(Open::Entered(lock));
            }
            Step::Release { lock } if self.open.last() == Some(&Open::Entered(lock)) => {
                self.open.pop();
                user.leave(lock)?;
            }
            Step::Try {
                lock, to, length, ..
            } => {
                let entered = user.try_enter(lock)?;
                if entered {
                    self.open.extend([Open::Try, Open::Entered(lock)]);
                } else {
                    next = behind(length);
                }
                write(Some(to), entered.into());
            }
            Step::Repeat { count, .. } => self.open.push(Open::Repeat {
                first: next,
                left: count.saturating_sub(1),
            }),
            Step::End => match self.open.pop() {
                Some(Open::Try | Open::Repeat { left: 0, .. }) => {}
                Some(Open::Repeat { first, left }) => {
                    let left = left - 1;
                    self.open.push(Open::Repeat { first, left });
                    next = first;
                }
                other => {
                    self.open.extend(other);
                    return Err(NotOfUserMode { step: index }.into());
                }
            },
            _ => return Err(NotOfUserMode { step: index }.into()),
        }
        Ok(Next::Step(next))
    }

    /// Leaves what has been entered, the innermost first, also when one of the leaves fails.
    fn leave_all<U: User>(&mut self, user: &mut U) -> Result<(), U::Error> {
        let mut all = Ok(());
        while let Some(open) = self.open.pop() {
            if let Open::Entered(section) = open {
                all = all.and(user.leave(section));
            }
        }
        all
    }
}
