//! The structures of the protocol, with the places of their fields found in what Rust encodes.
//!
//! Rust writes its messages field by field, and no Rust structure has their layout. So a sample of each
//! message is encoded, in which every field has a value without a zero byte in front: what is not zero
//! begins a field, what lies between two fields is reserved.

mod calls;

use anyhow::{Result, ensure};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::message::{
    Context, Ended, Header, HistogramReply, Limits, LoadReply, PageRequest, QueryReply, Reply,
    RunReply, RunRequest,
};
use apclab_protocol::program::{
    Apc, ApcKind, Event, EventKind, FORMAT, HEAD_SIZE, LockKind, MAGIC, Observed,
};
use apclab_protocol::step::{Op, Step};
use apclab_protocol::trace::{Kind, Record, TraceReply};
use apclab_protocol::{VERSION, limits};

/// A structure of the header.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) name: &'static str,
    pub(super) comment: &'static str,
    pub(super) size: usize,
    /// The fields and, between them, what is reserved.
    pub(super) members: Vec<Member>,
}

/// A member of a structure.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) count: Option<usize>,
    pub(super) offset: usize,
    pub(super) comment: &'static str,
}

/// A field, and the bytes that its value has in the sample.
struct Field {
    name: &'static str,
    kind: &'static str,
    width: usize,
    count: Option<usize>,
    bytes: Vec<u8>,
    comment: &'static str,
}

macro_rules! one {
    ($function:ident, $type:ty, $c:literal) => {
        fn $function(name: &'static str, value: $type, comment: &'static str) -> Field {
            Field {
                name,
                kind: $c,
                width: size_of::<$type>(),
                count: None,
                bytes: value.to_le_bytes().to_vec(),
                comment,
            }
        }
    };
}
one!(u8, u8, "uint8_t");
one!(u16, u16, "uint16_t");
one!(u32, u32, "uint32_t");
one!(u64, u64, "uint64_t");
one!(i64, i64, "int64_t");

fn array32(name: &'static str, values: &[u32], comment: &'static str) -> Field {
    Field {
        name,
        kind: "uint32_t",
        width: 4,
        count: Some(values.len()),
        bytes: values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
        comment,
    }
}

fn array8(name: &'static str, values: &[u8], comment: &'static str) -> Field {
    Field {
        name,
        kind: "uint8_t",
        width: 1,
        count: Some(values.len()),
        bytes: values.to_vec(),
        comment,
    }
}

fn layout(
    name: &'static str,
    comment: &'static str,
    sample: &[u8],
    fields: Vec<Field>,
) -> Result<Layout> {
    let mut members = Vec::new();
    let mut reserved = 0;
    let mut reserve = |members: &mut Vec<Member>, from: usize, to: usize| {
        if from < to {
            members.push(Member {
                name: format!("reserved{reserved}"),
                kind: "uint8_t",
                count: Some(to - from),
                offset: from,
                comment: "Zero.",
            });
            reserved += 1;
        }
    };
    let next = |from: usize| {
        let zeros = sample[from..].iter().take_while(|byte| **byte == 0);
        from + zeros.count()
    };
    let mut at = 0;
    for field in fields {
        let offset = next(at);
        let end = offset + field.bytes.len();
        ensure!(
            sample.get(offset..end) == Some(&field.bytes),
            "{name}: at offset {offset} is not {}, but {:02x?}",
            field.name,
            &sample[offset..end.min(sample.len())]
        );
        ensure!(
            offset % field.width == 0,
            "{name}.{} is not aligned, at offset {offset}",
            field.name
        );
        reserve(&mut members, at, offset);
        members.push(Member {
            name: field.name.to_owned(),
            kind: field.kind,
            count: field.count,
            offset,
            comment: field.comment,
        });
        at = end;
    }
    ensure!(
        next(at) == sample.len(),
        "{name}: no field is named for what is at offset {}",
        next(at)
    );
    reserve(&mut members, at, sample.len());
    Ok(Layout {
        name,
        comment,
        size: sample.len(),
        members,
    })
}

fn encoded<R: Reply>(reply: &R) -> Result<Vec<u8>> {
    let mut bytes = vec![0; R::SIZE];
    let written = reply
        .encode(&mut bytes)
        .map_err(|status| anyhow::anyhow!("a sample is not encoded: {status:#x}"))?;
    ensure!(written == R::SIZE, "a sample is shorter than its size");
    Ok(bytes)
}

/// A context whose byte has every bit that means something.
const CONTEXT: Context = Context {
    apcs_disabled: true,
    all_apcs_disabled: true,
    irql: 15,
};

