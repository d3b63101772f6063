//! A program that was accepted, as the lanes read it.

use alloc::vec::Vec;
use core::ops::Range;

use apclab_guards::Slot;
use apclab_protocol::program::{Apc, Event, LockKind, Observed, Place, Program};
use apclab_protocol::status::{INSUFFICIENT_RESOURCES, NtStatus};
use apclab_protocol::step::Step;
use apclab_protocol::verify::Verified;

use crate::nt::memory::try_vec;

/// What one lane does.
pub(crate) struct Code {
    /// Its steps.
    pub(crate) steps: Vec<Step>,
    /// Whether it may leave its regions in any order.
    pub(crate) raw: bool,
    /// Whether it runs in a thread of user mode.
    pub(crate) caller: bool,
}

/// The decoded tables of a verified program. They do not change any more.
pub(crate) struct Loaded {
    /// Initial values of the variables.
    pub(crate) variables: Vec<i64>,
    /// The events.
    pub(crate) events: Vec<Event>,
    /// The APCs.
    pub(crate) apcs: Vec<Apc>,
    /// The steps of each APC's body.
    pub(crate) bodies: Vec<Vec<Step>>,
    /// The locks.
    pub(crate) locks: Vec<LockKind>,
    /// What an outcome consists of.
    pub(crate) observed: Vec<Observed>,
    /// The lanes.
    pub(crate) lanes: Vec<Code>,
    /// Whether lanes may wait for each other, or for themselves, for ever.
    pub(crate) may_deadlock: bool,
    /// Whether waits are loops of tries.
    pub(crate) polled: bool,
    /// Whether any lane is a caller.
    pub(crate) has_callers: bool,
    /// What the verifier found.
    pub(crate) verified: Verified,
}

/// Collects what `get` gives for 0 to `len`.
fn table<T>(len: usize, get: impl Fn(usize) -> Option<T>) -> Result<Vec<T>, NtStatus> {
    let mut values = Vec::new();
    values
        .try_reserve_exact(len)
        .map_err(|_| INSUFFICIENT_RESOURCES)?;
    values.extend((0..len).map_while(get));
    Ok(values)
}

impl Loaded {
    /// Copies a program out of the request.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub(crate) fn try_new(program: &Program<'_>, verified: Verified) -> Result<Self, NtStatus> {
        let steps = |place| table(program.len(place), |index| program.step(place, index));
        let mut lanes = try_vec(program.lanes(), |lane| Code {
            steps: Vec::new(),
            raw: program.raw(lane),
            caller: program.caller(lane),
        })?;
        for (lane, code) in (0_u8..).zip(&mut lanes) {
            code.steps = steps(Place::Lane(lane))?;
        }
        let mut bodies = try_vec(program.apcs(), |_| Vec::new())?;
        for (apc, body) in (0_u8..).zip(&mut bodies) {
            *body = steps(Place::Body(apc))?;
        }
        Ok(Self {
            variables: table(program.variables(), |index| Some(program.initial(index)))?,
            events: table(program.events(), |index| program.event(index))?,
            apcs: table(program.apcs(), |index| program.apc(index))?,
            bodies,
            locks: table(program.locks(), |index| program.lock(index))?,
            observed: table(program.observed_len(), |index| program.observed(index))?,
            lanes,
            may_deadlock: program.may_deadlock(),
            polled: program.polled(),
            has_callers: program.has_callers(),
            verified,
        })
    }

    /// The steps of a `call` of a lane; `None` when that step is none.
    pub(crate) fn call(&self, lane: usize, step: u32) -> Option<Range<usize>> {
        let begin = usize::try_from(step).ok()?;
        let steps = &self.lanes.get(lane)?.steps;
        let Step::Call { length } = *steps.get(begin)? else {
            return None;
        };
        let first = begin.checked_add(1)?;
        let end = first.checked_add(usize::try_from(length).ok()?)?;
        (end <= steps.len()).then_some(first..end)
    }

    /// Storage for the regions of one lane, as deep as the program nests.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub(crate) fn region_slots(&self) -> Result<Vec<Slot>, NtStatus> {
        try_vec(self.verified.nesting, |_| Slot::EMPTY)
    }
}
