//! The search: breadth first, level by level, on as many threads as it is given.
//!
//! A level is taken in blocks. First the threads expand a block, each a part of its own, and sort
//! what they find by the table in which it belongs; then they fill the tables, each some of its
//! own. Whatever one thread would have seen first comes first in every list, so the number of
//! threads changes nothing but the time.

use std::collections::HashSet;

use apclab_protocol::program::Program;

use super::fork::fork;
use super::intern::{Id, Map};
use super::layout::{Layout, MOST_WORDS, Words};
use super::relation::{Kind, Miss, Relation, Taken};
use super::table::{SHARDS, Shard};
use super::{LimitReached, Options, Progress};
use crate::program::State;

mod part;
mod tables;

use part::Part;

/// How many states of a level are expanded before what they lead to is sorted into the tables.
const BLOCK: usize = 1 << 17;

/// Levels that are smaller are not worth starting threads for. Tests start them all the same.
const WORTH_THREADS: usize = if cfg!(test) { 1 << 6 } else { 1 << 12 };

/// Where a state is: its level and its index there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct At {
    pub(super) level: usize,
    pub(super) index: usize,
}

/// The final states with the same values.
pub(super) struct Seen {
    pub(super) count: u64,
    pub(super) first: At,
}

/// A search and all that it has met.
pub(super) struct Search<'a, 'p> {
    pub(super) relation: Relation<'p>,
    pub(super) layout: Layout,
    pub(super) options: &'a Options,
    pub(super) initial: &'a State,
    pub(super) program: &'p Program<'p>,
    /// The states by their distance from the initial one, packed.
    pub(super) levels: Vec<Vec<u64>>,
    /// The next level, as far as it is known, by table.
    next: Vec<Vec<u64>>,
    shards: Vec<Shard>,
    /// How many states of the last level have been expanded.
    expanded: usize,
    pub(super) states: usize,
    pub(super) transitions: u64,
    /// By the numbers of their values.
    pub(super) finals: Map<Box<[Id]>, Seen>,
    pub(super) deadlocks: u64,
    pub(super) deadlock: Option<At>,
    pub(super) bug_checks: Map<Id, (At, Taken)>,
    enough_bug_checks: Option<usize>,
    /// Parts whose memory is used again.
    spare: Vec<Part>,
}

/// The layout has become too narrow.
struct Narrow;

impl<'a, 'p> Search<'a, 'p> {
    pub(super) fn new(initial: &'a State, program: &'p Program<'p>, options: &'a Options) -> Self {
        let mut relation = Relation::new(program, initial, options.reductions);
        let (kernel, places, values) = relation.number(initial);
        let layout = Layout::new(&relation.sizes());
        let mut state = Layout::empty::<MOST_WORDS>();
        layout.kernel.set(&mut state, kernel);
        for (field, id) in layout.lanes.iter().zip(places) {
            field.set(&mut state, id);
        }
        for (field, id) in layout.slots.iter().zip(values) {
            field.set(&mut state, id);
        }
        let words = layout.words;
        let mut search = Self {
            relation,
            layout,
            options,
            initial,
            program,
            levels: vec![state[..words].to_vec()],
            next: vec![Vec::new(); SHARDS],
            shards: Vec::new(),
            expanded: 0,
            states: 1,
            transitions: 0,
            finals: Map::default(),
            deadlocks: 0,
            deadlock: None,
            bug_checks: Map::default(),
            enough_bug_checks: None,
            spare: Vec::new(),
        };
        search.relation.widen(&search.layout);
        search.fill_tables();
        search
    }

    /// Makes the search end with the level in which so many bug checks have been met.
    pub(super) fn stop_at_bug_checks(&mut self, count: usize) {
        self.enough_bug_checks = Some(count);
    }

