//! Locks that are no dispatcher objects: who may have one, and how a thread waits for it.
//!
//! An acquire can't be cancelled, and nobody but the owner can end another thread's wait for a
//! lock. In `Documented` a release leaves the lock free, and a waiter gets it by
//! [`Kernel::give_lock`] or [`Kernel::grant`] at any later moment, unless somebody else comes
//! first: no page promises an order. In `Nt52` the release hands it over.

use super::alert::WaitMode;
use super::push_lock::PushLockMode;
use super::resource::ResourceMode;
use super::wait::{Awaited, Wait};
use super::{
    CriticalSectionId, FastMutexId, Kernel, Mutant, Profile, PushLockId, ResourceId, ThreadId,
};

/// What came of the attempt to acquire a lock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Acquired {
    /// The thread has it.
    Now,
    /// The thread waits for it.
    Blocked,
    /// The thread does not have it and does not wait.
    Refused,
}

/// A lock and the way in which a thread wants it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Claim {
    FastMutex {
        mutex: FastMutexId,
        old_irql: u8,
    },
    Resource {
        resource: ResourceId,
        mode: ResourceMode,
        /// Whether a claim to share comes after those that wait for exclusive. That order is over
        /// once the lock has been free.
        behind: bool,
    },
    PushLock {
        lock: PushLockId,
        mode: PushLockMode,
        /// As for a resource.
        behind: bool,
    },
    CriticalSection {
        section: CriticalSectionId,
        /// It has been left since the thread waits for it.
        woken: bool,
    },
}

/// A lock that is no dispatcher object, whatever its kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LockId {
    /// A fast or guarded mutex.
    FastMutex(FastMutexId),
    /// An executive resource.
    Resource(ResourceId),
    /// A push lock.
    PushLock(PushLockId),
    /// A critical section of user mode.
    CriticalSection(CriticalSectionId),
}

impl Claim {
    pub(super) fn lock(self) -> LockId {
        match self {
            Self::FastMutex { mutex, .. } => LockId::FastMutex(mutex),
            Self::Resource { resource, .. } => LockId::Resource(resource),
            Self::PushLock { lock, .. } => LockId::PushLock(lock),
            Self::CriticalSection { section, .. } => LockId::CriticalSection(section),
        }
    }

    /// Whether nobody else can have the lock at the same time.
    pub(super) fn exclusive(self) -> bool {
        match self {
            Self::FastMutex { .. } | Self::CriticalSection { .. } => true,
            Self::Resource { mode, .. } => mode == ResourceMode::Exclusive,
            Self::PushLock { mode, .. } => mode == PushLockMode::Exclusive,
        }
    }

    /// Whether it is for a critical section that has been left since the thread waits.
    pub(super) fn woken(self) -> bool {
        matches!(self, Self::CriticalSection { woken: true, .. })
    }
}

impl Kernel {
    /// Whether `t`, which waits for a lock, could get it now; in `Documented` also while an APC
    /// routine runs inside that wait. (In `Nt52` the wait looks again when it resumes.)
    pub fn lock_available(&self, t: ThreadId) -> bool {
        self.available(t).is_some()
    }

    /// Gives `t` the lock that it waits for, which ends its wait as soon as nothing else holds
    /// the thread up ([`Kernel::grantable`]). `false` when [`Kernel::lock_available`] is.
    pub fn give_lock(&mut self, t: ThreadId) -> bool {
        let Some((place, claim)) = self.available(t) else {
            return false;
        };
        self.give(t, claim);
        let thread = self.thread_mut(t);
        let wait = match place {
            Some(frame) => thread.frames[frame].wait.as_mut(),
            None => thread.wait.as_mut(),
        };
        if let Some(wait) = wait {
            wait.satisfied = Some(0);
        }
        if place.is_none() {
            self.wait_order.retain(|&waiter| waiter != t);
        }
        true
    }

    /// A claim of the thread that may be met now, and the frame that interrupts its wait.
    fn available(&self, t: ThreadId) -> Option<(Option<usize>, Claim)> {
        let thread = self.thread(t);
        let reached = match self.profile {
            Profile::Documented => thread.frames.len(),
            Profile::Nt52 => 0,
        };
        let interrupted = thread.frames[..reached].iter().enumerate();
        let interrupted =
            interrupted.filter_map(|(at, frame)| Some((Some(at), frame.wait.as_ref()?)));
        let waits = interrupted.chain(thread.wait.as_ref().map(|wait| (None, wait)));
        let mut claims = waits.filter_map(|(place, wait)| Some((place, wait.claim()?)));
        claims.find(|&(_, claim)| self.open_to_waiter(t, claim))
    }

    /// Acquires the lock, or begins to wait for it if the thread may block.
    ///
    /// # Panics
    ///
    /// When the thread waits already or has ended.
    pub(super) fn acquire(&mut self, t: ThreadId, claim: Claim, may_block: bool) -> Acquired {
        let thread = self.thread(t);
        assert!(
            thread.wait.is_none() && !thread.ended,
            "only a running thread can acquire a lock"
        );
        if self.open_to_newcomer(t, claim) {
            self.give(t, claim);
            return Acquired::Now;
        }
        if !may_block {
            return Acquired::Refused;
        }
        self.thread_mut(t).wait = Some(Wait {
            awaited: Awaited::Lock(claim),
            satisfied: None,
            mode: WaitMode {
                user: matches!(claim, Claim::CriticalSection { .. }),
                alertable: false,
            },
            alerted: false,
        });
        self.block(t);
        Acquired::Blocked
    }

