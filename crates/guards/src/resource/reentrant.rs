//! Resources that let their owner in again.

use core::fmt;
use core::ops::Deref;

use super::{HeldAs, MOST, Refused, held};
use crate::backend::memory::{Lock, NotMade, sealed::InPlace};
use crate::backend::sharing::Sharing;
use crate::backend::{self, EnterMode, Hold, InRegion, Mode, SharedGuard, WithRegion};
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
    pub(super) cell: Sharing<backend::Resource, T>,
}

/// The calling thread does not have the resource exclusively.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotExclusive;

impl fmt::Display for NotExclusive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the calling thread does not have the resource exclusively")
    }
}

impl core::error::Error for NotExclusive {}

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
            cell: Sharing::<backend::Resource, T>::blank(data),
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
    pub fn try_acquire<'a>(
        &'a self,
        mode: Mode,
        _irql: &impl AtMostApcLevel,
        _proof: &'a impl NormalApcsDisabled,
    ) -> Result<ReentrantGuard<'a, T>, Refused> {
        self.check(mode, false)?;
        let hold = InRegion::try_acquire(self.cell.object(), mode).ok_or(Refused::Busy)?;
        Ok(self.guard(hold))
    }

    /// Acquires the resource in this mode.
    ///
    /// IRQL <= APC_LEVEL, which the token shows.
    ///
    /// # Errors
    /// [`Refused::Upgrade`], [`Refused::BehindItself`], [`Refused::TooOften`].
    pub fn acquire<'a>(
        &'a self,
        mode: Mode,
        _irql: &impl AtMostApcLevel,
        _proof: &'a impl NormalApcsDisabled,
    ) -> Result<ReentrantGuard<'a, T>, Refused> {
        self.check(mode, true)?;
        Ok(self.guard(InRegion::acquire(self.cell.object(), mode)))
    }

    /// As [`Self::acquire`], but waits even where the thread waits for itself: as a sharer for exclusive,
    /// or behind threads that wait for it. For code that tries what a kernel does then.
    ///
    /// IRQL <= APC_LEVEL, which the token shows. It may never return.
    ///
    /// # Errors
    /// [`Refused::TooOften`].
    pub fn acquire_may_deadlock<'a>(
        &'a self,
        mode: Mode,
        _irql: &impl AtMostApcLevel,
        _proof: &'a impl NormalApcsDisabled,
    ) -> Result<ReentrantGuard<'a, T>, Refused> {
        self.countable()?;
        Ok(self.guard(InRegion::acquire(self.cell.object(), mode)))
    }

    /// Enters a critical region and acquires the resource in this mode. Dropping the guard releases
    /// the resource and leaves the region then.
    ///
    /// IRQL <= APC_LEVEL, which the token shows.
    ///
    /// # Errors
    /// [`Refused::Upgrade`], [`Refused::BehindItself`], [`Refused::TooOften`].
    pub fn enter<'a>(
        &'a self,
        mode: EnterMode,
        _irql: &impl AtMostApcLevel,
    ) -> Result<ReentrantGuard<'a, T, WithRegion<'a>>, Refused> {
        self.check(mode.into(), true)?;
        Ok(self.guard(WithRegion::acquire(self.cell.object(), mode)))
    }

    /// As [`Self::enter`], but waits even where the thread waits for itself.
    ///
    /// IRQL <= APC_LEVEL, which the token shows. It may never return.
    ///
    /// # Errors
    /// [`Refused::TooOften`].
    pub fn enter_may_deadlock<'a>(
        &'a self,
        mode: EnterMode,
        _irql: &impl AtMostApcLevel,
    ) -> Result<ReentrantGuard<'a, T, WithRegion<'a>>, Refused> {
        self.countable()?;
        Ok(self.guard(WithRegion::acquire(self.cell.object(), mode)))
    }

    /// [`Self::enter`] with [`EnterMode::Exclusive`].
    ///
    /// # Errors
    /// [`Refused::Upgrade`], [`Refused::TooOften`].
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
        let object = self.cell.object();
        if !object.acquired_exclusive() {
            return Err(NotExclusive);
        }
        // SAFETY: the calling thread has it exclusively, and nothing here gives `&mut T`.
        unsafe { object.convert() };
        Ok(())
    }

    fn guard<H: Hold>(&self, hold: H) -> ReentrantGuard<'_, T, H> {
        ReentrantGuard {
            // SAFETY: the hold is of this resource, and nothing here gives `&mut T`.
            guard: unsafe { self.cell.shared(hold) },
        }
    }

    fn check(&self, mode: Mode, waits: bool) -> Result<(), Refused> {
        match held(self.cell.object()) {
            HeldAs::Shared(_) if mode == Mode::Exclusive => Err(Refused::Upgrade),
            HeldAs::Shared(_) if mode == Mode::SharedWaitForExclusive && waits => {
                Err(Refused::BehindItself)
            }
            HeldAs::Not => Ok(()),
            HeldAs::Shared(count) | HeldAs::Exclusive(count) => countable(count),
        }
    }

    fn countable(&self) -> Result<(), Refused> {
        countable(self.cell.object().acquired_count())
    }
}

/// Whether a thread that has a resource so often may have it once more.
const fn countable(count: u32) -> Result<(), Refused> {
    if count < MOST {
        Ok(())
    } else {
        Err(Refused::TooOften)
    }
}
