//! Push locks: shared and exclusive, not recursive, without owner as far as drivers can see.
//!
//! A thread that holds a push lock and acquires it again waits for itself. Documentation forbids it;
//! where the thread shares the lock twice, that may also go well (nobody notes who shares it), but
//! not in `Nt52`, which shows the mistake.

use super::bugcheck::KERNEL_AUTO_BOOST_INVALID_LOCK_RELEASE;
use super::lock::{Acquired, Claim, LockId};
use super::resource::IRQL_EX_APC_LTE3;
use super::{APC_LEVEL, Answer, BugCheck, Kernel, Mutant, Profile, PushLockId, ThreadId};

/// How a push lock is held.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PushLockMode {
    /// By one thread alone.
    Exclusive,
    /// By any number of threads.
    Shared,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct PushLock {
    exclusive: Option<ThreadId>,
    /// Sorted, so that equal machines compare equal.
    shared: Vec<ThreadId>,
}

impl PushLock {
    fn free(&self) -> bool {
        self.exclusive.is_none() && self.shared.is_empty()
    }

    pub(super) fn held_by(&self, t: ThreadId) -> bool {
        self.exclusive == Some(t) || self.shared.contains(&t)
    }

    pub(super) fn permute(&mut self, of: impl Fn(ThreadId) -> ThreadId) {
        self.exclusive = self.exclusive.map(&of);
        self.shared.iter_mut().for_each(|t| *t = of(*t));
        self.shared.sort_unstable();
    }
}

impl Kernel {
    /// `ExInitializePushLock`.
    pub fn create_push_lock(&mut self) -> PushLockId {
        PushLockId(self.push_locks.insert(PushLock::default()))
    }

    /// Frees the push lock.
    ///
    /// # Errors
    ///
    /// 0x139 with parameter 1 = 3 while it is held or waited for. No page names a bug check for
    /// this.
    pub fn remove_push_lock(&mut self, l: PushLockId) -> Result<(), BugCheck> {
        let reason = if !self.push_locks.get(l.0).free() {
            "A push lock was freed while a thread held it."
        } else if self.awaited(LockId::PushLock(l)) {
            "A push lock was freed while a thread waited for it."
        } else {
            self.push_locks.remove(l.0);
            return Ok(());
        };
        Err(BugCheck::freed_in_use(reason))
    }

    /// `ExAcquirePushLockExclusive`, `ExAcquirePushLockShared`. Where
    /// [`Kernel::push_lock_sharer_queues`] may be either, the thread does not queue.
    ///
    /// # Errors
    ///
    /// 0xC4/0x20007 above APC_LEVEL (the nearest rule); 0xC4/0xEA when normal kernel APCs are
    /// enabled in the thread (docs/semantics.md, section 4).
    ///
    /// # Panics
    ///
    /// When the thread waits already or has ended.
    pub fn acquire_push_lock(
        &mut self,
        t: ThreadId,
        l: PushLockId,
        mode: PushLockMode,
    ) -> Result<Acquired, BugCheck> {
        let queues = self.push_lock_sharer_queues(t, l) == Answer::Is(true);
        self.acquire_push_lock_choosing(t, l, mode, queues)
    }

    /// As [`Kernel::acquire_push_lock`]; `queues` is one of the answers of
    /// [`Kernel::push_lock_sharer_queues`], and says nothing for an exclusive acquire.
    ///
    /// # Errors
    ///
    /// As [`Kernel::acquire_push_lock`].
    ///
    /// # Panics
    ///
    /// As [`Kernel::acquire_push_lock`].
    pub fn acquire_push_lock_choosing(
        &mut self,
        t: ThreadId,
        l: PushLockId,
        mode: PushLockMode,
        queues: bool,
    ) -> Result<Acquired, BugCheck> {
        self.push_lock_rules(t, 0xEA, "acquired")?;
        let claim = Claim::PushLock {
            lock: l,
            mode,
            behind: queues,
        };
        Ok(self.acquire(t, claim, true))
    }

    /// Whether the thread, if it wants to share the lock now, has to wait as long as others share it,
    /// because somebody waits for exclusive; or for ever, because it shares the lock itself. No page
    /// says so, and none rules it out; in `Nt52` it has to.
    pub fn push_lock_sharer_queues(&self, t: ThreadId, l: PushLockId) -> Answer {
        let shared = &self.push_locks.get(l.0).shared;
        let behind = !shared.is_empty() && self.count_claims(LockId::PushLock(l), true) > 0;
        match self.profile {
            Profile::Nt52 => Answer::Is(true),
            Profile::Documented if behind || shared.contains(&t) => Answer::Either,
            Profile::Documented => Answer::Is(false),
        }
    }

