//! A lane: where its thread is, in its own steps and in the bodies of the APCs that are queued to it.
//!
//! What a lane may do next depends on this and on the machine, and on nothing else.

use apclab_protocol::program::{ApcKind as Kind, Place, Program};
use apclab_protocol::step::Step;

use super::{Body, Cursor, Event, body, caller, index8, place_of, thread};
use crate::kernel::{Alert, ApcId, ApcKind, Kernel};

/// Where a lane is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Lane {
    pub(super) cursor: Cursor,
    /// The APCs that are queued to it, in their order.
    pub(super) bodies: Vec<Body>,
}

impl Lane {
    pub(super) fn new(program: &Program<'_>, lane: usize) -> Self {
        let own = |&apc: &u8| {
            let target = program.apc(apc.into()).map(|apc| apc.lane);
            target == Some(index8(lane))
        };
        let apcs = (0..index8(program.apcs())).filter(own);
        Self {
            cursor: Cursor::new(program, place_of(lane)),
            bodies: apcs.map(|apc| Body::new(program, apc)).collect(),
        }
    }

    /// The index of the lane's own step that is executed next; the number of its steps at the end.
    pub fn next(&self) -> usize {
        self.cursor.next()
    }

    pub(super) fn body(&self, apc: ApcId) -> &Body {
        let body = self.bodies.iter().find(|body| body.apc == apc);
        body.expect("an APC runs in the lane that it is queued to")
    }

    pub(super) fn body_mut(&mut self, apc: ApcId) -> &mut Body {
        let body = self.bodies.iter_mut().find(|body| body.apc == apc);
        body.expect("an APC runs in the lane that it is queued to")
    }

    pub(super) fn cursor_mut(&mut self, place: Place) -> &mut Cursor {
        match place {
            Place::Lane(_) => &mut self.cursor,
            Place::Body(apc) => &mut self.body_mut(ApcId(apc.into())).cursor,
        }
    }

    /// What the lane's thread executes: itself, or the body of the APC that runs in it; and the
    /// index of the next step there.
    pub(crate) fn position(&self, kernel: &Kernel, lane: usize) -> (Place, usize) {
        match kernel.running(thread(lane)) {
            Some((apc, _)) if !kernel.is_suspended(thread(lane)) => {
                (body::place(apc), self.body(apc).cursor.next())
            }
            _ => (place_of(lane), self.next()),
        }
    }

    /// Everything that the lane may do next by itself, and whether it is at a barrier.
    pub(crate) fn enabled(
        &self,
        kernel: &Kernel,
        program: &Program<'_>,
        lane: usize,
        events: &mut Vec<Event>,
    ) -> bool {
        let next = self.next_step(kernel, program, lane);
        let at_barrier = matches!(next, Some((_, Step::Barrier)));
        if let Some((_, step)) = next
            && !at_barrier
        {
            let choices = 0..super::step::choices(kernel, program, lane, step);
            events.extend(choices.map(|choice| Event::Step { lane, choice }));
        }
        events.extend(self.next_of_apc(kernel, program, lane));
        let t = thread(lane);
        if kernel.deliverable(t).is_some() {
            events.push(Event::Deliver { lane });
        }
        if kernel.lock_available(t) {
            events.push(Event::Grant { lane });
        }
        if kernel.user_deliverable(t).is_some() {
            events.push(Event::UserApc { lane });
        }
        if kernel.alert(t) != Alert::No {
            events.push(Event::Alert { lane });
        }
        if self.expirable(kernel, program, lane) {
            events.push(Event::Expire { lane });
        }
        at_barrier
    }

    /// The lane passes the barrier that it is at. To the machine that is nothing.
    pub(crate) fn pass_barrier(&mut self, program: &Program<'_>, lane: usize) {
        self.cursor.advance(program, place_of(lane));
    }

    /// Whether the lane has finished and no APC is queued to it or runs in it. An ordinary user APC may
    /// be left: nothing alertable follows.
    pub(crate) fn parked(&self, kernel: &Kernel, program: &Program<'_>, lane: usize) -> bool {
        let t = thread(lane);
        let ordinary = |apc: ApcId| {
            let apc = program.apc(apc.0 as usize);
            apc.is_some_and(|apc| apc.kind == Kind::User)
        };
        let queued = |body: &Body| kernel.inserted(body.apc) && !ordinary(body.apc);
        self.next() == program.len(place_of(lane))
            && kernel.running(t).is_none()
            && !kernel.user_forced(t)
            && !(program.caller(lane) && kernel.inserted(kernel.suspension(t)))
            && !self.bodies.iter().any(queued)
    }

    /// The next step of the lane's thread, and whose it is, if the thread is free to execute it:
    /// no APC is forced, no APC runs that has not begun, and it does not wait and is not suspended.
    pub(crate) fn next_step(
        &self,
        kernel: &Kernel,
        program: &Program<'_>,
        lane: usize,
    ) -> Option<(Place, Step)> {
        let t = thread(lane);
        let begun = |(apc, _): (ApcId, ApcKind)| self.body(apc).begun;
        if kernel.is_suspended(t) || kernel.user_forced(t) {
            return None;
        }
        let held = kernel.waiting(t) || !kernel.running(t).is_none_or(begun);
        let (place, index) = self.position(kernel, lane);
        let step = program.step(place, index)?;
        (!held && !kernel.forced(t)).then_some((place, step))
    }

    /// What the innermost APC of the lane does next, other than a step of its body.
    fn next_of_apc(&self, kernel: &Kernel, program: &Program<'_>, lane: usize) -> Option<Event> {
        let t = thread(lane);
        let (apc, _) = kernel.running(t)?;
        if kernel.is_suspended(t) {
            let returns = !kernel.forced(t) && kernel.may_return(t);
            return returns.then_some(Event::Return { lane });
        }
        let body = self.body(apc);
        // In Nt52 what follows in the queue is drained before the interrupted routine goes on.
        if kernel.forced(t) {
            None
        } else if !body.begun {
            Some(Event::Routine { lane })
        } else {
            let at_end = body.cursor.next() == program.len(body::place(apc));
            at_end.then_some(Event::Return { lane })
        }
    }

    /// Whether the lane is in a wait with a time-out of its own, and the time may pass now.
    fn expirable(&self, kernel: &Kernel, program: &Program<'_>, lane: usize) -> bool {
        let step = program.step(place_of(lane), self.next());
        let timed = matches!(step, Some(Step::WaitFor { .. } | Step::Try { .. }));
        (timed || step.is_some_and(caller::timed)) && kernel.expirable(thread(lane))
    }
}
