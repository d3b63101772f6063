//! The test while it is being read.

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::limits;
use apclab_protocol::program::{ApcKind, Observed, Place};
use apclab_protocol::step::{Register, Step};

use super::cursor::Word;
use crate::names::Names;
use crate::place::{Lines, Span};
use crate::test::{Expectation, StepPlaces, Test};

/// The steps of a lane or body while they are being read.
#[derive(Debug)]
pub(super) struct StepsDraft {
    steps: Vec<Step>,
    spans: Vec<Span>,
    end: Span,
    /// The blocks that are open: the step that begins each.
    blocks: Vec<usize>,
    /// A bit for each register that a step so far has written.
    written: u32,
}

impl StepsDraft {
    fn new(end: Span) -> Self {
        Self {
            steps: Vec::new(),
            spans: Vec::new(),
            end,
            blocks: Vec::new(),
            written: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// Adds a step. One that ends a block tells the step that began it where that is.
    pub(super) fn push(&mut self, step: Step, span: Span) {
        let index = self.steps.len();
        match step {
            _ if step.block().is_some() => self.blocks.push(index),
            Step::End => {
                let begin = self.blocks.pop();
                if let Some((begin, step)) = begin.and_then(|b| Some((b, self.steps.get_mut(b)?)))
                    && let Step::Try { length, .. }
                    | Step::Repeat { length, .. }
                    | Step::Call { length } = step
                {
                    *length = u32::try_from(index - begin - 1).unwrap_or(u32::MAX);
                }
            }
            _ => {}
        }
        self.steps.push(step);
        self.spans.push(span);
        self.end = span.after();
    }

    /// The steps that begin blocks which have not ended.
    pub(super) fn open_blocks(&self) -> impl Iterator<Item = Span> {
        self.blocks
            .iter()
            .filter_map(|&begin| self.spans.get(begin).copied())
    }

    fn places(&self, text: &Lines<'_>) -> StepPlaces {
        let spot = |span: Span| (span, text.place(span.start));
        StepPlaces {
            steps: self.spans.iter().copied().map(spot).collect(),
            end: spot(self.end),
        }
    }
}

/// What stands behind the name of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LaneSort {
    Plain,
    Raw,
    Caller,
}

/// A step of an APC's body that was passed over: its first word has been read, and what follows begins
/// at that token. It may name what is declared further below.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deferred<'s> {
    pub(super) apc: u8,
    pub(super) keyword: &'static str,
    pub(super) word: Word<'s>,
    pub(super) at: usize,
}

/// A step that names a lane, which may come later in the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct NamesLane<'s> {
    place: Place,
    step: usize,
    pub(super) lane: Word<'s>,
    /// Whether it has to be a caller lane.
    pub(super) caller: bool,
}

/// What was read so far. It makes a [`Test`] once the whole file was read without an error.
#[derive(Debug, Default)]
pub(super) struct Draft<'s> {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) shows: Vec<String>,
    pub(super) tags: Vec<String>,
    pub(super) program: ProgramBuf,
    pub(super) names: Names,
    /// The lanes that the APCs are queued to, which come later in the text.
    pub(super) targets: Vec<Word<'s>>,
    /// The steps that name a lane.
    pub(super) named_lanes: Vec<NamesLane<'s>>,
    pub(super) lanes: Vec<StepsDraft>,
    pub(super) bodies: Vec<StepsDraft>,
    /// Whose steps the next ones are.
    pub(super) current: Option<Place>,
    pub(super) deferred: Vec<Deferred<'s>>,
    pub(super) locations: Vec<(Observed, Span)>,
    /// Every observed value with each place that mentions it.
    pub(super) mentioned: Vec<(Observed, Span)>,
    pub(super) expectation: Option<Expectation>,
}

impl<'s> Draft<'s> {
    /// Begins a lane; `end` is just behind its head. The steps that follow are its own.
    pub(super) fn begin_lane(&mut self, name: &str, end: Span, sort: LaneSort) {
        self.current = u8::try_from(self.lanes.len()).ok().map(Place::Lane);
        self.names.lanes.push(name.to_owned());
        self.program.raw.push(sort == LaneSort::Raw);
        self.program.callers.push(sort == LaneSort::Caller);
        self.lanes.push(StepsDraft::new(end));
    }

    /// Begins the body of the APC that was declared last; `end` is just behind its declaration.
    pub(super) fn begin_body(&mut self, end: Span) {
        self.current = u8::try_from(self.bodies.len()).ok().map(Place::Body);
        self.bodies.push(StepsDraft::new(end));
    }

