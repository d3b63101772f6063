//! A thread that runs driver code: its two stacks, its place in the kernel, its calls.
#![allow(
    unsafe_code,
    reason = "installs the thread's block and calls driver code"
)]

use std::cell::{Cell, UnsafeCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use apclab_model::kernel::{BugCheck, ThreadId};
use parking_lot::{Condvar, MutexGuard};

use crate::bugcheck;
use crate::dispatch::{Arguments, Export, Fault};
use crate::faults::{self, Trap};
use crate::machine::{Machine, State};
use crate::stack::{self, ARGUMENTS, Block, KernelStack};

/// What a thread is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It runs requests of user mode, one after the other, and nothing in user mode.
    Worker,
    /// The driver has created it.
    System,
    /// It runs a program of user mode, and requests of that.
    User,
}

/// What other threads may know about a thread.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) role: Role,
    /// Its name for reports.
    pub(crate) name: String,
    /// Its id, as `PsGetCurrentThreadId` gives it.
    pub(crate) number: u64,
    /// Its process's id, as `PsGetCurrentProcessId` gives it.
    pub(crate) process: AtomicU64,
    /// The address of its thread object.
    pub(crate) object: u64,
    /// Wakes it from a wait.
    pub(crate) wake: Condvar,
    /// Whether it sleeps on `wake`.
    pub(crate) asleep: AtomicBool,
    /// The address of the export that it called last.
    pub(crate) last: AtomicU64,
    /// Its number in the host's system, for signals; 0 before it runs and after it has ended.
    pub(crate) system: AtomicU64,
    /// Whether it has a routine of the driver on its stack.
    pub(crate) serving: AtomicBool,
    /// Whether it runs requests of user mode and has none.
    pub(crate) idle: AtomicBool,
    /// Whether the wait that it is in has no time-out.
    pub(crate) forever: AtomicBool,
    /// Whether a thread of user mode is on its way out.
    pub(crate) terminating: AtomicBool,
    /// Whether it has ended.
    pub(crate) ended: AtomicBool,
    /// How often in a row it has called one wait again after its time-out, and nothing else.
    pub(crate) polls: AtomicU32,
}

/// A thread, as it sees itself.
pub(crate) struct Thread {
    pub(crate) machine: Arc<Machine>,
    pub(crate) id: ThreadId,
    pub(crate) shared: Arc<Shared>,
    block: Box<UnsafeCell<Block>>,
    stack: KernelStack,
    /// How many calls into the driver are on the stack.
    depth: Cell<u32>,
    trap: Cell<Option<Trap>>,
    /// The export and the place of the last call, if that was a wait that timed out.
    timed_out: Cell<Option<(u64, u64)>>,
    /// Whether the wait that the export which runs now began has timed out.
    pub(crate) expired: Cell<bool>,
    /// The status that the thread ends itself with.
    pub(crate) exit_status: Cell<i32>,
}

thread_local! {
    static CURRENT: Cell<*const Thread> = const { Cell::new(std::ptr::null()) };
}

/// The lock on the machine's state.
pub(crate) type Guard<'a> = MutexGuard<'a, State>;

impl Thread {
    /// Makes this OS thread the thread `id` of the machine while `body` runs.
    pub(crate) fn run<R>(
        machine: Arc<Machine>,
        id: ThreadId,
        shared: Arc<Shared>,
        stack: KernelStack,
        body: impl FnOnce(&Thread) -> R,
    ) -> R {
        let block = Block::new(stack.top(), shared.object);
        let thread = Thread {
            machine,
            id,
            shared,
            block: Box::new(UnsafeCell::new(block)),
            stack,
            depth: Cell::new(0),
            trap: Cell::new(None),
            timed_out: Cell::new(None),
            expired: Cell::new(false),
            exit_status: Cell::new(0),
        };
        let alternate = faults::AlternateStack::install();
        thread
            .machine
            .lock()
            .memory
            .add_stack(&thread.stack.usable());
        // SAFETY: the block is boxed and lives until it is taken away below.
        unsafe { stack::install(thread.block.get()) };
        CURRENT.set(&raw const thread);
        thread
            .shared
            .system
            .store(faults::this_thread(), Ordering::SeqCst);
        let result = body(&thread);
        thread.shared.system.store(0, Ordering::SeqCst);
        CURRENT.set(std::ptr::null());
        // SAFETY: takes the block away.
        unsafe { stack::install(std::ptr::null_mut()) };
        let usable = thread.stack.usable();
        let mut state = thread.machine.lock();
        if let Err(check) = state.forget_all(&usable, "on a stack that is gone") {
            thread
                .machine
                .bug_check(&mut state, check, Some(&thread.shared));
        }
        state.memory.remove_stack(&usable);
        drop(state);
        drop(alternate);
        result
    }

