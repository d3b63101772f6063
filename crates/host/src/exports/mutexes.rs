//! Fast mutexes, guarded mutexes and KMUTEX: docs/semantics.md, section 2.

use apclab_model::kernel::{DISPATCH_LEVEL, FastMutexKind};

use crate::bugcheck;
use crate::dispatch::{Arguments, Export, Fault};
use crate::thread::Thread;

pub(super) const EXPORTS: &[Export] = &[
    Export::rule("ExAcquireFastMutex", |thread, arguments| {
        acquire(thread, arguments, FastMutexKind::Fast, "ExAcquireFastMutex")
    }),
    Export::rule("ExTryToAcquireFastMutex", |thread, arguments| {
        try_to_acquire(
            thread,
            arguments,
            FastMutexKind::Fast,
            "ExTryToAcquireFastMutex",
        )
    }),
    Export::rule("ExReleaseFastMutex", |thread, arguments| {
        release(thread, arguments, FastMutexKind::Fast, "ExReleaseFastMutex")
    }),
    Export::plain("KeInitializeGuardedMutex", |thread, arguments| {
        thread.lock().initialize_guarded_mutex(arguments.word(0))?;
        Ok(0)
    }),
    Export::rule("KeAcquireGuardedMutex", |thread, arguments| {
        acquire(
            thread,
            arguments,
            FastMutexKind::Guarded,
            "KeAcquireGuardedMutex",
        )
    }),
    Export::rule("KeTryToAcquireGuardedMutex", |thread, arguments| {
        try_to_acquire(
            thread,
            arguments,
            FastMutexKind::Guarded,
            "KeTryToAcquireGuardedMutex",
        )
    }),
    Export::rule("KeReleaseGuardedMutex", |thread, arguments| {
        release(
            thread,
            arguments,
            FastMutexKind::Guarded,
            "KeReleaseGuardedMutex",
        )
    }),
    Export::plain("KeInitializeMutex", |thread, arguments| {
        // The second parameter, Level, is reserved.
        thread.lock().initialize_mutex(arguments.word(0))?;
        Ok(0)
    }),
    Export::rule("KeReleaseMutex", release_mutex),
    Export::plain("KeReadStateMutex", read_state),
];

fn acquire(
    thread: &Thread,
    arguments: &Arguments,
    kind: FastMutexKind,
    routine: &str,
) -> Result<u64, Fault> {
    let address = arguments.word(0);
    let id = thread.lock().fast_mutex(address, kind, routine)?;
    let wrong = |check| thread.of_lock(check, address);
    thread.acquire(|kernel| {
        let acquired = kernel.acquire_fast_mutex(thread.id, id);
        acquired.map_err(wrong)
    })?;
    thread.lock().show_fast_mutex(address, id)?;
    Ok(0)
}

fn try_to_acquire(
    thread: &Thread,
    arguments: &Arguments,
    kind: FastMutexKind,
    routine: &str,
) -> Result<u64, Fault> {
    let address = arguments.word(0);
    let mut state = thread.lock();
    let id = state.fast_mutex(address, kind, routine)?;
    let acquired = state.kernel.try_fast_mutex(thread.id, id);
    let acquired = acquired.map_err(|check| thread.of_lock(check, address))?;
    state.show_fast_mutex(address, id)?;
    Ok(u64::from(acquired))
}

fn release(
    thread: &Thread,
    arguments: &Arguments,
    kind: FastMutexKind,
    routine: &str,
) -> Result<u64, Fault> {
    let address = arguments.word(0);
    let mut state = thread.lock();
    let id = state.fast_mutex(address, kind, routine)?;
    let released = state.kernel.release_fast_mutex(thread.id, id);
    released.map_err(|check| thread.of_lock(check, address))?;
    state.show_fast_mutex(address, id)?;
    state.wake();
    Ok(0)
}

/// `KeReleaseMutex(Mutex, Wait)`: the state before, 0 when the mutex is free now.
fn release_mutex(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    const ROUTINE: &str = "KeReleaseMutex";
    let address = arguments.word(0);
    let mut state = thread.lock();
    bugcheck::irql_at_most(state.kernel.irql(thread.id), DISPATCH_LEVEL, ROUTINE)?;
    // With Wait = TRUE it returns at a raised IRQL, ready for the wait that must follow.
    if arguments.byte(1) != 0 {
        let reason = "KeReleaseMutex with Wait = TRUE is not simulated";
        return Err(bugcheck::verifier(0, address, reason).into());
    }
    let id = state.mutex(address, ROUTINE)?;
    let takers = state.kernel.mutex_takers(id).len();
    let taker = state.choose(takers);
    let previous = state.kernel.release_mutex_choosing(thread.id, id, taker)?;
    state.show_mutex(address)?;
    state.wake();
    Ok(u64::from(previous.cast_unsigned()))
}

fn read_state(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let state = thread.lock();
    let id = state.mutex(arguments.word(0), "KeReadStateMutex")?;
    Ok(u64::from(state.kernel.mutex_state(id).cast_unsigned()))
}
