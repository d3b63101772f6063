//! Filling the tables, and making their states wider.

use super::Search;
use super::part::Part;
use crate::explore::fork::fork;
use crate::explore::layout::Layout;
use crate::explore::table::{SHARDS, Shard, hash, shard_of};

impl Search<'_, '_> {
    /// Adds the states that were reached to the tables, and the new ones to the next level.
    pub(super) fn sort_in<const W: usize>(&mut self, parts: &[Part], threads: usize) {
        let each = SHARDS.div_ceil(threads);
        let shards = self.shards.chunks_mut(each).zip(self.next.chunks_mut(each));
        let work = shards
            .enumerate()
            .map(|(at, (shards, next))| (at * each, shards, next));
        fork(work.collect(), |(first, shards, next)| {
            for (at, (shard, next)) in shards.iter_mut().zip(next).enumerate() {
                for part in parts {
                    let states = part.next[first + at].as_chunks::<W>().0;
                    shard.insert_all(states, next);
                }
            }
        });
    }

    /// Makes the fields wider, in all states that have been met.
    pub(super) fn widen(&mut self) {
        let wider = Layout::new(&self.relation.sizes());
        let narrow = &self.layout;
        with_words!(narrow.words, W => {
            for states in self.levels.iter_mut().chain(&mut self.next) {
                let mut packed = Vec::with_capacity(states.len() / W * wider.words);
                for state in states.as_chunks::<W>().0 {
                    narrow.repack(state, &wider, &mut packed);
                }
                *states = packed;
            }
        });
        self.layout = wider;
        self.relation.widen(&self.layout);
        self.fill_tables();
    }

    /// Makes the tables anew, and the lists of the next level with them.
    pub(super) fn fill_tables(&mut self) {
        self.shards.clear();
        self.shards.resize_with(SHARDS, Shard::default);
        let next = self.next.concat();
        with_words!(self.layout.words, W => {
            for level in &self.levels {
                let mut known = vec![Vec::new(); SHARDS];
                fill::<W>(&mut self.shards, level, &mut known);
            }
            self.next.iter_mut().for_each(Vec::clear);
            fill::<W>(&mut self.shards, &next, &mut self.next);
        });
    }
}

/// Adds the states to the tables, and appends the new ones to `new`.
fn fill<const W: usize>(shards: &mut [Shard], states: &[u64], new: &mut [Vec<u64>]) {
    let mut sorted = vec![Vec::new(); SHARDS];
    for state in states.as_chunks::<W>().0 {
        sorted[shard_of(hash(state))].push(*state);
    }
    for ((shard, states), new) in shards.iter_mut().zip(sorted).zip(new) {
        shard.insert_all(&states, new);
    }
}
