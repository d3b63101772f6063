//! A thread that runs driver code: its two stacks, its place in the kernel, its APCs and waits.
#![allow(
    unsafe_code,
    reason = "installs the thread's block and calls driver code"
)]

use std::cell::{Cell, UnsafeCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use apclab_model::kernel::{Acquired, BugCheck, Kernel, Next, ObjectId, ThreadId};
use parking_lot::{Condvar, MutexGuard};

use crate::bugcheck;
use crate::dispatch::{Arguments, Export, Fault};
use crate::faults::{self, Trap};
use crate::machine::{Machine, State};
use crate::scheduler::{Place, Turn};
use crate::stack::{self, ARGUMENTS, Block, KernelStack};

/// What other threads may know about a thread.
#[derive(Debug)]
pub(crate) struct Shared {
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
    /// The status that the thread ends itself with.
    pub(crate) exit_status: Cell<i32>,
    /// Whether `PsTerminateSystemThread` may end it.
    pub(crate) system: bool,
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
        system: bool,
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
            exit_status: Cell::new(0),
            system,
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

    /// Runs every APC that this thread may take at this moment. Where the threads take turns, only
    /// those that are forced: when the others come is a matter of the schedule.
    pub(crate) fn deliver<'a>(&'a self, mut state: Guard<'a>) -> Result<Guard<'a>, Fault> {
        if state.scheduler.is_none() {
            return self.deliver_all(state);
        }
        while state.kernel.forced(self.id) {
            // Others may come first.
            if self.pass(&mut state, Place::Point)? == Turn::Deliver {
                state = self.deliver_one(state)?;
            }
        }
        Ok(state)
    }

    /// Runs every APC that this thread may take at this moment: it returns to user mode or ends.
    pub(crate) fn deliver_all<'a>(&'a self, mut state: Guard<'a>) -> Result<Guard<'a>, Fault> {
        while state.kernel.deliverable(self.id).is_some() {
            state = self.deliver_one(state)?;
        }
        Ok(state)
    }

    /// Runs one APC.
    pub(crate) fn deliver_one<'a>(&'a self, mut state: Guard<'a>) -> Result<Guard<'a>, Fault> {
        let Some((id, _)) = state.kernel.begin_delivery(self.id) else {
            return Ok(state);
        };
        let routines = state.begin_apc(id)?;
        drop(state);
        // The kernel routine may change the normal routine and its three arguments.
        let words = UnsafeCell::new([
            routines.normal,
            routines.context,
            routines.arguments[0],
            routines.arguments[1],
        ]);
        let at = words.get() as u64;
        let arguments = [routines.address, at, at + 8, at + 16, at + 24];
        self.call(routines.kernel, &arguments)?;
        // SAFETY: the kernel routine has returned, so nobody writes to the words any more.
        let [normal, context, first, second] = unsafe { words.get().read_volatile() };

        let mut state = self.lock();
        if state.kernel.kernel_routine_returned(self.id)? == Next::NormalRoutine {
            // The kernel routine may have taken the normal routine back by storing a null.
            if normal != 0 {
                drop(state);
                self.call(normal, &[context, first, second])?;
                state = self.lock();
            }
            state.kernel.normal_routine_returned(self.id)?;
        }
        state.end_apc(id)?;
        state.wake();
        Ok(state)
    }

    /// Waits on dispatcher objects. `deadline`: `None` for ever, otherwise as
    /// [`Machine::now`] counts; a time in the past only looks.
    /// Gives the index of the object, or `None` after the time-out.
    pub(crate) fn wait(
        &self,
        objects: &[ObjectId],
        all: bool,
        deadline: Option<u64>,
        may_block: bool,
    ) -> Result<Option<usize>, Fault> {
        let mut state = self.alive()?;
        if let Some(index) = state.kernel.wait(self.id, objects, all, may_block)? {
            return Ok(Some(index));
        }
        if !may_block {
            return Ok(None);
        }
        self.block(state, deadline)
    }

    /// Acquires a lock by the kernel's rule, waiting for it if the rule says so. Gives whether it
    /// was acquired.
    pub(crate) fn acquire(
        &self,
        rule: impl FnOnce(&mut Kernel) -> Result<Acquired, BugCheck>,
    ) -> Result<bool, Fault> {
        let mut state = self.alive()?;
        match rule(&mut state.kernel)? {
            Acquired::Now => Ok(true),
            Acquired::Refused => Ok(false),
            Acquired::Blocked => self.block(state, None).map(|_| true),
        }
    }

    /// The machine's state, for a thread that may wait.
    fn alive(&self) -> Result<Guard<'_>, Fault> {
        let state = self.lock();
        if state.ended.contains(&self.id) {
            let reason = "a thread that has ended waits in the rundown routine of an APC";
            return Err(bugcheck::verifier(0, 0, reason).into());
        }
        Ok(state)
    }

    /// Sleeps until the kernel ends the wait that it has this thread in, or until `deadline`.
    fn block<'a>(
        &'a self,
        mut state: Guard<'a>,
        deadline: Option<u64>,
    ) -> Result<Option<usize>, Fault> {
        if let Some(scheduler) = &state.scheduler {
            let place = scheduler.wait(&self.shared, deadline);
            return self.block_in_turn(state, place);
        }
        let deadline = deadline.and_then(|deadline| self.machine.instant(deadline));
        loop {
            if self.machine.stopped() {
                return Err(Fault::Stopped);
            }
            if state.kernel.deliverable(self.id).is_some() {
                state = self.deliver_one(state)?;
                continue;
            }
            if let Some(index) = state.kernel.grant(self.id) {
                return Ok(Some(index));
            }
            let now = Instant::now();
            if deadline.is_some_and(|deadline| deadline <= now) && state.kernel.expire(self.id) {
                return Ok(None);
            }
            self.shared.asleep.store(true, Ordering::SeqCst);
            match deadline {
                Some(deadline) => {
                    self.shared.wake.wait_until(&mut state, deadline);
                }
                None => self.shared.wake.wait(&mut state),
            }
            self.shared.asleep.store(false, Ordering::SeqCst);
        }
    }

    /// The same where the threads take turns.
    fn block_in_turn<'a>(
        &'a self,
        mut state: Guard<'a>,
        place: Place,
    ) -> Result<Option<usize>, Fault> {
        loop {
            match self.pass(&mut state, place)? {
                Turn::Deliver => state = self.deliver_one(state)?,
                Turn::Run => {
                    if let Some(index) = state.kernel.grant(self.id) {
                        return Ok(Some(index));
                    }
                }
                Turn::Expire => {
                    if state.kernel.expire(self.id) {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Ends the thread in the kernel's books: checks it, and runs the rundown routines of the APCs
    /// that were still queued to it.
    pub(crate) fn end(&self) -> Result<(), Fault> {
        let mut state = self.deliver_all(self.lock())?;
        let flushed = state.kernel.end_thread(self.id)?;
        state.ended.insert(self.id);
        for id in flushed {
            let routines = state.begin_apc(id)?;
            if routines.rundown == 0 {
                let reason = format!(
                    "a thread ended with the APC at {:#x} queued to it, which has no rundown \
                     routine: the kernel would free its memory",
                    routines.address
                );
                let check: BugCheck = bugcheck::check(
                    bugcheck::BAD_POOL_CALLER,
                    [0x46, routines.address, 0, 0],
                    reason,
                );
                return Err(check.into());
            }
            drop(state);
            self.call(routines.rundown, &[routines.address])?;
            state = self.lock();
            state.end_apc(id)?;
        }
        Ok(())
    }
}
