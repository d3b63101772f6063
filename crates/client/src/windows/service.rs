//! The driver's service.
#![allow(unsafe_code, reason = "the service control manager's functions")]

use windows_sys::Win32::System::Services as scm;

use super::{Win32Error, check, wide};
use crate::setup::SERVICE;
use crate::setup::state::Service;

/// The right to delete a service: DELETE, one of the standard rights.
const DELETE: u32 = 0x0001_0000;

/// ERROR_SERVICE_DOES_NOT_EXIST.
const DOES_NOT_EXIST: u32 = 1060;

/// A handle of the service control manager, closed at the end.
struct Handle(scm::SC_HANDLE);

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle is ours, and nothing uses it after this.
        let closed = unsafe { scm::CloseServiceHandle(self.0) };
        debug_assert_ne!(closed, 0);
    }
}

impl Handle {
    fn own(handle: scm::SC_HANDLE) -> Result<Self, Win32Error> {
        if handle.is_null() {
            Err(Win32Error::last())
        } else {
            Ok(Self(handle))
        }
    }
}

/// Opens our service; `None` when there is none.
fn open(access: u32) -> Result<Option<Handle>, Win32Error> {
    // SAFETY: null is the local machine and its active database.
    let manager = Handle::own(unsafe {
        scm::OpenSCManagerW(std::ptr::null(), std::ptr::null(), scm::SC_MANAGER_CONNECT)
    })?;
    let name = wide(SERVICE);
    // SAFETY: the manager is open, and the string ends with a zero.
    match Handle::own(unsafe { scm::OpenServiceW(manager.0, name.as_ptr(), access) }) {
        Ok(service) => Ok(Some(service)),
        Err(Win32Error(DOES_NOT_EXIST)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// How the service is; `None` when there is none.
///
/// # Errors
/// [`Win32Error`]: Windows does not tell.
pub(crate) fn state() -> Result<Option<Service>, Win32Error> {
    let Some(service) = open(scm::SERVICE_QUERY_STATUS)? else {
        return Ok(None);
    };
    let mut status = scm::SERVICE_STATUS::default();
    // SAFETY: the service is open, and the answer is a local.
    check(unsafe { scm::QueryServiceStatus(service.0, &raw mut status) })?;
    Ok(Some(if status.dwCurrentState == scm::SERVICE_STOPPED {
        Service::Stopped
    } else {
        Service::Running
    }))
}

/// Deletes the service, if it is there. One whose driver is loaded goes with the next restart; gives
/// whether that is so.
///
/// # Errors
/// [`Win32Error`]: it is there still.
pub(crate) fn delete() -> Result<bool, Win32Error> {
    let running = state()? == Some(Service::Running);
    match open(DELETE)? {
        None => Ok(false),
        Some(service) => {
            // SAFETY: the service is open with the right to delete it.
            check(unsafe { scm::DeleteService(service.0) })?;
            Ok(running)
        }
    }
}
