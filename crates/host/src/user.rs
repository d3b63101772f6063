//! The interface to threads of user mode: what their programs can do, and how others see them.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use apclab_model::kernel::{
    Acquired, ApcKind, Baseline, CriticalSectionId, EventKind, ThreadId, WaitMode,
};

use crate::dispatch::Fault;
use crate::host::{File, Host, Pending};
use crate::io::{Major, Requester};
use crate::machine::{Machine, State};
use crate::report::{Completion, HostError};
use crate::thread::{Role, Shared, Thread};
use crate::time::ticks;
use crate::user_mode::QueuedRoutine;
use crate::waits::Woken;

/// A thread of user mode, as its own program sees it.
///
/// Each of the calls here begins with a point at which APCs and a suspension may come, and at which
/// a scheduled machine may let others run. What the program does between two calls is done at once,
/// as far as the machine is concerned: in a scheduled machine it must not wait there for anybody
/// else, and not use [`File`]'s own requests, which other threads execute.
pub struct UserThread<'a> {
    thread: &'a Thread,
    /// For requests that the thread waits for at once.
    event: RefCell<Option<UserEvent>>,
}

/// Names a thread of user mode.
#[derive(Clone, Debug)]
pub struct UserRef {
    id: ThreadId,
    shared: Arc<Shared>,
}

impl UserRef {
    /// The thread in the kernel's books, unless it has ended.
    fn alive(&self, state: &State) -> Option<ThreadId> {
        let known = state.threads.get(&self.id)?;
        let same = Arc::ptr_eq(known, &self.shared) && !state.ended.contains(&self.id);
        same.then_some(self.id)
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

    /// Waits at most `timeout` for the end of the thread, from outside of the machine.
    ///
    /// # Errors
    /// [`HostError::NoAnswer`] when it has not ended by then; otherwise as every call.
    pub fn join(&self, timeout: Duration) -> Result<(), HostError> {
        let shared = &self.reference.shared;
        let ended = |_: &mut State| shared.ended.load(Ordering::SeqCst).then_some(());
        let what = format!("the end of {}", shared.name);
        self.machine.await_state(timeout, &what, ended)
    }
}

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
    fn new(machine: &Arc<Machine>) -> Result<Self, HostError> {
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
        let machine = self.machine();
        let mut state = machine.lock();
        if machine.stopped() {
            return Err(state.error());
        }
        let Some(id) = thread.alive(&state) else {
            return Ok(0);
        };
        let before = state.kernel.resume(id);
        state.wake();
        machine.reschedule(&mut state);
        Ok(before)
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
    fn spawn_user(
        self: &Arc<Self>,
        process: u64,
        name: &str,
        program: impl FnOnce(&UserThread<'_>) + Send + 'static,
    ) -> Result<UserHandle, HostError> {
        let ended = UserEvent::new(self)?;
        let announce = ended.clone();
        let body = move |thread: &Thread| {
            program(&UserThread {
                thread,
                event: RefCell::new(None),
            });
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
            reference: UserRef {
                id: spawned.id,
                shared: spawned.shared,
            },
            ended,
        })
    }

    fn critical_section(self: &Arc<Self>) -> Result<CriticalSection, HostError> {
        let mut state = self.lock();
        if self.stopped() {
            return Err(state.error());
        }
        let id = state.kernel.create_critical_section();
        state.locks.add_critical_section(id);
        let machine = Arc::clone(self);
        Ok(CriticalSection(Arc::new(Section { machine, id })))
    }
}

/// A wait in user mode that is not alertable.
const USER: WaitMode = WaitMode {
    user: true,
    alertable: false,
};

impl UserThread<'_> {
    /// What the program is told of a call that did not work.
    fn told<R>(&self, result: Result<R, Fault>) -> Result<R, HostError> {
        result.map_err(|fault| {
            self.thread.stop(fault);
            self.thread.lock().error()
        })
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
        UserRef {
            id: self.thread.id,
            shared: Arc::clone(&self.thread.shared),
        }
    }

    /// A step in user mode that does nothing else.
    ///
    /// # Errors
    /// As every call.
    pub fn point(&self) -> Result<(), HostError> {
        self.told(self.thread.user_step(|_| Ok(())))
    }

