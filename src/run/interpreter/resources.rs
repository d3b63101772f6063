//! The steps of resources: guards in lanes that close in order, counts in raw ones.

use apclab_guards::{
    AnyProof, CriticalRegion, EnterMode, Mode, NormalApcsDisabled, ReentrantGuard,
    ReentrantResource, Refused, RegionKind, Slot,
};
use apclab_protocol::step::Mode as Asked;
use apclab_protocol::trace::Kind;

use super::locks::Begun;
use super::{Halted, Interpreter, Left};
use crate::run::handed_over::HandedOver;
use crate::run::level::Level;
use crate::run::unscoped;

/// A resource and what has been handed over of it.
type Shared<'r> = (&'r ReentrantResource<()>, &'r HandedOver);

fn mode(asked: Asked) -> Mode {
    match asked {
        Asked::Exclusive => Mode::Exclusive,
        Asked::Shared => Mode::Shared,
        Asked::SharedStarveExclusive => Mode::SharedStarveExclusive,
        Asked::SharedWaitForExclusive => Mode::SharedWaitForExclusive,
    }
}

fn enter_mode(asked: Asked) -> Result<EnterMode, Halted> {
    match asked {
        Asked::Exclusive => Ok(EnterMode::Exclusive),
        Asked::Shared => Ok(EnterMode::Shared),
        Asked::SharedWaitForExclusive => Ok(EnterMode::SharedWaitForExclusive),
        Asked::SharedStarveExclusive => Err(Halted),
    }
}

