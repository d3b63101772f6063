//! Data that one thread writes or several read, under an executive resource or a push lock.
//!
//! A [`Hold`] is one acquire. A guard is a hold together with the data that it
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

use super::hold::{Hold, OfResource};
use super::memory::NotMade;
use super::{PushLock, Resource};

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

/// The ways to enter a critical region and acquire an executive resource in one call. There is no such
/// routine that starves exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnterMode {
    /// `ExEnterCriticalRegionAndAcquireResourceExclusive`.
    Exclusive,
    /// `ExEnterCriticalRegionAndAcquireResourceShared`.
    Shared,
    /// `ExEnterCriticalRegionAndAcquireSharedWaitForExclusive`.
    SharedWaitForExclusive,
}

impl From<EnterMode> for Mode {
    fn from(mode: EnterMode) -> Self {
        match mode {
            EnterMode::Exclusive => Self::Exclusive,
            EnterMode::Shared => Self::Shared,
            EnterMode::SharedWaitForExclusive => Self::SharedWaitForExclusive,
        }
    }
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
            data: Data(unsafe { NonNull::new_unchecked(self.data.get()) }),
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
            data: Data(unsafe { NonNull::new_unchecked(self.data.get()) }),
            hold,
            borrows: PhantomData,
        }
    }
}

/// Where the data of a guard is. The hold beside it decides what the guard may do in which thread, so that
/// a guard that is sent is one error of the compiler and not two.
#[derive(Debug)]
struct Data<T: ?Sized>(NonNull<T>);

// SAFETY: it is an address; the guards give access, and they are never sent.
unsafe impl<T: ?Sized> Send for Data<T> {}

/// The data for the calling thread alone, until the guard is dropped.
#[derive(Debug)]
#[must_use = "the lock is released at once when the guard is unused"]
pub struct ExclusiveGuard<'a, T: ?Sized, H: Hold> {
    data: Data<T>,
    hold: H,
    borrows: PhantomData<&'a mut T>,
}

/// The data, which other threads may read as well, until the guard is dropped.
#[derive(Debug)]
#[must_use = "the lock is released at once when the guard is unused"]
pub struct SharedGuard<'a, T: ?Sized, H: Hold> {
    data: Data<T>,
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
        unsafe { self.data.0.as_ref() }
    }
}

impl<T: ?Sized, H: Hold> DerefMut for ExclusiveGuard<'_, T, H> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed mutably.
        unsafe { self.data.0.as_mut() }
    }
}

impl<T: ?Sized, H: Hold> Deref for SharedGuard<'_, T, H> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the thread holds the lock, and nobody has the data mutably meanwhile.
        unsafe { self.data.0.as_ref() }
    }
}

impl<'a, T: ?Sized, H: Hold> ExclusiveGuard<'a, T, H> {
    /// A guard of a part of the data.
    pub fn map<U: ?Sized>(mut self, f: impl FnOnce(&mut T) -> &mut U) -> ExclusiveGuard<'a, U, H> {
        ExclusiveGuard {
            data: Data(NonNull::from(f(&mut self))),
            hold: self.hold,
            borrows: PhantomData,
        }
    }

    /// The data and the hold, apart.
    pub(crate) fn split(&mut self) -> (&mut T, &H) {
        // SAFETY: the guard is borrowed mutably, and the hold does not lead to the data.
        (unsafe { self.data.0.as_mut() }, &self.hold)
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
            data: Data(NonNull::from(f(&self))),
            hold: self.hold,
            borrows: PhantomData,
        }
    }

    /// The data and the hold, apart. As for an exclusive guard, other threads do not get here.
    pub(crate) fn split(&mut self) -> (&T, &H) {
        // SAFETY: as for `deref`.
        (unsafe { self.data.0.as_ref() }, &self.hold)
    }
}
