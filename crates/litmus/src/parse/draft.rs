//! The test while it is being read.

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::limits;
use apclab_protocol::program::Observed;
use apclab_protocol::step::Register;

use super::cursor::Word;
use crate::names::Names;
use crate::place::{Lines, Span};
use crate::test::{Expectation, LanePlaces, Test};

/// What is known of a lane besides its steps.
#[derive(Debug)]
pub(super) struct LaneDraft {
    pub(super) steps: Vec<Span>,
    pub(super) end: Span,
    /// A bit for each register that a step so far has written.
    written: u32,
}

/// What was read so far. It makes a [`Test`] once the whole file was read without an error.
#[derive(Debug, Default)]
pub(super) struct Draft<'s> {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) shows: Vec<String>,
    pub(super) program: ProgramBuf,
    pub(super) names: Names,
    /// The lanes that the APCs are queued to, which come later in the text.
    pub(super) targets: Vec<Word<'s>>,
    pub(super) lanes: Vec<LaneDraft>,
    pub(super) locations: Vec<(Observed, Span)>,
    pub(super) expectation: Option<Expectation>,
}

impl Draft<'_> {
    pub(super) fn begin_lane(&mut self, name: &str, end: Span) {
        self.names.lanes.push(name.to_owned());
        self.program.lanes.push(Vec::new());
        self.lanes.push(LaneDraft {
            steps: Vec::new(),
            end,
            written: 0,
        });
    }

    /// Notes that the current lane writes a register.
    pub(super) fn writes(&mut self, register: Register) {
        if let Some(lane) = self.lanes.last_mut() {
            lane.written |= 1 << register;
        }
    }

    /// Whether a lane has written a register so far.
    pub(super) fn has_written(&self, lane: usize, register: Register) -> bool {
        self.lanes
            .get(lane)
            .is_some_and(|lane| lane.written & (1 << register) != 0)
    }

    /// The index of an observed value, which is added if it is new; nothing when there are too many.
    pub(super) fn observe(&mut self, observed: Observed) -> Option<usize> {
        let list = &mut self.program.observed;
        if let Some(index) = list.iter().position(|known| *known == observed) {
            return Some(index);
        }
        if list.len() == limits::OBSERVED {
            return None;
        }
        list.push(observed);
        Some(list.len() - 1)
    }

    /// The finished test, of a file that was read without an error.
    pub(super) fn finish(self, file: &str, source: &str, expectation: Expectation) -> Test {
        let lines = Lines::new(source);
        let spot = |span: Span| (span, lines.place(span.start));
        let places = self.lanes.into_iter().map(|lane| LanePlaces {
            steps: lane.steps.into_iter().map(spot).collect(),
            end: spot(lane.end),
        });
        Test {
            file: file.to_owned(),
            name: self.name,
            description: self.description,
            shows: self.shows,
            program: self.program,
            names: self.names,
            expectation,
            places: places.collect(),
        }
    }
}
