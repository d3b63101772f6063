//! Raising and lowering the IRQL.

use super::{BugCheck, Kernel, Mutant, ThreadId};

/// Ordinary thread code.
pub const PASSIVE_LEVEL: u8 = 0;
/// APCs are deferred.
pub const APC_LEVEL: u8 = 1;
/// The scheduler is off: no waits that block.
pub const DISPATCH_LEVEL: u8 = 2;
/// The highest IRQL of an x64 processor.
pub const HIGH_LEVEL: u8 = 15;

impl Kernel {
    /// `KfRaiseIrql`: raises the thread's IRQL and returns the old one.
    ///
    /// # Errors
    ///
    /// 0xC4/0x30 when `to` is below the current IRQL or above HIGH_LEVEL (page of bug check 0xC4).
    pub fn raise_irql(&mut self, t: ThreadId, to: u8) -> Result<u8, BugCheck> {
        let irql = self.thread(t).irql;
        if to < irql || to > HIGH_LEVEL {
            let reason = format!("KeRaiseIrql to {to} was called at IRQL {irql}.");
            return Err(BugCheck::verifier(
                0x30,
                [u64::from(irql), u64::from(to), 0],
                reason,
            ));
        }
        self.thread_mut(t).irql = to;
        Ok(irql)
    }

    /// `KeLowerIrql`. Forces the APCs that this processor has seen and that may now run
    /// (docs/model.md, decision 4).
    ///
    /// # Errors
    ///
    /// 0xC4/0x31 when `to` is above the current IRQL (page of bug check 0xC4).
    pub fn lower_irql(&mut self, t: ThreadId, to: u8) -> Result<(), BugCheck> {
        let irql = self.thread(t).irql;
        if to > irql {
            let reason = format!("KeLowerIrql to {to} was called at IRQL {irql}.");
            return Err(BugCheck::verifier(
                0x31,
                [u64::from(irql), u64::from(to), 0],
                reason,
            ));
        }
        if self.gets_wrong(Mutant::LowerDelivers) {
            self.thread_mut(t).irql = to;
        } else {
            self.irql_falls(t, to);
        }
        if self.gets_wrong(Mutant::LowerInsideRegion) {
            self.force_everything(t);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ApcKind, Baseline, Profile};
    use super::*;

    fn machine() -> (Kernel, ThreadId) {
        let mut kernel = Kernel::new(Profile::Documented);
        let t = kernel.create_thread(Baseline::default());
        (kernel, t)
    }

    #[test]
    fn raising_below_and_lowering_above_the_current_irql_are_0x30_and_0x31() {
        let (mut kernel, t) = machine();
        assert_eq!(kernel.raise_irql(t, DISPATCH_LEVEL), Ok(PASSIVE_LEVEL));
        let bug_check = kernel.raise_irql(t, APC_LEVEL).unwrap_err();
        assert_eq!(
            (bug_check.code, bug_check.parameters),
            (0xC4, [0x30, 2, 1, 0])
        );
        kernel.lower_irql(t, PASSIVE_LEVEL).unwrap();
        let bug_check = kernel.lower_irql(t, APC_LEVEL).unwrap_err();
        assert_eq!(
            (bug_check.code, bug_check.parameters),
            (0xC4, [0x31, 0, 1, 0])
        );
        assert_eq!(
            kernel.raise_irql(t, HIGH_LEVEL + 1).unwrap_err().parameters[0],
            0x30
        );
    }

    #[test]
    fn at_apc_level_every_apc_is_deferred_and_lowering_forces_what_was_seen() {
        let (mut kernel, t) = machine();
        let other = kernel.create_thread(Baseline::default());
        let own = kernel.create_apc(t, ApcKind::Special);
        let foreign = kernel.create_apc(t, ApcKind::Normal);
        kernel.raise_irql(t, APC_LEVEL).unwrap();
        assert_eq!(kernel.insert_apc(foreign, other), Ok(true));
        assert_eq!(kernel.deliverable(t), None);
        kernel.lower_irql(t, PASSIVE_LEVEL).unwrap();
        assert_eq!(kernel.deliverable(t), Some(foreign));
        assert!(
            !kernel.forced(t),
            "another processor queued it: only allowed"
        );
        kernel.raise_irql(t, APC_LEVEL).unwrap();
        assert_eq!(kernel.insert_apc(own, t), Ok(true));
        kernel.lower_irql(t, PASSIVE_LEVEL).unwrap();
        assert_eq!(kernel.deliverable(t), Some(own));
        assert!(kernel.forced(t), "this processor queued it itself");
    }
}
