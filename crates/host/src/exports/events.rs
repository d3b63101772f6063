//! Events and waits.

use apclab_model::kernel::{DISPATCH_LEVEL, EventKind, ObjectId, WaitMode};

use crate::bugcheck;
use crate::dispatch::{Arguments, Export, Fault};
use crate::events::KEVENT_SIZE;
use crate::memory::Place;
use crate::status;
use crate::thread::Thread;
use crate::waits::Woken;

pub(super) const EXPORTS: &[Export] = &[
    Export::plain("KeInitializeEvent", initialize),
    Export::rule("KeSetEvent", |thread, arguments| {
        change(thread, arguments, true, "KeSetEvent")
    }),
    Export::rule("KeResetEvent", |thread, arguments| {
        change(thread, arguments, false, "KeResetEvent")
    }),
    Export::rule("KeClearEvent", |thread, arguments| {
        change(thread, arguments, false, "KeClearEvent")
    }),
    Export::plain("KeReadStateEvent", read_state),
    Export::rule("KeWaitForSingleObject", wait_for_one),
    Export::rule("KeWaitForMultipleObjects", wait_for_several),
    Export::rule("KeDelayExecutionThread", delay),
    Export::rule("ZwWaitForSingleObject", wait_for_handle),
];

fn initialize(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let kind = match arguments.long(1) {
        0 => EventKind::Notification,
        1 => EventKind::Synchronization,
        other => {
            let reason = format!("KeInitializeEvent was given the event type {other}");
            return Err(bugcheck::verifier(0, u64::from(other), reason).into());
        }
    };
    thread
        .lock()
        .initialize_event(arguments.word(0), kind, arguments.byte(2) != 0)?;
    Ok(0)
}

fn change(thread: &Thread, arguments: &Arguments, set: bool, routine: &str) -> Result<u64, Fault> {
    let mut state = thread.lock();
    // KeSetEvent with Wait = TRUE returns at a raised IRQL, ready for the wait that must follow.
    if set && arguments.byte(2) != 0 {
        let reason = "KeSetEvent with Wait = TRUE is not simulated";
        return Err(bugcheck::verifier(0, arguments.word(0), reason).into());
    }
    let irql = state.kernel.irql(thread.id);
    bugcheck::irql_at_most(irql, DISPATCH_LEVEL, routine)?;
    let previous = state.change_event(arguments.word(0), set, routine)?;
    Ok(u64::from(previous))
}

fn read_state(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let state = thread.lock();
    let id = state.event(arguments.word(0), "KeReadStateEvent")?;
    Ok(u64::from(state.kernel.event_signaled(id)))
}

/// `KeWaitForSingleObject(Object, WaitReason, WaitMode, Alertable, Timeout)`.
fn wait_for_one(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let addresses = [arguments.word(0)];
    let modes = (arguments.byte(2), arguments.byte(3));
    wait(
        thread,
        &addresses,
        false,
        modes,
        arguments.word(4),
        "KeWaitForSingleObject",
    )
}

/// `KeWaitForMultipleObjects(Count, Object[], WaitType, WaitReason, WaitMode, Alertable, Timeout,
/// WaitBlockArray)`.
fn wait_for_several(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    /// THREAD_WAIT_OBJECTS: more need wait blocks of the caller.
    const WITHOUT_BLOCKS: u32 = 3;
    /// The size of a KWAIT_BLOCK on x64.
    const WAIT_BLOCK: u64 = 48;
    let count = arguments.long(0);
    let addresses = {
        let state = thread.lock();
        let blocks = arguments.word(7);
        if count > WITHOUT_BLOCKS {
            let length = u64::from(count).saturating_mul(WAIT_BLOCK);
            if blocks == 0 || state.memory.place(blocks, length).is_none() {
                let reason = format!("a wait on {count} objects without memory for wait blocks");
                return Err(bugcheck::check(0xC, [0; 4], reason).into());
            }
        }
        let array = arguments.word(1);
        (0..u64::from(count.min(65)))
            .map(|index| state.memory.read_u64(array.wrapping_add(index * 8)))
            .collect::<Result<Vec<_>, _>>()?
    };
    let all = arguments.long(2) == 0;
    let modes = (arguments.byte(4), arguments.byte(5));
    wait(
        thread,
        &addresses,
        all,
        modes,
        arguments.word(6),
        "KeWaitForMultipleObjects",
    )
}

fn wait(
    thread: &Thread,
    addresses: &[u64],
    all: bool,
    (mode, alertable): (u8, u8),
    timeout: u64,
    routine: &str,
) -> Result<u64, Fault> {
    let mode = wait_mode(mode, alertable);
    if mode.user {
        let state = thread.lock();
        let on_stack =
            |&&address: &&u64| state.memory.place(address, KEVENT_SIZE) == Some(Place::Stack);
        if let Some(&address) = addresses.iter().find(on_stack) {
            let reason = format!(
                "{routine} was given {address:#x}, which is on a kernel stack: that may be paged \
                 out during a wait in UserMode"
            );
            return Err(bugcheck::verifier(0x123, address, reason).into());
        }
    }
    let (objects, timeout, until) = {
        let state = thread.lock();
        let objects = addresses
            .iter()
            .map(|address| state.dispatcher_object(*address, routine))
            .collect::<Result<Vec<ObjectId>, _>>()?;
        let timeout = match timeout {
            0 => None,
            address => Some(state.memory.read_u64(address)?.cast_signed()),
        };
        let until = timeout.map(|timeout| thread.machine.deadline(&state, timeout));
        (objects, timeout, until)
    };
    let woken = thread.wait_as(&objects, all, mode, until, timeout != Some(0))?;
    let mut state = thread.lock();
    for address in addresses {
        state.show_object(*address)?;
    }
    Ok(match woken {
        Woken::Object(index) => index as u64,
        Woken::TimedOut => status::word(status::TIMEOUT),
        Woken::UserApc => status::word(status::USER_APC),
    })
}

/// The parameters WaitMode and Alertable.
fn wait_mode(mode: u8, alertable: u8) -> WaitMode {
    WaitMode {
        user: mode != 0,
        alertable: alertable != 0,
    }
}

/// `ZwWaitForSingleObject(Handle, Alertable, Timeout)`.
fn wait_for_handle(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    const ROUTINE: &str = "ZwWaitForSingleObject";
    let object = {
        let state = thread.lock();
        bugcheck::irql_at_most(state.kernel.irql(thread.id), 0, ROUTINE)?;
        state.objects.lookup(arguments.word(0))
    };
    match object {
        Some(object) => wait(
            thread,
            &[object],
            false,
            (0, arguments.byte(1)),
            arguments.word(2),
            ROUTINE,
        ),
        None => Ok(status::word(status::INVALID_HANDLE)),
    }
}

/// `KeDelayExecutionThread(WaitMode, Alertable, Interval)`.
fn delay(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let (interval, until) = {
        let state = thread.lock();
        let interval = state.memory.read_u64(arguments.word(2))?.cast_signed();
        (interval, thread.machine.deadline(&state, interval))
    };
    if interval == 0 {
        std::thread::yield_now();
    }
    let mode = wait_mode(arguments.byte(0), arguments.byte(1));
    Ok(match thread.delay(mode, until)? {
        Woken::UserApc => status::word(status::USER_APC),
        Woken::TimedOut | Woken::Object(_) => status::word(status::SUCCESS),
    })
}
