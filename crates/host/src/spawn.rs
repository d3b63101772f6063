//! Starting the machine's threads, and what is left of one that has ended.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use apclab_model::kernel::{Baseline, EventKind, ThreadId};
use parking_lot::Condvar;

use crate::dispatch::{Fault, host_failure};
use crate::machine::Machine;
use crate::stack::KernelStack;
use crate::thread::{Role, Shared, Thread};
use crate::user::UserEvent;

/// A thread that has been started.
pub(crate) struct Spawned {
    /// The address of its thread object, with a reference that the caller gives back.
    pub(crate) object: u64,
    pub(crate) id: ThreadId,
    pub(crate) shared: Arc<Shared>,
}

impl Machine {
    /// Starts a thread. `body` runs on it; afterwards the thread ends in the kernel's books.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        name: &str,
        role: Role,
        process: u64,
        baseline: Baseline,
        body: impl FnOnce(&Thread) -> Result<(), Fault> + Send + 'static,
    ) -> std::io::Result<Spawned> {
        self.spawn_announcing(name, role, process, baseline, body, None)
    }

    /// The same; `announce` is set when the thread has ended.
    pub(crate) fn spawn_announcing(
        self: &Arc<Self>,
        name: &str,
        role: Role,
        process: u64,
        baseline: Baseline,
        body: impl FnOnce(&Thread) -> Result<(), Fault> + Send + 'static,
        announce: Option<UserEvent>,
    ) -> std::io::Result<Spawned> {
        let stack = KernelStack::new()?;
        let number = self.next_thread.fetch_add(1, Ordering::Relaxed) * 4;
        let name = match role {
            Role::User => name.to_owned(),
            Role::Worker | Role::System => format!("{name} {number}"),
        };
        let shared = Arc::new(Shared {
            role,
            name: name.clone(),
            number,
            process: AtomicU64::new(process),
            object: self.opaque(),
            wake: Condvar::new(),
            asleep: AtomicBool::new(false),
            last: AtomicU64::new(0),
            system: AtomicU64::new(0),
            serving: AtomicBool::new(false),
            idle: AtomicBool::new(false),
            forever: AtomicBool::new(false),
            terminating: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            polls: AtomicU32::new(0),
        });
        let object = shared.object;
        let id = {
            let mut state = self.lock();
            let id = match role {
                Role::User => state.kernel.create_user_thread(baseline),
                Role::Worker | Role::System => state.kernel.create_thread(baseline),
            };
            let ended = state.kernel.create_event(EventKind::Notification, false);
            state.objects.add_thread(object, id, ended, name.clone());
            state.threads.insert(id, Arc::clone(&shared));
            state.running += 1;
            if let Some(scheduler) = &mut state.scheduler {
                scheduler.add(&shared, id);
                self.reschedule(&mut state);
            }
            id
        };
        let machine = Arc::clone(self);
        let spawned = Spawned {
            object,
            id,
            shared: Arc::clone(&shared),
        };
        let main = move || {
            let keeper = Arc::clone(&machine);
            let own = Arc::clone(&shared);
            Thread::run(machine, id, shared, stack, |thread| {
                let whole = || match thread.begin_turn().and_then(|()| body(thread)) {
                    Ok(()) | Err(Fault::Exit) => thread.end(),
                    Err(fault) => Err(fault),
                };
                let outcome = catch_unwind(AssertUnwindSafe(whole));
                let outcome =
                    outcome.unwrap_or_else(|panic| Err(host_failure("a thread", panic.as_ref())));
                thread.measure_stack();
                if let Err(fault) = outcome {
                    thread.stop(fault);
                }
            });
            keeper.thread_has_ended(id, object, &own, announce.as_ref());
        };
        // The outcome of the thread is in the machine's state; nobody joins it.
        if let Err(error) = std::thread::Builder::new().name(name).spawn(main) {
            self.thread_has_ended(id, object, &spawned.shared, None);
            self.release_thread(object);
            return Err(error);
        }
        Ok(spawned)
    }

    /// Gives back the reference that [`Machine::spawn`] gave.
    pub(crate) fn release_thread(&self, object: u64) {
        let mut state = self.lock();
        if self.stopped() {
            return;
        }
        if let Err(check) = state.dereference_object(object) {
            self.bug_check(&mut state, check, None);
        }
    }

    fn thread_has_ended(
        &self,
        id: ThreadId,
        object: u64,
        shared: &Shared,
        announce: Option<&UserEvent>,
    ) {
        let mut state = self.lock();
        state.threads.remove(&id);
        if !self.stopped() {
            if !state.ended.contains(&id)
                && let Err(check) = state.kernel.end_thread(id).map(drop)
            {
                self.bug_check(&mut state, check, None);
            }
            state.ended.remove(&id);
            if !self.stopped() {
                let state = &mut *state;
                state.objects.thread_ended(object, &mut state.kernel);
                if let Err(check) = state.dereference_object(object) {
                    self.bug_check(state, check, None);
                }
            }
        }
        let user_apcs = state.forget_user_thread(id, shared);
        shared.ended.store(true, Ordering::SeqCst);
        if let Some(event) = announce.filter(|_| !self.stopped()) {
            self.announce(&mut state, event);
        }
        state.running -= 1;
        self.look_for_deadlock(&mut state, false);
        self.thread_leaves(&mut state, id);
        state.wake();
        self.callers.notify_all();
        drop(state);
        // What they own may lock the machine when it is dropped.
        drop(user_apcs);
    }

    /// Waits until every OS thread of a machine that has been switched off is gone, for so long.
    pub(crate) fn await_threads(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        while state.running > 0 {
            if self.callers.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
    }
}
