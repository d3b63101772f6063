//! The search in its plainest form, over whole states: what the other one has to agree with.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::rc::Rc;

use apclab_protocol::program::Program;

use super::Outcomes;
use crate::kernel::BugCheck;
use crate::program::{Event, State, apply, enabled, is_final};

/// `None` when there are more states than the limit.
pub(crate) fn search(initial: State, program: &Program<'_>, limit: usize) -> Option<Outcomes> {
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
                if reached.len() == limit {
                    return None;
                }
                frontier.push_back((reached.len(), next));
                reached.push((index, Some(event)));
            }
        }
    }
    found.states = reached.len() as u64;
    (found.bug_checks, found.bug_check_witnesses) = bug_checks.into_iter().unzip();
    Some(found)
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