/// All structures, in the order of the header.
///
/// # Errors
///
/// When what Rust encodes is not what the fields here say.
pub(super) fn layouts() -> Result<Vec<Layout>> {
    Ok(vec![
        header()?,
        query_reply()?,
        load_reply()?,
        run_request()?,
        run_reply()?,
        calls::call_request()?,
        calls::call_reply()?,
        calls::hold_request()?,
        page_request()?,
        histogram_reply()?,
        trace_reply()?,
        trace_record()?,
        program_head()?,
        event_entry()?,
        apc_entry()?,
        lock_entry()?,
        observed_entry()?,
        step()?,
    ])
}

fn header() -> Result<Layout> {
    let sample = Header {
        session: 0x5152_5354,
    };
    layout(
        "apclab_header",
        "Begins every request. QUERY and CANCEL are the header alone; LOAD is the header and a program.",
        &sample.encode(0x4142_4348),
        vec![
            u16("version", VERSION, "APCLAB_VERSION."),
            u32(
                "length",
                0x4142_4348,
                "Of the whole request in bytes, a multiple of 8.",
            ),
            u32(
                "session",
                0x5152_5354,
                "The session; 0 in QUERY, and in LOAD for a new one.",
            ),
        ],
    )
}

fn query_reply() -> Result<Layout> {
    let limits = Limits {
        lanes: 0x2101_0101,
        registers: 0x2202_0202,
        variables: 0x2303_0303,
        events: 0x2404_0404,
        apcs: 0x2505_0505,
        observed: 0x2606_0606,
        steps_per_lane: 0x2707_0707,
        nesting: 0x2808_0808,
        outcomes: 0x2909_0909,
        trace_records_per_lane: 0x2A0A_0A0A,
    };
    let sample = QueryReply {
        dispatch: CONTEXT,
        driver: [0x0101_0101, 0x0202_0202, 0x0303_0303],
        routines: 0x0404_0404,
        kernel: [0x0505_0505, 0x0606_0606, 0x0707_0707],
        processors: 0x0808_0808,
        sessions: 0x0909_0909,
        limits,
    };
    let size = u32::try_from(QueryReply::SIZE)?;
    layout(
        "apclab_query_reply",
        "Reply to QUERY.",
        &encoded(&sample)?,
        vec![
            u16("version", VERSION, "APCLAB_VERSION of the driver."),
            u8(
                "dispatch",
                CONTEXT.to_byte(),
                "In which context the request was dispatched: APCLAB_CONTEXT_*.",
            ),
            u32("size", size, "Of this reply in bytes."),
            array32("driver", &sample.driver, "Major, minor, patch."),
            u32(
                "routines",
                sample.routines,
                "Routines found: APCLAB_ROUTINES_*.",
            ),
            array32("kernel", &sample.kernel, "Major, minor, build."),
            u32("processors", sample.processors, "Active processors."),
            u32("sessions", sample.sessions, "Sessions open on the device."),
            u32("lanes", limits.lanes, "Limits, as the driver was built."),
            u32("registers", limits.registers, ""),
            u32("variables", limits.variables, ""),
            u32("events", limits.events, ""),
            u32("apcs", limits.apcs, ""),
            u32("observed", limits.observed, ""),
            u32("steps_per_lane", limits.steps_per_lane, ""),
            u32("nesting", limits.nesting, ""),
            u32("outcomes", limits.outcomes, ""),
            u32("trace_records_per_lane", limits.trace_records_per_lane, ""),
        ],
    )
}

fn load_reply() -> Result<Layout> {
    let sample = LoadReply {
        session: 0x0101_0101,
        reason: 0x0202_0202,
        lane: 0x0303_0303,
        step: 0x0404_0404,
        offset: 0x0505_0505,
        observed: 0x0606_0606,
    };
    layout(
        "apclab_load_reply",
        "Reply to LOAD, also with APCLAB_STATUS_MALFORMED_PROGRAM, _REFUSED and _NO_APC_ROUTINES.",
        &encoded(&sample)?,
        vec![
            u32(
                "session",
                sample.session,
                "Holds the program; 0 when a new session's was refused.",
            ),
            u32(
                "reason",
                sample.reason,
                "0, or enum apclab_reason, or enum apclab_malformed.",
            ),
            u32(
                "lane",
                sample.lane,
                "A lane, 256 + an APC for its body, or APCLAB_NONE.",
            ),
            u32("step", sample.step, "A step there, or APCLAB_NONE."),
            u32(
                "offset",
                sample.offset,
                "A byte of the program, or APCLAB_NONE.",
            ),
            u32("observed", sample.observed, "Values in each outcome."),
        ],
    )
}

