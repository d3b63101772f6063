//! WDM dispatch callbacks: the driver sees IRPs ahead of the framework, outside of its region.

use apclab_model::kernel::{Baseline, DISPATCH_LEVEL};

use super::device::device;
use super::object::bad_handle;
use crate::bugcheck;
use crate::dispatch::{Arguments, Export, Fault};
use crate::io::Major;
use crate::irp::{DEVICE_CONTROL, Fate};
use crate::status;
use crate::thread::Thread;

pub(super) const FUNCTIONS: &[Export] = &[
    Export::plain("WdfDeviceConfigureWdmIrpDispatchCallback", configure)
        .fallible(status::word(status::INSUFFICIENT_RESOURCES)),
    Export::rule("WdfDeviceWdmDispatchIrp", pass_on),
];

/// A callback that sees the IRPs of one major function first.
#[derive(Clone, Copy, Debug)]
pub(super) struct WdmDispatch {
    routine: u64,
    context: u64,
}

/// `WdfDeviceConfigureWdmIrpDispatchCallback(Device, Driver, MajorFunction, EvtDeviceWdmIrpDispatch,
/// DriverContext)`.
fn configure(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    const ROUTINE: &str = "WdfDeviceConfigureWdmIrpDispatchCallback";
    /// IRP_MJ_READ, IRP_MJ_WRITE and IRP_MJ_INTERNAL_DEVICE_CONTROL, which no request here has.
    const OTHERS: [u8; 3] = [0x03, 0x04, 0x0F];
    let mut state = thread.lock();
    let driver = arguments.word(2);
    if driver != 0 && state.framework.driver != Some(driver) {
        return Err(bad_handle(driver, "WDFDRIVER", ROUTINE).into());
    }
    let device = device(&mut state, arguments.word(1), ROUTINE)?;
    let (major, routine) = (arguments.byte(3), arguments.word(4));
    if routine == 0 || (major != DEVICE_CONTROL && !OTHERS.contains(&major)) {
        return Ok(status::word(status::INVALID_PARAMETER));
    }
    if major == DEVICE_CONTROL {
        let context = arguments.word(5);
        device.wdm_dispatch = Some(WdmDispatch { routine, context });
    }
    Ok(status::word(status::SUCCESS))
}

/// `WdfDeviceWdmDispatchIrp(Device, Irp, DispatchContext)`: the framework goes on with the IRP.
fn pass_on(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    const ROUTINE: &str = "WdfDeviceWdmDispatchIrp";
    let address = arguments.word(2);
    let id = {
        let mut state = thread.lock();
        device(&mut state, arguments.word(1), ROUTINE)?;
        let id = state.find_irp(address);
        let irp = id.and_then(|id| state.io.irps.get_mut(&id));
        let wdm = irp.and_then(|irp| irp.wdm.as_mut());
        let wdm = wdm.filter(|wdm| wdm.fate == Fate::Driver && wdm.context == arguments.word(3));
        let (Some(id), Some(wdm)) = (id, wdm) else {
            let what = "IRP of the dispatch callback that runs, with its context";
            return Err(bad_handle(address, what, ROUTINE).into());
        };
        wdm.fate = Fate::Framework(None);
        id
    };
    let status = thread.dispatch_to_queue(id)?;
    if let Some(irp) = thread.lock().io.irps.get_mut(&id)
        && let Some(wdm) = &mut irp.wdm
    {
        wdm.fate = Fate::Framework(Some(status));
    }
    Ok(status::word(status))
}

/// CombinedApcDisable: KernelApcDisable is the low half.
fn combined(counters: Baseline) -> u64 {
    let half = |counter: i16| u64::from(counter.cast_unsigned());
    half(counters.special) << 16 | half(counters.kernel)
}

impl Thread {
    /// IRP_MJ_DEVICE_CONTROL of the request `id`, which is completed now or later.
    pub(crate) fn dispatch_control(&self, id: u64) -> Result<(), Fault> {
        let callback = {
            let mut state = self.lock();
            match state.framework.device {
                Some(handle) => {
                    let device = device(&mut state, handle, "IRP_MJ_DEVICE_CONTROL")?;
                    let object = device.wdm_object;
                    device
                        .wdm_dispatch
                        .map(|callback| (handle, object, callback))
                }
                None => None,
            }
        };
        match callback {
            Some((device, object, callback)) => self.dispatch_wdm(id, device, object, callback),
            None => self.dispatch_to_queue(id).map(drop),
        }
    }

