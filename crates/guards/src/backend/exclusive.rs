//! Data that one thread at a time reaches, under a kernel object.
#![allow(
    unsafe_code,
    reason = "gives out references to what a kernel object protects"
)]

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};

use super::memory::NotMade;
use crate::debug::{self, LockKind, Origin};

/// A kernel object, as bytes in nonpaged memory that does not move. Dropping it deletes it.
///
/// # Safety
/// After `initialise` nobody owns the object, and every method may be called from any thread.
pub unsafe trait Object {
    /// The object's bytes before it is initialised.
    const BLANK: Self;

    /// Initialises the object where it is. It is called once, ahead of everything else.
    ///
    /// # Errors
    /// [`NotMade::Refused`].
    fn initialise(&self) -> Result<(), NotMade>;
}

/// An object with one owner at a time, which no thread acquires twice.
///
/// # Safety
/// Between an acquire (or a try that succeeded) and its release no other acquire returns and no
/// other try succeeds, in the same thread neither. What the owner did happens before what the next
/// one does.
pub unsafe trait Exclusive: Object {
    /// Acquires the object, and blocks until it is free. IRQL <= APC_LEVEL; a thread that owns it
    /// deadlocks.
    fn acquire(&self);

    /// Acquires the object if it is free. IRQL <= APC_LEVEL.
    fn try_acquire(&self) -> bool;

    /// Releases the object.
    ///
    /// # Safety
    /// The calling thread acquired it, and whatever it has done to the IRQL since then it has
    /// undone.
    unsafe fn release(&self);
}

/// An object and the data that it protects. The object is deleted before the data is dropped.
#[derive(Debug)]
pub(crate) struct Exclusively<O, T: ?Sized> {
    object: O,
    data: UnsafeCell<T>,
}

// SAFETY: the object belongs to no thread while nobody holds it, and the data goes along.
unsafe impl<O: Exclusive, T: ?Sized + Send> Send for Exclusively<O, T> {}
// SAFETY: the object lets one thread at a time reach the data, so the data is only ever sent.
unsafe impl<O: Exclusive, T: ?Sized + Send> Sync for Exclusively<O, T> {}

impl<O: Exclusive, T> Exclusively<O, T> {
    pub(crate) const fn blank(data: T) -> Self {
        Self {
            object: O::BLANK,
            data: UnsafeCell::new(data),
        }
    }
}

impl<O: Exclusive, T: ?Sized> Exclusively<O, T> {
    pub(crate) fn initialise(&self) -> Result<(), NotMade> {
        self.object.initialise()
    }

    /// IRQL <= APC_LEVEL.
    #[cfg_attr(feature = "debug", track_caller)]
    pub(crate) fn acquire(&self) -> Held<'_, O, T> {
        debug::acquires(LockKind::Mutex, &self.object, true);
        self.object.acquire();
        Held {
            cell: self,
            origin: debug::acquired(LockKind::Mutex, &self.object),
        }
    }

    /// IRQL <= APC_LEVEL.
    #[cfg_attr(feature = "debug", track_caller)]
    pub(crate) fn try_acquire(&self) -> Option<Held<'_, O, T>> {
        if !self.object.try_acquire() {
            return None;
        }
        Some(Held {
            cell: self,
            origin: debug::acquired(LockKind::Mutex, &self.object),
        })
    }
}

/// Held by the calling thread. Dropping it releases the object.
///
/// It stays inside this crate: the caller drops it in the scope that made it, at the same IRQL.
pub(crate) struct Held<'a, O: Exclusive, T: ?Sized> {
    cell: &'a Exclusively<O, T>,
    origin: Origin,
}

impl<O: Exclusive, T: ?Sized> Deref for Held<'_, O, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this thread owns the object, and `self` is the one way to the data.
        unsafe { &*self.cell.data.get() }
    }
}

impl<O: Exclusive, T: ?Sized> DerefMut for Held<'_, O, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and `self` is borrowed mutably.
        unsafe { &mut *self.cell.data.get() }
    }
}

impl<O: Exclusive, T: ?Sized> Drop for Held<'_, O, T> {
    fn drop(&mut self) {
        debug::releases(LockKind::Mutex, &self.cell.object, self.origin);
        // SAFETY: acquired when `self` was made, by this thread: `self` is a local of the callers.
        unsafe { self.cell.object.release() };
    }
}
