//! What the steps about locks do.

use apclab_protocol::program::Program;
use apclab_protocol::step::{Mode, Step};

use super::locks::{Lock, lock};
use super::step::Effect;
use super::thread;
use crate::kernel::{
    Acquired, Answer, BugCheck, Kernel, PushLockMode, ResourceId, ResourceMode, ResourceOwner,
    ThreadId,
};

/// In how many ways an acquire of the lock may go.
pub(super) fn acquire_choices(
    kernel: &Kernel,
    program: &Program<'_>,
    t: ThreadId,
    index: u8,
    mode: Mode,
) -> usize {
    match lock(program, index) {
        Lock::Push(push_lock) if mode == Mode::Shared => {
            match kernel.push_lock_sharer_queues(t, push_lock) {
                Answer::Either => 2,
                Answer::Is(_) => 1,
            }
        }
        _ => 1,
    }
}

/// In how many ways a release of the lock may go.
pub(super) fn release_choices(kernel: &Kernel, program: &Program<'_>, index: u8) -> usize {
    match lock(program, index) {
        // The last release, after which somebody else may have it.
        Lock::Mutex(mutex) if kernel.mutex_state(mutex) == 0 => {
            kernel.mutex_takers(mutex).len().max(1)
        }
        _ => 1,
    }
}

/// Executes a step that is about a lock.
///
/// # Panics
///
/// When the step is about none, or about one of a kind that it is not for, which
/// [`Program::parse`] refuses.
pub(super) fn execute(
    kernel: &mut Kernel,
    program: &Program<'_>,
    lane: usize,
    step: Step,
    choice: usize,
) -> Result<Effect, BugCheck> {
    let t = thread(lane);
    let index = step.lock().expect("the step is about a lock");
    let lock = lock(program, index);
    let effect = match (step, lock) {
        (Step::Acquire { mode, .. }, _) => {
            if acquire(kernel, t, lock, mode, choice)? {
                Effect::Done
            } else {
                Effect::Waits
            }
        }
        (
            Step::Try {
                mode,
                to,
                milliseconds,
                length,
                ..
            },
            _,
        ) => match attempt(kernel, t, lock, mode, milliseconds > 0)? {
            Acquired::Blocked => Effect::Waits,
            acquired => Effect::Tried {
                to,
                acquired: acquired == Acquired::Now,
                length,
            },
        },
        (Step::Release { .. }, _) => {
            release(kernel, t, lock, choice)?;
            Effect::Done
        }
        (_, Lock::Resource(r)) => return resource_step(kernel, t, r, step),
        _ => unreachable!("only a resource has this step"),
    };
    Ok(effect)
}

/// Whether the lock was acquired at once; if not, the thread waits for it.
fn acquire(
    kernel: &mut Kernel,
    t: ThreadId,
    lock: Lock,
    mode: Mode,
    choice: usize,
) -> Result<bool, BugCheck> {
    let acquired = match lock {
        Lock::Fast(mutex) => kernel.acquire_fast_mutex(t, mutex)?,
        Lock::Mutex(mutex) => return Ok(kernel.wait(t, &[mutex], false, true)?.is_some()),
        Lock::Resource(r) => kernel.acquire_resource(t, r, resource_mode(mode), true)?,
        Lock::Push(push_lock) => {
            let queues = match kernel.push_lock_sharer_queues(t, push_lock) {
                Answer::Is(queues) => queues,
                Answer::Either => choice == 1,
            };
            kernel.acquire_push_lock_choosing(t, push_lock, push_lock_mode(mode), queues)?
        }
        Lock::Section(section) => kernel.enter_critical_section(t, section),
    };
    Ok(acquired == Acquired::Now)
}

/// `may_block`: with a time-out of its own, which only a KMUTEX has.
fn attempt(
    kernel: &mut Kernel,
    t: ThreadId,
    lock: Lock,
    mode: Mode,
    may_block: bool,
) -> Result<Acquired, BugCheck> {
    let at_once = |acquired| {
        if acquired {
            Acquired::Now
        } else {
            Acquired::Refused
        }
    };
    match lock {
        Lock::Fast(mutex) => kernel.try_fast_mutex(t, mutex).map(at_once),
        Lock::Mutex(mutex) => {
            let acquired = kernel.wait(t, &[mutex], false, may_block)?.is_some();
            Ok(match at_once(acquired) {
                Acquired::Refused if may_block => Acquired::Blocked,
                ended => ended,
            })
        }
        Lock::Resource(r) => kernel.acquire_resource(t, r, resource_mode(mode), false),
        Lock::Section(section) => Ok(at_once(kernel.try_critical_section(t, section))),
        Lock::Push(_) => unreachable!("a push lock can't be tried"),
    }
}

