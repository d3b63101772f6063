//! Steps that neither block nor change what is open: the same in lanes and in bodies of APCs.

use apclab_guards::{AtMostApcLevel, all_apcs_disabled, apcs_disabled, current_irql};
use apclab_protocol::program::{ApcKind, Place};
use apclab_protocol::step::Step;
use apclab_protocol::trace::Kind;

use super::state::Run;
use super::trace::What;

/// Whose steps, and in whose thread.
#[derive(Clone, Copy)]
pub(crate) struct Plain<'r> {
    /// The run.
    pub(crate) run: &'r Run,
    /// The lane in whose thread the step is executed.
    pub(crate) lane: usize,
    /// Whose registers it has.
    pub(crate) place: Place,
}

impl Plain<'_> {
    fn answer(&self, to: u8, value: impl Into<i64>) -> i64 {
        let value = value.into();
        self.run.set_register(self.place, to.into(), value);
        value
    }

    fn kind(&self, apc: u8) -> Option<ApcKind> {
        Some(self.run.program.apcs.get(usize::from(apc))?.kind)
    }

    /// Executes a step and gives what it answers; `None` for a step that is not of this kind.
    pub(crate) fn step(self, step: Step, index: usize, irql: &impl AtMostApcLevel) -> Option<i64> {
        let run = self.run;
        Some(match step {
            Step::ApcsDisabled { to } => self.answer(to, apcs_disabled(irql)),
            Step::AllApcsDisabled { to } => self.answer(to, all_apcs_disabled(irql)),
            Step::Irql { to } => self.answer(to, current_irql()),
            Step::Queue { apc, to } => {
                let inserted = match self.kind(apc)? {
                    ApcKind::Special | ApcKind::Normal => run.apcs.insert(apc.into(), irql),
                    ApcKind::Completion => run.held.complete(apc)?,
                    ApcKind::User | ApcKind::SpecialUser => return None,
                };
                let step = u32::try_from(index).unwrap_or(u32::MAX);
                let what = What {
                    kind: Kind::Inserted,
                    step,
                    apc,
                    value: inserted.into(),
                };
                run.trace.write(self.lane, irql, what);
                if let Some(to) = to {
                    self.answer(to, inserted);
                }
                inserted.into()
            }
            Step::Ran { apc, to } => match self.kind(apc)? {
                ApcKind::Special | ApcKind::Normal => self.answer(to, run.apcs.ran(apc.into())),
                ApcKind::Completion => self.answer(to, run.held.ran(apc)?),
                ApcKind::User | ApcKind::SpecialUser => return None,
            },
            Step::Set { event } => {
                run.events.get(event.into())?.set();
                0
            }
            Step::Reset { event } => {
                run.events.get(event.into())?.reset();
                0
            }
            Step::Store {
                variable,
                from,
                constant,
            } => {
                let base = from.map_or(0, |r| run.register(self.place, r.into()));
                let value = base.wrapping_add(constant);
                run.set_variable(variable.into(), value);
                value
            }
            Step::AcquiredExclusive { lock, to } => {
                self.answer(to, run.locks.resource(lock)?.acquired_exclusive())
            }
            Step::AcquiredShared { lock, to } => {
                self.answer(to, run.locks.resource(lock)?.acquired_count())
            }
            Step::ExclusiveWaiters { lock, to } => {
                self.answer(to, run.locks.resource(lock)?.exclusive_waiters())
            }
            Step::SharedWaiters { lock, to } => {
                self.answer(to, run.locks.resource(lock)?.shared_waiters())
            }
            Step::Load { variable, to } => self.answer(to, run.variable(variable.into())),
            _ => return None,
        })
    }
}
