//! The part of the walk that is about locks: order, recursion, regions.
//!
//! Nothing cancels a wait for a fast mutex, a guarded mutex, a resource or a push lock. So each such
//! wait has to end by itself: they are waited for in the order of their declarations, nobody waits
//! for what it holds, and what can be handed over is only tried. A program that says that it may
//! deadlock is not held to these three.

use super::Reason;
use super::scopes::{Counts, Other, Scope};
use super::walk::Walk;
use crate::limits;
use crate::program::LockKind;
use crate::step::Mode;

/// The lock's bit in a set.
fn bit(lock: u8) -> u16 {
    1_u16.checked_shl(lock.into()).unwrap_or(0)
}

impl Walk<'_> {
    /// Whether normal kernel APCs are disabled by what is open.
    pub(super) fn apcs_disabled(&self) -> bool {
        let owns =
            |index: usize| self.held(index) && self.program.lock(index) == Some(LockKind::Mutex);
        self.counts.regions() > 0 || self.at_apc_level() || (0..limits::LOCKS).any(owns)
    }

    /// Whether a lock is one that raw lanes may release out of order.
    fn loose(&self, kind: LockKind) -> bool {
        self.raw && !kind.raises()
    }

    fn held(&self, lock: usize) -> bool {
        self.counts.held.get(lock).is_some_and(|&n| n != 0)
    }

    /// Notes that the lane holds a lock once more.
    fn count(&mut self, lock: u8, mode: Mode) -> Result<(), Reason> {
        // Resources and mutexes are recursive; how deep is bounded by the number of scopes, in raw
        // lanes too.
        let held: usize = self.counts.held.iter().map(|&n| usize::from(n)).sum();
        if held == limits::SCOPES {
            return Err(Reason::TooManyScopes);
        }
        if !self.held(lock.into()) && mode == Mode::Exclusive {
            self.counts.exclusive |= bit(lock);
        }
        if let Some(count) = self.counts.held.get_mut(usize::from(lock)) {
            *count += 1;
        }
        Ok(())
    }

    /// Notes that the lane holds a lock once less.
    fn discount(&mut self, lock: u8) {
        if let Some(count) = self.counts.held.get_mut(usize::from(lock)) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.counts.exclusive &= !bit(lock);
            }
        }
    }

    fn hold(&mut self, lock: u8, kind: LockKind, mode: Mode) -> Result<(), Reason> {
        self.count(lock, mode)?;
        if self.loose(kind) {
            Ok(())
        } else {
            self.open(Other::Lock(lock))
        }
    }

    /// Whether the wait for a lock that the lane holds ends at once.
    fn wait_again(&self, lock: u8, kind: LockKind, mode: Mode) -> Result<(), Reason> {
        if kind.user() {
            return Ok(());
        }
        if kind != LockKind::Resource {
            return Err(Reason::HeldAlready);
        }
        let exclusively = self.counts.exclusive & bit(lock) != 0;
        if exclusively || matches!(mode, Mode::Shared | Mode::SharedStarveExclusive) {
            Ok(())
        } else {
            Err(Reason::WaitsForItself)
        }
    }

    /// Whether a wait for a lock that only its holder can end does end.
    fn wait_untimed(&self, lock: u8, kind: LockKind, mode: Mode) -> Result<(), Reason> {
        if self.program.may_deadlock() && !kind.user() {
            return Ok(());
        }
        if self.held(lock.into()) {
            return self.wait_again(lock, kind, mode);
        }
        let untimed = |index: &usize| self.program.lock(*index).is_some_and(LockKind::untimed);
        if (usize::from(lock)..limits::LOCKS)
            .filter(untimed)
            .any(|index| self.held(index))
        {
            return Err(Reason::LockOrder);
        }
        if self.uses.handed_over(lock) {
            return Err(Reason::HandedOver);
        }
        Ok(())
    }

    pub(super) fn acquire(&mut self, lock: u8, mode: Mode) -> Result<(), Reason> {
        let kind = self.kind(lock).ok_or(Reason::NothingToLeave)?;
        if kind.shares() && !self.apcs_disabled() {
            return Err(Reason::NeedsRegion);
        }
        if kind.untimed() {
            self.wait_untimed(lock, kind, mode)?;
        } else if self.at_apc_level() {
            return Err(Reason::BlocksAtApcLevel);
        }
        self.hold(lock, kind, mode)
    }

    pub(super) fn attempt(
        &mut self,
        lock: u8,
        mode: Mode,
        milliseconds: u32,
        end: usize,
    ) -> Result<(), Reason> {
        let kind = self.kind(lock).ok_or(Reason::NothingToLeave)?;
        if kind.raises() && self.held(lock.into()) {
            return Err(Reason::HeldAlready);
        }
        if kind.shares() && !self.apcs_disabled() {
            return Err(Reason::NeedsRegion);
        }
        if milliseconds != 0 && self.at_apc_level() {
            return Err(Reason::BlocksAtApcLevel);
        }
        self.open(Other::Block {
            end,
            before: self.counts,
            rounds: 1,
        })?;
        self.hold(lock, kind, mode)
    }

    pub(super) fn release(&mut self, lock: u8) -> Result<(), Reason> {
        let kind = self.kind(lock).ok_or(Reason::NothingToLeave)?;
        if !self.held(lock.into()) {
            return Err(Reason::NothingToLeave);
        }
        if !self.loose(kind) {
            self.close(|other| other == Other::Lock(lock))?;
        }
        self.discount(lock);
        Ok(())
    }

    pub(super) fn enter_acquire(&mut self, lock: u8, mode: Mode) -> Result<(), Reason> {
        let kind = self.kind(lock).ok_or(Reason::NothingToLeave)?;
        if self.counts.regions() == limits::NESTING {
            return Err(Reason::TooDeep);
        }
        self.wait_untimed(lock, kind, mode)?;
        self.count_region(Scope::Critical);
        self.count(lock, mode)?;
        if self.loose(kind) {
            Ok(())
        } else {
            self.open(Other::Combined(lock))
        }
    }

    pub(super) fn release_leave(&mut self, lock: u8) -> Result<(), Reason> {
        if !self.held(lock.into()) || self.counts.critical == 0 {
            return Err(Reason::NothingToLeave);
        }
        if !self.raw {
            self.close(|other| other == Other::Combined(lock))?;
        }
        self.discount(lock);
        self.counts.critical = self.counts.critical.saturating_sub(1);
        Ok(())
    }

    pub(super) fn convert(&mut self, lock: u8) -> Result<(), Reason> {
        if self.counts.exclusive & bit(lock) == 0 {
            return Err(Reason::NotExclusive);
        }
        self.counts.exclusive &= !bit(lock);
        Ok(())
    }

    /// Nobody may hold it or wait for it: so it is a lock of this lane's alone, and not held.
    pub(super) fn reinitialize(&mut self, lock: u8) -> Result<(), Reason> {
        if self.held(lock.into()) || !self.uses.only_by(lock, self.place) {
            return Err(Reason::InUse);
        }
        Ok(())
    }

    /// Everything that the lane holds of a resource goes, once: each lane's holds are one owner's.
    pub(super) fn hand_over(&mut self, lock: u8) -> Result<(), Reason> {
        let count = self.counts.held.get(usize::from(lock)).copied();
        match count {
            None | Some(0) => return Err(Reason::NothingToLeave),
            // In a lane that is not raw each hold has a scope of its own.
            Some(2..) if !self.raw => return Err(Reason::NotInnermost),
            Some(_) => {}
        }
        if self.handed_over & bit(lock) != 0 || self.rounds() > 1 {
            return Err(Reason::HandedOverTwice);
        }
        if !self.raw {
            self.close(|other| other == Other::Lock(lock))?;
        }
        self.handed_over |= bit(lock);
        while self.held(lock.into()) {
            self.discount(lock);
        }
        Ok(())
    }
}

impl Counts {
    /// Whether a resource or a push lock is held.
    pub(super) fn shares(&self, program: &crate::program::Program<'_>) -> bool {
        let held = self
            .held
            .iter()
            .enumerate()
            .filter(|&(_, &count)| count != 0);
        held.map(|(lock, _)| lock)
            .any(|lock| program.lock(lock).is_some_and(LockKind::shares))
    }
}
