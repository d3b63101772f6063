//! What the framework calls.
#![allow(
    unsafe_code,
    reason = "callbacks of the framework, and the calls that set them up"
)]

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering};

use apclab_guards::Passive;
use wdk_sys::{
    _WDF_DEVICE_IO_TYPE::WdfDeviceIoBuffered, _WDF_EXECUTION_LEVEL::WdfExecutionLevelPassive,
    _WDF_IO_QUEUE_DISPATCH_TYPE::WdfIoQueueDispatchParallel,
    _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeInheritFromParent, _WDF_TRI_STATE::WdfFalse,
    DRIVER_OBJECT, GUID, NTSTATUS, PCUNICODE_STRING, PVOID, PWDFDEVICE_INIT, WDF_DRIVER_CONFIG,
    WDF_IO_QUEUE_CONFIG, WDF_NO_HANDLE, WDF_NO_OBJECT_ATTRIBUTES, WDF_OBJECT_ATTRIBUTES,
    WDF_OBJECT_CONTEXT_TYPE_INFO, WDFDEVICE, WDFDRIVER, WDFOBJECT, WDFQUEUE, WDFREQUEST,
    call_unsafe_wdf_function_binding,
};

use crate::state::State;
use crate::{ADD, READ};

const SUCCESS: NTSTATUS = 0;
// The values of ntstatus.h, as the signed numbers that an NTSTATUS is.
const INSUFFICIENT_RESOURCES: NTSTATUS = 0xC000_009A_u32.cast_signed();
const INVALID_DEVICE_REQUEST: NTSTATUS = 0xC000_0010_u32.cast_signed();
const POSSIBLE_DEADLOCK: NTSTATUS = 0xC000_0194_u32.cast_signed();

/// `{5A0BC7B4-5A4C-4B9E-8F0E-1B7E5D0C6A11}`.
static INTERFACE: GUID = GUID {
    Data1: 0x5A0B_C7B4,
    Data2: 0x5A4C,
    Data3: 0x4B9E,
    Data4: [0x8F, 0x0E, 0x1B, 0x7E, 0x5D, 0x0C, 0x6A, 0x11],
};

/// The size of a C structure as its `Size` field wants it.
#[allow(clippy::cast_possible_truncation, reason = "they are below 4 GiB")]
const fn size<T>() -> u32 {
    size_of::<T>() as u32
}

/// The device's context, which the framework gives zeroed, in memory that does not move.
struct Context {
    /// Whether `state` has been made.
    made: AtomicBool,
    state: UnsafeCell<MaybeUninit<State>>,
}

struct TypeInfo(WDF_OBJECT_CONTEXT_TYPE_INFO);
// SAFETY: the description is constant; its pointers are to constants.
unsafe impl Sync for TypeInfo {}

static CONTEXT: TypeInfo = TypeInfo(WDF_OBJECT_CONTEXT_TYPE_INFO {
    Size: size::<WDF_OBJECT_CONTEXT_TYPE_INFO>(),
    ContextName: c"Context".as_ptr().cast_mut(),
    ContextSize: size_of::<Context>(),
    UniqueType: &raw const CONTEXT.0,
    EvtDriverGetUniqueContextType: None,
});

/// The device's context.
///
/// # Safety
/// The device is live and outlives `'a`.
unsafe fn context<'a>(device: WDFDEVICE) -> Option<&'a Context> {
    // SAFETY: the device is live, and was created with this description.
    let context = unsafe {
        call_unsafe_wdf_function_binding!(
            WdfObjectGetTypedContextWorker,
            device.cast(),
            &raw const CONTEXT.0
        )
    };
    // SAFETY: null, or a zeroed context that lives with its device: zero bytes are a value of it.
    unsafe { context.cast::<Context>().as_ref() }
}

/// The first call of the framework's entry point. IRQL: PASSIVE_LEVEL.
///
/// # Safety
/// The caller is the framework's entry point, with what the I/O manager gave it.
// SAFETY: the symbol's name is the framework's, and this image defines it once.
#[unsafe(export_name = "DriverEntry")]
pub(crate) unsafe extern "system" fn driver_entry(
    driver: &mut DRIVER_OBJECT,
    registry_path: PCUNICODE_STRING,
) -> NTSTATUS {
    let mut config = WDF_DRIVER_CONFIG {
        Size: size::<WDF_DRIVER_CONFIG>(),
        EvtDriverDeviceAdd: Some(device_add),
        ..WDF_DRIVER_CONFIG::default()
    };
    // SAFETY: the two pointers are the I/O manager's own, and `config` lives across the call.
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

fn check(status: NTSTATUS) -> Result<(), NTSTATUS> {
    if status >= 0 { Ok(()) } else { Err(status) }
}

/// `EvtDriverDeviceAdd`. IRQL: PASSIVE_LEVEL.
unsafe extern "C" fn device_add(_driver: WDFDRIVER, init: PWDFDEVICE_INIT) -> NTSTATUS {
    add_device(init).err().unwrap_or(SUCCESS)
}

fn add_device(mut init: PWDFDEVICE_INIT) -> Result<(), NTSTATUS> {
    // SAFETY: `init` is the framework's own for this call.
    unsafe { call_unsafe_wdf_function_binding!(WdfDeviceInitSetIoType, init, WdfDeviceIoBuffered) };
    let mut attributes = WDF_OBJECT_ATTRIBUTES {
        Size: size::<WDF_OBJECT_ATTRIBUTES>(),
        EvtCleanupCallback: Some(device_cleanup),
        // The guards want IRQL <= APC_LEVEL: the framework calls the device's callbacks at PASSIVE_LEVEL.
        ExecutionLevel: WdfExecutionLevelPassive,
        SynchronizationScope: WdfSynchronizationScopeInheritFromParent,
        ContextTypeInfo: &raw const CONTEXT.0,
        ..WDF_OBJECT_ATTRIBUTES::default()
    };
    let mut device: WDFDEVICE = null_mut();
    // SAFETY: `init` is the framework's own for this call; the other pointers are to locals.
    check(unsafe {
        call_unsafe_wdf_function_binding!(
            WdfDeviceCreate,
            &raw mut init,
            &raw mut attributes,
            &raw mut device
        )
    })?;
    let state = State::try_new().map_err(|_| INSUFFICIENT_RESOURCES)?;
    // SAFETY: the device was created just now.
    let context = unsafe { context(device) }.ok_or(INSUFFICIENT_RESOURCES)?;
    // SAFETY: `made` is clear, so that nobody looks at the state yet.
    let place = unsafe { &mut *context.state.get() };
    place.write(state);
    context.made.store(true, Ordering::Release);

    let mut config = WDF_IO_QUEUE_CONFIG {
        Size: size::<WDF_IO_QUEUE_CONFIG>(),
        DispatchType: WdfIoQueueDispatchParallel,
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
    })?;
    // SAFETY: the device is live, the GUID is copied, and there is no reference string.
    check(unsafe {
        call_unsafe_wdf_function_binding!(
            WdfDeviceCreateDeviceInterface,
            device,
            &raw const INTERFACE,
            core::ptr::null()
        )
    })
}

