//! Critical and guarded regions.

use super::{APC_LEVEL, BugCheck, Kernel, Mutant, PASSIVE_LEVEL, ThreadId};

/// Which counter a region counts with.
#[derive(Clone, Copy)]
enum Region {
    Critical,
    Guarded,
}

impl Kernel {
    /// `KeEnterCriticalRegion`: one wrapping decrement of `KernelApcDisable`, no check of its
    /// depth (docs/semantics.md, section 1).
    ///
    /// # Errors
    ///
    /// 0xC4/0x11A above APC_LEVEL (page of bug check 0xC4).
    pub fn enter_critical(&mut self, t: ThreadId) -> Result<(), BugCheck> {
        self.region_irql(t, 0x11A, "KeEnterCriticalRegion")?;
        self.enter(t, Region::Critical);
        Ok(())
    }

    /// `KeLeaveCriticalRegion`: one wrapping increment of `KernelApcDisable`; forces the APCs
    /// that it enables.
    ///
    /// # Errors
    ///
    /// 0xC4/0x11B above APC_LEVEL; 0xC4/0x3E when the thread is in no critical region of its own,
    /// that is, when the counter would rise above the thread's baseline less the mutexes that
    /// the thread owns.
    pub fn leave_critical(&mut self, t: ThreadId) -> Result<(), BugCheck> {
        self.region_irql(t, 0x11B, "KeLeaveCriticalRegion")?;
        let thread = self.thread(t);
        let outside = thread.baseline.kernel.wrapping_sub(self.owned_mutexes(t));
        if thread.counters.kernel == outside {
            let reason = "KeLeaveCriticalRegion was called in a thread that is in no critical \
                          region of its own.";
            return Err(BugCheck::verifier(0x3E, [0; 3], reason));
        }
        let guarded = thread.counters.special != thread.baseline.special;
        if !(guarded && self.gets_wrong(Mutant::LeavesInAnyOrder)) {
            let delivers = !self.gets_wrong(Mutant::CriticalLeaveDelivers);
            self.leave(t, Region::Critical, delivers);
        }
        self.left_region(t);
        Ok(())
    }

    /// `KeEnterGuardedRegion`: one wrapping decrement of `SpecialApcDisable`. Guarded regions
    /// nest: Driver Verifier's stricter rule GuardedRegions is not the kernel's
    /// (docs/semantics.md, section 4).
    ///
    /// # Errors
    ///
    /// 0xC4/0x20010 (rule IrqlKeApcLte2) above APC_LEVEL: 0x11A is about critical regions only.
    pub fn enter_guarded(&mut self, t: ThreadId) -> Result<(), BugCheck> {
        self.region_irql(t, IRQL_KE_APC_LTE2, "KeEnterGuardedRegion")?;
        self.enter(t, Region::Guarded);
        Ok(())
    }

    /// `KeLeaveGuardedRegion`: one wrapping increment of `SpecialApcDisable`; forces the APCs
    /// that it enables.
    ///
    /// # Errors
    ///
    /// 0xC4/0x20010 above APC_LEVEL; 0xC4/0x4000E (rule GuardedRegions, which demands an enter
    /// before the leave) when the thread is in no guarded region of its own: the page of 0xC4
    /// gives 0x3E to `KeLeaveCriticalRegion` alone.
    pub fn leave_guarded(&mut self, t: ThreadId) -> Result<(), BugCheck> {
        self.region_irql(t, IRQL_KE_APC_LTE2, "KeLeaveGuardedRegion")?;
        let thread = self.thread(t);
        if thread.counters.special == thread.baseline.special {
            let reason = "KeLeaveGuardedRegion was called in a thread that is in no guarded \
                          region of its own.";
            return Err(BugCheck::verifier(0x4000E, [0; 3], reason));
        }
        let delivers = !self.gets_wrong(Mutant::GuardedLeaveDelivers);
        self.leave(t, Region::Guarded, delivers);
        self.left_region(t);
        let thread = self.thread_mut(t);
        if thread.counters.special == thread.baseline.special {
            let inside = thread.counters.kernel != 0;
            if inside && self.gets_wrong(Mutant::GuardedLeaveInsideCritical) {
                self.force_everything(t);
            }
            if self.gets_wrong(Mutant::PredicatesBalance) {
                self.leave(t, Region::Critical, true);
            }
        }
        Ok(())
    }

