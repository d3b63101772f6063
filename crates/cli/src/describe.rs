//! Problems and notes as sentences.

use apclab_client::RunOutcome;
use apclab_litmus::Test;
use apclab_protocol::verify::Refusal;

use crate::histogram;
use crate::input::Input;
use crate::verdict::{Note, Obstacle, Problem, Unjudged};

/// Outcomes that are listed one by one; more are counted.
const LISTED: usize = 8;

/// The names of a test's observed values.
pub(crate) fn observed_names(test: &Test) -> Vec<String> {
    (0..test.program.observed.len())
        .map(|index| test.observed_name(index))
        .collect()
}

/// An outcome; `None` is a deadlock.
pub(crate) fn outcome(test: &Test, outcome: Option<&[i64]>) -> String {
    outcome.map_or_else(
        || histogram::DEADLOCK.to_owned(),
        |outcome| histogram::state(&observed_names(test), outcome),
    )
}

fn outcomes(test: &Test, outcomes: &[Vec<i64>]) -> String {
    let names = observed_names(test);
    let mut listed: Vec<String> = outcomes
        .iter()
        .take(LISTED)
        .map(|outcome| histogram::state(&names, outcome))
        .collect();
    if outcomes.len() > LISTED {
        listed.push(format!("and {} more", outcomes.len() - LISTED));
    }
    listed.join(" | ")
}

/// A refusal in words: `left-open at B step 4 (file:line:column)`.
pub(crate) fn refusal(test: &Test, refusal: &Refusal) -> String {
    let (place, step) = (refusal.place, refusal.step as usize);
    format!(
        "{} ({}:{})",
        test.describe_refusal(refusal.reason, place, step),
        test.file,
        test.place_of(place, step)
    )
}

/// Why a test has no result.
pub(crate) fn not_run(input: &Input, outcome: &RunOutcome) -> String {
    let test = &input.test;
    match outcome {
        RunOutcome::Ran(_) => format!("{} ran", test.name),
        RunOutcome::Refused(refusal) => test.render_refusal(refusal, &input.source),
        RunOutcome::BaselineDisabled(_) => note(test, &Note::NotRunnable(Obstacle::Baseline)),
        RunOutcome::NoSpecialUserApcs => {
            note(test, &Note::NotRunnable(Obstacle::NoSpecialUserApcs))
        }
        RunOutcome::Malformed(malformed) => problem(test, &Problem::Malformed(*malformed)),
    }
}

pub(crate) fn problem(test: &Test, problem: &Problem) -> String {
    match problem {
        Problem::Violated => "the condition does not hold".to_owned(),
        Problem::Forbidden(list) => format!("forbidden by the model: {}", outcomes(test, list)),
        Problem::Deadlocks(count, who) => {
            format!(
                "deadlocks, which the condition does not allow ({count}){}",
                because(who.as_ref())
            )
        }
        Problem::ForbiddenDeadlock(who) => {
            format!(
                "a deadlock, forbidden by the model{}",
                because(who.as_ref())
            )
        }
        Problem::BugChecks(list) => format!("bug check {}", list.join("; bug check ")),
        Problem::NothingSeen => {
            "no iteration came to its end: give it more time with --deadline or --wait-deadline"
                .to_owned()
        }
        Problem::AlwaysHangs => {
            "no iteration can come to its end: in each one a lane waits for ever".to_owned()
        }
        Problem::Refused(got) => format!("refused: {}", refusal(test, got)),
        Problem::RefusedOtherwise { expected, got } => format!(
            "refused: {}; expected was {}",
            refusal(test, got),
            refusal(test, expected)
        ),
        Problem::NotRefused(expected) => {
            format!(
                "it ran; expected was a refusal: {}",
                refusal(test, expected)
            )
        }
        Problem::Malformed(malformed) => format!(
            "the program's bytes were rejected: {:?} at byte {}",
            malformed.what, malformed.offset
        ),
        Problem::NoAnswer(why) => why.clone(),
    }
}

/// The sentence about a deadlock without the word ahead of it.
fn who(sentence: &str) -> &str {
    sentence.strip_prefix("deadlock: ").unwrap_or(sentence)
}

