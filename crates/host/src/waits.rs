//! Waits: a thread sleeps until the kernel's rules let it go on.

use std::sync::atomic::Ordering;
use std::time::Instant;

use apclab_model::kernel::{Acquired, BugCheck, Kernel, ObjectId};

use crate::bugcheck;
use crate::dispatch::Fault;
use crate::machine::State;
use crate::scheduler::{Place, Turn};
use crate::thread::{Guard, Thread};

impl Thread {
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
                self.expired.set(true);
                return Ok(None);
            }
            self.is_about_to_sleep(&mut state, deadline.is_none());
            if self.machine.stopped() {
                return Err(Fault::Stopped);
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

    /// Says for how long the thread waits, which may be what closes a circle. An APC that has run
    /// inside the wait may have waited for itself.
    fn is_about_to_sleep(&self, state: &mut State, forever: bool) {
        self.shared.forever.store(forever, Ordering::SeqCst);
        self.machine.look_for_deadlock(state, false);
    }

    /// The same where the threads take turns.
    fn block_in_turn<'a>(
        &'a self,
        mut state: Guard<'a>,
        place: Place,
    ) -> Result<Option<usize>, Fault> {
        let forever = matches!(place, Place::Wait { deadline: None, .. });
        loop {
            self.is_about_to_sleep(&mut state, forever);
            match self.pass(&mut state, place)? {
                Turn::Deliver => state = self.deliver_one(state)?,
                Turn::Run => {
                    if let Some(index) = state.kernel.grant(self.id) {
                        return Ok(Some(index));
                    }
                }
                Turn::Expire => {
                    if state.kernel.expire(self.id) {
                        self.expired.set(true);
                        return Ok(None);
                    }
                }
            }
        }
    }
}
