//! Requests and replies, byte by byte. All numbers are little-endian.
//!
//! Every request begins with a header of 16 bytes:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 2 | version, [`crate::VERSION`] |
//! | 2 | 2 | reserved, zero |
//! | 4 | 4 | length of the whole request in bytes, a multiple of 8 |
//! | 8 | 4 | session id; 0 in [`crate::ioctl::QUERY`], and in [`crate::ioctl::LOAD`] for a new session |
//! | 12 | 4 | reserved, zero |
//!
//! `QUERY` and `CANCEL` are the header alone; `LOAD` is the header and a
//! [program](crate::program); the others are described at their types, `CALL` and `HOLD` in
//! [`crate::call`].

use crate::bytes::{Reader, Writer};
use crate::status::{self, NtStatus};
use crate::{VERSION, limits};

/// Size of the header in bytes.
pub const HEADER_SIZE: usize = 16;

/// A request's header after its checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The session that the request is about, or 0.
    pub session: u32,
}

impl Header {
    /// Checks a request and splits it into header and body.
    ///
    /// # Errors
    /// - [`status::INPUT_TOO_SHORT`]: shorter than the header, or than its length field.
    /// - [`status::REVISION_MISMATCH`]: another version.
    /// - [`status::INPUT_MISALIGNED`]: the length is no multiple of 8.
    /// - [`status::INPUT_TOO_LONG`]: longer than its length field.
    /// - [`status::INVALID_PARAMETER`]: a reserved field is not zero.
    pub fn split(input: &[u8]) -> Result<(Self, &[u8]), NtStatus> {
        let Some((head, body)) = input.split_first_chunk::<HEADER_SIZE>() else {
            return Err(status::INPUT_TOO_SHORT);
        };
        let mut reader = Reader::new(head);
        let version = reader.u16();
        let reserved = reader.u16();
        let length = reader.u32() as usize;
        let session = reader.u32();
        let tail = reader.u32();
        if version != VERSION {
            return Err(status::REVISION_MISMATCH);
        }
        if reserved != 0 || tail != 0 {
            return Err(status::INVALID_PARAMETER);
        }
        if !input.len().is_multiple_of(8) {
            return Err(status::INPUT_MISALIGNED);
        }
        if input.len() < length {
            return Err(status::INPUT_TOO_SHORT);
        }
        if input.len() > length {
            return Err(status::INPUT_TOO_LONG);
        }
        Ok((Self { session }, body))
    }

    /// Like [`Header::split`] for a request whose body has exactly `N` bytes.
    ///
    /// # Errors
    /// As [`Header::split`]; a body of another size is [`status::INPUT_TOO_SHORT`] or
    /// [`status::INPUT_TOO_LONG`].
    pub fn split_exact<const N: usize>(input: &[u8]) -> Result<(Self, &[u8; N]), NtStatus> {
        let (header, body) = Self::split(input)?;
        match body.first_chunk() {
            None => Err(status::INPUT_TOO_SHORT),
            Some(_) if body.len() > N => Err(status::INPUT_TOO_LONG),
            Some(body) => Ok((header, body)),
        }
    }

    /// Writes the header of a request of `length` bytes in total.
    pub fn encode(self, length: u32) -> [u8; HEADER_SIZE] {
        let mut bytes = [0; HEADER_SIZE];
        let mut writer = Writer::new(&mut bytes);
        writer.u16(VERSION);
        writer.u16(0);
        writer.u32(length);
        writer.u32(self.session);
        writer.u32(0);
        bytes
    }
}

/// The two predicates and the IRQL, as one byte: bit 0 `KeAreApcsDisabled`, bit 1
/// `KeAreAllApcsDisabled`, bits 4 to 7 the IRQL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// `KeAreApcsDisabled`.
    pub apcs_disabled: bool,
    /// `KeAreAllApcsDisabled`.
    pub all_apcs_disabled: bool,
    /// `KeGetCurrentIrql`, 0 to 15.
    pub irql: u8,
}

impl Context {
    /// The context as its byte.
    pub const fn to_byte(self) -> u8 {
        self.apcs_disabled as u8 | (self.all_apcs_disabled as u8) << 1 | (self.irql & 0xF) << 4
    }

