//! `apclab explore`: everything that the model lets a test do, in herd's format.

mod path;
mod progress;

use std::num::NonZeroUsize;
use std::thread;

use apclab_client::exploration::{
    Effort, Exploration, Reductions, Unexplored, Witness, explore_with,
};
use apclab_client::model::{Mode, ModelTarget};
use apclab_client::{RunOutcome, Target};
use apclab_litmus::{Condition, Expectation, Test};
use apclab_protocol::verify::Refusal;
use serde::Serialize;

use crate::args::{ExploreArgs, Format};
use crate::failure::{self, Failure};
use crate::histogram::{self, Counts, DEADLOCK, Seen};
use crate::input::{self, Input};
use crate::out::Out;
use crate::report::{Document, RecordReport, TargetReport};
use crate::{describe, trace};

use self::progress::Shown;

/// The body of `explore`. Witnesses are records of a trace.
#[derive(Serialize)]
struct ExploreBody {
    name: String,
    file: String,
    profile: &'static str,
    condition: Option<String>,
    observed: Vec<String>,
    outcomes: Vec<OutcomeReport>,
    deadlocks: u64,
    deadlock_witness: Option<Vec<RecordReport>>,
    bug_checks: Vec<BugCheckReport>,
    states: u64,
    transitions: u64,
    /// What the search left out, and on how many threads it ran.
    partial_order: bool,
    symmetry: bool,
    dead_values: bool,
    threads: usize,
    seconds: f64,
}

#[derive(Serialize)]
struct OutcomeReport {
    values: Vec<i64>,
    satisfies: Option<bool>,
    witness: Vec<RecordReport>,
}

#[derive(Serialize)]
struct BugCheckReport {
    text: String,
    witness: Vec<RecordReport>,
}

/// Runs the command; gives the exit code.
///
/// # Errors
/// [`Failure`]: bad input, more states than the search may keep, or a file that cannot be written.
pub(crate) fn run(args: &ExploreArgs, out: &mut Out) -> Result<u8, Failure> {
    let input = input::read_one(&args.file)?;
    let program = &input.test.program;
    let baselines = vec![args.baseline; program.lanes.len()];
    if let Some(file) = &args.replay {
        return path::replay(args, &input, &baselines, file, out);
    }
    let mut shown = Shown::new();
    let explored = explore_with(
        program,
        args.profile.of_the_model(),
        &baselines,
        effort(args),
        &mut |progress| shown.show(progress),
    );
    shown.finish();
    let found = match explored {
        Ok(found) => found,
        Err(Unexplored::Failed(error)) => return Err(error.into()),
        Err(Unexplored::Refused(refusal)) => return Ok(refused(&input, refusal, out)),
    };
    let condition = match &input.test.expectation {
        Expectation::Condition(condition) => Some(condition),
        Expectation::Refused { .. } => None,
    };
    let once = once(&found);
    let seen = Seen {
        outcomes: &once,
        deadlocks: found.deadlocks.min(1),
    };
    let good = condition.is_some_and(|condition| {
        let holds = Counts::of(condition, seen).validate(condition.quantifier);
        // Of nothing at all every claim about all of it would hold.
        let something = if condition.names_deadlock() {
            seen.states() > 0
        } else {
            seen.deadlocks == 0 && !once.is_empty()
        };
        holds && something && found.bug_checks.is_empty()
    });
    let code = if good { failure::OK } else { failure::FAILED };
    if args.svg.is_some() || args.save_witness.is_some() {
        path::keep(args, &input, condition, &found, out)?;
        if args
            .svg
            .as_deref()
            .is_some_and(|svg| svg.as_os_str() == "-")
        {
            return Ok(code);
        }
    }
    if args.format == Format::Json {
        let info = ModelTarget::new(Mode::Exhaustive).info()?;
        let report = TargetReport::of("model", &info);
        let body = body(args, &input.test, condition, &found);
        out.json(&Document::new("explore", report, code, None, body));
    } else {
        out.text(&herd(&input.test, condition, &found, seen));
        details(args, &input, &found, out);
    }
    Ok(code)
}

/// How the search is made.
fn effort(args: &ExploreArgs) -> Effort {
    let one = NonZeroUsize::MIN;
    let threads = args
        .threads
        .or_else(|| thread::available_parallelism().ok());
    Effort {
        reductions: Reductions {
            partial_order: !args.no_por,
            symmetry: !args.no_symmetry,
            dead_values: !args.no_dead_values,
        },
        threads: threads.unwrap_or(one),
        memory: usize::try_from(u64::from(args.memory) << 20).unwrap_or(usize::MAX),
        witnesses: !args.no_witnesses,
    }
}

/// The outcomes, each counted once.
fn once(found: &Exploration) -> Vec<(Vec<i64>, u64)> {
    let outcomes = found.outcomes.iter();
    outcomes.map(|(outcome, _)| (outcome.clone(), 1)).collect()
}

/// A program that the driver would refuse is not looked at.
fn refused(input: &Input, refusal: Refusal, out: &mut Out) -> u8 {
    let test = &input.test;
    out.line(&format!("Test {} Refused", test.name));
    let expected = match &test.expectation {
        Expectation::Refused {
            reason,
            place,
            step,
        } => (*reason, *place, *step) == (refusal.reason, refusal.place, refusal.step as usize),
        Expectation::Condition(_) => false,
    };
    if expected {
        out.line(&describe::refusal(test, &refusal));
        return failure::OK;
    }
    out.line(&describe::not_run(input, &RunOutcome::Refused(refusal)));
    failure::FAILED
}

