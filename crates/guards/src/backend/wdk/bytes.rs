//! Structures that the kernel alone reads and writes.

use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomPinned;
use core::mem::MaybeUninit;

/// A kernel structure: bytes that the kernel alone reads and writes once they are initialised.
pub(super) struct Bytes<T> {
    bytes: UnsafeCell<MaybeUninit<T>>,
    /// The kernel may hold pointers to it.
    _pinned: PhantomPinned,
}

// SAFETY: the kernel's routines for the structure may be called from any thread.
unsafe impl<T> Send for Bytes<T> {}
// SAFETY: as above, and they synchronise among themselves.
unsafe impl<T> Sync for Bytes<T> {}

impl<T> Bytes<T> {
    pub(super) const fn zero() -> Self {
        Self {
            bytes: UnsafeCell::new(MaybeUninit::zeroed()),
            _pinned: PhantomPinned,
        }
    }

    pub(super) const fn get(&self) -> *mut T {
        self.bytes.get().cast()
    }
}

impl<T> fmt::Debug for Bytes<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:p}", self.get())
    }
}
