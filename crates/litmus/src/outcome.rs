//! How one iteration came out.

/// What is left of one iteration, as conditions see it.
///
/// Slices, vectors and arrays of values turn into [`Outcome::Ended`], so that who knows of no
/// deadlocks need not name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome<'v> {
    /// Every lane has ended: the values of the program's observed list in order.
    Ended(&'v [i64]),
    /// The iteration does not end: what is left of its lanes waits for itself or for each other.
    Deadlock,
}

impl<'v> From<&'v [i64]> for Outcome<'v> {
    fn from(values: &'v [i64]) -> Self {
        Self::Ended(values)
    }
}

impl<'v> From<&'v Vec<i64>> for Outcome<'v> {
    fn from(values: &'v Vec<i64>) -> Self {
        Self::Ended(values)
    }
}

impl<'v, const N: usize> From<&'v [i64; N]> for Outcome<'v> {
    fn from(values: &'v [i64; N]) -> Self {
        Self::Ended(values)
    }
}