    /// The thread that this OS thread is, if it is one.
    pub(crate) fn current<'a>() -> Option<&'a Thread> {
        let current = CURRENT.get();
        // SAFETY: `run` sets the pointer to a value in its own frame and clears it before it
        // returns; callers are below that frame.
        unsafe { current.as_ref() }
    }

    pub(crate) fn lock(&self) -> Guard<'_> {
        self.machine.lock()
    }

    /// Whether this thread executes driver code at this moment. For the signal handler.
    pub(crate) fn in_driver(&self) -> bool {
        let block = self.block.get();
        // SAFETY: the block lives as long as this value; the place inside it is not read here.
        let word = unsafe { &raw const (*block).in_driver };
        // SAFETY: one aligned word of this thread's own block.
        unsafe { word.read_volatile() != 0 }
    }

    /// Stores what the signal handler saw; the abandoned call picks it up.
    pub(crate) fn set_trap(&self, trap: Trap) {
        self.trap.set(Some(trap));
    }

    /// Serves a call of the driver.
    pub(crate) fn serve(&self, export: &Export, arguments: &Arguments) -> Result<u64, Fault> {
        let here = std::ptr::from_ref(export) as u64;
        self.shared.last.store(here, Ordering::Relaxed);
        if self.machine.stopped() {
            return Err(Fault::Stopped);
        }
        let call = (here, arguments.site);
        let polls = self.shared.polls.load(Ordering::Relaxed);
        let again = self.timed_out.take() == Some(call);
        let polls = if again { polls.saturating_add(1) } else { 0 };
        self.shared.polls.store(polls, Ordering::SeqCst);
        if export.delivers {
            drop(self.deliver(self.lock())?);
            // The routines of an APC may have called other exports.
            self.shared.last.store(here, Ordering::Relaxed);
        }
        let result = match export.failure {
            Some(failure) if self.fails(export) => failure,
            _ => (export.body)(self, arguments)?,
        };
        if export.delivers {
            drop(self.deliver(self.lock())?);
        }
        if self.expired.take() {
            self.timed_out.set(Some(call));
        }
        if self.machine.stopped() {
            Err(Fault::Stopped)
        } else {
            Ok(result)
        }
    }

    /// Counts a fallible call. Says whether it is the one that is to fail.
    fn fails(&self, export: &Export) -> bool {
        let chosen = self.machine.options.fail;
        self.lock().failures.count(export.name, chosen)
    }

    /// The name of the export that this thread called last.
    pub(crate) fn last_export(&self) -> Option<&'static str> {
        let last = self.shared.last.load(Ordering::Relaxed);
        self.machine.thunks.name_of(last)
    }

    /// Records why this thread's driver code does not go on.
    pub(crate) fn stop(&self, fault: Fault) {
        if let Fault::Check(check) = fault {
            self.machine
                .bug_check(&mut self.lock(), check, Some(&self.shared));
        }
    }

    /// What went wrong with the lock at `address`, which this thread did.
    pub(crate) fn of_lock(&self, check: BugCheck, address: u64) -> BugCheck {
        bugcheck::of_lock(check, address, self.shared.object)
    }

    /// Whether the driver's outermost routine called the export that runs now.
    pub(crate) fn outermost(&self) -> bool {
        self.depth.get() == 1
    }

    /// Calls a routine of the driver. No lock may be held.
    pub(crate) fn call(&self, target: u64, arguments: &[u64]) -> Result<u64, Fault> {
        if self.machine.stopped() {
            return Err(Fault::Stopped);
        }
        let mut words = [0; ARGUMENTS];
        words[..arguments.len()].copy_from_slice(arguments);
        self.depth.set(self.depth.get() + 1);
        self.shared.serving.store(true, Ordering::SeqCst);
        // SAFETY: `run` has installed the block. The target is an address that the driver has
        // given as a routine's; a wrong one faults, which the fault handler turns into a bug
        // check. Exports that may abandon the call leave nothing to drop above it.
        let result = unsafe { stack::call(target, &words) };
        self.depth.set(self.depth.get() - 1);
        self.shared
            .serving
            .store(self.depth.get() > 0, Ordering::SeqCst);
        if let Some(result) = result {
            return if self.machine.stopped() {
                Err(Fault::Stopped)
            } else {
                Ok(result)
            };
        }
        match self.trap.take() {
            Some(trap) => {
                let state = self.lock();
                let irql = state.kernel.irql(self.id);
                let check = trap.bug_check(&state.memory, &self.stack.guard(), irql);
                drop(state);
                let fault = Fault::Check(check);
                self.stop(fault);
                Err(Fault::Stopped)
            }
            None if self.machine.stopped() => Err(Fault::Stopped),
            None => Err(Fault::Exit),
        }
    }

    /// Notes how much of the kernel stack has been used so far.
    pub(crate) fn measure_stack(&self) {
        let mut state = self.lock();
        let used = self.stack.used();
        state.deepest_stack = state.deepest_stack.max(used);
    }
}
