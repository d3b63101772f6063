//! Shortest paths to what was found.
//!
//! A search keeps no way back. The levels say how far each state is, so a path is found from its end:
//! the state before is the first one of the level before that leads there.

use std::collections::BTreeMap;

use super::fork::fork;
use super::intern::Map;
use super::layout::Words;
use super::relation::Taken;
use super::search::{At, Search};
use crate::program::Event;

/// How many states one thread looks at before somebody asks whether all have been found.
const BLOCK: usize = 1 << 14;

impl Search<'_, '_> {
    /// For each of the states the events of a shortest path to it.
    pub(super) fn paths(&self, ends: &[At], threads: usize) -> BTreeMap<At, Vec<Event>> {
        with_words!(self.layout.words, W => self.paths_in_words::<W>(ends, threads))
    }

    fn paths_in_words<const W: usize>(
        &self,
        ends: &[At],
        threads: usize,
    ) -> BTreeMap<At, Vec<Event>> {
        // For each state on a path how it is reached: from the one with that index in the level
        // before.
        let mut reached: BTreeMap<At, (usize, Taken)> = BTreeMap::new();
        let deepest = ends.iter().map(|end| end.level).max().unwrap_or(0);
        for level in (1..=deepest).rev() {
            let states = self.levels[level].as_chunks::<W>().0;
            let here = At { level, index: 0 }..At {
                level: level + 1,
                index: 0,
            };
            let on_paths = reached.range(
                At {
                    level: level + 1,
                    index: 0,
                }..,
            );
            let before = on_paths.take_while(|(at, _)| at.level == level + 1);
            let wanted = before.map(|(_, &(index, _))| index);
            let ending = ends.iter().filter(|end| here.contains(end));
            let wanted = wanted.chain(ending.map(|end| end.index));
            let wanted: Map<Words<W>, usize> = wanted.map(|index| (states[index], index)).collect();
            for (index, from) in self.reached_from::<W>(level - 1, wanted, threads) {
                reached.insert(At { level, index }, from);
            }
        }
        let path = |&end: &At| {
            let mut events = Vec::new();
            let mut at = end;
            while let Some(&(index, taken)) = reached.get(&at) {
                events.push(self.relation.event(taken));
                at = At {
                    level: at.level - 1,
                    index,
                };
            }
            events.reverse();
            (end, events)
        };
        ends.iter().map(path).collect()
    }

    /// For each of the states that are wanted the first one of the level that leads there, and how.
    fn reached_from<const W: usize>(
        &self,
        level: usize,
        mut wanted: Map<Words<W>, usize>,
        threads: usize,
    ) -> Vec<(usize, (usize, Taken))> {
        let states = self.levels[level].as_chunks::<W>().0;
        let mut found = Vec::new();
        let threads = if states.len() < BLOCK { 1 } else { threads };
        for block in (0..states.len()).step_by(BLOCK * threads) {
            if wanted.is_empty() {
                break;
            }
            let parts = (0..threads).map(|part| block + part * BLOCK);
            let looked = fork(parts.collect(), |first| {
                let mut found = Vec::new();
                for index in first.min(states.len())..(first + BLOCK).min(states.len()) {
                    let state = &states[index];
                    let mut misses = Vec::new();
                    self.relation
                        .expand(&self.layout, state, &mut misses, |taken, next| {
                            if let Ok(next) = next
                                && let Some(&to) = wanted.get(&next)
                            {
                                found.push((next, to, (index, taken)));
                            }
                        });
                }
                found
            });
            for (state, to, from) in looked.into_iter().flatten() {
                if wanted.remove(&state).is_some() {
                    found.push((to, from));
                }
            }
        }
        found
    }
}
