//! `apclab run`: runs litmus tests and judges what they do.

use std::time::Duration;

use apclab_client::model::Mode;
use apclab_client::{Prediction, RunOptions, RunOutcome, RunResult, Target, TargetError};
use apclab_litmus::{Expectation, Test};
use apclab_protocol::message::Context;

use crate::args::{Format, RunArgs};
use crate::failure::{self, Failure};
use crate::input::{self, Input};
use crate::out::Out;
use crate::report::{Document, RunBody, TargetReport, TestReport};
use crate::verdict::{Judgement, Problem, Verdict, judge};
use crate::{describe, histogram, table, target};

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
    let mut target = target::open(&args.target, mode)?;
    let info = target.info()?;
    let options = args.limits.options();
    let text = args.target.format == Format::Text;
    let mut records = Vec::new();
    for input in &inputs {
        let record = run_one(target.as_mut(), input, &options)?;
        if text {
            print(&record, out);
            out.flush();
        }
        records.push(record);
    }
    let ended = target.finish();
    let count = |verdict| {
        let same = |record: &&Record<'_>| record.judgement.verdict == verdict;
        records.iter().filter(same).count()
    };
    let code = if ended.is_ok() && count(Verdict::Failed) == 0 {
        failure::OK
    } else {
        failure::FAILED
    };
    if text {
        summary(&records, out);
        let verdicts = [
            Verdict::Ok,
            Verdict::NotObserved,
            Verdict::NotRunnable,
            Verdict::Failed,
        ];
        let counted: Vec<String> = verdicts
            .into_iter()
            .filter(|verdict| *verdict == Verdict::Ok || count(*verdict) > 0)
            .map(|verdict| format!("{} {}", count(verdict), out.verdict(verdict)))
            .collect();
        let (all, name) = (records.len(), target.name());
        out.line(&format!("{all} tests on {name}: {}", counted.join(", ")));
        if let Err(error) = ended {
            out.line(&format!("{}: {error}", out.verdict(Verdict::Failed)));
        }
    } else {
        let tests = records.iter().map(TestReport::of).collect();
        let report = TargetReport::of(target.name(), &info);
        let error = ended.err().map(|error| error.to_string());
        out.json(&Document::new(
            "run",
            report,
            code,
            error,
            RunBody { tests },
        ));
    }
    Ok(code)
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
        Err(error) if error.is_unavailable() => return Err(error.into()),
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

/// Prints one test: the histogram in litmus7's format, then what is to be said about it.
fn print(record: &Record<'_>, out: &mut Out) {
    let test = record.test();
    let names = describe::observed_names(test);
    let name = &test.name;
    match (&test.expectation, record.result()) {
        (Expectation::Condition(condition), Some(result)) => {
            let states = &result.histogram;
            out.text(&histogram::text(
                name,
                condition,
                &names,
                states,
                result.elapsed,
            ));
        }
        (Expectation::Condition(condition), None) => {
            out.line(&format!(
                "Test {name} {}",
                histogram::kind(condition.quantifier)
            ));
        }
        (Expectation::Refused { .. }, _) => out.line(&format!("Test {name} Refused")),
    }
    if let Some(RunOutcome::Refused(refusal)) = &record.outcome {
        if record.judgement.verdict == Verdict::Ok {
            out.line(&describe::refusal(test, refusal));
        } else {
            out.line(&test.render_refusal(refusal, &record.input.source));
        }
    }
    for problem in &record.judgement.problems {
        // The text of litmus7 has said so.
        if *problem != Problem::Violated {
            out.line(&describe::problem(test, problem));
        }
    }
    for note in &record.judgement.notes {
        out.line(&describe::note(test, note));
    }
    let verdict = out.verdict(record.judgement.verdict);
    out.line(&format!("Verdict {name} {verdict}\n"));
}

/// Prints the table of all tests.
fn summary(records: &[Record<'_>], out: &mut Out) {
    let mut rows = table::Table::new(out, &["test", "states", "iterations", "time", "verdict"]);
    for record in records {
        let result = record.result();
        let cell = |of: &dyn Fn(&RunResult) -> String| result.map_or_else(String::new, of);
        rows.row([
            record.test().name.clone(),
            cell(&|result| result.histogram.len().to_string()),
            cell(&iterations),
            cell(&|result| seconds(result.elapsed)),
            record.judgement.verdict.name().to_owned(),
        ]);
    }
    out.line(&rows.to_string());
}

fn iterations(result: &RunResult) -> String {
    if result.exhaustive {
        "all".to_owned()
    } else {
        result.iterations.to_string()
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}
