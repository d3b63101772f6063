//! `apclab run`: runs litmus tests and judges what they do.

mod attempt;
mod faults;
mod html;
mod junit;
mod progress;
mod text;

use apclab_client::model::Mode;
use apclab_client::{Info, Prediction, RunOutcome, RunResult};
use apclab_litmus::Test;

use self::attempt::Plan;
use crate::args::{RunArgs, RunFormat};
use crate::failure::{self, Failure};
use crate::input::{self, Input};
use crate::log::{self, Log, Turn};
use crate::out::Out;
use crate::report::{CoverageReport, Document, RunBody, TargetReport, TestReport};
use crate::target;
use crate::verdict::{Coverage, Judgement, Verdict};

/// A test, what came of it and what to think of that.
pub(crate) struct Record<'a> {
    pub(crate) input: &'a Input,
    /// What it gave, when the target answered.
    pub(crate) outcome: Option<RunOutcome>,
    /// What the model allows, when it was asked and knows.
    pub(crate) prediction: Option<Prediction>,
    pub(crate) judgement: Judgement,
    /// A run that shows what should not be, where there is one.
    pub(crate) evidence: Option<Evidence>,
}

/// A traced iteration that shows an outcome which should not be.
pub(crate) struct Evidence {
    pub(crate) outcome: Vec<i64>,
    pub(crate) result: RunResult,
}

impl Record<'_> {
    pub(crate) const fn test(&self) -> &Test {
        &self.input.test
    }

    pub(crate) const fn result(&self) -> Option<&RunResult> {
        match &self.outcome {
            Some(RunOutcome::Ran(result)) => Some(result),
            _ => None,
        }
    }
}

/// Runs the command; gives the exit code.
///
/// # Errors
/// [`Failure`]: bad input, or a target that cannot be used.
pub(crate) fn run(args: &RunArgs, out: &mut Out) -> Result<u8, Failure> {
    let inputs = input::read(&args.paths)?;
    let mode = match args.limits.iterations {
        None => Mode::Exhaustive,
        Some(_) => Mode::Sampling,
    };
    if args.fail.is_some() || args.fail_each {
        return faults::run(args, &inputs, out);
    }
    let plan = Plan::of(args)?;
    let mut target = target::open(&args.target, mode)?;
    let info = target.info()?;
    let mut log = Log::of_run(args, target.name())?;
    let bar = progress::bar(inputs.len());
    let mut records = Vec::new();
    for input in &inputs {
        bar.set_message(input.test.name.clone());
        let id = log::id(input);
        let record = match log.turn(&id) {
            Turn::Ended => {
                bar.inc(1);
                continue;
            }
            Turn::Stopped(why) => Record {
                input,
                outcome: None,
                prediction: None,
                judgement: Judgement::no_answer(why),
                evidence: None,
            },
            Turn::Now => {
                log.begin(&id, &plan.options)?;
                let record = attempt::run(target.as_mut(), input, &plan);
                let verdict = record
                    .as_ref()
                    .map(|record| record.judgement.verdict.name());
                log.end(&id, verdict.ok())?;
                record?
            }
        };
        if args.format == RunFormat::Text {
            bar.suspend(|| {
                text::print(&record, out);
                out.flush();
            });
        }
        records.push(record);
        bar.inc(1);
    }
    bar.finish_and_clear();
    log.done()?;
    let before = log.before(|id| inputs.iter().any(|input| log::id(input) == *id));
    let failed_before = before.as_deref().is_some_and(log::has_failures);
    let error = target.finish().err().map(|error| error.to_string());
    let failed = |record: &Record<'_>| record.judgement.verdict == Verdict::Failed;
    let code = if error.is_none() && !records.iter().any(failed) && !failed_before {
        failure::OK
    } else {
        failure::FAILED
    };
    let name = target.name();
    match args.format {
        RunFormat::Text => {
            text::summary(&records, out);
            if let Some(line) = text::sampled(&records, &info) {
                out.line(&line);
            }
            for line in before.as_deref().map(log::lines).unwrap_or_default() {
                out.line(&line);
            }
            text::total(&records, name, error.as_deref(), out);
        }
        RunFormat::Json => {
            let tests = records.iter().map(TestReport::of).collect();
            let report = TargetReport::of(name, &info);
            let body = RunBody {
                ended_before: before,
                coverage: coverage(&records).map(CoverageReport::of),
                tests,
            };
            out.json(&Document::new("run", report, code, error, body));
        }
        RunFormat::Junit => {
            let report = junit::report(&records, name, error.as_deref());
            out.text(&report.map_err(|why| Failure::Report(why.to_string()))?);
        }
        RunFormat::Html => {
            out.text(&html::page(
                &records,
                name,
                &about(&info, &records),
                error.as_deref(),
            ));
        }
    }
    Ok(code)
}

/// The target in words, and what is to be known of its samples.
fn about(info: &Info, records: &[Record<'_>]) -> String {
    match text::sampled(records, info) {
        Some(sampled) => format!("{}; {sampled}", info.description),
        None => info.description.clone(),
    }
}

/// What the sampled tests have seen together of what is allowed.
pub(crate) fn coverage(records: &[Record<'_>]) -> Option<Coverage> {
    let each = records
        .iter()
        .filter_map(|record| record.judgement.coverage);
    each.reduce(|sum, coverage| sum + coverage)
}
