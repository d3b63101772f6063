//! Held regions.
#![allow(unsafe_code, reason = "regions that are left in no lexical order")]

use core::marker::PhantomData;

use crate::debug::{self, Origin};
use crate::{AtMostApcLevel, OneThread};

/// Which of the two counters a region changes.
pub trait Kind: sealed::Sealed {}

/// `KeEnterCriticalRegion`: keeps normal kernel APCs and user APCs out; special kernel APCs run.
#[derive(Debug)]
pub enum Critical {}

/// `KeEnterGuardedRegion`: keeps every APC out.
#[derive(Debug)]
pub enum Guarded {}

impl Kind for Critical {}
impl Kind for Guarded {}

mod sealed {
    use crate::backend;

    pub trait Sealed {
        const KIND: crate::RegionKind;
        fn enter();
        fn leave();
    }

    impl Sealed for super::Critical {
        const KIND: crate::RegionKind = crate::RegionKind::Critical;
        #[inline]
        fn enter() {
            backend::enter_critical();
        }
        #[inline]
        fn leave() {
            backend::leave_critical();
        }
    }

    impl Sealed for super::Guarded {
        const KIND: crate::RegionKind = crate::RegionKind::Guarded;
        #[inline]
        fn enter() {
            backend::enter_guarded();
        }
        #[inline]
        fn leave() {
            backend::leave_guarded();
        }
    }
}

/// A region that the calling thread is in. Dropping it leaves the region.
///
/// Regions nest in any order and to any depth that the kernel's 16-bit counters hold. The witness is
/// borrowed only to enter, so that a lock that raises the IRQL can be taken inside the region.
///
/// Prefer [`critical`] and [`guarded`]: a guard can be forgotten, and a thread that returns to user
/// mode, or ends, inside a region is bug check 0x1 or 0x20.
#[derive(Debug)]
#[must_use = "the region is left at once when the guard is unused"]
pub struct Region<K: Kind> {
    kind: PhantomData<K>,
    _one_thread: OneThread,
    origin: Origin,
}

/// Inside a critical region.
pub type CriticalRegion = Region<Critical>;

/// Inside a guarded region.
pub type GuardedRegion = Region<Guarded>;

impl<K: Kind> Region<K> {
    /// Enters a region: `KeEnterCriticalRegion` or `KeEnterGuardedRegion`.
    ///
    /// IRQL <= APC_LEVEL, which the token shows.
    #[inline]
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn enter(_irql: &impl AtMostApcLevel) -> Self {
        K::enter();
        Self::new(debug::entered(K::KIND))
    }

    /// Takes up a region whose guard was forgotten, for code that cannot leave its regions in the
    /// reverse order of entering them.
    ///
    /// # Safety
    /// The calling thread is in a region of this kind that has no guard, and the IRQL is at most
    /// APC_LEVEL until the guard is dropped.
    #[cfg_attr(feature = "debug", track_caller)]
    pub unsafe fn assume_entered() -> Self {
        Self::new(debug::taken_up(K::KIND))
    }

    /// The guard of a region that this thread entered and kept no guard of.
    #[inline]
    pub(crate) const fn kept() -> Self {
        Self::new(Origin::UNKNOWN)
    }

    /// The guard of a region that the calling function has entered by another routine's means.
    #[inline]
    #[cfg_attr(feature = "debug", track_caller)]
    pub(crate) fn entered() -> Self {
        Self::new(debug::entered(K::KIND))
    }

    #[inline]
    const fn new(origin: Origin) -> Self {
        Self {
            kind: PhantomData,
            origin,
            _one_thread: OneThread::HERE,
        }
    }

    /// Another routine is about to leave the region.
    #[inline]
    pub(crate) fn leaves(&self) -> Origin {
        debug::leaves(K::KIND, self.origin)
    }

    /// Leaves the region. APCs that it deferred run before this returns, if nothing else defers
    /// them.
    #[inline]
    pub fn leave(self) {}
}

impl<K: Kind> Drop for Region<K> {
    #[inline]
    fn drop(&mut self) {
        let origin = self.leaves();
        K::leave();
        debug::left(origin);
    }
}

/// Calls `f` inside a critical region. The region is left however `f` ends.
///
/// IRQL <= APC_LEVEL, which the token shows; it is lent to `f`.
#[cfg_attr(feature = "debug", track_caller)]
pub fn critical<L: AtMostApcLevel, R>(
    irql: &mut L,
    f: impl FnOnce(&mut L, &CriticalRegion) -> R,
) -> R {
    let region = CriticalRegion::enter(irql);
    f(irql, &region)
}

/// Calls `f` inside a guarded region. The region is left however `f` ends.
///
/// IRQL <= APC_LEVEL, which the token shows; it is lent to `f`.
#[cfg_attr(feature = "debug", track_caller)]
pub fn guarded<L: AtMostApcLevel, R>(
    irql: &mut L,
    f: impl FnOnce(&mut L, &GuardedRegion) -> R,
) -> R {
    let region = GuardedRegion::enter(irql);
    f(irql, &region)
}
