//! The routines, imported.

use wdk_sys::ntddk;

// The wdk crates' bindings do not have these four, which wdm.h declares since Windows 10 1809.
unsafe extern "C" {
    #[link_name = "ExAcquirePushLockExclusiveEx"]
    pub(super) fn acquire_exclusive(lock: *mut usize, flags: u32);
    #[link_name = "ExAcquirePushLockSharedEx"]
    pub(super) fn acquire_shared(lock: *mut usize, flags: u32);
    #[link_name = "ExReleasePushLockExclusiveEx"]
    pub(super) fn release_exclusive(lock: *mut usize, flags: u32);
    #[link_name = "ExReleasePushLockSharedEx"]
    pub(super) fn release_shared(lock: *mut usize, flags: u32);
}

/// `ExInitializePushLock`.
///
/// # Safety
/// The word is nonpaged, at its place and not shared yet.
pub(super) unsafe fn initialize(lock: *mut usize) {
    // SAFETY: the caller's guarantee.
    unsafe { ntddk::ExInitializePushLock(lock.cast()) };
}

pub(super) const fn found() -> bool {
    true
}
