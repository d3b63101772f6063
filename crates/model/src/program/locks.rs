//! Which object of the machine a lock of the program is.

use apclab_protocol::program::{LockKind, Program};

use super::number;
use crate::kernel::{
    CriticalSectionId, FastMutexId, FastMutexKind, Kernel, LockId, ObjectId, PushLockId,
    ResourceId, ThreadId,
};

/// A lock of the program.
#[derive(Clone, Copy)]
pub(super) enum Lock {
    Fast(FastMutexId),
    Mutex(ObjectId),
    Resource(ResourceId),
    Push(PushLockId),
    Section(CriticalSectionId),
}

/// Makes the program's locks. The machine numbers each kind from 0; the mutexes come after the
/// events.
pub(super) fn create(program: &Program<'_>, kernel: &mut Kernel) {
    for kind in (0..program.locks()).filter_map(|index| program.lock(index)) {
        match kind {
            LockKind::FastMutex => {
                kernel.create_fast_mutex(FastMutexKind::Fast);
            }
            LockKind::GuardedMutex => {
                kernel.create_fast_mutex(FastMutexKind::Guarded);
            }
            LockKind::Mutex => {
                kernel.create_mutex();
            }
            LockKind::Resource => {
                kernel.create_resource();
            }
            LockKind::PushLock => {
                kernel.create_push_lock();
            }
            LockKind::CriticalSection => {
                kernel.create_critical_section();
            }
        }
    }
}

/// The lane that has the lock so that no other lane can get it before it releases it.
pub(crate) fn exclusive_holder(
    kernel: &Kernel,
    program: &Program<'_>,
    index: u8,
) -> Option<ThreadId> {
    match lock(program, index) {
        Lock::Fast(mutex) => kernel.fast_mutex_owner(mutex),
        Lock::Mutex(mutex) => kernel.mutex_owner(mutex),
        Lock::Resource(resource) => kernel.exclusive_owner(LockId::Resource(resource)),
        Lock::Push(push_lock) => kernel.exclusive_owner(LockId::PushLock(push_lock)),
        Lock::Section(section) => kernel.critical_section_owner(section),
    }
}

/// The lock with that index in the program.
///
/// # Panics
///
/// When the program has no such lock.
pub(super) fn lock(program: &Program<'_>, index: u8) -> Lock {
    let index = usize::from(index);
    let earlier = |same: fn(LockKind) -> bool| {
        let kinds = (0..index).filter_map(|before| program.lock(before));
        kinds.filter(|&kind| same(kind)).count()
    };
    match program
        .lock(index)
        .expect("a step names a lock that is there")
    {
        LockKind::FastMutex | LockKind::GuardedMutex => {
            Lock::Fast(FastMutexId(number(earlier(LockKind::raises))))
        }
        LockKind::Mutex => {
            let mutexes = earlier(|kind| kind == LockKind::Mutex);
            Lock::Mutex(ObjectId(number(program.events() + mutexes)))
        }
        LockKind::Resource => Lock::Resource(ResourceId(number(earlier(|kind| {
            kind == LockKind::Resource
        })))),
        LockKind::PushLock => Lock::Push(PushLockId(number(earlier(|kind| {
            kind == LockKind::PushLock
        })))),
        LockKind::CriticalSection => Lock::Section(CriticalSectionId(number(earlier(|kind| {
            kind == LockKind::CriticalSection
        })))),
    }
}