    /// Calls the driver's dispatch callback. It must return with the counters and the IRQL that it
    /// was called with, and a status that fits what has become of the IRP.
    fn dispatch_wdm(
        &self,
        id: u64,
        device: u64,
        object: u64,
        callback: WdmDispatch,
    ) -> Result<(), Fault> {
        // The framework's own contexts have their lowest bit set as well.
        let context = id << 1 | 1;
        let mut state = self.lock();
        let irp = state.make_irp(id, context, self.shared.object, object)?;
        let code = match state.io.irps.get(&id).map(|irp| irp.major) {
            Some(Major::Control { code, .. }) => code,
            _ => 0,
        };
        let (counters, irql) = (state.kernel.counters(self.id), state.kernel.irql(self.id));
        drop(state);
        let Some(irp) = irp else {
            return self.finish_irp(id, status::INSUFFICIENT_RESOURCES, 0);
        };
        let major = u64::from(DEVICE_CONTROL);
        let (code, data) = (u64::from(code), callback.context);
        let arguments = [device, major, 0, code, data, irp, context];
        let returned = self.call(callback.routine, &arguments)?;

        let mut state = self.lock();
        let (after, level) = (state.kernel.counters(self.id), state.kernel.irql(self.id));
        if level != irql {
            let reason = format!(
                "EvtDeviceWdmIrpDispatch was called at IRQL {irql} and returned at {level}"
            );
            return Err(bugcheck::io(0x5, [object, irql.into(), level.into()], reason).into());
        }
        if after != counters {
            let reason = "EvtDeviceWdmIrpDispatch returned in more or fewer regions than it was \
                          called in";
            return Err(bugcheck::check(
                bugcheck::DRIVER_VERIFIER_DETECTED_VIOLATION,
                [0xC5, callback.routine, combined(after), combined(counters)],
                reason,
            )
            .into());
        }
        state.check_dispatch(id, status::from_word(returned))?;
        Ok(())
    }

    /// `IofCompleteRequest` of an IRP that the driver's dispatch callback has been given.
    pub(crate) fn complete_wdm(&self, address: u64) -> Result<(), Fault> {
        const ROUTINE: &str = "IofCompleteRequest";
        let (id, status, information) = {
            let mut state = self.lock();
            let irql = state.kernel.irql(self.id);
            if irql > DISPATCH_LEVEL {
                let reason = format!("{ROUTINE} was called at IRQL {irql}");
                return Err(bugcheck::io(0xE, [irql.into(), address, 0], reason).into());
            }
            let Some(id) = state.find_irp(address) else {
                let reason = format!(
                    "{ROUTINE} was given {address:#x}, which is no IRP, or one that has been \
                     completed"
                );
                let code = bugcheck::MULTIPLE_IRP_COMPLETE_REQUESTS;
                return Err(bugcheck::check(code, [address, 0, 0, 0], reason).into());
            };
            let last = state.final_irp(address)?;
            if last.status == status::PENDING || last.status == -1 {
                let reason = format!("{ROUTINE}: the IRP's status is {:#x}", last.status);
                let status = status::word(last.status);
                return Err(bugcheck::io(0x6, [status, address, 0], reason).into());
            }
            if last.cancel_routine != 0 {
                let reason = format!("{ROUTINE}: the IRP's cancel routine is still set");
                return Err(bugcheck::io(0x7, [last.cancel_routine, address, 0], reason).into());
            }
            let Some(irp) = state.io.irps.get_mut(&id) else {
                return Ok(());
            };
            let room = match irp.major {
                Major::Control { output, .. } => output as u64,
                Major::Create => 0,
            };
            let belongs = irp.wdm.as_mut().filter(|wdm| wdm.fate == Fate::Driver);
            let Some(wdm) = belongs else {
                let reason = format!("{ROUTINE}: the driver has given the IRP to the framework");
                return Err(bugcheck::verifier(0, address, reason).into());
            };
            if !status::is_error(last.status) && last.information > room {
                let reason = format!(
                    "{ROUTINE}: {} bytes of output for a buffer of {room} bytes",
                    last.information
                );
                return Err(bugcheck::verifier(0, address, reason).into());
            }
            wdm.fate = Fate::Completed {
                status: last.status,
                marked: last.marked,
            };
            irp.pending = last.marked;
            (id, last.status, last.information)
        };
        self.finish_irp(id, status, information)
    }
}
