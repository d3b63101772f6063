//! The walk along one lane or one body.
//!
//! In a lane that is not raw all scopes are closed in the reverse of the order in which they were
//! opened. In a raw one that holds for raises, the locks that raise, and blocks; regions and the other
//! locks may be left in any order, but never more often than entered. Each block ends with the same
//! open as it began with.

use super::Reason;
use super::callers::InCall;
use super::scopes::{Counts, Order, Other, Others, Scope};
use super::uses::Uses;
use crate::limits;
use crate::program::{LockKind, Place, Program};
use crate::step::Step;

/// The index of the step that ends a block.
fn block_end(begin: usize, length: u32) -> usize {
    begin.saturating_add(length as usize).saturating_add(1)
}

pub(super) struct Walk<'p> {
    pub(super) program: &'p Program<'p>,
    pub(super) uses: &'p Uses,
    pub(super) place: Place,
    pub(super) raw: bool,
    order: Order,
    others: Others,
    pub(super) counts: Counts,
    /// The resources that the lane has handed over, a bit each.
    pub(super) handed_over: u16,
    /// In a caller lane: the call that it is in.
    pub(super) in_call: Option<InCall>,
    /// The completions whose requests it has started, a bit each.
    pub(super) started: u16,
    barriers: u64,
    executed: u64,
    deepest: usize,
}

impl<'p> Walk<'p> {
    pub(super) fn new(program: &'p Program<'p>, uses: &'p Uses, place: Place) -> Self {
        let raw = match place {
            Place::Lane(lane) => program.raw(lane.into()),
            Place::Body(_) => false,
        };
        Self {
            program,
            uses,
            place,
            raw,
            order: Order::new(),
            others: Others::new(),
            counts: Counts::NONE,
            handed_over: 0,
            in_call: None,
            started: 0,
            barriers: 0,
            executed: 0,
            deepest: 0,
        }
    }

    /// Barriers that the lane comes to, with every round of every repeat.
    pub(super) const fn barriers(&self) -> u64 {
        self.barriers
    }

    /// The most regions open at the same time so far.
    pub(super) const fn deepest(&self) -> usize {
        self.deepest
    }

    pub(super) fn kind(&self, lock: u8) -> Option<LockKind> {
        self.program.lock(lock.into())
    }

    /// Whether the step is executed at APC_LEVEL. The body of a special APC is, but it may not have
    /// any step that asks.
    pub(super) fn at_apc_level(&self) -> bool {
        self.others.iter().any(|other| match other {
            Other::Raise => true,
            Other::Lock(lock) => self.kind(lock).is_some_and(LockKind::raises),
            Other::Combined(_) | Other::Block { .. } => false,
        })
    }

    /// How often a step here is executed in one iteration.
    pub(super) fn rounds(&self) -> u64 {
        self.others.iter().fold(1, |rounds, other| match other {
            Other::Block { rounds: more, .. } => rounds.saturating_mul(more.into()),
            _ => rounds,
        })
    }

    /// Opens a scope that is closed in order.
    pub(super) fn open(&mut self, other: Other) -> Result<(), Reason> {
        if self.others.push(other) && self.order.push(Scope::Other) {
            Ok(())
        } else {
            Err(Reason::TooManyScopes)
        }
    }

    /// Closes the innermost scope, which has to be one that `wanted` accepts.
    pub(super) fn close(&mut self, wanted: impl Fn(Other) -> bool) -> Result<Other, Reason> {
        let other = match self.order.pop() {
            None => return Err(Reason::NothingToLeave),
            Some(Scope::Other) => self.others.innermost().ok_or(Reason::NothingToLeave)?,
            Some(_) => return Err(Reason::NotInnermost),
        };
        if !wanted(other) {
            return Err(Reason::NotInnermost);
        }
        self.others.pop();
        Ok(other)
    }

    fn enter(&mut self, scope: Scope) -> Result<(), Reason> {
        if self.counts.regions() == limits::NESTING || !(self.raw || self.order.push(scope)) {
            return Err(Reason::TooDeep);
        }
        self.count_region(scope);
        Ok(())
    }

    pub(super) fn count_region(&mut self, scope: Scope) {
        match scope {
            Scope::Guarded => self.counts.guarded += 1,
            _ => self.counts.critical += 1,
        }
        self.deepest = self.deepest.max(self.counts.regions());
    }

    fn leave(&mut self, scope: Scope) -> Result<(), Reason> {
        if !self.raw {
            match self.order.pop() {
                None => return Err(Reason::NothingToLeave),
                Some(open) if open != scope => return Err(Reason::NotInnermost),
                Some(_) => {}
            }
        }
        let count = match scope {
            Scope::Guarded => &mut self.counts.guarded,
            _ => &mut self.counts.critical,
        };
        *count = count.checked_sub(1).ok_or(Reason::NothingToLeave)?;
        Ok(())
    }

