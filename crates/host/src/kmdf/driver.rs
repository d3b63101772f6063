//! The driver object.

use super::attributes::Attributes;
use super::object::Kind;
use crate::dispatch::{Arguments, Export, Fault};
use crate::status;
use crate::thread::Thread;

pub(super) const FUNCTIONS: &[Export] =
    &[Export::plain("WdfDriverCreate", create)
        .fallible(status::word(status::INSUFFICIENT_RESOURCES))];

/// The offset of DriverUnload in DRIVER_OBJECT on x64.
pub(crate) const DRIVER_UNLOAD: u64 = 0x68;

/// The framework's driver.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) device_add: u64,
    pub(super) unload: u64,
}

/// `WdfDriverCreate(DriverObject, RegistryPath, DriverAttributes, DriverConfig, Driver)`.
fn create(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    /// The size of WDF_DRIVER_CONFIG.
    const CONFIG: u32 = 32;
    let (object, config, place) = (arguments.word(1), arguments.word(4), arguments.word(5));
    let mut state = thread.lock();
    if state.memory.read_u32(config)? != CONFIG {
        return Ok(status::word(status::INFO_LENGTH_MISMATCH));
    }
    if state.framework.driver.is_some() {
        return Ok(status::word(status::INVALID_DEVICE_STATE));
    }
    let attributes = match Attributes::read(&state.memory, arguments.word(3))? {
        Ok(attributes) if attributes.parent == 0 => attributes,
        Ok(_) => return Ok(status::word(status::INVALID_PARAMETER)),
        Err(refused) => return Ok(status::word(refused)),
    };
    let driver = Driver {
        device_add: state.memory.read_u64(config.wrapping_add(8))?,
        unload: state.memory.read_u64(config.wrapping_add(16))?,
    };
    let handle = thread.machine.opaque();
    let kind = Kind::Driver(driver);
    let created = state.create_object(handle, kind, &attributes, None, "WdfDriverCreate")?;
    if let Err(refused) = created {
        return Ok(status::word(refused));
    }
    state.framework.driver = Some(handle);
    if let Some(globals) = state.framework.globals {
        state.memory.write_u64(globals, handle)?;
    }
    let unload = state.framework.unload_thunk;
    state
        .memory
        .write_u64(object.wrapping_add(DRIVER_UNLOAD), unload)?;
    if place != 0 {
        state.memory.write_u64(place, handle)?;
    }
    Ok(status::word(status::SUCCESS))
}

/// The framework's DriverUnload: the driver's callback, then the deletion of what is left.
pub(crate) const UNLOAD: Export = Export::plain("FxDriverUnload", |thread, _| {
    let (driver, callback) = {
        let mut state = thread.lock();
        state.framework.unloaded = true;
        let Some(handle) = state.framework.driver else {
            return Ok(0);
        };
        let callback = match &state.framework.get(handle, "FxDriverUnload")?.kind {
            Kind::Driver(driver) => driver.unload,
            _ => 0,
        };
        (handle, callback)
    };
    if callback != 0 {
        thread.callback("EvtDriverUnload", callback, &[driver])?;
    }
    thread.delete_object(driver)?;
    thread.lock().framework.driver = None;
    Ok(0)
});
