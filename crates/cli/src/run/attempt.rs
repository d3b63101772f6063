//! Runs and judges one test: how its lanes are scheduled, a second attempt at what was not observed,
//! and the trace of what should not have been.

mod evidence;
mod plan;

use apclab_client::schedules::Schedules;
use apclab_client::{Prediction, RunOptions, RunOutcome, RunResult, Target, TargetError};
use apclab_litmus::Test;
use apclab_protocol::message::Context;

use self::evidence::evidence;
use super::Record;
use crate::args::On;
use crate::failure::Failure;
use crate::input::Input;
use crate::verdict::{Case, Judgement, Note, Verdict, judge};

pub(super) use self::plan::Plan;

/// The attempts at an `exists` that free lanes have not shown: how many iterations, by priorities or
/// by random choices, on top of those before. Most need a few.
const ATTEMPTS: [(Turns, u32); 4] = [
    (Turns::Random, 50),
    (Turns::Priorities, 50),
    (Turns::Random, 150),
    (Turns::Priorities, 150),
];

/// How many events have to come in a certain order, for attempts by priorities.
const DEPTH: u32 = 3;

/// By what the attempts choose.
#[derive(Clone, Copy)]
enum Turns {
    Random,
    Priorities,
}

/// Runs and judges one test. A target that answers no more is a failure of the test.
///
/// # Errors
/// [`Failure::Target`]: the target cannot be used, or the user has interrupted the run.
pub(super) fn run<'a>(
    target: &mut dyn Target,
    input: &'a Input,
    plan: &Plan,
) -> Result<Record<'a>, Failure> {
    match try_run(target, input, plan) {
        Ok(record) => Ok(record),
        Err(error) if error.is_unavailable() || error == TargetError::Interrupted => {
            Err(error.into())
        }
        Err(error) => Ok(Record {
            input,
            outcome: None,
            prediction: None,
            judgement: Judgement::no_answer(error.to_string()),
            evidence: None,
        }),
    }
}

fn try_run<'a>(
    target: &mut dyn Target,
    input: &'a Input,
    plan: &Plan,
) -> Result<Record<'a>, TargetError> {
    let test = &input.test;
    let schedules = plan.schedules(test);
    let mut outcome = match &schedules {
        Some(schedules) => {
            let options = RunOptions {
                iterations: plan.scheduled_iterations(),
                ..plan.options
            };
            target.run_scheduled(&test.program, &options, schedules)?
        }
        None => target.run(&test.program, &plan.free_options(test))?,
    };
    let prediction = match &outcome {
        RunOutcome::Ran(result) => predict(test, &result.baseline),
        _ => Err(TargetError::Failed("it did not run".to_owned())),
    };
    let reason = prediction.as_ref().map_err(ToString::to_string);
    let reason = reason.as_ref().map(|p| *p).map_err(String::as_str);
    let case = Case {
        expectation: &test.expectation,
        unjudged: plan.unjudged(test),
        polled: plan.options.polled,
    };
    let mut judgement = judge(case, &outcome, reason);
    let mut notes = Vec::new();
    match (&schedules, &mut outcome) {
        (Some(first), RunOutcome::Ran(_)) if plan.schedules.is_none() => {
            notes.push(Note::ScheduledByDefault(first.to_string()));
        }
        (None, RunOutcome::Ran(_))
            if plan.on == On::Host && !plan.free && judgement.verdict == Verdict::NotObserved
                // The host is such a machine: it will not be observed there.
                && !judgement.notes.contains(&Note::NotInNt52) =>
        {
            let free = outcome.clone();
            (outcome, judgement) = attempts(
                target,
                test,
                plan,
                free,
                |outcome| judge(case, outcome, reason),
                &mut notes,
            )?;
        }
        _ => {}
    }
    let evidence = match &outcome {
        RunOutcome::Ran(result) if !judgement.wrong.is_empty() => {
            evidence(target, input, plan, result, &judgement, &mut notes)?
        }
        _ => None,
    };
    judgement.notes.extend(notes);
    Ok(Record {
        input,
        outcome: Some(outcome),
        judgement,
        prediction: prediction.ok(),
        evidence,
    })
}

/// Schedules a test whose free lanes have not shown what its condition looks for, until they do.
fn attempts(
    target: &mut dyn Target,
    test: &Test,
    plan: &Plan,
    free: RunOutcome,
    judge: impl Fn(&RunOutcome) -> Judgement,
    notes: &mut Vec<Note>,
) -> Result<(RunOutcome, Judgement), TargetError> {
    let mut sum = free;
    let (mut more_iterations, mut seed) = (0, plan.options.seed);
    let mut last = None;
    let mut judgement = judge(&sum);
    for (turns, iterations) in ATTEMPTS {
        let options = RunOptions {
            iterations,
            ..plan.options
        };
        let schedules = match turns {
            Turns::Random => Schedules::Random(seed),
            Turns::Priorities => Schedules::Pct { seed, depth: DEPTH },
        };
        seed = seed.wrapping_add(iterations.into());
        let RunOutcome::Ran(more) = target.run_scheduled(&test.program, &options, &schedules)?
        else {
            break;
        };
        more_iterations += more.iterations;
        last = Some(schedules);
        if let RunOutcome::Ran(sum) = &mut sum {
            add(sum, more);
        }
        judgement = judge(&sum);
        if judgement.verdict != Verdict::NotObserved {
            break;
        }
    }
    if let (Some(last), RunOutcome::Ran(result)) = (last, &sum) {
        let free = result.iterations - more_iterations;
        notes.push(Note::SecondAttempt(free, more_iterations, last.to_string()));
    }
    Ok((sum, judgement))
}

/// Adds what more iterations gave; the trace stays that of the first.
fn add(sum: &mut RunResult, more: RunResult) {
    for (outcome, count) in more.histogram {
        match sum
            .histogram
            .binary_search_by(|(seen, _)| seen.cmp(&outcome))
        {
            Ok(place) => sum.histogram[place].1 += count,
            Err(place) => sum.histogram.insert(place, (outcome, count)),
        }
    }
    sum.iterations = sum.iterations.saturating_add(more.iterations);
    sum.timed_out = sum.timed_out.saturating_add(more.timed_out);
    sum.deadlocks += more.deadlocks;
    sum.deadlock = sum.deadlock.take().or(more.deadlock);
    sum.elapsed += more.elapsed;
    match (&mut sum.schedules, more.schedules) {
        (Some(known), Some(more)) => {
            for (outcome, schedule) in more.first {
                known.first.entry(outcome).or_insert(schedule);
            }
            known.deadlock = known.deadlock.take().or(more.deadlock);
        }
        (known, more) => *known = known.take().or(more),
    }
}

/// What the model allows lanes that begin as these did.
fn predict(test: &Test, baseline: &[Context]) -> Result<Prediction, TargetError> {
    Prediction::of(&test.program, baseline)
}

#[cfg(test)]
mod tests;