    /// Whether the claim can be met at the moment when it is made.
    fn open_to_newcomer(&self, t: ThreadId, claim: Claim) -> bool {
        match claim {
            Claim::FastMutex { mutex, .. } => {
                let again = self.gets_wrong(Mutant::FastMutexNotRecursive);
                self.fast_mutex_free(mutex) || (again && self.fast_mutex_owner(mutex) == Some(t))
            }
            Claim::Resource { resource, mode, .. } => self.resource_open(t, resource, mode),
            Claim::PushLock { lock, behind, .. } => {
                self.push_lock_open(t, lock, claim.exclusive(), behind)
            }
            Claim::CriticalSection { section, .. } => self.critical_section_open(t, section),
        }
    }

    /// Whether the claim of a thread that waits can be met.
    pub(super) fn open_to_waiter(&self, t: ThreadId, claim: Claim) -> bool {
        match claim {
            Claim::FastMutex { .. } => self.open_to_newcomer(t, claim),
            Claim::CriticalSection { .. } => {
                !self.gets_wrong(Mutant::CsReleaseWakes) && self.open_to_newcomer(t, claim)
            }
            Claim::Resource {
                resource, behind, ..
            } => self.resource_open_to_waiter(t, resource, claim.exclusive(), behind),
            Claim::PushLock { .. } if self.gets_wrong(Mutant::PushLockReleaseWakes) => false,
            Claim::PushLock { lock, behind, .. } => {
                self.push_lock_open_to_waiter(t, lock, claim.exclusive(), behind)
            }
        }
    }

    pub(super) fn give(&mut self, t: ThreadId, claim: Claim) {
        match claim {
            Claim::FastMutex { mutex, old_irql } => self.give_fast_mutex(t, mutex, old_irql),
            Claim::Resource { resource, .. } => self.give_resource(t, resource, claim.exclusive()),
            Claim::PushLock { lock, mode, .. } => self.give_push_lock(t, lock, mode),
            Claim::CriticalSection { section, .. } => self.give_critical_section(t, section),
        }
    }

    /// The lock has become free for others. In `Nt52` those get it at once that are first in the
    /// queue among the ones that `prefer` names, then those that are first in the queue.
    pub(super) fn hand_over(&mut self, lock: LockId, prefer: impl Fn(Claim) -> bool) {
        let resource = matches!(lock, LockId::Resource(_));
        let in_order = resource && self.gets_wrong(Mutant::ResourceNoOrder);
        if self.profile != Profile::Nt52 && !in_order {
            return;
        }
        for preferred in [true, false] {
            for t in self.blocked_threads() {
                let claim = self.claim_of(t);
                if claim.is_some_and(|claim| claim.lock() == lock && prefer(claim) == preferred) {
                    self.satisfy(t);
                }
            }
        }
    }

    /// The lock has been free, or exclusive no longer: who waits to share it need not let others
    /// pass any more, and who waits for a critical section has been woken.
    pub(super) fn forget_order(&mut self, lock: LockId) {
        for (_, thread) in self.threads.iter_mut() {
            let interrupted = thread
                .frames
                .iter_mut()
                .filter_map(|frame| frame.wait.as_mut());
            for wait in interrupted.chain(&mut thread.wait) {
                if let Awaited::Lock(claim) = &mut wait.awaited
                    && claim.lock() == lock
                {
                    match claim {
                        Claim::Resource { behind, .. } | Claim::PushLock { behind, .. } => {
                            *behind = false;
                        }
                        Claim::CriticalSection { woken, .. } => *woken = true,
                        Claim::FastMutex { .. } => {}
                    }
                }
            }
        }
    }

    /// What the thread waits for, if that is a lock that it has not got.
    pub(super) fn claim_of(&self, t: ThreadId) -> Option<Claim> {
        self.thread(t).wait.as_ref().and_then(Wait::claim)
    }

    /// Whether the thread is in a wait for a resource.
    pub(super) fn waits_for_resource(&self, t: ThreadId) -> bool {
        let claim = self.claim_of(t);
        matches!(claim, Some(Claim::Resource { .. }))
    }

    /// Whether the thread is in a wait for a push lock.
    pub(super) fn waits_for_push_lock(&self, t: ThreadId) -> bool {
        let claim = self.claim_of(t);
        matches!(claim, Some(Claim::PushLock { .. }))
    }

    /// How many threads wait for the lock, exclusively or not.
    pub(super) fn count_claims(&self, lock: LockId, exclusive: bool) -> u32 {
        let counts = |claim: Claim| claim.lock() == lock && claim.exclusive() == exclusive;
        let count = self.claims().filter(|&claim| counts(claim)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Whether a thread waits for the lock, also while an APC routine interrupts that wait.
    pub(super) fn awaited(&self, lock: LockId) -> bool {
        self.claims().any(|claim| claim.lock() == lock)
    }

    /// All claims that have not been met.
    fn claims(&self) -> impl Iterator<Item = Claim> {
        let threads = self.threads.iter();
        threads.flat_map(|(_, thread)| thread.waits().filter_map(Wait::claim))
    }
}
