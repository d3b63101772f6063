//! Executive resources: docs/semantics.md, section 3.

use apclab_model::kernel::{
    BugCheck, DISPATCH_LEVEL, Kernel, ResourceId, ResourceMode, ResourceOwner, ThreadId,
};

use crate::bugcheck;
use crate::dispatch::{Arguments, Export, Fault};
use crate::machine::State;
use crate::status;
use crate::thread::Thread;

pub(super) const EXPORTS: &[Export] = &[
    Export::plain("ExInitializeResourceLite", initialize),
    Export::plain("ExReinitializeResourceLite", reinitialize),
    Export::plain("ExDeleteResourceLite", delete),
    Export::rule("ExAcquireResourceExclusiveLite", |thread, arguments| {
        acquire(thread, arguments, ResourceMode::Exclusive)
    }),
    Export::rule("ExAcquireResourceSharedLite", |thread, arguments| {
        acquire(thread, arguments, ResourceMode::Shared)
    }),
    Export::rule("ExAcquireSharedStarveExclusive", |thread, arguments| {
        acquire(thread, arguments, ResourceMode::SharedStarveExclusive)
    }),
    Export::rule("ExAcquireSharedWaitForExclusive", |thread, arguments| {
        acquire(thread, arguments, ResourceMode::SharedWaitForExclusive)
    }),
    Export::rule(
        "ExEnterCriticalRegionAndAcquireResourceExclusive",
        |thread, arguments| enter_and_acquire(thread, arguments, ResourceMode::Exclusive),
    ),
    Export::rule(
        "ExEnterCriticalRegionAndAcquireResourceShared",
        |thread, arguments| enter_and_acquire(thread, arguments, ResourceMode::Shared),
    ),
    Export::rule(
        "ExEnterCriticalRegionAndAcquireSharedWaitForExclusive",
        |thread, arguments| {
            enter_and_acquire(thread, arguments, ResourceMode::SharedWaitForExclusive)
        },
    ),
    Export::rule("ExReleaseResourceLite", |thread, arguments| {
        change(thread, arguments, Kernel::release_resource)
    }),
    Export::rule(
        "ExReleaseResourceAndLeaveCriticalRegion",
        |thread, arguments| change(thread, arguments, Kernel::release_resource_and_leave),
    ),
    Export::rule("ExReleaseResourceForThreadLite", release_for_thread),
    Export::rule("ExConvertExclusiveToSharedLite", |thread, arguments| {
        change(thread, arguments, Kernel::convert_resource)
    }),
    Export::plain("ExSetResourceOwnerPointer", set_owner_pointer),
    Export::plain("ExIsResourceAcquiredExclusiveLite", |thread, arguments| {
        query(thread, arguments, |kernel, id| {
            u32::from(kernel.resource_acquired_exclusive(thread.id, id))
        })
    }),
    Export::plain("ExIsResourceAcquiredSharedLite", |thread, arguments| {
        query(thread, arguments, |kernel, id| {
            kernel.resource_acquired_shared(thread.id, id)
        })
    }),
    Export::plain("ExGetExclusiveWaiterCount", |thread, arguments| {
        query(thread, arguments, Kernel::exclusive_waiters)
    }),
    Export::plain("ExGetSharedWaiterCount", |thread, arguments| {
        query(thread, arguments, Kernel::shared_waiters)
    }),
];

/// Driver Verifier's number for the deletion of a resource that is none.
const DELETED: u64 = 0xD1;

fn initialize(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let mut state = thread.lock();
    let irql = state.kernel.irql(thread.id);
    bugcheck::irql_at_most(irql, DISPATCH_LEVEL, "ExInitializeResourceLite")?;
    state.initialize_resource(arguments.word(0))?;
    Ok(status::word(status::SUCCESS))
}

fn reinitialize(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let address = arguments.word(0);
    let mut state = thread.lock();
    let id = state.resource(address, 0, "ExReinitializeResourceLite")?;
    let done = state.kernel.reinitialize_resource(thread.id, id);
    done.map_err(|check| thread.of_lock(check, address))?;
    Ok(status::word(status::SUCCESS))
}