impl<'r> Interpreter<'r> {
    fn shared(&self, lock: u8) -> Result<Shared<'r>, Halted> {
        self.run.locks.shared(lock).ok_or(Halted)
    }

    /// Waits for a resource and executes what is inside, or notes that a raw lane holds it.
    pub(super) fn acquire_resource<L: Level>(
        &mut self,
        begun: Begun,
        lock: u8,
        asked: Asked,
        irql: &mut L,
        slots: &mut [Slot],
        proof: Option<&AnyProof>,
    ) -> Result<(), Halted> {
        if self.raw.is_some() {
            return self.acquire_raw(begun, lock, mode(asked), irql);
        }
        let proof = proof.ok_or(Halted)?;
        let shared = self.shared(lock)?;
        let guard = self.guard(shared.0, mode(asked), irql, proof)?;
        self.guarded(begun, shared, guard, irql, slots, proof)
    }

    /// What is inside a resource, which the guard then releases or the lane hands over.
    fn guarded<L: Level>(
        &mut self,
        begun: Begun,
        (resource, handed_over): Shared<'_>,
        guard: ReentrantGuard<'_, ()>,
        irql: &mut L,
        slots: &mut [Slot],
        proof: &AnyProof,
    ) -> Result<(), Halted> {
        if let Left::HandedOver(at) = self.inside(begun, irql, slots, Some(proof))? {
            if !handed_over.hand_over_guard(resource, guard, self.lane, irql) {
                return self.time_out(irql).map(drop);
            }
            self.note(irql, Kind::Done, at, 0);
        }
        Ok(())
    }

    /// Waits for a resource, as the program has it: in the ways that always end, in those that may not,
    /// or by trying.
    fn guard<'g, L: Level>(
        &mut self,
        resource: &'g ReentrantResource<()>,
        mode: Mode,
        irql: &mut L,
        proof: &'g AnyProof,
    ) -> Result<ReentrantGuard<'g, ()>, Halted> {
        if self.run.program.polled {
            return self.poll(irql, |_, irql| resource.try_acquire(mode, irql, proof).ok());
        }
        let guard = if self.run.program.may_deadlock {
            resource.acquire_may_deadlock(mode, irql, proof)
        } else {
            resource.acquire(mode, irql, proof)
        };
        // The verifier leaves nothing to refuse.
        match guard {
            Ok(guard) => Ok(guard),
            Err(_) => self.time_out(irql).and(Err(Halted)),
        }
    }

    fn acquire_raw<L: Level>(
        &mut self,
        begun: Begun,
        lock: u8,
        mode: Mode,
        irql: &mut L,
    ) -> Result<(), Halted> {
        let wait = !self.run.program.polled;
        self.poll(irql, |this, irql| match &mut this.raw {
            Some(raw) => match raw.acquire(lock, mode, wait, irql) {
                Ok(true) => Some(Ok(())),
                Ok(false) => None,
                Err(halted) => Some(Err(halted)),
            },
            None => Some(Err(Halted)),
        })??;
        self.acquired(begun, irql)
    }

    pub(super) fn enter_acquire<L: Level>(
        &mut self,
        begun: Begun,
        lock: u8,
        asked: Asked,
        irql: &mut L,
        slots: &mut [Slot],
    ) -> Result<(), Halted> {
        let polled = self.run.program.polled;
        if let Some(raw) = &mut self.raw {
            if polled {
                raw.enter(RegionKind::Critical, irql);
                return self.acquire_raw(begun, lock, mode(asked), irql);
            }
            raw.enter_acquire(lock, enter_mode(asked)?, irql)?;
            return self.acquired(begun, irql);
        }
        let (resource, _) = self.shared(lock)?;
        if polled {
            // There is no try that enters: the region comes first, and is left last.
            let region = CriticalRegion::enter(irql);
            let _guard = self.guard(resource, mode(asked), irql, region.any())?;
            return self
                .inside(begun, irql, slots, Some(region.any()))
                .map(drop);
        }
        let entered = if self.run.program.may_deadlock {
            resource.enter_may_deadlock(enter_mode(asked)?, irql)
        } else {
            resource.enter(enter_mode(asked)?, irql)
        };
        let Ok(mut guard) = entered else {
            return self.time_out(irql).map(drop);
        };
        let ((), region) = guard.parts();
        self.inside(begun, irql, slots, Some(region.any()))
            .map(drop)
    }

    /// Tries a resource; with it executes what is inside. `false`: it could not be had.
    pub(super) fn try_resource<L: Level>(
        &mut self,
        begun: Begun,
        lock: u8,
        asked: Asked,
        irql: &mut L,
        slots: &mut [Slot],
        proof: Option<&AnyProof>,
    ) -> Result<bool, Halted> {
        let mode = mode(asked);
        if let Some(raw) = &mut self.raw {
            let acquired = raw.acquire(lock, mode, false, irql)?;
            if acquired {
                self.acquired(begun, irql)?;
            }
            return Ok(acquired);
        }
        let proof = proof.ok_or(Halted)?;
        let shared = self.shared(lock)?;
        match shared.0.try_acquire(mode, irql, proof) {
            Ok(guard) => {
                self.guarded(begun, shared, guard, irql, slots, proof)?;
                Ok(true)
            }
            // The guard knows what the kernel will say. The test wants to hear it from the kernel.
            Err(Refused::Upgrade | Refused::BehindItself)
                if unscoped::would_acquire(shared.0, mode, irql, proof) =>
            {
                self.inside(begun, irql, slots, Some(proof))?;
                Ok(true)
            }
            Err(_) => Ok(false),
        }
    }

    pub(super) fn release_for(
        &mut self,
        lock: u8,
        lane: u8,
        to: u8,
        irql: &impl Level,
        proof: Result<&AnyProof, Halted>,
    ) -> Result<i64, Halted> {
        let (resource, handed_over) = self.shared(lock)?;
        // A raw lane has its proof in its counts, by the verifier.
        let released = match (proof, &self.raw) {
            (Ok(proof), _) => handed_over.release(resource, lane.into(), irql, proof),
            (Err(_), Some(_)) => {
                let region = CriticalRegion::enter(irql);
                handed_over.release(resource, lane.into(), irql, &region)
            }
            (Err(halted), None) => return Err(halted),
        };
        Ok(self.answer(to, released))
    }

    pub(super) fn convert(&mut self, lock: u8, irql: &impl Level) -> Result<i64, Halted> {
        let (resource, _) = self.shared(lock)?;
        match resource.convert(irql) {
            Ok(()) => Ok(0),
            Err(_) => self.time_out(irql),
        }
    }

    /// The verifier lets one lane alone name the resource, and only while it does not hold it.
    pub(super) fn reinitialize(&mut self, lock: u8, irql: &impl Level) -> Result<i64, Halted> {
        let (resource, _) = self.shared(lock)?;
        unscoped::reinitialize(resource, irql)
            .map(|()| 0)
            .ok_or(Halted)
    }
}
