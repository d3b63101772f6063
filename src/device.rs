//! The driver object, the device and its handles: what the framework calls.
#![allow(
    unsafe_code,
    reason = "callbacks of the framework, and the calls that set them up"
)]

use core::sync::atomic::Ordering;

use apclab_guards::Passive;
use apclab_protocol::ioctl;
use apclab_protocol::status::{INSUFFICIENT_RESOURCES, NtStatus, SUCCESS};
use wdk_sys::{
    _WDF_DEVICE_IO_TYPE::WdfDeviceIoBuffered,
    _WDF_FILEOBJECT_CLASS::WdfFileObjectWdfCanUseFsContext,
    _WDF_IO_QUEUE_DISPATCH_TYPE::WdfIoQueueDispatchParallel,
    _WDF_TRI_STATE::{WdfFalse, WdfUseDefault},
    DRIVER_OBJECT, FILE_DEVICE_SECURE_OPEN, GUID, NTSTATUS, PCUNICODE_STRING, PWDFDEVICE_INIT,
    UNICODE_STRING, WDF_DRIVER_CONFIG, WDF_FILEOBJECT_CONFIG, WDF_IO_QUEUE_CONFIG, WDF_NO_HANDLE,
    WDF_NO_OBJECT_ATTRIBUTES, WDF_PNPPOWER_EVENT_CALLBACKS, WDF_POWER_DEVICE_STATE, WDFDEVICE,
    WDFDRIVER, WDFFILEOBJECT, WDFOBJECT, WDFQUEUE, WDFREQUEST, call_unsafe_wdf_function_binding,
};

use crate::dispatch;
use crate::nt::memory::Shared;
use crate::nt::routines::{self, Found};
use crate::nt::system;
use crate::sessions::Sessions;
use crate::wdf::context::{
    self, DeviceContext, FileContext, RequestContext, at_passive_level, attributes,
};
use crate::wdf::request::{Request, file_context, identity, wdm_file};
use crate::wdf::size;
use crate::wdm;

/// The state of the device.
pub(crate) struct Device {
    /// Who has loaded and is running what.
    pub(crate) sessions: Sessions,
    /// The optional routines that were found.
    pub(crate) routines: Found,
}

