//! Queues, of the parallel kind, and the dispatch of IOCTLs.

use std::collections::VecDeque;

use super::attributes::Attributes;
use super::device::device;
use super::object::{Kind, bad_handle};
use super::request::{Request, Stage};
use crate::bugcheck;
use crate::dispatch::{Arguments, Export, Fault};
use crate::io::Major;
use crate::status;
use crate::thread::Thread;

pub(super) const FUNCTIONS: &[Export] = &[
    Export::plain("WdfIoQueueCreate", create)
        .fallible(status::word(status::INSUFFICIENT_RESOURCES)),
    Export::plain("WdfIoQueueGetDevice", get_device),
];

/// A queue.
#[derive(Debug)]
pub(super) struct Queue {
    device: u64,
    pub(super) default: bool,
    pub(super) power_managed: bool,
    device_control: u64,
    any: u64,
    pub(super) stop: u64,
    cancelled: u64,
    /// Requests that wait for the device to work.
    pub(super) waiting: VecDeque<u64>,
}

/// `WdfIoQueueCreate(Device, Config, QueueAttributes, Queue)`.
fn create(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    const ROUTINE: &str = "WdfIoQueueCreate";
    const PARALLEL: u32 = 2;
    let (handle, config) = (arguments.word(1), arguments.word(2));
    let mut state = thread.lock();
    if state.memory.read_u32(config)? != 96 {
        return Ok(status::word(status::INFO_LENGTH_MISMATCH));
    }
    let kind = state.memory.read_u32(config.wrapping_add(4))?;
    if kind != PARALLEL {
        let reason = format!("{ROUTINE}: the host has parallel queues only, not kind {kind}");
        return Err(bugcheck::wdf(0, 0, 0, reason).into());
    }
    let attributes = match Attributes::read(&state.memory, arguments.word(3))? {
        Ok(attributes) => attributes,
        Err(refused) => return Ok(status::word(refused)),
    };
    let default = state.memory.read_u8(config.wrapping_add(13))? != 0;
    let word = |offset: u64| state.memory.read_u64(config.wrapping_add(offset));
    let queue = Queue {
        device: handle,
        default,
        // WdfUseDefault is true for a device that is no filter.
        power_managed: state.memory.read_u32(config.wrapping_add(8))? != 0,
        device_control: word(40)?,
        any: word(16)?,
        stop: word(56)?,
        cancelled: word(72)?,
        waiting: VecDeque::new(),
    };
    if queue.device_control == 0 && queue.any == 0 {
        return Ok(status::word(status::INVALID_PARAMETER));
    }
    if default && device(&mut state, handle, ROUTINE)?.default_queue.is_some() {
        return Ok(status::word(status::UNSUCCESSFUL));
    }
    device(&mut state, handle, ROUTINE)?;
    let object = thread.machine.opaque();
    let created = state.create_object(
        object,
        Kind::Queue(queue),
        &attributes,
        Some(handle),
        ROUTINE,
    )?;
    if let Err(refused) = created {
        return Ok(status::word(refused));
    }
    if default {
        device(&mut state, handle, ROUTINE)?.default_queue = Some(object);
    }
    if arguments.word(4) != 0 {
        state.memory.write_u64(arguments.word(4), object)?;
    }
    Ok(status::word(status::SUCCESS))
}

fn get_device(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    const ROUTINE: &str = "WdfIoQueueGetDevice";
    let handle = arguments.word(1);
    match &thread.lock().framework.get(handle, ROUTINE)?.kind {
        Kind::Queue(queue) => Ok(queue.device),
        _ => Err(bad_handle(handle, "WDFQUEUE", ROUTINE).into()),
    }
}

