//! Asks the relation what it has not been asked for before.

use super::*;

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
        let (kernel, at) = (self.kernels.get(kernel), self.places[lane].get(place));
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
                place.wait_ended(self.program, lane, true, &mut changes);
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
        let moves = evaluated.moves.into_iter().map(|(event, moved)| {
            self.events.push(event);
            match moved {
                Ok(moved) => Move {
                    kernel: self.kernels.id(moved.kernel),
                    place: self.places[lane].id(moved.place),
                    ops: Range::append(&mut self.ops, self.values.ops(&moved.changes)),
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
            }
        });
        let moves: Vec<_> = moves.collect();
        let range = Range::append(&mut self.moves, moves);
        let list = List {
            first: range.first,
            len: range.len,
            at_barrier: evaluated.at_barrier,
            parked: evaluated.parked,
        };
        self.lists[lane].insert(key(kernel, place), list);
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
                let mut at = Lane::clone(self.places[lane].get(place));
                at.wait_ended(self.program, lane, true, &mut changes);
                let arrival = self.arrival(lane, at, &changes);
                self.woken[lane].insert(place, arrival);
            }
            Miss::Passed { lane, place } => {
                let mut at = Lane::clone(self.places[lane].get(place));
                at.pass_barrier(self.program, lane);
                let arrival = self.arrival(lane, at, &[]);
                self.passed[lane].insert(place, arrival);
            }
            Miss::Sum { sum, value } => self.values.learn(sum, value),
        }
    }

    fn arrival(&mut self, lane: usize, at: Lane, changes: &[Change]) -> Arrival {
        Arrival {
            place: self.places[lane].id(at),
            ops: Range::append(&mut self.ops, self.values.ops(changes)),
        }
    }
}
