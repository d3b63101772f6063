//! Data that one thread writes or several read, under an executive resource or a push lock.
//!
//! A [`Hold`] is one acquire, which its drop releases. A guard is a hold together with the data that it
//! gives access to. What the objects guarantee, on both backends:
//!
//! - While a thread holds an object exclusively no other thread holds it, and while a thread shares it
//!   no other holds it exclusively. What a holder did happens before what the next one does.
//! - A push lock is never acquired by a thread that holds it exclusively, and never exclusively by one
//!   that shares it: the thread waits for itself.
//! - A resource lets its exclusive owner in again, in every mode; its queries tell how often the calling
//!   thread holds it. Who makes a guard with `&mut T` asks them first.
#![allow(
    unsafe_code,
    reason = "gives out references to what a kernel object protects"
)]

use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use super::memory::NotMade;
use super::{PushLock, Resource};
use crate::{CriticalRegion, OneThread};

/// The ways to acquire an executive resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `ExAcquireResourceExclusiveLite`.
    Exclusive,
    /// `ExAcquireResourceSharedLite`: a new sharer queues behind those that wait for exclusive.
    Shared,
    /// `ExAcquireSharedStarveExclusive`: ignores those that wait for exclusive.
    SharedStarveExclusive,
    /// `ExAcquireSharedWaitForExclusive`: queues behind those that wait for exclusive, even when the
    /// thread shares the resource already.
    SharedWaitForExclusive,
}

/// An object and the data that it protects. The object is deleted before the data is dropped.
#[derive(Debug)]
pub(crate) struct Sharing<O, T: ?Sized> {
    object: O,
    data: UnsafeCell<T>,
}

// SAFETY: the object belongs to no thread while nobody holds it, and the data goes along.
unsafe impl<O, T: ?Sized + Send> Send for Sharing<O, T> {}
// SAFETY: several threads may share the data, and each may have it to itself.
unsafe impl<O, T: ?Sized + Send + Sync> Sync for Sharing<O, T> {}

macro_rules! sharing {
    ($object:ident) => {
        impl<T> Sharing<$object, T> {
            pub(crate) const fn blank(data: T) -> Self {
                Self {
                    object: $object::blank(),
                    data: UnsafeCell::new(data),
                }
            }
        }

        impl<T: ?Sized> Sharing<$object, T> {
            pub(crate) fn initialise(&self) -> Result<(), NotMade> {
                self.object.initialise()
            }
        }
    };
}
sharing!(Resource);
sharing!(PushLock);

impl<O, T: ?Sized> Sharing<O, T> {
    pub(crate) const fn object(&self) -> &O {
        &self.object
    }

    /// # Safety
    /// The hold is of this cell's object, exclusive, and the thread's only one.
    #[inline]
    pub(crate) unsafe fn exclusively<H: Hold>(&self, hold: H) -> ExclusiveGuard<'_, T, H> {
        ExclusiveGuard {
            // SAFETY: `UnsafeCell::get` is never null.
            data: unsafe { NonNull::new_unchecked(self.data.get()) },
            hold,
            borrows: PhantomData,
        }
    }

    /// # Safety
    /// The hold is of this cell's object, and the thread has no guard with `&mut T`.
    #[inline]
    pub(crate) unsafe fn shared<H: Hold>(&self, hold: H) -> SharedGuard<'_, T, H> {
        SharedGuard {
            // SAFETY: `UnsafeCell::get` is never null.
            data: unsafe { NonNull::new_unchecked(self.data.get()) },
            hold,
            borrows: PhantomData,
        }
    }
}

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
    one_thread: OneThread,
}

/// A hold of a resource together with the critical region that was entered to acquire it. The
/// release releases first and leaves then.
#[derive(Debug)]
#[must_use = "the resource is released at once when the hold is unused"]
pub struct WithRegion<'a> {
    resource: &'a Resource,
    /// Left by the release of the resource, not by its own drop.
    region: core::mem::ManuallyDrop<CriticalRegion>,
    one_thread: OneThread,
}

impl<'a> InRegion<'a> {
    /// IRQL <= APC_LEVEL, normal kernel APCs disabled for as long as the hold lives.
    #[inline]
    pub(crate) fn acquire(resource: &'a Resource, mode: Mode) -> Self {
        resource.acquire(mode);
        Self {
            resource,
            one_thread: PhantomData,
        }
    }

    /// As [`Self::acquire`], without waiting.
    #[inline]
    pub(crate) fn try_acquire(resource: &'a Resource, mode: Mode) -> Option<Self> {
        // Not `then_some`: a hold that was never acquired would be released.
        resource.try_acquire(mode).then(|| Self {
            resource,
            one_thread: PhantomData,
        })
    }
}

impl<'a> WithRegion<'a> {
    /// IRQL <= APC_LEVEL. There is no routine for [`Mode::SharedStarveExclusive`].
    #[inline]
    pub(crate) fn acquire(resource: &'a Resource, mode: Mode) -> Self {
        resource.enter_and_acquire(mode);
        Self {
            resource,
            region: core::mem::ManuallyDrop::new(CriticalRegion::entered()),
            one_thread: PhantomData,
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
        // SAFETY: acquired when `self` was made, by this thread, which `self` cannot leave; the
        // region that it borrows is not left yet.
        unsafe { self.resource.release() };
    }
}

impl Drop for WithRegion<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: entered and acquired when `self` was made, by this thread, which it cannot leave.
        unsafe { self.resource.release_and_leave() };
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
    one_thread: OneThread,
}

