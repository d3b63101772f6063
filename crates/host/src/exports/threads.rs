//! System threads.

use crate::bugcheck;
use crate::dispatch::{Arguments, Export, Fault};
use crate::machine::SYSTEM_PROCESS;
use crate::spawn::Spawned;
use crate::status;
use crate::thread::{Role, Thread};
use std::sync::atomic::Ordering;

pub(super) const EXPORTS: &[Export] = &[
    Export::plain("PsCreateSystemThread", create)
        .fallible(status::word(status::INSUFFICIENT_RESOURCES)),
    Export::rule("PsTerminateSystemThread", terminate),
    Export::plain("PsIsThreadTerminating", is_terminating),
    Export::plain("PsGetCurrentProcessId", |thread, _| {
        Ok(thread.shared.process.load(Ordering::Relaxed))
    }),
    Export::plain("PsGetCurrentThreadId", |thread, _| Ok(thread.shared.number)),
    Export::plain("PsGetCurrentThread", |thread, _| Ok(thread.shared.object)),
    Export::plain("KeGetCurrentThread", |thread, _| Ok(thread.shared.object)),
    Export::plain("KeQueryActiveProcessorCountEx", |thread, _| {
        Ok(thread.machine.processors)
    }),
];

/// The name that threads of the driver's own get in reports.
pub(crate) const SYSTEM_THREAD: &str = "system thread";

/// `PsCreateSystemThread(ThreadHandle, DesiredAccess, ObjectAttributes, ProcessHandle, ClientId,
/// StartRoutine, StartContext)`.
fn create(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    /// OBJ_KERNEL_HANDLE.
    const KERNEL_HANDLE: u32 = 0x200;
    let (place, attributes) = (arguments.word(0), arguments.word(2));
    let (routine, context) = (arguments.word(5), arguments.word(6));
    let process = thread.shared.process.load(Ordering::Relaxed);
    let kernel_handle = {
        let state = thread.lock();
        let irql = state.kernel.irql(thread.id);
        bugcheck::irql_at_most(irql, 0, "PsCreateSystemThread")?;
        // The System process's own table is what drivers may use without the flag.
        let flags = match attributes {
            0 => 0,
            address => state.memory.read_u32(address.wrapping_add(24))?,
        };
        flags & KERNEL_HANDLE != 0 || process == SYSTEM_PROCESS
    };
    if arguments.word(3) != 0 {
        let reason = "PsCreateSystemThread with a process handle is not simulated";
        return Err(bugcheck::verifier(0, arguments.word(3), reason).into());
    }
    let machine = &thread.machine;
    let baseline = machine.options.baseline;
    let start = move |thread: &Thread| thread.call(routine, &[context]).map(drop);
    let Ok(Spawned { object, .. }) =
        machine.spawn(SYSTEM_THREAD, Role::System, SYSTEM_PROCESS, baseline, start)
    else {
        return Ok(status::word(status::INSUFFICIENT_RESOURCES));
    };
    let handle = {
        let mut state = thread.lock();
        state.created += 1;
        state.objects.open(object, kernel_handle)
    };
    machine.release_thread(object);
    let mut state = thread.lock();
    state.memory.write_u64(place, handle)?;
    if arguments.word(4) != 0 {
        state.memory.write_u64(arguments.word(4), SYSTEM_PROCESS)?;
    }
    Ok(status::word(status::SUCCESS))
}

/// `PsIsThreadTerminating(Thread)`. A thread that has ended is no longer one of those that are told
/// to: its page says nothing of it.
fn is_terminating(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let object = arguments.word(0);
    let state = thread.lock();
    let Some(id) = state.objects.thread(object) else {
        let reason = format!("PsIsThreadTerminating was given {object:#x}, which is no thread");
        return Err(bugcheck::verifier(0, object, reason).into());
    };
    let shared = state.threads.get(&id);
    Ok(u64::from(shared.is_none_or(|shared| {
        shared.terminating.load(Ordering::SeqCst)
    })))
}

fn terminate(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    if thread.shared.role != Role::System {
        return Ok(status::word(status::INVALID_PARAMETER));
    }
    if !thread.outermost() {
        let reason = "PsTerminateSystemThread was called inside an APC or another callback";
        return Err(bugcheck::check(0x20, [0; 4], reason).into());
    }
    thread.exit_status.set(arguments.signed(0));
    Err(Fault::Exit)
}
