//! Steps, and the regions and locks that they open and close.

use apclab_protocol::program::{LockKind, Place};
use apclab_protocol::step::Step;
use apclab_protocol::trace::Record;

use super::build::{Builder, free, place};
use super::{Access, Executed, Scope, ScopeKind, Span};

impl Builder<'_> {
    fn executed(&self, record: &Record) -> Option<Step> {
        self.program_step(place(record), usize::try_from(record.step).ok()?)
    }

    fn program_step(&self, place: Place, step: usize) -> Option<Step> {
        let steps = match place {
            Place::Lane(lane) => self.program.lanes.get(usize::from(lane)),
            Place::Body(apc) => self.program.bodies.get(usize::from(apc)),
        };
        steps?.get(step).copied()
    }

    pub(super) fn step(&mut self, lane: usize, row: usize, record: &Record) {
        let Some(step) = self.executed(record) else {
            return;
        };
        self.settle(lane, row, place(record));
        let waits = match step {
            Step::Wait { .. } | Step::Barrier => true,
            Step::WaitFor { milliseconds, .. }
            | Step::WaitAs { milliseconds, .. }
            | Step::Sleep { milliseconds, .. } => milliseconds > 0,
            // Whether an acquire waits is known when it is over.
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
            locks: wanted(step).is_some(),
        });
        let of_lock = |wanted: u8| move |scope: &Scope| scope.lock == Some(wanted);
        match step {
            Step::EnterCritical | Step::EnterAcquire { .. } => {
                self.open(lane, ScopeKind::Critical, None, row);
            }
            Step::EnterGuarded => self.open(lane, ScopeKind::Guarded, None, row),
            Step::LeaveCritical => self.close(lane, row, |scope| scope.kind == ScopeKind::Critical),
            Step::LeaveGuarded => self.close(lane, row, |scope| scope.kind == ScopeKind::Guarded),
            Step::Release { lock } => self.close(lane, row, of_lock(lock)),
            Step::ReleaseLeave { lock } => {
                self.close(lane, row, of_lock(lock));
                self.close(lane, row, |scope| scope.kind == ScopeKind::Critical);
            }
            Step::Convert { lock } => {
                self.change(lane, row, lock, ScopeKind::Resource(Access::Shared));
            }
            Step::HandOver { lock } => self.change(lane, row, lock, ScopeKind::HandedOver),
            _ => {}
        }
    }

    /// The lock of a step has been acquired.
    pub(super) fn acquired(&mut self, lane: usize, row: usize, record: &Record) {
        let Some((lock, access)) = self.executed(record).and_then(wanted) else {
            return;
        };
        let Some(kind) = self.program.locks.get(usize::from(lock)) else {
            return;
        };
        let place = place(record);
        let same = |step: &Executed| step.place == place && step.step == record.step as usize;
        let steps = &self.timeline.lanes[lane].steps;
        if let Some(index) = steps.iter().rposition(same) {
            let from = steps[index].span.from;
            let waited = row > from && self.contended(lane, lock, access, from);
            let step = &mut self.timeline.lanes[lane].steps[index];
            step.span.to = Some(row);
            step.waits = waited;
        }
        self.lanes[lane].acquired = Some(row);
        let kind = match kind {
            LockKind::FastMutex => ScopeKind::FastMutex,
            LockKind::GuardedMutex => ScopeKind::GuardedMutex,
            LockKind::Mutex => ScopeKind::Mutex,
            LockKind::Resource => ScopeKind::Resource(access),
            LockKind::PushLock => ScopeKind::PushLock(access),
            LockKind::CriticalSection => ScopeKind::CriticalSection,
        };
        self.open(lane, kind, Some(lock), row);
    }

    /// An acquire that has not come to its end waits.
    pub(super) fn waits_on(&mut self) {
        for track in &mut self.timeline.lanes {
            if let Some(step) = track.steps.last_mut() {
                step.waits |= step.locks && step.span.to.is_none();
            }
        }
    }

    /// Whether somebody else's hold, or wait for exclusive access, has stood in the way of an acquire
    /// since a row.
    fn contended(&self, lane: usize, lock: u8, access: Access, from: usize) -> bool {
        let lately = |span: Span| span.to.is_none_or(|to| to >= from);
        let mut tracks = self.timeline.lanes.iter().enumerate();
        tracks.any(|(other, track)| {
            let held = track.scopes.iter().any(|scope| {
                let somebody_elses = other != lane || scope.kind == ScopeKind::HandedOver;
                let conflicts = access == Access::Exclusive || !scope.kind.shares();
                scope.lock == Some(lock) && somebody_elses && conflicts && lately(scope.span)
            });
            let queued = track.steps.iter().any(|step| {
                let wants = self.program_step(step.place, step.step).and_then(wanted);
                other != lane && wants == Some((lock, Access::Exclusive)) && lately(step.span)
            });
            held || queued
        })
    }

    /// What a lane holds of a lock is held in another way from now on.
    fn change(&mut self, lane: usize, row: usize, lock: u8, kind: ScopeKind) {
        let held = self.lanes[lane].open.clone();
        for index in held {
            let scope = self.timeline.lanes[lane].scopes[index];
            if scope.lock == Some(lock) && scope.kind != kind {
                self.close(lane, row, |other| *other == scope);
                self.open_at(lane, kind, Some(lock), row, scope.depth);
            }
        }
    }

    /// A hold that a lane has handed over has been released by another one.
    fn released_for(&mut self, step: Step, row: usize) {
        if let Step::ReleaseFor { lock, lane, .. } = step
            && usize::from(lane) < self.lanes.len()
        {
            self.close(lane.into(), row, |scope| {
                scope.kind == ScopeKind::HandedOver && scope.lock == Some(lock)
            });
        }
    }

    pub(super) fn done(&mut self, lane: usize, row: usize, record: &Record) {
        let Some(step) = self.executed(record) else {
            return;
        };
        if record.value != 0 {
            self.released_for(step, row);
        }
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
                let timed = matches!(
                    step,
                    Step::Try {
                        milliseconds: 1..,
                        ..
                    }
                );
                executed.waits = timed && row > executed.span.from;
                executed.span.to = Some(row);
            }
            self.settle_at(lane, place, row);
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
        self.settle_at(lane, place, to);
    }

    /// The last step of a place is done.
    fn settle_at(&mut self, lane: usize, place: Place, to: usize) {
        let mut earlier = self.timeline.lanes[lane].steps.iter_mut().rev();
        if let Some(step) = earlier.find(|step| step.place == place) {
            step.span.to.get_or_insert(to);
        }
    }

    fn open(&mut self, lane: usize, kind: ScopeKind, lock: Option<u8>, row: usize) {
        let scopes = &self.timeline.lanes[lane].scopes;
        let open = self.lanes[lane].open.iter();
        let taken: Vec<usize> = open.map(|index| scopes[*index].depth).collect();
        self.open_at(lane, kind, lock, row, free(&taken));
    }

    fn open_at(
        &mut self,
        lane: usize,
        kind: ScopeKind,
        lock: Option<u8>,
        row: usize,
        depth: usize,
    ) {
        let scopes = &mut self.timeline.lanes[lane].scopes;
        self.lanes[lane].open.push(scopes.len());
        scopes.push(Scope {
            kind,
            lock,
            depth,
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
            | Step::WaitAs { .. }
            | Step::Sleep { .. }
            | Step::Suspend { to: Some(_), .. }
            | Step::Resume { to: Some(_), .. }
            | Step::Try { .. }
            | Step::Load { .. }
            | Step::AcquiredExclusive { .. }
            | Step::AcquiredShared { .. }
            | Step::ExclusiveWaiters { .. }
            | Step::SharedWaiters { .. }
            | Step::ReleaseFor { .. }
    )
}

/// The lock that a step acquires, and for what.
const fn wanted(step: Step) -> Option<(u8, Access)> {
    match step {
        Step::Acquire { lock, mode }
        | Step::EnterAcquire { lock, mode }
        | Step::Try { lock, mode, .. } => Some((lock, Access::of(mode))),
        _ => None,
    }
}
