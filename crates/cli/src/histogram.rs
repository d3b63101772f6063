//! The text of a run as litmus7 prints it.
//!
//! In that format `*>` marks the states that a reader looks for: those that satisfy the formula of
//! an `exists` or `~exists`, and those that violate the formula of a `forall`. The witnesses are
//! counted for and against the condition as a whole, the observation for and against its formula.

use std::time::Duration;

use apclab_client::{Prediction, RunResult};
use apclab_litmus::{Condition, Formula, Outcome, Quantifier};

use crate::trace::looked_for;

/// What was seen, as a condition looks at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    /// The outcomes, each with how often it came.
    pub(crate) outcomes: &'a [(Vec<i64>, u64)],
    /// Iterations that did not come to their end; 1 where each outcome counts once.
    pub(crate) deadlocks: u64,
}

impl<'a> Seen<'a> {
    /// What a run gave. An iteration that timed out is one that does not end for a condition that
    /// speaks of deadlocks, and nothing for any other.
    pub(crate) fn of(condition: &Condition, result: &'a RunResult) -> Self {
        let late = if condition.names_deadlock() {
            result.timed_out.into()
        } else {
            0
        };
        let deadlocks = result.deadlocks.saturating_add(late);
        Self {
            outcomes: &result.histogram,
            deadlocks: if result.exhaustive {
                deadlocks.min(1)
            } else {
                deadlocks
            },
        }
    }

    /// What a prediction allows, each outcome of `once` counted once.
    pub(crate) fn allowed(once: &'a [(Vec<i64>, u64)], prediction: &Prediction) -> Self {
        Self {
            outcomes: once,
            deadlocks: prediction.deadlocks.min(1),
        }
    }

    /// How many different ones there are.
    pub(crate) fn states(self) -> usize {
        self.outcomes.len() + usize::from(self.deadlocks > 0)
    }
}

/// How many iterations did and did not satisfy a condition's formula.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) satisfying: u64,
    pub(crate) violating: u64,
}

impl Counts {
    /// Deadlocks count where the condition speaks of them.
    pub(crate) fn of(condition: &Condition, seen: Seen<'_>) -> Self {
        let mut counts = Self::default();
        let mut add = |outcome: Outcome<'_>, count: u64| {
            let side = if condition.holds_for(outcome) {
                &mut counts.satisfying
            } else {
                &mut counts.violating
            };
            *side = side.saturating_add(count);
        };
        for (outcome, count) in seen.outcomes {
            add(outcome.into(), *count);
        }
        if condition.names_deadlock() {
            add(Outcome::Deadlock, seen.deadlocks);
        }
        counts
    }

    /// Whether the condition holds of all these iterations together.
    pub(crate) const fn validate(self, quantifier: Quantifier) -> bool {
        match quantifier {
            Quantifier::Forall => self.violating == 0,
            Quantifier::Exists => self.satisfying > 0,
            Quantifier::NotExists => self.satisfying == 0,
        }
    }

    /// Iterations for and against the condition.
    pub(crate) const fn witnesses(self, quantifier: Quantifier) -> (u64, u64) {
        match quantifier {
            Quantifier::Forall | Quantifier::Exists => (self.satisfying, self.violating),
            Quantifier::NotExists => (self.violating, self.satisfying),
        }
    }

    /// How often the formula held: `Observation name Sometimes 1 3`.
    pub(crate) fn observation_line(self, name: &str) -> String {
        let (satisfying, violating) = (self.satisfying, self.violating);
        format!(
            "Observation {name} {} {satisfying} {violating}",
            self.observation()
        )
    }

    const fn observation(self) -> &'static str {
        match (self.satisfying, self.violating) {
            (0, _) => "Never",
            (_, 0) => "Always",
            _ => "Sometimes",
        }
    }
}

/// What litmus7 calls a quantifier in the first line.
pub(crate) const fn kind(quantifier: Quantifier) -> &'static str {
    match quantifier {
        Quantifier::Forall => "Required",
        Quantifier::Exists => "Allowed",
        Quantifier::NotExists => "Forbidden",
    }
}

/// What stands in the place of a state's values where an iteration does not end.
pub(crate) const DEADLOCK: &str = "deadlock";

/// One state: `A:r1=0; x=1;`.
pub(crate) fn state(names: &[String], outcome: &[i64]) -> String {
    let values: Vec<String> = names
        .iter()
        .zip(outcome)
        .map(|(name, value)| format!("{name}={value};"))
        .collect();
    values.join(" ")
}

