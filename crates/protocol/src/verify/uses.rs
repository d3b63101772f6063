//! Which lanes have to do with which lock.

use crate::limits;
use crate::program::{Place, Program};
use crate::step::Step;

/// For each lock: who names it, and whether anybody hands it over.
pub(super) struct Uses {
    /// A bit for each lane; all bits when an APC's body names it, which any lane may run.
    lanes: [u8; limits::LOCKS],
    handed_over: [bool; limits::LOCKS],
}

impl Uses {
    /// Looks through all steps.
    pub(super) fn of(program: &Program<'_>) -> Self {
        let mut uses = Self {
            lanes: [0; limits::LOCKS],
            handed_over: [false; limits::LOCKS],
        };
        if program.locks() == 0 {
            return uses;
        }
        for place in program.places() {
            let bits = Self::bits(place);
            for step in program.steps(place) {
                let Some(lock) = step.lock().map(usize::from) else {
                    continue;
                };
                if let Some(lanes) = uses.lanes.get_mut(lock) {
                    *lanes |= bits;
                }
                if let (Step::HandOver { .. }, Some(handed)) =
                    (step, uses.handed_over.get_mut(lock))
                {
                    *handed = true;
                }
            }
        }
        uses
    }

    fn bits(place: Place) -> u8 {
        match place {
            Place::Lane(lane) => 1_u8.checked_shl(lane.into()).unwrap_or(u8::MAX),
            Place::Body(_) => u8::MAX,
        }
    }

    pub(super) fn handed_over(&self, lock: u8) -> bool {
        self.handed_over.get(usize::from(lock)) == Some(&true)
    }

    /// Whether nobody else names it, and nobody hands it over.
    pub(super) fn only_by(&self, lock: u8, place: Place) -> bool {
        self.lanes.get(usize::from(lock)) == Some(&Self::bits(place)) && !self.handed_over(lock)
    }
}
