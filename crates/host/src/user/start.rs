//! Threads of user mode as others see them: their start and their end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use apclab_model::kernel::{Baseline, ThreadId};

use super::{CriticalSection, UserEvent, UserThread};
use crate::host::{File, Host};
use crate::machine::{Machine, State};
use crate::report::HostError;
use crate::thread::{Role, Shared, Thread};

/// Names a thread of user mode.
#[derive(Clone, Debug)]
pub struct UserRef {
    id: ThreadId,
    shared: Arc<Shared>,
}

impl UserRef {
    pub(super) fn new(id: ThreadId, shared: &Arc<Shared>) -> Self {
        let shared = Arc::clone(shared);
        Self { id, shared }
    }

    /// The thread in the kernel's books, unless it has ended.
    pub(super) fn alive(&self, state: &State) -> Option<ThreadId> {
        let known = state.threads.get(&self.id)?;
        let same = Arc::ptr_eq(known, &self.shared) && !state.ended.contains(&self.id);
        same.then_some(self.id)
    }
}

impl UserRef {
    /// The thread is terminating from now on. Whether it has not ended.
    pub(super) fn terminate(&self, state: &State) -> bool {
        let alive = self.alive(state).is_some();
        if alive {
            self.shared.terminating.store(true, Ordering::SeqCst);
        }
        alive
    }
}

/// A thread of user mode that has been started. Dropping this lets it go on alone.
#[derive(Debug)]
pub struct UserHandle {
    machine: Arc<Machine>,
    reference: UserRef,
    ended: UserEvent,
}

impl UserHandle {
    /// The thread, for those who queue APCs to it or suspend it.
    pub fn user_ref(&self) -> UserRef {
        self.reference.clone()
    }

    /// What is signaled when it has ended.
    pub(super) fn ended(&self) -> &UserEvent {
        &self.ended
    }

    /// [`Host::resume`] of this thread, also while the machine is being stopped.
    ///
    /// # Errors
    /// As every call.
    pub fn resume(&self) -> Result<u32, HostError> {
        self.machine.resume_user(&self.reference)
    }

    /// Waits at most `timeout` for the end of the thread, from outside of the machine.
    ///
    /// # Errors
    /// [`HostError::NoAnswer`] when it has not ended by then; otherwise as every call.
    pub fn join(&self, timeout: Duration) -> Result<(), HostError> {
        let shared = &self.reference.shared;
        let ended = |_: &mut State| shared.ended.load(Ordering::SeqCst).then_some(());
        let what = format!("the end of {}", shared.name);
        self.machine.await_state(timeout, &what, ended)?;
        // It may have ended for that.
        if self.machine.stopped() {
            return Err(self.machine.lock().error());
        }
        Ok(())
    }
}

impl Host {
    /// Starts a thread of user mode, which executes `program`. It belongs to the process that has
    /// opened `file`. In a scheduled machine it takes part in the schedule from now on until it
    /// ends; start further ones by [`UserThread::spawn`], so that the schedule alone decides who
    /// comes first.
    ///
    /// A program that panics stops the machine.
    ///
    /// # Errors
    /// As every call; [`HostError::Resources`] when there is no thread to be had.
    pub fn spawn_user(
        &self,
        file: &File,
        name: &str,
        program: impl FnOnce(&UserThread<'_>) + Send + 'static,
    ) -> Result<UserHandle, HostError> {
        self.machine().spawn_user(file.process, name, program)
    }

    /// Resumes a thread of user mode once, from outside of the machine. Gives its suspend count
    /// before; 0 for one that was not suspended or has ended.
    ///
    /// # Errors
    /// As every call.
    pub fn resume(&self, thread: &UserRef) -> Result<u32, HostError> {
        self.machine().resume_user(thread)
    }

    /// Makes a critical section of user mode.
    ///
    /// # Errors
    /// As every call.
    pub fn critical_section(&self) -> Result<CriticalSection, HostError> {
        self.machine().critical_section()
    }
}

impl Machine {
    fn resume_user(&self, thread: &UserRef) -> Result<u32, HostError> {
        let mut state = self.lock();
        if self.stopped() {
            return Err(state.error());
        }
        let Some(id) = thread.alive(&state) else {
            return Ok(0);
        };
        let before = state.kernel.resume(id);
        state.wake();
        self.reschedule(&mut state);
        Ok(before)
    }

    pub(super) fn spawn_user(
        self: &Arc<Self>,
        process: u64,
        name: &str,
        program: impl FnOnce(&UserThread<'_>) + Send + 'static,
    ) -> Result<UserHandle, HostError> {
        let ended = UserEvent::new(self)?;
        let announce = ended.clone();
        let body = move |thread: &Thread| {
            program(&UserThread::new(thread));
            thread.leave_user_mode()
        };
        let spawned = self
            .spawn_announcing(
                name,
                Role::User,
                process,
                Baseline::default(),
                body,
                Some(announce),
            )
            .map_err(|error| HostError::Resources(error.to_string()))?;
        self.release_thread(spawned.object);
        Ok(UserHandle {
            machine: Arc::clone(self),
            reference: UserRef::new(spawned.id, &spawned.shared),
            ended,
        })
    }
}
