//! Who keeps whom waiting: what a search for deadlocks asks.

use super::lock::LockId;
use super::wait::Awaited;
use super::{Kernel, ObjectId, ResourceOwner, ThreadId};

/// A wait for a lock that its holders keep from ending.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LockWait {
    /// The lock.
    pub lock: LockId,
    /// Whether the thread wants it for itself alone.
    pub exclusive: bool,
}

/// What a thread waits for that is no lock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObjectWait {
    /// The dispatcher objects.
    pub objects: Vec<ObjectId>,
    /// Whether it needs them all.
    pub all: bool,
}

/// One holder of a lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LockHolder {
    /// In whose name the lock is held.
    pub owner: ResourceOwner,
    /// Whether nobody else can have it at the same time.
    pub exclusive: bool,
    /// How often the owner has acquired it.
    pub count: u32,
}

impl Kernel {
    /// The wait for a lock that the thread is in. `None` when it is in none, not even when an APC
    /// routine interrupts one, and when it could have the lock now.
    ///
    /// Such a wait ends only after each of [`Kernel::lock_holders`] has released the lock or
    /// converted it: also where a sharer queues behind those that wait for exclusive, since these
    /// wait for the same holders. A thread that is a holder itself waits for itself.
    pub fn lock_wait(&self, t: ThreadId) -> Option<LockWait> {
        let claim = self.claim_of(t)?;
        (!self.open_to_waiter(t, claim)).then(|| LockWait {
            lock: claim.lock(),
            exclusive: claim.exclusive(),
        })
    }

    /// The wait for dispatcher objects that the thread is in and that nothing has satisfied.
    pub fn object_wait(&self, t: ThreadId) -> Option<ObjectWait> {
        let wait = self.thread(t).wait.as_ref()?;
        match &wait.awaited {
            Awaited::Objects { objects, all } if wait.satisfied.is_none() => Some(ObjectWait {
                objects: objects.clone(),
                all: *all,
            }),
            _ => None,
        }
    }

    /// The thread that has the lock for itself alone, in its own name.
    pub(crate) fn exclusive_owner(&self, lock: LockId) -> Option<ThreadId> {
        let mut holders = self.lock_holders(lock).into_iter();
        holders.find_map(|holder| match holder.owner {
            ResourceOwner::Thread(t) if holder.exclusive => Some(t),
            _ => None,
        })
    }

