//! The final condition of a test, as in herd: a quantifier over the outcomes and a formula on one.

use std::fmt;

use crate::outcome::Outcome;

/// Over which outcomes the formula is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quantifier {
    /// Every outcome satisfies the formula.
    Forall,
    /// Some outcome satisfies it.
    Exists,
    /// No outcome satisfies it.
    NotExists,
}

impl fmt::Display for Quantifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forall => "forall",
            Self::Exists => "exists",
            Self::NotExists => "~exists",
        })
    }
}

/// A formula on one outcome. Conjunctions and disjunctions are flat lists, so that only parentheses
/// and negations make a formula deep, which the parser bounds by [`crate::MAX_DEPTH`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Formula {
    /// Always holds.
    True,
    /// Never holds.
    False,
    /// The iteration does not end.
    Deadlock,
    /// An observed value equals a constant. An iteration that does not end has no values.
    Equal {
        /// Index in the program's list of observed values.
        observed: usize,
        /// The value's name, `A:r1` or `x`.
        name: String,
        /// The constant.
        value: i64,
    },
    /// The formula does not hold.
    Not(Box<Formula>),
    /// All of them hold.
    And(Vec<Formula>),
    /// At least one of them holds.
    Or(Vec<Formula>),
}

impl Formula {
    /// Whether the formula holds for an outcome.
    ///
    /// # Panics
    /// When the outcome has fewer values than the formula refers to: it is not one of this program.
    pub fn holds_for<'v>(&self, outcome: impl Into<Outcome<'v>>) -> bool {
        let outcome = outcome.into();
        match self {
            Self::True => true,
            Self::False => false,
            Self::Deadlock => outcome == Outcome::Deadlock,
            Self::Equal {
                observed, value, ..
            } => match outcome {
                Outcome::Ended(values) => values[*observed] == *value,
                Outcome::Deadlock => false,
            },
            Self::Not(inner) => !inner.holds_for(outcome),
            Self::And(parts) => parts.iter().all(|part| part.holds_for(outcome)),
            Self::Or(parts) => parts.iter().any(|part| part.holds_for(outcome)),
        }
    }

    /// Whether the formula has the atom `deadlock`, so that an iteration that does not end is one of
    /// the outcomes that it judges.
    pub fn names_deadlock(&self) -> bool {
        match self {
            Self::True | Self::False | Self::Equal { .. } => false,
            Self::Deadlock => true,
            Self::Not(inner) => inner.names_deadlock(),
            Self::And(parts) | Self::Or(parts) => parts.iter().any(Self::names_deadlock),
        }
    }

    /// Writes the formula as an operand, in parentheses where it is not one by itself.
    fn fmt_operand(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(_) | Self::Or(_) => write!(f, "({self})"),
            _ => write!(f, "{self}"),
        }
    }
}

impl fmt::Display for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parts, operator) = match self {
            Self::True => return f.write_str("true"),
            Self::False => return f.write_str("false"),
            Self::Deadlock => return f.write_str("deadlock"),
            Self::Equal { name, value, .. } => return write!(f, "{name} = {value}"),
            Self::Not(inner) if matches!(**inner, Self::Equal { .. }) => {
                return write!(f, "~({inner})");
            }
            Self::Not(inner) => {
                f.write_str("~")?;
                return inner.fmt_operand(f);
            }
            Self::And(parts) => (parts, r" /\ "),
            Self::Or(parts) => (parts, r" \/ "),
        };
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                f.write_str(operator)?;
            }
            part.fmt_operand(f)?;
        }
        Ok(())
    }
}

/// What a test claims of its outcomes. Shown as herd writes it: `forall (A:r1 = 0 /\ x = 1)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    /// Over which outcomes.
    pub quantifier: Quantifier,
    /// What they are claimed to satisfy.
    pub formula: Formula,
}

impl Condition {
    /// Whether the formula, without its quantifier, holds for an outcome.
    ///
    /// # Panics
    /// When the outcome has fewer values than the formula refers to: it is not one of this program.
    pub fn holds_for<'v>(&self, outcome: impl Into<Outcome<'v>>) -> bool {
        self.formula.holds_for(outcome)
    }

    /// Whether an iteration that does not end is one of the outcomes that the condition judges
    /// ([`Formula::names_deadlock`]). Of a test whose condition does not name it, a deadlock is a
    /// failure, whatever the condition says of values.
    pub fn names_deadlock(&self) -> bool {
        self.formula.names_deadlock()
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.quantifier, self.formula)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equal(observed: usize, name: &str, value: i64) -> Formula {
        Formula::Equal {
            observed,
            name: name.to_owned(),
            value,
        }
    }

    #[test]
    fn formulas_hold_as_their_operators_say() {
        let (a, x) = (equal(0, "A:r1", 1), equal(1, "x", -2));
        let both = Formula::And(vec![a.clone(), x.clone()]);
        let either = Formula::Or(vec![a.clone(), x.clone()]);
        for (outcome, is_a, is_x) in [
            ([1, -2], true, true),
            ([1, 2], true, false),
            ([0, -2], false, true),
            ([0, 0], false, false),
        ] {
            assert_eq!(a.holds_for(&outcome), is_a);
            assert_eq!(x.holds_for(&outcome), is_x);
            assert_eq!(both.holds_for(&outcome), is_a && is_x);
            assert_eq!(either.holds_for(&outcome), is_a || is_x);
            assert_eq!(Formula::Not(Box::new(a.clone())).holds_for(&outcome), !is_a);
        }
        assert!(Formula::True.holds_for(&[]));
        assert!(!Formula::False.holds_for(&[]));
    }

    #[test]
    fn a_deadlock_has_no_values() {
        let a = equal(0, "A:r1", 1);
        let either = Formula::Or(vec![a.clone(), Formula::Deadlock]);
        assert!(either.names_deadlock() && !a.names_deadlock());
        assert!(Formula::Not(Box::new(either.clone())).names_deadlock());
        for (formula, of_deadlock, of_one, of_two) in [
            (a.clone(), false, true, false),
            (Formula::Not(Box::new(a.clone())), true, false, true),
            (Formula::Deadlock, true, false, false),
            (either, true, true, false),
            (
                Formula::And(vec![a, Formula::Deadlock]),
                false,
                false,
                false,
            ),
            (Formula::True, true, true, true),
        ] {
            assert_eq!(
                formula.holds_for(Outcome::Deadlock),
                of_deadlock,
                "{formula}"
            );
            assert_eq!(formula.holds_for(&[1]), of_one, "{formula}");
            assert_eq!(formula.holds_for(&[2]), of_two, "{formula}");
        }
    }

    #[test]
    fn conditions_are_written_as_in_herd() {
        let (a, x) = (equal(0, "A:r1", 1), equal(1, "x", -2));
        let inner = Formula::Or(vec![a.clone(), Formula::Not(Box::new(x.clone()))]);
        let condition = Condition {
            quantifier: Quantifier::NotExists,
            formula: Formula::And(vec![a, Formula::Not(Box::new(inner)), Formula::Deadlock]),
        };
        assert_eq!(
            condition.to_string(),
            r"~exists (A:r1 = 1 /\ ~(A:r1 = 1 \/ ~(x = -2)) /\ deadlock)"
        );
    }
}
