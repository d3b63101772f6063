//! Waits that user APCs may end.
//!
//! A wait is alertable or not, and on behalf of user mode or of kernel mode (page "Waits and APCs").
//! A user APC ends it when it is both. With kernel APCs disabled the page says that user APCs aren't
//! delivered either; of an alertable wait in kernel mode it says that it is interrupted and nothing
//! is delivered. The NT 5.2 model does neither: so both are measured, and `Documented` allows both.

use super::wait::{Awaited, Wait};
use super::{Baseline, BugCheck, Kernel, Mutant, ObjectId, PASSIVE_LEVEL, Profile, ThreadId};

/// How a thread waits: what may end its wait besides the objects and the time-out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct WaitMode {
    /// `WaitMode` is UserMode.
    pub user: bool,
    /// `Alertable` is TRUE.
    pub alertable: bool,
}

impl WaitMode {
    /// KernelMode, not alertable.
    pub const KERNEL: Self = Self {
        user: false,
        alertable: false,
    };
}

/// What the user APCs in a thread's queue do to a wait of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Alert {
    /// They don't end it.
    No,
    /// They may end it, or leave it alone.
    May,
    /// They end it, unless an object comes first.
    Must,
}

/// What came of the begin of a wait.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Begun {
    /// It is over: the object with that index is signaled (0 with `all`).
    Satisfied(usize),
    /// It is over: `STATUS_USER_APC`.
    Alerted,
    /// It is over: its time-out is zero.
    TimedOut,
    /// The thread is blocked.
    Blocked,
}

impl Kernel {
    /// `KeWaitForMultipleObjects` as [`Kernel::wait`], in that mode: a user APC may end it.
    ///
    /// Where an object is signaled and user APCs end the wait as well, the object comes first; see
    /// [`Kernel::wait_as_choosing`].
    ///
    /// # Errors
    ///
    /// As [`Kernel::wait`].
    ///
    /// # Panics
    ///
    /// As [`Kernel::wait`].
    pub fn wait_as(
        &mut self,
        t: ThreadId,
        objects: &[ObjectId],
        all: bool,
        mode: WaitMode,
        may_block: bool,
    ) -> Result<Begun, BugCheck> {
        self.wait_as_choosing(t, objects, all, mode, may_block, 0)
    }

    /// As [`Kernel::wait_as`], in one of [`Kernel::wait_ways`], counted from 0. Way 1 is the one in
    /// which a user APC ends the wait.
    ///
    /// # Errors
    ///
    /// As [`Kernel::wait`].
    ///
    /// # Panics
    ///
    /// As [`Kernel::wait`].
    pub fn wait_as_choosing(
        &mut self,
        t: ThreadId,
        objects: &[ObjectId],
        all: bool,
        mode: WaitMode,
        may_block: bool,
        way: usize,
    ) -> Result<Begun, BugCheck> {
        self.check_wait(t, objects, may_block)?;
        Ok(self.begin_wait(t, objects, all, mode, may_block, way))
    }

    /// In how many ways a wait may begin now.
    pub fn wait_ways(
        &self,
        t: ThreadId,
        objects: &[ObjectId],
        all: bool,
        mode: WaitMode,
        may_block: bool,
    ) -> usize {
        let signaled = |&o: &ObjectId| self.signaled(t, o);
        let open = if all {
            objects.iter().all(signaled)
        } else {
            objects.iter().any(signaled)
        };
        let either = match self.alert_in(t, mode) {
            Alert::No => false,
            Alert::May => open || !may_block,
            Alert::Must => open && self.profile == Profile::Documented,
        };
        1 + usize::from(either)
    }

    /// `KeDelayExecutionThread`: a wait for nothing but its time-out, which ends by
    /// [`Kernel::expire`], and in that mode by a user APC.
    ///
    /// # Errors
    ///
    /// As [`Kernel::wait`].
    ///
    /// # Panics
    ///
    /// As [`Kernel::wait`].
    pub fn delay(
        &mut self,
        t: ThreadId,
        mode: WaitMode,
        may_block: bool,
    ) -> Result<Begun, BugCheck> {
        self.check_wait_irql(t, may_block)?;
        Ok(self.begin_wait(t, &[], false, mode, may_block, 0))
    }

    /// What the user APCs in the queue do to the wait that the thread is in now: not while a kernel
    /// APC interrupts it, or has to.
    pub fn alert(&self, t: ThreadId) -> Alert {
        match &self.thread(t).wait {
            Some(wait) if wait.alerted && !self.forced(t) => Alert::Must,
            // No wait for a lock is alertable.
            Some(wait) if wait.unmet() && wait.claim().is_none() && !self.forced(t) => {
                self.alert_in(t, wait.mode)
            }
            _ => Alert::No,
        }
    }