    /// Starts another thread of the same process: see [`Host::spawn_user`].
    ///
    /// # Errors
    /// As [`Host::spawn_user`].
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
        self.wait(&other.ended, timeout)
    }

    /// Sends an IOCTL in this thread and waits for its completion, as
    /// [`File::ioctl`](crate::File::ioctl) does.
    ///
    /// # Errors
    /// [`HostError::NoAnswer`] when a request that is pending is not completed within the answer
    /// deadline; otherwise as every call.
    pub fn ioctl(
        &self,
        file: &File,
        code: u32,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<Completion, HostError> {
        let known = self.event.borrow().clone();
        let event = known.map_or_else(|| self.create_event(), Ok)?;
        self.event.replace(Some(event.clone()));
        let pending = self.start_ioctl(file, code, input, output.len(), &event)?;
        let timeout = self.thread.machine.options.answer_deadline;
        let done = match pending.done()? {
            Some(done) => Some(done),
            None if self.wait(&event, timeout)? => pending.done()?,
            None => None,
        };
        let Some((completion, bytes)) = done else {
            let what = format!("IOCTL {code:#x}");
            let machine = &self.thread.machine;
            return Err(machine.no_answer(&machine.lock(), timeout, &what));
        };
        if let Some(target) = output.get_mut(..bytes.len()) {
            target.copy_from_slice(&bytes);
        }
        Ok(completion)
    }

    /// Sends an IOCTL in this thread, as an overlapped request does that names `event`. The event
    /// is reset, and signaled when the request is completed, unless it fails at once.
    ///
    /// The completion of a request that is pending reaches this thread as a special kernel APC;
    /// [`Pending::done`] says whether it has.
    ///
    /// # Errors
    /// As every call.
    pub fn start_ioctl(
        &self,
        file: &File,
        code: u32,
        input: &[u8],
        output_length: usize,
        event: &UserEvent,
    ) -> Result<Pending, HostError> {
        let major = Major::Control {
            code,
            input: input.len(),
            output: output_length,
        };
        let object = event.0.object;
        let sent = self.thread.user_call(|thread| {
            let irp = {
                let mut state = thread.lock();
                let irp = state.add_irp(file.id, major, input)?;
                state.change_event(object, false, "the I/O manager")?;
                if let Some(irp) = irp.and_then(|irp| state.io.irps.get_mut(&irp)) {
                    irp.requester = Some(Requester {
                        thread: thread.id,
                        event: Some(object),
                    });
                    state.objects.reference(object)?;
                }
                irp
            };
            if let Some(irp) = irp {
                thread.dispatch_control(irp)?;
            }
            Ok(irp)
        });
        let irp = self.told(sent)?;
        Ok(file.pending(irp, code))
    }

    /// Asks for the cancellation of a request (`CancelIoEx`), in this thread.
    ///
    /// # Errors
    /// As every call.
    pub fn cancel(&self, pending: &Pending) -> Result<(), HostError> {
        let irp = pending.irp;
        self.told(self.thread.user_call(|thread| thread.cancel_irp(irp)))
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
        let object = event.0.object;
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
        let object = event.0.object;
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
        let (thread, id) = (self.thread, section.0.id);
        self.told(thread.user_wait(|state| {
            state.kernel.enter_critical_section(thread.id, id) == Acquired::Blocked
        }))
    }

    /// `TryEnterCriticalSection`: whether it was entered.
    ///
    /// # Errors
    /// As every call.
    pub fn try_enter(&self, section: &CriticalSection) -> Result<bool, HostError> {
        let (thread, id) = (self.thread, section.0.id);
        self.told(thread.user_step(|state| Ok(state.kernel.try_critical_section(thread.id, id))))
    }

    /// `LeaveCriticalSection`. `false` when the thread does not own it: nothing happens then.
    ///
    /// # Errors
    /// As every call.
    pub fn leave(&self, section: &CriticalSection) -> Result<bool, HostError> {
        let (thread, id) = (self.thread, section.0.id);
        self.told(thread.user_step(|state| Ok(state.kernel.leave_critical_section(thread.id, id))))
    }
}

impl Machine {
    /// Sets the event that announces the end of a thread.
    pub(crate) fn announce(&self, state: &mut State, event: &UserEvent) {
        let set = state.change_event(event.0.object, true, "the end of a thread");
        if let Err(check) = set {
            self.bug_check(state, check, None);
        }
    }
}
