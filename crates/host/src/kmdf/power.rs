//! The PnP and power callbacks, in the framework's order.

use super::device::device;
use super::object::{Kind, Object};
use super::request::Stage;
use crate::dispatch::Fault;
use crate::machine::State;
use crate::status;
use crate::thread::Thread;

/// The callbacks that the host calls, by their offset in WDF_PNPPOWER_EVENT_CALLBACKS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Power {
    D0Entry = 8,
    D0EntryPostInterruptsEnabled = 16,
    D0Exit = 24,
    D0ExitPreInterruptsDisabled = 32,
    PrepareHardware = 40,
    ReleaseHardware = 48,
    SelfManagedIoCleanup = 56,
    SelfManagedIoFlush = 64,
    SelfManagedIoInit = 72,
    SelfManagedIoSuspend = 80,
    SurpriseRemoval = 96,
    QueryRemove = 104,
}

impl Power {
    fn name(self) -> &'static str {
        match self {
            Self::D0Entry => "EvtDeviceD0Entry",
            Self::D0EntryPostInterruptsEnabled => "EvtDeviceD0EntryPostInterruptsEnabled",
            Self::D0Exit => "EvtDeviceD0Exit",
            Self::D0ExitPreInterruptsDisabled => "EvtDeviceD0ExitPreInterruptsDisabled",
            Self::PrepareHardware => "EvtDevicePrepareHardware",
            Self::ReleaseHardware => "EvtDeviceReleaseHardware",
            Self::SelfManagedIoCleanup => "EvtDeviceSelfManagedIoCleanup",
            Self::SelfManagedIoFlush => "EvtDeviceSelfManagedIoFlush",
            Self::SelfManagedIoInit => "EvtDeviceSelfManagedIoInit",
            Self::SelfManagedIoSuspend => "EvtDeviceSelfManagedIoSuspend",
            Self::SurpriseRemoval => "EvtDeviceSurpriseRemoval",
            Self::QueryRemove => "EvtDeviceQueryRemove",
        }
    }

    /// Whether the callback returns a status; the others return nothing.
    fn returns_status(self) -> bool {
        !matches!(
            self,
            Self::SelfManagedIoCleanup | Self::SelfManagedIoFlush | Self::SurpriseRemoval
        )
    }

    /// What follows the device in its arguments. The resource lists are handles that no function
    /// of this framework takes; D3Final is the state before the first D0 and after the last.
    fn arguments(self, device: u64) -> Vec<u64> {
        const D3_FINAL: u64 = 5;
        match self {
            Self::D0Entry
            | Self::D0EntryPostInterruptsEnabled
            | Self::D0Exit
            | Self::D0ExitPreInterruptsDisabled => vec![device, D3_FINAL],
            Self::PrepareHardware => vec![device, 0, 0],
            Self::ReleaseHardware => vec![device, 0],
            _ => vec![device],
        }
    }
}

impl Thread {
    /// Calls EvtDriverDeviceAdd for a new device. Gives the status and the callback's name.
    pub(crate) fn add_device(&self) -> Result<i32, Fault> {
        let (driver, callback, init) = {
            let mut state = self.lock();
            let Some(driver) = state.framework.driver else {
                return Ok(status::INVALID_DEVICE_STATE);
            };
            let callback = match &state.framework.get(driver, "AddDevice")?.kind {
                Kind::Driver(driver) => driver.device_add,
                _ => 0,
            };
            let init = self.machine.opaque();
            state
                .framework
                .inits
                .insert(init, super::device::DeviceInit::default());
            (driver, callback, init)
        };
        if callback == 0 {
            return Ok(status::INVALID_DEVICE_REQUEST);
        }
        let result = self.callback("EvtDriverDeviceAdd", callback, &[driver, init])?;
        let result = status::from_word(result);
        let mut state = self.lock();
        let unused = state.framework.inits.remove(&init).is_some();
        if status::is_success(result) && (unused || state.framework.device.is_none()) {
            // A function driver that succeeds without a device makes the start fail.
            return Ok(status::INVALID_DEVICE_STATE);
        }
        let device = state.framework.device;
        drop(state);
        if !status::is_success(result)
            && let Some(device) = device
        {
            self.lock().framework.device = None;
            self.delete_object(device)?;
        }
        Ok(result)
    }

