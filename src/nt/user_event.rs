//! Events of user mode, referenced by their handles.

use core::ffi::c_void;
use core::ptr::{NonNull, null_mut, with_exposed_provenance_mut};

use apclab_guards::Passive;
use apclab_protocol::status::{INVALID_PARAMETER, NtStatus};
use wdk_sys::{_MODE::UserMode, ACCESS_MASK, POBJECT_TYPE, ntddk};

#[link(name = "ntoskrnl.exe", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "C" {
    /// The type of event objects: a variable, as `PsThreadType` is one.
    static ExEventObjectType: POBJECT_TYPE;
}

/// The right to ask for an event's state: the lowest of the rights that are particular to events.
const EVENT_QUERY_STATE: ACCESS_MASK = 1;

/// An event that user mode has made and the driver refers to. Dropping it gives the reference back.
pub(crate) struct UserEvent {
    object: NonNull<c_void>,
}

// SAFETY: a referenced event may be read and dereferenced from any thread.
unsafe impl Send for UserEvent {}
// SAFETY: as above.
unsafe impl Sync for UserEvent {}

impl UserEvent {
    /// References the event of a handle of the current process, as that process may.
    ///
    /// # Errors
    /// [`INVALID_PARAMETER`]: there is no such handle, it is none of an event, or it does not grant
    /// EVENT_QUERY_STATE.
    pub(crate) fn of_handle(handle: u64, _irql: &Passive) -> Result<Self, NtStatus> {
        let handle = usize::try_from(handle).map_err(|_| INVALID_PARAMETER)?;
        let mut object: *mut c_void = null_mut();
        // SAFETY: the kernel fills its variable before any driver is loaded.
        let event_type = unsafe { ExEventObjectType };
        #[allow(clippy::cast_possible_truncation, reason = "UserMode is 1")]
        // SAFETY: in UserMode the object manager checks handle, type and access; the out-pointer is to a
        // local, and the token shows PASSIVE_LEVEL.
        let status = unsafe {
            ntddk::ObReferenceObjectByHandle(
                with_exposed_provenance_mut(handle),
                EVENT_QUERY_STATE,
                event_type,
                UserMode as i8,
                &raw mut object,
                null_mut(),
            )
        };
        if !wdk::nt_success(status) {
            return Err(INVALID_PARAMETER);
        }
        NonNull::new(object)
            .map(|object| Self { object })
            .ok_or(INVALID_PARAMETER)
    }

    /// `KeReadStateEvent`. IRQL <= DISPATCH_LEVEL.
    pub(crate) fn signaled(&self) -> bool {
        // SAFETY: the object is an event, by its type, and referenced.
        unsafe { ntddk::KeReadStateEvent(self.object.as_ptr().cast()) != 0 }
    }
}

impl Drop for UserEvent {
    fn drop(&mut self) {
        // SAFETY: gives back the reference of `of_handle`, once.
        unsafe { ntddk::ObfDereferenceObject(self.object.as_ptr()) };
    }
}
