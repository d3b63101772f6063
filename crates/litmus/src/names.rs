//! The names that a test gives to what its program knows by number.

use apclab_protocol::program::Observed;

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
    /// The name of an observed value as conditions write it: `A:r1` or `x`.
    pub fn of_observed(&self, observed: Observed) -> String {
        match observed {
            Observed::Register { lane, register } => {
                format!("{}:r{register}", name_at(&self.lanes, lane.into()))
            }
            Observed::Variable(variable) => name_at(&self.variables, variable.into()),
        }
    }
}