fn run_request() -> Result<Layout> {
    let sample = RunRequest {
        iterations: 0x0101_0101,
        deadline_ms: 0x0202_0202,
        wait_deadline_ms: 0x0303_0303,
        trace_iteration: 0x0404_0404,
        seed: 0x0505_0505_0505_0505,
        delay_us: 0x0606_0606,
    };
    layout(
        "apclab_run_request",
        "Follows the header in RUN.",
        &sample.encode(),
        vec![
            u32(
                "iterations",
                sample.iterations,
                "1 to APCLAB_MAX_ITERATIONS.",
            ),
            u32(
                "deadline_ms",
                sample.deadline_ms,
                "Of the whole run, 1 to APCLAB_MAX_RUN_DEADLINE_MS.",
            ),
            u32(
                "wait_deadline_ms",
                sample.wait_deadline_ms,
                "Of each wait, 1 to APCLAB_MAX_WAIT_DEADLINE_MS.",
            ),
            u32(
                "trace_iteration",
                sample.trace_iteration,
                "The iteration to trace, from 1; 0 for none.",
            ),
            u64("seed", sample.seed, "Of the random delays."),
            u32(
                "delay_us",
                sample.delay_us,
                "The longest random delay before a step, in microseconds; 0 for none.",
            ),
        ],
    )
}

fn run_reply() -> Result<Layout> {
    let sample = RunReply {
        ended: Ended::Deadline,
        iterations: 0x0101_0101,
        timed_out: 0x0202_0202,
        overflow: 0x0303_0303,
        outcomes: 0x0404_0404,
        trace_records: 0x0505_0505,
        trace_lost: 0x0606_0606,
        processors: 0x0707_0707,
        elapsed_100ns: 0x0808_0808_0808_0808,
        baseline: [CONTEXT; limits::LANES],
        missed_overlaps: 0x0909_0909,
    };
    layout(
        "apclab_run_reply",
        "Reply to RUN. With APCLAB_STATUS_BASELINE_DISABLED only baseline and processors say anything.",
        &encoded(&sample)?,
        vec![
            u32("ended", sample.ended as u32, "enum apclab_ended."),
            u32(
                "iterations",
                sample.iterations,
                "Done, with those that timed out.",
            ),
            u32(
                "timed_out",
                sample.timed_out,
                "Hit a wait's deadline; they are in no outcome.",
            ),
            u32(
                "overflow",
                sample.overflow,
                "Whose outcome found no place in the histogram.",
            ),
            u32("outcomes", sample.outcomes, "Different outcomes."),
            u32("trace_records", sample.trace_records, "Trace records kept."),
            u32(
                "trace_lost",
                sample.trace_lost,
                "Trace records lost for want of room.",
            ),
            u32("processors", sample.processors, "Active processors."),
            u64(
                "elapsed_100ns",
                sample.elapsed_100ns,
                "Time of the run in units of 100 ns.",
            ),
            array8(
                "baseline",
                &[CONTEXT.to_byte(); limits::LANES],
                "Each lane's context when its thread began: APCLAB_CONTEXT_*.",
            ),
            u32(
                "missed_overlaps",
                sample.missed_overlaps,
                "Barriers at which a lane came too late.",
            ),
        ],
    )
}

fn page_request() -> Result<Layout> {
    let sample = PageRequest { first: 0x0101_0101 };
    layout(
        "apclab_page_request",
        "Follows the header in HISTOGRAM and TRACE.",
        &sample.encode(),
        vec![u32(
            "first",
            sample.first,
            "The first entry wanted, counted from 0.",
        )],
    )
}

fn histogram_reply() -> Result<Layout> {
    let sample = HistogramReply {
        total: 0x0101_0101,
        returned: 0x0202_0202,
        width: 0x0303_0303,
    };
    layout(
        "apclab_histogram_reply",
        "Head of the reply to HISTOGRAM. The outcomes follow, each of APCLAB_OUTCOME_SIZE(width) bytes: a \
         count, uint64_t, and the observed values, int64_t each, in the program's order.",
        &encoded(&sample)?,
        vec![
            u32("total", sample.total, "Outcomes in the histogram."),
            u32("returned", sample.returned, "Outcomes in this reply."),
            u32("width", sample.width, "Values in each outcome."),
        ],
    )
}

