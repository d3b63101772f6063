//! A parsed test.

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::verify::{Reason, Refusal};

use crate::condition::Condition;
use crate::diagnostics::{self, Diagnostic};
use crate::names::{Names, name_at};
use crate::place::{Place, Span};

/// What is expected of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// The program runs, and its outcomes satisfy the condition.
    Condition(Condition),
    /// The program is refused. Lane and step are counted from 0, as in [`Refusal`]; the end of a lane
    /// is its number of steps.
    Refused {
        /// The rule that it breaks.
        reason: Reason,
        /// The lane.
        lane: usize,
        /// The step.
        step: usize,
    },
}

/// Where a lane and its steps stand in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LanePlaces {
    /// Each step; for an empty lane there is only its end.
    pub(crate) steps: Vec<(Span, Place)>,
    /// Just behind the last step, or behind the lane's name when it has none.
    pub(crate) end: (Span, Place),
}

/// A litmus test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// The file, as it was named to the parser.
    pub file: String,
    /// The test's name.
    pub name: String,
    /// What the test is about, in one or more sentences; empty when the text says nothing.
    pub description: String,
    /// Ids of the facts that the test shows (see `docs/facts.md`).
    pub shows: Vec<String>,
    /// The program.
    pub program: ProgramBuf,
    /// The names of what the program knows by number.
    pub names: Names,
    /// What is expected.
    pub expectation: Expectation,
    pub(crate) places: Vec<LanePlaces>,
}

impl Test {
    /// A test made by a program instead of parsed. [`Test::to_text`] writes it down; its lanes have
    /// no places of their own until that text is parsed.
    pub fn from_program(
        name: &str,
        program: ProgramBuf,
        names: Names,
        expectation: Expectation,
    ) -> Self {
        Self {
            file: format!("{name}.litmus"),
            name: name.to_owned(),
            description: String::new(),
            shows: Vec::new(),
            program,
            names,
            expectation,
            places: Vec::new(),
        }
    }

    /// The name of an observed value: `A:r1` or `x`; `?n` for an index past the program's list.
    pub fn observed_name(&self, index: usize) -> String {
        match self.program.observed.get(index) {
            Some(&observed) => self.names.of_observed(observed),
            None => format!("?{index}"),
        }
    }

    /// Where a step stands in the file, both counted from 0. From the number of steps on, it is the
    /// place where the lane ends. A lane that was not parsed from text is at line 1, column 1.
    pub fn place_of(&self, lane: usize, step: usize) -> Place {
        self.spot(lane, step).1
    }

    fn spot(&self, lane: usize, step: usize) -> (Span, Place) {
        let nowhere = (Span::new(0, 0), Place { line: 1, column: 1 });
        self.places.get(lane).map_or(nowhere, |places| {
            places.steps.get(step).copied().unwrap_or(places.end)
        })
    }

    /// Shows a refusal at its line of the source that this test was parsed from.
    pub fn render_refusal(&self, refusal: &Refusal, source: &str) -> String {
        let (lane, step) = (refusal.lane as usize, refusal.step as usize);
        let steps = self.program.lanes.get(lane).map_or(0, Vec::len);
        let lane_name = name_at(&self.names.lanes, lane);
        let message = if step < steps {
            format!(
                "refused: {} at {lane_name} step {}",
                refusal.reason.name(),
                step + 1
            )
        } else {
            format!("refused: {} at {lane_name} end", refusal.reason.name())
        };
        let error = Diagnostic {
            message,
            label: refusal.reason.sentence().to_owned(),
            help: None,
            span: self.spot(lane, step).0,
        };
        diagnostics::render(&self.file, source, &error, false)
    }
}
