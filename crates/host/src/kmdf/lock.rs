//! Wait locks: a synchronization event inside a critical region.

use apclab_model::kernel::{APC_LEVEL, BugCheck, EventKind, ObjectId, PASSIVE_LEVEL, ThreadId};

use super::attributes::Attributes;
use super::object::{Kind, bad_handle};
use crate::bugcheck;
use crate::dispatch::{Arguments, Export, Fault};
use crate::machine::State;
use crate::status;
use crate::thread::Thread;

pub(super) const FUNCTIONS: &[Export] = &[
    Export::plain("WdfWaitLockCreate", create)
        .fallible(status::word(status::INSUFFICIENT_RESOURCES)),
    Export::rule("WdfWaitLockAcquire", acquire),
    Export::rule("WdfWaitLockRelease", release),
];

/// A wait lock.
#[derive(Debug)]
pub(super) struct WaitLock {
    event: ObjectId,
    owner: Option<ThreadId>,
}

/// `WdfWaitLockCreate(LockAttributes, Lock)`.
fn create(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let mut state = thread.lock();
    let attributes = match Attributes::read(&state.memory, arguments.word(1))? {
        Ok(attributes) => attributes,
        Err(refused) => return Ok(status::word(refused)),
    };
    let event = state.kernel.create_event(EventKind::Synchronization, true);
    let kind = Kind::WaitLock(WaitLock { event, owner: None });
    let handle = thread.machine.opaque();
    let parent = state.framework.driver;
    let created = state.create_object(handle, kind, &attributes, parent, "WdfWaitLockCreate")?;
    match created {
        Ok(handle) => {
            state.memory.write_u64(arguments.word(2), handle)?;
            Ok(status::word(status::SUCCESS))
        }
        Err(refused) => {
            state.kernel.remove_object(event)?;
            Ok(status::word(refused))
        }
    }
}

fn wait_lock<'a>(
    state: &'a mut State,
    handle: u64,
    routine: &str,
) -> Result<&'a mut WaitLock, BugCheck> {
    match &mut state.framework.get_mut(handle, routine)?.kind {
        Kind::WaitLock(lock) => Ok(lock),
        _ => Err(bad_handle(handle, "WDFWAITLOCK", routine)),
    }
}

/// `WdfWaitLockAcquire(Lock, Timeout)`: a null time-out waits for ever.
fn acquire(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    const ROUTINE: &str = "WdfWaitLockAcquire";
    let handle = arguments.word(1);
    let (event, timeout, until) = {
        let mut state = thread.lock();
        let timeout = match arguments.word(2) {
            0 => None,
            address => Some(state.memory.read_u64(address)?.cast_signed()),
        };
        // The page: PASSIVE_LEVEL, or below DISPATCH_LEVEL when it does not wait.
        let limit = if timeout == Some(0) {
            APC_LEVEL
        } else {
            PASSIVE_LEVEL
        };
        bugcheck::irql_at_most(state.kernel.irql(thread.id), limit, ROUTINE)?;
        let lock = wait_lock(&mut state, handle, ROUTINE)?;
        if lock.owner == Some(thread.id) {
            let reason = format!("{ROUTINE}: the thread holds the lock {handle:#x} already");
            return Err(bugcheck::wdf(0x2, handle, 0, reason).into());
        }
        let event = lock.event;
        state.kernel.enter_critical(thread.id)?;
        let until = timeout.map(|timeout| thread.machine.deadline(&state, timeout));
        (event, timeout, until)
    };
    let acquired = thread.wait(&[event], false, until, timeout != Some(0))?;
    let mut state = thread.lock();
    if acquired.is_none() {
        state.kernel.leave_critical(thread.id)?;
        return Ok(status::word(status::TIMEOUT));
    }
    wait_lock(&mut state, handle, ROUTINE)?.owner = Some(thread.id);
    Ok(status::word(status::SUCCESS))
}

fn release(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    const ROUTINE: &str = "WdfWaitLockRelease";
    let handle = arguments.word(1);
    let mut state = thread.lock();
    let lock = wait_lock(&mut state, handle, ROUTINE)?;
    if lock.owner != Some(thread.id) {
        let reason = format!("{ROUTINE}: the thread does not hold the lock {handle:#x}");
        return Err(bugcheck::wdf(0xB, handle, 1, reason).into());
    }
    lock.owner = None;
    let event = lock.event;
    state.kernel.set_event(event);
    state.kernel.leave_critical(thread.id)?;
    state.wake();
    Ok(0)
}

impl State {
    /// The lock's object is gone; so is its event.
    pub(super) fn destroy_wait_lock(
        &mut self,
        handle: u64,
        lock: &WaitLock,
    ) -> Result<(), BugCheck> {
        if lock.owner.is_some() {
            let reason = format!("the wait lock {handle:#x} was deleted while it was held");
            return Err(bugcheck::wdf(0x2, handle, 0, reason));
        }
        self.kernel.remove_object(lock.event)
    }
}
