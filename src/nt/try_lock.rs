//! A lock that is only ever tried.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

/// A value for one thread at a time. Where the protocol around it makes contention impossible, this
/// keeps it sound all the same.
pub(crate) struct TryLock<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: `with` lets one thread at a time reach the value.
unsafe impl<T: Send> Sync for TryLock<T> {}

impl<T> TryLock<T> {
    /// Wraps a value.
    pub(crate) const fn new(value: T) -> Self {
        Self {
            taken: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// Calls `f` with the value, or gives `None` when another call is inside.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        if self.taken.swap(true, Ordering::Acquire) {
            return None;
        }
        // SAFETY: `taken` was clear, so that nobody else has a reference until it is cleared below;
        // a driver does not unwind past that.
        let answer = f(unsafe { &mut *self.value.get() });
        self.taken.store(false, Ordering::Release);
        Some(answer)
    }
}
