//! Push locks of the real kernel.
//!
//! An image that imports a routine does not load on a kernel without it, and kernels before Windows 10
//! 1809, and some others, do not export these. So with the feature `lookup` they are looked up instead.

#[cfg_attr(feature = "lookup", path = "push_lock/looked_up.rs")]
#[cfg_attr(not(feature = "lookup"), path = "push_lock/imported.rs")]
mod routines;

use core::cell::UnsafeCell;

use crate::backend::memory::NotMade;

#[cfg(feature = "lookup")]
pub use routines::find_push_locks;

/// `EX_DEFAULT_PUSH_LOCK_FLAGS`.
const DEFAULT_FLAGS: u32 = 0;

/// `EX_PUSH_LOCK`: a word. The page of `ExInitializePushLock` has it initialised by the kernel.
#[derive(Debug)]
pub(crate) struct PushLock(UnsafeCell<usize>);

// SAFETY: the kernel's routines for the word may be called from any thread, and synchronise.
unsafe impl Sync for PushLock {}

impl PushLock {
    pub(crate) const fn blank() -> Self {
        Self(UnsafeCell::new(0))
    }

    pub(crate) fn initialise(&self) -> Result<(), NotMade> {
        if !routines::found() {
            return Err(NotMade::NoRoutine);
        }
        // SAFETY: the word is nonpaged, at its place and not shared yet.
        unsafe { routines::initialize(self.0.get()) };
        Ok(())
    }

    #[inline]
    pub(crate) fn acquire_exclusive(&self) {
        // SAFETY: initialised; callers hold witnesses of IRQL <= APC_LEVEL and of disabled APCs.
        unsafe { routines::acquire_exclusive(self.0.get(), DEFAULT_FLAGS) };
    }

    #[inline]
    pub(crate) fn acquire_shared(&self) {
        // SAFETY: initialised; callers hold witnesses of IRQL <= APC_LEVEL and of disabled APCs.
        unsafe { routines::acquire_shared(self.0.get(), DEFAULT_FLAGS) };
    }

    #[inline]
    pub(crate) unsafe fn release_exclusive(&self) {
        // SAFETY: the caller's thread holds it exclusively and its APCs are disabled.
        unsafe { routines::release_exclusive(self.0.get(), DEFAULT_FLAGS) };
    }

    #[inline]
    pub(crate) unsafe fn release_shared(&self) {
        // SAFETY: the caller's thread shares it and its APCs are disabled.
        unsafe { routines::release_shared(self.0.get(), DEFAULT_FLAGS) };
    }
}
