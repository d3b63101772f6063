//! The nonpaged pool.

use core::alloc::Layout;

use wdk_sys::{POOL_FLAG_NON_PAGED, ntddk};

/// What the pool guarantees on x64 and ARM64.
pub(crate) const POOL_ALIGNMENT: usize = 16;

/// Marks the pool blocks of this crate: `Gard` in a debugger.
const TAG: u32 = u32::from_le_bytes(*b"Gard");

/// Nonpaged memory, or null. IRQL <= DISPATCH_LEVEL.
pub(crate) fn allocate(layout: Layout) -> *mut u8 {
    // SAFETY: the size is not 0 (a lock has bytes), and the tag is not 0.
    unsafe { ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED, layout.size() as u64, TAG).cast() }
}

/// Gives memory back.
///
/// # Safety
/// `memory` came from [`allocate`] with this layout, and is given back once.
pub(crate) unsafe fn free(memory: *mut u8, _layout: Layout) {
    // SAFETY: the caller's guarantee; the tag is that of the allocation.
    unsafe { ntddk::ExFreePoolWithTag(memory.cast(), TAG) };
}
