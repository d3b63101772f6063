//! Shortest paths to what was found.
//!
//! A search keeps no way back. The levels say how far each state is, so a path is found from its end:
//! the state before is the first one of the level before that leads there.

use std::collections::BTreeMap;

use super::fork::fork;
use super::intern::{Id, Map};
use super::layout::Words;
use super::reduce::symmetry::Permutation;
use super::relation::{Miss, Taken, Visit};
use super::search::{At, Search};
use crate::kernel::BugCheck;
use crate::program::{Event, State, apply, enabled};

/// How many states one thread looks at before somebody asks whether all have been found.
const BLOCK: usize = 1 << 14;

/// How a state is reached: from the one with that index in the level before.
#[derive(Clone, Copy)]
struct From {
    index: usize,
    taken: Taken,
    permutation: Permutation,
}

/// Looks for transitions to states that are wanted.
struct Look<'a, const W: usize> {
    wanted: &'a Map<Words<W>, usize>,
    /// Of the state that is expanded.
    index: usize,
    found: Vec<(Words<W>, usize, From)>,
}

impl<const W: usize> Visit<W> for Look<'_, W> {
    fn state(&mut self, taken: Taken, next: &Words<W>, permutation: Permutation) {
        if let Some(&to) = self.wanted.get(next) {
            let from = From {
                index: self.index,
                taken,
                permutation,
            };
            self.found.push((*next, to, from));
        }
    }

    fn bug_check(&mut self, _: Taken, _: Id) {}

    fn miss(&mut self, miss: Miss) {
        unreachable!("the search has learnt {miss:?}")
    }
}

/// The ways back from states.
pub(super) struct Paths(BTreeMap<At, From>);

impl Search<'_, '_> {
    /// The ways back from the states.
    pub(super) fn paths(&self, ends: &[At], threads: usize) -> Paths {
        with_words!(self.layout.words, W => self.paths_in_words::<W>(ends, threads))
    }

    /// The events of a shortest path to the state, or to what it is when its lanes change places.
    pub(super) fn events(&self, paths: &Paths, end: At, places: Permutation) -> Vec<Event> {
        let back = paths.back(end);
        if self.relation.symmetry.is_none() {
            return back
                .iter()
                .map(|(_, from)| self.relation.event(from.taken))
                .collect();
        }
        self.follow(&back, places).0
    }

    /// As [`Search::events`], to the bug check that `taken` runs into there.
    pub(super) fn events_to(
        &self,
        paths: &Paths,
        (end, taken): (At, Taken),
        bug_check: &BugCheck,
    ) -> Vec<Event> {
        let back = paths.back(end);
        let (mut events, last) = if self.relation.symmetry.is_none() {
            (
                self.events(paths, end, Permutation::IDENTITY),
                self.relation.event(taken),
            )
        } else {
            let (events, state) = self.follow(&back, Permutation::IDENTITY);
            let mut last = enabled(&state, self.program).into_iter();
            let last = last.find(|&event| {
                apply(&state, self.program, event).as_ref().err() == Some(bug_check)
            });
            (events, last.expect("the same happens in the other places"))
        };
        events.push(last);
        events
    }

    /// The path whose last state is what was met with its lanes in other places. What was met on the
    /// way had its lanes in other places time and again.
    fn follow(&self, back: &[(At, From)], places: Permutation) -> (Vec<Event>, State) {
        let all = back
            .iter()
            .rev()
            .map(|(_, from)| from.permutation.inverse());
        let all = all.fold(Permutation::IDENTITY, Permutation::then);
        let mut places = all.inverse().then(places);
        let (mut state, mut events) = (self.initial.clone(), Vec::new());
        for (at, from) in back {
            places = from.permutation.inverse().then(places);
            let target = places.state(&self.state(*at));
            let mut steps = enabled(&state, self.program).into_iter();
            let step = steps.find_map(|event| {
                let next = apply(&state, self.program, event).ok()?;
                self.relation.same(&target, &next).then_some((event, next))
            });
            let (event, next) = step.expect("the same happens in the other places");
            events.push(event);
            state = next;
        }
        (events, state)
    }

    fn state(&self, at: At) -> State {
        with_words!(self.layout.words, W => {
            let states = self.levels[at.level].as_chunks::<W>().0;
            self.relation.state(&self.layout, &states[at.index], self.initial)
        })
    }

    fn paths_in_words<const W: usize>(&self, ends: &[At], threads: usize) -> Paths {
        let mut reached: BTreeMap<At, From> = BTreeMap::new();
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
            let wanted = before.map(|(_, from)| from.index);
            let ending = ends.iter().filter(|end| here.contains(end));
            let wanted = wanted.chain(ending.map(|end| end.index));
            let wanted: Map<Words<W>, usize> = wanted.map(|index| (states[index], index)).collect();
            for (index, from) in self.reached_from::<W>(level - 1, wanted, threads) {
                reached.insert(At { level, index }, from);
            }
        }
        Paths(reached)
    }

    /// For each of the states that are wanted the first one of the level that leads there, and how.
    fn reached_from<const W: usize>(
        &self,
        level: usize,
        mut wanted: Map<Words<W>, usize>,
        threads: usize,
    ) -> Vec<(usize, From)> {
        let states = self.levels[level].as_chunks::<W>().0;
        let mut found = Vec::new();
        let threads = if states.len() < BLOCK { 1 } else { threads };
        for block in (0..states.len()).step_by(BLOCK * threads) {
            if wanted.is_empty() {
                break;
            }
            let parts = (0..threads).map(|part| block + part * BLOCK);
            let looked = fork(parts.collect(), |first| {
                let mut look = Look {
                    wanted: &wanted,
                    index: 0,
                    found: Vec::new(),
                };
                let part = states.iter().enumerate().skip(first).take(BLOCK);
                for (index, state) in part {
                    look.index = index;
                    self.relation.expand(&self.layout, state, &mut look);
                }
                look.found
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

impl Paths {
    /// The states of a path but the first one, in their order, each with how it is reached.
    fn back(&self, end: At) -> Vec<(At, From)> {
        let mut back = Vec::new();
        let mut at = end;
        while let Some(&from) = self.0.get(&at) {
            back.push((at, from));
            at = At {
                level: at.level - 1,
                index: from.index,
            };
        }
        back.reverse();
        back
    }
}