impl Thread {
    /// The framework's own dispatch of the request `irp`, which is completed now or later. Gives
    /// the status that the dispatch routine returns.
    pub(super) fn dispatch_to_queue(&self, irp: u64) -> Result<i32, Fault> {
        const ROUTINE: &str = "IRP_MJ_DEVICE_CONTROL";
        let refuse = |status| self.finish_irp(irp, status, 0).map(|()| status);
        self.in_region(|| {
            let mut state = self.lock();
            let Some(handle) = state.framework.device else {
                drop(state);
                return refuse(status::NO_SUCH_DEVICE);
            };
            let device = device(&mut state, handle, ROUTINE)?;
            let (queue, working) = (device.default_queue, device.working);
            let attributes = device.request_attributes();
            let removed = device.removed;
            let Some(queue) = queue else {
                drop(state);
                return refuse(status::INVALID_DEVICE_REQUEST);
            };
            // Other queues are purged when the last handle is closed.
            if removed
                && matches!(&state.framework.get(queue, ROUTINE)?.kind, Kind::Queue(queue) if queue.power_managed)
            {
                drop(state);
                return refuse(status::NO_SUCH_DEVICE);
            }
            let file = state.io.irps.get(&irp).map(|irp| irp.file);
            let file = file
                .and_then(|file| state.io.files.get(&file))
                .and_then(|file| file.object);
            let kind = Kind::Request(Request::new(irp, Some(queue), file));
            let request = self.machine.opaque();
            let created = state.create_object(request, kind, &attributes, Some(queue), ROUTINE)?;
            if let Err(refused) = created {
                drop(state);
                return refuse(refused);
            }
            if let Some(entry) = state.io.irps.get_mut(&irp) {
                entry.request = Some(request);
                // The framework marks every request that goes to a queue.
                entry.pending = true;
                let packet = entry.wdm.as_ref().and_then(|wdm| wdm.address);
                packet.map_or(Ok(()), |packet| state.mark_pending(packet))?;
            }
            let Kind::Queue(entry) = &mut state.framework.get_mut(queue, ROUTINE)?.kind else {
                return Err(bad_handle(queue, "WDFQUEUE", ROUTINE).into());
            };
            if entry.power_managed && !working {
                entry.waiting.push_back(request);
                return Ok(status::PENDING);
            }
            drop(state);
            self.present(queue, request)?;
            Ok(status::PENDING)
        })
    }

    /// Gives a request to the driver.
    fn present(&self, queue: u64, request: u64) -> Result<(), Fault> {
        const ROUTINE: &str = "EvtIoDeviceControl";
        let mut state = self.lock();
        let Kind::Request(entry) = &mut state.framework.get_mut(request, ROUTINE)?.kind else {
            return Err(bad_handle(request, "WDFREQUEST", ROUTINE).into());
        };
        entry.stage = Stage::Owned;
        let irp = entry.irp;
        let major = state.io.irps.get(&irp).map(|irp| irp.major);
        let Some(Major::Control {
            code,
            input,
            output,
        }) = major
        else {
            return Err(bad_handle(request, "WDFREQUEST", ROUTINE).into());
        };
        let Kind::Queue(entry) = &state.framework.get(queue, ROUTINE)?.kind else {
            return Err(bad_handle(queue, "WDFQUEUE", ROUTINE).into());
        };
        let (control, any) = (entry.device_control, entry.any);
        drop(state);
        if control == 0 {
            return self
                .callback("EvtIoDefault", any, &[queue, request])
                .map(drop);
        }
        let arguments = [queue, request, output as u64, input as u64, u64::from(code)];
        self.callback(ROUTINE, control, &arguments).map(drop)
    }

    /// The device works: gives the driver what waited for that.
    pub(super) fn present_waiting(&self, queue: u64) -> Result<(), Fault> {
        loop {
            let next = match &mut self.lock().framework.get_mut(queue, "queue start")?.kind {
                Kind::Queue(entry) => entry.waiting.pop_front(),
                _ => None,
            };
            match next {
                Some(request) => self.present(queue, request)?,
                None => return Ok(()),
            }
        }
    }

    /// Cancels the requests of a file that the driver has not got yet; 0 for those of all files.
    pub(super) fn cancel_queued(&self, file: u64) -> Result<(), Fault> {
        let waiting: Vec<(u64, u64)> = {
            let state = self.lock();
            let objects = &state.framework.objects;
            let mut found = Vec::new();
            for (handle, object) in objects {
                let Kind::Queue(queue) = &object.kind else {
                    continue;
                };
                for request in &queue.waiting {
                    let of_file = match objects.get(request).map(|object| &object.kind) {
                        Some(Kind::Request(request)) => request.file == Some(file),
                        _ => false,
                    };
                    if file == 0 || of_file {
                        found.push((*handle, *request));
                    }
                }
            }
            found
        };
        for (queue, request) in waiting {
            self.cancel_waiting(queue, request)?;
        }
        Ok(())
    }

    /// Cancels a request that waits in a queue.
    pub(super) fn cancel_waiting(&self, queue: u64, request: u64) -> Result<(), Fault> {
        let callback = {
            let mut state = self.lock();
            let Kind::Queue(entry) = &mut state.framework.get_mut(queue, "cancel")?.kind else {
                return Err(bad_handle(queue, "WDFQUEUE", "cancel").into());
            };
            let before = entry.waiting.len();
            entry.waiting.retain(|waiting| *waiting != request);
            if entry.waiting.len() == before {
                return Ok(());
            }
            let callback = entry.cancelled;
            if let Kind::Request(entry) = &mut state.framework.get_mut(request, "cancel")?.kind {
                entry.stage = Stage::Owned;
            }
            callback
        };
        if callback == 0 {
            return self.complete(request, status::CANCELLED, 0, "cancel");
        }
        self.callback("EvtIoCanceledOnQueue", callback, &[queue, request])
            .map(drop)
    }
}
