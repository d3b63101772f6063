//! Waits: when they block, what satisfies them, and how kernel APCs run inside them.
//!
//! Kernel APCs never end a wait (docs/semantics.md, section 2). What user APCs do is in `alert.rs`.

mod check;

use super::alert::{Alert, Begun, WaitMode};
use super::lock::Claim;
use super::thread::Thread;
use super::{BugCheck, Kernel, Mutant, ObjectId, Profile, ThreadId};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Wait {
    pub(super) awaited: Awaited,
    /// The index that ended the wait; the thread goes on once the wait is granted.
    pub(super) satisfied: Option<usize>,
    pub(super) mode: WaitMode,
    /// A user APC has ended it; the thread goes on by [`Kernel::end_by_alert`].
    pub(super) alerted: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Awaited {
    Objects {
        objects: Vec<ObjectId>,
        all: bool,
    },
    /// Satisfied with index 0.
    Lock(Claim),
}

impl Wait {
    /// Whether nothing has ended it yet.
    pub(super) fn unmet(&self) -> bool {
        self.satisfied.is_none() && !self.alerted
    }

    /// For a mutant: the wait for objects ends as if the first one were signaled.
    pub(super) fn end_early(&mut self) {
        if let Awaited::Objects { objects, .. } = &self.awaited
            && !objects.is_empty()
        {
            self.satisfied.get_or_insert(0);
        }
    }

    /// The claim to a lock that has not been met.
    pub(super) fn claim(&self) -> Option<Claim> {
        match self.awaited {
            Awaited::Lock(claim) if self.satisfied.is_none() => Some(claim),
            _ => None,
        }
    }
}

impl Thread {
    /// Whether a wait of the thread, interrupted or not, is still linked to the object.
    pub(super) fn waits_on(&self, o: ObjectId) -> bool {
        let waits_on = |wait: &Wait| match &wait.awaited {
            Awaited::Objects { objects, .. } => wait.unmet() && objects.contains(&o),
            Awaited::Lock(_) => false,
        };
        self.waits().any(waits_on)
    }

    /// The waits of the thread, the interrupted ones too.
    pub(super) fn waits(&self) -> impl Iterator<Item = &Wait> {
        let interrupted = self.frames.iter().filter_map(|frame| frame.wait.as_ref());
        interrupted.chain(&self.wait)
    }
}

impl Kernel {
    /// `KeWaitForSingleObject` and `KeWaitForMultipleObjects` (`all`: WaitAll).
    ///
    /// Gives the index of the object that satisfied the wait at once (0 with `all`), or `None`:
    /// then the thread is blocked, or, without `may_block` (a time-out of zero), the wait has
    /// timed out. Before it blocks, the thread must take every APC that is allowed
    /// (docs/model.md, decision 4).
    ///
    /// # Errors
    ///
    /// 0xC4/0x120 above DISPATCH_LEVEL, 0xC4/0x122 at DISPATCH_LEVEL with `may_block`, whether or
    /// not an object is signaled (page of bug check 0xC4). 0xC for more than 64 objects
    /// (page of `KeWaitForMultipleObjects`) and for none, which no page describes. 0x1E with
    /// parameter 1 = 0xC0000191 STATUS_MUTANT_LIMIT_EXCEEDED for a mutex that the thread has
    /// acquired 2^31 times.
    ///
    /// # Panics
    ///
    /// When the thread waits already or has ended.
    pub fn wait(
        &mut self,
        t: ThreadId,
        objects: &[ObjectId],
        all: bool,
        may_block: bool,
    ) -> Result<Option<usize>, BugCheck> {
        self.check_wait(t, objects, may_block)?;
        match self.begin_wait(t, objects, all, WaitMode::KERNEL, may_block, 0) {
            Begun::Satisfied(index) => Ok(Some(index)),
            Begun::Alerted | Begun::TimedOut | Begun::Blocked => Ok(None),
        }
    }

    /// The index with which the wait of `t` has been satisfied, if it has, or 0 when it is for a
    /// lock that the thread could get now: the thread may go on.
    /// Not while an APC routine runs inside the wait, and not before the thread has taken the
    /// APCs that are forced.
    pub fn grantable(&self, t: ThreadId) -> Option<usize> {
        let wait = self.thread(t).wait.as_ref()?;
        let open = |claim| self.open_to_waiter(t, claim).then_some(0);
        let satisfied = wait.satisfied.or_else(|| wait.claim().and_then(open));
        satisfied.filter(|_| !self.forced(t))
    }

    /// Ends a satisfied wait: the thread runs again, with the lock if it waited for one. `None`
    /// when [`Kernel::grantable`] is.
    pub fn grant(&mut self, t: ThreadId) -> Option<usize> {
        let index = self.grantable(t)?;
        if self.blocked(t) {
            self.satisfy(t);
        }
        let wait = self.thread_mut(t).wait.take();
        if wait.is_some_and(|wait| {
            matches!(wait.awaited, Awaited::Lock(Claim::CriticalSection { .. }))
        }) {
            self.outside_again(t);
        }
        Some(index)
    }

    /// Ends the wait of `t` without an object: a time-out, or an abandoned test.
    ///
    /// `false` when there is nothing to end: the wait is satisfied already (grant it), an APC
    /// routine runs inside it, it is for a lock, which can't be given up, or the thread does not
    /// wait.
    pub fn expire(&mut self, t: ThreadId) -> bool {
        let wait = self.thread(t).wait.as_ref();
        let ends = |wait: &&Wait| wait.unmet() && wait.claim().is_none();
        let Some(mode) = wait.filter(ends).map(|wait| wait.mode) else {
            return false;
        };
        self.interrupt_wait(t);
        self.timed_out(t, mode);
        true
    }

    /// Whether [`Kernel::expire`] would end the wait of `t` now: it is not for a lock, and the
    /// thread has no APC to take first.
    pub fn expirable(&self, t: ThreadId) -> bool {
        let never = match self.mutant {
            Some(Mutant::MutexTimeOut) => self.waits_for_mutex(t),
            Some(Mutant::TimeOutEndsWait) => !self.waits_for_mutex(t),
            _ => false,
        };
        let ends = self.blocked(t) && self.claim_of(t).is_none() && !self.forced(t);
        ends && self.alert(t) != Alert::Must && !never
    }

    /// Whether the thread is in a wait for a KMUTEX.
    pub(super) fn waits_for_mutex(&self, t: ThreadId) -> bool {
        match self.thread(t).wait.as_ref().map(|wait| &wait.awaited) {
            Some(Awaited::Objects { objects, .. }) => objects.iter().any(|&o| self.is_mutex(o)),
            _ => false,
        }
    }

    /// Whether the innermost APC that runs in the thread interrupts a wait of it.
    pub fn interrupts_wait(&self, t: ThreadId) -> bool {
        let innermost = self.thread(t).frames.last();
        innermost.is_some_and(|frame| frame.wait.is_some())
    }

    /// Whether the wait of the thread has been satisfied, so that only what is forced holds it
    /// up. Not for a lock that the thread could get and has not got.
    pub fn satisfied(&self, t: ThreadId) -> bool {
        let wait = self.thread(t).wait.as_ref();
        wait.is_some_and(|wait| wait.satisfied.is_some())
    }

    /// Whether the thread is in a wait: not when an APC routine runs inside it.
    pub fn waiting(&self, t: ThreadId) -> bool {
        self.thread(t).wait.is_some()
    }

    /// Whether the thread is in a wait, also when an APC routine interrupts it.
    pub(crate) fn in_wait(&self, t: ThreadId) -> bool {
        self.thread(t).waits().next().is_some()
    }

    /// Whether the thread is in a wait that nothing has satisfied yet.
    pub(super) fn blocked(&self, t: ThreadId) -> bool {
        self.thread(t).wait.as_ref().is_some_and(Wait::unmet)
    }

    pub(super) fn block(&mut self, t: ThreadId) {
        self.force_allowed(t);
        if self.profile == Profile::Nt52 {
            self.wait_order.push(t);
        }
    }

    /// An APC routine interrupts the wait, if there is one. A blocked thread leaves its place.
    pub(super) fn interrupt_wait(&mut self, t: ThreadId) -> Option<Wait> {
        self.wait_order.retain(|&waiter| waiter != t);
        self.thread_mut(t).wait.take()
    }

    /// The routine that interrupted the wait has returned: the wait resumes by itself, looks at
    /// its objects again and, in `Nt52`, queues behind the others (docs/semantics.md, section 2). It
    /// does not look before the thread has taken what is forced.
    pub(super) fn resume_wait(&mut self, t: ThreadId, mut wait: Wait) {
        if self.gets_wrong(Mutant::ApcEndsNoWait) {
            wait.end_early();
        }
        self.thread_mut(t).wait = Some(wait);
        // In `Documented` somebody else may have a lock first: it is granted as an event of its own.
        let looks = self.profile == Profile::Nt52 || self.claim_of(t).is_none();
        if self.blocked(t) && !self.forced(t) && !(looks && self.satisfy(t)) {
            if self.profile == Profile::Nt52 && self.alert_if_must(t) {
                return;
            }
            self.block(t);
        }
    }

    /// The threads that are linked to the objects that they wait on, in the order in which a
    /// wake-up looks at them. One that must first run an APC has not blocked yet.
    pub(super) fn blocked_threads(&self) -> Vec<ThreadId> {
        let eligible = |t: &ThreadId| self.blocked(*t) && !self.forced(*t);
        match self.profile {
            Profile::Nt52 => self.wait_order.iter().copied().filter(eligible).collect(),
            Profile::Documented => {
                let ids = self.threads.iter().map(|(id, _)| ThreadId(id));
                ids.filter(eligible).collect()
            }
        }
    }

    /// Satisfies every wait that the object, signaled now, completes.
    pub(super) fn wake_all(&mut self, o: ObjectId) {
        for t in self.blocked_threads() {
            if self.thread(t).waits_on(o) {
                self.satisfy(t);
            }
        }
    }

    /// Whether the wait of the blocked thread would be satisfied if `o` were signaled.
    pub(super) fn would_be_satisfied(&self, t: ThreadId, o: ObjectId) -> bool {
        let Some(wait) = &self.thread(t).wait else {
            return false;
        };
        let Awaited::Objects { objects, all } = &wait.awaited else {
            return false;
        };
        let signaled = |&x: &ObjectId| x == o || self.signaled(t, x);
        objects.contains(&o) && (!all || objects.iter().all(signaled))
    }

    /// Satisfies the wait of the thread if its objects or its lock allow it, and takes them.
    pub(super) fn satisfy(&mut self, t: ThreadId) -> bool {
        let Some(wait) = self.thread(t).wait.clone() else {
            return false;
        };
        let index = match &wait.awaited {
            Awaited::Objects { objects, all } => self.take_objects(t, objects, *all),
            Awaited::Lock(claim) => self.take_lock(t, *claim),
        };
        if index.is_none() {
            return false;
        }
        self.wait_order.retain(|&waiter| waiter != t);
        self.thread_mut(t).wait = Some(Wait {
            satisfied: index,
            ..wait
        });
        true
    }

    fn take_lock(&mut self, t: ThreadId, claim: Claim) -> Option<usize> {
        let open = self.open_to_waiter(t, claim);
        open.then(|| {
            self.give(t, claim);
            0
        })
    }

    fn take_objects(&mut self, t: ThreadId, objects: &[ObjectId], all: bool) -> Option<usize> {
        let index = if all {
            objects.iter().all(|&o| self.signaled(t, o)).then_some(0)?
        } else {
            objects.iter().position(|&o| self.signaled(t, o))?
        };
        let consumed = if all {
            objects
        } else {
            &objects[index..=index]
        };
        for &o in consumed {
            self.consume(t, o);
        }
        Some(index)
    }
}

#[cfg(test)]
mod tests;
