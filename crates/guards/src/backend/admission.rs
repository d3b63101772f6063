//! Who may have another guard: the checks that references to the data rest on.
//!
//! A check is relative to the calling thread. Only the thread itself can change the answer, and an APC routine
//! that interrupts it here cannot have kept a guard that is in use.
#![allow(unsafe_code, reason = "makes guards where the checks allow it")]

use super::hold::{InRegion, PushExclusive, PushShared, WithRegion};
use super::memory::NotMade;
use super::sharing::{EnterMode, ExclusiveGuard, Mode, SharedGuard, Sharing};
use super::{PushLock, Resource};
use crate::{HeldAs, NotExclusive, Refused};

/// The kernel counts a thread's acquires in 29 bits of `OWNER_ENTRY` (30 in older versions).
const MOST: u32 = (1 << 29) - 1;

/// Whether a thread that has a resource so often may have it once more.
const fn countable(count: u32) -> Result<(), Refused> {
    if count < MOST {
        Ok(())
    } else {
        Err(Refused::TooOften)
    }
}

/// Whether a thread that shares a resource so often may have it in this mode too.
fn beside_a_share(count: u32, mode: Mode, waits: bool) -> Result<(), Refused> {
    match mode {
        Mode::Exclusive => Err(Refused::Upgrade),
        Mode::SharedWaitForExclusive if waits => Err(Refused::BehindItself),
        _ => countable(count),
    }
}

impl Resource {
    /// How the calling thread holds it.
    pub(crate) fn held(&self) -> HeldAs {
        match self.acquired_count() {
            0 => HeldAs::Not,
            count if self.acquired_exclusive() => HeldAs::Exclusive(count),
            count => HeldAs::Shared(count),
        }
    }
}

impl<T: ?Sized> Sharing<Resource, T> {
    fn check(&self, mode: Mode, waits: bool) -> Result<(), Refused> {
        match self.object().held() {
            HeldAs::Not => Ok(()),
            HeldAs::Exclusive(_) => Err(Refused::Recursive),
            HeldAs::Shared(count) => beside_a_share(count, mode, waits),
        }
    }

    /// IRQL <= APC_LEVEL, normal kernel APCs disabled for as long as the guard lives.
    #[cfg_attr(feature = "debug", track_caller)]
    pub(crate) fn exclusive(
        &self,
        waits: bool,
    ) -> Result<ExclusiveGuard<'_, T, InRegion<'_>>, Refused> {
        self.check(Mode::Exclusive, waits)?;
        let hold = InRegion::acquire(self.object(), Mode::Exclusive, waits);
        // SAFETY: the hold is exclusive, and the check says that it is the thread's only one.
        Ok(unsafe { self.exclusively(hold.ok_or(Refused::Busy)?) })
    }

    /// As [`Self::exclusive`], in a mode that shares.
    #[cfg_attr(feature = "debug", track_caller)]
    pub(crate) fn share(
        &self,
        mode: Mode,
        waits: bool,
    ) -> Result<SharedGuard<'_, T, InRegion<'_>>, Refused> {
        self.check(mode, waits)?;
        let hold = InRegion::acquire(self.object(), mode, waits);
        // SAFETY: the check says that the thread has no guard with `&mut T`.
        Ok(unsafe { self.shared(hold.ok_or(Refused::Busy)?) })
    }

    /// IRQL <= APC_LEVEL.
    #[cfg_attr(feature = "debug", track_caller)]
    pub(crate) fn enter_exclusive(&self) -> Result<ExclusiveGuard<'_, T, WithRegion<'_>>, Refused> {
        self.check(Mode::Exclusive, true)?;
        // SAFETY: the check says that the thread does not have it.
        Ok(unsafe { self.enter_exclusive_unchecked() })
    }

    /// As [`Self::enter_exclusive`], in a mode that shares.
    #[cfg_attr(feature = "debug", track_caller)]
    pub(crate) fn enter_share(
        &self,
        mode: EnterMode,
    ) -> Result<SharedGuard<'_, T, WithRegion<'_>>, Refused> {
        self.check(mode.into(), true)?;
        // SAFETY: the check says that the thread does not have it exclusively.
        Ok(unsafe { self.enter_share_unchecked(mode) })
    }

    /// # Safety
    /// The calling thread does not have the resource.
    #[inline]
    #[cfg_attr(feature = "debug", track_caller)]
    pub(crate) unsafe fn enter_exclusive_unchecked(&self) -> ExclusiveGuard<'_, T, WithRegion<'_>> {
        let hold = WithRegion::acquire(self.object(), EnterMode::Exclusive);
        // SAFETY: the caller's guarantee.
        unsafe { self.exclusively(hold) }
    }

