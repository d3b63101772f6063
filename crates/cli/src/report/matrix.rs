//! The body of `matrix`, which `compare` reads again.

use serde::{Deserialize, Serialize};

/// Stands where the documentation would: the sources contradict each other or are silent.
pub(crate) const MEASURE: &str = "[measure]";

/// The body of `matrix`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MatrixBody {
    pub(crate) differing_cells: usize,
    pub(crate) matrix: Vec<RowReport>,
}

/// A context, and what was asked there, in the order in which it is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RowReport {
    pub(crate) context: String,
    pub(crate) cells: Vec<Cell>,
}

impl RowReport {
    /// The answer to a question.
    pub(crate) fn cell(&self, question: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.question == question)
    }
}

/// What was asked in a context, and the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cell {
    /// The APC, the predicate or the number that the cell is about.
    pub(crate) question: String,
    /// The answer as it is shown.
    pub(crate) measured: String,
    /// Each answer that was seen, by which machines are compared: how often each was seen is chance,
    /// and so is whether a wait was over before an APC ran. None where there is no measurement.
    pub(crate) answers: Vec<String>,
    /// What the documentation says, or [`MEASURE`].
    pub(crate) documented: String,
    pub(crate) differs: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) iterations: Option<Deliveries>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gap: Option<Gap>,
}

impl Cell {
    /// The text in the table; a cell that differs is marked.
    pub(crate) fn text(&self) -> String {
        let mark = if self.differs { " !" } else { "" };
        format!("{}{mark}", self.measured)
    }

    /// Why the cell holds no measurement, if that is a failure.
    pub(crate) fn failure(&self) -> Option<&str> {
        match &self.gap {
            Some(Gap::Failed(why)) => Some(why),
            _ => None,
        }
    }
}

/// Why a cell holds no measurement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "why", rename_all = "snake_case")]
pub(crate) enum Gap {
    /// The kernel cannot run the program.
    NotRunnable(String),
    /// The program did not do what it is for.
    Failed(String),
}

/// In how many iterations an APC did what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deliveries {
    pub(crate) now: u64,
    pub(crate) deferred: u64,
    /// It had not run at the end either, though nothing was disabled any more.
    pub(crate) lost: u64,
    pub(crate) not_inserted: u64,
}
