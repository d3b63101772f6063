//! Push locks.

use apclab_model::kernel::{Answer, PushLockMode};

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
    let address = arguments.word(0);
    let (id, queues) = {
        let mut state = thread.lock();
        let id = state.push_lock(address, routine)?;
        let queues = match state.kernel.push_lock_sharer_queues(thread.id, id) {
            Answer::Is(queues) => queues,
            // Says nothing for an exclusive acquire.
            Answer::Either => mode == PushLockMode::Shared && state.choose(2) == 1,
        };
        (id, queues)
    };
    thread.acquire(|kernel| {
        let acquired = kernel.acquire_push_lock_choosing(thread.id, id, mode, queues);
        acquired.map_err(|check| thread.of_lock(check, address))
    })?;
    Ok(0)
}

fn release(thread: &Thread, arguments: &Arguments, mode: PushLockMode) -> Result<u64, Fault> {
    let routine = thread.last_export().unwrap_or("a push lock routine");
    let address = arguments.word(0);
    let mut state = thread.lock();
    let id = state.push_lock(address, routine)?;
    let released = state.kernel.release_push_lock(thread.id, id, mode);
    released.map_err(|check| thread.of_lock(check, address))?;
    state.wake();
    Ok(0)
}
