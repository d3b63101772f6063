//! Random paths: how often a scheduler that takes every enabled event equally often sees what.

use std::collections::BTreeMap;

use apclab_protocol::program::Program;

use crate::kernel::{Baseline, BugCheck, Profile};
use crate::program::{State, apply, enabled, is_final};

/// What a number of iterations came to. The counts say nothing about a real scheduler.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Histogram {
    /// The outcomes and how often each was seen.
    pub outcomes: BTreeMap<Vec<i64>, u64>,
    /// How many iterations deadlocked, which is a time-out on a target.
    pub deadlocks: u64,
    /// The bug checks and how many iterations ran into each.
    pub bug_checks: BTreeMap<BugCheck, u64>,
}

/// Runs a program `iterations` times. Equal arguments give equal histograms.
///
/// `baselines` is as for [`crate::explore()`].
pub fn sample(
    program: &Program<'_>,
    profile: Profile,
    baselines: &[Baseline],
    seed: u64,
    iterations: u64,
) -> Histogram {
    let mut random = fastrand::Rng::with_seed(seed);
    let initial = State::initial(program, profile, baselines);
    let mut histogram = Histogram::default();
    for _ in 0..iterations {
        let mut state = initial.clone();
        let bug_check = loop {
            let events = enabled(&state, program);
            if events.is_empty() {
                break None;
            }
            match apply(&state, program, events[random.usize(..events.len())]) {
                Ok(next) => state = next,
                Err(bug_check) => break Some(bug_check),
            }
        };
        if let Some(bug_check) = bug_check {
            *histogram.bug_checks.entry(bug_check).or_default() += 1;
        } else if is_final(&state, program) {
            *histogram
                .outcomes
                .entry(state.outcome(program))
                .or_default() += 1;
        } else {
            histogram.deadlocks += 1;
        }
    }
    histogram
}
