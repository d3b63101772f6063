//! What a search has found, in the terms of the program.

use std::collections::BTreeMap;

use super::Outcomes;
use super::reduce::symmetry::Permutation;
use super::search::{At, Search};

impl Search<'_, '_> {
    /// What was found, with one shortest path to each.
    pub(super) fn found(&self) -> Outcomes {
        let mut found = Outcomes {
            deadlocks: self.deadlocks,
            states: self.states as u64,
            transitions: self.transitions,
            ..Outcomes::default()
        };
        // Where each outcome is first, and which lane has to be in which place there.
        let mut first: BTreeMap<Vec<i64>, (At, Permutation)> = BTreeMap::new();
        for (values, seen) in &self.finals {
            let mut outcomes = BTreeMap::new();
            for (outcome, places) in self.relation.outcomes(values) {
                outcomes.entry(outcome).or_insert(places);
            }
            for (outcome, places) in outcomes {
                *found.outcomes.entry(outcome.clone()).or_default() += seen.count;
                let first = first.entry(outcome).or_insert((seen.first, places));
                if seen.first < first.0 {
                    *first = (seen.first, places);
                }
            }
        }
        let bug_checks = self.bug_checks.iter();
        let bug_checks = bug_checks.map(|(&id, &from)| (self.relation.bug_check(id), from));
        let bug_checks: BTreeMap<_, _> = bug_checks.collect();
        let mut ends: Vec<_> = self.deadlock.into_iter().collect();
        ends.extend(bug_checks.values().map(|&(at, _)| at));
        if self.options.witnesses {
            ends.extend(first.values().map(|&(at, _)| at));
        }
        let paths = self.paths(&ends, self.options.threads.get());
        let deadlock = self.deadlock;
        found.deadlock_witness = deadlock.map(|at| self.events(&paths, at, Permutation::IDENTITY));
        for (bug_check, end) in bug_checks {
            let path = self.events_to(&paths, end, bug_check);
            found.bug_checks.push(bug_check.clone());
            found.bug_check_witnesses.push(path);
        }
        if self.options.witnesses {
            for (outcome, (at, places)) in first {
                let events = self.events(&paths, at, places);
                found.witnesses.insert(outcome, events);
            }
        }
        found
    }
}