    /// The context that a byte stands for. Bits 2 and 3 are ignored.
    pub const fn from_byte(byte: u8) -> Self {
        Self {
            apcs_disabled: byte & 1 != 0,
            all_apcs_disabled: byte & 2 != 0,
            irql: byte >> 4,
        }
    }
}

/// Name of the routine by which a machine says that it notices when threads wait for each other for
/// ever, and stops. Nobody calls it.
pub const DEADLOCKS_END: &str = "ApclabDeadlocksEnd";

/// The routines that the driver looks up at run time, as bits of [`QueryReply::routines`].
pub mod routines {
    /// `KeInitializeApc` was found.
    pub const INITIALIZE_APC: u32 = 1;
    /// `KeInsertQueueApc` was found.
    pub const INSERT_QUEUE_APC: u32 = 2;
    /// The machine beneath ends a deadlock: [`DEADLOCKS_END`](super::DEADLOCKS_END) was found, which
    /// no Windows kernel exports.
    pub const DEADLOCKS_END: u32 = 4;
    /// The routines of push locks were found.
    pub const PUSH_LOCKS: u32 = 8;
    /// All that are needed to queue APCs.
    pub const APC: u32 = INITIALIZE_APC | INSERT_QUEUE_APC;
}

/// Reply to [`crate::ioctl::QUERY`], [`QueryReply::SIZE`] bytes.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 2 | protocol version |
/// | 2 | 1 | context of the dispatch, [`Context`] |
/// | 3 | 1 | reserved |
/// | 4 | 4 | size of this reply in bytes |
/// | 8 | 12 | version of the driver: major, minor, patch, u32 each |
/// | 20 | 4 | [`routines`] found |
/// | 24 | 12 | version of the kernel: major, minor, build, u32 each |
/// | 36 | 4 | active processors |
/// | 40 | 4 | sessions open |
/// | 44 | 4 | reserved |
/// | 48 | 40 | [`Limits`], u32 each |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryReply {
    /// The context in which the request was dispatched.
    pub dispatch: Context,
    /// Version of the driver: major, minor, patch.
    pub driver: [u32; 3],
    /// Bits of [`routines`].
    pub routines: u32,
    /// Version of the kernel: major, minor, build.
    pub kernel: [u32; 3],
    /// Active processors.
    pub processors: u32,
    /// Sessions open on the device.
    pub sessions: u32,
    /// The limits that the driver was built with.
    pub limits: Limits,
}

/// The limits of [`crate::limits`], as a driver reports them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "each is described at the constant of the same name in `limits`"
)]
pub struct Limits {
    pub lanes: u32,
    pub registers: u32,
    pub variables: u32,
    pub events: u32,
    pub apcs: u32,
    pub observed: u32,
    pub steps_per_lane: u32,
    pub nesting: u32,
    pub outcomes: u32,
    pub trace_records_per_lane: u32,
}

impl Limits {
    /// The limits that this crate was built with.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "each constant is far below 2^32"
    )]
    pub const BUILT: Self = Self {
        lanes: limits::LANES as u32,
        registers: limits::REGISTERS as u32,
        variables: limits::VARIABLES as u32,
        events: limits::EVENTS as u32,
        apcs: limits::APCS as u32,
        observed: limits::OBSERVED as u32,
        steps_per_lane: limits::STEPS_PER_LANE as u32,
        nesting: limits::NESTING as u32,
        outcomes: limits::OUTCOMES as u32,
        trace_records_per_lane: limits::TRACE_RECORDS_PER_LANE as u32,
    };

    const fn to_array(self) -> [u32; 10] {
        [
            self.lanes,
            self.registers,
            self.variables,
            self.events,
            self.apcs,
            self.observed,
            self.steps_per_lane,
            self.nesting,
            self.outcomes,
            self.trace_records_per_lane,
        ]
    }
}

/// A reply of fixed size.
pub trait Reply: Sized {
    /// Its size in bytes.
    const SIZE: usize;

