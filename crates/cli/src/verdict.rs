//! From what was expected, seen and predicted to a verdict. Nothing here runs or prints anything.

use apclab_client::prediction::OutcomeSet;
use apclab_client::{Prediction, RunOutcome, RunResult};
use apclab_litmus::{Condition, Expectation, Outcome, Quantifier};
use apclab_protocol::message::Context;
use apclab_protocol::verify::{Reason, Refusal};

use crate::histogram::{Counts, Seen};

mod grounds;

pub(crate) use grounds::{Coverage, Note, Obstacle, Problem, Unjudged};

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

/// A test as far as its verdict goes, and how it was run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case<'a> {
    pub(crate) expectation: &'a Expectation,
    /// Why it is only reported whether the condition holds.
    pub(crate) unjudged: Option<Unjudged>,
    /// Whether waits for locks were to be loops of tries.
    pub(crate) polled: bool,
}

/// A verdict and its grounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    pub(crate) verdict: Verdict,
    pub(crate) problems: Vec<Problem>,
    pub(crate) notes: Vec<Note>,
    /// What a sampling run has seen of what is allowed.
    pub(crate) coverage: Option<Coverage>,
    /// The outcomes that should not be; `None` is a deadlock.
    pub(crate) wrong: Vec<Option<Vec<i64>>>,
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
            coverage: None,
            wrong: Vec::new(),
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
    case: Case<'_>,
    outcome: &RunOutcome,
    prediction: Result<&Prediction, &str>,
) -> Judgement {
    let expectation = case.expectation;
    let refusal = match outcome {
        RunOutcome::Ran(_) => None,
        RunOutcome::Refused(refusal) => Some(*refusal),
        RunOutcome::BaselineDisabled(_) => return Judgement::not_runnable(Obstacle::Baseline),
        RunOutcome::NoSpecialUserApcs => {
            return Judgement::not_runnable(Obstacle::NoSpecialUserApcs);
        }
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
        (_, Some(got)) if got.reason == Reason::NoPushLocks => {
            Judgement::not_runnable(Obstacle::NoPushLocks)
        }
        (None, Some(got)) if got.reason == Reason::MayDeadlock => {
            Judgement::not_runnable(if case.polled {
                Obstacle::PolledPushLocks
            } else {
                Obstacle::MayDeadlock
            })
        }
        (Some(expected), Some(got)) => {
            Judgement::problem(Problem::RefusedOtherwise { expected, got })
        }
        (Some(expected), None) => Judgement::problem(Problem::NotRefused(expected)),
        (None, Some(got)) => Judgement::problem(Problem::Refused(got)),
        (None, None) => match (expectation, outcome) {
            (Expectation::Condition(condition), RunOutcome::Ran(result)) => {
                judge_run(condition, case.unjudged, result, prediction)
            }
            // Both were told apart above.
            _ => Judgement::no_answer("the target gave no result".to_owned()),
        },
    }
}

fn judge_run(
    condition: &Condition,
    unjudged: Option<Unjudged>,
    result: &RunResult,
    prediction: Result<&Prediction, &str>,
) -> Judgement {
    let seen = Seen::of(condition, result);
    let validated = Counts::of(condition, seen).validate(condition.quantifier);
    if !validated && foreseen(condition, result, prediction) {
        return Judgement::not_runnable(Obstacle::Baseline);
    }
    let mut found = Judgement::of(Verdict::Ok, Vec::new(), Vec::new());
    if result.polled {
        found.notes.push(Note::Polled);
    }
    let deadlock = result.deadlock.clone();
    let speaks = condition.names_deadlock();
    if seen.deadlocks > 0 && !speaks {
        found
            .problems
            .push(Problem::Deadlocks(seen.deadlocks, deadlock));
    } else if let Some(sentence) = deadlock {
        found.notes.push(Note::Deadlock(sentence));
    }
    // A claim about all of no outcomes would hold, and prove nothing.
    if result.histogram.is_empty() && seen.deadlocks == 0 {
        let hangs = prediction.is_ok_and(|prediction| prediction.documented.is_empty());
        found.problems.push(if hangs {
            Problem::AlwaysHangs
        } else {
            Problem::NothingSeen
        });
    }
    let mut doubtful = Vec::new();
    let proves_nothing = condition.quantifier == Quantifier::Exists && !result.exhaustive;
    if !validated && !proves_nothing {
        doubtful.push(Problem::Violated);
    }
    if !result.bug_checks.is_empty() {
        let bug_checks = Problem::BugChecks(result.bug_checks.clone());
        found.problems.push(bug_checks);
    }
    match prediction {
        Ok(prediction) => {
            doubtful.extend(compare(condition, result, seen, prediction, &mut found));
        }
        Err(why) => found.notes.push(Note::NotCompared(why.to_owned())),
    }
    found.wrong = wrong(condition, result, seen, prediction);
    let doubts = !doubtful.is_empty();
    match unjudged {
        None => found.problems.append(&mut doubtful),
        Some(why) if doubts => found.notes.push(Note::Unjudged(why, doubtful)),
        Some(_) => {}
    }
    if !validated && proves_nothing && prediction.is_ok_and(|known| !in_nt52(condition, known)) {
        found.notes.push(Note::NotInNt52);
    }
    remarks(result, speaks, prediction, &mut found.notes);
    found.verdict = if !found.problems.is_empty() {
        Verdict::Failed
    } else if validated && !doubts {
        Verdict::Ok
    } else {
        Verdict::NotObserved
    };
    found
}

