//! Data under a kernel object that its owner may acquire again: a KMUTEX.
#![allow(
    unsafe_code,
    reason = "gives out references to what a kernel object protects"
)]

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};

use super::exclusive::Object;
use super::memory::NotMade;
use super::{StopEvent, Wait, Waited};
use crate::debug::{self, LockKind, Origin};

/// An object with one owner at a time, which may acquire it again.
///
/// # Safety
/// Between the first acquire of a thread and its last release no acquire of another thread returns.
/// What the owner did happens before what the next one does.
pub(crate) unsafe trait Recursive: Object {
    /// Waits for the object. IRQL <= APC_LEVEL.
    fn wait<S: StopEvent>(&self, wait: Wait<'_, S>) -> Waited;

    /// Releases the object once.
    ///
    /// # Safety
    /// The calling thread has acquired it more often than released.
    unsafe fn release(&self);
}

/// An object, how often its owner is inside, and the data.
#[derive(Debug)]
pub(crate) struct Recursively<O, T: ?Sized> {
    object: O,
    /// How many [`Inside`] there are. Only the owner changes it. An APC routine that interrupts the
    /// owner is the owner, and leaves the number as it found it.
    inside: AtomicU32,
    data: UnsafeCell<T>,
}

// SAFETY: the object belongs to no thread while nobody holds it, and the data goes along.
unsafe impl<O: Recursive, T: ?Sized + Send> Send for Recursively<O, T> {}
// SAFETY: the object lets one thread at a time reach the data. Where that thread may reach it more
// than once it gets shared references only, and they ask for `T: Sync`.
unsafe impl<O: Recursive, T: ?Sized + Send> Sync for Recursively<O, T> {}

impl<O: Recursive, T> Recursively<O, T> {
    pub(crate) const fn blank(data: T) -> Self {
        Self {
            object: O::BLANK,
            inside: AtomicU32::new(0),
            data: UnsafeCell::new(data),
        }
    }
}

impl<O: Recursive, T: ?Sized> Recursively<O, T> {
    pub(crate) fn initialise(&self) -> Result<(), NotMade> {
        self.object.initialise()
    }

    /// Waits for the object and says how often its owner is inside now. IRQL <= APC_LEVEL.
    ///
    /// # Errors
    /// How the wait ended otherwise.
    #[cfg_attr(feature = "debug", track_caller)]
    pub(crate) fn acquire<S: StopEvent>(
        &self,
        wait: Wait<'_, S>,
    ) -> Result<Inside<'_, O, T>, Waited> {
        match self.object.wait(wait) {
            Waited::Acquired => {
                let depth = self.inside.load(Ordering::Relaxed).saturating_add(1);
                self.inside.store(depth, Ordering::Relaxed);
                Ok(Inside {
                    cell: self,
                    depth,
                    origin: debug::acquired(LockKind::KMutex, &self.object),
                })
            }
            other => Err(other),
        }
    }

    /// Releases what an [`Inside`] that was forgotten acquired.
    ///
    /// # Safety
    /// The calling thread forgot one that has not been released.
    pub(crate) unsafe fn release(&self) {
        // SAFETY: the caller's guarantee.
        unsafe { self.release_what_was_acquired(Origin::UNKNOWN) };
    }

    /// # Safety
    /// As for [`Self::release`], or for an [`Inside`] that is dropped.
    unsafe fn release_what_was_acquired(&self, origin: Origin) {
        debug::releases(LockKind::KMutex, &self.object, origin);
        let depth = self.inside.load(Ordering::Relaxed);
        self.inside
            .store(depth.saturating_sub(1), Ordering::Relaxed);
        // SAFETY: the caller's guarantee.
        unsafe { self.object.release() };
    }
}

/// Held by the calling thread, `depth` times. Dropping it releases the object once.
///
/// It stays inside this crate: the caller drops it in the scope that made it.
pub(crate) struct Inside<'a, O: Recursive, T: ?Sized> {
    cell: &'a Recursively<O, T>,
    depth: u32,
    origin: Origin,
}

impl<'a, O: Recursive, T: ?Sized> Inside<'a, O, T> {
    /// How often the owner was inside when this was made: 1 for the first.
    pub(crate) const fn depth(&self) -> u32 {
        self.depth
    }

    /// The data for this holder alone; `None` when the thread is inside more than once.
    pub(crate) fn alone(self) -> Option<Alone<'a, O, T>> {
        (self.depth == 1).then_some(Alone { inside: self })
    }
}

impl<O: Recursive, T: ?Sized + Sync> Deref for Inside<'_, O, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this thread owns the object. A lock whose `Inside` is dereferenced never makes an
        // `Alone`, so that nobody has the data mutably; and the data is `Sync`, as for an APC
        // routine that interrupts the owner.
        unsafe { &*self.cell.data.get() }
    }
}

impl<O: Recursive, T: ?Sized> Drop for Inside<'_, O, T> {
    fn drop(&mut self) {
        // SAFETY: acquired when `self` was made, by this thread, and released here only.
        unsafe { self.cell.release_what_was_acquired(self.origin) };
    }
}

/// Held once, by the calling thread.
pub(crate) struct Alone<'a, O: Recursive, T: ?Sized> {
    inside: Inside<'a, O, T>,
}

impl<O: Recursive, T: ?Sized> Deref for Alone<'_, O, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this was the first to get inside, every later one of this thread has a depth above
        // 1 and gets no data, and other threads do not get inside.
        unsafe { &*self.inside.cell.data.get() }
    }
}

impl<O: Recursive, T: ?Sized> DerefMut for Alone<'_, O, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and `self` is borrowed mutably.
        unsafe { &mut *self.inside.cell.data.get() }
    }
}