    /// Writes it to the front of `output`; gives the bytes written.
    ///
    /// # Errors
    /// [`status::OUTPUT_TOO_SHORT`] when `output` has less than [`Reply::SIZE`] bytes.
    fn encode(&self, output: &mut [u8]) -> Result<usize, NtStatus>;

    /// Reads it from the front of `bytes`; `None` when they are too few or of another version.
    fn decode(bytes: &[u8]) -> Option<Self>;
}

fn finish(writer: Writer<'_>) -> Result<usize, NtStatus> {
    writer.finish().ok_or(status::OUTPUT_TOO_SHORT)
}

impl Reply for QueryReply {
    const SIZE: usize = 88;

    fn encode(&self, output: &mut [u8]) -> Result<usize, NtStatus> {
        let mut writer = Writer::new(output);
        writer.u16(VERSION);
        writer.u8(self.dispatch.to_byte());
        writer.u8(0);
        writer.u32(88);
        for part in self.driver {
            writer.u32(part);
        }
        writer.u32(self.routines);
        for part in self.kernel {
            writer.u32(part);
        }
        writer.u32(self.processors);
        writer.u32(self.sessions);
        writer.u32(0);
        for limit in self.limits.to_array() {
            writer.u32(limit);
        }
        finish(writer)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let version = reader.u16();
        let dispatch = Context::from_byte(reader.u8());
        reader.u8();
        reader.u32();
        let driver = core::array::from_fn(|_| reader.u32());
        let routines = reader.u32();
        let kernel = core::array::from_fn(|_| reader.u32());
        let processors = reader.u32();
        let sessions = reader.u32();
        reader.u32();
        let limits = Limits {
            lanes: reader.u32(),
            registers: reader.u32(),
            variables: reader.u32(),
            events: reader.u32(),
            apcs: reader.u32(),
            observed: reader.u32(),
            steps_per_lane: reader.u32(),
            nesting: reader.u32(),
            outcomes: reader.u32(),
            trace_records_per_lane: reader.u32(),
        };
        (reader.complete() && version == VERSION).then_some(Self {
            dispatch,
            driver,
            routines,
            kernel,
            processors,
            sessions,
            limits,
        })
    }
}

/// "No lane", "no step", "no offset" in a [`LoadReply`].
pub const NONE: u32 = u32::MAX;

/// Reply to [`crate::ioctl::LOAD`], [`LoadReply::SIZE`] bytes. It is written for
/// [`status::SUCCESS`], [`status::MALFORMED_PROGRAM`], [`status::REFUSED`] and
/// [`status::NO_APC_ROUTINES`].
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 4 | session id |
/// | 4 | 4 | 0; or the number of a [`crate::verify::Reason`]; or 1 + a [`crate::program::Malformation`] |
/// | 8 | 4 | lane, or [`NONE`] |
/// | 12 | 4 | step, or [`NONE`] |
/// | 16 | 4 | offset in the program in bytes, or [`NONE`] |
/// | 20 | 4 | number of observed values |
/// | 24 | 8 | reserved |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadReply {
    /// The session that holds the program, or 0 when it was refused in a new session.
    pub session: u32,
    /// Why it was refused, or 0.
    pub reason: u32,
    /// In which lane, or [`NONE`].
    pub lane: u32,
    /// At which step, or [`NONE`].
    pub step: u32,
    /// At which byte of the program, or [`NONE`].
    pub offset: u32,
    /// Values in each outcome.
    pub observed: u32,
}

impl Reply for LoadReply {
    const SIZE: usize = 32;

    fn encode(&self, output: &mut [u8]) -> Result<usize, NtStatus> {
        let mut writer = Writer::new(output);
        let fields = [
            self.session,
            self.reason,
            self.lane,
            self.step,
            self.offset,
            self.observed,
            0,
            0,
        ];
        for field in fields {
            writer.u32(field);
        }
        finish(writer)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let reply = Self {
            session: reader.u32(),
            reason: reader.u32(),
            lane: reader.u32(),
            step: reader.u32(),
            offset: reader.u32(),
            observed: reader.u32(),
        };
        reader.u64();
        reader.complete().then_some(reply)
    }
}