/// The first call of the framework's entry point: creates the framework's driver object.
///
/// IRQL: PASSIVE_LEVEL.
///
/// # Safety
/// The caller is the framework's entry point, with the driver object and the registry path that the
/// I/O manager gave it.
// SAFETY: the symbol's name is the framework's, and this image defines it once.
#[unsafe(export_name = "DriverEntry")]
pub(crate) unsafe extern "system" fn driver_entry(
    driver: &mut DRIVER_OBJECT,
    registry_path: PCUNICODE_STRING,
) -> NTSTATUS {
    let mut config = WDF_DRIVER_CONFIG {
        Size: size::<WDF_DRIVER_CONFIG>(),
        EvtDriverDeviceAdd: Some(device_add),
        DriverPoolTag: u32::from_le_bytes(*b"Apcl"),
        ..WDF_DRIVER_CONFIG::default()
    };
    // SAFETY: the two pointers are the I/O manager's own, `config` lives across the call, and the
    // other arguments are the null pointers that the call allows.
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

fn check(status: NTSTATUS) -> Result<(), NtStatus> {
    if wdk::nt_success(status) {
        Ok(())
    } else {
        Err(status)
    }
}

/// `EvtDriverDeviceAdd`. IRQL: PASSIVE_LEVEL.
unsafe extern "C" fn device_add(_driver: WDFDRIVER, init: PWDFDEVICE_INIT) -> NTSTATUS {
    // SAFETY: the framework calls this at PASSIVE_LEVEL; it is the activation's only token.
    let irql = unsafe { Passive::assume() };
    match add(init, &irql) {
        Ok(()) => SUCCESS,
        Err(status) => status,
    }
}

/// Creates the device, its queue, its interface and its link. When a step fails the framework
/// deletes what the steps before it made.
fn add(init: PWDFDEVICE_INIT, irql: &Passive) -> Result<(), NtStatus> {
    initialise(init);
    let device = create(init)?;
    let state = Shared::try_new(Device {
        // SAFETY: the device is live, and all callbacks that use the lock end before its cleanup.
        sessions: unsafe { Sessions::new(device.cast()) }?,
        routines: routines::find(irql),
    })?;
    // SAFETY: the device was just created with a DeviceContext.
    let context = unsafe { context::of::<DeviceContext>(device.cast()) };
    let context = context.ok_or(INSUFFICIENT_RESOURCES)?;
    context.device.store(state.into_raw(), Ordering::Release);
    create_queue(device)?;
    wdm::dispatch::configure(device)?;
    publish(device)
}

/// What has to be said before the device exists.
fn initialise(init: PWDFDEVICE_INIT) {
    let mut power = WDF_PNPPOWER_EVENT_CALLBACKS {
        Size: size::<WDF_PNPPOWER_EVENT_CALLBACKS>(),
        EvtDeviceD0Entry: Some(d0_entry),
        EvtDeviceD0Exit: Some(d0_exit),
        ..WDF_PNPPOWER_EVENT_CALLBACKS::default()
    };
    // SAFETY: `init` is the framework's own for this call; the structure is copied.
    unsafe {
        call_unsafe_wdf_function_binding!(
            WdfDeviceInitSetPnpPowerEventCallbacks,
            init,
            &raw mut power
        );
    }
    let mut files = WDF_FILEOBJECT_CONFIG {
        Size: size::<WDF_FILEOBJECT_CONFIG>(),
        EvtDeviceFileCreate: Some(file_create),
        EvtFileClose: Some(file_close),
        EvtFileCleanup: Some(file_cleanup),
        AutoForwardCleanupClose: WdfUseDefault,
        FileObjectClass: WdfFileObjectWdfCanUseFsContext,
    };
    let mut file_attributes = attributes::<FileContext>();
    // SAFETY: as above.
    unsafe {
        call_unsafe_wdf_function_binding!(
            WdfDeviceInitSetFileObjectConfig,
            init,
            &raw mut files,
            &raw mut file_attributes
        );
    }
    let mut request_attributes = attributes::<RequestContext>();
    // SAFETY: as above.
    unsafe {
        call_unsafe_wdf_function_binding!(
            WdfDeviceInitSetRequestAttributes,
            init,
            &raw mut request_attributes
        );
    }
    // SAFETY: as above.
    unsafe { call_unsafe_wdf_function_binding!(WdfDeviceInitSetIoType, init, WdfDeviceIoBuffered) };
    // SAFETY: as above.
    unsafe {
        call_unsafe_wdf_function_binding!(WdfDeviceInitSetDeviceType, init, ioctl::DEVICE_TYPE);
    }
    // The I/O manager then checks the descriptor for names below the device too.
    // SAFETY: as above.
    unsafe {
        call_unsafe_wdf_function_binding!(
            WdfDeviceInitSetCharacteristics,
            init,
            FILE_DEVICE_SECURE_OPEN,
            1
        );
    }
}

fn create(mut init: PWDFDEVICE_INIT) -> Result<WDFDEVICE, NtStatus> {
    let mut device_attributes = attributes::<DeviceContext>();
    device_attributes.EvtCleanupCallback = Some(device_cleanup);
    // Everything that the framework calls then runs at PASSIVE_LEVEL, cancelling apart.
    at_passive_level(&mut device_attributes);
    let mut device: WDFDEVICE = core::ptr::null_mut();
    // SAFETY: `init` is the framework's own for this call; the other pointers are to locals.
    check(unsafe {
        call_unsafe_wdf_function_binding!(
            WdfDeviceCreate,
            &raw mut init,
            &raw mut device_attributes,
            &raw mut device
        )
    })?;
    Ok(device)
}

fn create_queue(device: WDFDEVICE) -> Result<(), NtStatus> {
    let mut config = WDF_IO_QUEUE_CONFIG {
        Size: size::<WDF_IO_QUEUE_CONFIG>(),
        DispatchType: WdfIoQueueDispatchParallel,
        // The device is software: nothing has to be powered to answer a request.
        PowerManaged: WdfFalse,
        DefaultQueue: 1,
        EvtIoDeviceControl: Some(device_control),
        ..WDF_IO_QUEUE_CONFIG::default()
    };
    config.Settings.Parallel.NumberOfPresentedRequests = u32::MAX;
    // SAFETY: the device is live, the configuration is copied, and no handle is asked for.
    check(unsafe {
        call_unsafe_wdf_function_binding!(
            WdfIoQueueCreate,
            device,
            &raw mut config,
            WDF_NO_OBJECT_ATTRIBUTES,
            WDF_NO_HANDLE.cast::<WDFQUEUE>()
        )
    })
}

/// Makes the device findable: by interface GUID and by name.
fn publish(device: WDFDEVICE) -> Result<(), NtStatus> {
    const LINK_UNITS: usize = ioctl::SYMBOLIC_LINK.len();
    let (data1, data2, data3, data4) = ioctl::INTERFACE_GUID;
    let interface = GUID {
        Data1: data1,
        Data2: data2,
        Data3: data3,
        Data4: data4,
    };
    // SAFETY: the device is live, the GUID is copied, and there is no reference string.
    check(unsafe {
        call_unsafe_wdf_function_binding!(
            WdfDeviceCreateDeviceInterface,
            device,
            &raw const interface,
            core::ptr::null()
        )
    })?;
    let mut link = [0_u16; LINK_UNITS];
    for (unit, byte) in link.iter_mut().zip(ioctl::SYMBOLIC_LINK.bytes()) {
        *unit = byte.into();
    }
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the link's name has some 20 characters"
    )]
    let bytes = (LINK_UNITS * 2) as u16;
    let mut link = UNICODE_STRING {
        Length: bytes,
        MaximumLength: bytes,
        Buffer: link.as_mut_ptr(),
    };
    // SAFETY: the device is live; the string is well formed and is copied.
    check(unsafe {
        call_unsafe_wdf_function_binding!(WdfDeviceCreateSymbolicLink, device, &raw mut link)
    })
}