    /// Everybody who holds the lock.
    pub fn lock_holders(&self, lock: LockId) -> Vec<LockHolder> {
        let once = |thread: ThreadId, exclusive| LockHolder {
            owner: ResourceOwner::Thread(thread),
            exclusive,
            count: 1,
        };
        match lock {
            LockId::FastMutex(mutex) => {
                let owner = self.fast_mutex_owner(mutex);
                owner.map(|owner| once(owner, true)).into_iter().collect()
            }
            LockId::Resource(resource) => self.resource_holders(resource),
            LockId::PushLock(lock) => {
                let (exclusive, shared) = self.push_lock_holders(lock);
                let exclusive = exclusive.map(|owner| once(owner, true));
                let shared = shared.iter().map(|&owner| once(owner, false));
                exclusive.into_iter().chain(shared).collect()
            }
            LockId::CriticalSection(section) => {
                let count = self.critical_section_count(section);
                let owner = self.critical_section_owner(section);
                let holder = owner.map(|owner| LockHolder {
                    count,
                    ..once(owner, true)
                });
                holder.into_iter().collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Acquired, Baseline, EventKind, Profile, PushLockMode, ResourceMode};

    /// A machine with three threads, each in a critical region.
    fn machine(profile: Profile) -> (Kernel, [ThreadId; 3]) {
        let mut kernel = Kernel::new(profile);
        let threads = [(); 3].map(|()| kernel.create_thread(Baseline::default()));
        for t in threads {
            kernel.enter_critical(t).unwrap();
        }
        (kernel, threads)
    }

    fn owners(kernel: &Kernel, lock: LockId) -> Vec<(ResourceOwner, bool, u32)> {
        let holders = kernel.lock_holders(lock);
        let fields = |holder: LockHolder| (holder.owner, holder.exclusive, holder.count);
        holders.into_iter().map(fields).collect()
    }

    #[test]
    fn a_sharer_behind_a_waiter_waits_for_the_same_holders() {
        let (mut kernel, [a, b, c]) = machine(Profile::Documented);
        let r = kernel.create_resource();
        let lock = LockId::Resource(r);
        for _ in 0..2 {
            let shared = kernel.acquire_resource(a, r, ResourceMode::Shared, true);
            assert_eq!(shared, Ok(Acquired::Now));
        }
        let exclusive = kernel.acquire_resource(b, r, ResourceMode::Exclusive, true);
        assert_eq!(exclusive, Ok(Acquired::Blocked));
        let behind = kernel.acquire_resource(c, r, ResourceMode::Shared, true);
        assert_eq!(behind, Ok(Acquired::Blocked));
        let wait = |exclusive| Some(LockWait { lock, exclusive });
        assert_eq!(kernel.lock_wait(a), None);
        assert_eq!(
            (kernel.lock_wait(b), kernel.lock_wait(c)),
            (wait(true), wait(false))
        );
        let owner = ResourceOwner::Thread(a);
        assert_eq!(owners(&kernel, lock), [(owner, false, 2)]);
        kernel.set_resource_owner(a, r, 7).unwrap();
        assert_eq!(
            owners(&kernel, lock),
            [(ResourceOwner::Pointer(7), false, 2)]
        );
        for _ in 0..2 {
            let released = kernel.release_resource_for(a, r, ResourceOwner::Pointer(7));
            released.unwrap();
        }
        assert_eq!(kernel.lock_wait(b), None, "it could have it now");
        assert_eq!(kernel.lock_wait(c), None);
    }

    #[test]
    fn who_holds_a_push_lock_or_a_mutex_is_told() {
        let (mut kernel, [a, b, _]) = machine(Profile::Nt52);
        let l = kernel.create_push_lock();
        for t in [a, b] {
            let acquired = kernel.acquire_push_lock(t, l, PushLockMode::Shared);
            assert_eq!(acquired, Ok(Acquired::Now));
        }
        let lock = LockId::PushLock(l);
        let holds = |t, exclusive| (ResourceOwner::Thread(t), exclusive, 1);
        assert_eq!(owners(&kernel, lock), [holds(a, false), holds(b, false)]);
        let again = kernel.acquire_push_lock(a, l, PushLockMode::Shared);
        assert_eq!(again, Ok(Acquired::Blocked));
        let exclusive = false;
        assert_eq!(kernel.lock_wait(a), Some(LockWait { lock, exclusive }));
        let m = kernel.create_fast_mutex(crate::kernel::FastMutexKind::Fast);
        assert_eq!(owners(&kernel, LockId::FastMutex(m)), []);
        kernel.acquire_fast_mutex(b, m).unwrap();
        assert_eq!(owners(&kernel, LockId::FastMutex(m)), [holds(b, true)]);
    }

    #[test]
    fn a_wait_for_objects_is_told_until_it_is_satisfied() {
        let (mut kernel, [a, b, _]) = machine(Profile::Nt52);
        let objects = [(); 2].map(|()| kernel.create_event(EventKind::Notification, false));
        assert_eq!(kernel.wait(a, &objects, false, true), Ok(None));
        let expected = ObjectWait {
            objects: objects.to_vec(),
            all: false,
        };
        assert_eq!(kernel.object_wait(a), Some(expected));
        assert_eq!((kernel.lock_wait(a), kernel.object_wait(b)), (None, None));
        kernel.set_event(objects[1]);
        assert_eq!(kernel.object_wait(a), None);
    }
}
