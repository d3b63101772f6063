//! Push locks.

use apclab_model::kernel::PushLockMode;

use crate::dispatch::{Arguments, Export, Fault};
use crate::thread::Thread;

pub(super) const EXPORTS: &[Export] = &[
    Export::plain("ExInitializePushLock", |thread, arguments| {
        thread.lock().initialize_push_lock(arguments.word(0))?;
        Ok(0)
    }),
    Export::rule("ExAcquirePushLockExclusiveEx", |thread, arguments| {
        acquire(thread, arguments, PushLockMode::Exclusive)
    }),
    Export::rule("ExAcquirePushLockSharedEx", |thread, arguments| {
        acquire(thread, arguments, PushLockMode::Shared)
    }),
    Export::rule("ExReleasePushLockExclusiveEx", |thread, arguments| {
        release(thread, arguments, PushLockMode::Exclusive)
    }),
    Export::rule("ExReleasePushLockSharedEx", |thread, arguments| {
        release(thread, arguments, PushLockMode::Shared)
    }),
];

/// `ExAcquirePushLock…Ex(PushLock, Flags)`: the flags are about boosts.
fn acquire(thread: &Thread, arguments: &Arguments, mode: PushLockMode) -> Result<u64, Fault> {
    let routine = thread.last_export().unwrap_or("a push lock routine");
    let id = thread.lock().push_lock(arguments.word(0), routine)?;
    thread.acquire(|kernel| kernel.acquire_push_lock(thread.id, id, mode))?;
    Ok(0)
}

fn release(thread: &Thread, arguments: &Arguments, mode: PushLockMode) -> Result<u64, Fault> {
    let routine = thread.last_export().unwrap_or("a push lock routine");
    let mut state = thread.lock();
    let id = state.push_lock(arguments.word(0), routine)?;
    state.kernel.release_push_lock(thread.id, id, mode)?;
    state.wake();
    Ok(0)
}
