//! The text of a run as litmus7 prints it.
//!
//! In that format `*>` marks the states that a reader looks for: those that satisfy the formula of
//! an `exists` or `~exists`, and those that violate the formula of a `forall`. The witnesses are
//! counted for and against the condition as a whole, the observation for and against its formula.

use std::time::Duration;

use apclab_litmus::{Condition, Formula, Quantifier};

/// How many iterations did and did not satisfy a condition's formula.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) satisfying: u64,
    pub(crate) violating: u64,
}

impl Counts {
    pub(crate) fn of(condition: &Condition, histogram: &[(Vec<i64>, u64)]) -> Self {
        let mut counts = Self::default();
        for (outcome, count) in histogram {
            let side = if condition.holds_for(outcome) {
                &mut counts.satisfying
            } else {
                &mut counts.violating
            };
            *side = side.saturating_add(*count);
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
    histogram: &[(Vec<i64>, u64)],
    elapsed: Duration,
) -> String {
    let quantifier = condition.quantifier;
    let counts = Counts::of(condition, histogram);
    let (positive, negative) = counts.witnesses(quantifier);
    let validated = counts.validate(quantifier);
    let mut lines = vec![
        format!("Test {name} {}", kind(quantifier)),
        format!("Histogram ({} states)", histogram.len()),
    ];
    for (outcome, count) in histogram {
        let looked_for = condition.holds_for(outcome) != (quantifier == Quantifier::Forall)
            && condition.formula != Formula::True;
        let mark = if looked_for { '*' } else { ':' };
        lines.push(format!("{count:<6}{mark}>{}", state(observed, outcome)));
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
        text("T", &condition(quantifier), &names(), histogram, elapsed)
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
        let shown = text("T", &trivial, &[], &[(Vec::new(), 7)], Duration::ZERO);
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