fn delete(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let address = arguments.word(0);
    let mut state = thread.lock();
    let id = state.resource(address, DELETED, "ExDeleteResourceLite")?;
    state.kernel.delete_resource(thread.id, id)?;
    state.remove_resource(address);
    Ok(status::word(status::SUCCESS))
}

/// The resource that the export which runs now was given.
fn given(thread: &Thread, state: &State, arguments: &Arguments) -> Result<ResourceId, BugCheck> {
    let routine = thread.last_export().unwrap_or("a resource routine");
    state.resource(arguments.word(0), 0, routine)
}

/// `ExAcquire…(Resource, Wait)`: whether it was acquired.
fn acquire(thread: &Thread, arguments: &Arguments, mode: ResourceMode) -> Result<u64, Fault> {
    let id = given(thread, &thread.lock(), arguments)?;
    let wait = arguments.byte(1) != 0;
    let acquired = thread.acquire(|kernel| {
        let acquired = kernel.acquire_resource(thread.id, id, mode, wait);
        acquired.map_err(|check| thread.of_lock(check, arguments.word(0)))
    })?;
    Ok(u64::from(acquired))
}

/// `ExEnterCriticalRegionAndAcquire…(Resource)`. Gives the thread's Win32 part, which a thread
/// without windows has not got.
fn enter_and_acquire(
    thread: &Thread,
    arguments: &Arguments,
    mode: ResourceMode,
) -> Result<u64, Fault> {
    let id = given(thread, &thread.lock(), arguments)?;
    let acquired = thread.acquire(|kernel| {
        let acquired = kernel.enter_and_acquire_resource(thread.id, id, mode);
        acquired.map_err(|check| thread.of_lock(check, arguments.word(0)))
    })?;
    debug_assert!(acquired, "an acquire that waits is not refused");
    Ok(0)
}

fn change(
    thread: &Thread,
    arguments: &Arguments,
    rule: fn(&mut Kernel, ThreadId, ResourceId) -> Result<(), BugCheck>,
) -> Result<u64, Fault> {
    let mut state = thread.lock();
    let id = given(thread, &state, arguments)?;
    let done = rule(&mut state.kernel, thread.id, id);
    done.map_err(|check| thread.of_lock(check, arguments.word(0)))?;
    state.wake();
    Ok(0)
}

/// `ExReleaseResourceForThreadLite(Resource, ResourceThreadId)`: the second is a thread object's
/// address, or an owner pointer.
fn release_for_thread(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let mut state = thread.lock();
    let id = given(thread, &state, arguments)?;
    let owner = match state.objects.thread(arguments.word(1)) {
        Some(owner) => ResourceOwner::Thread(owner),
        None => ResourceOwner::Pointer(arguments.word(1)),
    };
    let released = state.kernel.release_resource_for(thread.id, id, owner);
    released.map_err(|check| thread.of_lock(check, arguments.word(0)))?;
    state.wake();
    Ok(0)
}

/// `ExSetResourceOwnerPointer(Resource, OwnerPointer)`.
fn set_owner_pointer(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let mut state = thread.lock();
    let irql = state.kernel.irql(thread.id);
    bugcheck::irql_at_most(irql, DISPATCH_LEVEL, "ExSetResourceOwnerPointer")?;
    let id = given(thread, &state, arguments)?;
    let pointer = arguments.word(1);
    let done = state.kernel.set_resource_owner(thread.id, id, pointer);
    done.map_err(|check| thread.of_lock(check, arguments.word(0)))?;
    Ok(0)
}

fn query(
    thread: &Thread,
    arguments: &Arguments,
    answer: impl Fn(&Kernel, ResourceId) -> u32,
) -> Result<u64, Fault> {
    let state = thread.lock();
    let routine = thread.last_export().unwrap_or("a resource routine");
    bugcheck::irql_at_most(state.kernel.irql(thread.id), DISPATCH_LEVEL, routine)?;
    let id = given(thread, &state, arguments)?;
    Ok(u64::from(answer(&state.kernel, id)))
}