fn trace_reply() -> Result<Layout> {
    let sample = TraceReply {
        total: 0x0101_0101,
        returned: 0x0202_0202,
        frequency: 0x0303_0303_0303_0303,
    };
    layout(
        "apclab_trace_reply",
        "Head of the reply to TRACE. The records follow, lane after lane.",
        &encoded(&sample)?,
        vec![
            u32("total", sample.total, "Records kept."),
            u32("returned", sample.returned, "Records in this reply."),
            u64("frequency", sample.frequency, "Ticks in a second."),
        ],
    )
}

fn trace_record() -> Result<Layout> {
    let sample = Record {
        time: 0x0101_0101_0101_0101,
        sequence: 0x0202_0202,
        step: 0x0303_0303,
        lane: 0x04,
        kind: Kind::End,
        apc: 0x06,
        context: CONTEXT,
        value: 0x0707_0707_0707_0707,
    };
    layout(
        "apclab_trace_record",
        "One record of a trace.",
        &encoded(&sample)?,
        vec![
            u64("time", sample.time, "Performance counter, ticks."),
            u32(
                "sequence",
                sample.sequence,
                "Place in the order of all lanes' records.",
            ),
            u32("step", sample.step, "Or APCLAB_NO_STEP."),
            u8("lane", sample.lane, "In whose thread it happened."),
            u8("kind", sample.kind as u8, "enum apclab_trace_kind."),
            u8("apc", sample.apc, "Or APCLAB_NO_APC."),
            u8(
                "context",
                CONTEXT.to_byte(),
                "In which it happened: APCLAB_CONTEXT_*.",
            ),
            i64("value", sample.value, "What the step answered."),
        ],
    )
}

fn program_head() -> Result<Layout> {
    let steps: Vec<u32> = (1..=limits::LANES)
        .map(|lane| u32::try_from(lane).map(|lane| lane * 0x111))
        .collect::<Result<_, _>>()?;
    let event = Event {
        kind: EventKind::Notification,
        signaled: false,
    };
    let apc = Apc {
        kind: ApcKind::Special,
        lane: 0,
    };
    let program = ProgramBuf {
        variables: vec![0; 0x11],
        events: vec![event; 0x12],
        apcs: vec![apc; 0x13],
        locks: vec![LockKind::FastMutex; 0x14],
        observed: vec![Observed::Variable(0); 0x15],
        lanes: steps
            .iter()
            .map(|&steps| vec![Step::Barrier; steps as usize])
            .collect(),
        raw: vec![true; limits::LANES],
        callers: vec![true; limits::LANES],
        flags: 0x16,
        ..ProgramBuf::default()
    };
    let bytes = program.encode();
    let lanes = u8::try_from(limits::LANES)?;
    layout(
        "apclab_program_head",
        "Begins a program. Its tables follow, of 8-byte entries: initial values of the variables (int64_t), \
         events, APCs, locks, observed values; then the steps, lane after lane and then APC after APC.",
        &bytes[..HEAD_SIZE],
        vec![
            u32("magic", MAGIC, "APCLAB_PROGRAM_MAGIC."),
            u16("format", FORMAT, "APCLAB_PROGRAM_FORMAT."),
            u8("lanes", lanes, "Lanes."),
            u8("variables", 0x11, "Variables."),
            u8("events", 0x12, "Events."),
            u8("apcs", 0x13, "APCs."),
            u8("observed", 0x15, "Observed values."),
            u8("locks", 0x14, "Locks."),
            u32(
                "length",
                u32::try_from(bytes.len())?,
                "Of the whole program in bytes.",
            ),
            array32("steps", &steps, "Steps of each lane; 0 past the last."),
            u8(
                "raw",
                u8::try_from((1_u32 << limits::LANES) - 1)?,
                "Bit i is set when lane i is raw.",
            ),
            u8("flags", 0x16, "APCLAB_PROGRAM_MAY_DEADLOCK, _POLLED."),
            u8(
                "callers",
                u8::try_from((1_u32 << limits::LANES) - 1)?,
                "Bit i is set when lane i runs in a thread of user mode.",
            ),
        ],
    )
}

/// The entry of a program that has nothing but that one.
fn entry(program: &ProgramBuf) -> Vec<u8> {
    let bytes = program.encode();
    bytes[HEAD_SIZE..HEAD_SIZE + 8].to_vec()
}

fn event_entry() -> Result<Layout> {
    let program = ProgramBuf {
        events: vec![Event {
            kind: EventKind::Synchronization,
            signaled: true,
        }],
        ..ProgramBuf::default()
    };
    layout(
        "apclab_event",
        "An event in a program.",
        &entry(&program),
        vec![
            u8("kind", 1, "enum apclab_event_kind."),
            u8("signaled", 1, "Whether it begins signaled."),
        ],
    )
}

