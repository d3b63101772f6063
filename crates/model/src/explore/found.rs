//! What a search has found, in the terms of the program.

use std::collections::BTreeMap;

use super::Outcomes;
use super::search::Search;

impl Search<'_, '_> {
    /// What was found, with one shortest path to each.
    pub(super) fn found(&self) -> Outcomes {
        let mut found = Outcomes {
            deadlocks: self.deadlocks,
            states: self.states as u64,
            transitions: self.transitions,
            ..Outcomes::default()
        };
        let mut outcomes = BTreeMap::new();
        for (ids, seen) in &self.outcomes {
            let outcome = self.relation.outcome_values(ids);
            found.outcomes.insert(outcome.clone(), seen.count);
            outcomes.insert(outcome, seen.first);
        }
        let bug_checks = self.bug_checks.iter();
        let bug_checks = bug_checks.map(|(&id, &from)| (self.relation.bug_check(id), from));
        let bug_checks: BTreeMap<_, _> = bug_checks.collect();
        let mut ends: Vec<_> = self.deadlock.into_iter().collect();
        ends.extend(bug_checks.values().map(|&(at, _)| at));
        if self.options.witnesses {
            ends.extend(outcomes.values());
        }
        let paths = self.paths(&ends, self.options.threads.get());
        found.deadlock_witness = self.deadlock.map(|at| paths[&at].clone());
        for (bug_check, (at, taken)) in bug_checks {
            let mut path = paths[&at].clone();
            path.push(self.relation.event(taken));
            found.bug_checks.push(bug_check.clone());
            found.bug_check_witnesses.push(path);
        }
        if self.options.witnesses {
            let paths = outcomes
                .into_iter()
                .map(|(outcome, at)| (outcome, paths[&at].clone()));
            found.witnesses = paths.collect();
        }
        found
    }
}