/// The state of a device, shared with the caller.
///
/// # Safety
/// `device` is live, and its cleanup has not begun.
pub(crate) unsafe fn state(device: WDFDEVICE) -> Option<Shared<Device>> {
    // SAFETY: the device was created with a DeviceContext.
    let context = unsafe { context::of::<DeviceContext>(device.cast()) }?;
    let raw = context.device.load(Ordering::Acquire);
    // SAFETY: the context owns the state until the device's cleanup, which runs after the last
    // callback; this borrows that ownership for a moment and gives it back.
    let owner = unsafe { Shared::<Device>::from_raw(raw) }?;
    let state = owner.clone();
    let _ = owner.into_raw();
    Some(state)
}

/// `EvtDeviceContextCleanup`: no request is left. IRQL: PASSIVE_LEVEL.
unsafe extern "C" fn device_cleanup(device: WDFOBJECT) {
    // SAFETY: the framework cleans a device up at PASSIVE_LEVEL; no other token exists in the callback.
    let irql = unsafe { Passive::assume() };
    wdm::dispatch::await_leaving(&irql);
    // SAFETY: the device was created with a DeviceContext, and is not gone yet.
    if let Some(context) = unsafe { context::of::<DeviceContext>(device) } {
        let raw = context.device.swap(core::ptr::null_mut(), Ordering::AcqRel);
        // SAFETY: the context owned the state, and gives it up here.
        drop(unsafe { Shared::<Device>::from_raw(raw) });
    }
}

/// `EvtDeviceD0Entry`. IRQL: PASSIVE_LEVEL.
unsafe extern "C" fn d0_entry(device: WDFDEVICE, _previous: WDF_POWER_DEVICE_STATE) -> NTSTATUS {
    // SAFETY: the framework calls this at PASSIVE_LEVEL; no other token exists in the callback.
    let mut irql = unsafe { Passive::assume() };
    // SAFETY: the framework keeps the device across its callbacks.
    if let Some(state) = unsafe { state(device) } {
        state.sessions.accept(&mut irql);
    }
    SUCCESS
}