/// The text that herd prints of a test. Each outcome counts once.
fn herd(test: &Test, condition: Option<&Condition>, found: &Exploration, seen: Seen<'_>) -> String {
    let names = describe::observed_names(test);
    let kind = condition.map_or("Refused", |condition| histogram::kind(condition.quantifier));
    let mut lines = vec![
        format!("Test {} {kind}", test.name),
        format!("States {}", seen.states()),
    ];
    for (outcome, _) in &found.outcomes {
        lines.push(histogram::state(&names, outcome));
    }
    if seen.deadlocks > 0 {
        lines.push(DEADLOCK.to_owned());
    }
    if let Some(condition) = condition {
        let counts = Counts::of(condition, seen);
        let (positive, negative) = counts.witnesses(condition.quantifier);
        let holds = counts.validate(condition.quantifier);
        lines.push(if holds { "Ok" } else { "No" }.to_owned());
        lines.push("Witnesses".to_owned());
        lines.push(format!("Positive: {positive} Negative: {negative}"));
    }
    if found.deadlocks > 0 {
        lines.push("Flag deadlock".to_owned());
    }
    if !found.bug_checks.is_empty() {
        lines.push("Flag bug-check".to_owned());
    }
    if let Some(condition) = condition {
        let counts = Counts::of(condition, seen);
        lines.push(format!("Condition {condition}"));
        lines.push(counts.observation_line(&test.name));
    }
    let seconds = found.elapsed.as_secs_f64();
    lines.push(format!("Time {} {seconds:.2}", test.name));
    lines.push(String::new());
    lines.join("\n")
}

/// What the search left out, and on how many threads it ran.
fn effort_in_words(args: &ExploreArgs) -> String {
    let Effort {
        reductions,
        threads,
        ..
    } = effort(args);
    let made = [
        (reductions.partial_order, "partial order"),
        (reductions.symmetry, "symmetry"),
        (reductions.dead_values, "dead values"),
    ];
    let made: Vec<_> = made.into_iter().filter(|(made, _)| *made).collect();
    let reduced = if made.is_empty() {
        "unreduced".to_owned()
    } else {
        let names: Vec<_> = made.into_iter().map(|(_, name)| name).collect();
        format!("reduced by {}", names.join(", "))
    };
    format!("{reduced}, threads {threads}")
}

/// What herd does not say: the size of the search, and the paths.
fn details(args: &ExploreArgs, input: &Input, found: &Exploration, out: &mut Out) {
    let Exploration {
        states,
        transitions,
        deadlocks,
        ..
    } = found;
    let bug_checks = found.bug_checks.len();
    out.line(&format!(
        "\nModel {}: {states} states, {transitions} transitions, {deadlocks} deadlocks, \
         {bug_checks} bug checks",
        args.profile.name()
    ));
    let rate = progress::rate(*states, found.elapsed);
    out.line(&format!("Search: {}, {rate}", effort_in_words(args)));
    let mut path = |title: String, witness: &Witness| {
        out.line(&format!("\n{title}"));
        if !args.no_witnesses {
            for line in trace::lines(input, &witness.records) {
                out.line(&line);
            }
        }
    };
    let names = describe::observed_names(&input.test);
    if !args.no_witnesses {
        for (number, (outcome, witness)) in found.outcomes.iter().enumerate() {
            let state = histogram::state(&names, outcome);
            path(format!("Outcome {}: {state}", number + 1), witness);
        }
    }
    if let Some(witness) = &found.deadlock {
        path(format!("Deadlock, one of {deadlocks}"), witness);
    }
    for (bug_check, witness) in &found.bug_checks {
        path(format!("Bug check {bug_check}"), witness);
    }
}

fn body(
    args: &ExploreArgs,
    test: &Test,
    condition: Option<&Condition>,
    found: &Exploration,
) -> ExploreBody {
    let records = |witness: &Witness| {
        let records = witness.records.iter();
        records.map(RecordReport::of).collect::<Vec<_>>()
    };
    let Effort {
        reductions,
        threads,
        ..
    } = effort(args);
    ExploreBody {
        name: test.name.clone(),
        file: test.file.clone(),
        profile: args.profile.name(),
        condition: condition.map(ToString::to_string),
        observed: describe::observed_names(test),
        outcomes: found
            .outcomes
            .iter()
            .map(|(values, witness)| OutcomeReport {
                values: values.clone(),
                satisfies: condition.map(|condition| condition.holds_for(values)),
                witness: records(witness),
            })
            .collect(),
        deadlocks: found.deadlocks,
        deadlock_witness: found.deadlock.as_ref().map(records),
        bug_checks: found
            .bug_checks
            .iter()
            .map(|(text, witness)| BugCheckReport {
                text: text.clone(),
                witness: records(witness),
            })
            .collect(),
        states: found.states,
        transitions: found.transitions,
        partial_order: reductions.partial_order,
        symmetry: reductions.symmetry,
        dead_values: reductions.dead_values,
        threads: threads.get(),
        seconds: found.elapsed.as_secs_f64(),
    }
}
