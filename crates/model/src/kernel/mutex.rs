//! KMUTEX: a dispatcher object with an owner, who is as in one critical region.

use super::bugcheck::KMODE_EXCEPTION_NOT_HANDLED;
use super::object::Object;
use super::{BugCheck, Kernel, Mutant, ObjectId, ThreadId};

/// STATUS_MUTANT_NOT_OWNED.
const STATUS_MUTANT_NOT_OWNED: u64 = 0xC000_0046;
/// STATUS_MUTANT_LIMIT_EXCEEDED.
const STATUS_MUTANT_LIMIT_EXCEEDED: u64 = 0xC000_0191;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Mutex {
    owner: Option<ThreadId>,
    /// `KeReadStateMutex`: 1 is free, 0 is acquired once, -1 twice, and so on.
    state: i32,
    /// Whether owning it moves the owner's counter: always, but in two mutants.
    counted: bool,
}

impl Mutex {
    /// Whether a wait of the thread on the mutex is satisfied at once.
    pub(super) fn open_to(&self, t: ThreadId, mutant: Option<Mutant>) -> bool {
        match mutant {
            Some(Mutant::MutexExcludes) => true,
            Some(Mutant::MutexRecursive) => self.owner.is_none(),
            _ => self.owner.is_none() || self.owner == Some(t),
        }
    }

    pub(super) fn owner(&self) -> Option<ThreadId> {
        self.owner
    }

    pub(super) fn permute(&mut self, of: impl Fn(ThreadId) -> ThreadId) {
        self.owner = self.owner.map(of);
    }
}

impl Kernel {
    /// `KeInitializeMutex`: a mutex that nobody owns. It is acquired by [`Kernel::wait`].
    pub fn create_mutex(&mut self) -> ObjectId {
        ObjectId(self.objects.insert(Object::Mutex(Mutex {
            owner: None,
            state: 1,
            counted: false,
        })))
    }

    /// `KeReleaseMutex`, not followed by a wait: gives the state before the release, 0 when the
    /// mutex is free now and less when the thread still owns it.
    ///
    /// The last release enables normal APCs as the leave of a critical region does, and forces
    /// those that it enables. Whose wait it satisfies is as for a synchronization event.
    ///
    /// # Errors
    ///
    /// 0x1E KMODE_EXCEPTION_NOT_HANDLED with parameter 1 = 0xC0000046 STATUS_MUTANT_NOT_OWNED
    /// when the thread does not own the mutex: the kernel raises an exception, which a driver
    /// without exception handlers can't catch (docs/semantics.md, section 4).
    ///
    /// # Panics
    ///
    /// When `o` is no mutex.
    pub fn release_mutex(&mut self, t: ThreadId, o: ObjectId) -> Result<i32, BugCheck> {
        self.release_mutex_choosing(t, o, 0)
    }

    /// As [`Kernel::release_mutex`], with the position in [`Kernel::mutex_takers`] of the waiter
    /// that gets the mutex if this is the last release. Without takers it does not matter.
    ///
    /// # Errors
    ///
    /// As [`Kernel::release_mutex`].
    ///
    /// # Panics
    ///
    /// When `o` is no mutex, or when there are takers and `taker` is not the position of one.
    pub fn release_mutex_choosing(
        &mut self,
        t: ThreadId,
        o: ObjectId,
        taker: usize,
    ) -> Result<i32, BugCheck> {
        let mutex = self.mutex_mut(o);
        if mutex.owner != Some(t) {
            let reason = match mutex.owner {
                Some(_) => "A KMUTEX was released by a thread that does not own it.",
                None => "A KMUTEX was released that nobody owns.",
            };
            return Err(raised(STATUS_MUTANT_NOT_OWNED, reason));
        }
        let previous = mutex.state;
        mutex.state += 1;
        if mutex.state == 1 {
            mutex.owner = None;
            let counted = std::mem::take(&mut mutex.counted);
            let takers = self.mutex_takers(o);
            if !takers.is_empty() {
                let satisfied = self.satisfy(takers[taker]);
                assert!(satisfied, "a taker's wait is satisfied by the mutex");
            }
            if counted {
                self.leave_owned_mutex(t);
            }
        }
        Ok(previous)
    }