fn apc_entry() -> Result<Layout> {
    let program = ProgramBuf {
        apcs: vec![Apc {
            kind: ApcKind::Normal,
            lane: 3,
        }],
        bodies: vec![vec![Step::Barrier; 5]],
        ..ProgramBuf::default()
    };
    layout(
        "apclab_apc",
        "An APC in a program.",
        &entry(&program),
        vec![
            u8("kind", 1, "enum apclab_apc_kind."),
            u8("lane", 3, "In whose thread it runs."),
            u32("body_steps", 5, "Steps of its body."),
        ],
    )
}

fn lock_entry() -> Result<Layout> {
    let program = ProgramBuf {
        locks: vec![LockKind::Mutex],
        ..ProgramBuf::default()
    };
    layout(
        "apclab_lock",
        "A lock in a program.",
        &entry(&program),
        vec![u8("kind", 2, "enum apclab_lock_kind.")],
    )
}

fn observed_entry() -> Result<Layout> {
    let program = ProgramBuf {
        observed: vec![Observed::ApcRegister {
            apc: 3,
            register: 4,
        }],
        ..ProgramBuf::default()
    };
    layout(
        "apclab_observed",
        "An observed value in a program.",
        &entry(&program),
        vec![
            u8("kind", 2, "enum apclab_observed_kind."),
            u8(
                "owner",
                3,
                "The lane or the APC whose register it is, or 0.",
            ),
            u8("index", 4, "The register or the variable."),
        ],
    )
}

fn step() -> Result<Layout> {
    let constant = 0x0707_0707_0707_0707;
    let mut sample = Step::Store {
        variable: 3,
        from: Some(4),
        constant,
    }
    .encode();
    // No step uses all fields.
    let block = Step::Repeat {
        count: 1,
        length: 0x0505_0505,
    };
    let only = Step::Repeat {
        count: 1,
        length: 0,
    }
    .encode();
    for ((byte, with), without) in sample.iter_mut().zip(block.encode()).zip(only) {
        *byte |= with ^ without;
    }
    layout(
        "apclab_step",
        "A step of a lane or of an APC's body.",
        &sample,
        vec![
            u8("op", Op::Store as u8, "enum apclab_op."),
            u8("to", 0xFF, "Destination register, or APCLAB_NO_REGISTER."),
            u8("index", 3, "Of the variable, event, APC or lock, or 0."),
            u8(
                "from",
                4,
                "Source register, enum apclab_mode, enum apclab_wait_mode, or lane; or APCLAB_NO_REGISTER.",
            ),
            u32(
                "length",
                0x0505_0505,
                "Steps in the block that it begins, or 0.",
            ),
            i64(
                "constant",
                constant,
                "A constant, a time-out in ms, or a count.",
            ),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_lie_where_the_sample_has_them() {
        let sample = [1, 0, 0, 0, 5, 6, 7, 8, 0, 0, 0, 0];
        let made = layout(
            "s",
            "",
            &sample,
            vec![u8("a", 1, ""), u32("b", 0x0807_0605, "")],
        );
        let found: Vec<_> = made
            .expect("it is as told")
            .members
            .into_iter()
            .map(|member| (member.name, member.offset, member.count))
            .collect();
        assert_eq!(
            found,
            [
                ("a".to_owned(), 0, None),
                ("reserved0".to_owned(), 1, Some(3)),
                ("b".to_owned(), 4, None),
                ("reserved1".to_owned(), 8, Some(4)),
            ]
        );
    }

    #[test]
    fn a_field_that_is_elsewhere_or_missing_is_noticed() {
        for (sample, problem) in [
            ([1, 0, 2, 0], "at offset 2 is not b"),
            ([1, 0, 0, 3], "at offset 3 is not b"),
            ([1, 3, 9, 0], "no field is named for what is at offset 2"),
        ] {
            let fields = vec![u8("a", 1, ""), u8("b", 3, "")];
            let made = layout("s", "", &sample, fields);
            if sample == [1, 0, 0, 3] {
                assert!(made.is_ok(), "a gap is reserved");
                continue;
            }
            let error = made.expect_err("the layout is another").to_string();
            assert!(error.contains(problem), "{error}");
        }
        let made = layout(
            "s",
            "",
            &[1, 3, 3],
            vec![u8("a", 1, ""), u16("b", 0x0303, "")],
        );
        let error = made.expect_err("b is not aligned").to_string();
        assert!(error.contains("not aligned"), "{error}");
    }
}
