//! Every path: all outcomes of a test.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt;
use std::rc::Rc;

use apclab_protocol::program::Program;

use crate::kernel::{Baseline, BugCheck, Profile};
use crate::program::{Event, State, apply, enabled, is_final};

/// What a search may cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// How many states it may keep. A state takes one to two kilobytes.
    pub states: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { states: 1_000_000 }
    }
}

/// The search met more states than its limit: it proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimitReached {
    /// The limit.
    pub states: usize,
}

impl fmt::Display for LimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let states = self.states;
        write!(
            f,
            "the test has more than {states} states; raise the limit or make it smaller"
        )
    }
}

impl std::error::Error for LimitReached {}

/// What a test may do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcomes {
    /// The observed values of all final states, each with the number of final states that have
    /// them.
    pub outcomes: BTreeMap<Vec<i64>, u64>,
    /// For each outcome the events of one shortest path to it.
    pub witnesses: BTreeMap<Vec<i64>, Vec<Event>>,
    /// The number of states that are not final and in which nothing can happen any more.
    pub deadlocks: u64,
    /// The events of one shortest path to a deadlock.
    pub deadlock_witness: Option<Vec<Event>>,
    /// The bug checks that the test can run into, each once.
    pub bug_checks: Vec<BugCheck>,
    /// For each bug check, in the same order, the events of one shortest path to it. The last one
    /// runs into it.
    pub bug_check_witnesses: Vec<Vec<Event>>,
    /// The number of states.
    pub states: u64,
    /// The number of transitions.
    pub transitions: u64,
}

/// Lists all outcomes of a program by a plain exhaustive, breadth-first search.
///
/// `baselines` holds both counters of each lane at its start; a missing entry is zeros. With a
/// counter that is not zero some APCs can never run, and a test that queues one deadlocks.
///
/// # Errors
///
/// [`LimitReached`] when there are more states than `limits` allows.
pub fn explore(
    program: &Program<'_>,
    profile: Profile,
    baselines: &[Baseline],
    limits: Limits,
) -> Result<Outcomes, LimitReached> {
    explore_from(State::initial(program, profile, baselines), program, limits)
}

/// As [`explore()`], from a state of one's own: of a mutant, or in the middle of a test.
///
/// # Errors
///
/// [`LimitReached`] when there are more states than `limits` allows.
pub fn explore_from(
    initial: State,
    program: &Program<'_>,
    limits: Limits,
) -> Result<Outcomes, LimitReached> {
    let mut found = Outcomes::default();
    let mut bug_checks: BTreeMap<BugCheck, Vec<Event>> = BTreeMap::new();
    let initial = Rc::new(initial);
    let mut seen = HashSet::from([Rc::clone(&initial)]);
    // How each state was reached first; entry 0, the initial state, has no such event.
    let mut reached: Vec<(usize, Option<Event>)> = vec![(0, None)];
    let mut frontier = VecDeque::from([(0, initial)]);
    while let Some((index, state)) = frontier.pop_front() {
        let events = enabled(&state, program);
        found.transitions += events.len() as u64;
        if is_final(&state, program) {
            let outcome = state.outcome(program);
            if !found.outcomes.contains_key(&outcome) {
                found
                    .witnesses
                    .insert(outcome.clone(), path(&reached, index));
            }
            *found.outcomes.entry(outcome).or_default() += 1;
        } else if events.is_empty() {
            found.deadlocks += 1;
            found
                .deadlock_witness
                .get_or_insert_with(|| path(&reached, index));
        }
        for event in events {
            let next = match apply(&state, program, event) {
                Ok(next) => Rc::new(next),
                Err(bug_check) => {
                    bug_checks.entry(bug_check).or_insert_with(|| {
                        let mut events = path(&reached, index);
                        events.push(event);
                        events
                    });
                    continue;
                }
            };
            if seen.insert(Rc::clone(&next)) {
                if reached.len() == limits.states {
                    return Err(LimitReached {
                        states: limits.states,
                    });
                }
                frontier.push_back((reached.len(), next));
                reached.push((index, Some(event)));
            }
        }
    }
    found.states = reached.len() as u64;
    (found.bug_checks, found.bug_check_witnesses) = bug_checks.into_iter().unzip();
    Ok(found)
}

/// The events from the initial state to the state with that index.
fn path(reached: &[(usize, Option<Event>)], mut index: usize) -> Vec<Event> {
    let mut events = Vec::new();
    while let (previous, Some(event)) = reached[index] {
        events.push(event);
        index = previous;
    }
    events.reverse();
    events
}
