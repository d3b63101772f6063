//! The machine with its threads in other places, and what a thread looks like apart from its place.
//!
//! No rule looks at the number of a thread, so the machine with permuted threads does what the
//! machine does, permuted.

use std::hash::{Hash as _, Hasher};

use super::object::Object;
use super::slots::Slots;
use super::{Kernel, ThreadId};

impl Kernel {
    /// The machine in which thread `of(t)` is what `t` is here. `of` is a permutation of the
    /// threads, and nobody waits for the object of a thread that it moves.
    pub(crate) fn permuted(&self, of: impl Fn(ThreadId) -> ThreadId) -> Self {
        // Every field by its name, so that one that is added is thought of here.
        let Self {
            profile,
            mutant,
            threads: _,
            apcs,
            objects,
            fast_mutexes,
            resources,
            push_locks,
            critical_sections,
            wait_order,
        } = self;
        let mut moved = Self {
            profile: *profile,
            mutant: *mutant,
            threads: Slots::new(),
            apcs: apcs.clone(),
            objects: objects.clone(),
            fast_mutexes: fast_mutexes.clone(),
            resources: resources.clone(),
            push_locks: push_locks.clone(),
            critical_sections: critical_sections.clone(),
            wait_order: wait_order.iter().map(|&t| of(t)).collect(),
        };
        let mut threads: Vec<_> = self.threads.iter().collect();
        threads.sort_by_key(|&(t, _)| of(ThreadId(t)));
        for (t, thread) in threads {
            let mut thread = thread.clone();
            // The object belongs to the place.
            thread.object = self.thread(of(ThreadId(t))).object;
            moved.threads.insert(thread);
        }
        for (_, apc) in moved.apcs.iter_mut() {
            apc.permute(&of);
        }
        for (_, object) in moved.objects.iter_mut() {
            if let Object::Mutex(mutex) = object {
                mutex.permute(&of);
            }
        }
        for (_, mutex) in moved.fast_mutexes.iter_mut() {
            mutex.permute(&of);
        }
        for (_, resource) in moved.resources.iter_mut() {
            resource.permute(&of);
        }
        for (_, lock) in moved.push_locks.iter_mut() {
            lock.permute(&of);
        }
        for (_, section) in moved.critical_sections.iter_mut() {
            section.permute(&of);
        }
        moved
    }

    /// Hashes the thread and which fast mutexes and mutexes it holds. Equal for threads that only
    /// their places tell apart.
    pub(crate) fn hash_thread(&self, t: ThreadId, hasher: &mut impl Hasher) {
        let thread = self.thread(t);
        thread.counters.hash(hasher);
        thread.irql.hash(hasher);
        thread.queue.hash(hasher);
        thread.frames.hash(hasher);
        thread.wait.hash(hasher);
        thread.user.hash(hasher);
        for (id, object) in self.objects.iter() {
            if let Object::Mutex(mutex) = object
                && mutex.owner() == Some(t)
            {
                id.hash(hasher);
            }
        }
        for (id, mutex) in self.fast_mutexes.iter() {
            if mutex.held_by(t) {
                id.hash(hasher);
            }
        }
        for (id, resource) in self.resources.iter() {
            (id, resource.holds(t)).hash(hasher);
        }
        for (id, lock) in self.push_locks.iter() {
            (id, lock.held_by(t)).hash(hasher);
        }
        for (id, section) in self.critical_sections.iter() {
            (id, section.owned_by(t)).hash(hasher);
        }
        self.wait_order
            .iter()
            .position(|&waiter| waiter == t)
            .hash(hasher);
    }
}
