//! Threads of user mode: where they are, and the APCs that run there.
//!
//! Such a thread begins in user mode. [`Kernel::enter_kernel`] and [`Kernel::return_to_user`] are
//! the ends of a system call. User APCs have a queue of their own. Special ones run wherever the
//! thread is in user mode; ordinary ones run only after an alertable wait has ended for them
//! ([`super::Alert`]), before the thread goes on.
//!
//! An APC of user mode stands for its routine here, not for one KAPC: `QueueUserAPC` makes a new
//! KAPC each time, so the same APC may be in the queue more than once.

use super::wait::Wait;
use super::{ApcId, ApcKind, Baseline, BugCheck, Kernel, Mutant, PASSIVE_LEVEL, Profile, ThreadId};

/// What a thread of user mode has beyond other threads.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct User {
    /// Not inside a system call.
    outside: bool,
    /// Inserted user APCs, the next one first: special ones ahead of ordinary ones.
    queue: Vec<Queued>,
    /// An alertable wait has ended for user APCs, and the thread has not gone on in user mode.
    pending: bool,
    /// `SuspendThread` uses this APC.
    pub(super) suspension: ApcId,
    /// How often the thread has been suspended and not resumed.
    pub(super) suspended: u32,
    /// The wait of the routine that suspends the thread is over: the routine may return.
    pub(super) let_go: bool,
}

/// An inserted user APC.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Queued {
    apc: ApcId,
    special: bool,
    /// It runs before the thread does anything else in user mode.
    due: bool,
}

impl Kernel {
    /// Makes a running thread of user mode, outside of every system call, at PASSIVE_LEVEL. Both
    /// counters are `baseline` then, and at the end of each system call: 0 on a real kernel.
    ///
    /// One APC object is made for it as well, which [`Kernel::suspend`] uses.
    pub fn create_user_thread(&mut self, baseline: Baseline) -> ThreadId {
        let t = self.create_thread(baseline);
        self.make_user_thread(t);
        t
    }

    /// The second half of [`Kernel::create_user_thread`], for who wants to number APCs first.
    pub(crate) fn make_user_thread(&mut self, t: ThreadId) {
        let suspension = self.create_apc(t, ApcKind::Normal);
        self.thread_mut(t).user = Some(User {
            outside: true,
            queue: Vec::new(),
            pending: false,
            suspension,
            suspended: 0,
            let_go: false,
        });
    }

    /// Whether the thread executes in user mode: outside of every system call, and no kernel APC
    /// runs in it.
    pub fn in_user_mode(&self, t: ThreadId) -> bool {
        let thread = self.thread(t);
        thread.frames.is_empty() && thread.user.as_ref().is_some_and(|user| user.outside)
    }

    /// A system call begins. The thread goes on in user mode with that
    /// ([`Kernel::begin_user_step`]).
    ///
    /// # Panics
    ///
    /// When the thread is not in user mode.
    pub fn enter_kernel(&mut self, t: ThreadId) {
        self.begin_user_step(t);
        self.user_mut(t).outside = false;
    }

    /// A system call ends. Makes due the special user APCs that are in the queue, and the ordinary
    /// ones when an alertable wait has ended for them.
    ///
    /// # Errors
    ///
    /// 0x4A above PASSIVE_LEVEL; 0x1 when a counter is not what it was when the thread began
    /// (docs/semantics.md, section 4).
    ///
    /// # Panics
    ///
    /// When no system call is under way, or the thread waits or runs a kernel APC.
    pub fn return_to_user(&mut self, t: ThreadId) -> Result<(), BugCheck> {
        let thread = self.thread(t);
        assert!(
            thread.wait.is_none() && thread.frames.is_empty(),
            "a thread that waits or runs an APC does not return"
        );
        self.check_return(t, thread.baseline, PASSIVE_LEVEL)?;
        self.outside_again(t);
        Ok(())
    }

    /// The thread goes on in user mode: an ordinary user APC that is queued from now on runs after
    /// the next alertable wait.
    ///
    /// # Panics
    ///
    /// When the thread is not in user mode.
    pub fn begin_user_step(&mut self, t: ThreadId) {
        assert!(self.in_user_mode(t), "{t:?} is not in user mode");
        self.user_mut(t).pending = false;
    }

    /// The user APC that may run now: the thread is in user mode, no kernel APC runs in it or has to
    /// run first, and the APC is a special one, or an alertable wait has ended for the ordinary ones.
    ///
    /// In `Documented` also a special one inside the wait for a critical section that has been left
    /// since the wait began: whoever is woken may have to wait anew.
    pub fn user_deliverable(&self, t: ThreadId) -> Option<ApcId> {
        let user = self.thread(t).user.as_ref()?;
        let first = user.queue.first()?;
        let held = self.gets_wrong(Mutant::CsKeepsApcs) && self.owns_critical_section(t);
        if held || self.forced(t) || !(self.runs_in_user_mode(t) || first.special && self.woken(t))
        {
            return None;
        }
        (first.special || user.pending).then_some(first.apc)
    }

