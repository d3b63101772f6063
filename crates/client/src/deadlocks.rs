//! Programs that may deadlock, on a host whose threads run at the same time: a deadlock ends the machine,
//! so each iteration is a run of its own, and behind a deadlock a new machine goes on.

use std::collections::BTreeMap;
use std::time::Instant;

use apclab_protocol::build::ProgramBuf;

use crate::host::HostTarget;
use crate::target::{RunOptions, RunOutcome, RunResult};
use crate::{TargetError, error::Deadlock};

/// Runs the program as often as asked for, and counts the iterations that deadlock.
pub(crate) fn run(
    target: &mut HostTarget,
    program: &ProgramBuf,
    options: &RunOptions,
) -> Result<RunOutcome, TargetError> {
    let started = Instant::now();
    let mut sum = RunResult::default();
    let mut histogram: BTreeMap<Vec<i64>, u64> = BTreeMap::new();
    let mut loaded = false;
    for iteration in 1..=options.iterations {
        if started.elapsed() > options.deadline {
            sum.cut_short = true;
            break;
        }
        if sum.deadlocks >= u64::from(options.deadlocks) {
            sum.enough_deadlocks = true;
            break;
        }
        let one = RunOptions {
            iterations: 1,
            trace_iteration: (options.trace_iteration == Some(iteration)).then_some(1),
            seed: options.seed.wrapping_add(u64::from(iteration)),
            ..*options
        };
        match once(target, program, &one, &mut loaded) {
            Ok(RunOutcome::Ran(result)) => {
                for (outcome, count) in &result.histogram {
                    *histogram.entry(outcome.clone()).or_default() += count;
                }
                sum.iterations += result.iterations;
                sum.timed_out += result.timed_out;
                sum.missed_overlaps += result.missed_overlaps;
                sum.baseline = result.baseline;
                if !result.trace.is_empty() {
                    (sum.trace, sum.trace_frequency) = (result.trace, result.trace_frequency);
                    sum.trace_lost = result.trace_lost;
                }
            }
            Ok(outcome) => return Ok(outcome),
            Err(TargetError::Deadlock(deadlock)) => {
                sum.iterations += 1;
                sum.deadlocks += 1;
                let Deadlock { sentence, .. } = *deadlock;
                sum.deadlock.get_or_insert(sentence);
                loaded = false;
            }
            Err(error) => return Err(error),
        }
    }
    sum.histogram = histogram.into_iter().collect();
    sum.elapsed = started.elapsed();
    Ok(RunOutcome::Ran(sum))
}

/// One iteration; on a machine that has not been given the program it is loaded first.
fn once(
    target: &mut HostTarget,
    program: &ProgramBuf,
    options: &RunOptions,
    loaded: &mut bool,
) -> Result<RunOutcome, TargetError> {
    let answer = target.machine().and_then(|machine| {
        if !*loaded && let Some(refused) = machine.session.load(program)? {
            return Ok(refused);
        }
        *loaded = true;
        machine.session.run_loaded(program, options)
    });
    target.settle(answer)
}
