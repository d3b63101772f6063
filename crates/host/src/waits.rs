//! Waits: a thread sleeps until the kernel's rules let it go on.

use std::sync::atomic::Ordering;
use std::time::Instant;

use apclab_model::kernel::{Acquired, Alert, Begun, BugCheck, Kernel, ObjectId, WaitMode};

use crate::bugcheck;
use crate::dispatch::Fault;
use crate::machine::State;
use crate::scheduler::{Place, Turn};
use crate::thread::{Guard, Thread};

/// What has ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// The object with this index.
    Object(usize),
    TimedOut,
    /// A user APC that is queued to the thread.
    UserApc,
}

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
        let woken = self.wait_as(objects, all, WaitMode::KERNEL, deadline, may_block)?;
        Ok(match woken {
            Woken::Object(index) => Some(index),
            Woken::TimedOut | Woken::UserApc => None,
        })
    }

    /// The same in that mode: a user APC may end the wait.
    pub(crate) fn wait_as(
        &self,
        objects: &[ObjectId],
        all: bool,
        mode: WaitMode,
        deadline: Option<u64>,
        may_block: bool,
    ) -> Result<Woken, Fault> {
        let mut state = self.alive()?;
        let kernel = &state.kernel;
        let ways = kernel.wait_ways(self.id, objects, all, mode, may_block);
        let way = state.choose(ways);
        let kernel = &mut state.kernel;
        let begun = kernel.wait_as_choosing(self.id, objects, all, mode, may_block, way)?;
        self.go_on(state, begun, deadline)
    }

    /// Waits for nothing but `deadline`, or a user APC.
    pub(crate) fn delay(&self, mode: WaitMode, deadline: u64) -> Result<Woken, Fault> {
        let mut state = self.alive()?;
        let begun = state.kernel.delay(self.id, mode, true)?;
        self.go_on(state, begun, Some(deadline))
    }

    fn go_on<'a>(
        &'a self,
        state: Guard<'a>,
        begun: Begun,
        deadline: Option<u64>,
    ) -> Result<Woken, Fault> {
        match begun {
            Begun::Satisfied(index) => Ok(Woken::Object(index)),
            Begun::Alerted => Ok(Woken::UserApc),
            Begun::TimedOut => Ok(Woken::TimedOut),
            Begun::Blocked => self.block(state, deadline),
        }
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
    pub(crate) fn block<'a>(
        &'a self,
        mut state: Guard<'a>,
        deadline: Option<u64>,
    ) -> Result<Woken, Fault> {
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
                return Ok(Woken::Object(index));
            }
            if state.kernel.alert(self.id) == Alert::Must && state.kernel.end_by_alert(self.id) {
                return Ok(Woken::UserApc);
            }
            if state.kernel.user_deliverable(self.id).is_some() {
                state = self.run_user_apc(state)?;
                continue;
            }
            let now = Instant::now();
            if deadline.is_some_and(|deadline| deadline <= now) && state.kernel.expire(self.id) {
                self.expired.set(true);
                return Ok(Woken::TimedOut);
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
    fn block_in_turn<'a>(&'a self, mut state: Guard<'a>, place: Place) -> Result<Woken, Fault> {
        let forever = matches!(place, Place::Wait { deadline: None, .. });
        loop {
            self.is_about_to_sleep(&mut state, forever);
            match self.pass(&mut state, place)? {
                Turn::Deliver => state = self.deliver_one(state)?,
                Turn::Run => {
                    if let Some(index) = state.kernel.grant(self.id) {
                        return Ok(Woken::Object(index));
                    }
                }
                Turn::Alert => {
                    if state.kernel.end_by_alert(self.id) {
                        return Ok(Woken::UserApc);
                    }
                }
                Turn::UserApc => state = self.run_user_apc(state)?,
                Turn::Expire => {
                    if state.kernel.expire(self.id) {
                        self.expired.set(true);
                        return Ok(Woken::TimedOut);
                    }
                }
            }
        }
    }
}
