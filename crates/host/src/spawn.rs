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
use crate::thread::{Shared, Thread};

impl Machine {
    /// Starts a thread. `body` runs on it; afterwards the thread ends in the kernel's books.
    ///
    /// Gives the address of its thread object, with a reference that the caller gives back.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        kind: &str,
        process: u64,
        baseline: Baseline,
        system: bool,
        body: impl FnOnce(&Thread) -> Result<(), Fault> + Send + 'static,
    ) -> std::io::Result<u64> {
        let stack = KernelStack::new()?;
        let number = self.next_thread.fetch_add(1, Ordering::Relaxed) * 4;
        let name = format!("{kind} {number}");
        let shared = Arc::new(Shared {
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
            polls: AtomicU32::new(0),
        });
        let object = shared.object;
        let id = {
            let mut state = self.lock();
            let id = state.kernel.create_thread(baseline);
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
        let main = move || {
            let keeper = Arc::clone(&machine);
            Thread::run(machine, id, shared, stack, system, |thread| {
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
            keeper.thread_has_ended(id, object);
        };
        // The outcome of the thread is in the machine's state; nobody joins it.
        if let Err(error) = std::thread::Builder::new().name(name).spawn(main) {
            self.thread_has_ended(id, object);
            self.release_thread(object);
            return Err(error);
        }
        Ok(object)
    }

    /// Gives back the reference that [`Machine::spawn`] gave.
    pub(crate) fn release_thread(&self, object: u64) {
        let mut state = self.lock();
        let state = &mut *state;
        if self.stopped() {
            return;
        }
        if let Err(check) = state.objects.dereference(object, &mut state.kernel) {
            self.bug_check(state, check, None);
        }
    }

    fn thread_has_ended(&self, id: ThreadId, object: u64) {
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
                if let Err(check) = state.objects.dereference(object, &mut state.kernel) {
                    self.bug_check(state, check, None);
                }
            }
        }
        state.running -= 1;
        self.look_for_deadlock(&mut state, false);
        self.thread_leaves(&mut state, id);
        state.wake();
        self.callers.notify_all();
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
