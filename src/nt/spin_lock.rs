//! A value under a spin lock: for what a few instructions of any thread or APC routine touch.

use core::cell::UnsafeCell;

use wdk_sys::{KSPIN_LOCK, ntddk};

/// A value for one processor at a time. It may be moved only while nobody is inside.
pub(crate) struct SpinLock<T> {
    lock: UnsafeCell<KSPIN_LOCK>,
    value: UnsafeCell<T>,
}

// SAFETY: `with` lets one thread at a time reach the value.
unsafe impl<T: Send> Sync for SpinLock<T> {}
// SAFETY: the lock itself is a word that no thread owns outside of `with`.
unsafe impl<T: Send> Send for SpinLock<T> {}

impl<T> SpinLock<T> {
    /// Wraps a value. (`KeInitializeSpinLock` is an inline function of the headers that stores 0.)
    pub(crate) const fn new(value: T) -> Self {
        Self {
            lock: UnsafeCell::new(0),
            value: UnsafeCell::new(value),
        }
    }

    /// Calls `f` with the value, at DISPATCH_LEVEL: it moves values and calls nothing that asks for a
    /// lower IRQL. The calling thread is at most at DISPATCH_LEVEL, and not inside already.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: the lock is initialised, in nonpaged memory, and nobody moves it now; all callers are
        // at most at APC_LEVEL.
        let irql = unsafe { ntddk::KeAcquireSpinLockRaiseToDpc(self.lock.get()) };
        // SAFETY: the lock is held, so nobody else has a reference to the value.
        let answer = f(unsafe { &mut *self.value.get() });
        // SAFETY: acquired above, which gave that IRQL.
        unsafe { ntddk::KeReleaseSpinLock(self.lock.get(), irql) };
        answer
    }
}
