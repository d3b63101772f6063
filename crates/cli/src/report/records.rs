//! Traces as JSON.

use apclab_client::RunResult;
use apclab_litmus::Test;
use apclab_protocol::trace::{Kind, NO_APC, NO_STEP, Record};
use serde::Serialize;

use super::ContextReport;

/// The body of `trace`.
#[derive(Serialize)]
pub(crate) struct TraceBody {
    name: String,
    file: String,
    /// Ticks of the clock in a second; 0 when the times are no times.
    frequency: u64,
    lost: u32,
    records: Vec<RecordReport>,
}

impl TraceBody {
    pub(crate) fn of(test: &Test, result: &RunResult) -> Self {
        Self {
            name: test.name.clone(),
            file: test.file.clone(),
            frequency: result.trace_frequency,
            lost: result.trace_lost,
            records: result.trace.iter().map(RecordReport::of).collect(),
        }
    }
}

/// One record of a trace; lanes, steps and APCs are counted from 0.
#[derive(Serialize)]
pub(crate) struct RecordReport {
    time: u64,
    lane: u8,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    apc: Option<u8>,
    value: i64,
    context: ContextReport,
}

impl RecordReport {
    pub(crate) fn of(record: &Record) -> Self {
        Self {
            time: record.time,
            lane: record.lane,
            kind: match record.kind {
                Kind::Begin => "begin",
                Kind::Step => "step",
                Kind::Done => "done",
                Kind::Inserted => "inserted",
                Kind::KernelRoutine => "kernel-routine",
                Kind::NormalRoutine => "normal-routine",
                Kind::TimedOut => "timed-out",
                Kind::End => "end",
                Kind::Acquired => "acquired",
            },
            step: (record.step != NO_STEP).then_some(record.step),
            apc: (record.apc != NO_APC).then_some(record.apc),
            value: record.value,
            context: ContextReport::of(record.context),
        }
    }
}