/// Body of [`crate::ioctl::RUN`].
///
/// | offset (from the header's end) | size | field |
/// |---|---|---|
/// | 0 | 4 | iterations, 1 to [`limits::ITERATIONS`] |
/// | 4 | 4 | deadline of the whole run in milliseconds, 1 to [`limits::RUN_DEADLINE_MS`] |
/// | 8 | 4 | deadline of each wait in milliseconds, 1 to [`limits::WAIT_DEADLINE_MS`] |
/// | 12 | 4 | which iteration to trace, counted from 1; 0 for none |
/// | 16 | 8 | seed of the random delays |
/// | 24 | 4 | longest random delay before a step, in microseconds, 0 to [`limits::DELAY_US`]; 0 for none |
/// | 28 | 4 | reserved, zero |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunRequest {
    /// How many iterations.
    pub iterations: u32,
    /// Deadline of the whole run in milliseconds.
    pub deadline_ms: u32,
    /// Deadline of each wait in milliseconds.
    pub wait_deadline_ms: u32,
    /// The iteration to trace, counted from 1; 0 for none.
    pub trace_iteration: u32,
    /// Seed of the random delays: the same seed gives the same delays.
    pub seed: u64,
    /// The longest random delay before a step of a lane, in microseconds; 0 for none.
    pub delay_us: u32,
}

impl RunRequest {
    /// Size of the body in bytes.
    pub const SIZE: usize = 32;

    /// Reads the body and checks its ranges.
    ///
    /// # Errors
    /// [`status::INVALID_PARAMETER`]: a field is out of its range, or a reserved one not zero.
    pub fn decode(body: &[u8; Self::SIZE]) -> Result<Self, NtStatus> {
        let mut reader = Reader::new(body);
        let request = Self {
            iterations: reader.u32(),
            deadline_ms: reader.u32(),
            wait_deadline_ms: reader.u32(),
            trace_iteration: reader.u32(),
            seed: reader.u64(),
            delay_us: reader.u32(),
        };
        let valid = (1..=limits::ITERATIONS).contains(&request.iterations)
            && (1..=limits::RUN_DEADLINE_MS).contains(&request.deadline_ms)
            && (1..=limits::WAIT_DEADLINE_MS).contains(&request.wait_deadline_ms)
            && request.trace_iteration <= request.iterations
            && request.delay_us <= limits::DELAY_US
            && reader.u32() == 0;
        if valid {
            Ok(request)
        } else {
            Err(status::INVALID_PARAMETER)
        }
    }

    /// Writes the body.
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let mut writer = Writer::new(&mut bytes);
        writer.u32(self.iterations);
        writer.u32(self.deadline_ms);
        writer.u32(self.wait_deadline_ms);
        writer.u32(self.trace_iteration);
        writer.u64(self.seed);
        writer.u32(self.delay_us);
        bytes
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Ended {
    /// After all its iterations.
    Complete = 0,
    /// At its deadline, with fewer iterations.
    Deadline = 1,
}

/// Reply to [`crate::ioctl::RUN`], [`RunReply::SIZE`] bytes.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 4 | [`Ended`] |
/// | 4 | 4 | iterations done, with those that timed out |
/// | 8 | 4 | iterations that hit a wait's deadline; they are in no outcome |
/// | 12 | 4 | iterations whose outcome found no place in the histogram |
/// | 16 | 4 | different outcomes |
/// | 20 | 4 | trace records kept |
/// | 24 | 4 | trace records lost for want of room |
/// | 28 | 4 | active processors |
/// | 32 | 8 | time of the run in units of 100 ns |
/// | 40 | 6 | [`Context`] of each lane when its thread began |
/// | 46 | 2 | reserved |
/// | 48 | 4 | barriers at which a lane came so late that another had stopped spinning |
/// | 52 | 4 | reserved |
///
/// With [`status::BASELINE_DISABLED`] only the baseline and the processors say anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunReply {
    /// How the run ended.
    pub ended: Ended,
    /// Iterations done, with those that timed out.
    pub iterations: u32,
    /// Iterations that hit a wait's deadline.
    pub timed_out: u32,
    /// Iterations whose outcome found no place in the histogram.
    pub overflow: u32,
    /// Different outcomes in the histogram.
    pub outcomes: u32,
    /// Trace records kept.
    pub trace_records: u32,
    /// Trace records lost for want of room.
    pub trace_lost: u32,
    /// Active processors.
    pub processors: u32,
    /// Time of the run in units of 100 ns.
    pub elapsed_100ns: u64,
    /// The baseline: each lane's context when its thread began.
    pub baseline: [Context; limits::LANES],
    /// Barriers at which a lane came so late that another had stopped spinning: how often the lanes
    /// did not really overlap.
    pub missed_overlaps: u32,
}

