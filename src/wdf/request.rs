//! Requests and the handles that they came through.

use apclab_protocol::status::{CANCELLED, NtStatus};
use wdk_sys::{PVOID, WDFFILEOBJECT, WDFREQUEST, call_unsafe_wdf_function_binding};

use super::context::{self, FileContext, RequestContext};

/// A request that the driver owns and has not completed.
pub(crate) struct Request {
    handle: WDFREQUEST,
}

// SAFETY: a request handle may be used from any thread, by its one owner.
unsafe impl Send for Request {}
// SAFETY: as above.
unsafe impl Sync for Request {}

/// Called when a cancelable request is cancelled, at IRQL <= DISPATCH_LEVEL.
pub(crate) type Cancel = unsafe extern "C" fn(WDFREQUEST);

impl Request {
    /// Takes ownership of a request that the framework delivered.
    ///
    /// # Safety
    /// The driver owns the request, has not completed it, and makes no second `Request` of it.
    pub(crate) const unsafe fn from_framework(handle: WDFREQUEST) -> Self {
        Self { handle }
    }

    /// Calls `f` with the input, `length` bytes as the framework said.
    ///
    /// Input and output are the same memory (METHOD_BUFFERED), which is why neither is lent for
    /// longer than a call.
    ///
    /// # Errors
    /// What `f` fails with, or the framework.
    pub(crate) fn with_input<R>(
        &self,
        length: usize,
        f: impl FnOnce(&[u8]) -> Result<R, NtStatus>,
    ) -> Result<R, NtStatus> {
        if length == 0 {
            return f(&[]);
        }
        let mut buffer: PVOID = core::ptr::null_mut();
        let mut available = 0;
        // SAFETY: the request is owned; the out-pointers are to locals.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfRequestRetrieveInputBuffer,
                self.handle,
                1,
                &raw mut buffer,
                &raw mut available
            )
        };
        if !wdk::nt_success(status) || buffer.is_null() {
            return Err(status);
        }
        // SAFETY: the framework gave a buffer of that many initialised bytes, which stays until the
        // request is completed; nobody writes to it while `f` has it.
        f(unsafe { core::slice::from_raw_parts(buffer.cast::<u8>(), available) })
    }

    /// Calls `f` with the output buffer, `length` bytes as the framework said; `f` gives the bytes
    /// written.
    ///
    /// # Errors
    /// What `f` fails with, or the framework.
    pub(crate) fn with_output(
        &self,
        length: usize,
        f: impl FnOnce(&mut [u8]) -> Result<usize, NtStatus>,
    ) -> Result<usize, NtStatus> {
        if length == 0 {
            return f(&mut []);
        }
        let mut buffer: PVOID = core::ptr::null_mut();
        let mut available = 0;
        // SAFETY: the request is owned; the out-pointers are to locals.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfRequestRetrieveOutputBuffer,
                self.handle,
                1,
                &raw mut buffer,
                &raw mut available
            )
        };
        if !wdk::nt_success(status) || buffer.is_null() {
            return Err(status);
        }
        // SAFETY: the framework gave a buffer of that many bytes, whose values are whatever they are;
        // the input is no longer lent, so this is the only reference.
        f(unsafe { core::slice::from_raw_parts_mut(buffer.cast::<u8>(), available) })
    }

    /// The context of the handle that the request came through, with the handle's identity.
    pub(crate) fn file(&self) -> Option<(usize, &FileContext)> {
        // SAFETY: the request is owned.
        let file =
            unsafe { call_unsafe_wdf_function_binding!(WdfRequestGetFileObject, self.handle) };
        // SAFETY: the file object was created with a FileContext and outlives the request.
        Some((identity(file), unsafe { file_context(file) }?))
    }

    /// The request's own context.
    pub(crate) fn context(&self) -> Option<&RequestContext> {
        // SAFETY: the request is owned, and all requests of this device have that context.
        unsafe { context::of(self.handle) }
    }

    /// Makes the request cancelable.
    ///
    /// # Errors
    /// `STATUS_CANCELLED`: it was cancelled before; `cancel` will not be called.
    pub(crate) fn mark_cancelable(&self, cancel: Cancel) -> Result<(), NtStatus> {
        // SAFETY: the request is owned and not cancelable.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(WdfRequestMarkCancelableEx, self.handle, Some(cancel))
        };
        if wdk::nt_success(status) {
            Ok(())
        } else {
            Err(status)
        }
    }

    /// Takes the request out of cancelling. `false`: `cancel` has been called or is about to be,
    /// and the request may not be completed before it was.
    pub(crate) fn unmark_cancelable(&self) -> bool {
        // SAFETY: the request is owned.
        let status =
            unsafe { call_unsafe_wdf_function_binding!(WdfRequestUnmarkCancelable, self.handle) };
        status != CANCELLED
    }

    /// Completes the request.
    pub(crate) fn complete(self, status: NtStatus, information: usize) {
        // SAFETY: the request is owned and not cancelable; this is its end.
        unsafe {
            call_unsafe_wdf_function_binding!(
                WdfRequestCompleteWithInformation,
                self.handle,
                status,
                information as u64
            );
        }
    }
}

/// What tells two handles apart.
pub(crate) fn identity(file: WDFFILEOBJECT) -> usize {
    file.addr()
}

/// The context of a handle.
///
/// # Safety
/// `file` is a live file object of this device and outlives `'a`.
pub(crate) unsafe fn file_context<'a>(file: WDFFILEOBJECT) -> Option<&'a FileContext> {
    if file.is_null() {
        return None;
    }
    // SAFETY: the device's file objects are created with a FileContext.
    unsafe { context::of(file) }
}

/// The I/O manager's file object of a handle, for comparisons alone.
///
/// # Safety
/// `file` is a live file object of this device.
pub(crate) unsafe fn wdm_file(file: WDFFILEOBJECT) -> usize {
    // SAFETY: the file object is live, by the contract of this function.
    unsafe { call_unsafe_wdf_function_binding!(WdfFileObjectWdmGetFileObject, file) }.addr()
}
