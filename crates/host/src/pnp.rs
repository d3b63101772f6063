//! The life of the driver: loaded, started, removed, unloaded, and what it left behind.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::Options;
use crate::bindings;
use crate::dispatch::Fault;
use crate::exports::SYSTEM_THREAD;
use crate::image::{Image, LoadError};
use crate::kmdf::{DRIVER_UNLOAD, Power};
use crate::machine::{Machine, SYSTEM_PROCESS, State};
use crate::memory::tag_text;
use crate::report::{HostError, Leak, StartError, StopReport};
use crate::status;
use crate::thread::{Role, Thread};

/// The size of DRIVER_OBJECT on x64.
const DRIVER_OBJECT: usize = 0x150;
/// The registry path that the driver is started with.
const REGISTRY_PATH: &str = "\\Registry\\Machine\\System\\CurrentControlSet\\Services\\apclab";

/// A started driver.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) machine: Arc<Machine>,
    /// The address of the driver object.
    object: u64,
}

/// Loads the driver and starts a device of it.
pub(crate) fn start(options: Options) -> Result<Driver, StartError> {
    let path = options.driver.clone();
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(source) => return Err(StartError::Read { path, source }),
    };
    let resources = |error: std::io::Error| HostError::Resources(error.to_string());
    let machine = bindings::machine(options).map_err(resources)?;
    let image = Image::load(&bytes, &mut |dll, name| machine.find_import(dll, name));
    let image = Arc::new(image.map_err(|error| match error {
        LoadError::Image(reason) => StartError::Image { path, reason },
        LoadError::MissingImport { dll, function } => StartError::MissingImport { dll, function },
    })?);
    machine.lock().memory.set_image(Arc::clone(&image));
    let entry = image.entry();
    drop(machine.image.set(image));

    let objects = machine.system_call(SYSTEM_PROCESS, "the driver object", |thread| {
        driver_object(&thread.machine)
    })?;
    let (object, path) = objects;
    let driver = Driver { machine, object };
    let result = driver
        .entry(entry, path)
        .and_then(|()| driver.start_device());
    if result.is_err() {
        let mut state = driver.machine.lock();
        driver.machine.halt(&mut state);
    }
    result.map(|()| driver)
}

/// Makes the driver object and the registry path, which the entry point is given.
fn driver_object(machine: &Machine) -> Result<(u64, u64), Fault> {
    let units: Vec<u8> = REGISTRY_PATH
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let buffer = machine.give(&units)?;
    let length = u16::try_from(units.len()).unwrap_or(0).to_le_bytes();
    let mut string = [0; 16];
    string[..2].copy_from_slice(&length);
    string[2..4].copy_from_slice(&length);
    string[8..].copy_from_slice(&buffer.to_le_bytes());
    let path = machine.give(&string)?;
    let mut image = [0; DRIVER_OBJECT];
    // IO_TYPE_DRIVER and the size; the extension, which AddDevice is written to, at 0x30.
    image[0] = 4;
    image[2..4].copy_from_slice(&u16::try_from(DRIVER_OBJECT).unwrap_or(0).to_le_bytes());
    let extension = machine.give(&[0; 0x50])?;
    image[0x30..0x38].copy_from_slice(&extension.to_le_bytes());
    Ok((machine.give(&image)?, path))
}

impl Driver {
    /// One step of the start: a status that is an error stops it.
    fn step(
        &self,
        step: &'static str,
        work: impl FnOnce(&Thread) -> Result<i32, Fault> + Send + 'static,
    ) -> Result<(), StartError> {
        let status = self.machine.system_call(SYSTEM_PROCESS, step, work)?;
        if status::is_success(status) {
            Ok(())
        } else {
            Err(StartError::Status { step, status })
        }
    }

    fn entry(&self, entry: u64, path: u64) -> Result<(), StartError> {
        let object = self.object;
        let entered = self.step("DriverEntry", move |thread| {
            let result = thread.call(entry, &[object, path])?;
            Ok(status::from_word(result))
        });
        if let Err(error @ StartError::Status { .. }) = entered {
            // A driver that does not start must have cleaned up after itself.
            self.check_unloaded()?;
            return Err(error);
        }
        entered
    }

    fn start_device(&self) -> Result<(), StartError> {
        if let Err(error) = self.step("EvtDriverDeviceAdd", Thread::add_device) {
            return Err(self.undo(&[], error));
        }
        if let Err(error) = self.step("EvtDevicePrepareHardware", |thread| {
            thread.power(Power::PrepareHardware)
        }) {
            return Err(self.undo(&[Power::ReleaseHardware], error));
        }
        let entered = self.step("EvtDeviceD0Entry", |thread| {
            let result = thread.power(Power::D0Entry)?;
            if !status::is_success(result) {
                return Ok(result);
            }
            thread.power(Power::D0EntryPostInterruptsEnabled)
        });
        if let Err(error) = entered {
            return Err(self.undo(&[Power::ReleaseHardware], error));
        }
        self.step("the start of the queues", |thread| {
            thread.set_working(true)?;
            Ok(status::SUCCESS)
        })?;
        let initialised = self.step("EvtDeviceSelfManagedIoInit", |thread| {
            thread.power(Power::SelfManagedIoInit)
        });
        if let Err(error) = initialised {
            let undo = [
                Power::D0ExitPreInterruptsDisabled,
                Power::D0Exit,
                Power::ReleaseHardware,
                Power::SelfManagedIoFlush,
                Power::SelfManagedIoCleanup,
            ];
            return Err(self.undo(&undo, error));
        }
        Ok(())
    }