fn release(kernel: &mut Kernel, t: ThreadId, lock: Lock, choice: usize) -> Result<(), BugCheck> {
    match lock {
        Lock::Fast(mutex) => kernel.release_fast_mutex(t, mutex),
        Lock::Mutex(mutex) => kernel.release_mutex_choosing(t, mutex, choice).map(drop),
        Lock::Resource(r) => kernel.release_resource(t, r),
        Lock::Push(push_lock) => {
            // What is not held is a bug check in either mode.
            let held = kernel.push_lock_held(t, push_lock);
            kernel.release_push_lock(t, push_lock, held.unwrap_or(PushLockMode::Exclusive))
        }
        Lock::Section(section) => {
            // What is not owned is left alone, which the verifier refuses.
            kernel.leave_critical_section(t, section);
            Ok(())
        }
    }
}

/// A step that only a resource has.
fn resource_step(
    kernel: &mut Kernel,
    t: ThreadId,
    r: ResourceId,
    step: Step,
) -> Result<Effect, BugCheck> {
    match step {
        // The two halves are one event: what happens between them may as well happen after the
        // release, or before the region is entered.
        Step::EnterAcquire { mode, .. } => {
            let acquired = kernel.enter_and_acquire_resource(t, r, resource_mode(mode))?;
            if acquired == Acquired::Blocked {
                return Ok(Effect::Waits);
            }
        }
        Step::ReleaseLeave { .. } => {
            let own = ResourceOwner::Thread(t);
            let before = kernel.resource_count(r, own);
            kernel.release_resource_and_leave(t, r)?;
            // Only the mutant of `resource-releases-first` has something to do before it releases.
            if kernel.resource_count(r, own) == before {
                return Ok(Effect::Waits);
            }
        }
        Step::Convert { .. } => kernel.convert_resource(t, r)?,
        Step::Reinitialize { .. } => kernel.reinitialize_resource(t, r)?,
        Step::AcquiredExclusive { to, .. } => {
            let exclusive = kernel.resource_acquired_exclusive(t, r);
            return Ok(Effect::Write(to, exclusive.into()));
        }
        Step::AcquiredShared { to, .. } => {
            let count = kernel.resource_acquired_shared(t, r);
            return Ok(Effect::Write(to, count.into()));
        }
        Step::ExclusiveWaiters { to, .. } => {
            return Ok(Effect::Write(to, kernel.exclusive_waiters(r).into()));
        }
        Step::SharedWaiters { to, .. } => {
            return Ok(Effect::Write(to, kernel.shared_waiters(r).into()));
        }
        Step::HandOver { .. } => kernel.set_resource_owner(t, r, pointer(t))?,
        Step::ReleaseFor { lane, to, .. } => {
            // The machine has the count of what was handed over and not released since.
            let heir = ResourceOwner::Pointer(pointer(thread(lane.into())));
            let any = kernel.resource_count(r, heir) > 0;
            if any {
                kernel.release_resource_for(t, r, heir)?;
            }
            return Ok(Effect::Write(to, any.into()));
        }
        _ => unreachable!("no other step is about a resource alone"),
    }
    Ok(Effect::Done)
}

/// The owner pointer that stands for what a lane has handed over: not 0, and its two low bits are set.
fn pointer(lane: ThreadId) -> u64 {
    (u64::from(lane.0) + 1) << 8 | 3
}

fn resource_mode(mode: Mode) -> ResourceMode {
    match mode {
        Mode::Exclusive => ResourceMode::Exclusive,
        Mode::Shared => ResourceMode::Shared,
        Mode::SharedStarveExclusive => ResourceMode::SharedStarveExclusive,
        Mode::SharedWaitForExclusive => ResourceMode::SharedWaitForExclusive,
    }
}

fn push_lock_mode(mode: Mode) -> PushLockMode {
    match mode {
        Mode::Shared => PushLockMode::Shared,
        _ => PushLockMode::Exclusive,
    }
}
