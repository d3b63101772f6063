//! `apclab run`: runs litmus tests and judges what they do.

mod faults;
mod html;
mod junit;
mod progress;
mod text;

use apclab_client::model::Mode;
use apclab_client::schedules::Schedules;
use apclab_client::{Prediction, RunOptions, RunOutcome, RunResult, Target, TargetError};
use apclab_litmus::Test;
use apclab_protocol::message::Context;

use crate::args::{On, RunArgs, RunFormat, Schedule};
use crate::failure::{self, Failure};
use crate::input::{self, Input};
use crate::log::{self, Log, Turn};
use crate::out::Out;
use crate::report::{Document, RunBody, TargetReport, TestReport};
use crate::target;
use crate::verdict::{Judgement, Verdict, judge};

/// A test, what came of it and what to think of that.
pub(crate) struct Record<'a> {
    pub(crate) input: &'a Input,
    /// What it gave, when the target answered.
    pub(crate) outcome: Option<RunOutcome>,
    /// What the model allows, when it was asked and knows.
    pub(crate) prediction: Option<Prediction>,
    pub(crate) judgement: Judgement,
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
    let mut target = open(args, mode)?;
    let info = target.info()?;
    let options = RunOptions {
        trace_iteration: (args.format == RunFormat::Html).then_some(1),
        ..args.limits.options()
    };
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
            },
            Turn::Now => {
                log.begin(&id, &options)?;
                let record = run_one(target.as_mut(), input, &options);
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
                &info.description,
                error.as_deref(),
            ));
        }
    }
    Ok(code)
}

/// Opens the target with the schedules that are asked for.
fn open(args: &RunArgs, mode: Mode) -> Result<Box<dyn Target>, Failure> {
    let schedules = match args.schedule {
        None => return target::open(&args.target, mode),
        Some(Schedule::Random(seed)) => Schedules::Random(seed),
        Some(Schedule::All) => Schedules::All(args.schedules),
    };
    if args.target.on != On::Host {
        return Err(Failure::Input(vec![
            "error: only --on host has schedules; the model takes every path".to_owned(),
        ]));
    }
    let host = target::host(&args.target)?;
    Ok(Box::new(host.with_schedules(schedules)))
}

/// Runs and judges one test. A target that answers no more is a failure of the test.
fn run_one<'a>(
    target: &mut dyn Target,
    input: &'a Input,
    options: &RunOptions,
) -> Result<Record<'a>, Failure> {
    let test = &input.test;
    let outcome = match target.run(&test.program, options) {
        Ok(outcome) => outcome,
        Err(error) if error.is_unavailable() || error == TargetError::Interrupted => {
            return Err(error.into());
        }
        Err(error) => {
            return Ok(Record {
                input,
                outcome: None,
                prediction: None,
                judgement: Judgement::no_answer(error.to_string()),
            });
        }
    };
    let prediction = match &outcome {
        RunOutcome::Ran(result) => predict(test, &result.baseline),
        _ => Err(TargetError::Failed("it did not run".to_owned())),
    };
    let reason = prediction.as_ref().map_err(ToString::to_string);
    let judgement = judge(
        &test.expectation,
        &outcome,
        reason.as_ref().map(|p| *p).map_err(String::as_str),
    );
    Ok(Record {
        input,
        outcome: Some(outcome),
        judgement,
        prediction: prediction.ok(),
    })
}

fn predict(test: &Test, baseline: &[Context]) -> Result<Prediction, TargetError> {
    Prediction::of(&test.program, baseline)
}
