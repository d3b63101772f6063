//! From what was expected, seen and predicted to a verdict. Nothing here runs or prints anything.

use apclab_client::prediction::OutcomeSet;
use apclab_client::{Prediction, RunOutcome, RunResult};
use apclab_litmus::{Condition, Expectation, Quantifier};
use apclab_protocol::message::Context;
use apclab_protocol::program::Malformed;
use apclab_protocol::verify::{Reason, Refusal};

use crate::histogram::Counts;

/// How a test ended, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// As expected.
    Ok,
    /// An `exists` that was not seen in sampling, which proves nothing.
    NotObserved,
    /// The target cannot run this test.
    NotRunnable,
    /// Not as expected.
    Failed,
}

impl Verdict {
    pub(crate) const ALL: [Self; 4] =
        [Self::Ok, Self::NotObserved, Self::NotRunnable, Self::Failed];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotObserved => "not observed",
            Self::NotRunnable => "not runnable",
            Self::Failed => "FAILED",
        }
    }
}

/// What speaks against a test. Any makes it fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The condition does not hold of what was seen.
    Violated,
    /// Outcomes that the documented profile does not allow.
    Forbidden(Vec<Vec<i64>>),
    /// The test can run into bug checks.
    BugChecks(Vec<String>),
    /// No iteration came to its end, though some could have.
    NothingSeen,
    /// No iteration can come to its end.
    AlwaysHangs,
    /// It was refused, and should have run.
    Refused(Refusal),
    /// It was refused in another way than expected.
    RefusedOtherwise {
        /// What was expected.
        expected: Refusal,
        /// What came instead.
        got: Refusal,
    },
    /// It ran, and should have been refused.
    NotRefused(Refusal),
    /// Its bytes were rejected.
    Malformed(Malformed),
    /// The target gave no answer.
    NoAnswer(String),
}

/// What is worth telling and no reason to fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// Iterations that timed out, of how many, and whether the model has deadlocks.
    TimedOut(u32, u32, Option<bool>),
    /// The run ended at its deadline, after so many iterations.
    CutShort(u32),
    /// Iterations whose outcome was lost.
    Overflow(u32),
    /// States in which every lane waits for ever.
    Deadlocks(u64),
    /// Outcomes that are allowed and were not seen.
    NotSeen(Vec<Vec<i64>>),
    /// Outcomes that open re-implementations of NT 5.2 do not have.
    DiffersFromNt52(Vec<Vec<i64>>),
    /// The model could not say what is allowed.
    NotCompared(String),
    /// Outcomes that should not be, each with a seed whose schedule shows it.
    Seeds(Vec<(Vec<i64>, u64)>),
    /// How many schedules were tried, and whether these were all.
    Schedules(u32, bool),
    /// Why the target cannot run the test.
    NotRunnable(Obstacle),
}

/// Why a target cannot run a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// The kernel does not offer the routines that queue APCs.
    NoApcRoutines,
    /// The threads that run the lanes begin with APCs disabled.
    Baseline,
}

/// A verdict and its grounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    pub(crate) verdict: Verdict,
    pub(crate) problems: Vec<Problem>,
    pub(crate) notes: Vec<Note>,
}

impl Judgement {
    fn of(otherwise: Verdict, problems: Vec<Problem>, notes: Vec<Note>) -> Self {
        let verdict = if problems.is_empty() {
            otherwise
        } else {
            Verdict::Failed
        };
        Self {
            verdict,
            problems,
            notes,
        }
    }

    fn problem(problem: Problem) -> Self {
        Self::of(Verdict::Failed, vec![problem], Vec::new())
    }

    fn not_runnable(obstacle: Obstacle) -> Self {
        let note = Note::NotRunnable(obstacle);
        Self::of(Verdict::NotRunnable, Vec::new(), vec![note])
    }

    /// The target gave no answer.
    pub(crate) fn no_answer(why: String) -> Self {
        Self::problem(Problem::NoAnswer(why))
    }
}

/// Judges one test. `prediction` is what the model allows with the baseline of this run, or why it
/// does not know.
pub(crate) fn judge(
    expectation: &Expectation,
    outcome: &RunOutcome,
    prediction: Result<&Prediction, &str>,
) -> Judgement {
    let refusal = match outcome {
        RunOutcome::Ran(_) => None,
        RunOutcome::Refused(refusal) => Some(*refusal),
        RunOutcome::BaselineDisabled(_) => return Judgement::not_runnable(Obstacle::Baseline),
        RunOutcome::Malformed(malformed) => {
            return Judgement::problem(Problem::Malformed(*malformed));
        }
    };
    let wanted = match expectation {
        Expectation::Condition(_) => None,
        Expectation::Refused {
            reason,
            place,
            step,
        } => Some(Refusal {
            place: *place,
            step: u32::try_from(*step).unwrap_or(u32::MAX),
            reason: *reason,
        }),
    };
    match (wanted, refusal) {
        (Some(expected), Some(got)) if expected == got => {
            Judgement::of(Verdict::Ok, Vec::new(), Vec::new())
        }
        (_, Some(got)) if got.reason == Reason::NoApcRoutines => {
            Judgement::not_runnable(Obstacle::NoApcRoutines)
        }
        (Some(expected), Some(got)) => {
            Judgement::problem(Problem::RefusedOtherwise { expected, got })
        }
        (Some(expected), None) => Judgement::problem(Problem::NotRefused(expected)),
        (None, Some(got)) => Judgement::problem(Problem::Refused(got)),
        (None, None) => match (expectation, outcome) {
            (Expectation::Condition(condition), RunOutcome::Ran(result)) => {
                judge_run(condition, result, prediction)
            }
            // Both were told apart above.
            _ => Judgement::no_answer("the target gave no result".to_owned()),
        },
    }
}

