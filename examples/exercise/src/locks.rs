//! The locks, each from its making to its end.
#![allow(
    unsafe_code,
    reason = "a place, the forms without a check or a scope, and an IRQL that no form raises to"
)]

use core::sync::atomic::{AtomicU32, Ordering};

use apclab_guards::{
    CriticalRegion, FastMutex, GuardedMutex, GuardedRegion, HeldAs, KMutex, Mode, Mutex, MutexKind,
    NotAcquired, NotMade, Passive, Place, PushLock, ReentrantKMutex, ReentrantResource, Refused,
    Resource, current_irql,
};
use wdk_sys::{DISPATCH_LEVEL, ntddk};

use crate::state::holds;
use crate::thread::{Event, beside};

fn mutex<K: MutexKind>(irql: &mut Passive, mutex: &Mutex<K, u32>) -> Option<()> {
    mutex.with(irql, |value, irql| {
        *value += 1;
        holds(current_irql() == 1)?;
        // A try fails while it is held, also by its holder.
        holds(mutex.try_with(irql, |_, _| ()).is_none())
    })?;
    holds(current_irql() == 0)?;
    holds(mutex.try_with(irql, |value, _| *value) == Some(2))
}

pub(crate) fn fast_and_guarded_mutex(irql: &mut Passive) -> Option<()> {
    let fast = FastMutex::try_new(1).ok()?;
    mutex(irql, &*fast)?;
    let guarded = GuardedMutex::try_new(1).ok()?;
    mutex(irql, &*guarded)
}

static STOP: Event = Event::new();

pub(crate) fn kernel_mutex(irql: &mut Passive) -> Option<()> {
    let mutex = KMutex::try_new(1).ok()?;
    let stop = STOP.begin(true);
    let inner = mutex.with(irql, |value, irql, _| {
        *value += 1;
        mutex.with_timeout(irql, 10, |_, _, _| ())
    });
    holds(inner == Ok(Err(NotAcquired::Recursive)))?;
    holds(mutex.try_with(irql, |value, _, _| *value) == Ok(2))?;
    // A free mutex is preferred to a signaled stop event.
    let either = mutex.with_timeout_or_stop(irql, 10, &stop, |value, _, _| *value);
    holds(either == Ok(2))?;
    holds(current_irql() == 0)
}

pub(crate) fn reentrant_kernel_mutex(irql: &mut Passive) -> Option<()> {
    let mutex = ReentrantKMutex::try_new(AtomicU32::new(0)).ok()?;
    let inner = mutex.with(irql, |outer, irql, _| {
        outer.fetch_add(1, Ordering::Relaxed);
        mutex.try_with(irql, |inner, _, _| inner.fetch_add(1, Ordering::Relaxed))
    });
    holds(inner == Ok(Ok(1)))?;
    let stop = STOP.begin(true);
    // SAFETY: released below, by this thread.
    let depth = unsafe { mutex.acquire_unscoped(irql, 10, &stop) };
    holds(depth == Ok(1))?;
    // SAFETY: acquired above.
    unsafe { mutex.release_unscoped(irql) };
    Some(())
}

/// A wait that another thread's mutex keeps from ending.
pub(crate) fn stopped(irql: &mut Passive) -> Option<()> {
    static HELD: Event = Event::new();
    static DONE: Event = Event::new();
    let mutex = KMutex::try_new(()).ok()?;
    let (held, done) = (HELD.begin(false), DONE.begin(false));
    let holder = |irql: &mut Passive| {
        let ended = mutex.with(irql, |(), irql, _| {
            held.set();
            done.wait(irql)
        });
        ended.ok()?
    };
    beside(irql, &holder, |irql| {
        held.wait(irql)?;
        let stop = STOP.begin(true);
        let stopped = mutex.with_timeout_or_stop(irql, 10_000, &stop, |(), _, _| ());
        let stop = STOP.begin(false);
        let timed_out = mutex.with_timeout_or_stop(irql, 1, &stop, |(), _, _| ());
        let tried = mutex.try_with(irql, |(), _, _| ());
        done.set();
        holds(stopped == Err(NotAcquired::Stopped))?;
        holds(timed_out == Err(NotAcquired::TimedOut) && tried == timed_out)?;
        // The holder ends.
        holds(mutex.with_timeout(irql, 10_000, |(), _, _| ()).is_ok())
    })
}

pub(crate) fn resource_in_a_region(irql: &mut Passive) -> Option<()> {
    let resource = Resource::try_new(1).ok()?;
    let region = CriticalRegion::enter(irql);
    let mut guard = resource.exclusive(irql, &region).ok()?;
    *guard += 1;
    holds(resource.held() == HeldAs::Exclusive(1))?;
    holds(resource.shared(irql, &region).err() == Some(Refused::Recursive))?;
    let first = guard.downgrade(irql);
    let second = resource.shared(irql, &region).ok()?;
    let third = resource.shared_starve_exclusive(irql, &region).ok()?;
    holds(resource.held() == HeldAs::Shared(3))?;
    holds(resource.exclusive(irql, &region).err() == Some(Refused::Upgrade))?;
    let behind = resource.shared_wait_for_exclusive(irql, &region);
    holds(behind.err() == Some(Refused::BehindItself))?;
    holds(*first + *second + *third == 6)?;
    holds(resource.exclusive_waiters() == 0 && resource.shared_waiters() == 0)?;
    drop((first, second, third));
    holds(resource.held() == HeldAs::Not)?;
    let guard = resource.shared_wait_for_exclusive(irql, &region).ok()?;
    holds(*guard.map(|value| value) == 2)
}

