//! Executes the body of an APC, in its routine.
//!
//! An APC routine is a signal handler: the verifier lets a body have only steps that neither block
//! nor take a lock, so that whatever it interrupted cannot be waiting for it.

use apclab_guards::{AtMostApcLevel, RegionKind, RegionStack, Slot};
use apclab_protocol::limits;
use apclab_protocol::program::Place;
use apclab_protocol::step::Step;
use apclab_protocol::trace::Kind;

use super::plain::Plain;
use super::state::Run;
use super::trace::What;

/// Executes all steps of an APC's body in the thread of `lane`. It cannot be stopped: it is short.
pub(crate) fn execute(run: &Run, lane: usize, apc: u8, irql: &impl AtMostApcLevel) {
    let Some(steps) = run.program.bodies.get(usize::from(apc)) else {
        return;
    };
    let mut slots = [Slot::EMPTY; limits::STEPS_PER_BODY];
    let mut regions = RegionStack::new(&mut slots);
    let plain = Plain {
        run,
        lane,
        place: Place::Body(apc),
    };
    let note = |kind, index: usize, value| {
        let step = u32::try_from(index).unwrap_or(u32::MAX);
        run.trace.write(
            lane,
            irql,
            What {
                kind,
                step,
                apc,
                value,
            },
        );
    };
    for (index, step) in steps.iter().enumerate() {
        note(Kind::Step, index, 0);
        let value = match *step {
            Step::EnterCritical => regions.enter(RegionKind::Critical, irql).ok().map(|()| 0),
            Step::EnterGuarded => regions.enter(RegionKind::Guarded, irql).ok().map(|()| 0),
            Step::LeaveCritical | Step::LeaveGuarded => regions.leave().map(|_| 0),
            step => plain.step(step, index, irql),
        };
        // The verifier lets nothing else in; dropping the stack leaves what is open.
        let Some(value) = value else { return };
        note(Kind::Done, index, value);
    }
}
