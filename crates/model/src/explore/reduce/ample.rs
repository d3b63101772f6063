//! Which lane's events are enough.
//!
//! The next events of a lane are enough when nothing that the others can do before the lane moves
//! touches what they touch: then every path can be rearranged so that one of them comes first.

use apclab_protocol::program::{Place, Program};
use apclab_protocol::step::Step;

use super::flow::{Flow, Follow};
use super::footprint::{Footprint, Things};
use crate::explore::intern::{Id, Intern};
use crate::kernel::{Kernel, Profile};
use crate::program::{Event, Lane, exclusive_holder, index8, thread};

/// Whether no body queues its own APC or an earlier one, so that each path has an end. The
/// protocol's verifier accepts no other program; without it events could be put off for ever.
pub(in crate::explore) fn every_path_ends(program: &Program<'_>) -> bool {
    let mut bodies = (0..index8(program.apcs())).map(|apc| (apc, Place::Body(apc)));
    bodies.all(|(own, body)| {
        let mut steps = program.steps(body);
        steps.all(|step| !matches!(step, Step::Queue { apc, .. } if apc <= own))
    })
}

/// The next events of a lane: what they touch, and the locks that it keeps from others, a bit each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Own {
    touches: Footprint,
    holds: u32,
}

/// What is known of lanes whose events may be enough.
pub(in crate::explore) struct Ample<'p> {
    program: &'p Program<'p>,
    flows: Vec<Flow>,
    /// What an APC in each lane may touch.
    apcs: Vec<Footprint>,
    bodies: Vec<Footprint>,
    owns: Intern<Own>,
    profile: Profile,
}

impl<'p> Ample<'p> {
    pub(in crate::explore) fn new(program: &'p Program<'p>, profile: Profile) -> Self {
        let lanes = || 0..index8(program.lanes());
        let flows = lanes().map(|lane| Flow::new(program, Place::Lane(lane)));
        let apcs = lanes().map(|lane| Footprint::of_apcs(program, lane));
        let bodies = lanes().map(|lane| Footprint::of_bodies(program, lane, profile));
        Self {
            program,
            flows: flows.collect(),
            apcs: apcs.collect(),
            bodies: bodies.collect(),
            owns: Intern::new(),
            profile,
        }
    }

    /// Numbers what the next events of a lane touch. `None` when they can't be enough: there are
    /// none, or the lane waits, so that others may end its wait, or it is at a barrier, which others
    /// may pass with it.
    pub(in crate::explore) fn own(
        &mut self,
        kernel: &Kernel,
        lane: usize,
        at: &Lane,
        events: &[Event],
    ) -> Option<Id> {
        let t = thread(lane);
        let next = at.next_step(kernel, self.program, lane);
        let at_barrier = matches!(next, Some((_, Step::Barrier)));
        if events.is_empty() || kernel.in_wait(t) || at_barrier {
            return None;
        }
        let mut touches = Footprint::writes(Things::thread(index8(lane)));
        if kernel.running(t).is_some() {
            touches = touches.and(self.apcs[lane]);
        }
        for event in events {
            touches = touches.and(match event {
                Event::Step { .. } => {
                    let (_, step) = next?;
                    Footprint::of(step, self.program, self.profile)
                }
                Event::Deliver { .. } | Event::Routine { .. } | Event::Return { .. } => {
                    self.apcs[lane]
                }
                Event::Barrier
                | Event::Grant { .. }
                | Event::Expire { .. }
                | Event::Alert { .. }
                | Event::UserApc { .. } => return None,
            });
        }
        let locks = 0..index8(self.program.locks());
        let held = locks.filter(|&lock| exclusive_holder(kernel, self.program, lock) == Some(t));
        let holds = held.fold(0, |locks, lock| locks | 1 << lock);
        Some(self.owns.id(Own { touches, holds }))
    }

    /// Whether another lane, which is at that place, may touch what the events touch before their
    /// own lane moves.
    pub(in crate::explore) fn conflicts(&self, own: Id, other: usize, at: &Lane) -> bool {
        let Own { touches, holds } = **self.owns.get(own);
        let thread = Footprint::writes(Things::thread(index8(other)));
        let mut all = thread.and(self.apcs[other]).and(self.bodies[other]);
        self.flows[other].from(at.next(), |step| {
            if step != Step::Barrier {
                all = all.and(Footprint::of(step, self.program, self.profile));
            }
            let held = |lock: u8| holds & 1 << lock != 0;
            match step {
                // All lanes pass it together.
                Step::Barrier => Follow::None,
                Step::Acquire { lock, .. } | Step::EnterAcquire { lock, .. } if held(lock) => {
                    Follow::None
                }
                Step::Try { lock, .. } if held(lock) => Follow::Past,
                _ => Follow::All,
            }
        });
        touches.conflicts(all)
    }
}