pub(crate) fn resource_tries(irql: &mut Passive) -> Option<()> {
    let resource = Resource::try_new([1, 2]).ok()?;
    let region = GuardedRegion::enter(irql);
    let guard = resource.try_exclusive(irql, &region).ok()?;
    *guard.map(|pair| &mut pair[1]) = 3;
    drop(resource.try_shared(irql, &region).ok()?);
    drop(resource.try_shared_starve_exclusive(irql, &region).ok()?);
    let guard = resource.try_shared_wait_for_exclusive(irql, &region).ok()?;
    holds(*guard == [1, 3])?;
    drop(guard);
    drop(region);
    irql.raise_to_apc_level(|irql| holds(resource.exclusive(irql, irql).is_ok()))?;
    Resource::delete(resource, irql);
    Some(())
}

pub(crate) fn resource_combined(irql: &mut Passive) -> Option<()> {
    let outer = Resource::try_new(1).ok()?;
    let inner = Resource::try_new(2).ok()?;
    let mut guard = outer.enter_exclusive(irql).ok()?;
    let (data, region) = guard.parts();
    *data += *inner.shared(irql, region).ok()?;
    let shared = guard.downgrade(irql);
    holds(*shared == 3)?;
    drop(shared);
    drop(outer.enter_shared(irql).ok()?);
    drop(outer.enter_shared_wait_for_exclusive(irql).ok()?);
    outer
        .with_exclusive(irql, |value, irql, _| {
            *value += 1;
            holds(outer.with_shared(irql, |_, _, _| ()) == Err(Refused::Recursive))
        })
        .ok()??;
    holds(outer.with_shared(irql, |value, _, _| *value) == Ok(4))?;
    holds(outer.held() == HeldAs::Not)
}

pub(crate) fn resource_unchecked(irql: &mut Passive) -> Option<()> {
    let resource = Resource::try_new(1).ok()?;
    // SAFETY: nobody else has the resource, and each guard goes before the next is made.
    *unsafe { resource.enter_exclusive_unchecked(irql) } += 1;
    // SAFETY: as above.
    holds(*unsafe { resource.enter_shared_unchecked(irql) } == 2)?;
    // SAFETY: as above.
    holds(*unsafe { resource.enter_shared_wait_for_exclusive_unchecked(irql) } == 2)
}

pub(crate) fn reentrant_resource(irql: &mut Passive) -> Option<()> {
    let resource = ReentrantResource::try_new(AtomicU32::new(0)).ok()?;
    let mut outer = resource.enter_exclusive(irql).ok()?;
    let (_, region) = outer.parts();
    let again = resource.exclusive(irql, region).ok()?;
    let shared = resource
        .try_acquire(Mode::SharedStarveExclusive, irql, region)
        .ok()?;
    shared.fetch_add(1, Ordering::Relaxed);
    holds(resource.held() == HeldAs::Exclusive(3))?;
    drop((again, shared));
    drop(outer);
    let shared = resource.enter_shared(irql).ok()?;
    let upgrade = resource.enter_exclusive(irql).err();
    holds(upgrade == Some(Refused::Upgrade) && shared.load(Ordering::Relaxed) == 1)
}

pub(crate) fn push_lock(irql: &mut Passive) -> Option<()> {
    let lock = PushLock::try_new(1).ok()?;
    lock.with_exclusive(irql, |value, _, _| *value += 1);
    let region = CriticalRegion::enter(irql);
    *lock.exclusive(irql, &region) += 1;
    holds(*lock.shared(irql, &region) == 3)?;
    drop(region);
    holds(lock.with_shared(irql, |value, _, _| *value) == 3)
}

pub(crate) fn place(irql: &mut Passive) -> Option<()> {
    // SAFETY: a static of a section that is not paged; the function drops what it makes.
    static PLACE: Place<Resource<u32>> = unsafe { Place::new() };
    let resource = PLACE.try_init(1).ok()?;
    holds(PLACE.try_init(2).err() == Some(NotMade::Occupied))?;
    holds(resource.with_exclusive(irql, |value, _, _| *value) == Ok(1))?;
    drop(resource);
    let again = PLACE.try_init(3).ok()?;
    holds(again.with_shared(irql, |value, _, _| *value) == Ok(3))
}

/// What the documentation of `Resource::try_new` says of a forgotten guard: bug check 0x45524553.
pub(crate) fn drop_while_owned(irql: &mut Passive) -> Option<()> {
    let resource = Resource::try_new(1).ok()?;
    core::mem::forget(resource.enter_exclusive(irql).ok()?);
    drop(resource);
    None
}

/// The same bug check, for a resource that is dropped above APC_LEVEL.
pub(crate) fn drop_above_apc_level(_irql: &mut Passive) -> Option<()> {
    let resource = Resource::try_new(1).ok()?;
    #[allow(clippy::cast_possible_truncation, reason = "DISPATCH_LEVEL is 2")]
    // SAFETY: the code below is not paged, and takes nothing that needs a lower IRQL but what it is for.
    let old = unsafe { ntddk::KfRaiseIrql(DISPATCH_LEVEL as u8) };
    drop(resource);
    // SAFETY: raised above.
    unsafe { ntddk::KeLowerIrql(old) };
    None
}