    pub(super) fn steps(&self, place: Place) -> Option<&StepsDraft> {
        match place {
            Place::Lane(lane) => self.lanes.get(usize::from(lane)),
            Place::Body(apc) => self.bodies.get(usize::from(apc)),
        }
    }

    /// Every lane and body with its steps.
    pub(super) fn places(&self) -> impl Iterator<Item = (Place, &[Step])> {
        let lanes = (0_u8..).map(Place::Lane).zip(&self.lanes);
        let bodies = (0_u8..).map(Place::Body).zip(&self.bodies);
        lanes
            .chain(bodies)
            .map(|(place, draft)| (place, draft.steps.as_slice()))
    }

    /// Notes that the step which is read next names a lane.
    pub(super) fn name_lane(&mut self, lane: Word<'s>, caller: bool) {
        let step = self.current_steps().map(|steps| steps.len());
        if let (Some(place), Some(step)) = (self.current, step) {
            self.named_lanes.push(NamesLane {
                place,
                step,
                lane,
                caller,
            });
        }
    }

    /// Sets the lane of such a step. One that could not be read whole is not there.
    pub(super) fn aim(&mut self, named: NamesLane<'s>, index: u8) {
        let steps = match named.place {
            Place::Lane(lane) => self.lanes.get_mut(usize::from(lane)),
            Place::Body(apc) => self.bodies.get_mut(usize::from(apc)),
        };
        let step = steps.and_then(|steps| steps.steps.get_mut(named.step));
        if let Some(
            Step::ReleaseFor { lane, .. } | Step::Suspend { lane, .. } | Step::Resume { lane, .. },
        ) = step
        {
            *lane = index;
        }
    }

    /// Whether a lane is a caller.
    pub(super) fn is_caller(&self, lane: u8) -> bool {
        self.program.callers.get(usize::from(lane)) == Some(&true)
    }

    /// Whether the steps that are being read are a caller lane's.
    pub(super) fn in_caller(&self) -> bool {
        matches!(self.current, Some(Place::Lane(lane)) if self.is_caller(lane))
    }

    /// The kind of an APC.
    pub(super) fn apc_kind(&self, apc: u8) -> Option<ApcKind> {
        let apc = self.program.apcs.get(usize::from(apc));
        apc.map(|apc| apc.kind)
    }

    /// Every `start`, with the place where it is executed and its span.
    pub(super) fn starts(&self) -> impl Iterator<Item = (u8, Place, Span)> {
        let lanes = (0_u8..).map(Place::Lane).zip(&self.lanes);
        let bodies = (0_u8..).map(Place::Body).zip(&self.bodies);
        lanes.chain(bodies).flat_map(|(place, draft)| {
            let steps = draft.steps.iter().zip(&draft.spans);
            steps.filter_map(move |(step, span)| match step {
                Step::Start { apc } => Some((*apc, place, *span)),
                _ => None,
            })
        })
    }

    /// The lane or body that steps are being read for.
    pub(super) fn current_steps(&mut self) -> Option<&mut StepsDraft> {
        match self.current? {
            Place::Lane(lane) => self.lanes.get_mut(usize::from(lane)),
            Place::Body(apc) => self.bodies.get_mut(usize::from(apc)),
        }
    }

    /// Notes that the current lane or body writes a register.
    pub(super) fn writes(&mut self, register: Register) {
        if let Some(steps) = self.current_steps() {
            steps.written |= 1 << register;
        }
    }

    /// Whether a lane or body has written a register so far.
    pub(super) fn has_written(&self, place: Place, register: Register) -> bool {
        self.steps(place)
            .is_some_and(|steps| steps.written & (1 << register) != 0)
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
    pub(super) fn finish(mut self, file: &str, source: &str, expectation: Expectation) -> Test {
        let text = Lines::new(source);
        let places = |drafts: &[StepsDraft]| drafts.iter().map(|d| d.places(&text)).collect();
        let (lanes, bodies) = (places(&self.lanes), places(&self.bodies));
        let steps = |drafts: Vec<StepsDraft>| drafts.into_iter().map(|d| d.steps).collect();
        self.program.lanes = steps(self.lanes);
        self.program.bodies = steps(self.bodies);
        // As a decoded program has them: nothing at the ends of these lists that says nothing.
        while self.program.bodies.last().is_some_and(Vec::is_empty) {
            self.program.bodies.pop();
        }
        for lanes in [&mut self.program.raw, &mut self.program.callers] {
            while lanes.last() == Some(&false) {
                lanes.pop();
            }
        }
        Test {
            file: file.to_owned(),
            name: self.name,
            description: self.description,
            shows: self.shows,
            tags: self.tags,
            program: self.program,
            names: self.names,
            expectation,
            lanes,
            bodies,
        }
    }
}
