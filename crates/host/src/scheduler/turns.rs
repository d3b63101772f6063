//! How the threads of a scheduled machine pass the processor on.

use apclab_model::kernel::ThreadId;

use super::{Next, Place, Turn};
use crate::dispatch::Fault;
use crate::machine::{Machine, State};
use crate::thread::{Guard, Shared, Thread};

impl State {
    /// Chooses among `alternatives` ways in which a call may go: the first one, unless the machine
    /// is scheduled.
    pub(crate) fn choose(&mut self, alternatives: usize) -> usize {
        match &mut self.scheduler {
            Some(scheduler) => scheduler.choose(alternatives),
            None => 0,
        }
    }

    /// Lets virtual time pass until a wait times out. `false` when no wait can.
    fn wait_for_time_out(&mut self) -> bool {
        let Some(scheduler) = &mut self.scheduler else {
            return false;
        };
        scheduler.wait_for_time_out(&self.kernel)
    }
}

impl Machine {
    /// Gives the processor to the next thread, unless one has it.
    pub(crate) fn reschedule(&self, state: &mut State) {
        // What the threads of a machine do that has stopped is no part of the schedule.
        while !self.stopped() {
            let State {
                scheduler: Some(scheduler),
                kernel,
                threads,
                ..
            } = state
            else {
                return;
            };
            if scheduler.running.is_some() {
                return;
            }
            match scheduler.next(kernel) {
                Some(Next::Lock(id)) => {
                    let given = kernel.give_lock(id);
                    debug_assert!(given, "the lock was available");
                }
                Some(Next::Turn(id, turn)) => {
                    scheduler.running = Some((id, Some(turn)));
                    if let Some(shared) = threads.get(&id) {
                        scheduler.runs(shared);
                        shared.wake.notify_one();
                    }
                }
                None => {
                    self.look_for_deadlock(state, true);
                    if !self.stopped() && !state.wait_for_time_out() {
                        self.callers.notify_all();
                        return;
                    }
                }
            }
        }
    }

    /// A thread that has been idle has something to do.
    pub(crate) fn thread_is_ready(&self, thread: &Shared, id: ThreadId) {
        let mut state = self.lock();
        if let Some(scheduler) = &mut state.scheduler {
            scheduler.add(thread, id);
            self.reschedule(&mut state);
        }
    }

    /// A thread is idle, or has ended.
    pub(crate) fn thread_leaves(&self, state: &mut State, id: ThreadId) {
        if let Some(scheduler) = &mut state.scheduler {
            scheduler.remove(id);
            self.reschedule(state);
        }
    }
}

impl Thread {
    /// Gives the processor up at `place` until it is given back. The machine is scheduled.
    pub(crate) fn pass(&self, state: &mut Guard<'_>, place: Place) -> Result<Turn, Fault> {
        if let Some(scheduler) = &mut state.scheduler {
            scheduler.put(&self.shared, place);
        }
        self.machine.reschedule(state);
        let waits = matches!(place, Place::Wait { .. } | Place::Suspended);
        self.await_turn(state, waits)
    }

    /// Waits for the first turn after the thread has become ready.
    pub(crate) fn begin_turn(&self) -> Result<(), Fault> {
        let mut state = self.lock();
        if state.scheduler.is_some() {
            self.await_turn(&mut state, false)?;
        }
        Ok(())
    }

    fn await_turn(&self, state: &mut Guard<'_>, waits: bool) -> Result<Turn, Fault> {
        use std::sync::atomic::Ordering::SeqCst;
        loop {
            if self.machine.stopped() {
                return Err(Fault::Stopped);
            }
            let turn = state
                .scheduler
                .as_mut()
                .and_then(|scheduler| scheduler.take_turn(self.id));
            if let Some(turn) = turn {
                return Ok(turn);
            }
            self.shared.asleep.store(waits, SeqCst);
            self.shared.wake.wait(state);
            self.shared.asleep.store(false, SeqCst);
        }
    }

    /// Stands at a scheduling point until it is this thread's turn to go on.
    pub(crate) fn scheduling_point<'a>(&'a self, mut state: Guard<'a>) -> Result<Guard<'a>, Fault> {
        while self.pass(&mut state, Place::Point)? == Turn::Deliver {
            state = self.deliver_one(state)?;
        }
        Ok(state)
    }
}
