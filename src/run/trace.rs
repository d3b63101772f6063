//! The trace of one iteration.
//!
//! Records are written by the lanes and by APC routines that interrupt them, without a lock: a place
//! is reserved by one atomic addition, and each record is four atomic words.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use apclab_guards::{AtMostApcLevel, all_apcs_disabled, apcs_disabled, current_irql};
use apclab_protocol::limits;
use apclab_protocol::message::{Context, Reply};
use apclab_protocol::status::{NtStatus, OUTPUT_TOO_SHORT};
use apclab_protocol::trace::{Kind, Record, TraceReply};

use crate::nt::clock::{self, Ticks};
use crate::nt::memory::try_vec;

const WORDS: usize = Record::SIZE / 8;

/// Records of one lane.
struct LaneRecords {
    reserved: AtomicU32,
    words: Vec<[AtomicU64; WORDS]>,
}

/// The records of all lanes.
pub(crate) struct Trace {
    recording: AtomicBool,
    sequence: AtomicU32,
    lanes: Vec<LaneRecords>,
}

/// Where the calling thread is: both predicates and the IRQL.
pub(crate) fn context(irql: &impl AtMostApcLevel) -> Context {
    Context {
        apcs_disabled: apcs_disabled(irql),
        all_apcs_disabled: all_apcs_disabled(irql),
        irql: current_irql(),
    }
}

/// What a record says, time and place apart.
#[derive(Clone, Copy)]
pub(crate) struct What {
    /// What happened.
    pub(crate) kind: Kind,
    /// The step, or [`apclab_protocol::trace::NO_STEP`].
    pub(crate) step: u32,
    /// The APC, or [`apclab_protocol::trace::NO_APC`].
    pub(crate) apc: u8,
    /// What the step answered.
    pub(crate) value: i64,
}

impl Trace {
    /// Room for one iteration, or for nothing when none is to be traced.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub(crate) fn try_new(lanes: usize, wanted: bool) -> Result<Self, NtStatus> {
        let room = if wanted {
            limits::TRACE_RECORDS_PER_LANE
        } else {
            0
        };
        let mut records = try_vec(lanes, |_| LaneRecords {
            reserved: AtomicU32::new(0),
            words: Vec::new(),
        })?;
        for lane in &mut records {
            lane.words = try_vec(room, |_| [const { AtomicU64::new(0) }; WORDS])?;
        }
        Ok(Self {
            recording: AtomicBool::new(false),
            sequence: AtomicU32::new(0),
            lanes: records,
        })
    }

    /// Begins or ends recording.
    pub(crate) fn record_next(&self, recording: bool) {
        self.recording.store(recording, Ordering::Release);
    }

    /// Writes a record of the calling thread, which is lane `lane`, if this iteration is recorded.
    pub(crate) fn write(&self, lane: usize, irql: &impl AtMostApcLevel, what: What) {
        if !self.recording.load(Ordering::Acquire) {
            return;
        }
        let Some(records) = self.lanes.get(lane) else {
            return;
        };
        let place = records.reserved.fetch_add(1, Ordering::Relaxed);
        let Some(words) = records.words.get(place as usize) else {
            return;
        };
        let time = match what.kind {
            Kind::Step | Kind::KernelRoutine | Kind::NormalRoutine => Ticks::at_a_step(),
            _ => Ticks::now(),
        };
        let record = Record {
            time: time.raw(),
            sequence: self.sequence.fetch_add(1, Ordering::AcqRel),
            step: what.step,
            lane: u8::try_from(lane).unwrap_or(u8::MAX),
            kind: what.kind,
            apc: what.apc,
            context: context(irql),
            value: what.value,
        };
        let mut bytes = [0; Record::SIZE];
        if record.encode(&mut bytes).is_ok() {
            for (word, chunk) in words.iter().zip(bytes.as_chunks::<8>().0) {
                word.store(u64::from_le_bytes(*chunk), Ordering::Relaxed);
            }
        }
    }

    fn kept(records: &LaneRecords) -> usize {
        records
            .words
            .len()
            .min(records.reserved.load(Ordering::Acquire) as usize)
    }

    /// Records kept, of all lanes.
    pub(crate) fn len(&self) -> usize {
        self.lanes.iter().map(Self::kept).sum()
    }

    /// Records that found no room.
    pub(crate) fn lost(&self) -> u32 {
        let reserved: usize = self
            .lanes
            .iter()
            .map(|lane| lane.reserved.load(Ordering::Acquire) as usize)
            .sum();
        u32::try_from(reserved.saturating_sub(self.len())).unwrap_or(u32::MAX)
    }

    /// Writes the records from `first` on, as many as fit; gives the bytes written.
    ///
    /// # Errors
    /// [`OUTPUT_TOO_SHORT`]: not even the head fits.
    pub(crate) fn reply(&self, first: u32, output: &mut [u8]) -> Result<usize, NtStatus> {
        let (head, rest) = output
            .split_at_mut_checked(TraceReply::SIZE)
            .ok_or(OUTPUT_TOO_SHORT)?;
        let records = self
            .lanes
            .iter()
            .flat_map(|lane| lane.words.iter().take(Self::kept(lane)));
        let mut returned = 0_u32;
        let places = rest.as_chunks_mut::<{ Record::SIZE }>().0;
        for (words, place) in records.skip(first as usize).zip(places) {
            for (word, chunk) in words.iter().zip(place.as_chunks_mut::<8>().0) {
                *chunk = word.load(Ordering::Relaxed).to_le_bytes();
            }
            returned += 1;
        }
        let reply = TraceReply {
            total: u32::try_from(self.len()).unwrap_or(u32::MAX),
            returned,
            frequency: clock::frequency(),
        };
        reply.encode(head)?;
        Ok(TraceReply::SIZE + returned as usize * Record::SIZE)
    }
}
