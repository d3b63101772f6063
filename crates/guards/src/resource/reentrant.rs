//! Resources that let their owner in again.

use core::ops::Deref;

use super::{NotExclusive, Refused};
use crate::backend::admission::Reentering;
use crate::backend::memory::{Lock, NotMade, sealed::InPlace};
use crate::backend::{EnterMode, Hold, InRegion, Mode, SharedGuard, WithRegion};
use crate::{AtMostApcLevel, NormalApcsDisabled};

#[cfg(feature = "alloc")]
use crate::Nonpaged;

/// Data under an ERESOURCE that its owner may acquire again. Every guard gives `&T`.
///
/// `T` is `Sync` also because an APC routine that interrupts the owner is the owner: what it shares with
/// the code that it interrupts has to bear that.
///
/// This breaks the rule ExclusiveResourceAccess on purpose: the rule wants no nested acquire.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
/// use apclab_guards::{HeldAs, Passive, ReentrantResource};
///
/// let hits = ReentrantResource::try_new(AtomicU32::new(0))?;
/// // SAFETY: this thread runs at PASSIVE_LEVEL, and no other token of it exists.
/// let irql = unsafe { Passive::assume() };
/// let mut outer = hits.enter_exclusive(&irql)?;
/// let (_, region) = outer.parts();
/// let inner = hits.shared(&irql, region)?;
/// inner.fetch_add(1, Relaxed);
/// assert_eq!(hits.held(), HeldAs::Exclusive(2), "shared by the owner counts as exclusive");
/// # drop(inner);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ReentrantResource<T: ?Sized> {
    pub(super) cell: Reentering<T>,
}

/// A guard of a [`ReentrantResource`].
#[derive(Debug)]
#[must_use = "the resource is released at once when the guard is unused"]
pub struct ReentrantGuard<'a, T: ?Sized, H: Hold = InRegion<'a>> {
    guard: SharedGuard<'a, T, H>,
}

impl<T: ?Sized, H: Hold> Deref for ReentrantGuard<'_, T, H> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<'a, T: ?Sized, H: Hold> ReentrantGuard<'a, T, H> {
    /// A guard of a part of the data.
    pub fn map<U: ?Sized>(self, f: impl FnOnce(&T) -> &U) -> ReentrantGuard<'a, U, H> {
        ReentrantGuard {
            guard: self.guard.map(f),
        }
    }
}

impl<'a, T: ?Sized> ReentrantGuard<'a, T, WithRegion<'a>> {
    /// The data, and the proof that normal kernel APCs are disabled.
    ///
    /// It wants `&mut self`: a guard may be shared with other threads, for which it proves nothing.
    pub fn parts(&mut self) -> (&T, &crate::CriticalRegion) {
        self.guard.parts()
    }
}

impl<T> Lock for ReentrantResource<T> {}
impl<T> InPlace for ReentrantResource<T> {
    type Data = T;

    fn blank(data: T) -> Self {
        Self {
            cell: Reentering::blank(data),
        }
    }

    fn initialise(&self) -> Result<(), NotMade> {
        self.cell.initialise()
    }
}

impl<T> ReentrantResource<T> {
    /// A resource in nonpaged memory of its own; see [`Resource::try_new`](crate::Resource::try_new).
    ///
    /// # Errors
    /// [`NotMade::OutOfMemory`], [`NotMade::Refused`].
    #[cfg(feature = "alloc")]
    pub fn try_new(data: T) -> Result<Nonpaged<Self>, NotMade> {
        Nonpaged::try_new(data)
    }
}

