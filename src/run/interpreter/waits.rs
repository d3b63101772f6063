//! Waits: each has a deadline, and ends when the iteration is given up.

use apclab_guards::{AtMostApcLevel, Passive};
use apclab_protocol::step::{WaitMode, answer};
use apclab_protocol::trace::Kind;

use super::{Halted, Interpreter};
use crate::nt::event::{Waited, WaitedAs, wait_as, wait_either};
use crate::run::barrier::Met;

impl Interpreter<'_> {
    pub(super) fn barrier(&self, irql: &Passive) -> Result<i64, Halted> {
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

    pub(super) fn wait(&self, irql: &impl AtMostApcLevel, event: u8) -> Result<i64, Halted> {
        if self.waited(irql, event, self.run.wait_deadline_ms())? {
            Ok(0)
        } else {
            self.time_out(irql)
        }
    }

    pub(super) fn wait_for(
        &self,
        irql: &impl AtMostApcLevel,
        event: u8,
        to: u8,
        milliseconds: u32,
    ) -> Result<i64, Halted> {
        let signaled = self.waited(irql, event, milliseconds)?;
        Ok(self.answer(to, signaled))
    }

    /// A wait in a call. After one that a user APC has ended the call returns: the verifier leaves nothing in
    /// it that could keep the thread from user mode.
    pub(super) fn wait_as(
        &self,
        irql: &impl AtMostApcLevel,
        event: u8,
        to: u8,
        milliseconds: u32,
        mode: WaitMode,
    ) -> Result<i64, Halted> {
        self.request.ok_or(Halted)?;
        let event = self.run.events.get(event.into()).ok_or(Halted)?;
        let stop = self.run.control.stop().ok_or(Halted)?;
        match wait_as(event, stop, milliseconds, mode, irql) {
            WaitedAs::Signaled => Ok(self.answer(to, answer::SIGNALED)),
            WaitedAs::TimedOut => Ok(self.answer(to, answer::TIMED_OUT)),
            WaitedAs::UserApc if mode.alertable() => Ok(self.answer(to, answer::USER_APC)),
            WaitedAs::Alerted => Ok(self.answer(to, answer::ALERTED)),
            // A wait that is not alertable ends so when its thread is to end.
            WaitedAs::UserApc => {
                self.run.control.cancel();
                Err(Halted)
            }
            WaitedAs::Stopped => Err(Halted),
        }
    }

    /// Whether an event was signaled in time.
    fn waited(
        &self,
        irql: &impl AtMostApcLevel,
        event: u8,
        milliseconds: u32,
    ) -> Result<bool, Halted> {
        let event = self.run.events.get(event.into()).ok_or(Halted)?;
        let stop = self.run.control.stop().ok_or(Halted)?;
        match wait_either(event, stop, milliseconds, irql) {
            Waited::First => Ok(true),
            Waited::Second => Err(Halted),
            Waited::TimedOut => Ok(false),
        }
    }

    /// A wait hit its deadline: every lane gives the iteration up.
    pub(super) fn time_out(&self, irql: &impl AtMostApcLevel) -> Result<i64, Halted> {
        self.note(irql, Kind::TimedOut, self.next.saturating_sub(1), 0);
        self.run.iteration_timed_out();
        Err(Halted)
    }
}
