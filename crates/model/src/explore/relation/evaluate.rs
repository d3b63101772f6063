//! Asks the relation what it has not been asked for before.

use std::sync::Arc;

use super::{Arrival, List, Miss, Move, Range, Relation};
use crate::explore::intern::Id;
use crate::kernel::{BugCheck, Kernel};
use crate::program::{Change, Ended, Event, Lane, Turn, grant_waits};

/// What a lane may do.
pub(in crate::explore) struct Evaluated {
    moves: Vec<(Event, Result<Moved, BugCheck>)>,
    at_barrier: bool,
    parked: bool,
}

/// What comes of an event.
struct Moved {
    kernel: Kernel,
    place: Lane,
    changes: Vec<Change>,
    /// The other lanes whose waits end.
    woken: Vec<usize>,
}

impl Relation<'_> {
    /// Everything that the lane may do in that machine and at that place, by the code of
    /// [`crate::program::apply`].
    pub(in crate::explore) fn evaluate(&self, lane: usize, kernel: Id, place: Id) -> Evaluated {
        let (kernel, at) = (self.kernels.get(kernel), self.place(lane, place));
        let mut events = Vec::new();
        let at_barrier = at.enabled(kernel, self.program, lane, &mut events);
        let moves = events.into_iter().map(|event| {
            let moved = self.happen(kernel, at, lane, event);
            (event, moved)
        });
        Evaluated {
            moves: moves.collect(),
            at_barrier,
            parked: at.parked(kernel, self.program, lane),
        }
    }

    fn happen(
        &self,
        kernel: &Kernel,
        at: &Lane,
        lane: usize,
        event: Event,
    ) -> Result<Moved, BugCheck> {
        let (mut kernel, mut place) = (kernel.clone(), at.clone());
        let mut changes = Vec::new();
        let mut turn = Turn {
            program: self.program,
            lane,
            kernel: &mut kernel,
            at: &mut place,
            apart: self.apart,
            changes: &mut changes,
        };
        turn.take(event)?;
        let mut woken = Vec::new();
        for granted in grant_waits(&mut kernel, self.places.len()) {
            if granted == lane {
                place.wait_ended(self.program, lane, Ended::Granted, &mut changes);
            } else {
                woken.push(granted);
            }
        }
        Ok(Moved {
            kernel,
            place,
            changes,
            woken,
        })
    }

    /// Remembers what a lane may do.
    pub(in crate::explore) fn learn_moves(
        &mut self,
        (lane, kernel, place): (usize, Id, Id),
        evaluated: Evaluated,
    ) {
        let before = Arc::clone(self.place(lane, place));
        let events: Vec<_> = evaluated.moves.iter().map(|(event, _)| *event).collect();
        // After a bug check nothing happens any more: such an event is never enough.
        let stops = evaluated.moves.iter().any(|(_, moved)| moved.is_err());
        let ample = self.ample.as_mut().filter(|_| !stops);
        let own = ample.and_then(|ample| {
            let kernel = self.kernels.get(kernel);
            ample.own(kernel, lane, &before, &events)
        });
        self.events.extend(events);
        let moves = evaluated.moves.into_iter().map(|(_, moved)| match moved {
            Ok(moved) => Move {
                kernel: self.kernels.id(moved.kernel),
                ops: Range::append(
                    &mut self.ops,
                    self.values
                        .ops(&moved.changes, &self.live, lane, (&before, &moved.place)),
                ),
                place: self.places[self.table_of[lane]].id(moved.place),
                woken: Range::append(&mut self.lanes_woken, moved.woken),
                bug_check: None,
            },
            Err(bug_check) => Move {
                kernel,
                place,
                ops: Range::default(),
                woken: Range::default(),
                bug_check: Some(self.bug_checks.id(bug_check)),
            },
        });
        let moves: Vec<_> = moves.collect();
        let range = Range::append(&mut self.moves, moves);
        let list = List {
            moves: range,
            at_barrier: evaluated.at_barrier,
            parked: evaluated.parked,
            own,
        };
        self.lists[lane].insert(kernel, place, list);
    }

    /// Finds and remembers anything else that is missing.
    pub(in crate::explore) fn learn(&mut self, miss: Miss) {
        match miss {
            Miss::Moves {
                lane,
                kernel,
                place,
            } => {
                let evaluated = self.evaluate(lane, kernel, place);
                self.learn_moves((lane, kernel, place), evaluated);
            }
            Miss::Woken { lane, place } => {
                let mut changes = Vec::new();
                let before = Arc::clone(self.place(lane, place));
                let mut at = Lane::clone(&before);
                at.wait_ended(self.program, lane, Ended::Granted, &mut changes);
                let arrival = self.arrival(lane, &before, at, &changes);
                self.woken[lane].insert(place, arrival);
            }
            Miss::Passed { lane, place } => {
                let before = Arc::clone(self.place(lane, place));
                let mut at = Lane::clone(&before);
                at.pass_barrier(self.program, lane);
                let arrival = self.arrival(lane, &before, at, &[]);
                self.passed[lane].insert(place, arrival);
            }
            Miss::Sum { sum, value } => self.values.learn(sum, value),
            Miss::Conflict { own, other, place } => {
                let place_of_other = self.place(other, place);
                let ample = self.ample.as_ref();
                let conflict =
                    ample.is_none_or(|ample| ample.conflicts(own, other, place_of_other));
                self.conflicts.insert((own, other, place), conflict);
            }
            Miss::Permuted {
                kernel,
                permutation,
            } => {
                let permuted = self.kernels.get(kernel);
                let permuted = permuted.permuted(|t| permutation.of_thread(t));
                let permuted = self.kernels.id(permuted);
                self.permuted.insert((kernel, permutation), permuted);
            }
        }
    }

    fn arrival(&mut self, lane: usize, before: &Lane, at: Lane, changes: &[Change]) -> Arrival {
        let ops = self.values.ops(changes, &self.live, lane, (before, &at));
        Arrival {
            place: self.places[self.table_of[lane]].id(at),
            ops: Range::append(&mut self.ops, ops),
        }
    }
}
