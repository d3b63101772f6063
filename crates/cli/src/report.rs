//! The JSON document of every command. It says what it is: schema and version come first.

mod matrix;
mod records;
mod target;

use apclab_client::{Prediction, RunOutcome, RunResult};
use apclab_litmus::{Condition, Expectation, Test};
use apclab_protocol::program::Place;
use apclab_protocol::verify::{Reason, Refusal};
use serde::{Deserialize, Serialize};

use crate::describe;
use crate::run::Record;
use crate::verdict::Coverage;

pub(crate) use matrix::{Cell, Deliveries, Gap, MEASURE, MatrixBody, RowReport};
pub(crate) use records::{RecordReport, TraceBody};
pub(crate) use target::{ContextReport, TargetReport};

/// What `schema` says.
pub(crate) const SCHEMA: &str = "apclab-report";
/// Version of the schema. It grows with every change that a reader could stumble over.
pub(crate) const SCHEMA_VERSION: u32 = 2;

/// A whole document: what every command says, and what this one does.
#[derive(Serialize)]
pub(crate) struct Document<B> {
    #[serde(flatten)]
    identity: Identity,
    exit_code: u8,
    /// Why the target could not be ended in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// What ran the programs, for a command that has any run.
    #[serde(flatten)]
    origin: Option<Origin>,
    #[serde(flatten)]
    body: B,
}

/// What a document says of itself, first.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) schema: String,
    pub(crate) schema_version: u32,
    pub(crate) apclab_version: String,
    pub(crate) command: String,
}

/// Where a document's measurements come from.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) target: TargetReport,
}

impl<B> Document<B> {
    pub(crate) fn new(
        command: &'static str,
        target: TargetReport,
        exit_code: u8,
        error: Option<String>,
        body: B,
    ) -> Self {
        Self {
            identity: Identity::of(command),
            exit_code,
            error,
            origin: Some(Origin { target }),
            body,
        }
    }

    /// A document of a command that has come to its end and had nothing run.
    pub(crate) fn without_target(command: &'static str, exit_code: u8, body: B) -> Self {
        Self {
            identity: Identity::of(command),
            exit_code,
            error: None,
            origin: None,
            body,
        }
    }
}

impl Identity {
    fn of(command: &str) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            schema_version: SCHEMA_VERSION,
            apclab_version: env!("CARGO_PKG_VERSION").to_owned(),
            command: command.to_owned(),
        }
    }
}

/// The body of `run`.
#[derive(Serialize)]
pub(crate) struct RunBody {
    /// The tests that had ended before the run was resumed, when it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ended_before: Option<Vec<EndedReport>>,
    /// What all samples together have seen of what is allowed, where there were samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) coverage: Option<CoverageReport>,
    pub(crate) tests: Vec<TestReport>,
}

/// How many of the allowed outcomes were seen.
#[derive(Serialize)]
pub(crate) struct CoverageReport {
    seen: usize,
    allowed: usize,
    per_cent: usize,
}

impl CoverageReport {
    pub(crate) fn of(coverage: Coverage) -> Self {
        Self {
            seen: coverage.seen,
            allowed: coverage.allowed,
            per_cent: coverage.per_cent(),
        }
    }
}

/// A traced iteration that shows what should not be.
#[derive(Serialize)]
struct EvidenceReport {
    outcome: Vec<i64>,
    records: Vec<RecordReport>,
}

/// A test of which only the journal knows.
#[derive(Serialize)]
pub(crate) struct EndedReport {
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) verdict: String,
}

/// One test.
#[derive(Serialize)]
pub(crate) struct TestReport {
    name: String,
    file: String,
    description: String,
    shows: Vec<String>,
    tags: Vec<String>,
    expectation: ExpectationReport,
    verdict: &'static str,
    problems: Vec<String>,
    notes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<RefusalReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<ResultReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<ModelReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    coverage: Option<CoverageReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<EvidenceReport>,
}