    /// # Safety
    /// The calling thread does not have the resource exclusively.
    #[inline]
    #[cfg_attr(feature = "debug", track_caller)]
    pub(crate) unsafe fn enter_share_unchecked(
        &self,
        mode: EnterMode,
    ) -> SharedGuard<'_, T, WithRegion<'_>> {
        let hold = WithRegion::acquire(self.object(), mode);
        // SAFETY: the caller's guarantee.
        unsafe { self.shared(hold) }
    }
}

impl<T: ?Sized> Sharing<PushLock, T> {
    /// IRQL <= APC_LEVEL, normal kernel APCs disabled for as long as the guard lives.
    #[inline]
    #[cfg_attr(feature = "debug", track_caller)]
    pub(crate) fn exclusive(&self) -> ExclusiveGuard<'_, T, PushExclusive<'_>> {
        let hold = PushExclusive::acquire(self.object());
        // SAFETY: the acquire does not return while this thread has another hold.
        unsafe { self.exclusively(hold) }
    }

    /// As [`Self::exclusive`].
    #[inline]
    #[cfg_attr(feature = "debug", track_caller)]
    pub(crate) fn share(&self) -> SharedGuard<'_, T, PushShared<'_>> {
        let hold = PushShared::acquire(self.object());
        // SAFETY: the acquire does not return while this thread has an exclusive hold.
        unsafe { self.shared(hold) }
    }
}

/// A resource that lets its owner in again, with its data. No guard of it gives `&mut T`.
#[derive(Debug)]
pub(crate) struct Reentering<T: ?Sized>(Sharing<Resource, T>);

impl<T> Reentering<T> {
    pub(crate) const fn blank(data: T) -> Self {
        Self(Sharing::<Resource, T>::blank(data))
    }
}

impl<T: ?Sized> Reentering<T> {
    pub(crate) fn initialise(&self) -> Result<(), NotMade> {
        self.0.initialise()
    }

    pub(crate) const fn object(&self) -> &Resource {
        self.0.object()
    }

    /// Refuses where the kernel would let the thread wait for itself, unless it `may_deadlock`.
    fn check(&self, mode: Mode, waits: bool, may_deadlock: bool) -> Result<(), Refused> {
        let object = self.object();
        if may_deadlock {
            return countable(object.acquired_count());
        }
        match object.held() {
            HeldAs::Not => Ok(()),
            HeldAs::Exclusive(count) => countable(count),
            HeldAs::Shared(count) => beside_a_share(count, mode, waits),
        }
    }

    /// IRQL <= APC_LEVEL, normal kernel APCs disabled for as long as the guard lives.
    #[cfg_attr(feature = "debug", track_caller)]
    pub(crate) fn acquire(
        &self,
        mode: Mode,
        waits: bool,
        may_deadlock: bool,
    ) -> Result<SharedGuard<'_, T, InRegion<'_>>, Refused> {
        self.check(mode, waits, may_deadlock)?;
        let hold = InRegion::acquire(self.object(), mode, waits);
        // SAFETY: nothing here gives `&mut T`.
        Ok(unsafe { self.0.shared(hold.ok_or(Refused::Busy)?) })
    }

    /// IRQL <= APC_LEVEL.
    #[cfg_attr(feature = "debug", track_caller)]
    pub(crate) fn enter(
        &self,
        mode: EnterMode,
        may_deadlock: bool,
    ) -> Result<SharedGuard<'_, T, WithRegion<'_>>, Refused> {
        self.check(mode.into(), true, may_deadlock)?;
        let hold = WithRegion::acquire(self.object(), mode);
        // SAFETY: nothing here gives `&mut T`.
        Ok(unsafe { self.0.shared(hold) })
    }

    /// IRQL <= APC_LEVEL.
    pub(crate) fn convert(&self) -> Result<(), NotExclusive> {
        if !self.object().acquired_exclusive() {
            return Err(NotExclusive);
        }
        // SAFETY: the thread has it exclusively, and no guard gives `&mut T`.
        unsafe { self.object().convert() };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_count_does_not_overflow() {
        let full = (1 << 29) - 1;
        assert_eq!(countable(full - 1), Ok(()));
        assert_eq!(countable(full), Err(Refused::TooOften));
        assert_eq!(countable(u32::MAX), Err(Refused::TooOften));
        assert_eq!(
            beside_a_share(MOST, Mode::Shared, true),
            Err(Refused::TooOften)
        );
        assert_eq!(
            beside_a_share(MOST, Mode::SharedWaitForExclusive, false),
            Err(Refused::TooOften)
        );
        // What is refused for good is not said to be a matter of how often.
        assert_eq!(
            beside_a_share(MOST, Mode::Exclusive, true),
            Err(Refused::Upgrade)
        );
    }
}
