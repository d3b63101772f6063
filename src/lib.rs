//! The apclab driver.
#![no_std]
#![allow(
    unsafe_code,
    reason = "a driver talks to the kernel and to KMDF through C calls"
)]

use wdk_alloc::WdkAllocator;
use wdk_sys::{
    DRIVER_OBJECT, NTSTATUS, PCUNICODE_STRING, PWDFDEVICE_INIT, STATUS_SUCCESS, ULONG,
    WDF_DRIVER_CONFIG, WDF_NO_HANDLE, WDF_NO_OBJECT_ATTRIBUTES, WDFDEVICE, WDFDRIVER,
    call_unsafe_wdf_function_binding,
};
// The crate is the panic handler: it is linked for that alone.
use wdk_panic as _;

#[global_allocator]
static GLOBAL_ALLOCATOR: WdkAllocator = WdkAllocator;

/// The first call that the framework's entry point makes: creates the framework's driver object.
///
/// IRQL: PASSIVE_LEVEL.
///
/// # Safety
///
/// The caller is the framework's entry point, with the driver object and the registry path that the I/O
/// manager gave it.
// SAFETY: the symbol's name is the framework's, and this image defines it once.
#[unsafe(export_name = "DriverEntry")]
pub unsafe extern "system" fn driver_entry(
    driver: &mut DRIVER_OBJECT,
    registry_path: PCUNICODE_STRING,
) -> NTSTATUS {
    let mut config = WDF_DRIVER_CONFIG {
        Size: size_of::<WDF_DRIVER_CONFIG>() as ULONG,
        EvtDriverDeviceAdd: Some(device_add),
        ..WDF_DRIVER_CONFIG::default()
    };
    // SAFETY: the two pointers are the I/O manager's own, `config` lives across the call, and the other
    // arguments are the null pointers that the call allows.
    unsafe {
        call_unsafe_wdf_function_binding!(
            WdfDriverCreate,
            driver,
            registry_path,
            WDF_NO_OBJECT_ATTRIBUTES,
            &raw mut config,
            WDF_NO_HANDLE.cast::<WDFDRIVER>(),
        )
    }
}

/// Creates the device. IRQL: PASSIVE_LEVEL.
extern "C" fn device_add(_driver: WDFDRIVER, mut device_init: PWDFDEVICE_INIT) -> NTSTATUS {
    let mut device: WDFDEVICE = core::ptr::null_mut();
    // SAFETY: `device_init` is the framework's own, for this call, and both out-pointers are to locals.
    let status = unsafe {
        call_unsafe_wdf_function_binding!(
            WdfDeviceCreate,
            &raw mut device_init,
            WDF_NO_OBJECT_ATTRIBUTES,
            &raw mut device,
        )
    };
    if wdk::nt_success(status) {
        STATUS_SUCCESS
    } else {
        status
    }
}
