//! From the records of a trace to what stands in which row of which lane. Nothing here knows of
//! pixels.
//!
//! Rows follow the total order of the records, from the top down. Records that belong together and
//! follow each other (a step and its result, the beginnings of all lanes) share a row.

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::program::{LockKind, Place};
use apclab_protocol::step::Step;
use apclab_protocol::trace::{Kind, NO_APC, NO_STEP, Record};

/// One iteration, ready to be drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Timeline {
    /// The time of each row in ticks of the trace's clock.
    pub(crate) rows: Vec<u64>,
    pub(crate) lanes: Vec<Track>,
    pub(crate) flights: Vec<Flight>,
}

/// What happened in a lane.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Track {
    pub(crate) begin: usize,
    /// None when the trace ends ahead of the lane.
    pub(crate) end: Option<usize>,
    /// Where a wait hit its deadline.
    pub(crate) timed_out: Option<usize>,
    pub(crate) steps: Vec<Executed>,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) routines: Vec<Routine>,
    /// Rows at APC_LEVEL, as the lane's records say it.
    pub(crate) raised: Vec<Span>,
}

/// From the middle of one row to the middle of another; without an end it lasts as long as the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: usize,
    pub(crate) to: Option<usize>,
}

/// A step as it was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Executed {
    pub(crate) span: Span,
    /// Whose step, and its index there.
    pub(crate) place: Place,
    pub(crate) step: usize,
    /// What it answered, for one that answers.
    pub(crate) value: Option<i64>,
    /// Whether it is one that waits: for a lock, when another lane has it.
    pub(crate) waits: bool,
}

/// What a lane is inside of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ScopeKind {
    Critical,
    Guarded,
    FastMutex,
    GuardedMutex,
    Mutex,
}

/// A region, or a lock that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) kind: ScopeKind,
    pub(crate) lock: Option<u8>,
    /// Side by side with the others that the lane is inside of.
    pub(crate) depth: usize,
    pub(crate) span: Span,
}

/// A routine of an APC that ran in a lane's thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Routine {
    pub(crate) row: usize,
    pub(crate) apc: u8,
    pub(crate) kind: RoutineKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoutineKind {
    Kernel,
    Normal,
}

/// An APC on its way: from the lane that queues it into the queue of another or the same lane, and
/// out of it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flight {
    pub(crate) apc: u8,
    pub(crate) from_lane: usize,
    pub(crate) to_lane: usize,
    /// In the queue: until its kernel routine runs.
    pub(crate) span: Span,
    /// The row of its normal routine, for a normal APC.
    pub(crate) normal: Option<usize>,
    /// Side by side with the others that are under way in the same lane.
    pub(crate) slot: usize,
}

impl Timeline {
    /// Orders the records of an iteration of a program.
    pub(crate) fn of(program: &ProgramBuf, records: &[Record]) -> Self {
        let mut builder = Builder::new(program);
        let mut previous: Option<&Record> = None;
        for record in records {
            // A record of a lane that the program does not have cannot be drawn anywhere.
            if usize::from(record.lane) < program.lanes.len() {
                builder.add(record, previous);
                previous = Some(record);
            }
        }
        builder.finish()
    }
}

struct Builder<'p> {
    program: &'p ProgramBuf,
    timeline: Timeline,
    lanes: Vec<LaneState>,
}

/// Where a lane is while its records are read.
#[derive(Clone, Default)]
struct LaneState {
    /// The scopes that are open, by their place in the track's list.
    open: Vec<usize>,
    /// The lock that the lane is about to acquire.
    wanted: Option<u8>,
    /// Since when it has the lock that it waited for, until its next record.
    acquired: Option<usize>,
    /// The row of its last record, and whether that was at APC_LEVEL.
    last: (usize, bool),
}