    /// The waiters of which one gets the mutex when its owner releases it for the last time, so
    /// that there is one choice for each: any eligible one in `Documented`, the one that blocked
    /// first in `Nt52`.
    ///
    /// # Panics
    ///
    /// When `o` is no mutex.
    pub fn mutex_takers(&self, o: ObjectId) -> Vec<ThreadId> {
        assert!(self.is_mutex(o), "object {} is no mutex", o.0);
        self.takers(o)
    }

    /// The thread that owns the mutex.
    ///
    /// # Panics
    ///
    /// When `o` is no mutex.
    pub fn mutex_owner(&self, o: ObjectId) -> Option<ThreadId> {
        self.mutex(o).owner
    }

    /// `KeReadStateMutex`: 1 is free, 0 is acquired once, -1 twice, and so on.
    ///
    /// # Panics
    ///
    /// When `o` is no mutex.
    pub fn mutex_state(&self, o: ObjectId) -> i32 {
        self.mutex(o).state
    }

    /// How many mutexes the thread owns that each hold its first counter down by one.
    pub(super) fn owned_mutexes(&self, t: ThreadId) -> i16 {
        let owned = |object: &Object| matches!(object, Object::Mutex(mutex) if mutex.owner == Some(t) && mutex.counted);
        let count = self
            .objects
            .iter()
            .filter(|(_, object)| owned(object))
            .count();
        i16::try_from(count).unwrap_or(i16::MAX)
    }

    /// A wait of the thread takes the mutex: its first counter goes down once, whatever the
    /// recursion (docs/semantics.md, section 2).
    pub(super) fn take_mutex(&mut self, t: ThreadId, o: ObjectId) {
        let counted = match self.mutant {
            Some(Mutant::MutexCountsEach) => self.owned_mutexes(t) == 0,
            Some(Mutant::MutexInRegion) => self.thread(t).counters.kernel == 0,
            _ => true,
        };
        let mutex = self.mutex_mut(o);
        mutex.state -= 1;
        let first = mutex.owner.replace(t).is_none();
        if first {
            mutex.counted = counted;
        }
        if (first && counted) || self.gets_wrong(Mutant::MutexCountsOnce) {
            self.enter_owned_mutex(t);
        }
    }

    /// The exception that a wait raises which would acquire the mutex beyond its limit.
    pub(super) fn check_mutex_limit(&self, t: ThreadId, o: ObjectId) -> Result<(), BugCheck> {
        match self.objects.get(o.0) {
            Object::Mutex(mutex) if mutex.owner == Some(t) && mutex.state == i32::MIN => {
                let reason = "A KMUTEX was acquired by its owner more often than it can count.";
                Err(raised(STATUS_MUTANT_LIMIT_EXCEEDED, reason))
            }
            _ => Ok(()),
        }
    }

    /// Whether the object is a KMUTEX.
    pub fn is_mutex(&self, o: ObjectId) -> bool {
        matches!(self.objects.get(o.0), Object::Mutex(_))
    }

    fn mutex(&self, o: ObjectId) -> &Mutex {
        match self.objects.get(o.0) {
            Object::Mutex(mutex) => mutex,
            _ => panic!("object {} is no mutex", o.0),
        }
    }

    fn mutex_mut(&mut self, o: ObjectId) -> &mut Mutex {
        match self.objects.get_mut(o.0) {
            Object::Mutex(mutex) => mutex,
            _ => panic!("object {} is no mutex", o.0),
        }
    }
}

fn raised(status: u64, reason: &str) -> BugCheck {
    BugCheck::new(KMODE_EXCEPTION_NOT_HANDLED, [status, 0, 0, 0], reason)
}

#[cfg(test)]
mod tests;
