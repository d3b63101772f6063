//! Where in a program's bytes everything is.

use super::{ENTRY_SIZE, HEAD_SIZE, Place};
use crate::limits;
use crate::step::STEP_SIZE;

/// The counts of a program's head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tables {
    pub(super) lanes: u8,
    pub(super) variables: u8,
    pub(super) events: u8,
    pub(super) apcs: u8,
    pub(super) observed: u8,
    pub(super) locks: u8,
    pub(super) raw: u8,
    pub(super) callers: u8,
    pub(super) flags: u8,
    pub(super) steps: [u32; limits::LANES],
    pub(super) bodies: [u8; limits::APCS],
}

impl Tables {
    pub(super) fn events_at(&self) -> usize {
        HEAD_SIZE + usize::from(self.variables) * ENTRY_SIZE
    }

    pub(super) fn apcs_at(&self) -> usize {
        self.events_at() + usize::from(self.events) * ENTRY_SIZE
    }

    pub(super) fn locks_at(&self) -> usize {
        self.apcs_at() + usize::from(self.apcs) * ENTRY_SIZE
    }

    pub(super) fn observed_at(&self) -> usize {
        self.locks_at() + usize::from(self.locks) * ENTRY_SIZE
    }

    pub(super) fn steps_at(&self) -> usize {
        self.observed_at() + usize::from(self.observed) * ENTRY_SIZE
    }

    pub(super) fn len(&self, place: Place) -> usize {
        match place {
            Place::Lane(lane) => self.steps.get(usize::from(lane)).map_or(0, |&n| n as usize),
            Place::Body(apc) => self.bodies.get(usize::from(apc)).map_or(0, |&n| n.into()),
        }
    }

    /// Every count is below its limit here, so that the sums cannot overflow.
    pub(super) fn step_at(&self, place: Place, step: usize) -> usize {
        let (lanes, bodies) = match place {
            Place::Lane(lane) => (usize::from(lane), 0),
            Place::Body(apc) => (limits::LANES, usize::from(apc)),
        };
        let in_lanes: usize = self.steps.iter().take(lanes).map(|&n| n as usize).sum();
        let in_bodies: usize = self
            .bodies
            .iter()
            .take(bodies)
            .map(|&n| usize::from(n))
            .sum();
        self.steps_at() + (in_lanes + in_bodies + step) * STEP_SIZE
    }

    pub(super) fn end(&self) -> usize {
        self.step_at(Place::Body(count8(limits::APCS)), 0)
    }
}

/// A limit as an index type. Every limit on tables is below 256.
const fn count8(limit: usize) -> u8 {
    assert!(limit < 256, "tables have one-byte counts");
    #[allow(clippy::cast_possible_truncation, reason = "checked in the line above")]
    let count = limit as u8;
    count
}