    /// Calls one PnP or power callback, when the driver has it.
    pub(crate) fn power(&self, which: Power) -> Result<i32, Fault> {
        self.in_region(|| {
            let (handle, callback) = {
                let mut state = self.lock();
                let Some(handle) = state.framework.device else {
                    return Ok(status::SUCCESS);
                };
                let device = device(&mut state, handle, which.name())?;
                (handle, device.power_callback(which as usize))
            };
            if callback == 0 {
                return Ok(status::SUCCESS);
            }
            let result = self.callback(which.name(), callback, &which.arguments(handle))?;
            Ok(if which.returns_status() {
                status::from_word(result)
            } else {
                status::SUCCESS
            })
        })
    }

    /// The device works from now on, or no longer.
    pub(crate) fn set_working(&self, working: bool) -> Result<(), Fault> {
        let queues = {
            let mut state = self.lock();
            let Some(handle) = state.framework.device else {
                return Ok(());
            };
            device(&mut state, handle, "power")?.working = working;
            queues(&state)
        };
        if working {
            for queue in queues {
                self.in_region(|| self.present_waiting(queue))?;
            }
        }
        Ok(())
    }

    /// The device is being removed: power-managed queues take no new requests, and what the driver
    /// has not got yet is cancelled. Calls EvtIoStop for what it has of theirs.
    pub(crate) fn purge_managed(&self) -> Result<(), Fault> {
        /// WdfRequestStopActionPurge, and the flag for a cancelable request.
        const PURGE: u64 = 2;
        const CANCELABLE: u64 = 0x1000_0000;
        {
            let mut state = self.lock();
            let Some(handle) = state.framework.device else {
                return Ok(());
            };
            device(&mut state, handle, "removal")?.removed = true;
        }
        self.in_region(|| {
            self.cancel_queued(0)?;
            let held: Vec<(u64, u64, u64, u64)> = {
                let state = self.lock();
                let mut held = Vec::new();
                for (handle, object) in &state.framework.objects {
                    let Kind::Request(request) = &object.kind else {
                        continue;
                    };
                    let Some(queue) = request.queue else { continue };
                    let flag = match request.stage {
                        Stage::Owned | Stage::Cancelling => 0,
                        Stage::Cancelable(_) => CANCELABLE,
                        Stage::Queued | Stage::Completed => continue,
                    };
                    if let Kind::Queue(entry) = &state.framework.get(queue, "removal")?.kind
                        && entry.power_managed
                        && entry.stop != 0
                    {
                        held.push((entry.stop, queue, *handle, PURGE | flag));
                    }
                }
                held
            };
            for (callback, queue, request, action) in held {
                // The driver may have completed it meanwhile.
                match self.lock().framework.objects.get_mut(&request) {
                    Some(object) => object.references += 1,
                    None => continue,
                }
                self.callback("EvtIoStop", callback, &[queue, request, action])?;
                self.release_object(request, "EvtIoStop")?;
            }
            Ok(())
        })
    }

    /// Deletes the device.
    pub(crate) fn remove_device(&self) -> Result<(), Fault> {
        let device = self.lock().framework.device.take();
        match device {
            Some(device) => self.delete_object(device),
            None => Ok(()),
        }
    }
}

impl State {
    /// Whether a request of a power-managed queue is not completed.
    pub(crate) fn any_managed_outstanding(&self) -> bool {
        let managed = |object: &Object| {
            let Kind::Request(request) = &object.kind else {
                return false;
            };
            let queue = request
                .queue
                .and_then(|queue| self.framework.objects.get(&queue));
            let managed = matches!(queue, Some(Object { kind: Kind::Queue(queue), .. }) if queue.power_managed);
            managed && request.stage != Stage::Completed
        };
        self.framework.objects.values().any(managed)
    }
}

fn queues(state: &State) -> Vec<u64> {
    let queue = |(handle, object): (&u64, &Object)| {
        matches!(object.kind, Kind::Queue(_)).then_some(*handle)
    };
    state.framework.objects.iter().filter_map(queue).collect()
}
