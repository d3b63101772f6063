//! The kernel side of user threads: threads that run one request after the other.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};

use apclab_model::kernel::{Baseline, ThreadId};
use parking_lot::Mutex;

use crate::bugcheck::{self, check};
use crate::dispatch::Fault;
use crate::machine::Machine;
use crate::report::HostError;
use crate::thread::{Role, Shared, Thread};

/// What is done once the thread has returned to user mode.
type Done = Box<dyn FnOnce() + Send>;
type Work = Box<dyn FnOnce(&Thread) -> Result<Done, Fault> + Send>;

/// A request for a worker.
struct Job {
    process: u64,
    work: Work,
    /// The way back to the worker, which it puts into the list when it is idle again. It has no
    /// sender of its own while it waits, so that emptying the list ends it.
    jobs: mpsc::Sender<Job>,
}

impl Machine {
    /// Sends IRP_MJ_CLOSE for a file, in the context of its process.
    pub(crate) fn begin_close(self: &Arc<Self>, file: u64) {
        let process = self
            .lock()
            .io
            .files
            .get(&file)
            .map_or(0, |file| file.process);
        let begun = self.begin_system_call(process, move |thread| {
            thread.dispatch_close(file)?;
            Ok(Box::new(|| ()))
        });
        if let Err(HostError::Resources(reason)) = begun {
            let reason = format!("no thread for IRP_MJ_CLOSE: {reason}");
            let check = check(bugcheck::HOST_FAILURE, [0; 4], reason);
            self.bug_check(&mut self.lock(), check, None);
        }
    }
}

/// A worker without a request.
struct Idle {
    jobs: mpsc::Sender<Job>,
    id: ThreadId,
    shared: Arc<Shared>,
}

/// The idle workers of a machine. The last one to become idle is taken first.
#[derive(Default)]
pub(crate) struct Workers {
    idle: Mutex<Vec<Idle>>,
}

impl Workers {
    /// Lets all idle workers go.
    pub(crate) fn dismiss(&self) {
        self.idle.lock().clear();
    }
}

impl Machine {
    /// Runs `work` in the context of a thread of process `process`, as a system call: when it
    /// returns, the thread's counters and IRQL must be what they were.
    pub(crate) fn system_call<R: Send + 'static>(
        self: &Arc<Self>,
        process: u64,
        what: &str,
        work: impl FnOnce(&Thread) -> Result<R, Fault> + Send + 'static,
    ) -> Result<R, HostError> {
        let (answer, answered) = mpsc::sync_channel(1);
        self.begin_system_call(process, move |thread| {
            let result = work(thread)?;
            // The caller may have given up waiting.
            Ok(Box::new(move || drop(answer.send(result))))
        })?;
        let timeout = self.options.answer_deadline;
        match answered.recv_timeout(timeout) {
            Ok(result) => Ok(result),
            Err(RecvTimeoutError::Timeout) => {
                let state = self.lock();
                if self.stopped() {
                    return Err(state.error());
                }
                Err(self.no_answer(&state, timeout, what))
            }
            // The thread dropped its sender on the way to record why it stops.
            Err(RecvTimeoutError::Disconnected) => self.await_state(timeout, what, |_| None),
        }
    }

    /// The same without waiting; what `work` gives is called once the thread has returned to user
    /// mode.
    pub(crate) fn begin_system_call(
        self: &Arc<Self>,
        process: u64,
        work: impl FnOnce(&Thread) -> Result<Done, Fault> + Send + 'static,
    ) -> Result<(), HostError> {
        if self.stopped() {
            return Err(self.lock().error());
        }
        let work: Work = Box::new(move |thread| {
            let (before, irql) = {
                let state = thread.lock();
                (
                    state.kernel.counters(thread.id),
                    state.kernel.irql(thread.id),
                )
            };
            let done = work(thread)?;
            let state = thread.deliver_all(thread.lock())?;
            state.kernel.check_return(thread.id, before, irql)?;
            Ok(done)
        });
        let idle = self.workers.idle.lock().pop();
        if let Some(idle) = &idle {
            idle.shared.idle.store(false, Ordering::SeqCst);
        }
        let work = match idle {
            Some(idle) => match idle.jobs.send(Job {
                process,
                work,
                jobs: idle.jobs.clone(),
            }) {
                Ok(()) => {
                    self.thread_is_ready(&idle.shared, idle.id);
                    return Ok(());
                }
                Err(mpsc::SendError(unsent)) => unsent.work,
            },
            None => work,
        };
        let (jobs, received) = mpsc::channel();
        let first = Job {
            process,
            work,
            jobs,
        };
        let machine = Arc::clone(self);
        let run = move |thread: &Thread| work_off(&machine, thread, first, &received);
        let spawned = self
            .spawn(
                "user thread",
                Role::Worker,
                process,
                Baseline::default(),
                run,
            )
            .map_err(|error| HostError::Resources(error.to_string()))?;
        self.release_thread(spawned.object);
        Ok(())
    }
}

fn work_off(
    machine: &Arc<Machine>,
    thread: &Thread,
    first: Job,
    received: &mpsc::Receiver<Job>,
) -> Result<(), Fault> {
    let mut next = Some(first);
    while let Some(Job {
        process,
        work,
        jobs,
    }) = next.take()
    {
        thread.shared.process.store(process, Ordering::Relaxed);
        let done = work(thread)?;
        if machine.stopped() {
            return Err(Fault::Stopped);
        }
        {
            let mut state = machine.lock();
            thread.shared.idle.store(true, Ordering::SeqCst);
            machine.look_for_deadlock(&mut state, false);
            machine.thread_leaves(&mut state, thread.id);
        }
        let shared = Arc::clone(&thread.shared);
        let id = thread.id;
        machine.workers.idle.lock().push(Idle { jobs, id, shared });
        // Whoever stopped the machine in between may have emptied the list before.
        if machine.stopped() {
            machine.workers.dismiss();
        }
        thread.measure_stack();
        done();
        next = received.recv().ok();
        if next.is_some() {
            thread.begin_turn()?;
        }
    }
    Ok(())
}
