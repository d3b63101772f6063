//! Where a scheduler's choices come from.

use std::collections::{BTreeMap, BTreeSet};

use apclab_model::kernel::ThreadId;

use crate::Schedule;

/// A thread and what it would do.
pub(super) type Key = (ThreadId, u8);

/// Where choices come from.
#[derive(Debug)]
pub(super) enum Source {
    /// The state of a generator.
    Random(u64),
    Replay(Vec<u32>),
    Pct(Pct),
}

/// Probabilistic concurrency testing: what may happen next has a random priority, and the first
/// in it happens; at some random choices the first one becomes the last of all.
#[derive(Debug)]
pub(super) struct Pct {
    /// The state of a generator.
    state: u64,
    priorities: BTreeMap<Key, u64>,
    /// The choices at which the first one becomes the last.
    changes: BTreeSet<usize>,
    /// The priority that the next one gets which becomes the last.
    last: u64,
}

/// Priorities from here on are drawn, those below are of what has become the last.
const DRAWN: u64 = 1 << 32;
/// How many binary digits the number of choices is taken to have, at least and at most. It is not
/// known ahead, and it must not be learnt from earlier runs: a seed means the same at any time.
const DIGITS: (usize, usize) = (3, 8);

impl Source {
    /// `None` when there is nothing to choose.
    pub(super) fn new(schedule: &Schedule) -> Option<Self> {
        match schedule {
            Schedule::Free => None,
            Schedule::Random(seed) => Some(Self::Random(*seed)),
            Schedule::Replay(numbers) => Some(Self::Replay(numbers.clone())),
            Schedule::Pct { seed, depth } => Some(Self::Pct(Pct::new(*seed, *depth))),
        }
    }

    /// Chooses among `alternatives` ways, the `nth` time. What is to be replayed may be none of
    /// them.
    pub(super) fn choose(&mut self, nth: usize, alternatives: usize) -> usize {
        match self {
            Self::Random(state) | Self::Pct(Pct { state, .. }) => below(state, alternatives),
            Self::Replay(numbers) => numbers.get(nth).map_or(0, |number| *number as usize),
        }
    }

    /// Chooses by what the ways are, if that is how it chooses.
    pub(super) fn prefer(&mut self, nth: usize, ways: &[Key]) -> Option<usize> {
        match self {
            Self::Pct(pct) if ways.len() > 1 => pct.prefer(nth, ways),
            _ => None,
        }
    }
}

impl Pct {
    fn new(seed: u64, depth: u32) -> Self {
        let mut state = seed;
        let digits = DIGITS.0 + below(&mut state, DIGITS.1 - DIGITS.0 + 1);
        let changes = (1..depth).map(|_| below(&mut state, 1 << digits)).collect();
        Self {
            state,
            priorities: BTreeMap::new(),
            changes,
            last: DRAWN,
        }
    }

    fn prefer(&mut self, nth: usize, ways: &[Key]) -> Option<usize> {
        for way in ways {
            let state = &mut self.state;
            let priorities = &mut self.priorities;
            priorities
                .entry(*way)
                .or_insert_with(|| draw(state).max(DRAWN));
        }
        if self.changes.remove(&nth)
            && let Some(first) = self.first(ways)
        {
            self.last -= 1;
            self.priorities.insert(ways[first], self.last);
        }
        self.first(ways)
    }

    fn first(&self, ways: &[Key]) -> Option<usize> {
        (0..ways.len()).max_by_key(|&way| self.priorities.get(&ways[way]))
    }
}

/// A number from the SplitMix64 generator.
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number below `below`. The error of the remainder is below one in 2^50 for so few ways.
fn below(state: &mut u64, below: usize) -> usize {
    usize::try_from(draw(state) % below as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(count: u32) -> Vec<Key> {
        (0..count).map(|thread| (ThreadId(thread), 0)).collect()
    }

    #[test]
    fn without_a_change_one_way_stays_the_first() {
        let ways = keys(4);
        let mut firsts = BTreeSet::new();
        for seed in 0..64 {
            let mut pct = Pct::new(seed, 1);
            let first = pct.prefer(0, &ways);
            assert!((1..300).all(|nth| pct.prefer(nth, &ways) == first));
            firsts.extend(first);
        }
        assert_eq!(firsts.len(), 4, "each is the first for some seed");
    }

    #[test]
    fn a_change_makes_the_first_one_the_last() {
        let ways = keys(3);
        let mut pct = Pct::new(1, 1);
        pct.changes = BTreeSet::from([1, 2, 3]);
        let order: Vec<_> = (0..7).filter_map(|nth| pct.prefer(nth, &ways)).collect();
        assert_eq!(BTreeSet::from_iter(&order[..3]).len(), 3, "{order:?}");
        assert_eq!(order[3], order[0], "who was the first one to be changed");
        assert!(order[3..].iter().all(|way| *way == order[0]));
    }

    #[test]
    fn there_are_changes_among_the_first_choices_and_among_the_later_ones() {
        let places: BTreeSet<_> = (0..200)
            .flat_map(|seed| Pct::new(seed, 3).changes)
            .collect();
        assert!(places.first().is_some_and(|first| *first < 4));
        assert!(places.last().is_some_and(|last| (128..256).contains(last)));
        assert!(Pct::new(9, 0).changes.is_empty());
    }
}
