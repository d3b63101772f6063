//! One simulated machine: its state under one lock, its threads, and how it stops.
//!
//! The lock is never held while driver code runs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use apclab_model::kernel::{Alert, ApcId, BugCheck, Kernel, ThreadId};
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::apcs::Apcs;
use crate::bindings::Libraries;
use crate::events::Events;
use crate::failures::Failures;
use crate::faults;
use crate::image::Image;
use crate::io::Io;
use crate::kmdf::Framework;
use crate::locks::Locks;
use crate::mapping::Mapping;
use crate::memory::{Memory, Pool};
use crate::objects::Objects;
use crate::report::{BugCheckReport, HostError, NoAnswer, ThreadReport};
use crate::scheduler::Scheduler;
use crate::stack::Thunks;
use crate::thread::Shared;
use crate::time::{self, ticks};
use crate::user_mode::QueuedRoutine;
use crate::workers::Workers;
use crate::{Options, Schedule};

/// The process id of the System process, in which drivers' threads run.
pub(crate) const SYSTEM_PROCESS: u64 = 4;

/// A type object, and the exported variable that points to it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ObjectType {
    pub(crate) variable: u64,
    pub(crate) object: u64,
}

/// The type objects that the driver can name.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Types {
    /// `PsThreadType`.
    pub(crate) thread: ObjectType,
    /// `ExEventObjectType`.
    pub(crate) event: ObjectType,
}

/// What a user APC does.
pub(crate) type UserRoutine = Arc<dyn Fn() + Send + Sync>;

/// What the lock protects.
pub(crate) struct State {
    pub(crate) kernel: Kernel,
    pub(crate) memory: Memory,
    pub(crate) threads: BTreeMap<ThreadId, Arc<Shared>>,
    /// Threads that have ended in the kernel's books and still run rundown routines.
    pub(crate) ended: BTreeSet<ThreadId>,
    pub(crate) apcs: Apcs,
    pub(crate) events: Events,
    pub(crate) locks: Locks,
    pub(crate) objects: Objects,
    /// Spin locks that are held, by address.
    pub(crate) spin_locks: HashMap<u64, ThreadId>,
    pub(crate) io: Io,
    pub(crate) framework: Framework,
    pub(crate) log: Vec<String>,
    pub(crate) failures: Failures,
    /// Who runs when, unless all run at the same time.
    pub(crate) scheduler: Option<Scheduler>,
    /// The routines of user APCs that are queued.
    pub(crate) user_apcs: BTreeMap<ApcId, QueuedRoutine>,
    /// The type objects that the driver can name.
    pub(crate) types: Types,
    /// What ended the machine, when nobody switched it off.
    ending: Option<HostError>,
    /// How many OS threads belong to the machine.
    pub(crate) running: usize,
    /// How many threads the driver has created.
    pub(crate) created: u64,
    /// The most that a thread has used of its kernel stack, in bytes.
    pub(crate) deepest_stack: usize,
}

impl State {
    /// Why the machine does not serve the host's callers any more.
    pub(crate) fn error(&self) -> HostError {
        self.ending.clone().unwrap_or(HostError::Off)
    }

    fn has_something_to_do(&self, id: ThreadId) -> bool {
        let kernel = &self.kernel;
        kernel.deliverable(id).is_some()
            || kernel.grantable(id).is_some()
            || kernel.alert(id) == Alert::Must
            || kernel.user_deliverable(id).is_some()
            || (kernel.is_suspended(id) && kernel.may_return(id))
    }

    /// Wakes every sleeping thread that has something to do.
    pub(crate) fn wake(&self) {
        for (id, shared) in &self.threads {
            if shared.asleep.load(Ordering::SeqCst) && self.has_something_to_do(*id) {
                shared.wake.notify_one();
            }
        }
    }
}

/// One simulated machine.
pub(crate) struct Machine {
    state: Mutex<State>,
    /// Wakes those who call the host's interface.
    pub(crate) callers: Condvar,
    /// Wakes threads that spin for a spin lock.
    pub(crate) spinners: Condvar,
    stopped: AtomicBool,
    pub(crate) options: Options,
    pub(crate) libraries: Libraries,
    pub(crate) thunks: Thunks,
    /// The loaded image, which stays for as long as a thread could be in it.
    pub(crate) image: OnceLock<Arc<Image>>,
    pub(crate) workers: Workers,
    /// Addresses for objects that the driver must not look into: a use faults.
    opaque: Mapping,
    next_opaque: AtomicU64,
    pub(crate) next_thread: AtomicU64,
    started: Instant,
    /// The system's time when the machine was started, in ticks of 100 ns since 1601.
    epoch: u64,
    /// How many processors the machine has: as many as the process may use, or one when the
    /// threads take turns.
    pub(crate) processors: u64,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine")
            .field("stopped", &self.stopped())
            .finish_non_exhaustive()
    }
}

impl Machine {
    /// The address space for opaque objects: 4 GiB of nothing, 64 bytes for each object.
    const OPAQUE: usize = 4 << 30;