    /// Whether the wait of the thread has been ended by a user APC already, so that only what is
    /// forced holds it up. So it is in `Nt52` from the moment when the APC is queued.
    pub fn alerted(&self, t: ThreadId) -> bool {
        let wait = self.thread(t).wait.as_ref();
        wait.is_some_and(|wait| wait.alerted)
    }

    /// Ends the wait of the thread with `STATUS_USER_APC`. After a wait in user mode the ordinary
    /// user APCs that are queued run on the return to user mode. `false` when [`Kernel::alert`] is
    /// [`Alert::No`].
    pub fn end_by_alert(&mut self, t: ThreadId) -> bool {
        if self.alert(t) == Alert::No {
            return false;
        }
        let wait = self.interrupt_wait(t);
        self.wait_aborted(t, wait.is_some_and(|wait| wait.mode.user));
        true
    }

    pub(super) fn begin_wait(
        &mut self,
        t: ThreadId,
        objects: &[ObjectId],
        all: bool,
        mode: WaitMode,
        may_block: bool,
        way: usize,
    ) -> Begun {
        let alert = self.alert_in(t, mode);
        self.thread_mut(t).wait = Some(Wait {
            awaited: Awaited::Objects {
                objects: objects.to_vec(),
                all,
            },
            satisfied: None,
            mode,
            alerted: false,
        });
        let first = way == 1 && alert != Alert::No;
        let mutex = |&o: &ObjectId| self.is_mutex(o);
        let fails = !may_block
            && match self.mutant {
                Some(Mutant::MutexTry) => objects.iter().any(mutex),
                Some(Mutant::ZeroTimeOutLooks) => !objects.iter().any(mutex),
                _ => false,
            };
        if !first && !fails && self.satisfy(t) {
            let ended = self.thread_mut(t).wait.take();
            return Begun::Satisfied(ended.and_then(|wait| wait.satisfied).unwrap_or(0));
        }
        if first || alert == Alert::Must {
            self.thread_mut(t).wait = None;
            self.wait_aborted(t, mode.user);
            return Begun::Alerted;
        }
        if !may_block {
            self.thread_mut(t).wait = None;
            self.timed_out(t, mode);
            return Begun::TimedOut;
        }
        self.block(t);
        Begun::Blocked
    }

    /// For `Nt52`: ends the wait of the thread if a user APC must.
    pub(super) fn alert_if_must(&mut self, t: ThreadId) -> bool {
        let must = self.blocked(t) && self.alert(t) == Alert::Must;
        if must {
            self.wait_order.retain(|&waiter| waiter != t);
            if let Some(wait) = &mut self.thread_mut(t).wait {
                wait.alerted = true;
            }
        }
        must
    }

    /// What user APCs do to a wait in that mode.
    fn alert_in(&self, t: ThreadId, mode: WaitMode) -> Alert {
        let alertable = match self.mutant {
            None => mode.alertable,
            Some(mutant) => self.alertable_in_mutant(t, mode, mutant),
        };
        if !alertable || !self.has_user_apc(t) {
            return Alert::No;
        }
        let documented = self.profile == Profile::Documented;
        let thread = self.thread(t);
        let disabled = thread.counters != Baseline::default() || thread.irql > PASSIVE_LEVEL;
        match (mode.user, documented) {
            (true, true) if disabled => Alert::May,
            (true, _) => Alert::Must,
            (false, true) => Alert::May,
            (false, false) => Alert::No,
        }
    }

    /// A wait has ended without an object or a user APC. That only a mutant cares for.
    pub(super) fn timed_out(&mut self, t: ThreadId, mode: WaitMode) {
        let in_region = self.thread(t).counters != Baseline::default();
        let alertable = mode.user && mode.alertable && in_region;
        if alertable && self.gets_wrong(Mutant::AlertableWaitInRegion) {
            self.user_apcs_pend(t);
        }
    }

    fn alertable_in_mutant(&self, t: ThreadId, mode: WaitMode, mutant: Mutant) -> bool {
        match mutant {
            Mutant::UserApcEndsWait => false,
            Mutant::UserWaitNotAlertable => mode.alertable || mode.user,
            Mutant::SpecialUserApcEndsNoWait => {
                mode.alertable || (mode.user && self.has_special_user_apc(t))
            }
            Mutant::CsKeepsApcs => mode.alertable && !self.owns_critical_section(t),
            _ => mode.alertable,
        }
    }

    /// A wait has ended with `STATUS_USER_APC`.
    fn wait_aborted(&mut self, t: ThreadId, user: bool) {
        let pends = match self.mutant {
            Some(Mutant::UserApcAlertableWait) => false,
            Some(Mutant::KernelAlertableWait) => true,
            Some(Mutant::UserApcAfterRegion) => {
                user && self.thread(t).counters == Baseline::default()
            }
            _ => user,
        };
        if pends {
            self.user_apcs_pend(t);
        }
    }
}
