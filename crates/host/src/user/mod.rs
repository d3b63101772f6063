//! The interface to threads of user mode: what their programs can do, and how others see them.

mod objects;
mod requests;
mod start;

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use apclab_model::kernel::{Acquired, ApcKind, WaitMode};

use crate::dispatch::Fault;
use crate::report::HostError;
use crate::thread::Thread;
use crate::time::ticks;
use crate::user_mode::QueuedRoutine;
use crate::waits::Woken;

pub use objects::{CriticalSection, UserEvent};
pub use start::{UserHandle, UserRef};

/// A thread of user mode, as its own program sees it.
///
/// Each of the calls here begins with a point at which APCs and a suspension may come, and at which
/// a scheduled machine may let others run. What the program does between two calls is done at once,
/// as far as the machine is concerned: in a scheduled machine it must not wait there for anybody
/// else, and not use [`File`](crate::File)'s own requests, which other threads execute.
pub struct UserThread<'a> {
    thread: &'a Thread,
    /// For requests that the thread waits for at once.
    event: RefCell<Option<UserEvent>>,
}

/// A wait in user mode that is not alertable.
const USER: WaitMode = WaitMode {
    user: true,
    alertable: false,
};

impl<'a> UserThread<'a> {
    fn new(thread: &'a Thread) -> Self {
        Self {
            thread,
            event: RefCell::new(None),
        }
    }
}

