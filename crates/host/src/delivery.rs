//! Delivery of APCs: when a thread takes them, and those that it leaves when it ends.
#![allow(unsafe_code, reason = "reads what a kernel routine may have changed")]

use std::cell::UnsafeCell;
use std::sync::atomic::Ordering;

use apclab_model::kernel::{ApcId, BugCheck, Next};

use crate::bugcheck;
use crate::dispatch::Fault;
use crate::scheduler::{Place, Turn};
use crate::thread::{Guard, Thread};

impl Thread {
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
        if let Some(irp) = state.io.completions.remove(&id) {
            return self.deliver_completion(state, id, irp);
        }
        if state.kernel.is_suspended(self.id) {
            return self.stay_suspended(state);
        }
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

    /// Runs the APC that tells this thread of the completion of a request of its own.
    fn deliver_completion<'a>(
        &'a self,
        mut state: Guard<'a>,
        apc: ApcId,
        irp: u64,
    ) -> Result<Guard<'a>, Fault> {
        let close = state.conclude_irp(irp)?;
        state.kernel.kernel_routine_returned(self.id)?;
        state.kernel.remove_apc(apc)?;
        state.wake();
        self.machine.callers.notify_all();
        let Some(file) = close else {
            return Ok(state);
        };
        drop(state);
        self.machine.begin_close(file);
        Ok(self.lock())
    }

    /// Runs the APC that suspends this thread: it waits until nobody does any more. Special kernel
    /// APCs run meanwhile.
    fn stay_suspended<'a>(&'a self, mut state: Guard<'a>) -> Result<Guard<'a>, Fault> {
        if state.kernel.kernel_routine_returned(self.id)? == Next::NormalRoutine {
            // Those who wait for a lock of this thread's have not been in a deadlock so far either.
            state = self.await_resumption(state)?;
            state.kernel.normal_routine_returned(self.id)?;
            state.wake();
        }
        Ok(state)
    }

    fn await_resumption<'a>(&'a self, mut state: Guard<'a>) -> Result<Guard<'a>, Fault> {
        if state.scheduler.is_some() {
            while self.pass(&mut state, Place::Suspended)? == Turn::Deliver {
                state = self.deliver_one(state)?;
            }
            return Ok(state);
        }
        loop {
            if self.machine.stopped() {
                return Err(Fault::Stopped);
            }
            if state.kernel.deliverable(self.id).is_some() {
                state = self.deliver_one(state)?;
            } else if state.kernel.may_return(self.id) {
                return Ok(state);
            } else {
                self.shared.asleep.store(true, Ordering::SeqCst);
                self.shared.wake.wait(&mut state);
                self.shared.asleep.store(false, Ordering::SeqCst);
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
            if let Some(irp) = state.io.completions.remove(&id) {
                state.kernel.remove_apc(id)?;
                let close = state.conclude_irp(irp)?;
                drop(state);
                self.machine.callers.notify_all();
                if let Some(file) = close {
                    self.machine.begin_close(file);
                }
                state = self.lock();
                continue;
            }
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
