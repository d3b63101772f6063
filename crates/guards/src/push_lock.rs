//! Push locks: EX_PUSH_LOCK.
#![allow(
    unsafe_code,
    reason = "the form that no scope ends is the caller's to balance"
)]

use core::fmt;

use crate::backend::memory::{Lock, NotMade, sealed::InPlace};
use crate::backend::sharing::Sharing;
use crate::backend::{self, ExclusiveGuard, PushExclusive, PushShared, SharedGuard};
use crate::debug::{self, LockKind, Origin};
use crate::{AtMostApcLevel, CriticalRegion, NormalApcsDisabled};

#[cfg(feature = "alloc")]
use crate::Nonpaged;

/// Data that one thread writes or several read, under a push lock.
///
/// It is the size of a pointer and keeps no owner. So there is nothing to ask: a thread that acquires a
/// push lock which it holds waits for itself, for ever, in every mode. The kernel documents no try.
/// Windows 10 version 1809 and later.
///
/// ```
/// use apclab_guards::{Passive, PushLock};
///
/// let total = PushLock::try_new(40)?;
/// // SAFETY: this thread runs at PASSIVE_LEVEL, and no other token of it exists.
/// let mut irql = unsafe { Passive::assume() };
/// total.with_exclusive(&mut irql, |total, _, _| *total += 2);
/// assert_eq!(total.with_shared(&mut irql, |total, _, _| *total), 42);
/// # Ok::<(), apclab_guards::NotMade>(())
/// ```
pub struct PushLock<T: ?Sized> {
    cell: Sharing<backend::PushLock, T>,
}

/// A guard of a [`PushLock`] that gives `&mut T`.
pub type PushLockExclusive<'a, T> = ExclusiveGuard<'a, T, PushExclusive<'a>>;
/// A guard of a [`PushLock`] that gives `&T`.
pub type PushLockShared<'a, T> = SharedGuard<'a, T, PushShared<'a>>;

/// How a push lock is acquired and released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushLockMode {
    /// `ExAcquirePushLockExclusive`, `ExReleasePushLockExclusive`.
    Exclusive,
    /// `ExAcquirePushLockShared`, `ExReleasePushLockShared`.
    Shared,
}

impl<T> Lock for PushLock<T> {}
impl<T> InPlace for PushLock<T> {
    type Data = T;

    fn blank(data: T) -> Self {
        Self {
            cell: Sharing::<backend::PushLock, T>::blank(data),
        }
    }

    fn initialise(&self) -> Result<(), NotMade> {
        self.cell.initialise()
    }
}

impl<T> PushLock<T> {
    /// A push lock in nonpaged memory of its own. IRQL <= DISPATCH_LEVEL.
    ///
    /// # Errors
    /// [`NotMade::OutOfMemory`].
    #[cfg(feature = "alloc")]
    pub fn try_new(data: T) -> Result<Nonpaged<Self>, NotMade> {
        Nonpaged::try_new(data)
    }
}

impl<T: ?Sized> PushLock<T> {
    /// Acquires the push lock exclusively: `ExAcquirePushLockExclusive`.
    ///
    /// IRQL <= APC_LEVEL, which the token shows. A thread that holds the lock deadlocks.
    #[inline]
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn exclusive<'a>(
        &'a self,
        _irql: &impl AtMostApcLevel,
        _proof: &'a impl NormalApcsDisabled,
    ) -> PushLockExclusive<'a, T> {
        self.cell.exclusive()
    }

    /// Shares the push lock: `ExAcquirePushLockShared`.
    ///
    /// IRQL <= APC_LEVEL, which the token shows. A thread that holds the lock may deadlock.
    #[inline]
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn shared<'a>(
        &'a self,
        _irql: &impl AtMostApcLevel,
        _proof: &'a impl NormalApcsDisabled,
    ) -> PushLockShared<'a, T> {
        self.cell.share()
    }

    /// Calls `f` with the data for this thread alone, inside a critical region. Lock and region are
    /// given back however `f` ends, the lock first.
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn with_exclusive<L: AtMostApcLevel, R>(
        &self,
        irql: &mut L,
        f: impl FnOnce(&mut T, &mut L, &CriticalRegion) -> R,
    ) -> R {
        let region = CriticalRegion::enter(irql);
        let mut guard = self.exclusive(irql, &region);
        f(&mut guard, irql, &region)
    }

    /// Calls `f` with the data, which other threads may read too, inside a critical region. As
    /// [`Self::with_exclusive`] otherwise.
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn with_shared<L: AtMostApcLevel, R>(
        &self,
        irql: &mut L,
        f: impl FnOnce(&T, &mut L, &CriticalRegion) -> R,
    ) -> R {
        let region = CriticalRegion::enter(irql);
        let guard = self.shared(irql, &region);
        f(&guard, irql, &region)
    }
}

impl<T: ?Sized> PushLock<T> {
    /// Acquires the push lock in this mode, for code that cannot release it at the end of a scope. A
    /// thread that holds it waits for itself, for ever.
    ///
    /// # Safety
    /// Normal kernel APCs are disabled in the calling thread, and stay disabled until the same thread
    /// has released the lock in the same mode with [`Self::release_unscoped`], which it does before it
    /// ends and before the lock is dropped.
    #[cfg_attr(feature = "debug", track_caller)]
    pub unsafe fn acquire_unscoped(&self, mode: PushLockMode, _irql: &impl AtMostApcLevel) {
        let lock = self.cell.object();
        debug::acquires(LockKind::PushLock, lock, true);
        match mode {
            PushLockMode::Exclusive => lock.acquire_exclusive(),
            PushLockMode::Shared => lock.acquire_shared(),
        }
        debug::acquired(LockKind::PushLock, lock);
    }

    /// Releases what [`Self::acquire_unscoped`] acquired in this mode.
    ///
    /// # Safety
    /// The calling thread has acquired it in this mode with `acquire_unscoped` and not released it since.
    pub unsafe fn release_unscoped(&self, mode: PushLockMode, _irql: &impl AtMostApcLevel) {
        let lock = self.cell.object();
        debug::releases(LockKind::PushLock, lock, Origin::UNKNOWN);
        match mode {
            // SAFETY: the caller's guarantee.
            PushLockMode::Exclusive => unsafe { lock.release_exclusive() },
            // SAFETY: as above.
            PushLockMode::Shared => unsafe { lock.release_shared() },
        }
    }
}

impl<T: ?Sized> fmt::Debug for PushLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushLock").finish_non_exhaustive()
    }
}
