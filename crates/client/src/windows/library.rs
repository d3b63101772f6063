//! Routines that are looked up at run time.
#![allow(unsafe_code, reason = "the loader's functions")]

use std::ffi::CStr;

use windows_sys::Win32::Foundation::HMODULE;
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress, LoadLibraryExW};

use super::{Win32Error, wide};

/// A routine of a type that has to be looked up too.
pub(crate) type Routine = unsafe extern "system" fn() -> isize;

/// A routine of a module that this process has loaded, if it is there.
pub(crate) fn routine(module: &str, name: &CStr) -> Option<Routine> {
    let module = wide(module);
    // SAFETY: the string ends with a zero.
    let module = unsafe { GetModuleHandleW(module.as_ptr()) };
    if module.is_null() {
        return None;
    }
    of_module(module, name)
}

/// A routine of a library of the system's, which is loaded for it and stays so.
///
/// # Errors
/// [`Win32Error`]: there is no such library, or no such routine in it.
pub(crate) fn routine_of_system(library: &str, name: &CStr) -> Result<Routine, Win32Error> {
    /// ERROR_PROC_NOT_FOUND.
    const NO_ROUTINE: Win32Error = Win32Error(127);
    // The full path: a file of that name in the current folder is not the system's.
    let root = std::env::var("SystemRoot").map_err(|_| NO_ROUTINE)?;
    let path = wide(&format!(r"{root}\System32\{library}"));
    // SAFETY: the string ends with a zero, and the reserved handle is null.
    let module = unsafe { LoadLibraryExW(path.as_ptr(), std::ptr::null_mut(), 0) };
    if module.is_null() {
        return Err(Win32Error::last());
    }
    of_module(module, name).ok_or(NO_ROUTINE)
}

/// A routine of a module that is never unloaded.
fn of_module(module: HMODULE, name: &CStr) -> Option<Routine> {
    // SAFETY: the module is loaded, and the name ends with a zero.
    unsafe { GetProcAddress(module, name.as_ptr().cast()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routines_that_are_not_there_are_not_found() {
        assert!(routine("ntdll.dll", c"NtClose").is_some());
        assert!(routine("ntdll.dll", c"NtNoSuchRoutine").is_none());
        assert!(routine("no-such-module.dll", c"NtClose").is_none());
        assert!(routine_of_system("newdev.dll", c"UpdateDriverForPlugAndPlayDevicesW").is_ok());
        assert!(routine_of_system("newdev.dll", c"NoSuchRoutine").is_err());
        assert!(routine_of_system("no-such-module.dll", c"NtClose").is_err());
    }
}
