//! What Windows says of itself.
#![allow(
    unsafe_code,
    reason = "questions to Windows, some looked up at run time"
)]

use std::ffi::{CStr, c_char, c_void};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};

use windows_sys::Wdk::System::SystemServices::RtlGetVersion;
use windows_sys::Win32::Security::{
    GetTokenInformation, TOKEN_ELEVATION, TOKEN_QUERY, TokenElevation,
};
use windows_sys::Win32::System::SystemInformation::{GetTickCount64, OSVERSIONINFOW};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use super::crew::threads::SpecialUserApcs;
use super::library::routine;
use super::{registry, size};
use crate::setup::verifier::{self, DriverVerifier};
use crate::surroundings::{Surroundings, WindowsFacts, code_integrity};

/// SystemCodeIntegrityInformation (reference page `NtQuerySystemInformation`).
const CODE_INTEGRITY: i32 = 103;

/// A routine that not every Windows has, as `QueueUserAPC2`.
const PRECISE_TIME: &CStr = c"GetSystemTimePreciseAsFileTime";

/// SYSTEM_CODEINTEGRITY_INFORMATION.
#[repr(C)]
struct CodeIntegrity {
    length: u32,
    options: u32,
}

type NtQuerySystemInformation = unsafe extern "system" fn(i32, *mut c_void, u32, *mut u32) -> i32;
type WineGetVersion = unsafe extern "C" fn() -> *const c_char;

/// Everything that `info` names.
pub(crate) fn surroundings(handle: String) -> Surroundings {
    let integrity = code_integrity_options();
    Surroundings {
        windows: Some(WindowsFacts {
            version: version(),
            wine: wine(),
            elevated: elevated(),
            test_signing: integrity.map(code_integrity::test_signing),
            memory_integrity: integrity.map(code_integrity::memory_integrity),
            driver_verifier: driver_verifier(),
            optional_routines: [
                (c"QueueUserAPC2", SpecialUserApcs::find().is_some()),
                (
                    PRECISE_TIME,
                    routine("kernel32.dll", PRECISE_TIME).is_some(),
                ),
            ]
            .map(|(name, found)| (name.to_string_lossy().into_owned(), found))
            .to_vec(),
        }),
        ..Surroundings::of_the_processor(handle)
    }
}

/// Whether drivers with a test signature are loaded; `None` when Windows does not tell.
pub(crate) fn test_signing() -> Option<bool> {
    code_integrity_options().map(code_integrity::test_signing)
}

/// Driver Verifier's settings; `None` when the registry cannot be read.
pub(crate) fn driver_verifier() -> Option<DriverVerifier> {
    use verifier::{DRIVERS_VALUE, FLAGS_VALUE, KMDF_KEY, KMDF_VERIFIER_VALUE, SETTINGS_KEY};
    let drivers = registry::string(SETTINGS_KEY, DRIVERS_VALUE).ok()?;
    let flags = registry::number(SETTINGS_KEY, FLAGS_VALUE).ok()?;
    let kmdf = registry::number(KMDF_KEY, KMDF_VERIFIER_VALUE).ok()?;
    Some(DriverVerifier::of(drivers.as_deref(), flags, kmdf))
}

/// Seconds since Windows was started.
pub(crate) fn uptime() -> u64 {
    // SAFETY: the function takes nothing.
    unsafe { GetTickCount64() / 1000 }
}

fn code_integrity_options() -> Option<u32> {
    let found = routine("ntdll.dll", c"NtQuerySystemInformation")?;
    // SAFETY: the routine of that name has this type.
    let query = unsafe {
        std::mem::transmute::<unsafe extern "system" fn() -> isize, NtQuerySystemInformation>(found)
    };
    let mut answer = CodeIntegrity {
        length: size::<CodeIntegrity>(),
        options: 0,
    };
    let mut written = 0;
    // SAFETY: the structure has the size that is told and says it too.
    let status = unsafe {
        query(
            CODE_INTEGRITY,
            (&raw mut answer).cast(),
            size::<CodeIntegrity>(),
            &raw mut written,
        )
    };
    (status >= 0 && written >= size::<CodeIntegrity>()).then_some(answer.options)
}

fn wine() -> Option<String> {
    let found = routine("ntdll.dll", c"wine_get_version")?;
    // SAFETY: Wine's routine of that name has this type.
    let version = unsafe {
        std::mem::transmute::<unsafe extern "system" fn() -> isize, WineGetVersion>(found)
    };
    // SAFETY: the routine takes nothing.
    let text = unsafe { version() };
    if text.is_null() {
        return None;
    }
    // SAFETY: it gives a string that ends with a zero and lives as long as the process.
    let text = unsafe { CStr::from_ptr(text) };
    Some(text.to_string_lossy().into_owned())
}

fn version() -> Option<[u32; 3]> {
    let mut version = OSVERSIONINFOW {
        dwOSVersionInfoSize: size::<OSVERSIONINFOW>(),
        ..Default::default()
    };
    // SAFETY: the structure says its size.
    let status = unsafe { RtlGetVersion(&raw mut version) };
    (status >= 0).then_some([
        version.dwMajorVersion,
        version.dwMinorVersion,
        version.dwBuildNumber,
    ])
}

/// Whether this process has an elevated token; `None` when Windows does not tell.
pub(crate) fn elevated() -> Option<bool> {
    let mut token = std::ptr::null_mut();
    // SAFETY: the function takes nothing; what it gives need not be closed.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: the token is a local.
    if unsafe { OpenProcessToken(process, TOKEN_QUERY, &raw mut token) } == 0 {
        return None;
    }
    // SAFETY: the token was just opened, and nobody else has it.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    let mut elevation = TOKEN_ELEVATION::default();
    let mut written = 0;
    // SAFETY: the token is open, and the structure has the size that is told.
    let answered = unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            TokenElevation,
            (&raw mut elevation).cast(),
            size::<TOKEN_ELEVATION>(),
            &raw mut written,
        )
    };
    (answered != 0).then_some(elevation.TokenIsElevated != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_says_which_it_is() {
        let here = surroundings("none".to_owned());
        let windows = here.windows.expect("this is Windows");
        let [major, ..] = windows.version.expect("it has a version");
        assert!(major >= 6, "Windows 7 is 6.1");
        assert!(windows.elevated.is_some());
        assert_eq!(windows.optional_routines.len(), 2);
    }
}