/// The text of one run, each line ended. `name` is the test's, `observed` are those of its values.
pub(crate) fn text(
    name: &str,
    condition: &Condition,
    observed: &[String],
    seen: Seen<'_>,
    elapsed: Duration,
) -> String {
    let quantifier = condition.quantifier;
    let counts = Counts::of(condition, seen);
    let (positive, negative) = counts.witnesses(quantifier);
    let validated = counts.validate(quantifier);
    let mut lines = vec![
        format!("Test {name} {}", kind(quantifier)),
        format!("Histogram ({} states)", seen.states()),
    ];
    let mark = |outcome: Outcome<'_>| {
        if looked_for(condition, outcome) && condition.formula != Formula::True {
            '*'
        } else {
            ':'
        }
    };
    for (outcome, count) in seen.outcomes {
        let (mark, state) = (mark(outcome.into()), state(observed, outcome));
        lines.push(format!("{count:<6}{mark}>{state}"));
    }
    if seen.deadlocks > 0 {
        // A condition that does not speak of deadlocks says nothing about them.
        let mark = if condition.names_deadlock() {
            mark(Outcome::Deadlock)
        } else {
            ':'
        };
        lines.push(format!("{:<6}{mark}>{DEADLOCK}", seen.deadlocks));
    }
    let (answer, not) = if validated {
        ("Ok", "")
    } else {
        ("No", "NOT ")
    };
    lines.extend([
        answer.to_owned(),
        String::new(),
        "Witnesses".to_owned(),
        format!("Positive: {positive}, Negative: {negative}"),
        format!("Condition {condition} is {not}validated"),
        counts.observation_line(name),
        format!("Time {name} {:.2}", elapsed.as_secs_f64()),
        String::new(),
    ]);
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn equal(observed: usize, value: i64) -> Formula {
        let name = format!("A:r{observed}");
        Formula::Equal {
            observed,
            name,
            value,
        }
    }

    fn condition(quantifier: Quantifier) -> Condition {
        Condition {
            quantifier,
            formula: Formula::And(vec![equal(0, 1), equal(1, 0)]),
        }
    }

    fn names() -> Vec<String> {
        vec!["A:r0".to_owned(), "x".to_owned()]
    }

    fn show(quantifier: Quantifier, histogram: &[(Vec<i64>, u64)]) -> String {
        let elapsed = Duration::from_millis(1234);
        text(
            "T",
            &condition(quantifier),
            &names(),
            seen(histogram),
            elapsed,
        )
    }

    fn seen(outcomes: &[(Vec<i64>, u64)]) -> Seen<'_> {
        Seen {
            outcomes,
            deadlocks: 0,
        }
    }

    #[test]
    fn a_deadlock_is_a_line_and_counts_where_the_condition_names_it() {
        let outcomes = [(vec![1, 0], 3)];
        let stuck = Seen {
            outcomes: &outcomes,
            deadlocks: 2,
        };
        let show = |quantifier, formula| {
            let condition = Condition {
                quantifier,
                formula,
            };
            text("T", &condition, &names(), stuck, Duration::ZERO)
        };
        let shown = show(Quantifier::Exists, Formula::Deadlock);
        assert!(shown.contains("(2 states)\n3     :>A:r0=1; x=0;\n2     *>deadlock\nOk\n"));
        assert!(shown.contains("Positive: 2, Negative: 3\n"));
        let either = Formula::Or(vec![equal(0, 1), Formula::Deadlock]);
        let shown = show(Quantifier::Forall, either);
        assert!(shown.contains("2     :>deadlock\nOk\n") && shown.contains("Positive: 5,"));
        assert!(show(Quantifier::NotExists, Formula::Deadlock).contains("\nNo\n"));
        let silent = show(Quantifier::Forall, equal(0, 1));
        assert!(silent.contains("2     :>deadlock\nOk\n") && silent.contains("Positive: 3,"));
    }

    #[test]
    fn what_times_out_is_a_deadlock_to_a_condition_that_speaks_of_them() {
        let result = RunResult {
            deadlocks: 2,
            timed_out: 3,
            ..RunResult::default()
        };
        let named = Condition {
            quantifier: Quantifier::Exists,
            formula: Formula::Deadlock,
        };
        assert_eq!(Seen::of(&named, &result).deadlocks, 5);
        assert_eq!(
            Seen::of(&condition(Quantifier::Exists), &result).deadlocks,
            2
        );
        let all = RunResult {
            exhaustive: true,
            ..result
        };
        assert_eq!(Seen::of(&named, &all).deadlocks, 1);
    }

    #[test]
    fn a_required_state_marks_its_violations() {
        let seen = [(vec![0, 0], 12), (vec![1, 0], 1_234_567)];
        assert_eq!(
            show(Quantifier::Forall, &seen),
            "Test T Required\nHistogram (2 states)\n\
             12    *>A:r0=0; x=0;\n1234567:>A:r0=1; x=0;\n\
             No\n\nWitnesses\nPositive: 1234567, Negative: 12\n\
             Condition forall (A:r0 = 1 /\\ A:r1 = 0) is NOT validated\n\
             Observation T Sometimes 1234567 12\nTime T 1.23\n"
        );
    }

    #[test]
    fn an_allowed_state_is_marked_when_seen() {
        let shown = show(Quantifier::Exists, &[(vec![1, 0], 3)]);
        assert!(
            shown.starts_with("Test T Allowed\nHistogram (1 states)\n3     *>A:r0=1; x=0;\nOk\n")
        );
        assert!(shown.contains("Positive: 3, Negative: 0\n"));
        assert!(shown.contains(" is validated\nObservation T Always 3 0\n"));
    }

    #[test]
    fn a_forbidden_state_counts_for_the_condition_when_it_is_absent() {
        let shown = show(Quantifier::NotExists, &[(vec![0, 0], 5), (vec![1, 0], 2)]);
        assert!(shown.starts_with("Test T Forbidden\n"));
        assert!(shown.contains("5     :>A:r0=0; x=0;\n2     *>A:r0=1; x=0;\nNo\n"));
        assert!(shown.contains("Positive: 5, Negative: 2\n"));
        assert!(shown.contains("~exists (A:r0 = 1 /\\ A:r1 = 0) is NOT validated\n"));
        assert!(shown.contains("Observation T Sometimes 2 5\n"));
        assert!(show(Quantifier::NotExists, &[]).contains("\nOk\n"));
    }

    #[test]
    fn a_formula_that_always_holds_marks_nothing() {
        let trivial = Condition {
            quantifier: Quantifier::Exists,
            formula: Formula::True,
        };
        let shown = text("T", &trivial, &[], seen(&[(Vec::new(), 7)]), Duration::ZERO);
        assert!(shown.contains("7     :>\nOk\n"), "{shown}");
    }

    fn quantifiers() -> impl Strategy<Value = Quantifier> {
        prop_oneof![
            Just(Quantifier::Forall),
            Just(Quantifier::Exists),
            Just(Quantifier::NotExists)
        ]
    }

    proptest! {
        /// What the text says can be read back, and its sums are those of the histogram.
        #[test]
        fn the_text_can_be_read_back(
            quantifier in quantifiers(),
            states in proptest::collection::btree_map((0..3_i64, -1..2_i64), 1_u64..10_000_000, 0..9),
        ) {
            let histogram: Vec<_> =
                states.iter().map(|(&(a, b), &count)| (vec![a, b], count)).collect();
            let shown = show(quantifier, &histogram);
            let mut lines = shown.lines();
            let first = format!("Test T {}", kind(quantifier));
            prop_assert_eq!(lines.next(), Some(first.as_str()));
            let header = format!("Histogram ({} states)", histogram.len());
            prop_assert_eq!(lines.next(), Some(header.as_str()));
            let (mut marked, mut plain) = (0, 0);
            for (outcome, count) in &histogram {
                let line = lines.next().unwrap_or_default();
                let (left, right) = line.split_once('>').unwrap_or_default();
                let number = left.trim_end_matches(['*', ':']).trim_end();
                prop_assert_eq!(number.parse(), Ok(*count));
                prop_assert_eq!(right, state(&names(), outcome));
                *(if left.ends_with('*') { &mut marked } else { &mut plain }) += count;
            }
            let validated = lines.next() == Some("Ok");
            let (positive, negative) = match quantifier {
                Quantifier::Exists => (marked, plain),
                Quantifier::Forall | Quantifier::NotExists => (plain, marked),
            };
            prop_assert_eq!(validated, match quantifier {
                Quantifier::Exists => marked > 0,
                Quantifier::Forall | Quantifier::NotExists => marked == 0,
            });
            let witnesses = format!("Positive: {positive}, Negative: {negative}");
            prop_assert_eq!(lines.nth(2), Some(witnesses.as_str()));
        }
    }
}