    /// Whether `t` may do nothing else in user mode before it has taken user APCs.
    pub fn user_forced(&self, t: ThreadId) -> bool {
        let user = self.thread(t).user.as_ref();
        let due = user.is_some_and(|user| user.queue.iter().any(|queued| queued.due));
        due && self.user_deliverable(t).is_some()
    }

    /// Runs [`Kernel::user_deliverable`]: takes it off the queue. When it returns, the ordinary ones
    /// that are in the queue by then are due as well, if they are pending.
    pub fn run_user_apc(&mut self, t: ThreadId) -> Option<ApcId> {
        let apc = self.user_deliverable(t)?;
        let user = self.user_mut(t);
        user.queue.remove(0);
        let pending = user.pending;
        for queued in &mut user.queue {
            queued.due |= pending && !queued.special;
        }
        Some(apc)
    }

    /// How many user APCs are in the queue of the thread.
    pub fn user_apcs(&self, t: ThreadId) -> usize {
        self.thread(t).user.as_ref().map_or(0, User::len)
    }

    /// [`Kernel::insert_apc`] for a user APC. In `Nt52` an alertable wait of the target ends at once.
    pub(super) fn insert_user_apc(&mut self, a: ApcId, special: bool, target: ThreadId) -> bool {
        if self.thread(target).ended {
            return false;
        }
        let special = match self.mutant {
            Some(Mutant::UserApcNotWithoutAlert) => true,
            Some(Mutant::SpecialUserApcNeedsNoAlert) => false,
            _ => special,
        };
        let lifo = self.gets_wrong(Mutant::UserApcInOrder);
        let queue = &mut self.user_mut(target).queue;
        let specials = queue.iter().filter(|queued| queued.special).count();
        let place = if special || lifo {
            specials
        } else {
            queue.len()
        };
        let due = false;
        queue.insert(
            place,
            Queued {
                apc: a,
                special,
                due,
            },
        );
        if self.profile == Profile::Nt52 {
            self.alert_if_must(target);
        }
        true
    }

    /// Whether the APC is in the queue of user APCs of the thread.
    pub(super) fn in_user_queue(&self, t: ThreadId, a: ApcId) -> bool {
        let user = self.thread(t).user.as_ref();
        user.is_some_and(|user| user.queue.iter().any(|queued| queued.apc == a))
    }

    /// Whether a user APC is queued to the thread, whatever its kind.
    pub(super) fn has_user_apc(&self, t: ThreadId) -> bool {
        self.user_apcs(t) > 0
    }

    /// The user APCs of a thread that ends are lost (page of `QueueUserAPC`).
    pub(super) fn flush_user_queue(&mut self, t: ThreadId) {
        self.user_mut(t).queue.clear();
    }

    /// Whether a special user APC is queued to the thread.
    pub(super) fn has_special_user_apc(&self, t: ThreadId) -> bool {
        let user = self.thread(t).user.as_ref();
        user.is_some_and(|user| user.queue.iter().any(|queued| queued.special))
    }

    /// An alertable wait in user mode has ended for the user APCs in the queue.
    pub(super) fn user_apcs_pend(&mut self, t: ThreadId) {
        let user = self.user_mut(t);
        user.pending |= user.queue.iter().any(|queued| !queued.special);
    }

    /// The thread is outside of every system call again.
    pub(super) fn outside_again(&mut self, t: ThreadId) {
        let special = !self.gets_wrong(Mutant::SpecialUserApcAfterCall);
        let ordinary = !self.gets_wrong(Mutant::UserApcRunsOnReturn);
        let user = self.user_mut(t);
        user.outside = true;
        let pending = user.pending;
        for queued in &mut user.queue {
            queued.due |= if queued.special {
                special
            } else {
                pending && ordinary
            };
        }
    }

    /// The thread waits inside a system call that is made for it, as for a critical section.
    pub(super) fn inside(&mut self, t: ThreadId) {
        self.user_mut(t).outside = false;
    }

    pub(super) fn user(&self, t: ThreadId) -> &User {
        let user = self.thread(t).user.as_ref();
        user.unwrap_or_else(|| panic!("{t:?} is no thread of user mode"))
    }

    pub(super) fn user_mut(&mut self, t: ThreadId) -> &mut User {
        let user = self.thread_mut(t).user.as_mut();
        user.unwrap_or_else(|| panic!("{t:?} is no thread of user mode"))
    }

    fn runs_in_user_mode(&self, t: ThreadId) -> bool {
        self.in_user_mode(t) && self.thread(t).wait.is_none()
    }

    /// Whether the thread waits for a critical section that has been left since.
    fn woken(&self, t: ThreadId) -> bool {
        let wait = self.thread(t).wait.as_ref();
        let claim = wait.and_then(Wait::claim);
        self.profile == Profile::Documented && claim.is_some_and(super::lock::Claim::woken)
    }
}

impl User {
    fn len(&self) -> usize {
        self.queue.len()
    }
}

#[cfg(test)]
mod tests;
