//! The lanes of a litmus test over the machine, as a relation: [`enabled`] lists what may happen
//! next, [`apply`] says what comes of it (model.md, decision 1).
//!
//! The state keeps apart only what a test can tell apart:
//!
//! - A barrier is one event that all lanes take part in: that a lane has arrived shows nowhere.
//! - A wait that has been satisfied goes on at once: nothing can tell when it returns.
//! - Delivery is one event, unless the APC is queued by more than one step: then a test can see
//!   that it is off the queue and has not run yet, and its routine is an event of its own. Ahead
//!   of a normal routine a special APC may then come.
//!
//! Delivery inside a wait needs no more: nothing tells a lane whose wait is interrupted from one
//! that has taken the APC first and begins to wait afterwards.

mod lane;

use apclab_protocol::program::{ApcKind as Kind, EventKind as Signal, Program};
use apclab_protocol::step::Step;

pub use lane::Lane;

use crate::kernel::{Answer, ApcId, ApcKind, Baseline, EventKind, Kernel, ObjectId, ThreadId};
use crate::kernel::{BugCheck, Next, Profile};

/// Something that may happen next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Event {
    /// A lane executes its next step.
    Step {
        /// Counted from 0.
        lane: usize,
        /// Which of the ways in which the step may go, counted from 0: the answer (0 FALSE, 1
        /// TRUE) where the sources contradict each other, or which waiter gets an event. 0 for
        /// every other step.
        choice: usize,
    },
    /// All lanes pass their next barrier.
    Barrier,
    /// An APC interrupts a lane: it leaves the queue and its kernel routine runs. Where nobody
    /// can tell, it runs to its end.
    Deliver {
        /// Counted from 0.
        lane: usize,
    },
    /// The routine that makes the innermost APC of a lane count as run (the kernel routine of a
    /// special APC, the normal routine of a normal one) runs and returns.
    Routine {
        /// Counted from 0.
        lane: usize,
    },
}

/// A state of a test.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    kernel: Kernel,
    lanes: Vec<Lane>,
    variables: Vec<i64>,
    /// How often each APC has run.
    ran: Vec<u32>,
    /// The APCs that more than one step queues, a bit each.
    queued_twice: u32,
}

fn thread(lane: usize) -> ThreadId {
    ThreadId(number(lane))
}

/// The tables of a program are small: see the limits of the protocol.
fn number(index: usize) -> u32 {
    u32::try_from(index).expect("an index into a program's table is small")
}

impl State {
    /// The state before the first step. A lane starts with the counters of `baselines`, or with
    /// zeros when there is no entry for it.
    pub fn initial(program: &Program<'_>, profile: Profile, baselines: &[Baseline]) -> Self {
        // In a new machine the numbers of each kind of object are given out from 0, so with the
        // events ahead of the threads an index of the program is the number of its object.
        let mut kernel = Kernel::new(profile);
        for event in (0..program.events()).filter_map(|index| program.event(index)) {
            let kind = match event.kind {
                Signal::Notification => EventKind::Notification,
                Signal::Synchronization => EventKind::Synchronization,
            };
            kernel.create_event(kind, event.signaled);
        }
        for lane in 0..program.lanes() {
            kernel.create_thread(baselines.get(lane).copied().unwrap_or_default());
        }
        for apc in (0..program.apcs()).filter_map(|index| program.apc(index)) {
            let kind = match apc.kind {
                Kind::Special => ApcKind::Special,
                Kind::Normal => ApcKind::Normal,
            };
            kernel.create_apc(thread(apc.lane.into()), kind);
        }
        Self {
            kernel,
            lanes: (0..program.lanes())
                .map(|lane| Lane::new(program, lane))
                .collect(),
            variables: (0..program.variables())
                .map(|index| program.initial(index))
                .collect(),
            ran: vec![0; program.apcs()],
            queued_twice: lane::queued_twice(program),
        }
    }

    /// The machine under the lanes.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// The lanes, in order.
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// How often the APC has run.
    ///
    /// # Panics
    ///
    /// When the program has no such APC.
    pub fn ran(&self, apc: usize) -> u32 {
        self.ran[apc]
    }

    /// The observed values, as far as they are known in this state.
    pub fn outcome(&self, program: &Program<'_>) -> Vec<i64> {
        let observed = (0..program.observed_len()).filter_map(|index| program.observed(index));
        let value = |observed| {
            let register = |lane: usize, register: usize| self.lanes[lane].register(register);
            Program::value_of(observed, register, |variable| self.variables[variable])
        };
        observed.map(value).collect()
    }

