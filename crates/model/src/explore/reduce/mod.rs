//! What a search may leave out, since other states show the same. Why each keeps every outcome is in
//! docs/explorer.md.

pub(super) mod ample;
pub(super) mod flow;
pub(super) mod footprint;
pub(super) mod live;
pub(super) mod symmetry;

/// Which of them are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reductions {
    /// Where the next events of one lane commute with all that the others can do before it moves,
    /// only they are taken.
    pub partial_order: bool,
    /// Of states that differ only in which of several identical lanes is where, one is kept.
    pub symmetry: bool,
    /// A value that nobody will look at is not told from 0.
    pub dead_values: bool,
}

impl Reductions {
    /// Every one.
    pub const ALL: Self = Self {
        partial_order: true,
        symmetry: true,
        dead_values: true,
    };
    /// None: every state is met.
    pub const NONE: Self = Self {
        partial_order: false,
        symmetry: false,
        dead_values: false,
    };
}
