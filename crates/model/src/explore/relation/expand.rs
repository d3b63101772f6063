//! The transitions of a state, from what is known.

use apclab_protocol::limits::LANES;

use super::{Arrival, List, Miss, Range, Relation, Taken};
use crate::explore::intern::{Id, Map};
use crate::explore::layout::{Layout, Words};
use crate::explore::reduce::symmetry::Permutation;

/// Who is told of the transitions of a state.
pub(in crate::explore) trait Visit<const W: usize> {
    /// The transition leads to a state. `places` says how its identical lanes have changed places
    /// afterwards.
    fn state(&mut self, taken: Taken, next: &Words<W>, places: Permutation);
    /// The transition runs into a bug check.
    fn bug_check(&mut self, taken: Taken, bug_check: Id);
    /// Something is not known. What is told of this state means nothing then.
    fn miss(&mut self, miss: Miss);
}

/// What a state is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::explore) enum Kind {
    /// Something may happen.
    Inner,
    /// The iteration is over.
    Final,
    /// It is not over and nothing can happen.
    Deadlock,
}

impl Relation<'_> {
    /// Tells of every transition of the state, in the order of [`crate::program::enabled`], or of
    /// those that are enough.
    #[inline]
    pub(in crate::explore) fn expand<const W: usize>(
        &self,
        layout: &Layout,
        state: &Words<W>,
        visit: &mut impl Visit<W>,
    ) -> Kind {
        let kernel = layout.kernel.get(state);
        let lanes = layout.lanes.len();
        let mut lists = [List::default(); LANES];
        let (mut parked, mut at_barrier, mut moves, mut known) = (true, true, 0, true);
        for ((lane, field), list) in layout.lanes.iter().enumerate().zip(&mut lists) {
            let place = field.get(state);
            if let Some(found) = self.lists[lane].get(kernel, place) {
                *list = found;
            } else {
                known = false;
                visit.miss(Miss::Moves {
                    lane,
                    kernel,
                    place,
                });
            }
            parked &= list.parked;
            at_barrier &= list.at_barrier;
            moves += list.moves.len;
        }
        if !known {
            return Kind::Inner;
        }
        let chosen = match self.enough(layout, state, &lists, visit) {
            Some(lane) => lane..lane + 1,
            None => 0..lanes,
        };
        for lane in chosen {
            let Range { first, len } = lists[lane].moves;
            for number in first..first + len {
                let taken = &self.moves[number as usize];
                if let Some(bug_check) = taken.bug_check {
                    visit.bug_check(Taken(number), bug_check);
                    continue;
                }
                let mut next = *state;
                layout.kernel.set(&mut next, taken.kernel);
                layout.lanes[lane].set(&mut next, taken.place);
                self.operate(layout, taken.ops, &mut next, visit);
                for &woken in taken.woken.of(&self.lanes_woken) {
                    let miss = |place| Miss::Woken { lane: woken, place };
                    self.arrive(layout, (woken, &self.woken[woken]), &mut next, visit, miss);
                }
                let places = self.sort(layout, &mut next, visit);
                visit.state(Taken(number), &next, places);
            }
        }
        if at_barrier {
            let mut next = *state;
            for lane in 0..lanes {
                let miss = |place| Miss::Passed { lane, place };
                self.arrive(layout, (lane, &self.passed[lane]), &mut next, visit, miss);
            }
            let places = self.sort(layout, &mut next, visit);
            visit.state(Taken::BARRIER, &next, places);
        }
        if parked {
            Kind::Final
        } else if moves == 0 && !at_barrier {
            Kind::Deadlock
        } else {
            Kind::Inner
        }
    }

    /// The first lane whose events are enough.
    #[inline]
    fn enough<const W: usize>(
        &self,
        layout: &Layout,
        state: &Words<W>,
        lists: &[List; LANES],
        visit: &mut impl Visit<W>,
    ) -> Option<usize> {
        self.ample.as_ref()?;
        let lanes = 0..layout.lanes.len();
        let mut candidates = lanes
            .clone()
            .filter_map(|lane| Some((lane, lists[lane].own?)));
        let enough = candidates.find(|&(lane, own)| {
            let mut others = lanes.clone().filter(|&other| other != lane);
            others.all(|other| {
                let place = layout.lanes[other].get(state);
                let known = self.conflicts.get(&(own, other, place));
                if known.is_none() {
                    visit.miss(Miss::Conflict { own, other, place });
                }
                known == Some(&false)
            })
        });
        enough.map(|(lane, _)| lane)
    }

    /// Moves the lane to where `arrivals` says that it goes from where it is.
    fn arrive<const W: usize>(
        &self,
        layout: &Layout,
        (lane, arrivals): (usize, &Map<Id, Arrival>),
        state: &mut Words<W>,
        visit: &mut impl Visit<W>,
        miss: impl FnOnce(Id) -> Miss,
    ) {
        let field = layout.lanes[lane];
        let place = field.get(state);
        match arrivals.get(&place) {
            Some(arrival) => {
                field.set(state, arrival.place);
                self.operate(layout, arrival.ops, state, visit);
            }
            None => visit.miss(miss(place)),
        }
    }

    #[inline]
    fn operate<const W: usize>(
        &self,
        layout: &Layout,
        ops: Range,
        state: &mut Words<W>,
        visit: &mut impl Visit<W>,
    ) {
        for &op in ops.of(&self.ops) {
            if let Some((sum, value)) = self.values.operate(layout, op, state) {
                visit.miss(Miss::Sum { sum, value });
            }
        }
    }
}
