//! The model's names for what is in this process's memory.

use std::sync::{Arc, OnceLock};

use apclab_model::kernel::{EventKind, ObjectId};

use super::machine::{Shared, seat};

/// An object of the machine on which it was initialised.
#[derive(Debug)]
pub(super) struct Name(OnceLock<(Arc<Shared>, ObjectId)>);

impl Name {
    pub(super) const fn none() -> Self {
        Self(OnceLock::new())
    }

    /// Names a new event.
    pub(super) fn event(&self, kind: EventKind, signaled: bool) {
        let machine = seat().machine;
        let event = machine.lock().create_event(kind, signaled);
        assert!(self.0.set((machine, event)).is_ok(), "initialised twice");
    }

    /// The object, for a thread of its machine.
    pub(super) fn get(&self) -> ObjectId {
        let (machine, object) = self.0.get().expect("initialised before use");
        assert!(
            Arc::ptr_eq(machine, &seat().machine),
            "an object is used on another machine than its own"
        );
        *object
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // A test that fails already may well leave a thread that waits.
        if let Some((machine, object)) = self.0.take()
            && !std::thread::panicking()
        {
            let removed = machine.lock().remove_object(object);
            assert_eq!(removed, Ok(()), "freed while in use");
        }
    }
}
