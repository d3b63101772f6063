//! Fallible allocation in nonpaged memory that does not move.
//!
//! The global allocator is wdk-alloc: nonpaged, no-execute, alignment at most 16. Its out-of-memory
//! path is a bug check, so nothing here goes that way: every failure is an error value.

use alloc::alloc::{Layout, alloc, dealloc};
use alloc::vec::Vec;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering, fence};

use apclab_protocol::status::{INSUFFICIENT_RESOURCES, NtStatus};

/// What the pool guarantees on x64 and ARM64.
const POOL_ALIGNMENT: usize = 16;

/// `len` values made by `make`, in one allocation that is never grown.
///
/// # Errors
/// `STATUS_INSUFFICIENT_RESOURCES`.
pub(crate) fn try_vec<T>(len: usize, make: impl FnMut(usize) -> T) -> Result<Vec<T>, NtStatus> {
    const { assert!(align_of::<T>() <= POOL_ALIGNMENT) };
    let mut values = Vec::new();
    values
        .try_reserve_exact(len)
        .map_err(|_| INSUFFICIENT_RESOURCES)?;
    values.extend((0..len).map(make));
    Ok(values)
}

struct Counted<T> {
    owners: AtomicUsize,
    value: T,
}

/// A value that several threads own, at an address that does not change: `Arc` with a constructor
/// that can fail.
pub(crate) struct Shared<T> {
    counted: NonNull<Counted<T>>,
}

// SAFETY: as for `Arc`: owners on several threads share `&T`, and the last may drop `T` anywhere.
unsafe impl<T: Send + Sync> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// Moves a value into memory of its own.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub(crate) fn try_new(value: T) -> Result<Self, NtStatus> {
        const { assert!(align_of::<Counted<T>>() <= POOL_ALIGNMENT) };
        let layout = Layout::new::<Counted<T>>();
        // SAFETY: the layout has a size: it holds at least the counter.
        let memory = unsafe { alloc(layout) }.cast::<Counted<T>>();
        let counted = NonNull::new(memory).ok_or(INSUFFICIENT_RESOURCES)?;
        // SAFETY: the memory is ours, large enough and aligned.
        unsafe {
            counted.write(Counted {
                owners: AtomicUsize::new(1),
                value,
            });
        }
        Ok(Self { counted })
    }

    fn counted(&self) -> &Counted<T> {
        // SAFETY: the memory lives as long as an owner does, and `self` is one.
        unsafe { self.counted.as_ref() }
    }

    /// Gives this ownership away as a pointer; [`Shared::from_raw`] takes it back.
    pub(crate) fn into_raw(self) -> *mut core::ffi::c_void {
        let raw = self.counted.as_ptr().cast();
        core::mem::forget(self);
        raw
    }

    /// Takes up an ownership that [`Shared::into_raw`] gave away.
    ///
    /// # Safety
    /// `raw` came from `into_raw` of the same type, and is taken up once.
    pub(crate) unsafe fn from_raw(raw: *mut core::ffi::c_void) -> Option<Self> {
        NonNull::new(raw.cast()).map(|counted| Self { counted })
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        // Owners are bounded by sessions and lanes, far below the counter's range.
        self.counted().owners.fetch_add(1, Ordering::Relaxed);
        Self {
            counted: self.counted,
        }
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.counted().value
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        if self.counted().owners.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        fence(Ordering::Acquire);
        // SAFETY: this was the last owner, so nobody else refers to the value.
        unsafe { self.counted.drop_in_place() };
        // SAFETY: allocated in `try_new` with this layout, and freed once.
        unsafe { dealloc(self.counted.as_ptr().cast(), Layout::new::<Counted<T>>()) };
    }
}
