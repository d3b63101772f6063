//! Executes the steps of one lane on the guards.
//!
//! Regions are held in a [`RegionStack`] over storage of the lane's: nesting costs no kernel stack,
//! and however the execution ends, dropping the stack leaves every region, innermost first. A raise
//! is a closure; inside it a second stack takes the regions that are entered there.

use apclab_guards::{
    ApcLevel, AtMostApcLevel, Passive, RegionKind, RegionStack, Slot, all_apcs_disabled,
    apcs_disabled, current_irql,
};
use apclab_protocol::step::Step;
use apclab_protocol::trace::{Kind, NO_APC};

use super::barrier::Met;
use super::state::Run;
use super::trace::What;
use crate::nt::event::{Waited, wait_either};

/// The iteration is given up before the lane's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Halted;

/// One lane's way through its steps.
pub(crate) struct Interpreter<'r> {
    run: &'r Run,
    lane: usize,
    steps: &'r [Step],
    next: usize,
}

impl<'r> Interpreter<'r> {
    /// At the first step of a lane.
    pub(crate) fn new(run: &'r Run, lane: usize) -> Self {
        let steps = run.program.lanes.get(lane).map_or(&[][..], |steps| steps);
        Self {
            run,
            lane,
            steps,
            next: 0,
        }
    }

    /// Executes the lane. Whatever it gives, the thread is outside every region that it entered and
    /// at PASSIVE_LEVEL again.
    ///
    /// # Errors
    /// [`Halted`]: the run was cancelled, or a wait hit its deadline.
    pub(crate) fn execute(&mut self, irql: &mut Passive, slots: &mut [Slot]) -> Result<(), Halted> {
        let mut regions = RegionStack::new(slots);
        while let Some((index, step)) = self.take()? {
            self.note(irql, Kind::Step, index, 0);
            let value = match step {
                Step::RaiseApc => {
                    let inner = regions.spare();
                    irql.raise_to_apc_level(|irql| self.raised(irql, inner))?;
                    0
                }
                Step::Barrier => self.barrier(irql)?,
                Step::Wait { event } => self.wait(irql, event)?,
                step => self.plain(step, irql, &mut regions)?,
            };
            self.note(irql, Kind::Done, index, value);
        }
        Ok(())
    }

    /// Executes the steps inside a raise, up to the one that ends it.
    fn raised(&mut self, irql: &mut ApcLevel, slots: &mut [Slot]) -> Result<(), Halted> {
        let mut regions = RegionStack::new(slots);
        while let Some((index, step)) = self.take()? {
            self.note(irql, Kind::Step, index, 0);
            if step == Step::Lower {
                break;
            }
            let value = self.plain(step, irql, &mut regions)?;
            self.note(irql, Kind::Done, index, value);
        }
        Ok(())
    }

    /// The next step, unless the iteration is given up.
    fn take(&mut self) -> Result<Option<(usize, Step)>, Halted> {
        if self.run.halted() {
            return Err(Halted);
        }
        let index = self.next;
        self.next += 1;
        Ok(self.steps.get(index).map(|step| (index, *step)))
    }

    fn note(&self, irql: &impl AtMostApcLevel, kind: Kind, index: usize, value: i64) {
        let step = u32::try_from(index).unwrap_or(u32::MAX);
        self.run.trace.write(
            self.lane,
            irql,
            What {
                kind,
                step,
                apc: NO_APC,
                value,
            },
        );
    }

    fn answer(&self, to: u8, value: impl Into<i64>) -> i64 {
        let value = value.into();
        self.run.set_register(self.lane, to.into(), value);
        value
    }

    /// A step that neither blocks nor changes the IRQL. The verifier has seen to it that each leave
    /// meets its enter; a step that still does not fit gives the iteration up.
    fn plain(
        &self,
        step: Step,
        irql: &impl AtMostApcLevel,
        regions: &mut RegionStack<'_>,
    ) -> Result<i64, Halted> {
        let run = self.run;
        match step {
            Step::EnterCritical => {
                regions
                    .enter(RegionKind::Critical, irql)
                    .map_err(|_| Halted)?;
            }
            Step::EnterGuarded => {
                regions
                    .enter(RegionKind::Guarded, irql)
                    .map_err(|_| Halted)?;
            }
            Step::LeaveCritical | Step::LeaveGuarded => {
                regions.leave().ok_or(Halted)?;
            }
            Step::ApcsDisabled { to } => return Ok(self.answer(to, apcs_disabled(irql))),
            Step::AllApcsDisabled { to } => return Ok(self.answer(to, all_apcs_disabled(irql))),
            Step::Irql { to } => return Ok(self.answer(to, current_irql())),
            Step::Queue { apc, to } => {
                let inserted = run.apcs.insert(apc.into(), irql);
                let what = What {
                    kind: Kind::Inserted,
                    step: self.index(),
                    apc,
                    value: inserted.into(),
                };
                run.trace.write(self.lane, irql, what);
                if let Some(to) = to {
                    self.answer(to, inserted);
                }
                return Ok(inserted.into());
            }
            Step::Ran { apc, to } => return Ok(self.answer(to, run.apcs.ran(apc.into()))),
            Step::Set { event } => {
                run.events.get(event.into()).ok_or(Halted)?.set();
            }
            Step::Reset { event } => {
                run.events.get(event.into()).ok_or(Halted)?.reset();
            }
            Step::Store {
                variable,
                from,
                constant,
            } => {
                let base = from.map_or(0, |r| run.register(self.lane, r.into()));
                let value = base.wrapping_add(constant);
                run.set_variable(variable.into(), value);
                return Ok(value);
            }
            Step::Load { variable, to } => {
                return Ok(self.answer(to, run.variable(variable.into())));
            }
            Step::RaiseApc | Step::Lower | Step::Barrier | Step::Wait { .. } => return Err(Halted),
        }
        Ok(0)
    }

    /// The step being executed.
    fn index(&self) -> u32 {
        u32::try_from(self.next.saturating_sub(1)).unwrap_or(u32::MAX)
    }

    fn barrier(&self, irql: &Passive) -> Result<i64, Halted> {
        let stop = self.run.control.stop().ok_or(Halted)?;
        match self
            .run
            .barrier
            .meet_or_stop(irql, stop, self.run.wait_deadline_ms())
        {
            Met::All => Ok(0),
            Met::Stopped => Err(Halted),
            Met::TimedOut => self.time_out(irql),
        }
    }

    fn wait(&self, irql: &Passive, event: u8) -> Result<i64, Halted> {
        let event = self.run.events.get(event.into()).ok_or(Halted)?;
        let stop = self.run.control.stop().ok_or(Halted)?;
        match wait_either(event, stop, self.run.wait_deadline_ms(), irql) {
            Waited::First => Ok(0),
            Waited::Second => Err(Halted),
            Waited::TimedOut => self.time_out(irql),
        }
    }

    /// A wait hit its deadline: every lane gives the iteration up.
    fn time_out(&self, irql: &Passive) -> Result<i64, Halted> {
        self.note(irql, Kind::TimedOut, self.next.saturating_sub(1), 0);
        self.run.iteration_timed_out();
        Err(Halted)
    }
}