    /// Normal kernel APCs have to be disabled in a thread that acquires or releases certain locks:
    /// by a region, a KMUTEX that it owns, or its IRQL (docs/semantics.md, section 3).
    pub(super) fn normal_apcs_disabled(
        &self,
        t: ThreadId,
        kind: u64,
        what: &str,
    ) -> Result<(), BugCheck> {
        let thread = self.thread(t);
        if thread.counters != super::Baseline::default() || thread.irql >= APC_LEVEL {
            return Ok(());
        }
        let reason = format!("{what} while normal kernel APCs were enabled in the thread.");
        Err(BugCheck::verifier(
            kind,
            [u64::from(thread.irql), 0, 0],
            reason,
        ))
    }

    pub(super) fn at_most_apc_level(
        &self,
        t: ThreadId,
        kind: u64,
        routine: &str,
    ) -> Result<(), BugCheck> {
        let irql = self.thread(t).irql;
        if irql <= APC_LEVEL {
            return Ok(());
        }
        let reason = format!("{routine} was called at IRQL {irql}, above APC_LEVEL.");
        // The other parameters of a rule violation are addresses.
        let second = if kind == IRQL_KE_APC_LTE2 {
            0
        } else {
            u64::from(irql)
        };
        Err(BugCheck::verifier(kind, [second, 0, 0], reason))
    }

    /// The region routines' highest IRQL.
    fn region_irql(&self, t: ThreadId, kind: u64, routine: &str) -> Result<(), BugCheck> {
        if self.gets_wrong(Mutant::RegionsAtApcLevel) && self.thread(t).irql > PASSIVE_LEVEL {
            let reason = format!("{routine} was called above PASSIVE_LEVEL.");
            return Err(BugCheck::verifier(kind, [0; 3], reason));
        }
        self.at_most_apc_level(t, kind, routine)
    }

    /// For the mutants that get the leave of a region at APC_LEVEL wrong.
    fn left_region(&mut self, t: ThreadId) {
        let thread = self.thread(t);
        let enabled = thread.counters == super::Baseline::default();
        if thread.irql < APC_LEVEL {
            return;
        }
        if self.gets_wrong(Mutant::LeavesAtRaisedIrql) {
            self.irql_falls(t, PASSIVE_LEVEL);
        }
        if enabled && self.gets_wrong(Mutant::LeaveAtApcLevelDeliversNothing) {
            self.force_everything(t);
        }
    }

    /// The thread owns a KMUTEX more.
    pub(super) fn enter_owned_mutex(&mut self, t: ThreadId) {
        match self.mutant {
            Some(Mutant::MutexDefersNormal) => {}
            Some(Mutant::MutexLetsSpecial) => self.enter(t, Region::Guarded),
            _ => self.enter(t, Region::Critical),
        }
    }

    /// The thread owns a KMUTEX less, which forces the APCs that this enables.
    pub(super) fn leave_owned_mutex(&mut self, t: ThreadId) {
        match self.mutant {
            Some(Mutant::MutexDefersNormal) => {}
            Some(Mutant::MutexLetsSpecial) => self.leave(t, Region::Guarded, true),
            Some(Mutant::MutexReleaseDelivers) => self.leave(t, Region::Critical, false),
            _ => self.leave(t, Region::Critical, true),
        }
        let raised = self.thread(t).irql >= APC_LEVEL;
        if raised && self.gets_wrong(Mutant::MutexReleaseAtApcLevel) {
            self.force_everything(t);
        }
    }

    fn counter(&mut self, t: ThreadId, region: Region) -> &mut i16 {
        let counters = &mut self.thread_mut(t).counters;
        match region {
            Region::Critical => &mut counters.kernel,
            Region::Guarded => &mut counters.special,
        }
    }

    fn enter(&mut self, t: ThreadId, region: Region) {
        let counter = self.counter(t, region);
        *counter = counter.wrapping_sub(1);
    }

    /// One wrapping increment, which forces what it enables if it `delivers`.
    fn leave(&mut self, t: ThreadId, region: Region, delivers: bool) {
        let before = self.allowed(t);
        let counter = self.counter(t, region);
        *counter = counter.wrapping_add(1);
        if *counter == 0 && delivers {
            self.counter_reached_zero(t, before);
        }
    }
}

/// The Driver Verifier rule that bounds the IRQL of the region routines and the predicates.
pub(super) const IRQL_KE_APC_LTE2: u64 = 0x20010;

#[cfg(test)]
mod tests;