impl Reply for RunReply {
    const SIZE: usize = 56;

    fn encode(&self, output: &mut [u8]) -> Result<usize, NtStatus> {
        let mut writer = Writer::new(output);
        let fields = [
            self.ended as u32,
            self.iterations,
            self.timed_out,
            self.overflow,
            self.outcomes,
            self.trace_records,
            self.trace_lost,
            self.processors,
        ];
        for field in fields {
            writer.u32(field);
        }
        writer.u64(self.elapsed_100ns);
        for context in self.baseline {
            writer.u8(context.to_byte());
        }
        writer.u16(0);
        writer.u32(self.missed_overlaps);
        writer.u32(0);
        finish(writer)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let ended = match reader.u32() {
            0 => Ended::Complete,
            1 => Ended::Deadline,
            _ => return None,
        };
        let reply = Self {
            ended,
            iterations: reader.u32(),
            timed_out: reader.u32(),
            overflow: reader.u32(),
            outcomes: reader.u32(),
            trace_records: reader.u32(),
            trace_lost: reader.u32(),
            processors: reader.u32(),
            elapsed_100ns: reader.u64(),
            baseline: core::array::from_fn(|_| Context::from_byte(reader.u8())),
            missed_overlaps: {
                reader.u16();
                reader.u32()
            },
        };
        reader.u32();
        reader.complete().then_some(reply)
    }
}

/// Body of [`crate::ioctl::HISTOGRAM`] and [`crate::ioctl::TRACE`]: the first entry wanted, u32,
/// and four reserved bytes. Both reply with as many entries as the output buffer has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// The first entry wanted, counted from 0.
    pub first: u32,
}

impl PageRequest {
    /// Size of the body in bytes.
    pub const SIZE: usize = 8;

    /// Reads the body.
    ///
    /// # Errors
    /// [`status::INVALID_PARAMETER`]: the reserved bytes are not zero.
    pub fn decode(body: &[u8; Self::SIZE]) -> Result<Self, NtStatus> {
        let mut reader = Reader::new(body);
        let first = reader.u32();
        if reader.u32() == 0 {
            Ok(Self { first })
        } else {
            Err(status::INVALID_PARAMETER)
        }
    }

    /// Writes the body.
    pub fn encode(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        Writer::new(&mut bytes).u32(self.first);
        bytes
    }
}

/// Head of the reply to [`crate::ioctl::HISTOGRAM`], [`HistogramReply::SIZE`] bytes. The entries
/// follow, each a count (u64) and the observed values (i64 each) in the program's order.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 4 | outcomes in the histogram |
/// | 4 | 4 | outcomes in this reply |
/// | 8 | 4 | values in each outcome |
/// | 12 | 4 | reserved |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistogramReply {
    /// Outcomes in the histogram.
    pub total: u32,
    /// Outcomes in this reply.
    pub returned: u32,
    /// Values in each outcome.
    pub width: u32,
}

impl HistogramReply {
    /// Size in bytes of an entry with `width` values.
    pub const fn entry_size(width: usize) -> usize {
        8 + 8 * width
    }

    /// Writes one entry; `None` when it does not fit.
    pub fn write_entry(output: &mut [u8], count: u64, values: &[i64]) -> Option<usize> {
        let mut writer = Writer::new(output);
        writer.u64(count);
        for value in values {
            writer.i64(*value);
        }
        writer.finish()
    }

