//! A value under the framework's wait lock.

use core::cell::UnsafeCell;

use apclab_guards::Passive;
use apclab_protocol::status::NtStatus;
use wdk_sys::{WDFOBJECT, WDFWAITLOCK, call_unsafe_wdf_function_binding};

use super::context::plain_attributes;

/// A value for one thread at a time, under a WDFWAITLOCK. The framework holds a critical region
/// while the lock is held, so that a suspended thread cannot keep it. Nobody waits for anything but
/// memory while holding it.
pub(crate) struct WaitLock<T> {
    handle: WDFWAITLOCK,
    value: UnsafeCell<T>,
}

// SAFETY: `with` lets one thread at a time reach the value; the handle may be used from any thread.
unsafe impl<T: Send> Sync for WaitLock<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for WaitLock<T> {}

impl<T> WaitLock<T> {
    /// Creates the lock; the framework deletes it with `parent`.
    ///
    /// # Safety
    /// `parent` is a live framework object, and its deletion begins after the last call of
    /// [`WaitLock::with`].
    ///
    /// # Errors
    /// What `WdfWaitLockCreate` failed with.
    pub(crate) unsafe fn new(value: T, parent: WDFOBJECT) -> Result<Self, NtStatus> {
        let mut attributes = plain_attributes();
        attributes.ParentObject = parent;
        let mut handle: WDFWAITLOCK = core::ptr::null_mut();
        // SAFETY: the attributes and the out-pointer are to locals; the parent is live.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfWaitLockCreate,
                &raw mut attributes,
                &raw mut handle
            )
        };
        if wdk::nt_success(status) {
            Ok(Self {
                handle,
                value: UnsafeCell::new(value),
            })
        } else {
            Err(status)
        }
    }

    /// Calls `f` with the value.
    pub(crate) fn with<R>(
        &self,
        irql: &mut Passive,
        f: impl FnOnce(&mut T, &mut Passive) -> R,
    ) -> R {
        // SAFETY: the lock lives as long as `self`, by `new`. Without a time-out the call always
        // acquires; the token shows PASSIVE_LEVEL. Holders wait for nothing, so the wait is short.
        let _ = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfWaitLockAcquire,
                self.handle,
                core::ptr::null_mut()
            )
        };
        // SAFETY: the lock is held, so nobody else has a reference to the value.
        let answer = f(unsafe { &mut *self.value.get() }, irql);
        // SAFETY: acquired above, on this thread.
        unsafe { call_unsafe_wdf_function_binding!(WdfWaitLockRelease, self.handle) };
        answer
    }
}
