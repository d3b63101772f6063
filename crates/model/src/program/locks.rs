//! Which object of the machine a lock of the program is.

use apclab_protocol::program::{LockKind, Program};

use super::number;
use crate::kernel::{FastMutexId, FastMutexKind, Kernel, ObjectId, ThreadId};

/// A lock of the program.
#[derive(Clone, Copy)]
pub(super) enum Lock {
    Fast(FastMutexId),
    Mutex(ObjectId),
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
    }
}

/// The lock with that index in the program.
pub(super) fn lock(program: &Program<'_>, index: u8) -> Lock {
    let index = usize::from(index);
    let raises = |index: usize| program.lock(index).is_some_and(LockKind::raises);
    let fast = (0..index).filter(|&before| raises(before)).count();
    if raises(index) {
        Lock::Fast(FastMutexId(number(fast)))
    } else {
        Lock::Mutex(ObjectId(number(program.events() + index - fast)))
    }
}
