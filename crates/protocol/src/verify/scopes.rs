//! What a lane has open, innermost last, in a few hundred bytes of kernel stack.

use crate::limits;

/// An open scope that has to be closed in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// A critical region of a lane that is not raw.
    Critical,
    /// A guarded region of a lane that is not raw.
    Guarded,
    /// A raise, a lock or a block: one of the few that are described apart.
    Other,
}

/// The order in which scopes were opened, in two bits each.
pub(super) struct Order {
    words: [u32; Self::WORDS],
    depth: usize,
}

impl Order {
    const PER_WORD: usize = 16;
    const WORDS: usize = (limits::NESTING + limits::SCOPES).div_ceil(Self::PER_WORD);

    pub(super) const fn new() -> Self {
        Self {
            words: [0; Self::WORDS],
            depth: 0,
        }
    }

    /// Opens a scope; `false` when there is no room.
    pub(super) fn push(&mut self, scope: Scope) -> bool {
        let Some(word) = self.words.get_mut(self.depth / Self::PER_WORD) else {
            return false;
        };
        let shift = (self.depth % Self::PER_WORD) * 2;
        *word = (*word & !(3 << shift)) | ((scope as u32) << shift);
        self.depth += 1;
        true
    }

    /// Closes the innermost scope.
    pub(super) fn pop(&mut self) -> Option<Scope> {
        let top = self.depth.checked_sub(1)?;
        let word = self.words.get(top / Self::PER_WORD)?;
        self.depth = top;
        Some(match (word >> ((top % Self::PER_WORD) * 2)) & 3 {
            0 => Scope::Critical,
            1 => Scope::Guarded,
            _ => Scope::Other,
        })
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.depth == 0
    }
}

/// How many of what may be closed in any order are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) critical: usize,
    pub(super) guarded: usize,
    /// For each lock: how often the lane holds it.
    pub(super) held: [u8; limits::LOCKS],
    /// The locks that it holds exclusively, a bit each.
    pub(super) exclusive: u16,
}

impl Counts {
    pub(super) const NONE: Self = Self {
        critical: 0,
        guarded: 0,
        held: [0; limits::LOCKS],
        exclusive: 0,
    };

    pub(super) const fn regions(&self) -> usize {
        self.critical + self.guarded
    }
}

/// A raise, a lock or a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Other {
    Raise,
    Lock(u8),
    /// A resource together with a critical region.
    Combined(u8),
    /// A block: the step that ends it, what was open when it began, and how often it is executed in
    /// each execution of what surrounds it.
    Block {
        end: usize,
        before: Counts,
        rounds: u32,
    },
}

/// The open raises, locks and blocks.
pub(super) struct Others {
    open: [Option<Other>; limits::SCOPES],
}

impl Others {
    pub(super) const fn new() -> Self {
        Self {
            open: [None; limits::SCOPES],
        }
    }

    pub(super) fn push(&mut self, other: Other) -> bool {
        match self.open.iter_mut().find(|place| place.is_none()) {
            Some(place) => {
                *place = Some(other);
                true
            }
            None => false,
        }
    }

    pub(super) fn innermost(&self) -> Option<Other> {
        self.iter().last()
    }

    pub(super) fn pop(&mut self) {
        if let Some(place) = self.open.iter_mut().rev().find(|place| place.is_some()) {
            *place = None;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Other> + '_ {
        self.open.iter().map_while(|place| *place)
    }
}
