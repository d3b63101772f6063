//! Threads of user mode, from inside: their steps there, their system calls, their APCs.

use std::sync::atomic::Ordering;
use std::time::Instant;

use apclab_model::kernel::{ApcId, ThreadId, WaitMode};

use crate::dispatch::Fault;
use crate::io::Irp;
use crate::machine::{State, UserRoutine};
use crate::scheduler::{Place, Turn};
use crate::thread::{Guard, Role, Shared, Thread};
use crate::time::ticks;

/// How long a thread that ends waits between two looks at the requests that it has cancelled, in
/// ticks of 100 ns.
const LOOK_AGAIN: u64 = 10_000;

impl State {
    /// The thread has ended: nothing of it is left in the queues, and its end is announced. Gives
    /// the routines that will not run.
    pub(crate) fn forget_user_thread(&mut self, id: ThreadId, shared: &Shared) -> Vec<UserRoutine> {
        if shared.role != Role::User {
            return Vec::new();
        }
        let of_thread = |_: &ApcId, queued: &mut QueuedRoutine| queued.target == id;
        let left: Vec<_> = self.user_apcs.extract_if(.., of_thread).collect();
        for (apc, _) in &left {
            // Still there when somebody keeps the thread's object.
            if !self.kernel.inserted(*apc) {
                let removed = self.kernel.remove_apc(*apc);
                debug_assert!(removed.is_ok(), "an APC that is in no queue can go");
            }
        }
        left.into_iter().map(|(_, queued)| queued.routine).collect()
    }
}

/// A user APC that is queued.
pub(crate) struct QueuedRoutine {
    pub(crate) target: ThreadId,
    pub(crate) routine: UserRoutine,
}

impl Thread {
    /// A moment in user mode at which APCs and a suspension may come.
    fn user_point(&self) -> Result<Guard<'_>, Fault> {
        let state = self.lock();
        if self.machine.stopped() {
            return Err(Fault::Stopped);
        }
        if state.scheduler.is_none() {
            return self.take_user_apcs(state);
        }
        self.user_turns(state)
    }

    /// The same in a scheduled machine.
    fn user_turns<'a>(&'a self, mut state: Guard<'a>) -> Result<Guard<'a>, Fault> {
        loop {
            state = match self.pass(&mut state, Place::Point)? {
                Turn::Deliver => self.deliver_one(state)?,
                Turn::UserApc => self.run_user_apc(state)?,
                Turn::Run | Turn::Expire | Turn::Alert => return Ok(state),
            };
        }
    }

    /// Takes every APC that the thread may take in user mode.
    fn take_user_apcs<'a>(&'a self, mut state: Guard<'a>) -> Result<Guard<'a>, Fault> {
        loop {
            state = self.deliver_all(state)?;
            if self.machine.stopped() {
                return Err(Fault::Stopped);
            }
            if state.kernel.user_deliverable(self.id).is_none() {
                return Ok(state);
            }
            state = self.run_user_apc(state)?;
        }
    }

    /// Runs the user APC that may run now.
    pub(crate) fn run_user_apc<'a>(&'a self, mut state: Guard<'a>) -> Result<Guard<'a>, Fault> {
        let Some(id) = state.kernel.run_user_apc(self.id) else {
            return Ok(state);
        };
        state.kernel.remove_apc(id)?;
        let queued = state.user_apcs.remove(&id);
        drop(state);
        if let Some(queued) = queued {
            (queued.routine)();
        }
        Ok(self.lock())
    }

    /// A step in user mode that is no system call.
    pub(crate) fn user_step<R>(
        &self,
        step: impl FnOnce(&mut State) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let mut state = self.user_point()?;
        state.kernel.begin_user_step(self.id);
        let result = step(&mut state)?;
        state.wake();
        Ok(result)
    }

    /// A step in user mode that may wait: `step` says whether it does.
    pub(crate) fn user_wait(&self, step: impl FnOnce(&mut State) -> bool) -> Result<(), Fault> {
        let mut state = self.user_point()?;
        if step(&mut state) {
            self.block(state, None)?;
            self.back_in_user_mode(self.lock())?;
        }
        Ok(())
    }

    /// A system call: what it does, and the way there and back.
    pub(crate) fn user_call<R>(
        &self,
        call: impl FnOnce(&Self) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let mut state = self.user_point()?;
        state.kernel.enter_kernel(self.id);
        drop(state);
        let result = call(self)?;
        let mut state = self.deliver(self.lock())?;
        state.kernel.return_to_user(self.id)?;
        self.back_in_user_mode(state)?;
        Ok(result)
    }

    /// Takes the APCs that must run before the thread goes on in user mode.
    fn back_in_user_mode<'a>(&'a self, mut state: Guard<'a>) -> Result<(), Fault> {
        if state.scheduler.is_none() {
            return self.take_user_apcs(state).map(drop);
        }
        while state.kernel.forced(self.id) || state.kernel.user_forced(self.id) {
            state = match self.pass(&mut state, Place::Point)? {
                Turn::Deliver => self.deliver_one(state)?,
                Turn::UserApc => self.run_user_apc(state)?,
                Turn::Run | Turn::Expire | Turn::Alert => state,
            };
        }
        Ok(())
    }

    /// The program has ended: a last system call, which cancels the thread's requests and waits
    /// for them.
    pub(crate) fn leave_user_mode(&self) -> Result<(), Fault> {
        let mut state = self.user_point()?;
        state.kernel.enter_kernel(self.id);
        self.shared.terminating.store(true, Ordering::SeqCst);
        let own = |irp: &Irp| {
            let requester = irp.requester.map(|requester| requester.thread);
            irp.done.is_none() && requester == Some(self.id)
        };
        let irps = state.io.irps.iter();
        let outstanding: Vec<u64> = irps
            .filter(|(_, irp)| own(irp))
            .map(|(id, _)| *id)
            .collect();
        drop(state);
        for irp in &outstanding {
            self.cancel_irp(*irp)?;
        }
        // After that long the kernel lets the thread go without them.
        let limit = self.machine.options.answer_deadline;
        let (begun, mut looks) = (Instant::now(), ticks(limit) / LOOK_AGAIN);
        loop {
            let state = self.lock();
            if !state.io.irps.values().any(own) {
                return Ok(());
            }
            if looks == 0 || begun.elapsed() > limit {
                return Ok(());
            }
            looks -= 1;
            let until = self.machine.now(&state) + LOOK_AGAIN;
            drop(state);
            self.delay(WaitMode::KERNEL, until)?;
        }
    }
}
