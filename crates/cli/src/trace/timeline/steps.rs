//! Steps, and the regions and locks that they open and close.

use apclab_protocol::program::{LockKind, Place};
use apclab_protocol::step::Step;
use apclab_protocol::trace::Record;

use super::build::{Builder, free, place};
use super::{Executed, Scope, ScopeKind, Span};

impl Builder<'_> {
    fn executed(&self, record: &Record) -> Option<Step> {
        let steps = match place(record) {
            Place::Lane(lane) => self.program.lanes.get(usize::from(lane)),
            Place::Body(apc) => self.program.bodies.get(usize::from(apc)),
        };
        steps?.get(usize::try_from(record.step).ok()?).copied()
    }

    pub(super) fn step(&mut self, lane: usize, row: usize, record: &Record) {
        let Some(step) = self.executed(record) else {
            return;
        };
        self.settle(lane, row, place(record));
        let waits = match step {
            Step::Wait { .. } | Step::Barrier => true,
            Step::WaitFor { milliseconds, .. } => milliseconds > 0,
            Step::Acquire { lock, .. } | Step::EnterAcquire { lock, .. } => {
                self.held_elsewhere(lane, lock)
            }
            Step::Try {
                lock, milliseconds, ..
            } => milliseconds > 0 && self.held_elsewhere(lane, lock),
            _ => false,
        };
        self.timeline.lanes[lane].steps.push(Executed {
            span: Span {
                from: row,
                to: None,
            },
            place: place(record),
            step: record.step as usize,
            value: None,
            waits,
        });
        match step {
            Step::EnterCritical => self.open(lane, ScopeKind::Critical, None, row),
            Step::EnterGuarded => self.open(lane, ScopeKind::Guarded, None, row),
            Step::LeaveCritical => self.close(lane, row, |scope| scope.kind == ScopeKind::Critical),
            Step::LeaveGuarded => self.close(lane, row, |scope| scope.kind == ScopeKind::Guarded),
            Step::Acquire { lock, .. } | Step::Try { lock, .. } => {
                self.lanes[lane].wanted = Some(lock);
            }
            Step::Release { lock } => self.close(lane, row, |scope| scope.lock == Some(lock)),
            _ => {}
        }
    }

    fn held_elsewhere(&self, lane: usize, lock: u8) -> bool {
        let others = self.timeline.lanes.iter().enumerate();
        others
            .filter(|(other, _)| *other != lane)
            .any(|(_, track)| {
                let mut scopes = track.scopes.iter();
                scopes.any(|scope| scope.lock == Some(lock) && scope.span.to.is_none())
            })
    }

    /// The last row in which another lane has released a lock.
    fn released_elsewhere(&self, lane: usize, lock: u8) -> Option<usize> {
        let others = self.timeline.lanes.iter().enumerate();
        let others = others.filter(|(other, _)| *other != lane);
        let scopes = others.flat_map(|(_, track)| &track.scopes);
        let same = scopes.filter(|scope| scope.lock == Some(lock));
        same.filter_map(|scope| scope.span.to).max()
    }

    pub(super) fn done(&mut self, lane: usize, row: usize, record: &Record) {
        let Some(step) = self.executed(record) else {
            return;
        };
        let failed = matches!(step, Step::Try { .. }) && record.value == 0;
        let place = place(record);
        let steps = self.timeline.lanes[lane].steps.iter_mut();
        let mut earlier = steps.rev();
        let same = |step: &&mut Executed| step.place == place && step.step == record.step as usize;
        let Some(executed) = earlier.find(same) else {
            return;
        };
        if answers(step) {
            executed.value = Some(record.value);
        }
        if executed.span.to.is_none() {
            if failed {
                self.lanes[lane].wanted = None;
                executed.span.to = Some(row);
            }
            self.settle_at(lane, row, place, row);
        } else {
            self.settle(lane, row, place);
        }
    }

    /// A step that begins or ends a scope is done when the next one begins: that it is done is told
    /// with the end of the scope, or not at all. What ran in its course lies between.
    fn settle(&mut self, lane: usize, row: usize, place: Place) {
        let track = &self.timeline.lanes[lane];
        let from = track.steps.iter().rev().find(|step| step.place == place);
        let ran = track.routines.last().map(|routine| routine.row);
        let to = match from {
            Some(step) if step.waits => row,
            Some(step) => ran
                .map_or(0, |ran| ran.max(step.span.from))
                .max(step.span.from),
            None => row,
        };
        self.settle_at(lane, row, place, to);
    }

    /// The last step of a place is done; a lock that it wanted is held.
    fn settle_at(&mut self, lane: usize, row: usize, place: Place, to: usize) {
        let mut earlier = self.timeline.lanes[lane].steps.iter_mut().rev();
        let Some(step) = earlier.find(|step| step.place == place) else {
            return;
        };
        let from = step.span.from;
        step.span.to.get_or_insert(to);
        if matches!(place, Place::Lane(_))
            && let Some(lock) = self.lanes[lane].wanted.take()
            && let Some(kind) = self.program.locks.get(usize::from(lock))
        {
            // That another lane had the lock may be known only now: its own next record told it.
            let waited = self.released_elsewhere(lane, lock) >= Some(from);
            let acquired = if waited { row } else { from };
            if waited {
                self.lanes[lane].acquired = Some(row);
                let mut earlier = self.timeline.lanes[lane].steps.iter_mut().rev();
                if let Some(step) = earlier.find(|step| step.place == place) {
                    step.waits = true;
                    step.span.to = Some(row);
                }
            }
            let kind = match kind {
                LockKind::FastMutex => ScopeKind::FastMutex,
                LockKind::GuardedMutex => ScopeKind::GuardedMutex,
                LockKind::Mutex | LockKind::Resource | LockKind::PushLock => ScopeKind::Mutex,
            };
            self.open(lane, kind, Some(lock), acquired);
        }
    }

    fn open(&mut self, lane: usize, kind: ScopeKind, lock: Option<u8>, row: usize) {
        let scopes = &mut self.timeline.lanes[lane].scopes;
        let open = &mut self.lanes[lane].open;
        let taken: Vec<usize> = open.iter().map(|index| scopes[*index].depth).collect();
        open.push(scopes.len());
        scopes.push(Scope {
            kind,
            lock,
            depth: free(&taken),
            span: Span {
                from: row,
                to: None,
            },
        });
    }

    fn close(&mut self, lane: usize, row: usize, is_it: impl Fn(&Scope) -> bool) {
        let scopes = &mut self.timeline.lanes[lane].scopes;
        let open = &mut self.lanes[lane].open;
        if let Some(place) = open.iter().rposition(|index| is_it(&scopes[*index])) {
            scopes[open.remove(place)].span.to = Some(row);
        }
    }
}

/// Whether a step's answer is worth showing.
const fn answers(step: Step) -> bool {
    matches!(
        step,
        Step::ApcsDisabled { .. }
            | Step::AllApcsDisabled { .. }
            | Step::Irql { .. }
            | Step::Queue { to: Some(_), .. }
            | Step::Ran { .. }
            | Step::WaitFor { .. }
            | Step::Try { .. }
            | Step::Load { .. }
    )
}