    /// Reads one entry: its count, and its values into `values`. `None` when the bytes are too few.
    pub fn read_entry(bytes: &[u8], values: &mut [i64]) -> Option<u64> {
        let mut reader = Reader::new(bytes);
        let count = reader.u64();
        for value in values {
            *value = reader.i64();
        }
        reader.complete().then_some(count)
    }
}

impl Reply for HistogramReply {
    const SIZE: usize = 16;

    fn encode(&self, output: &mut [u8]) -> Result<usize, NtStatus> {
        let mut writer = Writer::new(output);
        for field in [self.total, self.returned, self.width, 0] {
            writer.u32(field);
        }
        finish(writer)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let reply = Self {
            total: reader.u32(),
            returned: reader.u32(),
            width: reader.u32(),
        };
        reader.u32();
        reader.complete().then_some(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_bad_header_has_a_status_of_its_own() {
        let good = Header { session: 7 }.encode(16);
        assert_eq!(Header::split(&good), Ok((Header { session: 7 }, &[][..])));
        let with = |at: usize, value: u8| {
            let mut bytes = good;
            bytes[at] = value;
            Header::split(&bytes).map(|_| ())
        };
        assert_eq!(Header::split(&good[..15]), Err(status::INPUT_TOO_SHORT));
        assert_eq!(with(0, 9), Err(status::REVISION_MISMATCH));
        assert_eq!(with(2, 1), Err(status::INVALID_PARAMETER));
        assert_eq!(with(15, 1), Err(status::INVALID_PARAMETER));
        assert_eq!(with(4, 24), Err(status::INPUT_TOO_SHORT));
        let mut longer = [0; 24];
        longer[..16].copy_from_slice(&good);
        assert_eq!(Header::split(&longer[..20]), Err(status::INPUT_MISALIGNED));
        assert_eq!(Header::split(&longer), Err(status::INPUT_TOO_LONG));
        longer[4] = 24;
        assert_eq!(
            Header::split_exact::<8>(&longer),
            Ok((Header { session: 7 }, &[0; 8]))
        );
        assert_eq!(
            Header::split_exact::<0>(&longer),
            Err(status::INPUT_TOO_LONG)
        );
        assert_eq!(
            Header::split_exact::<16>(&longer),
            Err(status::INPUT_TOO_SHORT)
        );
    }

    proptest! {
        #[test]
        fn run_replies_survive_the_border(fields in any::<[u32; 8]>(), late in any::<bool>(), time in any::<u64>(), lanes in any::<[u8; 6]>()) {
            let [iterations, timed_out, overflow, outcomes, trace_records, trace_lost, processors, missed_overlaps] = fields;
            let reply = RunReply {
                ended: if late { Ended::Deadline } else { Ended::Complete },
                iterations, timed_out, overflow, outcomes, trace_records, trace_lost, processors,
                elapsed_100ns: time,
                baseline: lanes.map(Context::from_byte),
                missed_overlaps,
            };
            let mut bytes = [0; RunReply::SIZE];
            prop_assert_eq!(reply.encode(&mut bytes), Ok(RunReply::SIZE));
            prop_assert_eq!(RunReply::decode(&bytes), Some(reply));
            prop_assert_eq!(reply.encode(&mut bytes[..RunReply::SIZE - 1]), Err(status::OUTPUT_TOO_SHORT));
        }

        #[test]
        fn no_header_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok((_, body)) = Header::split(&bytes) {
                prop_assert_eq!(body.len() + HEADER_SIZE, bytes.len());
            }
        }
    }

    #[test]
    fn query_replies_survive_the_border() {
        let reply = QueryReply {
            dispatch: Context {
                apcs_disabled: true,
                all_apcs_disabled: false,
                irql: 1,
            },
            driver: [0, 1, 2],
            routines: routines::APC,
            kernel: [10, 0, 19041],
            processors: 4,
            sessions: 3,
            limits: Limits::BUILT,
        };
        let mut bytes = [0; QueryReply::SIZE];
        assert_eq!(reply.encode(&mut bytes), Ok(QueryReply::SIZE));
        assert_eq!(QueryReply::decode(&bytes), Some(reply));
    }
}