    /// Takes a start back that failed with `error`; what goes wrong doing so counts more.
    fn undo(&self, callbacks: &[Power], error: StartError) -> StartError {
        if let StartError::Failed(_) = error {
            return error;
        }
        let undone = self
            .power_all(callbacks)
            .and_then(|()| self.unload())
            .map(drop);
        undone.err().map_or(error, StartError::Failed)
    }

    fn power_all(&self, callbacks: &[Power]) -> Result<(), HostError> {
        for &callback in callbacks {
            self.machine
                .system_call(SYSTEM_PROCESS, "a power callback", move |thread| {
                    thread.power(callback)
                })?;
        }
        Ok(())
    }

    /// Asks the driver whether the device may be removed.
    pub(crate) fn query_remove(&self) -> Result<(), HostError> {
        let query = |thread: &Thread| thread.power(Power::QueryRemove);
        let answer = self
            .machine
            .system_call(SYSTEM_PROCESS, "EvtDeviceQueryRemove", query)?;
        if status::is_success(answer) {
            return Ok(());
        }
        Err(HostError::Unload(format!(
            "EvtDeviceQueryRemove refused with {answer:#010x}"
        )))
    }

    /// Takes the device out of D0, in the order of the pages "A User Unplugs a Device" and
    /// "Surprise-Removal Sequence": the requests of power-managed queues end first. Those of other
    /// queues, and those that the driver's dispatch callback has kept, go on until the driver ends
    /// them, and new ones may come as long as handles are open.
    pub(crate) fn power_down(&self, surprise: bool) -> Result<(), HostError> {
        if surprise {
            self.power_all(&[Power::SurpriseRemoval])?;
        }
        self.power_all(&[Power::SelfManagedIoSuspend])?;
        let what = "the end of the power-managed queues";
        self.machine
            .system_call(SYSTEM_PROCESS, what, Thread::purge_managed)?;
        let timeout = self.machine.options.answer_deadline;
        self.machine.await_state(timeout, what, |state| {
            (!state.any_managed_outstanding()).then_some(())
        })?;
        self.power_all(&[Power::D0ExitPreInterruptsDisabled])?;
        self.machine
            .system_call(SYSTEM_PROCESS, "the end of the queues", |thread| {
                thread.set_working(false)
            })?;
        self.power_all(&[
            Power::D0Exit,
            Power::ReleaseHardware,
            Power::SelfManagedIoFlush,
        ])
    }

    /// The device has left D0 and its last handle is closed: what is left of its requests ends.
    pub(crate) fn remove(&self) -> Result<(), HostError> {
        let timeout = self.machine.options.answer_deadline;
        self.machine
            .await_state(timeout, "the requests that the driver has", |state| {
                (!state.io.any_outstanding()).then_some(())
            })?;
        self.power_all(&[Power::SelfManagedIoCleanup])
    }

    /// Deletes the device, unloads the driver and looks for what it left.
    pub(crate) fn unload(&self) -> Result<StopReport, HostError> {
        let remove = Thread::remove_device;
        self.machine
            .system_call(SYSTEM_PROCESS, "the deletion of the device", remove)?;
        let object = self.object;
        let had = self
            .machine
            .system_call(SYSTEM_PROCESS, "DriverUnload", move |thread| {
                let unload = thread.lock().memory.read_u64(object + DRIVER_UNLOAD)?;
                if unload != 0 {
                    thread.call(unload, &[object])?;
                }
                Ok(unload != 0)
            })?;
        if !had {
            return Err(HostError::Unload(
                "the driver has no DriverUnload routine".to_owned(),
            ));
        }
        self.check_left()?;
        if !self.machine.lock().framework.unloaded {
            let reason = "the driver's unload routine did not call the framework's".to_owned();
            return Err(HostError::Unload(reason));
        }
        self.check_unloaded()
    }

    /// No thread may be in the driver's code when that goes, as one is that is suspended there. The
    /// driver's own threads are leaks then.
    fn check_left(&self) -> Result<(), HostError> {
        /// Those on their way out need no longer.
        const LEAVING: Duration = Duration::from_millis(50);
        let inside = |state: &State| {
            let mut threads = state.threads.values();
            let inside = threads.find(|shared| {
                shared.role != Role::System && shared.serving.load(Ordering::SeqCst)
            });
            inside.map(|shared| shared.name.clone())
        };
        let left = self
            .machine
            .await_state(LEAVING, "the last thread in the driver", |state| {
                inside(state).is_none().then_some(())
            });
        match left {
            Err(HostError::NoAnswer(_)) => {
                let name = inside(&self.machine.lock()).unwrap_or_default();
                let reason = format!("the thread {name} is still in the code of the driver");
                Err(HostError::Unload(reason))
            }
            left => left,
        }
    }

    fn check_unloaded(&self) -> Result<StopReport, HostError> {
        let state = self.machine.lock();
        if self.machine.stopped() {
            return Err(state.error());
        }
        let pool = state.memory.pool.of_driver().map(|(_, block)| Leak::Pool {
            tag: tag_text(block.tag),
            size: block.size,
            site: state.memory.code_name(block.caller),
        });
        let mut leaks: Vec<Leak> = pool.collect();
        leaks.extend(state.objects.leaks(|name| name.starts_with(SYSTEM_THREAD)));
        leaks.extend(state.framework.leaks());
        if !leaks.is_empty() {
            return Err(HostError::Leaks(leaks));
        }
        if state.framework.globals.is_some() {
            return Err(HostError::Unload(
                "WdfVersionUnbind was not called".to_owned(),
            ));
        }
        Ok(StopReport {
            allocations: state.memory.pool.requests,
            fallible_calls: state.failures.calls,
            threads: state.created,
            deepest_stack: state.deepest_stack,
            log: state.log.clone(),
        })
    }
}
