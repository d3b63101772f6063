//! Runs of one iteration each, added up: where a run of many cannot be one request.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::TargetError;
use crate::error::Deadlock;
use crate::target::{RunOptions, RunOutcome, RunResult};

/// Runs single iterations until there are as many as asked for, or the deadline has passed, or as many as
/// [`RunOptions::deadlocks`] have not come to their end, by the count of `stuck`.
///
/// Each has a seed of its own, and is traced when it is the one that is wanted.
pub(crate) fn add_up(
    options: &RunOptions,
    stuck: impl Fn(&RunResult) -> u64,
    mut once: impl FnMut(&RunOptions) -> Result<RunOutcome, TargetError>,
) -> Result<RunOutcome, TargetError> {
    let started = Instant::now();
    let mut sum = RunResult::default();
    let mut histogram: BTreeMap<Vec<i64>, u64> = BTreeMap::new();
    for iteration in 1..=options.iterations {
        if started.elapsed() > options.deadline {
            sum.cut_short = true;
            break;
        }
        if stuck(&sum) >= u64::from(options.deadlocks) {
            sum.enough_deadlocks = true;
            break;
        }
        let single = RunOptions {
            iterations: 1,
            trace_iteration: (options.trace_iteration == Some(iteration)).then_some(1),
            seed: options.seed.wrapping_add(u64::from(iteration)),
            ..*options
        };
        match once(&single) {
            Ok(RunOutcome::Ran(result)) => {
                for (outcome, count) in &result.histogram {
                    *histogram.entry(outcome.clone()).or_default() += count;
                }
                add(&mut sum, result);
            }
            Ok(outcome) => return Ok(outcome),
            Err(TargetError::Deadlock(deadlock)) => {
                sum.iterations += 1;
                sum.deadlocks += 1;
                let Deadlock { sentence, .. } = *deadlock;
                sum.deadlock.get_or_insert(sentence);
            }
            Err(error) => return Err(error),
        }
    }
    sum.histogram = histogram.into_iter().collect();
    sum.elapsed = started.elapsed();
    Ok(RunOutcome::Ran(sum))
}

/// Everything but the histogram.
fn add(sum: &mut RunResult, one: RunResult) {
    sum.iterations += one.iterations;
    sum.polled |= one.polled;
    sum.timed_out += one.timed_out;
    sum.overflow += one.overflow;
    sum.missed_overlaps += one.missed_overlaps;
    sum.baseline = one.baseline;
    if !one.trace.is_empty() {
        (sum.trace, sum.trace_frequency) = (one.trace, one.trace_frequency);
        sum.trace_lost = one.trace_lost;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apclab_protocol::message::Context;
    use apclab_protocol::trace::{Kind, Record};
    use std::time::Duration;

    const STUCK: fn(&RunResult) -> u64 = |sum| sum.deadlocks + u64::from(sum.timed_out);

    fn record() -> Record {
        Record {
            time: 0,
            sequence: 0,
            step: 0,
            lane: 0,
            kind: Kind::Begin,
            apc: 0xFF,
            context: Context::default(),
            value: 0,
        }
    }

    /// The outcome is the seed; every third iteration does not end, in turn by a deadlock and too late.
    fn once(one: &RunOptions) -> Result<RunOutcome, TargetError> {
        let seed = i64::try_from(one.seed).expect("small");
        if seed % 6 == 0 {
            return Err(TargetError::Deadlock(Box::new(Deadlock {
                sentence: format!("deadlock {seed}"),
                choices: Vec::new(),
            })));
        }
        let late = seed % 3 == 0;
        Ok(RunOutcome::Ran(RunResult {
            histogram: if late {
                Vec::new()
            } else {
                vec![(vec![seed % 2], 1)]
            },
            iterations: one.iterations,
            timed_out: late.into(),
            missed_overlaps: 2,
            trace: one.trace_iteration.map(|_| record()).into_iter().collect(),
            trace_frequency: one.seed,
            ..RunResult::default()
        }))
    }

    fn ran(options: &RunOptions) -> RunResult {
        match add_up(options, STUCK, once) {
            Ok(RunOutcome::Ran(result)) => result,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn iterations_are_added_up() {
        let sum = ran(&RunOptions {
            iterations: 12,
            seed: 100,
            trace_iteration: Some(6),
            ..RunOptions::default()
        });
        // The seeds from 101 to 112: 102 and 108 deadlock, 105 and 111 are late.
        assert_eq!(sum.histogram, [(vec![0], 4), (vec![1], 4)]);
        assert_eq!((sum.iterations, sum.timed_out, sum.deadlocks), (12, 2, 2));
        assert_eq!(sum.deadlock.as_deref(), Some("deadlock 102"));
        assert_eq!(sum.missed_overlaps, 20);
        assert_eq!((sum.trace.len(), sum.trace_frequency), (1, 106));
        assert!(!sum.cut_short && !sum.enough_deadlocks);
    }

    #[test]
    fn enough_that_do_not_end_and_the_deadline_end_a_run() {
        let options = RunOptions {
            iterations: 100,
            deadlocks: 3,
            ..RunOptions::default()
        };
        let sum = ran(&options);
        // The seeds from 2 to 9: 3, 6 and 9.
        assert_eq!((sum.iterations, sum.enough_deadlocks), (8, true));
        let late = RunOptions {
            deadline: Duration::ZERO,
            ..options
        };
        assert!(ran(&late).cut_short);
    }

    #[test]
    fn what_does_not_run_is_told_once() {
        let mut asked = 0;
        let answer = add_up(&RunOptions::default(), STUCK, |_| {
            asked += 1;
            Ok(RunOutcome::BaselineDisabled(Vec::new()))
        });
        assert_eq!(answer, Ok(RunOutcome::BaselineDisabled(Vec::new())));
        assert_eq!(asked, 1);
    }
}
