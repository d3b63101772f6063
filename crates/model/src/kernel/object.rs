//! Dispatcher objects: events, mutexes, and the objects of threads.

use super::mutex::Mutex;
use super::{BugCheck, Kernel, Mutant, ObjectId, Profile, ThreadId};

/// The two kinds of event (`KeInitializeEvent`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum EventKind {
    /// Stays signaled until it is reset and releases every waiter.
    Notification,
    /// Releases one waiter and is not signaled afterwards.
    Synchronization,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Object {
    Event { kind: EventKind, signaled: bool },
    Thread { thread: ThreadId },
    Mutex(Mutex),
}

impl Kernel {
    /// `KeInitializeEvent`.
    pub fn create_event(&mut self, kind: EventKind, signaled: bool) -> ObjectId {
        ObjectId(self.objects.insert(Object::Event { kind, signaled }))
    }

    /// Frees an event, a mutex, or the object of a thread that has ended together with the thread.
    /// An APC whose target is freed can't be inserted any more.
    ///
    /// # Errors
    ///
    /// 0x139 with parameter 1 = 3 when a thread still waits on the object, when it is the
    /// object of a thread that has not ended, or a mutex that a thread owns. No page names a bug check for this.
    pub fn remove_object(&mut self, o: ObjectId) -> Result<(), BugCheck> {
        if self.threads.iter().any(|(_, thread)| thread.waits_on(o)) {
            return Err(BugCheck::freed_in_use(
                "An object was freed while a thread waited on it.",
            ));
        }
        if let Object::Mutex(mutex) = self.objects.get(o.0)
            && mutex.owner().is_some()
        {
            return Err(BugCheck::freed_in_use(
                "A KMUTEX was freed while a thread owned it.",
            ));
        }
        if let Object::Thread { thread } = *self.objects.get(o.0) {
            if !self.thread(thread).ended {
                let reason = "The object of a thread that has not ended was freed.";
                return Err(BugCheck::freed_in_use(reason));
            }
            let gone = self.threads.remove(thread.0);
            if let Some(user) = gone.user {
                self.apcs.remove(user.suspension.0);
            }
            self.orphan_apcs(thread);
        }
        self.objects.remove(o.0);
        Ok(())
    }

    /// `KeSetEvent`: signals the event and returns whether it was signaled before.
    ///
    /// The waits that this satisfies are satisfied at once, so a reset that follows does not take
    /// them back. A synchronization event satisfies one wait and is not signaled afterwards; the
    /// first of [`Kernel::event_takers`] gets it. A thread whose wait is interrupted by an APC
    /// gets nothing: it looks at the event again when its wait resumes.
    pub fn set_event(&mut self, o: ObjectId) -> bool {
        self.set_event_choosing(o, 0)
    }

    /// As [`Kernel::set_event`], with the position in [`Kernel::event_takers`] of the waiter that
    /// gets a synchronization event. Without takers the position does not matter.
    ///
    /// # Panics
    ///
    /// When `o` is no event, or when there are takers and `taker` is not the position of one.
    pub fn set_event_choosing(&mut self, o: ObjectId, taker: usize) -> bool {
        let takers = self.event_takers(o);
        let (kind, signaled) = self.event_mut(o);
        let previous = std::mem::replace(signaled, true);
        match kind {
            EventKind::Notification => self.wake_all(o),
            EventKind::Synchronization if takers.is_empty() => {}
            EventKind::Synchronization => {
                let satisfied = self.satisfy(takers[taker]);
                assert!(satisfied, "a taker's wait is satisfied by the event");
            }
        }
        previous
    }

    /// The waiters of which one gets the synchronization event `o` when it is set now, so that
    /// there is one choice for each. Empty for a notification event, which chooses nobody.
    ///
    /// Documentation promises no order, so `Documented` names every eligible waiter (docs/model.md,
    /// decision 6). `Nt52` wakes the one that blocked first.
    pub fn event_takers(&self, o: ObjectId) -> Vec<ThreadId> {
        match self.objects.get(o.0) {
            Object::Event {
                kind: EventKind::Synchronization,
                ..
            } => self.takers(o),
            _ => Vec::new(),
        }
    }

    /// Those of which one gets the object when it is signaled now.
    pub(super) fn takers(&self, o: ObjectId) -> Vec<ThreadId> {
        let mut takers = self.blocked_threads();
        takers.retain(|&t| self.would_be_satisfied(t, o));
        if self.profile == Profile::Nt52 {
            takers.truncate(1);
        }
        takers
    }

    /// `KeResetEvent`: the event is not signaled afterwards. Returns whether it was.
    ///
    /// # Panics
    ///
    /// When `o` is no event.
    pub fn reset_event(&mut self, o: ObjectId) -> bool {
        let after = self.gets_wrong(Mutant::ResetClears) && self.event_signaled(o);
        std::mem::replace(self.event_mut(o).1, after)
    }

    /// `KeReadStateEvent`.
    ///
    /// # Panics
    ///
    /// When `o` is no event.
    pub fn event_signaled(&self, o: ObjectId) -> bool {
        match self.objects.get(o.0) {
            Object::Event { signaled, .. } => *signaled,
            _ => panic!("object {} is no event", o.0),
        }
    }

    fn event_mut(&mut self, o: ObjectId) -> (EventKind, &mut bool) {
        match self.objects.get_mut(o.0) {
            Object::Event { kind, signaled } => (*kind, signaled),
            _ => panic!("object {} is no event", o.0),
        }
    }

    /// Whether the object satisfies a wait of the thread.
    pub(super) fn signaled(&self, t: ThreadId, o: ObjectId) -> bool {
        match self.objects.get(o.0) {
            Object::Event { signaled, .. } => *signaled,
            Object::Thread { thread } => self.thread(*thread).ended,
            Object::Mutex(mutex) => mutex.open_to(t, self.mutant),
        }
    }

    /// What a satisfied wait of the thread does to the object.
    pub(super) fn consume(&mut self, t: ThreadId, o: ObjectId) {
        let resets = match self.mutant {
            Some(Mutant::NotificationStays) => [true, true],
            Some(Mutant::SynchronizationResets) => [false, false],
            _ => [false, true],
        };
        match self.objects.get_mut(o.0) {
            Object::Event { kind, signaled } => *signaled &= !resets[*kind as usize],
            Object::Mutex(_) => self.take_mutex(t, o),
            Object::Thread { .. } => {}
        }
    }
}
