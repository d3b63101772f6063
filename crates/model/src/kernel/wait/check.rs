//! What a wait runs into that may not be made.

use crate::kernel::bugcheck::MAXIMUM_WAIT_OBJECTS_EXCEEDED;
use crate::kernel::{APC_LEVEL, BugCheck, DISPATCH_LEVEL, Kernel, ObjectId, ThreadId};

/// MAXIMUM_WAIT_OBJECTS.
const MAXIMUM_WAIT_OBJECTS: usize = 64;

impl Kernel {
    /// The bug checks that a wait runs into.
    pub(in crate::kernel) fn check_wait(
        &self,
        t: ThreadId,
        objects: &[ObjectId],
        may_block: bool,
    ) -> Result<(), BugCheck> {
        self.check_wait_irql(t, may_block)?;
        if objects.is_empty() || objects.len() > MAXIMUM_WAIT_OBJECTS {
            let reason = format!("A wait was called on {} objects.", objects.len());
            return Err(BugCheck::new(MAXIMUM_WAIT_OBJECTS_EXCEEDED, [0; 4], reason));
        }
        for &o in objects {
            self.check_mutex_limit(t, o)?;
        }
        Ok(())
    }

    /// The bug checks for a wait at raised IRQL.
    pub(in crate::kernel) fn check_wait_irql(
        &self,
        t: ThreadId,
        may_block: bool,
    ) -> Result<(), BugCheck> {
        let thread = self.thread(t);
        assert!(
            thread.wait.is_none() && !thread.ended,
            "only a running thread can wait"
        );
        let irql = thread.irql;
        if irql > DISPATCH_LEVEL || (may_block && irql > APC_LEVEL) {
            let kind = if irql > DISPATCH_LEVEL { 0x120 } else { 0x122 };
            let reason = format!("A wait that may block was called at IRQL {irql}.");
            return Err(BugCheck::verifier(kind, [u64::from(irql), 0, 0], reason));
        }
        Ok(())
    }
}
