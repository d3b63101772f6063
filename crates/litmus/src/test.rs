//! A parsed test.

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::program;
use apclab_protocol::step::Step;
use apclab_protocol::verify::{Reason, Refusal};

use crate::condition::Condition;
use crate::diagnostics::{self, Diagnostic};
use crate::names::Names;
use crate::place::{Place, Span};

/// The tag of a test that observes a count of waiters which another lane may change. Where nobody
/// else decides when that is, as on a device, such a test is reported and never fails.
pub const ESTIMATE: &str = "estimate";

/// The tag of a test about what the sources leave open or contradict each other in. Model and host
/// assert what their profile does; on a device such a test is reported and never fails.
pub const MEASURE: &str = "measure";

/// The tag of a test that queues special user APCs: it runs only where `QueueUserAPC2` is.
pub const SPECIAL_USER_APC: &str = "special-user-apc";

/// What is expected of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// The program runs, and its outcomes satisfy the condition.
    Condition(Condition),
    /// The program is refused. The step is counted from 0, as in [`Refusal`]; the end of a lane or
    /// body is its number of steps.
    Refused {
        /// The rule that it breaks.
        reason: Reason,
        /// The lane or body.
        place: program::Place,
        /// The step.
        step: usize,
    },
}

/// Where the steps of a lane or body stand in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StepPlaces {
    /// Each step; without steps there is only the end.
    pub(crate) steps: Vec<(Span, Place)>,
    /// Just behind the last step, or behind the head of the lane or APC when it has none.
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
    /// What is special about the test, for who decides where it may run (see `docs/litmus.md`).
    pub tags: Vec<String>,
    /// The program.
    pub program: ProgramBuf,
    /// The names of what the program knows by number.
    pub names: Names,
    /// What is expected.
    pub expectation: Expectation,
    pub(crate) lanes: Vec<StepPlaces>,
    pub(crate) bodies: Vec<StepPlaces>,
}

impl Test {
    /// A test made by a program instead of parsed. [`Test::to_text`] writes it down; its steps have
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
            tags: Vec::new(),
            program,
            names,
            expectation,
            lanes: Vec::new(),
            bodies: Vec::new(),
        }
    }

    /// Whether the test has a tag, such as [`ESTIMATE`].
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|own| own == tag)
    }

    /// Whether the test says that its lanes may wait for each other for ever (`may deadlock`).
    pub fn may_deadlock(&self) -> bool {
        self.program.flags & program::flags::MAY_DEADLOCK != 0
    }

    /// The name of an observed value: `A:r1`, `n:r0` or `x`; `?n` for an index past the program's list.
    pub fn observed_name(&self, index: usize) -> String {
        match self.program.observed.get(index) {
            Some(&observed) => self.names.of_observed(observed),
            None => format!("?{index}"),
        }
    }

    /// The steps of a lane or body; none for one that does not exist.
    pub fn steps(&self, place: program::Place) -> &[Step] {
        let steps = match place {
            program::Place::Lane(lane) => self.program.lanes.get(usize::from(lane)),
            program::Place::Body(apc) => self.program.bodies.get(usize::from(apc)),
        };
        steps.map_or(&[], Vec::as_slice)
    }

    /// Where a step of a lane or body stands in the file, counted from 0. From the number of steps
    /// on, it is the place where the lane or body ends. What was not parsed from text is at line 1,
    /// column 1.
    pub fn place_of(&self, place: program::Place, step: usize) -> Place {
        self.spot(place, step).1
    }

    fn spot(&self, place: program::Place, step: usize) -> (Span, Place) {
        let nowhere = (Span::new(0, 0), Place { line: 1, column: 1 });
        let places = match place {
            program::Place::Lane(lane) => self.lanes.get(usize::from(lane)),
            program::Place::Body(apc) => self.bodies.get(usize::from(apc)),
        };
        places.map_or(nowhere, |places| {
            places.steps.get(step).copied().unwrap_or(places.end)
        })
    }

    /// A refusal in the words of the language: `left-open at A end`, `not-in-a-body at n step 2`.
    pub fn describe_refusal(&self, reason: Reason, place: program::Place, step: usize) -> String {
        let (reason, name) = (reason.name(), self.names.of_place(place));
        if step < self.steps(place).len() {
            format!("{reason} at {name} step {}", step + 1)
        } else {
            format!("{reason} at {name} end")
        }
    }

    /// Shows a refusal at its line of the source that this test was parsed from.
    pub fn render_refusal(&self, refusal: &Refusal, source: &str) -> String {
        let step = refusal.step as usize;
        let refused = self.describe_refusal(refusal.reason, refusal.place, step);
        let error = Diagnostic {
            message: format!("refused: {refused}"),
            label: refusal.reason.sentence().to_owned(),
            help: None,
            span: self.spot(refusal.place, step).0,
        };
        diagnostics::render(&self.file, source, &error, false)
    }
}