    /// The lane's next step, if the lane is free to execute it: no APC runs in it or is forced,
    /// and it does not wait.
    fn next_step(&self, program: &Program<'_>, lane: usize) -> Option<Step> {
        let t = thread(lane);
        let held = self.kernel.running(t).is_some() || self.kernel.waiting(t);
        let step = program.step(lane, self.lanes[lane].next())?;
        (!held && !self.kernel.forced(t)).then_some(step)
    }

    /// In how many ways the lane's next step may go.
    fn choices(&self, lane: usize, step: Step) -> usize {
        match step {
            // Above APC_LEVEL the predicate is a bug check, which is one way to go.
            Step::ApcsDisabled { .. } => match self.kernel.apcs_disabled(thread(lane)) {
                Ok(Answer::Either) => 2,
                Ok(Answer::Is(_)) | Err(_) => 1,
            },
            Step::Set { event } => self
                .kernel
                .event_takers(ObjectId(event.into()))
                .len()
                .max(1),
            _ => 1,
        }
    }

    fn deliver(&mut self, lane: usize) -> Result<(), BugCheck> {
        let t = thread(lane);
        let delivery = self.kernel.begin_delivery(t);
        let (apc, kind) = delivery.expect("a delivery is enabled when an APC is deliverable");
        if kind == ApcKind::Normal {
            self.kernel.kernel_routine_returned(t)?;
        }
        if self.queued_twice & (1 << apc.0) != 0 {
            return Ok(());
        }
        self.routine(lane)
    }

    fn routine(&mut self, lane: usize) -> Result<(), BugCheck> {
        let t = thread(lane);
        let running = self.kernel.running(t);
        let (apc, kind) = running.expect("a routine is enabled when an APC runs");
        self.ran[apc.0 as usize] += 1;
        match kind {
            ApcKind::Special => self.kernel.kernel_routine_returned(t).map(|next| {
                debug_assert_eq!(next, Next::Done);
            }),
            ApcKind::Normal => self.kernel.normal_routine_returned(t),
        }
    }

    /// Lets every lane go on whose wait is over.
    fn grant_waits(&mut self) {
        for lane in 0..self.lanes.len() {
            if self.kernel.grant(thread(lane)).is_some() {
                self.lanes[lane].advance();
            }
        }
    }
}

/// Everything that may happen next.
pub fn enabled(state: &State, program: &Program<'_>) -> Vec<Event> {
    let mut events = Vec::new();
    let mut at_barrier = 0;
    for lane in 0..state.lanes.len() {
        match state.next_step(program, lane) {
            Some(Step::Barrier) => at_barrier += 1,
            Some(step) => {
                let choices = 0..state.choices(lane, step);
                events.extend(choices.map(|choice| Event::Step { lane, choice }));
            }
            None => {}
        }
        let t = thread(lane);
        if state.kernel.running(t).is_some() {
            // In Nt52 what follows in the queue is drained before the interrupted routine goes on.
            if !state.kernel.forced(t) {
                events.push(Event::Routine { lane });
            }
        }
        if state.kernel.deliverable(t).is_some() {
            events.push(Event::Deliver { lane });
        }
    }
    if at_barrier == state.lanes.len() {
        events.push(Event::Barrier);
    }
    events
}

/// The state after `event`.
///
/// # Errors
///
/// The bug check that the event runs into. A program that the protocol's verifier accepts runs
/// into none.
///
/// # Panics
///
/// When the event is not one of [`enabled`].
pub fn apply(state: &State, program: &Program<'_>, event: Event) -> Result<State, BugCheck> {
    let mut next = state.clone();
    match event {
        Event::Step { lane, choice } => {
            let step = state
                .next_step(program, lane)
                .expect("the lane is free to step");
            next.step(lane, step, choice)?;
        }
        Event::Barrier => next.lanes.iter_mut().for_each(Lane::advance),
        Event::Deliver { lane } => next.deliver(lane)?,
        Event::Routine { lane } => next.routine(lane)?,
    }
    next.grant_waits();
    Ok(next)
}

/// Whether the iteration is over: all lanes are parked and no APC is queued or runs (model.md,
/// decision 5). When this is false and nothing is enabled, the test is deadlocked: on a target
/// it runs into the deadline of its waits.
pub fn is_final(state: &State, program: &Program<'_>) -> bool {
    let parked = |(lane, at): (usize, &Lane)| {
        at.next() == program.steps(lane) && state.kernel.running(thread(lane)).is_none()
    };
    let queued = |apc: usize| state.kernel.inserted(ApcId(number(apc)));
    state.lanes.iter().enumerate().all(parked) && !(0..state.ran.len()).any(queued)
}

#[cfg(test)]
mod tests;