fn because(sentence: Option<&String>) -> String {
    sentence.map_or_else(String::new, |sentence| format!(": {}", who(sentence)))
}

pub(crate) fn note(test: &Test, note: &Note) -> String {
    match note {
        Note::TimedOut(late, all, deadlocks) => {
            let why = match deadlocks {
                Some(true) => "; the model has states in which every lane waits for ever",
                Some(false) => "; the model says that each one ends: see --wait-deadline",
                None => "",
            };
            format!("timed out: {late} of {all} iterations{why}")
        }
        Note::CutShort(done) => format!("the deadline ended the run after {done} iterations"),
        Note::Overflow(lost) => {
            format!("{lost} iterations had outcomes that found no place in the histogram")
        }
        Note::Deadlock(sentence) => format!("the first deadlock: {}", who(sentence)),
        Note::EnoughDeadlocks(count) => {
            format!("the run ended after {count} deadlocks: see --deadlocks")
        }
        Note::NotSeen(list, deadlock) => {
            let mut listed = outcomes(test, list);
            if *deadlock {
                let between = if list.is_empty() { "" } else { " | " };
                listed = format!("{}{between}{listed}", histogram::DEADLOCK);
            }
            let count = list.len() + usize::from(*deadlock);
            format!("allowed, not seen ({count}): {listed}")
        }
        Note::NotInNt52 => "open re-implementations of NT 5.2 do not do so".to_owned(),
        Note::Polled => "polled: waits for locks were loops of tries".to_owned(),
        Note::Unjudged(why, problems) => {
            let said = problems.iter().map(|it| problem(test, it));
            let said: Vec<_> = said.collect();
            let why = match why {
                Unjudged::Estimate => "the counts are estimates",
                Unjudged::Measure => "the sources leave it open",
            };
            format!("{why}, so this is no failure: {}", said.join("; "))
        }
        Note::SecondAttempt(free, scheduled, first) => format!(
            "second attempt: {free} iterations ran freely, and the last {scheduled} were scheduled, \
             with --schedule {first}"
        ),
        Note::ScheduledByDefault(first) => format!(
            "the lanes of a test that may deadlock or take long take turns: --schedule {first}; with \
             --schedule free they run at the same time"
        ),
        Note::NoTrace(Some(tried)) => {
            format!("no trace of it: {tried} schedules did not lead there")
        }
        Note::NoTrace(None) => "no trace of it: see `apclab trace`".to_owned(),
        Note::DiffersFromNt52(list) => format!(
            "differs from nt52 ({}): {}",
            list.len(),
            outcomes(test, list)
        ),
        Note::NotCompared(why) => format!("not compared with the model: {why}"),
        Note::Again(commands) => {
            let each = commands.iter().map(|(seen, command)| {
                format!("{} again with: {command}", outcome(test, seen.as_deref()))
            });
            each.collect::<Vec<_>>().join("\n")
        }
        Note::Schedules(tried, true) => format!("all {tried} schedules"),
        Note::Schedules(tried, false) => format!("{tried} schedules, which are not all"),
        Note::NotRunnable(Obstacle::NoApcRoutines) => {
            "not runnable here: this kernel does not offer the routines that queue APCs".to_owned()
        }
        Note::NotRunnable(Obstacle::Baseline) => {
            "not runnable here: the threads that run the lanes begin with APCs disabled".to_owned()
        }
        Note::NotRunnable(Obstacle::MayDeadlock) => {
            "not run here: it may deadlock, and nothing here would end that; with --polled its waits \
             for locks are loops of tries, which end"
                .to_owned()
        }
        Note::NotRunnable(Obstacle::PolledPushLocks) => {
            "not run here: it may deadlock, and waits for push locks cannot be polled".to_owned()
        }
        Note::NotRunnable(Obstacle::NoPushLocks) => {
            "not runnable here: this kernel does not offer the routines of push locks".to_owned()
        }
        Note::NotRunnable(Obstacle::NoSpecialUserApcs) => {
            "not runnable here: this system does not offer QueueUserAPC2, which queues special user \
             APCs"
                .to_owned()
        }
    }
}
