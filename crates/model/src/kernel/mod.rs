//! The machine: threads with two counters, an IRQL and an APC queue, and the objects they wait on.
//!
//! The machine does not run anything. A caller reports what a thread does (`enter_critical`,
//! `insert_apc`, `wait`, …) and asks what may or must happen next ([`Kernel::deliverable`],
//! [`Kernel::forced`], [`Kernel::grantable`]). Where more than one thing may happen the caller
//! chooses: the machine is a relation, not a function.

mod alert;
mod apc;
mod blocked;
mod bugcheck;
mod critical_section;
mod delivery;
mod fast_mutex;
mod held_request;
mod irql;
mod lock;
mod mutant;
mod mutex;
mod object;
mod permute;
mod predicate;
mod push_lock;
mod region;
mod resource;
mod slots;
mod suspend;
mod thread;
mod user;
mod wait;

pub use alert::{Alert, Begun, WaitMode};
pub use apc::ApcKind;
pub use blocked::{LockHolder, LockWait, ObjectWait};
pub use bugcheck::BugCheck;
pub use delivery::Next;
pub use fast_mutex::FastMutexKind;
pub use irql::{APC_LEVEL, DISPATCH_LEVEL, HIGH_LEVEL, PASSIVE_LEVEL};
pub use lock::{Acquired, LockId};
pub use mutant::Mutant;
pub use object::EventKind;
pub use predicate::Answer;
pub use push_lock::PushLockMode;
pub use resource::{ResourceMode, ResourceOwner};
pub use thread::Baseline;

use apc::Apc;
use critical_section::CriticalSection;
use fast_mutex::FastMutex;
use object::Object;
use push_lock::PushLock;
use resource::Resource;
use slots::Slots;
use thread::Thread;

/// Names a thread of one [`Kernel`]. A number is used again once the thread's object is removed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ThreadId(pub u32);

/// Names an APC object of one [`Kernel`]. A number is used again once the APC is removed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ApcId(pub u32);

/// Names a dispatcher object of one [`Kernel`]. A number is used again once it is removed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ObjectId(pub u32);

/// Names a fast or guarded mutex of one [`Kernel`]. A number is used again once it is removed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FastMutexId(pub u32);

/// Names an executive resource of one [`Kernel`]. A number is used again once it is deleted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ResourceId(pub u32);

/// Names a push lock of one [`Kernel`]. A number is used again once it is removed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PushLockId(pub u32);

/// Names a critical section of one [`Kernel`]. A number is used again once it is removed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CriticalSectionId(pub u32);

/// How much of the kernel's behaviour is taken as given.
///
/// Every behaviour of `Nt52` is one of `Documented`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Profile {
    /// What Microsoft's pages promise, and no more.
    Documented,
    /// What open re-implementations of NT 5.2 do: the queue is drained once delivery has begun,
    /// an APC to a waiting thread takes it out of its wait at once, events wake in FIFO order.
    Nt52,
}

/// The state of one machine.
///
/// # Panics
///
/// Every routine panics when it is given an id that names nothing: ids are the caller's own
/// bookkeeping, not input of the driver under test.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Kernel {
    profile: Profile,
    mutant: Option<Mutant>,
    threads: Slots<Thread>,
    apcs: Slots<Apc>,
    objects: Slots<Object>,
    fast_mutexes: Slots<FastMutex>,
    resources: Slots<Resource>,
    push_locks: Slots<PushLock>,
    critical_sections: Slots<CriticalSection>,
    /// The blocked threads in the order in which they blocked. Kept in `Nt52` only, where the
    /// order decides who wakes.
    wait_order: Vec<ThreadId>,
}

impl Kernel {
    /// A machine without threads.
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            mutant: None,
            threads: Slots::new(),
            apcs: Slots::new(),
            objects: Slots::new(),
            fast_mutexes: Slots::new(),
            resources: Slots::new(),
            push_locks: Slots::new(),
            critical_sections: Slots::new(),
            wait_order: Vec::new(),
        }
    }

    /// The profile that the machine was made with.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// How many threads there are.
    pub(crate) fn threads(&self) -> usize {
        self.threads.iter().count()
    }

    /// About how many bytes the machine takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.threads.bytes()
            + self.apcs.bytes()
            + self.objects.bytes()
            + self.fast_mutexes.bytes()
            + self.resources.bytes()
            + self.push_locks.bytes()
            + self.critical_sections.bytes()
    }

    fn thread(&self, t: ThreadId) -> &Thread {
        self.threads.get(t.0)
    }

    fn thread_mut(&mut self, t: ThreadId) -> &mut Thread {
        self.threads.get_mut(t.0)
    }
}

#[cfg(test)]
mod laws;