impl<'p> Builder<'p> {
    fn new(program: &'p ProgramBuf) -> Self {
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

    fn add(&mut self, record: &Record, previous: Option<&Record>) {
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
        // Who waits for a lock has waited at the IRQL from before.
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

    fn executed(&self, record: &Record) -> Option<Step> {
        let steps = match place(record) {
            Place::Lane(lane) => self.program.lanes.get(usize::from(lane)),
            Place::Body(apc) => self.program.bodies.get(usize::from(apc)),
        };
        steps?.get(usize::try_from(record.step).ok()?).copied()
    }

    fn step(&mut self, lane: usize, row: usize, record: &Record) {
        let Some(step) = self.executed(record) else {
            return;
        };
        self.settle(lane, row, place(record));
        let waits = match step {
            Step::Wait { .. } | Step::Barrier => true,
            Step::WaitFor { milliseconds, .. } => milliseconds > 0,
            Step::Acquire { lock } => self.held_elsewhere(lane, lock),
            Step::Try {
                lock, milliseconds, ..
            } => milliseconds > 0 && self.held_elsewhere(lane, lock),
            _ => false,
        };
        self.timeline.lanes[lane].steps.push(Executed {
            span: Span {
                from: row,
                to: None,
            },
            place: place(record),
            step: record.step as usize,
            value: None,
            waits,
        });
        match step {
            Step::EnterCritical => self.open(lane, ScopeKind::Critical, None, row),
            Step::EnterGuarded => self.open(lane, ScopeKind::Guarded, None, row),
            Step::LeaveCritical => self.close(lane, row, |scope| scope.kind == ScopeKind::Critical),
            Step::LeaveGuarded => self.close(lane, row, |scope| scope.kind == ScopeKind::Guarded),
            Step::Acquire { lock } | Step::Try { lock, .. } => {
                self.lanes[lane].wanted = Some(lock);
            }
            Step::Release { lock } => self.close(lane, row, |scope| scope.lock == Some(lock)),
            _ => {}
        }
    }

    fn held_elsewhere(&self, lane: usize, lock: u8) -> bool {
        let others = self.timeline.lanes.iter().enumerate();
        others
            .filter(|(other, _)| *other != lane)
            .any(|(_, track)| {
                let mut scopes = track.scopes.iter();
                scopes.any(|scope| scope.lock == Some(lock) && scope.span.to.is_none())
            })
    }

    /// The last row in which another lane has released a lock.
    fn released_elsewhere(&self, lane: usize, lock: u8) -> Option<usize> {
        let others = self.timeline.lanes.iter().enumerate();
        let others = others.filter(|(other, _)| *other != lane);
        let scopes = others.flat_map(|(_, track)| &track.scopes);
        let same = scopes.filter(|scope| scope.lock == Some(lock));
        same.filter_map(|scope| scope.span.to).max()
    }

    fn done(&mut self, lane: usize, row: usize, record: &Record) {
        let Some(step) = self.executed(record) else {
            return;
        };
        let failed = matches!(step, Step::Try { .. }) && record.value == 0;
        let place = place(record);
        let steps = self.timeline.lanes[lane].steps.iter_mut();
        let mut earlier = steps.rev();
        let same = |step: &&mut Executed| step.place == place && step.step == record.step as usize;
        let Some(executed) = earlier.find(same) else {
            return;
        };
        if answers(step) {
            executed.value = Some(record.value);
        }
        if executed.span.to.is_none() {
            if failed {
                self.lanes[lane].wanted = None;
                executed.span.to = Some(row);
            }
            self.settle_at(lane, row, place, row);
        } else {
            self.settle(lane, row, place);
        }
    }

    /// A step that begins or ends a scope is done when the next one begins: that it is done is told
    /// with the end of the scope, or not at all. What ran in its course lies between.
    fn settle(&mut self, lane: usize, row: usize, place: Place) {
        let track = &self.timeline.lanes[lane];
        let from = track.steps.iter().rev().find(|step| step.place == place);
        let ran = track.routines.last().map(|routine| routine.row);
        let to = match from {
            Some(step) if step.waits => row,
            Some(step) => ran
                .map_or(0, |ran| ran.max(step.span.from))
                .max(step.span.from),
            None => row,
        };
        self.settle_at(lane, row, place, to);
    }

    /// The last step of a place is done; a lock that it wanted is held.
    fn settle_at(&mut self, lane: usize, row: usize, place: Place, to: usize) {
        let mut earlier = self.timeline.lanes[lane].steps.iter_mut().rev();
        let Some(step) = earlier.find(|step| step.place == place) else {
            return;
        };
        let from = step.span.from;
        step.span.to.get_or_insert(to);
        if matches!(place, Place::Lane(_))
            && let Some(lock) = self.lanes[lane].wanted.take()
            && let Some(kind) = self.program.locks.get(usize::from(lock))
        {
            // That another lane had the lock may be known only now: its own next record told it.
            let waited = self.released_elsewhere(lane, lock) >= Some(from);
            let acquired = if waited { row } else { from };
            if waited {
                self.lanes[lane].acquired = Some(row);
                let mut earlier = self.timeline.lanes[lane].steps.iter_mut().rev();
                if let Some(step) = earlier.find(|step| step.place == place) {
                    step.waits = true;
                    step.span.to = Some(row);
                }
            }
            let kind = match kind {
                LockKind::FastMutex => ScopeKind::FastMutex,
                LockKind::GuardedMutex => ScopeKind::GuardedMutex,
                LockKind::Mutex => ScopeKind::Mutex,
            };
            self.open(lane, kind, Some(lock), acquired);
        }
    }

    fn open(&mut self, lane: usize, kind: ScopeKind, lock: Option<u8>, row: usize) {
        let scopes = &mut self.timeline.lanes[lane].scopes;
        let open = &mut self.lanes[lane].open;
        let taken: Vec<usize> = open.iter().map(|index| scopes[*index].depth).collect();
        open.push(scopes.len());
        scopes.push(Scope {
            kind,
            lock,
            depth: free(&taken),
            span: Span {
                from: row,
                to: None,
            },
        });
    }

    fn close(&mut self, lane: usize, row: usize, is_it: impl Fn(&Scope) -> bool) {
        let scopes = &mut self.timeline.lanes[lane].scopes;
        let open = &mut self.lanes[lane].open;
        if let Some(place) = open.iter().rposition(|index| is_it(&scopes[*index])) {
            scopes[open.remove(place)].span.to = Some(row);
        }
    }

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

    fn finish(mut self) -> Timeline {
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
        && matches!(record.kind, Kind::Inserted | Kind::Done | Kind::TimedOut)
}

/// Whose steps a record is about.
fn place(record: &Record) -> Place {
    let step = matches!(record.kind, Kind::Step | Kind::Done);
    if step && record.apc != NO_APC {
        Place::Body(record.apc)
    } else {
        Place::Lane(record.lane)
    }
}

/// The first number that is not taken. One of so many is free: the others are fewer.
fn free(taken: &[usize]) -> usize {
    let mut numbers = 0..taken.len();
    numbers
        .find(|number| !taken.contains(number))
        .unwrap_or(taken.len())
}

/// Whether a step's answer is worth showing.
const fn answers(step: Step) -> bool {
    matches!(
        step,
        Step::ApcsDisabled { .. }
            | Step::AllApcsDisabled { .. }
            | Step::Irql { .. }
            | Step::Queue { to: Some(_), .. }
            | Step::Ran { .. }
            | Step::WaitFor { .. }
            | Step::Try { .. }
            | Step::Load { .. }
    )
}

#[cfg(test)]
mod tests;