    /// `ExReleasePushLockExclusive`, `ExReleasePushLockShared`.
    ///
    /// # Errors
    ///
    /// 0xC4/0x20007 above APC_LEVEL; 0xC4/0xEB when normal kernel APCs are enabled in the thread;
    /// 0x162 when the thread does not hold the lock in this mode (the page speaks of locks that
    /// AutoBoost tracks).
    pub fn release_push_lock(
        &mut self,
        t: ThreadId,
        l: PushLockId,
        mode: PushLockMode,
    ) -> Result<(), BugCheck> {
        self.push_lock_rules(t, 0xEB, "released")?;
        let lock = self.push_locks.get_mut(l.0);
        let released = match mode {
            PushLockMode::Exclusive => lock.exclusive.take_if(|owner| *owner == t).is_some(),
            PushLockMode::Shared => {
                let at = lock.shared.iter().position(|&holder| holder == t);
                at.map(|at| lock.shared.remove(at)).is_some()
            }
        };
        if !released {
            let reason = "A push lock was released that the thread does not hold in that mode.";
            return Err(BugCheck::new(
                KERNEL_AUTO_BOOST_INVALID_LOCK_RELEASE,
                [0; 4],
                reason,
            ));
        }
        if lock.free() {
            let lock = LockId::PushLock(l);
            self.forget_order(lock);
            let first = self.blocked_threads().into_iter().find_map(|t| {
                let claim = self.claim_of(t)?;
                (claim.lock() == lock).then_some(claim.exclusive())
            });
            self.hand_over(lock, |claim| Some(claim.exclusive()) == first);
        }
        if self.gets_wrong(Mutant::PushLockKeepsRegions) {
            self.force_everything(t);
        }
        Ok(())
    }

    /// The thread that holds the push lock exclusively, and those that share it.
    pub(super) fn push_lock_holders(&self, l: PushLockId) -> (Option<ThreadId>, &[ThreadId]) {
        let lock = self.push_locks.get(l.0);
        (lock.exclusive, &lock.shared)
    }

    /// How the thread holds the push lock.
    pub fn push_lock_held(&self, t: ThreadId, l: PushLockId) -> Option<PushLockMode> {
        let lock = self.push_locks.get(l.0);
        if lock.exclusive == Some(t) {
            Some(PushLockMode::Exclusive)
        } else {
            lock.shared.contains(&t).then_some(PushLockMode::Shared)
        }
    }

    /// Whether a thread that has not waited gets the lock at once: not past one that waits.
    pub(super) fn push_lock_open(
        &self,
        t: ThreadId,
        l: PushLockId,
        exclusive: bool,
        behind: bool,
    ) -> bool {
        self.push_lock_open_to_waiter(t, l, exclusive, behind) && !self.awaited(LockId::PushLock(l))
    }

    pub(super) fn push_lock_open_to_waiter(
        &self,
        t: ThreadId,
        l: PushLockId,
        exclusive: bool,
        behind: bool,
    ) -> bool {
        let lock = self.push_locks.get(l.0);
        if let Some(mutant) = self.mutant
            && let Some(open) = push_lock_open_in_mutant(lock, t, exclusive, mutant)
        {
            return open;
        }
        let queue = || {
            let itself = lock.shared.contains(&t);
            behind && (itself || self.count_claims(LockId::PushLock(l), true) > 0)
        };
        lock.free() || (!exclusive && lock.exclusive.is_none() && !queue())
    }

    pub(super) fn give_push_lock(&mut self, t: ThreadId, l: PushLockId, mode: PushLockMode) {
        let lock = self.push_locks.get_mut(l.0);
        match mode {
            PushLockMode::Exclusive => lock.exclusive = Some(t),
            PushLockMode::Shared => {
                let at = lock.shared.partition_point(|&holder| holder < t);
                lock.shared.insert(at, t);
            }
        }
    }

    /// Whether the thread holds a push lock.
    pub(super) fn holds_push_lock(&self, t: ThreadId) -> bool {
        self.push_locks.iter().any(|(_, lock)| lock.held_by(t))
    }

    fn push_lock_rules(&self, t: ThreadId, kind: u64, what: &str) -> Result<(), BugCheck> {
        let irql = self.thread(t).irql;
        if irql > APC_LEVEL {
            let reason = format!("A push lock was {what} at IRQL {irql}, above APC_LEVEL.");
            return Err(BugCheck::verifier(IRQL_EX_APC_LTE3, [0; 3], reason));
        }
        self.normal_apcs_disabled(t, kind, &format!("A push lock was {what}"))
    }
}

/// Where one of the rules is wrong, what it says instead.
fn push_lock_open_in_mutant(
    lock: &PushLock,
    t: ThreadId,
    exclusive: bool,
    mutant: Mutant,
) -> Option<bool> {
    match mutant {
        Mutant::PushLockExcludes if lock.exclusive.is_some() => Some(true),
        Mutant::PushLockShares if !lock.shared.is_empty() => Some(false),
        Mutant::PushLockSharersExclude if exclusive && !lock.shared.is_empty() => Some(true),
        Mutant::PushLockNotRecursive if lock.held_by(t) => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
