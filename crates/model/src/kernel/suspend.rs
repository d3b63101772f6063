//! Suspension: a normal kernel APC whose normal routine waits until nobody suspends the thread.
//!
//! That wait is at PASSIVE_LEVEL, in kernel mode and not alertable, with a kernel APC in progress: so a
//! region defers suspension, and special kernel APCs run in a suspended thread.

use super::{ApcId, BugCheck, Kernel, Mutant, ThreadId};

impl Kernel {
    /// `SuspendThread`, called by thread `by`: suspends the thread once more, and gives its suspend
    /// count before. The first time the thread's suspension APC is queued to it, as
    /// [`Kernel::insert_apc`] does.
    ///
    /// # Errors
    ///
    /// As [`Kernel::insert_apc`].
    ///
    /// # Panics
    ///
    /// When `t` is no thread of user mode, or has been suspended 2^32 - 1 times.
    pub fn suspend(&mut self, t: ThreadId, by: ThreadId) -> Result<u32, BugCheck> {
        let suspension = self.suspension(t);
        let user = self.user_mut(t);
        let before = user.suspended;
        user.suspended = before.checked_add(1).expect("a suspend count is small");
        if before == 0 {
            // Refused when it is still queued from the last time.
            self.insert_apc(suspension, by)?;
        }
        Ok(before)
    }

    /// `ResumeThread`: takes one suspension back, if there is one, and gives the suspend count
    /// before.
    ///
    /// # Panics
    ///
    /// When `t` is no thread of user mode.
    pub fn resume(&mut self, t: ThreadId) -> u32 {
        let suspension = self.suspension(t);
        let runs = self
            .thread(t)
            .frames
            .iter()
            .any(|frame| frame.runs(suspension));
        let (all, none) = (
            self.gets_wrong(Mutant::SuspendCount),
            self.gets_wrong(Mutant::ResumeLetsGo),
        );
        let user = self.user_mut(t);
        let before = user.suspended;
        user.suspended = if all { 0 } else { before.saturating_sub(1) };
        if before > 0 && user.suspended == 0 && runs {
            user.let_go = !none;
        }
        before
    }

    /// How often the thread has been suspended and not resumed.
    ///
    /// # Panics
    ///
    /// When `t` is no thread of user mode.
    pub fn suspend_count(&self, t: ThreadId) -> u32 {
        self.user(t).suspended
    }

    /// The APC that suspends the thread. Its normal routine returns when [`Kernel::may_return`] says
    /// so.
    ///
    /// # Panics
    ///
    /// When `t` is no thread of user mode.
    pub fn suspension(&self, t: ThreadId) -> ApcId {
        self.user(t).suspension
    }

    /// Whether the innermost APC that runs in the thread is the one that suspends it.
    pub fn is_suspended(&self, t: ThreadId) -> bool {
        let innermost = self.thread(t).frames.last();
        let user = self.thread(t).user.as_ref();
        innermost
            .zip(user)
            .is_some_and(|(frame, user)| frame.runs(user.suspension))
    }

    /// Whether the innermost routine may return now: always, but for the routine that suspends the
    /// thread, which waits until nobody does.
    pub fn may_return(&self, t: ThreadId) -> bool {
        !self.is_suspended(t) || self.user(t).let_go
    }

    /// The routine that suspends the thread begins, if the APC is that one.
    pub(super) fn suspension_begins(&mut self, t: ThreadId, a: ApcId) {
        let goes_on = self.gets_wrong(Mutant::SuspendStopsOutsideRegion);
        if let Some(user) = &mut self.thread_mut(t).user
            && user.suspension == a
        {
            user.let_go = user.suspended == 0 || goes_on;
        }
    }

    /// The routine of the APC has returned.
    pub(super) fn suspension_ends(&mut self, t: ThreadId, a: ApcId) {
        if let Some(user) = &mut self.thread_mut(t).user
            && user.suspension == a
        {
            user.let_go = false;
        }
    }
}