/// A push lock that is shared.
#[derive(Debug)]
#[must_use = "the push lock is released at once when the hold is unused"]
pub struct PushShared<'a> {
    lock: &'a PushLock,
    one_thread: OneThread,
}

impl<'a> PushExclusive<'a> {
    /// IRQL <= APC_LEVEL, normal kernel APCs disabled for as long as the hold lives.
    #[inline]
    pub(crate) fn acquire(lock: &'a PushLock) -> Self {
        lock.acquire_exclusive();
        Self {
            lock,
            one_thread: PhantomData,
        }
    }
}

impl<'a> PushShared<'a> {
    /// IRQL <= APC_LEVEL, normal kernel APCs disabled for as long as the hold lives.
    #[inline]
    pub(crate) fn acquire(lock: &'a PushLock) -> Self {
        lock.acquire_shared();
        Self {
            lock,
            one_thread: PhantomData,
        }
    }
}

impl Drop for PushExclusive<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: acquired when `self` was made, by this thread, which `self` cannot leave; the
        // region that it borrows is not left yet.
        unsafe { self.lock.release_exclusive() };
    }
}

impl Drop for PushShared<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: as for an exclusive hold.
        unsafe { self.lock.release_shared() };
    }
}

impl Hold for PushExclusive<'_> {}
impl Hold for PushShared<'_> {}
impl sealed::Sealed for PushExclusive<'_> {}
impl sealed::Sealed for PushShared<'_> {}

/// The data for the calling thread alone, until the guard is dropped.
#[derive(Debug)]
#[must_use = "the lock is released at once when the guard is unused"]
pub struct ExclusiveGuard<'a, T: ?Sized, H: Hold> {
    data: NonNull<T>,
    hold: H,
    borrows: PhantomData<&'a mut T>,
}

/// The data, which other threads may read as well, until the guard is dropped.
#[derive(Debug)]
#[must_use = "the lock is released at once when the guard is unused"]
pub struct SharedGuard<'a, T: ?Sized, H: Hold> {
    data: NonNull<T>,
    hold: H,
    borrows: PhantomData<&'a T>,
}

// SAFETY: through `&ExclusiveGuard` there is only `&T`: nothing that releases the lock, and not the
// region, which proves something on the thread that entered it alone (`split` wants `&mut`, which is
// not sent). No guard is `Send`: its hold belongs to the thread that acquired it.
unsafe impl<T: ?Sized + Sync, H: Hold> Sync for ExclusiveGuard<'_, T, H> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Sync, H: Hold> Sync for SharedGuard<'_, T, H> {}

impl<T: ?Sized, H: Hold> Deref for ExclusiveGuard<'_, T, H> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the thread holds the lock exclusively, and this guard is the one way to the data.
        unsafe { self.data.as_ref() }
    }
}

impl<T: ?Sized, H: Hold> DerefMut for ExclusiveGuard<'_, T, H> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed mutably.
        unsafe { self.data.as_mut() }
    }
}

impl<T: ?Sized, H: Hold> Deref for SharedGuard<'_, T, H> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the thread holds the lock, and nobody has the data mutably meanwhile.
        unsafe { self.data.as_ref() }
    }
}

impl<'a, T: ?Sized, H: Hold> ExclusiveGuard<'a, T, H> {
    /// A guard of a part of the data.
    pub fn map<U: ?Sized>(mut self, f: impl FnOnce(&mut T) -> &mut U) -> ExclusiveGuard<'a, U, H> {
        ExclusiveGuard {
            data: NonNull::from(f(&mut self)),
            hold: self.hold,
            borrows: PhantomData,
        }
    }

    /// The data and the hold, apart.
    pub(crate) fn split(&mut self) -> (&mut T, &H) {
        // SAFETY: the guard is borrowed mutably, and the hold does not lead to the data.
        (unsafe { self.data.as_mut() }, &self.hold)
    }
}

impl<'a, T: ?Sized, H: OfResource> ExclusiveGuard<'a, T, H> {
    /// IRQL <= APC_LEVEL.
    pub(crate) fn convert(self) -> SharedGuard<'a, T, H> {
        // SAFETY: the hold is exclusive, and the thread's only one: a second is refused.
        unsafe { self.hold.convert() };
        SharedGuard {
            data: self.data,
            hold: self.hold,
            borrows: PhantomData,
        }
    }
}

impl<'a, T: ?Sized, H: Hold> SharedGuard<'a, T, H> {
    /// A guard of a part of the data.
    pub fn map<U: ?Sized>(self, f: impl FnOnce(&T) -> &U) -> SharedGuard<'a, U, H> {
        SharedGuard {
            data: NonNull::from(f(&self)),
            hold: self.hold,
            borrows: PhantomData,
        }
    }

    /// The data and the hold, apart. As for an exclusive guard, other threads do not get here.
    pub(crate) fn split(&mut self) -> (&T, &H) {
        // SAFETY: as for `deref`.
        (unsafe { self.data.as_ref() }, &self.hold)
    }
}
