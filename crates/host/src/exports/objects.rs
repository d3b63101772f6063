//! Handles and references.

use crate::bugcheck;
use crate::dispatch::{Arguments, Export, Fault};
use crate::machine::SYSTEM_PROCESS;
use crate::objects::{Kind, Objects};
use crate::status;
use crate::thread::Thread;

pub(super) const EXPORTS: &[Export] = &[
    Export::plain("ObReferenceObjectByHandle", by_handle)
        .fallible(status::word(status::INVALID_HANDLE)),
    Export::plain("ObfReferenceObject", reference),
    Export::plain("ObfDereferenceObject", dereference),
    Export::plain("ZwClose", close),
];

/// `ObReferenceObjectByHandle(Handle, DesiredAccess, ObjectType, AccessMode, Object,
/// HandleInformation)`.
fn by_handle(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let (handle, kind, place) = (arguments.word(0), arguments.word(2), arguments.word(4));
    let mut state = thread.lock();
    bugcheck::irql_at_most(state.kernel.irql(thread.id), 0, "ObReferenceObjectByHandle")?;
    let process = thread
        .shared
        .process
        .load(std::sync::atomic::Ordering::Relaxed);
    let system = process == SYSTEM_PROCESS || Objects::is_kernel_handle(handle);
    if arguments.byte(3) == 0 && !system {
        let reason = format!("the user handle {handle:#x} was referenced in KernelMode");
        return Err(bugcheck::verifier(0xF6, handle, reason).into());
    }
    let Some(object) = state.objects.lookup(handle) else {
        return Ok(status::word(status::INVALID_HANDLE));
    };
    let actual = match state.objects.kind(object) {
        Some(Kind::Thread) => state.types.thread.object,
        Some(Kind::Event) => state.types.event.object,
        None => 0,
    };
    if kind != 0 && kind != actual {
        return Ok(status::word(status::OBJECT_TYPE_MISMATCH));
    }
    state.objects.reference(object)?;
    state.memory.write_u64(place, object)?;
    if arguments.word(5) != 0 {
        state.memory.write_u64(arguments.word(5), 0)?;
    }
    Ok(status::word(status::SUCCESS))
}

fn reference(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    Ok(thread.lock().objects.reference(arguments.word(0))?)
}

fn dereference(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    thread.lock().dereference_object(arguments.word(0))?;
    Ok(0)
}

fn close(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let handle = arguments.word(0);
    let mut state = thread.lock();
    bugcheck::irql_at_most(state.kernel.irql(thread.id), 0, "ZwClose")?;
    if state.close_handle(handle)? {
        return Ok(status::word(status::SUCCESS));
    }
    if Objects::is_kernel_handle(handle) {
        // INVALID_KERNEL_HANDLE.
        let reason = format!("ZwClose of {handle:#x}, which is no open kernel handle");
        return Err(bugcheck::check(0x93, [handle, 0, 0, 0], reason).into());
    }
    Ok(status::word(status::INVALID_HANDLE))
}
