//! The locks of a run, each in nonpaged memory of its own. What they protect is order alone.

use alloc::vec::Vec;

use apclab_guards::{FastMutex, GuardedMutex, Nonpaged, ReentrantKMutex};
use apclab_protocol::program::LockKind;
use apclab_protocol::status::{INSUFFICIENT_RESOURCES, NtStatus};

enum Lock {
    Fast(Nonpaged<FastMutex<()>>),
    Guarded(Nonpaged<GuardedMutex<()>>),
    Mutex(Nonpaged<ReentrantKMutex<()>>),
}

/// All locks of a run.
pub(crate) struct Locks {
    locks: Vec<Lock>,
}

impl Locks {
    /// Makes the locks that a program declares.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub(crate) fn try_new(kinds: &[LockKind]) -> Result<Self, NtStatus> {
        let mut locks = Vec::new();
        locks
            .try_reserve_exact(kinds.len())
            .map_err(|_| INSUFFICIENT_RESOURCES)?;
        for kind in kinds {
            let lock = match kind {
                LockKind::FastMutex => FastMutex::try_new(()).map(Lock::Fast),
                LockKind::GuardedMutex => GuardedMutex::try_new(()).map(Lock::Guarded),
                LockKind::Mutex => ReentrantKMutex::try_new(()).map(Lock::Mutex),
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
}