    /// Searches everything.
    pub(super) fn run(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<(), LimitReached> {
        loop {
            let done = with_words!(self.layout.words, W => self.run_words::<W>(progress))?;
            match done {
                Ok(()) => return Ok(()),
                Err(Narrow) => self.widen(),
            }
        }
    }

    fn run_words<const W: usize>(
        &mut self,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Result<(), Narrow>, LimitReached> {
        loop {
            let len = self.level::<W>().len();
            while self.expanded < len {
                let threads = if len < WORTH_THREADS {
                    1
                } else {
                    self.options.threads.get()
                };
                let end = len.min(self.expanded + BLOCK);
                let parts = self.expand_block::<W>(self.expanded..end, threads);
                if parts.iter().any(|part| !part.misses.is_empty()) {
                    self.learn(&parts, threads);
                    self.spare = parts;
                    if !self.layout.fits(&self.relation.sizes()) {
                        return Ok(Err(Narrow));
                    }
                    continue;
                }
                self.sort_in::<W>(&parts, threads);
                self.record::<W>(&parts);
                self.spare = parts;
                self.expanded = end;
                self.check_limits()?;
                progress(self.progress());
            }
            let next = self.next.concat();
            self.next.iter_mut().for_each(Vec::clear);
            let met = self.bug_checks.len();
            if next.is_empty() || self.enough_bug_checks.is_some_and(|enough| met >= enough) {
                return Ok(Ok(()));
            }
            self.levels.push(next);
            self.expanded = 0;
        }
    }

    fn level<const W: usize>(&self) -> &[Words<W>] {
        self.levels
            .last()
            .map_or(&[], |level| level.as_chunks::<W>().0)
    }

    fn expand_block<const W: usize>(
        &mut self,
        block: std::ops::Range<usize>,
        threads: usize,
    ) -> Vec<Part> {
        let mut spare = std::mem::take(&mut self.spare);
        spare.resize_with(threads.max(spare.len()), Part::default);
        let each = block.len().div_ceil(threads);
        let starts = block.clone().step_by(each.max(1));
        let ranges = starts.map(|first| first..block.end.min(first + each));
        let work: Vec<_> = ranges.zip(spare).collect();
        let (search, level) = (&*self, self.level::<W>());
        fork(work, |(range, part)| search.expand_part(level, range, part))
    }

    fn expand_part<const W: usize>(
        &self,
        level: &[Words<W>],
        range: std::ops::Range<usize>,
        mut part: Part,
    ) -> Part {
        part.clear();
        for index in range {
            part.index = index;
            match self.relation.expand(&self.layout, &level[index], &mut part) {
                Kind::Inner => {}
                Kind::Final => part.finals.push(index),
                Kind::Deadlock => part.deadlocks.push(index),
            }
        }
        part
    }

    /// Finds out what was missing, in the order in which one thread would have missed it.
    fn learn(&mut self, parts: &[Part], threads: usize) {
        let mut met = HashSet::new();
        let misses = parts.iter().flat_map(|part| &part.misses);
        let misses: Vec<_> = misses.copied().filter(|&miss| met.insert(miss)).collect();
        let moves = |miss: &Miss| match *miss {
            Miss::Moves {
                lane,
                kernel,
                place,
            } => Some((lane, kernel, place)),
            _ => None,
        };
        let asked: Vec<_> = misses.iter().filter_map(moves).collect();
        let each = asked.len().div_ceil(threads).max(64);
        let relation = &self.relation;
        let evaluated = fork(asked.chunks(each).collect(), |asked| {
            let each = asked.iter();
            each.map(|&(lane, kernel, place)| relation.evaluate(lane, kernel, place))
                .collect::<Vec<_>>()
        });
        for (asked, evaluated) in asked.into_iter().zip(evaluated.into_iter().flatten()) {
            self.relation.learn_moves(asked, evaluated);
        }
        for miss in misses.into_iter().filter(|miss| moves(miss).is_none()) {
            self.relation.learn(miss);
        }
    }

    fn record<const W: usize>(&mut self, parts: &[Part]) {
        let level = self.levels.len() - 1;
        let at = |index| At { level, index };
        let mut values = Vec::new();
        for part in parts {
            self.transitions += part.transitions;
            for &index in &part.finals {
                let states = self.levels[level].as_chunks::<W>().0;
                self.relation
                    .seen(&self.layout, &states[index], &mut values);
                if let Some(seen) = self.finals.get_mut(values.as_slice()) {
                    seen.count += 1;
                } else {
                    let first = at(index);
                    let seen = Seen { count: 1, first };
                    self.finals.insert(values.as_slice().into(), seen);
                }
            }
            self.deadlocks += part.deadlocks.len() as u64;
            if let Some(&index) = part.deadlocks.first() {
                self.deadlock.get_or_insert(at(index));
            }
            for &(bug_check, index, taken) in &part.bug_checks {
                let first = (at(index), taken);
                self.bug_checks.entry(bug_check).or_insert(first);
            }
        }
        let next: usize = self.next.iter().map(Vec::len).sum();
        let done: usize = self.levels.iter().map(Vec::len).sum();
        self.states = (next + done) / W;
    }

    fn check_limits(&self) -> Result<(), LimitReached> {
        let (states, bytes) = (self.options.states, self.options.bytes);
        let over = LimitReached {
            states: self.states,
            bytes: None,
        };
        if self.states > states {
            return Err(LimitReached { states, ..over });
        }
        if self.bytes() > bytes {
            let bytes = Some(bytes);
            return Err(LimitReached { bytes, ..over });
        }
        Ok(())
    }

    /// How many bytes the search takes.
    fn bytes(&self) -> usize {
        let tables: usize = self.shards.iter().map(Shard::bytes).sum();
        let levels = self.levels.iter().chain(&self.next);
        let levels: usize = levels
            .map(|level| level.capacity() * size_of::<u64>())
            .sum();
        tables + levels + self.relation.bytes()
    }

    fn progress(&self) -> Progress {
        let in_words = |level: &Vec<u64>| level.len() / self.layout.words;
        let ahead: usize = self.next.iter().map(in_words).sum();
        let level = self.levels.last().map_or(0, in_words);
        Progress {
            states: self.states as u64,
            transitions: self.transitions,
            level: self.levels.len() as u64 - 1,
            frontier: (level - self.expanded + ahead) as u64,
            bytes: self.bytes() as u64,
        }
    }
}
