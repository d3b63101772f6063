//! Record after record: rows, the IRQL, and APCs on their way.

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::program::Place;
use apclab_protocol::trace::{Kind, NO_APC, NO_STEP, Record};

use super::{Flight, Routine, RoutineKind, Span, Timeline, Track};

/// Reads records in their order.
pub(super) struct Builder<'p> {
    pub(super) program: &'p ProgramBuf,
    pub(super) timeline: Timeline,
    pub(super) lanes: Vec<LaneState>,
}

/// Where a lane is while its records are read.
#[derive(Clone, Default)]
pub(super) struct LaneState {
    /// The scopes that are open, by their place in the track's list.
    pub(super) open: Vec<usize>,
    /// Since when it has the lock that it acquired last, until the IRQL is looked at.
    pub(super) acquired: Option<usize>,
    /// The row of its last record, and whether that was at APC_LEVEL.
    last: (usize, bool),
}

impl<'p> Builder<'p> {
    pub(super) fn new(program: &'p ProgramBuf) -> Self {
        let lanes = program.lanes.len();
        Self {
            program,
            timeline: Timeline {
                lanes: vec![Track::default(); lanes],
                ..Timeline::default()
            },
            lanes: vec![LaneState::default(); lanes],
        }
    }

    pub(super) fn add(&mut self, record: &Record, previous: Option<&Record>) {
        let rows = &mut self.timeline.rows;
        if !previous.is_some_and(|previous| together(previous, record)) {
            rows.push(record.time);
        }
        let row = rows.len() - 1;
        let lane = usize::from(record.lane);
        let track = &mut self.timeline.lanes[lane];
        match record.kind {
            Kind::Begin => track.begin = row,
            Kind::End => track.end = Some(row),
            Kind::TimedOut => track.timed_out = Some(row),
            Kind::Step => self.step(lane, row, record),
            Kind::Done => self.done(lane, row, record),
            Kind::Acquired => self.acquired(lane, row, record),
            Kind::Inserted => self.inserted(lane, row, record),
            Kind::KernelRoutine => self.routine(lane, row, record.apc, RoutineKind::Kernel),
            Kind::NormalRoutine => self.routine(lane, row, record.apc, RoutineKind::Normal),
        }
        self.irql(lane, row, record);
    }

    /// The IRQL changes between two records. Routines of APCs are marked as such, and the lane's own
    /// IRQL is not theirs.
    fn irql(&mut self, lane: usize, row: usize, record: &Record) {
        let of_the_lane = match record.kind {
            // An insertion does not say whether a lane or an APC's body queued.
            Kind::KernelRoutine | Kind::NormalRoutine | Kind::Inserted => false,
            _ => matches!(place(record), Place::Lane(_)),
        };
        if !of_the_lane {
            return;
        }
        let raised = record.context.irql > 0;
        let (last, was) = std::mem::replace(&mut self.lanes[lane].last, (row, raised));
        // Who acquires a lock has come there at the IRQL from before.
        let acquired = self.lanes[lane].acquired.take();
        let spans = &mut self.timeline.lanes[lane].raised;
        if raised && !was {
            spans.push(Span {
                from: acquired.unwrap_or(last),
                to: None,
            });
        } else if was
            && !raised
            && let Some(span) = spans.last_mut()
        {
            span.to = Some(last);
        }
    }
}

impl Builder<'_> {
    fn inserted(&mut self, lane: usize, row: usize, record: &Record) {
        let Some(apc) = self.program.apcs.get(usize::from(record.apc)) else {
            return;
        };
        // The record is written when the insertion is over, and the APC may run before that. Then its
        // flight has begun with its delivery, and gets its start now, at the step that queues.
        let mut earlier = self.timeline.lanes[lane].steps.iter_mut().rev();
        let queues =
            earlier.find(|step| step.span.to.is_none() && step.step == record.step as usize);
        let queueing = queues.as_ref().map_or(row, |step| step.span.from);
        if record.value == 0 {
            if let Some(step) = queues {
                step.value = Some(0);
            }
            return;
        }
        let to_lane = usize::from(apc.lane);
        let early = self.timeline.flights.iter_mut().find(|flight| {
            flight.apc == record.apc && flight.from_lane == UNKNOWN && flight.span.from >= queueing
        });
        if let Some(flight) = early {
            flight.from_lane = lane;
            flight.span.from = queueing;
            return;
        }
        self.timeline.flights.push(Flight {
            apc: record.apc,
            from_lane: lane,
            to_lane,
            span: Span {
                from: row,
                to: None,
            },
            normal: None,
            slot: 0,
        });
    }

    fn routine(&mut self, lane: usize, row: usize, apc: u8, kind: RoutineKind) {
        self.timeline.lanes[lane]
            .routines
            .push(Routine { row, apc, kind });
        let mut flights = self.timeline.flights.iter_mut();
        if kind == RoutineKind::Normal {
            let mut out = flights.rev().filter(|flight| flight.apc == apc);
            if let Some(flight) = out.find(|flight| flight.span.to.is_some()) {
                flight.normal.get_or_insert(row);
            }
            return;
        }
        match flights.find(|flight| flight.apc == apc && flight.span.to.is_none()) {
            Some(flight) => flight.span.to = Some(row),
            None => self.timeline.flights.push(Flight {
                apc,
                from_lane: UNKNOWN,
                to_lane: lane,
                span: Span {
                    from: row,
                    to: Some(row),
                },
                normal: None,
                slot: 0,
            }),
        }
    }

    pub(super) fn finish(mut self) -> Timeline {
        self.waits_on();
        let timeline = &mut self.timeline;
        let last = timeline.rows.len();
        // A routine whose insertion was never told (its record was lost) has no flight to draw.
        timeline
            .flights
            .retain(|flight| flight.from_lane != UNKNOWN);
        timeline.flights.sort_by_key(|flight| flight.span.from);
        for index in 0..timeline.flights.len() {
            let (before, rest) = timeline.flights.split_at_mut(index);
            let flight = &mut rest[0];
            let taken: Vec<usize> = before
                .iter()
                .filter(|other| {
                    other.to_lane == flight.to_lane
                        && other.normal.or(other.span.to).unwrap_or(last) >= flight.span.from
                })
                .map(|other| other.slot)
                .collect();
            flight.slot = free(&taken);
        }
        self.timeline
    }
}

/// The lane that queues an APC whose insertion has not been told yet.
const UNKNOWN: usize = usize::MAX;

/// Whether a record needs no row of its own behind the one before it.
fn together(previous: &Record, record: &Record) -> bool {
    if previous.kind == record.kind && matches!(record.kind, Kind::Begin | Kind::End) {
        return true;
    }
    previous.lane == record.lane
        && previous.step == record.step
        && record.step != NO_STEP
        && matches!(
            record.kind,
            Kind::Acquired | Kind::Inserted | Kind::Done | Kind::TimedOut
        )
}

/// Whose steps a record is about.
pub(super) fn place(record: &Record) -> Place {
    let step = matches!(record.kind, Kind::Step | Kind::Acquired | Kind::Done);
    if step && record.apc != NO_APC {
        Place::Body(record.apc)
    } else {
        Place::Lane(record.lane)
    }
}

/// The first number that is not taken. One of so many is free: the others are fewer.
pub(super) fn free(taken: &[usize]) -> usize {
    let mut numbers = 0..taken.len();
    numbers
        .find(|number| !taken.contains(number))
        .unwrap_or(taken.len())
}
