//! File objects: create, cleanup and close.

use super::device::device;
use super::object::{Kind, bad_handle};
use super::request::Request;
use crate::dispatch::{Arguments, Export, Fault};
use crate::status;
use crate::thread::Thread;

pub(super) const FUNCTIONS: &[Export] = &[
    Export::plain("WdfFileObjectGetDevice", get_device),
    Export::plain("WdfFileObjectWdmGetFileObject", wdm_file_object),
];

/// A file object.
#[derive(Debug)]
pub(super) struct FileObject {
    device: u64,
}

fn get_device(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    const ROUTINE: &str = "WdfFileObjectGetDevice";
    let handle = arguments.word(1);
    match &thread.lock().framework.get(handle, ROUTINE)?.kind {
        Kind::File(file) => Ok(file.device),
        _ => Err(bad_handle(handle, "WDFFILEOBJECT", ROUTINE).into()),
    }
}

/// `WdfFileObjectWdmGetFileObject(FileObject)`: what IO_STACK_LOCATION.FileObject of its requests is.
fn wdm_file_object(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    const ROUTINE: &str = "WdfFileObjectWdmGetFileObject";
    let handle = arguments.word(1);
    let state = thread.lock();
    if !matches!(state.framework.get(handle, ROUTINE)?.kind, Kind::File(_)) {
        return Err(bad_handle(handle, "WDFFILEOBJECT", ROUTINE).into());
    }
    let mut files = state.io.files.values();
    let file = files.find(|file| file.object == Some(handle));
    Ok(file.map_or(0, |file| file.address))
}

impl Thread {
    /// IRP_MJ_CREATE of the request `irp`, which is completed now or later.
    pub(crate) fn dispatch_create(&self, irp: u64) -> Result<(), Fault> {
        const ROUTINE: &str = "IRP_MJ_CREATE";
        self.in_region(|| {
            let prepared = {
                let mut state = self.lock();
                let file = state.io.irps.get(&irp).map(|irp| irp.file);
                let handle = state.framework.device;
                let (Some(file), Some(handle)) = (file, handle) else {
                    drop(state);
                    return self.finish_irp(irp, status::NO_SUCH_DEVICE, 0);
                };
                let device = device(&mut state, handle, ROUTINE)?;
                if device.removed || !device.working {
                    drop(state);
                    return self.finish_irp(irp, status::NO_SUCH_DEVICE, 0);
                }
                let callbacks = device.file_callbacks();
                let (of_file, of_request) = (device.file_attributes(), device.request_attributes());
                let object = self.machine.opaque();
                let kind = Kind::File(FileObject { device: handle });
                let object =
                    match state.create_object(object, kind, &of_file, Some(handle), ROUTINE)? {
                        Ok(object) => object,
                        Err(refused) => {
                            drop(state);
                            return self.finish_irp(irp, refused, 0);
                        }
                    };
                if let Some(entry) = state.io.files.get_mut(&file) {
                    entry.object = Some(object);
                }
                if callbacks.create == 0 {
                    None
                } else {
                    let request = self.machine.opaque();
                    let kind = Kind::Request(Request::new(irp, None, Some(object)));
                    let created =
                        state.create_object(request, kind, &of_request, Some(handle), ROUTINE)?;
                    if let Err(refused) = created {
                        drop(state);
                        return self.finish_irp(irp, refused, 0);
                    }
                    if let Some(entry) = state.io.irps.get_mut(&irp) {
                        entry.request = Some(request);
                    }
                    Some((callbacks.create, [handle, request, object]))
                }
            };
            match prepared {
                None => self.finish_irp(irp, status::SUCCESS, 0),
                Some((callback, arguments)) => self
                    .callback("EvtDeviceFileCreate", callback, &arguments)
                    .map(drop),
            }
        })
    }

    /// The file could not be opened: its object goes without EvtFileClose.
    pub(crate) fn discard_file(&self, file: u64) -> Result<(), Fault> {
        let object = self
            .lock()
            .io
            .files
            .remove(&file)
            .and_then(|file| file.object);
        match object {
            Some(object) => self.delete_object(object),
            None => Ok(()),
        }
    }

    /// IRP_MJ_CLEANUP. Says whether IRP_MJ_CLOSE can follow at once.
    pub(crate) fn dispatch_cleanup(&self, file: u64) -> Result<bool, Fault> {
        self.in_region(|| {
            let (object, callback) = self.file_callback(file, |callbacks| callbacks.cleanup)?;
            if callback != 0 {
                self.callback("EvtFileCleanup", callback, &[object])?;
            }
            self.cancel_queued(object)?;
            let mut state = self.lock();
            let Some(entry) = state.io.files.get_mut(&file) else {
                return Ok(false);
            };
            entry.cleaned = true;
            Ok(entry.outstanding == 0)
        })
    }

    /// IRP_MJ_CLOSE.
    pub(crate) fn dispatch_close(&self, file: u64) -> Result<(), Fault> {
        self.in_region(|| {
            let (object, callback) = self.file_callback(file, |callbacks| callbacks.close)?;
            if callback != 0 {
                self.callback("EvtFileClose", callback, &[object])?;
            }
            if object != 0 {
                self.delete_object(object)?;
            }
            self.lock().io.files.remove(&file);
            self.machine.callers.notify_all();
            Ok(())
        })
    }

    fn file_callback(
        &self,
        file: u64,
        which: impl Fn(&super::device::FileCallbacks) -> u64,
    ) -> Result<(u64, u64), Fault> {
        let mut state = self.lock();
        let object = state
            .io
            .files
            .get(&file)
            .and_then(|file| file.object)
            .unwrap_or(0);
        let Some(handle) = state.framework.device else {
            return Ok((object, 0));
        };
        let callbacks = device(&mut state, handle, "IRP_MJ_CLOSE")?.file_callbacks();
        Ok((object, if object == 0 { 0 } else { which(&callbacks) }))
    }
}
