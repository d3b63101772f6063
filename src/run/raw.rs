//! What a raw lane has open: regions, mutexes, resources and push locks, which it may leave in any
//! order.
//!
//! The counts are the guards here. A region is entered and its guard forgotten; a leave takes it up
//! again only while the count says that there is one. So the lane can never leave what it did not
//! enter, and at its end, or when it is given up, the counts say what is left to leave.
#![allow(unsafe_code, reason = "takes up guards that were forgotten, by count")]

use core::mem;

use apclab_guards::{
    AtMostApcLevel, CriticalRegion, EnterMode, GuardedRegion, Mode, PushLockMode, RegionKind,
};
use apclab_protocol::limits;

use super::interpreter::{Halted, owned};
use super::state::Run;

/// How a raw lane holds one lock.
#[derive(Clone, Copy)]
struct Held {
    count: u8,
    /// Of a push lock, which is released as it was acquired.
    mode: PushLockMode,
}

/// What is open in one lane, in its own thread.
pub(crate) struct Raw<'r> {
    run: &'r Run,
    critical: usize,
    guarded: usize,
    held: [Held; limits::LOCKS],
}

impl<'r> Raw<'r> {
    /// Nothing open.
    pub(crate) const fn new(run: &'r Run) -> Self {
        Self {
            run,
            critical: 0,
            guarded: 0,
            held: [Held {
                count: 0,
                mode: PushLockMode::Exclusive,
            }; limits::LOCKS],
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

    fn held(&mut self, lock: u8) -> Result<&mut Held, Halted> {
        self.held.get_mut(usize::from(lock)).ok_or(Halted)
    }

    /// Notes one more hold, or that there was none.
    fn note(&mut self, lock: u8, acquired: bool) -> Result<bool, Halted> {
        self.held(lock)?.count += u8::from(acquired);
        Ok(acquired)
    }

    /// Acquires a mutex; `false` when it could not be had in time.
    ///
    /// # Errors
    /// [`Halted`]: the iteration is given up.
    pub(crate) fn own(
        &mut self,
        lock: u8,
        milliseconds: u32,
        irql: &impl AtMostApcLevel,
    ) -> Result<bool, Halted> {
        let mutex = self.run.locks.mutex(lock).ok_or(Halted)?;
        let stop = self.run.control.stop().ok_or(Halted)?;
        self.held(lock)?;
        // SAFETY: the count says how often it has to be released, which `leave_all` does before the
        // lane's thread ends; the run keeps the mutex longer.
        let ended = unsafe { mutex.acquire_unscoped(irql, milliseconds, stop) };
        let acquired = owned(ended.map(|_| Ok(true)))?;
        self.note(lock, acquired)
    }

    /// Acquires a resource; `false` only when it does not wait, and would have to.
    ///
    /// # Errors
    /// [`Halted`]: there is no such resource.
    pub(crate) fn acquire(
        &mut self,
        lock: u8,
        mode: Mode,
        wait: bool,
        irql: &impl AtMostApcLevel,
    ) -> Result<bool, Halted> {
        let resource = self.run.locks.resource(lock).ok_or(Halted)?;
        self.held(lock)?;
        // SAFETY: the verifier has seen to it that normal kernel APCs are disabled until the release,
        // and `leave_all` releases by the count before it leaves any region; the verifier bounds the
        // depth.
        let acquired = unsafe { resource.acquire_unscoped(mode, wait, irql) };
        self.note(lock, acquired)
    }

    /// Enters a critical region and acquires a resource.
    ///
    /// # Errors
    /// [`Halted`]: there is no such resource.
    pub(crate) fn enter_acquire(
        &mut self,
        lock: u8,
        mode: EnterMode,
        irql: &impl AtMostApcLevel,
    ) -> Result<(), Halted> {
        let resource = self.run.locks.resource(lock).ok_or(Halted)?;
        self.held(lock)?;
        // SAFETY: as in `acquire`; the region is counted, and left by its count.
        unsafe { resource.enter_acquire_unscoped(mode, irql) };
        self.critical += 1;
        self.note(lock, true).map(drop)
    }

    /// Releases a resource and leaves a critical region.
    ///
    /// # Errors
    /// [`Halted`]: the lane has not both. Nothing was released.
    pub(crate) fn release_leave(
        &mut self,
        lock: u8,
        irql: &impl AtMostApcLevel,
    ) -> Result<(), Halted> {
        let resource = self.run.locks.resource(lock).ok_or(Halted)?;
        let critical = self.critical.checked_sub(1).ok_or(Halted)?;
        if !self.take(lock) {
            return Err(Halted);
        }
        self.critical = critical;
        // SAFETY: the counts said that this lane has acquired the resource once more than released, and
        // is in a critical region without a guard.
        unsafe { resource.release_leave_unscoped(irql) };
        Ok(())
    }

    /// Acquires a push lock.
    ///
    /// # Errors
    /// [`Halted`]: there is no such push lock.
    pub(crate) fn push(
        &mut self,
        lock: u8,
        mode: PushLockMode,
        irql: &impl AtMostApcLevel,
    ) -> Result<(), Halted> {
        let push_lock = self.run.locks.push_lock(lock).ok_or(Halted)?;
        self.held(lock)?;
        // SAFETY: as in `acquire`; the mode is kept for the release.
        unsafe { push_lock.acquire_unscoped(mode, irql) };
        self.held(lock)?.mode = mode;
        self.note(lock, true).map(drop)
    }

    /// Takes one hold from the count; `false` when there is none.
    fn take(&mut self, lock: u8) -> bool {
        let count = self.held.get_mut(usize::from(lock));
        let left = count.and_then(|held| {
            held.count = held.count.checked_sub(1)?;
            Some(())
        });
        left.is_some()
    }

    /// Releases a mutex, a resource or a push lock; `false` when the lane does not hold it.
    pub(crate) fn release(&mut self, lock: u8, irql: &impl AtMostApcLevel) -> bool {
        if !self.take(lock) {
            return false;
        }
        let locks = &self.run.locks;
        if let Some(mutex) = locks.mutex(lock) {
            // SAFETY: the count said that this lane has acquired it once more than released.
            unsafe { mutex.release_unscoped(irql) };
        } else if let Some(resource) = locks.resource(lock) {
            // SAFETY: as above; what is handed over is no longer counted.
            unsafe { resource.release_unscoped(irql) };
        } else if let (Some(push_lock), Ok(held)) = (locks.push_lock(lock), self.held(lock)) {
            // SAFETY: as above, in the mode that was kept.
            unsafe { push_lock.release_unscoped(held.mode, irql) };
        }
        true
    }

    /// Hands over all that the lane has of a resource.
    ///
    /// # Errors
    /// [`Halted`]: there is no such resource, or the lane has nothing of it.
    pub(crate) fn hand_over(
        &mut self,
        lock: u8,
        lane: usize,
        irql: &impl AtMostApcLevel,
    ) -> Result<(), Halted> {
        let (resource, handed_over) = self.run.locks.shared(lock).ok_or(Halted)?;
        let count = mem::take(&mut self.held(lock)?.count);
        if count == 0 {
            return Err(Halted);
        }
        // SAFETY: the count said how often this lane has it, by unscoped acquires; the verifier lets a
        // lane hand a resource over once in an iteration.
        unsafe { handed_over.hand_over(resource, lane, count.into(), irql) };
        Ok(())
    }

    /// Releases all resources and push locks: while what keeps APCs out for them is still there.
    pub(crate) fn release_shared(&mut self, irql: &impl AtMostApcLevel) {
        for lock in (0_u8..).take(limits::LOCKS) {
            if self.run.locks.mutex(lock).is_none() {
                while self.release(lock, irql) {}
            }
        }
    }

    /// Releases and leaves whatever is open: first what rests on regions and mutexes.
    pub(crate) fn leave_all(&mut self, irql: &impl AtMostApcLevel) {
        self.release_shared(irql);
        for lock in (0_u8..).take(limits::LOCKS) {
            while self.release(lock, irql) {}
        }
        while self.leave(RegionKind::Guarded) {}
        while self.leave(RegionKind::Critical) {}
    }
}
