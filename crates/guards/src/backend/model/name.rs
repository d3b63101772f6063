//! The model's names for what is in this process's memory.

use std::sync::{Arc, OnceLock};

use apclab_model::kernel::{
    BugCheck, FastMutexId, Kernel, ObjectId, PushLockId, ResourceId, ThreadId,
};

use super::machine::{Shared, seat};

/// What the model calls an object, and how it is freed.
pub(super) trait Id: Copy {
    fn remove(self, kernel: &mut Kernel, by: ThreadId) -> Result<(), BugCheck>;
}

impl Id for ObjectId {
    fn remove(self, kernel: &mut Kernel, _: ThreadId) -> Result<(), BugCheck> {
        kernel.remove_object(self)
    }
}

impl Id for FastMutexId {
    fn remove(self, kernel: &mut Kernel, _: ThreadId) -> Result<(), BugCheck> {
        kernel.remove_fast_mutex(self)
    }
}

impl Id for ResourceId {
    fn remove(self, kernel: &mut Kernel, by: ThreadId) -> Result<(), BugCheck> {
        kernel.delete_resource(by, self)
    }
}

impl Id for PushLockId {
    fn remove(self, kernel: &mut Kernel, _: ThreadId) -> Result<(), BugCheck> {
        kernel.remove_push_lock(self)
    }
}

/// An object of the machine on which it was initialised. Dropping it frees the object.
#[derive(Debug)]
pub(super) struct Name<I: Id>(OnceLock<(Arc<Shared>, I)>);

impl<I: Id> Name<I> {
    pub(super) const fn none() -> Self {
        Self(OnceLock::new())
    }

    /// Names a new object.
    pub(super) fn create(&self, create: impl FnOnce(&mut Kernel) -> I) {
        let machine = seat().machine;
        let id = create(&mut machine.lock());
        assert!(self.0.set((machine, id)).is_ok(), "initialised twice");
    }

    /// The object, for a thread of its machine.
    pub(super) fn get(&self) -> I {
        let (machine, id) = self.0.get().expect("initialised before use");
        assert!(
            Arc::ptr_eq(machine, &seat().machine),
            "an object is used on another machine than its own"
        );
        *id
    }
}

impl<I: Id> Drop for Name<I> {
    fn drop(&mut self) {
        // A test that fails already may well leave a thread that waits.
        if let Some((machine, id)) = self.0.take()
            && !std::thread::panicking()
        {
            let removed = id.remove(&mut machine.lock(), seat().id);
            if let Err(bug_check) = removed {
                panic!("bug check: {bug_check}");
            }
        }
    }
}