impl UserThread<'_> {
    /// What the program is told of a call that did not work.
    fn told<R>(&self, result: Result<R, Fault>) -> Result<R, HostError> {
        let result = result.map_err(|fault| {
            self.thread.stop(fault);
            self.thread.lock().error()
        })?;
        if self.thread.shared.terminating.load(Ordering::SeqCst) {
            return Err(HostError::ThreadEnded);
        }
        Ok(result)
    }

    /// The end of a time-out that begins now.
    fn until(&self, timeout: Duration) -> u64 {
        let thread = self.thread;
        thread
            .machine
            .now(&thread.lock())
            .saturating_add(ticks(timeout))
    }

    /// This thread, for others.
    pub fn user_ref(&self) -> UserRef {
        UserRef::new(self.thread.id, &self.thread.shared)
    }

    /// A step in user mode that does nothing else.
    ///
    /// # Errors
    /// As every call.
    pub fn point(&self) -> Result<(), HostError> {
        self.told(self.thread.user_step(|_| Ok(())))
    }

    /// Starts another thread of the same process: see [`Host::spawn_user`](crate::Host::spawn_user).
    ///
    /// # Errors
    /// As [`Host::spawn_user`](crate::Host::spawn_user).
    pub fn spawn(
        &self,
        name: &str,
        program: impl FnOnce(&UserThread<'_>) + Send + 'static,
    ) -> Result<UserHandle, HostError> {
        let process = self.thread.shared.process.load(Ordering::Relaxed);
        self.thread.machine.spawn_user(process, name, program)
    }

    /// Waits at most `timeout` for the end of another thread, inside the machine. Says whether it
    /// has ended.
    ///
    /// # Errors
    /// As every call.
    pub fn join(&self, other: &UserHandle, timeout: Duration) -> Result<bool, HostError> {
        self.wait(other.ended(), timeout)
    }

    /// Makes an event, not signaled.
    ///
    /// # Errors
    /// As every call; [`HostError::Resources`] without memory.
    pub fn create_event(&self) -> Result<UserEvent, HostError> {
        UserEvent::new(&self.thread.machine)
    }

    /// Sets an event.
    ///
    /// # Errors
    /// As every call.
    pub fn set(&self, event: &UserEvent) -> Result<(), HostError> {
        self.change(event, true)
    }

    /// Resets an event.
    ///
    /// # Errors
    /// As every call.
    pub fn reset(&self, event: &UserEvent) -> Result<(), HostError> {
        self.change(event, false)
    }

    fn change(&self, event: &UserEvent, set: bool) -> Result<(), HostError> {
        let object = event.object();
        self.told(self.thread.user_call(|thread| {
            thread.lock().change_event(object, set, "a system call")?;
            Ok(())
        }))
    }

    /// Waits at most `timeout` for an event, not alertably (`WaitForSingleObject`). Says whether it
    /// was signaled.
    ///
    /// # Errors
    /// As every call.
    pub fn wait(&self, event: &UserEvent, timeout: Duration) -> Result<bool, HostError> {
        let object = event.object();
        self.told(self.thread.user_call(|thread| {
            let id = thread.lock().event(object, "a system call")?;
            let until = self.until(timeout);
            let woken = thread.wait_as(&[id], false, USER, Some(until), true)?;
            Ok(matches!(woken, Woken::Object(_)))
        }))
    }

    /// `SleepEx`: whether user APCs have ended it. They have run then.
    ///
    /// # Errors
    /// As every call.
    pub fn sleep(&self, milliseconds: u32, alertable: bool) -> Result<bool, HostError> {
        self.told(self.thread.user_call(|thread| {
            let until = self.until(Duration::from_millis(milliseconds.into()));
            let woken = thread.delay(
                WaitMode {
                    user: true,
                    alertable,
                },
                until,
            )?;
            Ok(woken == Woken::UserApc)
        }))
    }

    /// `QueueUserAPC`, or with `special` `QueueUserAPC2` for a special user APC: queues an APC that
    /// calls `routine` in `target`. `false` when the target has ended.
    ///
    /// # Errors
    /// [`HostError::NoSpecialUserApcs`] when the machine does not have those
    /// ([`Options::special_user_apcs`](crate::Options::special_user_apcs)); otherwise as every
    /// call.
    pub fn queue_apc(
        &self,
        target: &UserRef,
        special: bool,
        routine: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<bool, HostError> {
        if special && !self.thread.machine.options.special_user_apcs {
            return Err(HostError::NoSpecialUserApcs);
        }
        let kind = if special {
            ApcKind::SpecialUser
        } else {
            ApcKind::User
        };
        self.told(self.thread.user_call(|thread| {
            let mut state = thread.lock();
            let Some(target) = target.alive(&state) else {
                return Ok(false);
            };
            let apc = state.kernel.create_apc(target, kind);
            if !state.kernel.insert_apc(apc, thread.id)? {
                state.kernel.remove_apc(apc)?;
                return Ok(false);
            }
            state
                .user_apcs
                .insert(apc, QueuedRoutine { target, routine });
            state.wake();
            Ok(true)
        }))
    }

    /// `SuspendThread`: suspends a thread once more, this one too. Gives its suspend count before.
    ///
    /// # Errors
    /// [`HostError::ThreadEnded`] when it has ended; otherwise as every call.
    pub fn suspend(&self, target: &UserRef) -> Result<u32, HostError> {
        let before = self.told(self.thread.user_call(|thread| {
            let mut state = thread.lock();
            let Some(target) = target.alive(&state) else {
                return Ok(None);
            };
            let before = state.kernel.suspend(target, thread.id)?;
            state.wake();
            Ok(Some(before))
        }))?;
        before.ok_or(HostError::ThreadEnded)
    }

    /// `ResumeThread`: takes one suspension back. Gives the suspend count before.
    ///
    /// # Errors
    /// As [`UserThread::suspend`].
    pub fn resume(&self, target: &UserRef) -> Result<u32, HostError> {
        let before = self.told(self.thread.user_call(|thread| {
            let mut state = thread.lock();
            let before = target
                .alive(&state)
                .map(|target| state.kernel.resume(target));
            state.wake();
            Ok(before)
        }))?;
        before.ok_or(HostError::ThreadEnded)
    }

    /// `TerminateThread`, as far as the driver sees it: the thread is terminating from now on. Where it
    /// is in the kernel it goes on; its call there, and each further one, fails with
    /// [`HostError::ThreadEnded`], and its program is to return then. One that is suspended has to be
    /// resumed for that, and a wait does not end for it.
    ///
    /// # Errors
    /// [`HostError::ThreadEnded`] when it has ended, or is this thread; otherwise as every call.
    pub fn terminate(&self, target: &UserRef) -> Result<(), HostError> {
        let terminates = |thread: &Thread| Ok(target.terminate(&thread.lock()));
        let known = self.told(self.thread.user_call(terminates))?;
        known.then_some(()).ok_or(HostError::ThreadEnded)
    }

    /// Makes a critical section.
    ///
    /// # Errors
    /// As every call.
    pub fn critical_section(&self) -> Result<CriticalSection, HostError> {
        self.thread.machine.critical_section()
    }

    /// `EnterCriticalSection`.
    ///
    /// # Errors
    /// As every call.
    pub fn enter(&self, section: &CriticalSection) -> Result<(), HostError> {
        let (thread, id) = (self.thread, section.id());
        self.told(thread.user_wait(|state| {
            state.kernel.enter_critical_section(thread.id, id) == Acquired::Blocked
        }))
    }

    /// `TryEnterCriticalSection`: whether it was entered.
    ///
    /// # Errors
    /// As every call.
    pub fn try_enter(&self, section: &CriticalSection) -> Result<bool, HostError> {
        let (thread, id) = (self.thread, section.id());
        self.told(thread.user_step(|state| Ok(state.kernel.try_critical_section(thread.id, id))))
    }

    /// `LeaveCriticalSection`. `false` when the thread does not own it: nothing happens then.
    ///
    /// # Errors
    /// As every call.
    pub fn leave(&self, section: &CriticalSection) -> Result<bool, HostError> {
        let (thread, id) = (self.thread, section.id());
        self.told(thread.user_step(|state| Ok(state.kernel.leave_critical_section(thread.id, id))))
    }
}