impl TestReport {
    pub(crate) fn of(record: &Record<'_>) -> Self {
        let test = record.test();
        let judgement = &record.judgement;
        let problems = judgement.problems.iter();
        let notes = judgement.notes.iter();
        let prediction = record.prediction.as_ref();
        Self {
            name: test.name.clone(),
            file: test.file.clone(),
            description: test.description.clone(),
            shows: test.shows.clone(),
            tags: test.tags.clone(),
            expectation: ExpectationReport::of(test),
            verdict: judgement.verdict.name(),
            problems: problems.map(|p| describe::problem(test, p)).collect(),
            notes: notes.map(|note| describe::note(test, note)).collect(),
            refusal: match &record.outcome {
                Some(RunOutcome::Refused(refusal)) => Some(RefusalReport::of(test, refusal)),
                _ => None,
            },
            result: record
                .result()
                .map(|result| ResultReport::of(test, result, prediction)),
            model: prediction.map(ModelReport::of),
            coverage: judgement.coverage.map(CoverageReport::of),
            evidence: record.evidence.as_ref().map(|evidence| EvidenceReport {
                outcome: evidence.outcome.clone(),
                records: evidence.result.trace.iter().map(RecordReport::of).collect(),
            }),
        }
    }
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum ExpectationReport {
    Condition { text: String },
    Refused(RefusalReport),
}

impl ExpectationReport {
    fn of(test: &Test) -> Self {
        match &test.expectation {
            Expectation::Condition(condition) => Self::Condition {
                text: condition.to_string(),
            },
            Expectation::Refused {
                reason,
                place,
                step,
            } => Self::Refused(RefusalReport::at(test, *reason, *place, *step)),
        }
    }
}

/// A refusal. The lane, or the APC whose body it is, and the step are counted from 0; the place is
/// line and column from 1.
#[derive(Serialize)]
struct RefusalReport {
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    lane: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_of_apc: Option<u8>,
    step: usize,
    place: String,
}

impl RefusalReport {
    fn of(test: &Test, refusal: &Refusal) -> Self {
        Self::at(test, refusal.reason, refusal.place, refusal.step as usize)
    }

    fn at(test: &Test, reason: Reason, place: Place, step: usize) -> Self {
        let (lane, body_of_apc) = match place {
            Place::Lane(lane) => (Some(lane), None),
            Place::Body(apc) => (None, Some(apc)),
        };
        Self {
            reason: reason.name(),
            lane,
            body_of_apc,
            step,
            place: test.place_of(place, step).to_string(),
        }
    }
}

/// What a run gave.
#[derive(Serialize)]
struct ResultReport {
    observed: Vec<String>,
    histogram: Vec<StateReport>,
    exhaustive: bool,
    /// Whether waits for locks were loops of tries.
    polled: bool,
    iterations: u32,
    cut_short: bool,
    timed_out: u32,
    overflow: u32,
    missed_overlaps: u32,
    deadlocks: u64,
    /// Who waited for whom in the first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    deadlock: Option<String>,
    /// The schedule that led there first, for a run that had schedules.
    #[serde(skip_serializing_if = "Option::is_none")]
    deadlock_schedule: Option<String>,
    bug_checks: Vec<String>,
    seconds: f64,
    baseline: Vec<ContextReport>,
    /// Whether every schedule was tried, for a run that had schedules.
    #[serde(skip_serializing_if = "Option::is_none")]
    every_schedule: Option<bool>,
}

/// One state, whether it satisfies the condition's formula, and whether the profiles have it.
#[derive(Serialize)]
struct StateReport {
    values: Vec<i64>,
    count: u64,
    satisfies: Option<bool>,
    documented: Option<bool>,
    nt52: Option<bool>,
    /// The schedule that showed it first, for a run that had schedules.
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,
}

impl ResultReport {
    fn of(test: &Test, result: &RunResult, prediction: Option<&Prediction>) -> Self {
        let condition: Option<&Condition> = match &test.expectation {
            Expectation::Condition(condition) => Some(condition),
            Expectation::Refused { .. } => None,
        };
        let scheduled = result.schedules.as_ref();
        let state = |(values, count): &(Vec<i64>, u64)| StateReport {
            values: values.clone(),
            count: *count,
            satisfies: condition.map(|condition| condition.holds_for(values)),
            documented: prediction.map(|known| known.documented.contains(values)),
            nt52: prediction.map(|known| known.nt52.contains(values)),
            schedule: scheduled
                .and_then(|scheduled| scheduled.first.get(values))
                .map(ToString::to_string),
        };
        Self {
            observed: describe::observed_names(test),
            histogram: result.histogram.iter().map(state).collect(),
            exhaustive: result.exhaustive,
            polled: result.polled,
            iterations: result.iterations,
            cut_short: result.cut_short,
            timed_out: result.timed_out,
            overflow: result.overflow,
            missed_overlaps: result.missed_overlaps,
            deadlocks: result.deadlocks,
            deadlock: result.deadlock.clone(),
            deadlock_schedule: scheduled
                .and_then(|scheduled| scheduled.deadlock.as_ref())
                .map(ToString::to_string),
            bug_checks: result.bug_checks.clone(),
            seconds: result.elapsed.as_secs_f64(),
            every_schedule: scheduled.map(|scheduled| scheduled.complete),
            baseline: result
                .baseline
                .iter()
                .copied()
                .map(ContextReport::of)
                .collect(),
        }
    }
}

/// What the model allows.
#[derive(Serialize)]
struct ModelReport {
    documented: Vec<Vec<i64>>,
    nt52: Vec<Vec<i64>>,
    deadlocks: u64,
    states: u64,
    transitions: u64,
}

impl ModelReport {
    fn of(prediction: &Prediction) -> Self {
        Self {
            documented: prediction.documented.iter().cloned().collect(),
            nt52: prediction.nt52.iter().cloned().collect(),
            deadlocks: prediction.deadlocks,
            states: prediction.states,
            transitions: prediction.transitions,
        }
    }
}
