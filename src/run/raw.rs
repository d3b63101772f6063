//! What a raw lane has open: regions and mutexes that it may leave in any order.
//!
//! The counts are the guards here. A region is entered and its guard forgotten; a leave takes it up
//! again only while the count says that there is one. So the lane can never leave what it did not
//! enter, and at its end, or when it is given up, the counts say what is left to leave.
#![allow(unsafe_code, reason = "takes up guards that were forgotten, by count")]

use core::mem;

use apclab_guards::{AtMostApcLevel, CriticalRegion, GuardedRegion, RegionKind};
use apclab_protocol::limits;

use super::interpreter::{Halted, owned};
use super::state::Run;

/// The open regions and mutexes of one lane, in its own thread.
pub(crate) struct Raw<'r> {
    run: &'r Run,
    critical: usize,
    guarded: usize,
    held: [u8; limits::LOCKS],
}

impl<'r> Raw<'r> {
    /// Nothing open.
    pub(crate) const fn new(run: &'r Run) -> Self {
        Self {
            run,
            critical: 0,
            guarded: 0,
            held: [0; limits::LOCKS],
        }
    }

    /// Enters a region.
    pub(crate) fn enter(&mut self, kind: RegionKind, irql: &impl AtMostApcLevel) {
        match kind {
            RegionKind::Critical => {
                mem::forget(CriticalRegion::enter(irql));
                self.critical += 1;
            }
            RegionKind::Guarded => {
                mem::forget(GuardedRegion::enter(irql));
                self.guarded += 1;
            }
        }
    }

    /// Leaves a region of that kind; `false` when none is open.
    pub(crate) fn leave(&mut self, kind: RegionKind) -> bool {
        let count = match kind {
            RegionKind::Critical => &mut self.critical,
            RegionKind::Guarded => &mut self.guarded,
        };
        let Some(left) = count.checked_sub(1) else {
            return false;
        };
        *count = left;
        match kind {
            // SAFETY: the count says that this lane entered such a region and forgot its guard; a
            // lane's steps run in its thread, at most at APC_LEVEL.
            RegionKind::Critical => unsafe { CriticalRegion::assume_entered() }.leave(),
            // SAFETY: as above.
            RegionKind::Guarded => unsafe { GuardedRegion::assume_entered() }.leave(),
        }
        true
    }

    /// Acquires a mutex; `false` when it could not be had in time.
    ///
    /// # Errors
    /// [`Halted`]: the iteration is given up.
    pub(crate) fn acquire(
        &mut self,
        lock: u8,
        milliseconds: u32,
        irql: &impl AtMostApcLevel,
    ) -> Result<bool, Halted> {
        let mutex = self.run.locks.mutex(lock).ok_or(Halted)?;
        let stop = self.run.control.stop().ok_or(Halted)?;
        let held = self.held.get_mut(usize::from(lock)).ok_or(Halted)?;
        // SAFETY: the count says how often it has to be released, which `leave_all` does before the
        // lane's thread ends; the run keeps the mutex longer.
        let ended = unsafe { mutex.acquire_unscoped(irql, milliseconds, stop) };
        let acquired = owned(ended.map(|_| Ok(true)))?;
        *held += u8::from(acquired);
        Ok(acquired)
    }

    /// Releases a mutex; `false` when the lane does not own it.
    pub(crate) fn release(&mut self, lock: u8, irql: &impl AtMostApcLevel) -> bool {
        let Some(mutex) = self.run.locks.mutex(lock) else {
            return false;
        };
        let Some(held) = self.held.get_mut(usize::from(lock)) else {
            return false;
        };
        let Some(left) = held.checked_sub(1) else {
            return false;
        };
        *held = left;
        // SAFETY: the count says that this lane has acquired it once more than released.
        unsafe { mutex.release_unscoped(irql) };
        true
    }

    /// Leaves and releases whatever is open.
    pub(crate) fn leave_all(&mut self, irql: &impl AtMostApcLevel) {
        for lock in (0_u8..).take(limits::LOCKS) {
            while self.release(lock, irql) {}
        }
        while self.leave(RegionKind::Guarded) {}
        while self.leave(RegionKind::Critical) {}
    }
}
