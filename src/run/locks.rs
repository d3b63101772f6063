//! The locks of a run, each in nonpaged memory of its own. What they protect is order alone.

use alloc::vec::Vec;

use apclab_guards::{
    CriticalRegion, FastMutex, GuardedMutex, Nonpaged, Passive, PushLock, ReentrantKMutex,
    ReentrantResource,
};
use apclab_protocol::program::LockKind;
use apclab_protocol::status::{INSUFFICIENT_RESOURCES, NtStatus};

use super::handed_over::HandedOver;

enum Lock {
    Fast(Nonpaged<FastMutex<()>>),
    Guarded(Nonpaged<GuardedMutex<()>>),
    Mutex(Nonpaged<ReentrantKMutex<()>>),
    Resource(Nonpaged<ReentrantResource<()>>, HandedOver),
    Push(Nonpaged<PushLock<()>>),
    /// One that user mode has.
    User,
}

/// All locks of a run.
pub(crate) struct Locks {
    locks: Vec<Lock>,
}

impl Locks {
    /// Makes the locks that a program of so many lanes declares.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub(crate) fn try_new(kinds: &[LockKind], lanes: usize) -> Result<Self, NtStatus> {
        let mut locks = Vec::new();
        locks
            .try_reserve_exact(kinds.len())
            .map_err(|_| INSUFFICIENT_RESOURCES)?;
        for kind in kinds {
            let lock = match kind {
                LockKind::FastMutex => FastMutex::try_new(()).map(Lock::Fast),
                LockKind::GuardedMutex => GuardedMutex::try_new(()).map(Lock::Guarded),
                LockKind::Mutex => ReentrantKMutex::try_new(()).map(Lock::Mutex),
                LockKind::PushLock => PushLock::try_new(()).map(Lock::Push),
                LockKind::CriticalSection => Ok(Lock::User),
                LockKind::Resource => {
                    let handed_over = HandedOver::try_new(lanes)?;
                    ReentrantResource::try_new(())
                        .map(|resource| Lock::Resource(resource, handed_over))
                }
            };
            locks.push(lock.map_err(|_| INSUFFICIENT_RESOURCES)?);
        }
        Ok(Self { locks })
    }

    fn get(&self, lock: u8) -> Option<&Lock> {
        self.locks.get(usize::from(lock))
    }

    /// A lock that is a fast mutex.
    pub(crate) fn fast(&self, lock: u8) -> Option<&FastMutex<()>> {
        if let Lock::Fast(mutex) = self.get(lock)? {
            Some(mutex)
        } else {
            None
        }
    }

    /// A lock that is a guarded mutex.
    pub(crate) fn guarded(&self, lock: u8) -> Option<&GuardedMutex<()>> {
        if let Lock::Guarded(mutex) = self.get(lock)? {
            Some(mutex)
        } else {
            None
        }
    }

    /// A lock that is a mutex.
    pub(crate) fn mutex(&self, lock: u8) -> Option<&ReentrantKMutex<()>> {
        if let Lock::Mutex(mutex) = self.get(lock)? {
            Some(mutex)
        } else {
            None
        }
    }

    /// A lock that is a resource.
    pub(crate) fn resource(&self, lock: u8) -> Option<&ReentrantResource<()>> {
        self.shared(lock).map(|(resource, _)| resource)
    }

    /// A lock that is a resource, with what lanes have handed over of it.
    pub(crate) fn shared(&self, lock: u8) -> Option<(&ReentrantResource<()>, &HandedOver)> {
        if let Lock::Resource(resource, handed_over) = self.get(lock)? {
            Some((resource, handed_over))
        } else {
            None
        }
    }

    /// A lock that is a push lock.
    pub(crate) fn push_lock(&self, lock: u8) -> Option<&PushLock<()>> {
        if let Lock::Push(lock) = self.get(lock)? {
            Some(lock)
        } else {
            None
        }
    }

    /// Releases what lanes have handed over and nobody has released. At the end of an iteration, by the
    /// lane that is alone.
    pub(crate) fn release_handed_over(&self, irql: &Passive) {
        for lock in &self.locks {
            if let Lock::Resource(resource, handed_over) = lock {
                let region = CriticalRegion::enter(irql);
                handed_over.release_all(resource, irql, &region);
            }
        }
    }
}
