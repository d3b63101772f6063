//! The run-time library, and the look-up of routines by name.

use apclab_protocol::message::DEADLOCKS_END;

use crate::Options;
use crate::dispatch::{Arguments, Export, Fault};
use crate::status;
use crate::thread::Thread;

pub(super) const EXPORTS: &[Export] = &[
    Export::plain("RtlGetVersion", version),
    Export::plain("RtlCopyUnicodeString", copy_unicode_string),
    Export::plain("MmGetSystemRoutineAddress", system_routine),
    // That it is there is all that it says.
    Export::plain(DEADLOCKS_END, |_, _| Ok(status::word(status::SUCCESS))),
];

/// The version that the machine claims to be: Windows 10 2004, the oldest that the driver runs on.
const VERSION: [u32; 3] = [10, 0, 19041];
/// VER_PLATFORM_WIN32_NT.
const PLATFORM: u32 = 2;
/// The sizes of RTL_OSVERSIONINFOW and RTL_OSVERSIONINFOEXW.
const SIZES: [u32; 2] = [276, 284];

fn version(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let address = arguments.word(0);
    let mut state = thread.lock();
    let size = state.memory.read_u32(address)?;
    if !SIZES.contains(&size) {
        return Ok(status::word(status::INVALID_PARAMETER));
    }
    let mut image = vec![0; size as usize];
    let words = [size, VERSION[0], VERSION[1], VERSION[2], PLATFORM];
    for (place, word) in image.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    if let Some(product) = image.get_mut(282) {
        // VER_NT_WORKSTATION.
        *product = 1;
    }
    state.memory.write(address, &image)?;
    Ok(status::word(status::SUCCESS))
}

/// `RtlCopyUnicodeString(Destination, Source)`: as much as fits, with a terminator when it fits.
fn copy_unicode_string(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let (target, source) = (arguments.word(0), arguments.word(1));
    let mut state = thread.lock();
    if source == 0 {
        state.memory.write(target, &0_u16.to_le_bytes())?;
        return Ok(0);
    }
    let maximum = usize::from(state.memory.read_u16(target.wrapping_add(2))?);
    let length = usize::from(state.memory.read_u16(source)?).min(maximum & !1);
    let from = state.memory.read_u64(source.wrapping_add(8))?;
    let to = state.memory.read_u64(target.wrapping_add(8))?;
    let mut bytes = state.memory.read_bytes(from, length)?;
    if length + 2 <= maximum {
        bytes.extend([0, 0]);
    }
    state.memory.write(to, &bytes)?;
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    state.memory.write(target, &length.to_le_bytes())?;
    Ok(0)
}

/// What a machine may be told not to have, by its name.
fn hidden(name: &str, options: &Options) -> bool {
    match name {
        "KeInitializeApc" | "KeInsertQueueApc" => !options.kernel_apc_routines,
        DEADLOCKS_END => !options.ends_deadlocks,
        name if name.contains("PushLock") => !options.push_locks,
        _ => false,
    }
}

fn system_routine(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let name = thread
        .lock()
        .memory
        .read_unicode_string(arguments.word(0))?;
    let machine = &thread.machine;
    if hidden(&name, &machine.options) {
        return Ok(0);
    }
    Ok(machine.system_routine(&name).unwrap_or(0))
}
