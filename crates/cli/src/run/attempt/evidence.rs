//! The trace of what should not have been.

use apclab_client::schedules::Schedules;
use apclab_client::{RunOptions, RunOutcome, RunResult, Target, TargetError};

use super::Plan;
use crate::args::On;
use crate::input::Input;
use crate::run::Evidence;
use crate::verdict::{Judgement, Note};

/// How many schedules are tried for a trace of an outcome that free lanes have shown.
pub(super) const SEARCHED: u32 = 1000;

/// A traced iteration that shows an outcome which should not be, and how each of them is had again.
pub(super) fn evidence(
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
