//! A state of a test: the machine, where everybody is, and what they have found.

use apclab_protocol::program::{ApcKind as Kind, EventKind as Signal, Place, Program};
use apclab_protocol::step::Step;

use super::{Body, Cursor, Event, body, index8, locks, place_of, thread};
use crate::kernel::{ApcId, ApcKind, Baseline, EventKind, Kernel, Profile};

/// A state of a test.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    pub(super) kernel: Kernel,
    pub(super) lanes: Vec<Cursor>,
    pub(super) bodies: Vec<Body>,
    pub(super) variables: Vec<i64>,
    /// The APCs whose delivery, begin and return are events of their own, a bit each.
    pub(super) apart: u32,
}

impl State {
    /// The state before the first step. A lane starts with the counters of `baselines`, or with
    /// zeros when there is no entry for it.
    pub fn initial(program: &Program<'_>, profile: Profile, baselines: &[Baseline]) -> Self {
        Self::initial_on(Kernel::new(profile), program, baselines)
    }

    /// As [`State::initial`], on a machine without any object, which may be a mutant.
    pub fn initial_on(mut kernel: Kernel, program: &Program<'_>, baselines: &[Baseline]) -> Self {
        // In a new machine the numbers of each kind of object are given out from 0, so with the
        // events ahead of mutexes and threads an index of the program is the number of its object.
        for event in (0..program.events()).filter_map(|index| program.event(index)) {
            let kind = match event.kind {
                Signal::Notification => EventKind::Notification,
                Signal::Synchronization => EventKind::Synchronization,
            };
            kernel.create_event(kind, event.signaled);
        }
        locks::create(program, &mut kernel);
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
                .map(|lane| Cursor::new(program, place_of(lane)))
                .collect(),
            bodies: (0..program.apcs())
                .map(|apc| Body::new(program, index8(apc)))
                .collect(),
            variables: (0..program.variables())
                .map(|index| program.initial(index))
                .collect(),
            apart: body::apart(program),
        }
    }

    /// The machine under the lanes.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// The lanes, in order: where they are and their registers.
    pub fn lanes(&self) -> &[Cursor] {
        &self.lanes
    }

    /// The APCs, in order: how often they have run, where their bodies are, and their registers.
    pub fn bodies(&self) -> &[Body] {
        &self.bodies
    }

    /// The values of the variables.
    pub fn variables(&self) -> &[i64] {
        &self.variables
    }

    /// How often the APC has run: how often its routine has begun.
    ///
    /// # Panics
    ///
    /// When the program has no such APC.
    pub fn ran(&self, apc: usize) -> u32 {
        self.bodies[apc].ran()
    }

    /// What the lane's thread executes: itself, or the body of the APC that runs in it; and the
    /// index of the next step there.
    pub fn position(&self, lane: usize) -> (Place, usize) {
        match self.kernel.running(thread(lane)) {
            Some((apc, _)) => {
                let place = body::place(apc);
                (place, self.cursor(place).next())
            }
            None => (place_of(lane), self.lanes[lane].next()),
        }
    }

    /// The observed values, as far as they are known in this state.
    pub fn outcome(&self, program: &Program<'_>) -> Vec<i64> {
        let observed = (0..program.observed_len()).filter_map(|index| program.observed(index));
        let value = |observed| {
            let register = |place, register| self.cursor(place).register(register);
            Program::value_of(observed, register, |variable| self.variables[variable])
        };
        observed.map(value).collect()
    }

    pub(super) fn cursor(&self, place: Place) -> &Cursor {
        match place {
            Place::Lane(lane) => &self.lanes[usize::from(lane)],
            Place::Body(apc) => &self.bodies[usize::from(apc)].cursor,
        }
    }

    /// The next step of the lane's thread, and whose it is, if the thread is free to execute it:
    /// no APC is forced, no APC runs that has not begun, and it does not wait.
    pub(super) fn next_step(&self, program: &Program<'_>, lane: usize) -> Option<(Place, Step)> {
        let t = thread(lane);
        let begun = |(apc, _): (ApcId, ApcKind)| self.bodies[apc.0 as usize].begun;
        let held = self.kernel.waiting(t) || !self.kernel.running(t).is_none_or(begun);
        let (place, index) = self.position(lane);
        let step = program.step(place, index)?;
        (!held && !self.kernel.forced(t)).then_some((place, step))
    }

    /// What the innermost APC of the lane does next, other than a step of its body.
    pub(super) fn next_of_apc(&self, program: &Program<'_>, lane: usize) -> Option<Event> {
        let t = thread(lane);
        let (apc, _) = self.kernel.running(t)?;
        let body = &self.bodies[apc.0 as usize];
        // In Nt52 what follows in the queue is drained before the interrupted routine goes on.
        if self.kernel.forced(t) {
            None
        } else if !body.begun {
            Some(Event::Routine { lane })
        } else {
            let at_end = body.cursor.next() == program.len(body::place(apc));
            at_end.then_some(Event::Return { lane })
        }
    }

    /// Whether the lane is in a wait with a time-out of its own, and the time may pass now.
    pub(super) fn expirable(&self, program: &Program<'_>, lane: usize) -> bool {
        let step = program.step(place_of(lane), self.lanes[lane].next());
        let timed = matches!(step, Some(Step::WaitFor { .. } | Step::Try { .. }));
        timed && self.kernel.expirable(thread(lane))
    }

    /// Lets every lane go on whose wait is over.
    pub(super) fn grant_waits(&mut self, program: &Program<'_>) {
        for lane in 0..self.lanes.len() {
            let t = thread(lane);
            if self.kernel.satisfied(t) && self.kernel.grant(t).is_some() {
                self.wait_ended(program, lane, true);
            }
        }
    }
}
