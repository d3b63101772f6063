//! The process's heap in place of the nonpaged pool.

use std::alloc::{self, Layout};

/// What the pool guarantees on x64 and ARM64.
pub(crate) const POOL_ALIGNMENT: usize = 16;

/// Memory, or null.
pub(crate) fn allocate(layout: Layout) -> *mut u8 {
    // SAFETY: the size is not 0: a lock has bytes.
    unsafe { alloc::alloc(layout) }
}

/// Gives memory back.
///
/// # Safety
/// `memory` came from [`allocate`] with this layout, and is given back once.
pub(crate) unsafe fn free(memory: *mut u8, layout: Layout) {
    // SAFETY: the caller's guarantee.
    unsafe { alloc::dealloc(memory, layout) };
}
