//! Runs and judges one test: how its lanes are scheduled, a second attempt at what was not observed,
//! and the trace of what should not have been.

use apclab_client::exploration::Baseline;
use apclab_client::schedules::Schedules;
use apclab_client::{Prediction, RunOptions, RunOutcome, RunResult, Target, TargetError};
use apclab_litmus::{ESTIMATE, Test};
use apclab_protocol::message::Context;

use super::{Evidence, Record};
use crate::args::{On, RunArgs, RunFormat, Schedule};
use crate::failure::Failure;
use crate::input::Input;
use crate::verdict::{Case, Judgement, Note, Verdict, judge};

/// The attempts at an `exists` that free lanes have not shown: how many iterations, by priorities or
/// by random choices, on top of those before. Most need a few.
const ATTEMPTS: [(Turns, u32); 4] = [
    (Turns::Random, 50),
    (Turns::Priorities, 50),
    (Turns::Random, 150),
    (Turns::Priorities, 150),
];

/// How many schedules a test that may deadlock has at the most when none are asked for: each takes
/// some milliseconds.
const BY_DEFAULT: u32 = 200;

/// How many schedules are tried for a trace of an outcome that free lanes have shown.
const SEARCHED: u32 = 1000;

/// How many events have to come in a certain order, for attempts by priorities.
const DEPTH: u32 = 3;

/// By what the attempts choose.
#[derive(Clone, Copy)]
enum Turns {
    Random,
    Priorities,
}

/// How the tests of a command are run.
pub(super) struct Plan {
    pub(super) options: RunOptions,
    on: On,
    /// The schedules that are asked for.
    schedules: Option<Schedules>,
    /// Whether all lanes are free.
    free: bool,

    /// The options of the command that make a machine what it is.
    machine: String,
}

impl Plan {
    /// What the command line asks for.
    ///
    /// # Errors
    /// [`Failure::Input`]: the target has no schedules.
    pub(super) fn of(args: &RunArgs) -> Result<Self, Failure> {
        let on = args.target.on;
        if args.schedule.is_some() && on != On::Host {
            return Err(Failure::Input(vec![
                "error: only --on host has schedules; the model takes every path".to_owned(),
            ]));
        }
        let schedules = match &args.schedule {
            None | Some(Schedule::Free) => None,
            Some(Schedule::Random(seed)) => Some(Schedules::Random(*seed)),
            Some(Schedule::Pct { seed, depth }) => Some(Schedules::Pct {
                seed: *seed,
                depth: *depth,
            }),
            Some(Schedule::All) => Some(Schedules::All(args.schedules)),
            Some(Schedule::Replay(choices)) => Some(Schedules::Replay(choices.clone())),
        };
        Ok(Self {
            options: RunOptions {
                trace_iteration: (args.format == RunFormat::Html).then_some(1),
                delay_us: args.delay,
                polled: args.polled,
                deadlocks: args.deadlocks,
                ..args.limits.options()
            },
            on,
            schedules,
            free: args.schedule == Some(Schedule::Free),

            machine: machine(args),
        })
    }

    /// The schedules of a test; `None` when its lanes are free.
    fn schedules(&self, test: &Test) -> Option<Schedules> {
        let by_default = self.on == On::Host && !self.free && !self.options.polled;
        self.schedules.clone().or_else(|| {
            (by_default && test.may_deadlock()).then_some(Schedules::Random(self.options.seed))
        })
    }

    /// The command that runs a test with one schedule.
    fn command(&self, input: &Input, schedule: &Schedules) -> String {
        format!(
            "apclab run {}{} --schedule {schedule} --iterations 1",
            quoted(&input.test.file),
            self.machine
        )
    }
}

/// The options that make a machine what it is, each behind a blank.
fn machine(args: &RunArgs) -> String {
    let mut options = " --on host".to_owned();
    if let Some(driver) = &args.target.driver {
        options += &format!(" --driver {}", quoted(&driver.display().to_string()));
    }
    if args.target.without_apc_routines {
        options += " --without-apc-routines";
    }
    let Baseline { kernel, special } = args.target.baseline;
    if args.target.baseline != Baseline::default() {
        options += &format!(" --baseline {kernel},{special}");
    }
    if args.polled {
        options += " --polled";
    }
    options
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+:,=@".contains(c);
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
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
            let iterations = match plan.schedules {
                Some(_) => plan.options.iterations,
                None => plan.options.iterations.min(BY_DEFAULT),
            };
            let options = RunOptions {
                iterations,
                ..plan.options
            };
            target.run_scheduled(&test.program, &options, schedules)?
        }
        None => target.run(&test.program, &plan.options)?,
    };
    let prediction = match &outcome {
        RunOutcome::Ran(result) => predict(test, &result.baseline),
        _ => Err(TargetError::Failed("it did not run".to_owned())),
    };
    let reason = prediction.as_ref().map_err(ToString::to_string);
    let reason = reason.as_ref().map(|p| *p).map_err(String::as_str);
    let case = Case {
        expectation: &test.expectation,
        estimate: plan.on == On::Device && test.has_tag(ESTIMATE),
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
    let (mut scheduled, mut seed) = (0, plan.options.seed);
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
        scheduled += more.iterations;
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
        let free = result.iterations - scheduled;
        notes.push(Note::SecondAttempt(free, scheduled, last.to_string()));
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

/// A traced iteration that shows an outcome which should not be, and how each of them is had again.
fn evidence(
    target: &mut dyn Target,
    input: &Input,
    plan: &Plan,
    result: &RunResult,
    judgement: &Judgement,
    notes: &mut Vec<Note>,
) -> Result<Option<Evidence>, TargetError> {
    if plan.on == On::Model {
        return Ok(None);
    }
    if plan.on == On::Device {
        notes.push(Note::NoTrace(None));
        return Ok(None);
    }
    let program = &input.test.program;
    let mut known = result.schedules.clone().unwrap_or_default();
    let first = judgement.wrong.iter().flatten().next();
    if let Some(first) = first
        && !known.first.contains_key(first)
    {
        // It came while the lanes were free. Whether a schedule leads there too is to be seen.
        let options = RunOptions {
            iterations: SEARCHED,
            ..plan.options
        };
        let searched = Schedules::Random(plan.options.seed);
        if let RunOutcome::Ran(found) = target.run_scheduled(program, &options, &searched)? {
            let tried = found.iterations;
            known
                .first
                .extend(found.schedules.unwrap_or_default().first);
            if !known.first.contains_key(first) {
                notes.push(Note::NoTrace(Some(tried)));
            }
        }
    }
    let again = judgement.wrong.iter().filter_map(|wrong| {
        let schedule = match wrong {
            Some(outcome) => known.first.get(outcome),
            None => known.deadlock.as_ref(),
        };
        Some((wrong.clone(), plan.command(input, schedule?)))
    });
    let again: Vec<_> = again.collect();
    if !again.is_empty() {
        notes.push(Note::Again(again));
    }
    let Some((outcome, schedule)) = first.and_then(|first| known.first.get_key_value(first)) else {
        return Ok(None);
    };
    let options = RunOptions {
        iterations: 1,
        ..plan.options
    };
    Ok(match target.run_scheduled(program, &options, schedule)? {
        RunOutcome::Ran(result) => Some(Evidence {
            outcome: outcome.clone(),
            result,
        }),
        _ => None,
    })
}

/// What the model allows lanes that begin as these did.
fn predict(test: &Test, baseline: &[Context]) -> Result<Prediction, TargetError> {
    Prediction::of(&test.program, baseline)
}

#[cfg(test)]
mod tests;