    pub(crate) fn new(
        options: Options,
        libraries: Libraries,
        thunks: Thunks,
    ) -> std::io::Result<Arc<Self>> {
        faults::install();
        let kernel = Kernel::new(options.profile);
        let processors = match options.schedule {
            Schedule::Free => std::thread::available_parallelism().map_or(1, NonZero::get) as u64,
            _ => 1,
        };
        let state = State {
            kernel,
            memory: Memory::new(Pool::new()?),
            threads: BTreeMap::new(),
            ended: BTreeSet::new(),
            apcs: Apcs::default(),
            events: Events::default(),
            locks: Locks::default(),
            objects: Objects::default(),
            spin_locks: HashMap::new(),
            io: Io::default(),
            framework: Framework::default(),
            log: Vec::new(),
            failures: Failures::default(),
            scheduler: Scheduler::new(&options.schedule, ticks(options.short_timeout)),
            user_apcs: BTreeMap::new(),
            types: Types::default(),
            ending: None,
            running: 0,
            created: 0,
            deepest_stack: 0,
        };
        Ok(Arc::new(Self {
            state: Mutex::new(state),
            callers: Condvar::new(),
            spinners: Condvar::new(),
            stopped: AtomicBool::new(false),
            options,
            libraries,
            thunks,
            image: OnceLock::new(),
            workers: Workers::default(),
            opaque: Mapping::reserve(Self::OPAQUE)?,
            next_opaque: AtomicU64::new(64),
            next_thread: AtomicU64::new(1),
            started: Instant::now(),
            epoch: time::system_time(),
            processors,
        }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// The time since the machine's start, real or virtual, in ticks of 100 ns.
    pub(crate) fn now(&self, state: &State) -> u64 {
        match &state.scheduler {
            Some(scheduler) => scheduler.now(),
            None => ticks(self.started.elapsed()),
        }
    }

    /// The end of an NT time-out, as [`Machine::now`] counts.
    pub(crate) fn deadline(&self, state: &State, timeout: i64) -> u64 {
        time::deadline(timeout, self.now(state), self.epoch)
    }

    /// The moment of a deadline in real time. `None` when it lies beyond what the system's clock
    /// can express.
    pub(crate) fn instant(&self, deadline: u64) -> Option<Instant> {
        self.started.checked_add(time::duration(deadline))
    }

    /// Whether the machine runs no driver code any more.
    pub(crate) fn stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// The address of a new object that the driver must not look into. Never given out again, so
    /// that a stale one is recognised.
    ///
    /// # Panics
    /// After some 67 million objects.
    pub(crate) fn opaque(&self) -> u64 {
        let offset = self.next_opaque.fetch_add(64, Ordering::Relaxed);
        assert!(
            offset < Self::OPAQUE as u64,
            "the addresses for opaque objects are used up"
        );
        self.opaque.base() as u64 + offset
    }

    /// Stops the machine with a bug check, unless it has one already.
    pub(crate) fn bug_check(&self, state: &mut State, check: BugCheck, thread: Option<&Shared>) {
        let last = thread.map_or(0, |thread| thread.last.load(Ordering::Relaxed));
        let report = BugCheckReport {
            code: check.code,
            parameters: check.parameters,
            thread: thread.map_or_else(|| "the host".to_owned(), |thread| thread.name.clone()),
            routine: self.routine(last),
            reason: check.reason,
        };
        self.end(state, HostError::BugCheck(report));
    }

    /// Stops the machine for this reason, unless it has stopped already.
    pub(crate) fn end(&self, state: &mut State, why: HostError) {
        if !self.stopped() {
            state.ending.get_or_insert(why);
        }
        self.halt(state);
    }

    /// Switches the machine off: no driver code runs from now on.
    pub(crate) fn halt(&self, state: &mut State) {
        self.stopped.store(true, Ordering::SeqCst);
        for shared in state.threads.values() {
            shared.wake.notify_one();
            let system = shared.system.load(Ordering::SeqCst);
            if system != 0 && system != faults::this_thread() {
                faults::interrupt(system);
            }
        }
        self.callers.notify_all();
        self.spinners.notify_all();
        self.workers.dismiss();
    }

    /// The name of the export at `export`, which a thread called last.
    fn routine(&self, export: u64) -> String {
        self.thunks
            .name_of(export)
            .unwrap_or("nothing yet")
            .to_owned()
    }

    /// The report that nothing came of `awaited`.
    pub(crate) fn no_answer(&self, state: &State, waited: Duration, awaited: &str) -> HostError {
        let busy = |shared: &&Arc<Shared>| shared.serving.load(Ordering::SeqCst);
        let report = |shared: &Arc<Shared>| ThreadReport {
            name: shared.name.clone(),
            routine: self.routine(shared.last.load(Ordering::Relaxed)),
            waiting: shared.asleep.load(Ordering::SeqCst),
        };
        HostError::NoAnswer(Box::new(NoAnswer {
            waited,
            awaited: awaited.to_owned(),
            requests: state.io.outstanding(),
            threads: state.threads.values().filter(busy).map(report).collect(),
        }))
    }

    /// Waits until `done` gives something, the machine stops, or `deadline` passes.
    pub(crate) fn await_state<R>(
        &self,
        timeout: Duration,
        awaited: &str,
        mut done: impl FnMut(&mut State) -> Option<R>,
    ) -> Result<R, HostError> {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        loop {
            if let Some(result) = done(&mut state) {
                return Ok(result);
            }
            if self.stopped() {
                return Err(state.error());
            }
            if self.callers.wait_until(&mut state, deadline).timed_out() {
                return match done(&mut state) {
                    Some(result) => Ok(result),
                    None if self.stopped() => Err(state.error()),
                    None => Err(self.no_answer(&state, timeout, awaited)),
                };
            }
        }
    }
}
