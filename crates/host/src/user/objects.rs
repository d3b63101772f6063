//! Events and critical sections of programs of user mode.

use std::sync::Arc;

use apclab_model::kernel::{CriticalSectionId, EventKind};

use crate::machine::{Machine, State};
use crate::report::HostError;

#[derive(Debug)]
struct Event {
    machine: Arc<Machine>,
    object: u64,
    handle: u64,
}

impl Drop for Event {
    fn drop(&mut self) {
        let mut state = self.machine.lock();
        if !self.machine.stopped()
            && let Err(check) = state.close_handle(self.handle)
        {
            self.machine.bug_check(&mut state, check, None);
        }
    }
}

/// A notification event of a program of user mode. Its handle is closed with the last clone.
#[derive(Clone, Debug)]
pub struct UserEvent(Arc<Event>);

impl UserEvent {
    pub(crate) fn new(machine: &Arc<Machine>) -> Result<Self, HostError> {
        let mut state = machine.lock();
        if machine.stopped() {
            return Err(state.error());
        }
        match state.create_event_object(EventKind::Notification, false) {
            Ok(Some((object, handle))) => Ok(Self(Arc::new(Event {
                machine: Arc::clone(machine),
                object,
                handle,
            }))),
            Ok(None) => Err(HostError::Resources("no memory for an event".to_owned())),
            Err(check) => {
                machine.bug_check(&mut state, check, None);
                Err(state.error())
            }
        }
    }

    /// The address of the event object.
    pub(super) fn object(&self) -> u64 {
        self.0.object
    }

    /// The number of its handle, by which a driver may be told of it.
    pub fn handle(&self) -> u64 {
        self.0.handle
    }
}

#[derive(Debug)]
struct Section {
    machine: Arc<Machine>,
    id: CriticalSectionId,
}

impl Drop for Section {
    fn drop(&mut self) {
        let mut state = self.machine.lock();
        // One that is in use stays: nobody can name it any more.
        if state.kernel.remove_critical_section(self.id) {
            state.locks.remove_critical_section(self.id);
        }
    }
}

/// A CRITICAL_SECTION of a program of user mode. It is deleted with the last clone.
#[derive(Clone, Debug)]
pub struct CriticalSection(Arc<Section>);

impl CriticalSection {
    pub(super) fn id(&self) -> CriticalSectionId {
        self.0.id
    }
}

impl Machine {
    pub(super) fn critical_section(self: &Arc<Self>) -> Result<CriticalSection, HostError> {
        let mut state = self.lock();
        if self.stopped() {
            return Err(state.error());
        }
        let id = state.kernel.create_critical_section();
        state.locks.add_critical_section(id);
        let machine = Arc::clone(self);
        Ok(CriticalSection(Arc::new(Section { machine, id })))
    }

    /// Sets the event that announces the end of a thread.
    pub(crate) fn announce(&self, state: &mut State, event: &UserEvent) {
        let set = state.change_event(event.object(), true, "the end of a thread");
        if let Err(check) = set {
            self.bug_check(state, check, None);
        }
    }
}