    fn end(&mut self, index: usize) -> Result<(), Reason> {
        // The innermost block, and the step that it said would end it: two blocks share no end.
        let block =
            self.close(|other| matches!(other, Other::Block { end, .. } if end == index))?;
        self.end_call(index);
        match block {
            Other::Block { before, .. } if before != self.counts => Err(Reason::UnbalancedBlock),
            _ => Ok(()),
        }
    }

    fn wait(&self) -> Result<(), Reason> {
        if self.at_apc_level() {
            Err(Reason::BlocksAtApcLevel)
        } else {
            Ok(())
        }
    }

    fn in_body(apc: u8, step: Step) -> Result<(), Reason> {
        match step {
            Step::Queue { apc: queued, .. } if queued <= apc => Err(Reason::QueuesBackwards),
            Step::EnterCritical
            | Step::LeaveCritical
            | Step::EnterGuarded
            | Step::LeaveGuarded
            | Step::ApcsDisabled { .. }
            | Step::AllApcsDisabled { .. }
            | Step::Irql { .. }
            | Step::AcquiredExclusive { .. }
            | Step::AcquiredShared { .. }
            | Step::ExclusiveWaiters { .. }
            | Step::SharedWaiters { .. }
            | Step::Queue { .. }
            | Step::Ran { .. }
            | Step::Set { .. }
            | Step::Reset { .. }
            | Step::Store { .. }
            | Step::Load { .. } => Ok(()),
            _ => Err(Reason::NotInABody),
        }
    }

    /// Takes the step with that index.
    pub(super) fn step(&mut self, index: usize, step: Step) -> Result<(), Reason> {
        if let Place::Body(apc) = self.place {
            Self::in_body(apc, step)?;
        }
        self.executed = self.executed.saturating_add(self.rounds());
        if self.executed > limits::EXECUTED_STEPS {
            return Err(Reason::TooLong);
        }
        self.mode(step)?;
        self.take(index, step)?;
        // Whatever the step has left, what is held still wants a region.
        if self.counts.shares(self.program) && !self.apcs_disabled() {
            return Err(Reason::NeedsRegion);
        }
        Ok(())
    }

    fn take(&mut self, index: usize, step: Step) -> Result<(), Reason> {
        match step {
            Step::EnterCritical => self.enter(Scope::Critical),
            Step::EnterGuarded => self.enter(Scope::Guarded),
            Step::LeaveCritical => self.leave(Scope::Critical),
            Step::LeaveGuarded => self.leave(Scope::Guarded),
            Step::RaiseApc if self.at_apc_level() => Err(Reason::RaisedTwice),
            Step::RaiseApc => self.open(Other::Raise),
            Step::Lower => self.close(|other| other == Other::Raise).map(drop),
            Step::Wait { .. } => self.wait(),
            Step::WaitAs { mode, .. } => {
                self.wait()?;
                if mode.alertable() {
                    self.alertable()?;
                }
                Ok(())
            }
            Step::Call { length } => {
                let end = block_end(index, length);
                self.begin_call(end);
                self.open(Other::Block {
                    end,
                    before: self.counts,
                    rounds: 1,
                })
            }
            Step::Start { apc } => self.start(apc),
            Step::WaitFor { milliseconds, .. } if milliseconds != 0 => self.wait(),
            Step::Barrier => {
                self.barriers = self.barriers.saturating_add(self.rounds());
                self.wait()
            }
            Step::Repeat { count, length } => {
                let end = block_end(index, length);
                self.open(Other::Block {
                    end,
                    before: self.counts,
                    rounds: count,
                })
            }
            Step::End => self.end(index),
            Step::Acquire { lock, mode } => self.acquire(lock, mode),
            Step::Try {
                lock,
                mode,
                milliseconds,
                length,
                ..
            } => self.attempt(lock, mode, milliseconds, block_end(index, length)),
            Step::Release { lock } => self.release(lock),
            Step::EnterAcquire { lock, mode } => self.enter_acquire(lock, mode),
            Step::ReleaseLeave { lock } => self.release_leave(lock),
            Step::Convert { lock } => self.convert(lock),
            Step::Reinitialize { lock } => self.reinitialize(lock),
            Step::HandOver { lock } => self.hand_over(lock),
            Step::ReleaseFor { .. } if !self.apcs_disabled() => Err(Reason::NeedsRegion),
            _ => Ok(()),
        }
    }

    /// The lane or body is at its end.
    pub(super) fn finish(&self) -> Result<(), Reason> {
        if self.order.is_empty() && self.counts == Counts::NONE {
            Ok(())
        } else {
            Err(Reason::LeftOpen)
        }
    }
}