/// `EvtDeviceD0Exit`: ends all runs before the device goes, or sleeps. IRQL: PASSIVE_LEVEL.
unsafe extern "C" fn d0_exit(device: WDFDEVICE, _target: WDF_POWER_DEVICE_STATE) -> NTSTATUS {
    // SAFETY: the framework calls this at PASSIVE_LEVEL; no other token exists in the callback.
    let mut irql = unsafe { Passive::assume() };
    // SAFETY: the framework keeps the device across its callbacks.
    if let Some(state) = unsafe { state(device) } {
        state.sessions.refuse_and_stop(&mut irql);
    }
    SUCCESS
}

/// `EvtDeviceFileCreate`: remembers who opens. IRQL: PASSIVE_LEVEL.
unsafe extern "C" fn file_create(_device: WDFDEVICE, request: WDFREQUEST, file: WDFFILEOBJECT) {
    // SAFETY: the framework delivered the request, and this is its one owner.
    let request = unsafe { Request::from_framework(request) };
    // SAFETY: the file object belongs to this device and outlives the callback.
    let status = match unsafe { file_context(file) } {
        Some(context) => {
            context
                .opener
                .store(system::current_process(), Ordering::Release);
            SUCCESS
        }
        None => INSUFFICIENT_RESOURCES,
    };
    request.complete(status, 0);
}

/// The device and the context of a handle.
///
/// # Safety
/// `file` is a live file object of this driver's device and outlives `'a`.
unsafe fn of_file<'a>(file: WDFFILEOBJECT) -> Option<(Shared<Device>, &'a FileContext)> {
    // SAFETY: the file object is live.
    let device = unsafe { call_unsafe_wdf_function_binding!(WdfFileObjectGetDevice, file) };
    // SAFETY: a device outlives its file objects.
    let state = unsafe { state(device) }?;
    // SAFETY: by the contract of this function.
    Some((state, unsafe { file_context(file) }?))
}

/// `EvtFileCleanup`: the last handle is closed, so what runs on its behalf is ended. IRQL: PASSIVE_LEVEL.
unsafe extern "C" fn file_cleanup(file: WDFFILEOBJECT) {
    // SAFETY: the framework calls this at PASSIVE_LEVEL; no other token exists in the callback.
    let mut irql = unsafe { Passive::assume() };
    // SAFETY: the framework keeps the file object across its callbacks.
    if let Some((device, _)) = unsafe { of_file(file) } {
        // SAFETY: as above.
        let object = unsafe { wdm_file(file) };
        device
            .sessions
            .cancel_runs_of(identity(file), object, &mut irql);
    }
}

/// `EvtFileClose`: no request of the handle is left. IRQL: PASSIVE_LEVEL.
unsafe extern "C" fn file_close(file: WDFFILEOBJECT) {
    // SAFETY: the framework calls this at PASSIVE_LEVEL; no other token exists in the callback.
    let mut irql = unsafe { Passive::assume() };
    // SAFETY: the framework keeps the file object across its callbacks.
    if let Some((device, context)) = unsafe { of_file(file) } {
        device.sessions.leave(context, &mut irql);
    }
}

/// `EvtIoDeviceControl`. IRQL: PASSIVE_LEVEL.
unsafe extern "C" fn device_control(
    queue: WDFQUEUE,
    request: WDFREQUEST,
    output_length: usize,
    input_length: usize,
    code: u32,
) {
    // SAFETY: the device asks for PASSIVE_LEVEL callbacks; no other token exists in this one.
    let mut irql = unsafe { Passive::assume() };
    // SAFETY: the framework delivered the request, and this is its one owner.
    let request = unsafe { Request::from_framework(request) };
    // SAFETY: the queue is live in its own callback.
    let device = unsafe { call_unsafe_wdf_function_binding!(WdfIoQueueGetDevice, queue) };
    // SAFETY: a device outlives its queues.
    match unsafe { state(device) } {
        Some(device) => {
            let lengths = dispatch::Lengths {
                input: input_length,
                output: output_length,
            };
            dispatch::device_control(&device, request, lengths, code, &mut irql);
        }
        None => request.complete(INSUFFICIENT_RESOURCES, 0),
    }
}
