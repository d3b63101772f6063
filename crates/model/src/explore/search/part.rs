//! What a thread finds in its part of a block.

use crate::explore::intern::Id;
use crate::explore::layout::Words;
use crate::explore::reduce::symmetry::Permutation;
use crate::explore::relation::{Miss, Taken, Visit};
use crate::explore::table::{SHARDS, hash, shard_of};

/// What a thread has found in its part of a block.
#[derive(Default)]
pub(super) struct Part {
    /// Of the state that is expanded.
    pub(super) index: usize,
    /// By table.
    pub(super) next: Vec<Vec<u64>>,
    pub(super) misses: Vec<Miss>,
    pub(super) transitions: u64,
    pub(super) finals: Vec<usize>,
    pub(super) deadlocks: Vec<usize>,
    pub(super) bug_checks: Vec<(Id, usize, Taken)>,
}

impl Part {
    /// Forgets what was found, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.next.resize_with(SHARDS, Vec::new);
        self.next.iter_mut().for_each(Vec::clear);
        self.misses.clear();
        self.transitions = 0;
        self.finals.clear();
        self.deadlocks.clear();
        self.bug_checks.clear();
    }
}

impl<const W: usize> Visit<W> for Part {
    #[inline]
    fn state(&mut self, _: Taken, next: &Words<W>, _: Permutation) {
        self.transitions += 1;
        self.next[shard_of(hash(next))].extend_from_slice(next);
    }

    fn bug_check(&mut self, taken: Taken, bug_check: Id) {
        self.transitions += 1;
        self.bug_checks.push((bug_check, self.index, taken));
    }

    fn miss(&mut self, miss: Miss) {
        self.misses.push(miss);
    }
}