/// `EvtDeviceContextCleanup`: nothing runs any more. IRQL: PASSIVE_LEVEL.
unsafe extern "C" fn device_cleanup(device: WDFOBJECT) {
    // SAFETY: the device is not gone yet.
    let Some(context) = (unsafe { context(device.cast()) }) else {
        return;
    };
    if context.made.swap(false, Ordering::AcqRel) {
        // SAFETY: nobody has the state any more.
        let state = unsafe { &mut *context.state.get() };
        // SAFETY: it was made. Its locks are deleted here.
        unsafe { state.assume_init_drop() };
    }
}

/// The state of a device; `None` before it is made.
///
/// # Safety
/// The device is live and not cleaned up for as long as `'a`.
unsafe fn state<'a>(device: WDFDEVICE) -> Option<&'a State> {
    // SAFETY: the caller's guarantee.
    let context = unsafe { context(device) }?;
    if !context.made.load(Ordering::Acquire) {
        return None;
    }
    // SAFETY: it was made, and is only read until the cleanup.
    let state = unsafe { &*context.state.get() };
    // SAFETY: as above.
    Some(unsafe { state.assume_init_ref() })
}

/// `EvtIoDeviceControl`. IRQL: PASSIVE_LEVEL.
unsafe extern "C" fn device_control(
    queue: WDFQUEUE,
    request: WDFREQUEST,
    _output_length: usize,
    _input_length: usize,
    code: u32,
) {
    // SAFETY: the device asks for PASSIVE_LEVEL callbacks; no other token exists in this one.
    let mut irql = unsafe { Passive::assume() };
    // SAFETY: the queue is live in its own callback.
    let device = unsafe { call_unsafe_wdf_function_binding!(WdfIoQueueGetDevice, queue) };
    // SAFETY: a device outlives its queues, and they their callbacks.
    let answer = unsafe { state(device) }
        .ok_or(INSUFFICIENT_RESOURCES)
        .and_then(|state| answer(state, &mut irql, request, code));
    let (status, information) = match answer {
        Ok(bytes) => (SUCCESS, bytes as u64),
        Err(status) => (status, 0),
    };
    // SAFETY: the framework delivered the request, and this completes it once.
    unsafe {
        call_unsafe_wdf_function_binding!(
            WdfRequestCompleteWithInformation,
            request,
            status,
            information
        );
    }
}

/// Does what the request asks for and says how many bytes it wrote.
fn answer(
    state: &State,
    irql: &mut Passive,
    request: WDFREQUEST,
    code: u32,
) -> Result<usize, NTSTATUS> {
    match code {
        ADD => {
            let number = input(request)?;
            state.add(irql, number).map_err(|_| POSSIBLE_DEADLOCK)?;
            Ok(0)
        }
        READ => {
            let (sums, last) = state.read(irql).map_err(|_| POSSIBLE_DEADLOCK)?;
            output(request, [sums.count, sums.sum, last.into()])
        }
        _ => Err(INVALID_DEVICE_REQUEST),
    }
}

fn input(request: WDFREQUEST) -> Result<u32, NTSTATUS> {
    let mut buffer: PVOID = null_mut();
    // SAFETY: the request is not completed yet; the pointer is to a local, and no length is asked for.
    check(unsafe {
        call_unsafe_wdf_function_binding!(
            WdfRequestRetrieveInputBuffer,
            request,
            size_of::<u32>(),
            &raw mut buffer,
            null_mut()
        )
    })?;
    // SAFETY: the framework gave at least four bytes, of any alignment.
    Ok(unsafe { buffer.cast::<u32>().read_unaligned() })
}

fn output(request: WDFREQUEST, values: [u64; 3]) -> Result<usize, NTSTATUS> {
    let mut buffer: PVOID = null_mut();
    // SAFETY: the request is not completed yet; the pointer is to a local, and no length is asked for.
    check(unsafe {
        call_unsafe_wdf_function_binding!(
            WdfRequestRetrieveOutputBuffer,
            request,
            size_of::<[u64; 3]>(),
            &raw mut buffer,
            null_mut()
        )
    })?;
    // SAFETY: the framework gave at least 24 bytes, of any alignment.
    unsafe { buffer.cast::<[u64; 3]>().write_unaligned(values) };
    Ok(size_of::<[u64; 3]>())
}
