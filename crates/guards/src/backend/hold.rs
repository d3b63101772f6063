//! One acquire of a resource or a push lock, which its drop releases.
#![allow(unsafe_code, reason = "releases what the hold acquired")]

use super::sharing::{EnterMode, Mode};
use super::{PushLock, Resource};
use crate::debug::{self, LockKind, Origin};
use crate::{CriticalRegion, OneThread};

/// One acquire of a lock by the calling thread. Dropping it releases the lock.
pub trait Hold: sealed::Sealed {}

pub(crate) mod sealed {
    pub trait Sealed {
        /// Converts an exclusive hold into a shared one, where the lock can.
        ///
        /// # Safety
        /// The hold is exclusive, and the thread's only one.
        unsafe fn convert(&self) {}
    }
}

/// A hold of a resource inside a region of the caller's, which the hold borrows.
#[derive(Debug)]
#[must_use = "the resource is released at once when the hold is unused"]
pub struct InRegion<'a> {
    resource: &'a Resource,
    origin: Origin,
    _one_thread: OneThread,
}

/// A hold of a resource together with the critical region that was entered to acquire it. The
/// release releases first and leaves then.
#[derive(Debug)]
#[must_use = "the resource is released at once when the hold is unused"]
pub struct WithRegion<'a> {
    resource: &'a Resource,
    origin: Origin,
    /// Left by the release of the resource, not by its own drop.
    region: core::mem::ManuallyDrop<CriticalRegion>,
    _one_thread: OneThread,
}

impl<'a> InRegion<'a> {
    /// IRQL <= APC_LEVEL, normal kernel APCs disabled for as long as the hold lives. `None` only when it
    /// does not wait.
    #[inline]
    #[cfg_attr(feature = "debug", track_caller)]
    pub(crate) fn acquire(resource: &'a Resource, mode: Mode, waits: bool) -> Option<Self> {
        debug::acquires(LockKind::Resource, resource, false);
        let acquired = if waits {
            resource.acquire(mode);
            true
        } else {
            resource.try_acquire(mode)
        };
        if !acquired {
            return None;
        }
        Some(Self {
            resource,
            origin: debug::acquired(LockKind::Resource, resource),
            _one_thread: OneThread::HERE,
        })
    }
}

impl<'a> WithRegion<'a> {
    /// IRQL <= APC_LEVEL.
    #[inline]
    #[cfg_attr(feature = "debug", track_caller)]
    pub(crate) fn acquire(resource: &'a Resource, mode: EnterMode) -> Self {
        resource.enter_and_acquire(mode);
        Self {
            resource,
            region: core::mem::ManuallyDrop::new(CriticalRegion::entered()),
            origin: debug::acquired(LockKind::Resource, resource),
            _one_thread: OneThread::HERE,
        }
    }

    #[inline]
    pub(crate) fn region(&self) -> &CriticalRegion {
        &self.region
    }
}

impl Drop for InRegion<'_> {
    #[inline]
    fn drop(&mut self) {
        debug::releases(LockKind::Resource, self.resource, self.origin);
        // SAFETY: acquired when `self` was made, by this thread, which `self` cannot leave; the
        // region that it borrows is not left yet.
        unsafe { self.resource.release() };
    }
}

impl Drop for WithRegion<'_> {
    #[inline]
    fn drop(&mut self) {
        debug::releases(LockKind::Resource, self.resource, self.origin);
        let region = self.region.leaves();
        // SAFETY: entered and acquired when `self` was made, by this thread, which it cannot leave.
        unsafe { self.resource.release_and_leave() };
        debug::left(region);
    }
}

impl Hold for InRegion<'_> {}
impl Hold for WithRegion<'_> {}
impl sealed::Sealed for InRegion<'_> {
    unsafe fn convert(&self) {
        // SAFETY: the caller's guarantee.
        unsafe { self.resource.convert() };
    }
}
impl sealed::Sealed for WithRegion<'_> {
    unsafe fn convert(&self) {
        // SAFETY: the caller's guarantee.
        unsafe { self.resource.convert() };
    }
}

/// A hold of an executive resource.
pub trait OfResource: Hold {}

impl OfResource for InRegion<'_> {}
impl OfResource for WithRegion<'_> {}

/// A push lock held exclusively.
#[derive(Debug)]
#[must_use = "the push lock is released at once when the hold is unused"]
pub struct PushExclusive<'a> {
    lock: &'a PushLock,
    origin: Origin,
    _one_thread: OneThread,
}

/// A push lock that is shared.
#[derive(Debug)]
#[must_use = "the push lock is released at once when the hold is unused"]
pub struct PushShared<'a> {
    lock: &'a PushLock,
    origin: Origin,
    _one_thread: OneThread,
}

impl<'a> PushExclusive<'a> {
    /// IRQL <= APC_LEVEL, normal kernel APCs disabled for as long as the hold lives.
    #[inline]
    #[cfg_attr(feature = "debug", track_caller)]
    pub(crate) fn acquire(lock: &'a PushLock) -> Self {
        debug::acquires(LockKind::PushLock, lock, true);
        lock.acquire_exclusive();
        Self {
            lock,
            origin: debug::acquired(LockKind::PushLock, lock),
            _one_thread: OneThread::HERE,
        }
    }
}

impl<'a> PushShared<'a> {
    /// IRQL <= APC_LEVEL, normal kernel APCs disabled for as long as the hold lives.
    #[inline]
    #[cfg_attr(feature = "debug", track_caller)]
    pub(crate) fn acquire(lock: &'a PushLock) -> Self {
        debug::acquires(LockKind::PushLock, lock, true);
        lock.acquire_shared();
        Self {
            lock,
            origin: debug::acquired(LockKind::PushLock, lock),
            _one_thread: OneThread::HERE,
        }
    }
}

impl Drop for PushExclusive<'_> {
    #[inline]
    fn drop(&mut self) {
        debug::releases(LockKind::PushLock, self.lock, self.origin);
        // SAFETY: acquired when `self` was made, by this thread, which `self` cannot leave; the
        // region that it borrows is not left yet.
        unsafe { self.lock.release_exclusive() };
    }
}

impl Drop for PushShared<'_> {
    #[inline]
    fn drop(&mut self) {
        debug::releases(LockKind::PushLock, self.lock, self.origin);
        // SAFETY: as for an exclusive hold.
        unsafe { self.lock.release_shared() };
    }
}

impl Hold for PushExclusive<'_> {}
impl Hold for PushShared<'_> {}
impl sealed::Sealed for PushExclusive<'_> {}
impl sealed::Sealed for PushShared<'_> {}
