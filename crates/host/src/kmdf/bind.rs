//! The loader of the framework, WDFLDR.SYS: binding a driver to the function table.

use super::names::COUNT;
use crate::bugcheck;
use crate::dispatch::{Arguments, Export, Fault};
use crate::memory::Request;
use crate::status;
use crate::thread::Thread;

/// What WDFLDR.SYS exports.
pub(crate) const LOADER: &[Export] = &[
    Export::plain("WdfVersionBind", bind).fallible(status::word(status::INSUFFICIENT_RESOURCES)),
    Export::plain("WdfVersionUnbind", unbind),
];

/// The size of WDF_BIND_INFO on x64.
const BIND_INFO: u32 = 48;
/// The size of WDF_DRIVER_GLOBALS.
const GLOBALS: usize = 56;
/// The version of the framework.
const VERSION: (u32, u32) = (1, 15);
const TAG: u32 = u32::from_le_bytes(*b"FxDr");
/// STATUS_REVISION_MISMATCH, as for a framework that is too old.
const REVISION_MISMATCH: i32 = -0x3FFF_FFA7;

/// `WdfVersionBind(DriverObject, RegistryPath, BindInfo, ComponentGlobals)`.
fn bind(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let (info, place) = (arguments.word(2), arguments.word(3));
    let mut state = thread.lock();
    let long = |offset: u64| state.memory.read_u32(info.wrapping_add(offset));
    let (size, major, minor, count) = (long(0)?, long(16)?, long(20)?, long(28)?);
    if size != BIND_INFO {
        return Ok(status::word(status::INFO_LENGTH_MISMATCH));
    }
    let name = state.memory.read_u64(info.wrapping_add(8))?;
    let component: Vec<u16> = (0..12)
        .map(|index| state.memory.read_u16(name.wrapping_add(index * 2)))
        .collect::<Result<_, _>>()?;
    if String::from_utf16_lossy(&component) != "KmdfLibrary\0" {
        return Ok(status::word(status::INVALID_PARAMETER));
    }
    if (major, minor) != VERSION || count as usize != COUNT {
        return Ok(status::word(REVISION_MISMATCH));
    }
    if state.framework.globals.is_some() {
        return Ok(status::word(status::INVALID_DEVICE_STATE));
    }
    let pool = &mut state.memory.pool;
    let table = pool.allocate(Request::system(COUNT * 8, TAG));
    let globals = pool.allocate(Request::system(GLOBALS, TAG));
    let (Some(table), Some(globals)) = (table, globals) else {
        return Ok(status::word(status::INSUFFICIENT_RESOURCES));
    };
    let mut bytes = Vec::with_capacity(COUNT * 8);
    for index in 0..COUNT {
        bytes.extend(thread.machine.framework_function(index).to_le_bytes());
    }
    state.memory.write(table, &bytes)?;
    // DriverName, then DisplaceDriverUnload: the driver's stub puts its own unload routine in
    // front of the framework's, so that it can unbind.
    state.memory.write(globals + 12, &TAG.to_le_bytes())?;
    state.memory.write(globals + 16, b"apclab")?;
    state.memory.write(globals + 48, &[1])?;
    let function_table = state.memory.read_u64(info.wrapping_add(32))?;
    state.memory.write_u64(function_table, table)?;
    state.memory.write_u64(place, globals)?;
    state.framework.table = Some(table);
    state.framework.globals = Some(globals);
    Ok(status::word(status::SUCCESS))
}

/// `WdfVersionUnbind(RegistryPath, BindInfo, ComponentGlobals)`.
fn unbind(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let globals = arguments.word(2);
    {
        let mut state = thread.lock();
        if state.framework.globals != Some(globals) {
            let reason = format!("WdfVersionUnbind was given {globals:#x}, which is not bound");
            return Err(bugcheck::wdf(0x5, globals, 0, reason).into());
        }
        state.framework.globals = None;
        let table = state.framework.table.take();
        for block in [Some(globals), table].into_iter().flatten() {
            crate::exports::free_block(&mut state, block)?;
        }
    }
    Ok(status::word(status::SUCCESS))
}