/// Whether a condition holds of what the profile `nt52` does. Its deadlocks are not known: they are
/// taken to be those of the documented one.
fn in_nt52(condition: &Condition, prediction: &Prediction) -> bool {
    let once: Vec<_> = prediction.nt52.iter().map(|o| (o.clone(), 1)).collect();
    let seen = Seen::allowed(&once, prediction);
    Counts::of(condition, seen).validate(condition.quantifier)
}

/// How a run went, apart from what it showed.
fn remarks(
    result: &RunResult,
    speaks_of_deadlocks: bool,
    prediction: Result<&Prediction, &str>,
    notes: &mut Vec<Note>,
) {
    if result.timed_out > 0 && !speaks_of_deadlocks {
        let deadlocks = prediction.ok().map(|prediction| prediction.deadlocks > 0);
        notes.push(Note::TimedOut(
            result.timed_out,
            result.iterations,
            deadlocks,
        ));
    }
    if result.enough_deadlocks {
        // Of a program with caller lanes also those that timed out: a deadlock may be one that nobody
        // notices otherwise.
        let late = u64::from(result.timed_out);
        notes.push(Note::EnoughDeadlocks(result.deadlocks.saturating_add(late)));
    }
    if result.cut_short {
        notes.push(Note::CutShort(result.iterations));
    }
    if result.overflow > 0 {
        notes.push(Note::Overflow(result.overflow));
    }
    if let Some(scheduled) = &result.schedules
        && scheduled.every
    {
        notes.push(Note::Schedules(result.iterations, scheduled.complete));
    }
}

/// What was seen and should not have been: it violates the condition, or the model forbids it.
fn wrong(
    condition: &Condition,
    result: &RunResult,
    seen: Seen<'_>,
    prediction: Result<&Prediction, &str>,
) -> Vec<Option<Vec<i64>>> {
    let violates = |holds: bool| match condition.quantifier {
        Quantifier::Forall => !holds,
        Quantifier::NotExists => holds,
        Quantifier::Exists => false,
    };
    let forbidden = |outcome: &Vec<i64>| {
        prediction.is_ok_and(|prediction| !prediction.documented.contains(outcome))
    };
    let outcomes = result.histogram.iter().map(|(outcome, _)| outcome);
    let outcomes = outcomes.filter(|o| violates(condition.holds_for(*o)) || forbidden(o));
    let mut wrong: Vec<_> = outcomes.cloned().map(Some).collect();
    let stuck = if condition.names_deadlock() {
        violates(condition.holds_for(Outcome::Deadlock))
            || prediction.is_ok_and(|prediction| prediction.deadlocks == 0)
    } else {
        true
    };
    if seen.deadlocks > 0 && stuck {
        wrong.push(None);
    }
    wrong
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
            let all = Seen::allowed(&all, prediction);
            !Counts::of(condition, all).validate(condition.quantifier)
                && result.histogram.iter().all(|(o, _)| allowed.contains(o))
        })
}

/// Compares what was seen with what is allowed; gives what speaks against it.
fn compare(
    condition: &Condition,
    result: &RunResult,
    seen: Seen<'_>,
    prediction: &Prediction,
    found: &mut Judgement,
) -> Vec<Problem> {
    let outcomes: OutcomeSet = result.histogram.iter().map(|(o, _)| o.clone()).collect();
    let minus = |a: &OutcomeSet, b: &OutcomeSet| a.difference(b).cloned().collect::<Vec<_>>();
    let mut problems = Vec::new();
    let forbidden = minus(&outcomes, &prediction.documented);
    if !forbidden.is_empty() {
        problems.push(Problem::Forbidden(forbidden));
    }
    let speaks = condition.names_deadlock();
    // That an iteration timed out may be for want of time.
    if speaks && result.deadlocks > 0 && prediction.deadlocks == 0 {
        problems.push(Problem::ForbiddenDeadlock(result.deadlock.clone()));
    }
    let allowed: OutcomeSet = outcomes
        .intersection(&prediction.documented)
        .cloned()
        .collect();
    let differing = minus(&allowed, &prediction.nt52);
    if !differing.is_empty() {
        found.notes.push(Note::DiffersFromNt52(differing));
    }
    let unseen = minus(&prediction.documented, &outcomes);
    let may = speaks && prediction.deadlocks > 0;
    let never = may && seen.deadlocks == 0;
    if !result.exhaustive {
        found.coverage = Some(Coverage {
            seen: allowed.len() + usize::from(may && !never),
            allowed: prediction.documented.len() + usize::from(may),
        });
    }
    if !unseen.is_empty() || never {
        found.notes.push(Note::NotSeen(unseen, never));
    }
    problems
}

#[cfg(test)]
mod tests;
