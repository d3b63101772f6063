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

#[cfg(test)]
mod tests {
    use crate::kernel::{ApcKind, Baseline, EventKind, Kernel, Next, Profile, ThreadId};

    fn machine() -> (Kernel, ThreadId, ThreadId) {
        let mut kernel = Kernel::new(Profile::Nt52);
        let t = kernel.create_user_thread(Baseline::default());
        let other = kernel.create_thread(Baseline::default());
        (kernel, t, other)
    }

    /// The suspension comes.
    fn deliver(kernel: &mut Kernel, t: ThreadId) {
        let expected = (kernel.suspension(t), ApcKind::Normal);
        assert_eq!(kernel.begin_delivery(t), Some(expected));
        assert_eq!(kernel.kernel_routine_returned(t), Ok(Next::NormalRoutine));
        assert!(kernel.is_suspended(t));
    }

    #[test]
    fn a_thread_stops_until_it_is_resumed_as_often() {
        let (mut kernel, t, other) = machine();
        assert_eq!(kernel.suspend(t, other), Ok(0));
        assert_eq!(kernel.suspend(t, other), Ok(1));
        deliver(&mut kernel, t);
        assert_eq!((kernel.resume(t), kernel.may_return(t)), (2, false));
        assert_eq!((kernel.resume(t), kernel.may_return(t)), (1, true));
        assert_eq!((kernel.resume(t), kernel.suspend_count(t)), (0, 0));
        kernel.normal_routine_returned(t).unwrap();
        assert!(kernel.in_user_mode(t) && kernel.deliverable(t).is_none());
    }

    #[test]
    fn resumed_before_it_comes_a_suspension_does_not_wait() {
        let (mut kernel, t, other) = machine();
        kernel.suspend(t, other).unwrap();
        kernel.resume(t);
        deliver(&mut kernel, t);
        assert!(kernel.may_return(t));
        // Suspended once more: that is another delivery.
        kernel.suspend(t, other).unwrap();
        assert!(kernel.may_return(t));
        assert_eq!(kernel.deliverable(t), None);
        kernel.normal_routine_returned(t).unwrap();
        deliver(&mut kernel, t);
        assert!(!kernel.may_return(t));
    }

    #[test]
    fn regions_defer_it_specials_run_in_it_and_waits_begin_anew() {
        let (mut kernel, t, other) = machine();
        kernel.enter_kernel(t);
        kernel.enter_guarded(t).unwrap();
        assert_eq!(kernel.suspend(t, t), Ok(0));
        assert!(!kernel.forced(t));
        kernel.leave_guarded(t).unwrap();
        assert!(kernel.forced(t));
        deliver(&mut kernel, t);
        kernel.resume(t);
        kernel.normal_routine_returned(t).unwrap();
        let event = kernel.create_event(EventKind::Synchronization, false);
        assert_eq!(kernel.wait(t, &[event], false, true), Ok(None));
        kernel.suspend(t, other).unwrap();
        deliver(&mut kernel, t);
        let special = kernel.create_apc(t, ApcKind::Special);
        kernel.insert_apc(special, other).unwrap();
        assert_eq!(kernel.begin_delivery(t), Some((special, ApcKind::Special)));
        assert!(kernel.may_return(t));
        kernel.kernel_routine_returned(t).unwrap();
        kernel.set_event(event);
        assert_eq!(kernel.grantable(t), None);
        kernel.resume(t);
        kernel.normal_routine_returned(t).unwrap();
        assert_eq!(kernel.grant(t), Some(0));
    }
}