fn judge_run(
    condition: &Condition,
    result: &RunResult,
    prediction: Result<&Prediction, &str>,
) -> Judgement {
    let counts = Counts::of(condition, &result.histogram);
    let validated = counts.validate(condition.quantifier);
    if !validated && foreseen(condition, result, prediction) {
        return Judgement::not_runnable(Obstacle::Baseline);
    }
    let mut problems = Vec::new();
    let mut notes = Vec::new();
    // A claim about all of no outcomes would hold, and prove nothing.
    if result.histogram.is_empty() {
        let hangs = prediction.is_ok_and(|prediction| prediction.documented.is_empty());
        problems.push(if hangs {
            Problem::AlwaysHangs
        } else {
            Problem::NothingSeen
        });
    }
    let proves_nothing = condition.quantifier == Quantifier::Exists && !result.exhaustive;
    if !validated && !proves_nothing {
        problems.push(Problem::Violated);
    }
    if !result.bug_checks.is_empty() {
        problems.push(Problem::BugChecks(result.bug_checks.clone()));
    }
    match prediction {
        Ok(prediction) => compare(result, prediction, &mut problems, &mut notes),
        Err(why) => notes.push(Note::NotCompared(why.to_owned())),
    }
    if result.timed_out > 0 {
        let deadlocks = prediction.ok().map(|prediction| prediction.deadlocks > 0);
        notes.push(Note::TimedOut(
            result.timed_out,
            result.iterations,
            deadlocks,
        ));
    }
    if result.deadlocks > 0 {
        notes.push(Note::Deadlocks(result.deadlocks));
    }
    if result.cut_short {
        notes.push(Note::CutShort(result.iterations));
    }
    if result.overflow > 0 {
        notes.push(Note::Overflow(result.overflow));
    }
    if let Some(scheduled) = &result.schedules {
        if scheduled.seeds.is_empty() {
            notes.push(Note::Schedules(result.iterations, scheduled.complete));
        }
        let wrong = |outcome: &Vec<i64>| {
            let looked_for = condition.holds_for(outcome);
            let violates = match condition.quantifier {
                Quantifier::Forall => !looked_for,
                Quantifier::NotExists => looked_for,
                Quantifier::Exists => false,
            };
            violates || prediction.is_ok_and(|known| !known.documented.contains(outcome))
        };
        let seeds = scheduled.seeds.iter().filter(|(outcome, _)| wrong(outcome));
        let seeds: Vec<_> = seeds
            .map(|(outcome, seed)| (outcome.clone(), *seed))
            .collect();
        if !seeds.is_empty() {
            notes.push(Note::Seeds(seeds));
        }
    }
    let otherwise = if validated {
        Verdict::Ok
    } else {
        Verdict::NotObserved
    };
    Judgement::of(otherwise, problems, notes)
}

/// Whether a condition does not hold only because the lanes begin with APCs disabled: with such
/// lanes the model allows what was seen, and does not uphold the condition either.
fn foreseen(
    condition: &Condition,
    result: &RunResult,
    prediction: Result<&Prediction, &str>,
) -> bool {
    let disabled = result.baseline.iter().any(|c| *c != Context::default());
    disabled
        && prediction.is_ok_and(|prediction| {
            let allowed = &prediction.documented;
            let all: Vec<_> = allowed.iter().map(|o| (o.clone(), 1)).collect();
            !Counts::of(condition, &all).validate(condition.quantifier)
                && result.histogram.iter().all(|(o, _)| allowed.contains(o))
        })
}

/// Compares what was seen with what is allowed.
fn compare(
    result: &RunResult,
    prediction: &Prediction,
    problems: &mut Vec<Problem>,
    notes: &mut Vec<Note>,
) {
    let seen: OutcomeSet = result.histogram.iter().map(|(o, _)| o.clone()).collect();
    let minus = |a: &OutcomeSet, b: &OutcomeSet| a.difference(b).cloned().collect::<Vec<_>>();
    let forbidden = minus(&seen, &prediction.documented);
    if !forbidden.is_empty() {
        problems.push(Problem::Forbidden(forbidden));
    }
    let allowed: OutcomeSet = seen.intersection(&prediction.documented).cloned().collect();
    let differing = minus(&allowed, &prediction.nt52);
    if !differing.is_empty() {
        notes.push(Note::DiffersFromNt52(differing));
    }
    let unseen = minus(&prediction.documented, &seen);
    if !unseen.is_empty() {
        notes.push(Note::NotSeen(unseen));
    }
}

#[cfg(test)]
mod tests;
