//! One lane: where it is, its registers, and what each of its steps does.

use apclab_protocol::limits;
use apclab_protocol::program::{Observed, Program};
use apclab_protocol::step::{Register, Step};

use super::{State, thread};
use crate::kernel::{APC_LEVEL, Answer, ApcId, BugCheck, ObjectId, PASSIVE_LEVEL};

/// A lane of a test.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Lane {
    next: u32,
    /// As many as the program names.
    registers: Box<[i64]>,
}

impl Lane {
    pub(super) fn new(program: &Program<'_>, lane: usize) -> Self {
        let named = program
            .lane_steps(lane)
            .flat_map(|step| written(step).into_iter().chain(read(step)));
        let observed = (0..program.observed_len()).filter_map(|index| program.observed(index));
        let observed = observed.filter_map(|observed| match observed {
            Observed::Register { lane: of, register } if usize::from(of) == lane => Some(register),
            _ => None,
        });
        let count = named
            .chain(observed)
            .map(|register| usize::from(register) + 1)
            .max();
        Self {
            next: 0,
            registers: vec![0; count.unwrap_or(0)].into(),
        }
    }

    /// The index of the step that the lane executes next; the number of its steps once it has
    /// finished and is parked.
    pub fn next(&self) -> usize {
        self.next as usize
    }

    /// The value of a register; 0 for one that the program does not name.
    pub fn register(&self, register: usize) -> i64 {
        self.registers.get(register).copied().unwrap_or(0)
    }

    pub(super) fn advance(&mut self) {
        self.next += 1;
    }

    fn put(&mut self, register: Register, value: i64) {
        self.registers[usize::from(register)] = value;
    }
}

/// The register that a step writes.
pub(super) fn written(step: Step) -> Option<Register> {
    match step {
        Step::ApcsDisabled { to }
        | Step::AllApcsDisabled { to }
        | Step::Irql { to }
        | Step::Ran { to, .. }
        | Step::Load { to, .. } => Some(to),
        Step::Queue { to, .. } => to,
        _ => None,
    }
}

/// The register that a step reads.
fn read(step: Step) -> Option<Register> {
    match step {
        Step::Store { from, .. } => from,
        _ => None,
    }
}

/// The APCs that more than one step queues, a bit each.
pub(super) fn queued_twice(program: &Program<'_>) -> u32 {
    const { assert!(limits::APCS <= 32, "a bit for each APC") };
    let (mut once, mut twice) = (0, 0);
    for step in (0..program.lanes()).flat_map(|lane| program.lane_steps(lane)) {
        if let Step::Queue { apc, .. } = step {
            twice |= once & (1 << apc);
            once |= 1 << apc;
        }
    }
    twice
}

impl State {
    /// Executes a step of a lane. `choice` is as in [`super::Event::Step`].
    pub(super) fn step(&mut self, lane: usize, step: Step, choice: usize) -> Result<(), BugCheck> {
        let t = thread(lane);
        let kernel = &mut self.kernel;
        // The register that the step writes and the value that it writes there.
        let mut result = None;
        match step {
            Step::EnterCritical => kernel.enter_critical(t)?,
            Step::LeaveCritical => kernel.leave_critical(t)?,
            Step::EnterGuarded => kernel.enter_guarded(t)?,
            Step::LeaveGuarded => kernel.leave_guarded(t)?,
            Step::RaiseApc => {
                kernel.raise_irql(t, APC_LEVEL)?;
            }
            // One raise is as deep as they go, and lanes start at PASSIVE_LEVEL.
            Step::Lower => kernel.lower_irql(t, PASSIVE_LEVEL)?,
            Step::ApcsDisabled { to } => {
                let disabled = match kernel.apcs_disabled(t)? {
                    Answer::Is(disabled) => disabled,
                    Answer::Either => choice == 1,
                };
                result = Some((to, disabled.into()));
            }
            Step::AllApcsDisabled { to } => {
                result = Some((to, kernel.all_apcs_disabled(t)?.into()));
            }
            Step::Irql { to } => result = Some((to, kernel.irql(t).into())),
            Step::Queue { apc, to } => {
                let inserted = kernel.insert_apc(ApcId(apc.into()), t)?;
                result = to.map(|to| (to, inserted.into()));
            }
            Step::Ran { apc, to } => result = Some((to, self.ran[usize::from(apc)].into())),
            Step::Set { event } => {
                kernel.set_event_choosing(ObjectId(event.into()), choice);
            }
            Step::Reset { event } => {
                kernel.reset_event(ObjectId(event.into()));
            }
            Step::Wait { event } => {
                if kernel
                    .wait(t, &[ObjectId(event.into())], false, true)?
                    .is_none()
                {
                    // The lane goes on when the wait is granted.
                    return Ok(());
                }
            }
            Step::Barrier => unreachable!("a barrier is an event of all lanes"),
            Step::Store {
                variable,
                from,
                constant,
            } => {
                let from = from.map_or(0, |from| self.lanes[lane].register(from.into()));
                self.variables[usize::from(variable)] = from.wrapping_add(constant);
            }
            Step::Load { variable, to } => {
                result = Some((to, self.variables[usize::from(variable)]));
            }
        }
        if let Some((register, value)) = result {
            self.lanes[lane].put(register, value);
        }
        self.lanes[lane].advance();
        Ok(())
    }
}
