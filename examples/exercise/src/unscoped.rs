//! What an interpreter of lock steps uses: proofs of any kind, acquires that no scope pairs, hand-over.
#![allow(unsafe_code, reason = "counts its acquires by hand")]

use apclab_guards::{
    CriticalRegion, EnterMode, HeldAs, Mode, NormalApcsDisabled, NotExclusive, Passive, PushLock,
    PushLockMode, ReentrantResource, RegionKind, RegionStack, ResourceOwner, Slot,
};

use crate::state::holds;
use crate::thread::beside;

pub(crate) fn proofs(irql: &mut Passive) -> Option<()> {
    let resource = ReentrantResource::try_new(()).ok()?;
    let mut slots = [Slot::EMPTY; 2];
    let mut stack = RegionStack::new(&mut slots);
    holds(stack.proof().is_none())?;
    stack.enter(RegionKind::Critical, irql).ok()?;
    let (proof, spare) = stack.parts();
    holds(spare.len() == 1)?;
    let outer = resource.exclusive(irql, proof?).ok()?;
    let mut combined = resource
        .enter(EnterMode::SharedWaitForExclusive, irql)
        .ok()?;
    let ((), region) = combined.parts();
    drop(resource.acquire_may_deadlock(Mode::Exclusive, irql, region.any()));
    holds(resource.acquired_exclusive() && resource.acquired_count() == 2)?;
    resource.convert(irql).ok()?;
    holds(resource.convert(irql) == Err(NotExclusive))?;
    holds(resource.held() == HeldAs::Shared(2))?;
    drop((outer, combined));
    drop(stack);
    irql.raise_to_apc_level(|irql| {
        let (irql, proof) = irql.parts();
        holds(resource.exclusive(irql, proof).is_ok())
    })?;
    let mut resource = resource;
    ReentrantResource::reinitialize(&mut resource, irql).ok()?;
    holds(resource.held() == HeldAs::Not)
}

pub(crate) fn unscoped(irql: &mut Passive) -> Option<()> {
    let resource = ReentrantResource::try_new(()).ok()?;
    let push_lock = PushLock::try_new(()).ok()?;
    // SAFETY: each acquire below is released once, and its region left after it.
    unsafe { resource.enter_acquire_unscoped(EnterMode::Exclusive, irql) };
    // SAFETY: as above.
    holds(unsafe { resource.acquire_unscoped(Mode::Shared, true, irql) })?;
    // SAFETY: as above.
    unsafe { push_lock.acquire_unscoped(PushLockMode::Exclusive, irql) };
    holds(resource.held() == HeldAs::Exclusive(2))?;
    // SAFETY: exclusive, as the line above says.
    unsafe { resource.convert_unscoped(irql) };
    // SAFETY: acquired twice above.
    unsafe { resource.release_unscoped(irql) };
    // SAFETY: a sharer: without waiting the kernel refuses it.
    holds(!unsafe { resource.acquire_unscoped(Mode::Exclusive, false, irql) })?;
    // SAFETY: acquired above.
    unsafe { push_lock.release_unscoped(PushLockMode::Exclusive, irql) };
    // SAFETY: as above.
    unsafe { push_lock.acquire_unscoped(PushLockMode::Shared, irql) };
    // SAFETY: as above.
    unsafe { push_lock.release_unscoped(PushLockMode::Shared, irql) };
    // SAFETY: the last acquire, and the combined call's region.
    unsafe { resource.release_leave_unscoped(irql) };
    holds(resource.held() == HeldAs::Not)?;
    // SAFETY: nobody has it.
    unsafe { resource.reinitialize_unscoped(irql) };
    holds(resource.enter(EnterMode::Exclusive, irql).is_ok())
}

pub(crate) fn hand_over(irql: &mut Passive) -> Option<()> {
    static OWNER: ResourceOwner = ResourceOwner::new();
    let resource = ReentrantResource::try_new(()).ok()?;
    let region = CriticalRegion::enter(irql);
    for _ in 0..2 {
        // SAFETY: handed over below.
        holds(unsafe { resource.acquire_unscoped(Mode::Exclusive, true, irql) })?;
    }
    // SAFETY: acquired unscoped; the owner is a static, and the other thread releases.
    unsafe { resource.hand_over_unscoped(&OWNER, irql) };
    drop(region);
    let release = |irql: &mut Passive| {
        let region = CriticalRegion::enter(irql);
        for _ in 0..2 {
            holds(resource.try_acquire(Mode::Shared, irql, &region).is_err())?;
            // SAFETY: handed over with two acquires.
            unsafe { resource.release_for_owner_unscoped(&OWNER, irql) };
        }
        holds(resource.try_acquire(Mode::Shared, irql, &region).is_ok())
    };
    beside(irql, &release, |_| Some(()))?;
    holds(resource.enter(EnterMode::Exclusive, irql).is_ok())
}

/// A mistake, which the feature `debug` tells the kernel's debugger: a region is left under a resource.
pub(crate) fn mistake(irql: &mut Passive) -> Option<()> {
    let resource = ReentrantResource::try_new(()).ok()?;
    let main = |irql: &mut Passive| {
        // SAFETY: released below; that it is outside the region for a moment is the mistake, which a
        // thread that nobody suspends survives.
        unsafe { resource.enter_acquire_unscoped(EnterMode::Shared, irql) };
        // SAFETY: the combined call's region.
        drop(unsafe { CriticalRegion::assume_entered() });
        let region = CriticalRegion::enter(irql);
        // SAFETY: acquired above.
        unsafe { resource.release_unscoped(irql) };
        drop(region);
        Some(())
    };
    // On a thread of its own: the framework is inside a region when it calls a driver.
    beside(irql, &main, |_| Some(()))
}
