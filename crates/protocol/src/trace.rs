//! The trace of one iteration: who did what when, and which APC ran where.

use crate::bytes::{Reader, Writer};
use crate::message::{Context, Reply};
use crate::status::{self, NtStatus};

/// What a trace record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// The lane begins the iteration.
    Begin = 1,
    /// A step is about to be executed.
    Step = 2,
    /// A step is done; `value` is what it answered, if anything.
    Done = 3,
    /// An APC was inserted (`value` 1) or refused (`value` 0) by the queue step of this lane.
    Inserted = 4,
    /// An APC's kernel routine runs in this lane's thread.
    KernelRoutine = 5,
    /// An APC's normal routine runs in this lane's thread.
    NormalRoutine = 6,
    /// A wait hit its deadline, and the lane gives the iteration up.
    TimedOut = 7,
    /// The lane has finished and parks.
    End = 8,
    /// The lock of the step has been acquired. What a step acquires, it is [`Kind::Done`] with only
    /// when the scope has ended, where the scope is one call of the interpreter.
    Acquired = 9,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Begin,
        Self::Step,
        Self::Done,
        Self::Inserted,
        Self::KernelRoutine,
        Self::NormalRoutine,
        Self::TimedOut,
        Self::End,
        Self::Acquired,
    ];
}

/// "No APC" in [`Record::apc`].
pub const NO_APC: u8 = 0xFF;
/// "No step" in [`Record::step`].
pub const NO_STEP: u32 = u32::MAX;

/// One record of a trace, [`Record::SIZE`] bytes.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 8 | performance counter, ticks |
/// | 8 | 4 | sequence number: a total order over all lanes of the iteration |
/// | 12 | 4 | step, or [`NO_STEP`] |
/// | 16 | 1 | lane in whose thread it happened |
/// | 17 | 1 | [`Kind`] |
/// | 18 | 1 | APC, or [`NO_APC`] |
/// | 19 | 1 | [`Context`] in which it happened |
/// | 20 | 4 | reserved |
/// | 24 | 8 | value, signed |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Performance counter in ticks; [`TraceReply::frequency`] of them make a second.
    pub time: u64,
    /// Place in the total order over all lanes.
    pub sequence: u32,
    /// The step that the lane was at, or [`NO_STEP`].
    pub step: u32,
    /// The lane in whose thread it happened.
    pub lane: u8,
    /// What happened.
    pub kind: Kind,
    /// The APC that it is about, or [`NO_APC`].
    pub apc: u8,
    /// Predicates and IRQL when it happened.
    pub context: Context,
    /// What the step answered.
    pub value: i64,
}

impl Reply for Record {
    const SIZE: usize = 32;

    fn encode(&self, output: &mut [u8]) -> Result<usize, NtStatus> {
        let mut writer = Writer::new(output);
        writer.u64(self.time);
        writer.u32(self.sequence);
        writer.u32(self.step);
        writer.u8(self.lane);
        writer.u8(self.kind as u8);
        writer.u8(self.apc);
        writer.u8(self.context.to_byte());
        writer.u32(0);
        writer.i64(self.value);
        writer.finish().ok_or(status::OUTPUT_TOO_SHORT)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let time = reader.u64();
        let sequence = reader.u32();
        let step = reader.u32();
        let lane = reader.u8();
        let kind = reader.u8();
        let apc = reader.u8();
        let context = Context::from_byte(reader.u8());
        reader.u32();
        let value = reader.i64();
        let kind = Kind::ALL.into_iter().find(|known| *known as u8 == kind)?;
        reader.complete().then_some(Self {
            time,
            sequence,
            step,
            lane,
            kind,
            apc,
            context,
            value,
        })
    }
}

/// Head of the reply to [`crate::ioctl::TRACE`], [`TraceReply::SIZE`] bytes; [`Record`]s follow,
/// lane after lane, each lane's in the order in which they happened.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 4 | records kept |
/// | 4 | 4 | records in this reply |
/// | 8 | 8 | ticks of the performance counter in a second |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceReply {
    /// Records kept.
    pub total: u32,
    /// Records in this reply.
    pub returned: u32,
    /// Ticks of the performance counter in a second.
    pub frequency: u64,
}

impl Reply for TraceReply {
    const SIZE: usize = 16;

    fn encode(&self, output: &mut [u8]) -> Result<usize, NtStatus> {
        let mut writer = Writer::new(output);
        writer.u32(self.total);
        writer.u32(self.returned);
        writer.u64(self.frequency);
        writer.finish().ok_or(status::OUTPUT_TOO_SHORT)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let reply = Self {
            total: reader.u32(),
            returned: reader.u32(),
            frequency: reader.u64(),
        };
        reader.complete().then_some(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn records_survive_the_border(time in any::<u64>(), sequence in any::<u32>(), step in any::<u32>(),
            lane in any::<u8>(), kind in 0_usize..9, apc in any::<u8>(), context in any::<u8>(), value in any::<i64>()) {
            let record = Record { time, sequence, step, lane, kind: Kind::ALL[kind], apc,
                context: Context::from_byte(context), value };
            let mut bytes = [0; Record::SIZE];
            prop_assert_eq!(record.encode(&mut bytes), Ok(Record::SIZE));
            prop_assert_eq!(Record::decode(&bytes), Some(record));
            prop_assert_eq!(Record::decode(&bytes[1..]), None);
        }
    }
}
