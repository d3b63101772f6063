//! From the records of a trace to what stands in which row of which lane. Nothing here knows of
//! pixels.
//!
//! Rows follow the total order of the records, from the top down. Records that belong together and
//! follow each other (a step and its result, the beginnings of all lanes) share a row.

mod build;
mod steps;

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::program::Place;
use apclab_protocol::step::Mode;
use apclab_protocol::trace::Record;

use self::build::Builder;

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
    /// Whether it is one that waits: for a lock, when another lane has it or comes first.
    pub(crate) waits: bool,
    /// Whether it acquires a lock.
    pub(crate) locks: bool,
}

/// What a lane is inside of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ScopeKind {
    Critical,
    Guarded,
    FastMutex,
    GuardedMutex,
    Mutex,
    Resource(Access),
    PushLock(Access),
    /// What the lane held of a resource belongs to an owner pointer.
    HandedOver,
    CriticalSection,
}

impl ScopeKind {
    /// Whether others may hold the lock at the same time.
    pub(crate) const fn shares(self) -> bool {
        matches!(
            self,
            Self::Resource(Access::Shared) | Self::PushLock(Access::Shared)
        )
    }
}

/// For what a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Access {
    Exclusive,
    Shared,
}

impl Access {
    pub(crate) const fn of(mode: Mode) -> Self {
        match mode {
            Mode::Exclusive => Self::Exclusive,
            Mode::Shared | Mode::SharedStarveExclusive | Mode::SharedWaitForExclusive => {
                Self::Shared
            }
        }
    }
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

#[cfg(test)]
mod tests;