impl<T: ?Sized + Sync> ReentrantResource<T> {
    /// Acquires the resource exclusively, also in a thread that has it exclusively.
    ///
    /// IRQL <= APC_LEVEL, which the token shows.
    ///
    /// # Errors
    /// [`Refused::Upgrade`], [`Refused::TooOften`].
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn exclusive<'a>(
        &'a self,
        irql: &impl AtMostApcLevel,
        proof: &'a impl NormalApcsDisabled,
    ) -> Result<ReentrantGuard<'a, T>, Refused> {
        self.acquire(Mode::Exclusive, irql, proof)
    }

    /// Shares the resource, also in a thread that has it in either mode.
    ///
    /// IRQL <= APC_LEVEL, which the token shows.
    ///
    /// # Errors
    /// [`Refused::TooOften`].
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn shared<'a>(
        &'a self,
        irql: &impl AtMostApcLevel,
        proof: &'a impl NormalApcsDisabled,
    ) -> Result<ReentrantGuard<'a, T>, Refused> {
        self.acquire(Mode::Shared, irql, proof)
    }

    /// Acquires the resource in this mode if that needs no waiting.
    ///
    /// IRQL <= APC_LEVEL, which the token shows.
    ///
    /// # Errors
    /// [`Refused`], but never [`Refused::Recursive`].
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn try_acquire<'a>(
        &'a self,
        mode: Mode,
        _irql: &impl AtMostApcLevel,
        _proof: &'a impl NormalApcsDisabled,
    ) -> Result<ReentrantGuard<'a, T>, Refused> {
        self.cell.acquire(mode, false, false).map(of)
    }

    /// Acquires the resource in this mode.
    ///
    /// IRQL <= APC_LEVEL, which the token shows.
    ///
    /// # Errors
    /// [`Refused::Upgrade`], [`Refused::BehindItself`], [`Refused::TooOften`].
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn acquire<'a>(
        &'a self,
        mode: Mode,
        _irql: &impl AtMostApcLevel,
        _proof: &'a impl NormalApcsDisabled,
    ) -> Result<ReentrantGuard<'a, T>, Refused> {
        self.cell.acquire(mode, true, false).map(of)
    }

    /// As [`Self::acquire`], but waits even where the thread waits for itself: as a sharer for exclusive,
    /// or behind threads that wait for it. For code that tries what a kernel does then.
    ///
    /// IRQL <= APC_LEVEL, which the token shows. It may never return.
    ///
    /// # Errors
    /// [`Refused::TooOften`].
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn acquire_may_deadlock<'a>(
        &'a self,
        mode: Mode,
        _irql: &impl AtMostApcLevel,
        _proof: &'a impl NormalApcsDisabled,
    ) -> Result<ReentrantGuard<'a, T>, Refused> {
        self.cell.acquire(mode, true, true).map(of)
    }

    /// Enters a critical region and acquires the resource in this mode. Dropping the guard releases
    /// the resource and leaves the region then.
    ///
    /// IRQL <= APC_LEVEL, which the token shows.
    ///
    /// # Errors
    /// [`Refused::Upgrade`], [`Refused::BehindItself`], [`Refused::TooOften`].
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn enter<'a>(
        &'a self,
        mode: EnterMode,
        _irql: &impl AtMostApcLevel,
    ) -> Result<ReentrantGuard<'a, T, WithRegion<'a>>, Refused> {
        self.cell.enter(mode, false).map(of)
    }

    /// As [`Self::enter`], but waits even where the thread waits for itself.
    ///
    /// IRQL <= APC_LEVEL, which the token shows. It may never return.
    ///
    /// # Errors
    /// [`Refused::TooOften`].
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn enter_may_deadlock<'a>(
        &'a self,
        mode: EnterMode,
        _irql: &impl AtMostApcLevel,
    ) -> Result<ReentrantGuard<'a, T, WithRegion<'a>>, Refused> {
        self.cell.enter(mode, true).map(of)
    }

    /// [`Self::enter`] with [`EnterMode::Exclusive`].
    ///
    /// # Errors
    /// [`Refused::Upgrade`], [`Refused::TooOften`].
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn enter_exclusive<'a>(
        &'a self,
        irql: &impl AtMostApcLevel,
    ) -> Result<ReentrantGuard<'a, T, WithRegion<'a>>, Refused> {
        self.enter(EnterMode::Exclusive, irql)
    }

    /// [`Self::enter`] with [`EnterMode::Shared`].
    ///
    /// # Errors
    /// [`Refused::TooOften`].
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn enter_shared<'a>(
        &'a self,
        irql: &impl AtMostApcLevel,
    ) -> Result<ReentrantGuard<'a, T, WithRegion<'a>>, Refused> {
        self.enter(EnterMode::Shared, irql)
    }

    /// [`Self::enter`] with [`EnterMode::SharedWaitForExclusive`].
    ///
    /// # Errors
    /// [`Refused::BehindItself`], [`Refused::TooOften`].
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn enter_shared_wait_for_exclusive<'a>(
        &'a self,
        irql: &impl AtMostApcLevel,
    ) -> Result<ReentrantGuard<'a, T, WithRegion<'a>>, Refused> {
        self.enter(EnterMode::SharedWaitForExclusive, irql)
    }

    /// Lets other threads share what the calling thread has exclusively: its guards, however many, share
    /// the resource from now on. Sharers that wait come in. `ExConvertExclusiveToSharedLite`.
    ///
    /// It is asked of the resource and not of a guard, since all guards of the thread change together;
    /// they give `&T` before and after.
    ///
    /// IRQL <= APC_LEVEL, which the token shows.
    ///
    /// # Errors
    /// [`NotExclusive`]: nothing changed.
    pub fn convert(&self, _irql: &impl AtMostApcLevel) -> Result<(), NotExclusive> {
        self.cell.convert()
    }
}

const fn of<T: ?Sized, H: Hold>(guard: SharedGuard<'_, T, H>) -> ReentrantGuard<'_, T, H> {
    ReentrantGuard { guard }
}
