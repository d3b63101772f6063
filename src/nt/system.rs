//! Who is asking, and where.

use apclab_guards::Passive;
use wdk_sys::{ALL_PROCESSOR_GROUPS, RTL_OSVERSIONINFOW, ntddk};

/// Id of the current process.
pub(crate) fn current_process() -> usize {
    // SAFETY: no preconditions.
    unsafe { ntddk::PsGetCurrentProcessId() }.addr()
}

/// Id of the current thread.
pub(crate) fn current_thread() -> usize {
    // SAFETY: no preconditions.
    unsafe { ntddk::PsGetCurrentThreadId() }.addr()
}

/// Active processors of all groups.
pub(crate) fn processors() -> u32 {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "ALL_PROCESSOR_GROUPS is 0xFFFF"
    )]
    // SAFETY: no preconditions.
    unsafe {
        ntddk::KeQueryActiveProcessorCountEx(ALL_PROCESSOR_GROUPS as u16)
    }
}

/// Version of the kernel: major, minor, build.
pub(crate) fn kernel_version(_irql: &Passive) -> [u32; 3] {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the structure has some 280 bytes"
    )]
    let mut version = RTL_OSVERSIONINFOW {
        dwOSVersionInfoSize: size_of::<RTL_OSVERSIONINFOW>() as u32,
        ..RTL_OSVERSIONINFOW::default()
    };
    // It always succeeds; were it to fail, the version would read 0.0.0.
    // SAFETY: the structure says its own size and lives across the call.
    let _ = unsafe { ntddk::RtlGetVersion(&raw mut version) };
    [
        version.dwMajorVersion,
        version.dwMinorVersion,
        version.dwBuildNumber,
    ]
}
