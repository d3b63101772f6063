//! The names that a test gives to what its program knows by number.

use apclab_protocol::program::{Observed, Place};

/// Names by index, as in the program's tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The lanes.
    pub lanes: Vec<String>,
    /// The variables.
    pub variables: Vec<String>,
    /// The events.
    pub events: Vec<String>,
    /// The APCs.
    pub apcs: Vec<String>,
    /// The locks.
    pub locks: Vec<String>,
}

/// The name at an index; an index without a name is shown as a number, so that text about a program
/// that does not fit its names stays readable.
pub(crate) fn name_at(names: &[String], index: usize) -> String {
    names
        .get(index)
        .cloned()
        .unwrap_or_else(|| format!("?{index}"))
}

impl Names {
    /// The name of the lane, or of the APC, whose steps stand at a place.
    pub fn of_place(&self, place: Place) -> String {
        match place {
            Place::Lane(lane) => name_at(&self.lanes, lane.into()),
            Place::Body(apc) => name_at(&self.apcs, apc.into()),
        }
    }

    /// The name of an observed value as conditions write it: `A:r1`, `n:r0` for a register of the
    /// body of APC `n`, or `x`.
    pub fn of_observed(&self, observed: Observed) -> String {
        match observed {
            Observed::Register { lane, register } => {
                format!("{}:r{register}", self.of_place(Place::Lane(lane)))
            }
            Observed::ApcRegister { apc, register } => {
                format!("{}:r{register}", self.of_place(Place::Body(apc)))
            }
            Observed::Variable(variable) => name_at(&self.variables, variable.into()),
        }
    }
}
