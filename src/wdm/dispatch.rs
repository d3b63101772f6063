//! The dispatch callback of IRP_MJ_DEVICE_CONTROL: CALL and HOLD are handled here, in the requesting thread
//! and ahead of the framework's critical region. Everything else goes on to the framework.

use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicU32, Ordering};

use apclab_guards::Passive;
use apclab_protocol::ioctl;
use apclab_protocol::status::{INVALID_PARAMETER, NtStatus};
use wdk_sys::{
    IRP_MJ_DEVICE_CONTROL, NTSTATUS, PASSIVE_LEVEL, PIRP, UCHAR, ULONG, WDFCONTEXT, WDFDEVICE,
    call_unsafe_wdf_function_binding, ntddk,
};

use super::irp::Irp;
use crate::calls;
use crate::device;
use crate::nt::event::delay;

/// Has the framework call the dispatch callback. In `EvtDriverDeviceAdd`, once the device exists.
///
/// # Errors
/// What `WdfDeviceConfigureWdmIrpDispatchCallback` failed with.
pub(crate) fn configure(device: WDFDEVICE) -> Result<(), NtStatus> {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "major functions are below 28"
    )]
    // SAFETY: the device is live and has not started; the callback is this driver's own, and the two
    // pointers are ones that may be null.
    let status = unsafe {
        call_unsafe_wdf_function_binding!(
            WdfDeviceConfigureWdmIrpDispatchCallback,
            device,
            null_mut(),
            IRP_MJ_DEVICE_CONTROL as u8,
            Some(dispatch),
            null_mut()
        )
    };
    if wdk::nt_success(status) {
        Ok(())
    } else {
        Err(status)
    }
}

/// Threads in this driver's part of a request.
///
/// Nothing else keeps the code when the request has been completed and its handle closed, and a thread that is
/// suspended on its way out is there for as long as it stays so: completing, and leaving a lock, lower the IRQL
/// or leave a region, and there a suspension comes that was waiting.
static INSIDE: AtomicU32 = AtomicU32::new(0);

/// Counts the thread that made it, while it lives.
struct Inside;

impl Inside {
    fn enter() -> Self {
        INSIDE.fetch_add(1, Ordering::AcqRel);
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Waits until no thread is in the driver's part of a request, as a driver that has a remove lock waits
/// (`IoReleaseRemoveLockAndWait`): for as long as user mode has one suspended there, just as it could keep
/// the handle open. The device is being removed, so that no thread comes in any more.
pub(crate) fn await_leaving(irql: &Passive) {
    const SLICE_MS: u32 = 20;
    while INSIDE.load(Ordering::Acquire) != 0 {
        delay(SLICE_MS, irql);
    }
}

/// `EvtDeviceWdmIrpDispatch`. IRQL <= DISPATCH_LEVEL, and PASSIVE_LEVEL for every request of user mode.
unsafe extern "C" fn dispatch(
    device: WDFDEVICE,
    _major: UCHAR,
    _minor: UCHAR,
    code: ULONG,
    _driver_context: WDFCONTEXT,
    irp: PIRP,
    context: WDFCONTEXT,
) -> NTSTATUS {
    let _inside = Inside::enter();
    if !matches!(code, ioctl::CALL | ioctl::HOLD) {
        // SAFETY: device, IRP and context are those that the framework gave; the IRP is given back.
        return unsafe {
            call_unsafe_wdf_function_binding!(WdfDeviceWdmDispatchIrp, device, irp, context)
        };
    }
    let Some(irp) = NonNull::new(irp) else {
        return INVALID_PARAMETER;
    };
    // SAFETY: the framework delivered the IRP, and this is its one owner.
    let irp = unsafe { Irp::delivered(irp) };
    // SAFETY: no preconditions.
    let current = unsafe { ntddk::KeGetCurrentIrql() };
    if u32::from(current) != PASSIVE_LEVEL {
        return irp.complete(INVALID_PARAMETER, 0);
    }
    // SAFETY: the IRQL was just read; this is the activation's only token.
    let mut irql = unsafe { Passive::assume() };
    // SAFETY: a device is not cleaned up before its requests are completed.
    match unsafe { device::state(device) } {
        Some(device) => calls::handle(device, code, irp, &mut irql),
        None => irp.complete(INVALID_PARAMETER, 0),
    }
}
