//! Calling the driver's event callbacks, and what the framework's verifier checks around them.

use apclab_model::kernel::{APC_LEVEL, Answer};

use crate::bugcheck;
use crate::dispatch::Fault;
use crate::machine::State;
use crate::thread::Thread;

impl Thread {
    /// Calls an event callback: it must return at the IRQL that it was called at, and with APCs
    /// disabled or enabled as they were (docs/semantics.md, section 4: one BOOLEAN is compared).
    pub(super) fn callback(
        &self,
        name: &str,
        target: u64,
        arguments: &[u64],
    ) -> Result<u64, Fault> {
        let (irql, disabled) = self.level(&self.lock())?;
        let result = self.call(target, arguments)?;
        let (irql_after, disabled_after) = self.level(&self.lock())?;
        if irql_after != irql {
            let reason = format!("{name} was called at IRQL {irql} and returned at {irql_after}");
            let check = bugcheck::wdf(0xE, u64::from(irql), u64::from(irql_after), reason);
            return Err(check.into());
        }
        if disabled_after != disabled {
            let change = if disabled {
                "left"
            } else {
                "entered and did not leave"
            };
            let reason = format!("{name} {change} a region");
            return Err(bugcheck::wdf(0xF, target, 0, reason).into());
        }
        Ok(result)
    }

    fn level(&self, state: &State) -> Result<(u8, bool), Fault> {
        let irql = state.kernel.irql(self.id);
        if irql > APC_LEVEL {
            return Ok((irql, false));
        }
        let disabled = match state.kernel.apcs_disabled(self.id)? {
            Answer::Is(disabled) => disabled,
            Answer::Either => true,
        };
        Ok((irql, disabled))
    }

    /// Runs `body` inside the critical region that the framework enters before it dispatches
    /// (docs/semantics.md, section 5).
    pub(super) fn in_region<R>(&self, body: impl FnOnce() -> Result<R, Fault>) -> Result<R, Fault> {
        self.lock().kernel.enter_critical(self.id)?;
        let result = body()?;
        let mut state = self.lock();
        state.kernel.leave_critical(self.id)?;
        drop(self.deliver(state)?);
        Ok(result)
    }
}
