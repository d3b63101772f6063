//! The steps that acquire: each lock that is acquired is released when the call for what is inside has
//! come back, however it has.

use apclab_guards::{
    AnyProof, CriticalRegion, EnterMode, Mode, NormalApcsDisabled, PushLockMode, ReentrantGuard,
    ReentrantResource, Refused, Slot,
};
use apclab_protocol::program::LockKind;
use apclab_protocol::step::{Mode as Asked, Step};
use apclab_protocol::trace::Kind;

use super::{Block, Ended, Halted, Interpreter, Left, owned};
use crate::nt::clock::Ticks;
use crate::nt::event::{Waited, wait};
use crate::run::handed_over::HandedOver;
use crate::run::level::Level;
use crate::run::unscoped;

/// How long a lane that polls waits before it tries again.
const POLL_MS: u32 = 1;

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

fn push_mode(asked: Asked) -> PushLockMode {
    match asked {
        Asked::Exclusive => PushLockMode::Exclusive,
        _ => PushLockMode::Shared,
    }
}

/// A resource and what has been handed over of it.
type Shared<'r> = (&'r ReentrantResource<()>, &'r HandedOver);

/// The step that acquires, and the block that it begins, if it does.
#[derive(Clone, Copy)]
struct Begun {
    index: usize,
    /// Of a `try`: where the answer goes, and its block.
    attempt: Option<(u8, Block)>,
}

impl<'r> Interpreter<'r> {
    /// An acquire, in any of its forms, and what is inside it. `proof` says that normal kernel APCs are
    /// disabled, where they are.
    pub(super) fn lock_step<L: Level>(
        &mut self,
        index: usize,
        step: Step,
        irql: &mut L,
        slots: &mut [Slot],
        proof: Option<&AnyProof>,
    ) -> Result<i64, Halted> {
        let begun = Begun {
            index,
            attempt: None,
        };
        match step {
            Step::Acquire { lock, mode } => {
                self.acquire(begun, lock, mode, irql, slots, proof)?;
                Ok(0)
            }
            Step::EnterAcquire { lock, mode } => {
                self.enter_acquire(begun, lock, mode, irql, slots)?;
                Ok(0)
            }
            Step::Try {
                lock,
                mode,
                to,
                milliseconds,
                length,
            } => {
                let block = Self::block(index, length, 1);
                let begun = Begun {
                    index,
                    attempt: Some((to, block)),
                };
                if self.attempt(begun, lock, mode, milliseconds, irql, slots, proof)? {
                    return Ok(1);
                }
                self.next = block.end.saturating_add(1);
                Ok(self.answer(to, false))
            }
            _ => Err(Halted),
        }
    }

    fn kind(&self, lock: u8) -> Result<LockKind, Halted> {
        let kind = self.run.program.locks.get(usize::from(lock));
        kind.copied().ok_or(Halted)
    }

    fn shared(&self, lock: u8) -> Result<Shared<'r>, Halted> {
        self.run.locks.shared(lock).ok_or(Halted)
    }

    /// The lock is held from here on: says so, and begins the block of a `try`, which may ask for its own
    /// answer.
    fn acquired(&mut self, begun: Begun, irql: &impl Level) -> Result<(), Halted> {
        self.note(irql, Kind::Acquired, begun.index, 0);
        match begun.attempt {
            Some((to, block)) => {
                self.answer(to, true);
                self.begin(block)
            }
            None => Ok(()),
        }
    }

    /// What is inside a lock that no guard stands for here.
    fn inside<L: Level>(
        &mut self,
        begun: Begun,
        irql: &mut L,
        slots: &mut [Slot],
        proof: Option<&AnyProof>,
    ) -> Ended {
        self.acquired(begun, irql)?;
        self.scope(irql, slots, proof)
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

    /// Tries again and again, up to the run's wait deadline.
    fn poll<L: Level, R>(
        &mut self,
        irql: &mut L,
        mut attempt: impl FnMut(&mut Self, &mut L) -> Option<R>,
    ) -> Result<R, Halted> {
        let stop = self.run.control.stop().ok_or(Halted)?;
        let deadline = u64::from(self.run.wait_deadline_ms()).saturating_mul(10_000);
        let begun = Ticks::now();
        loop {
            if let Some(done) = attempt(self, irql) {
                return Ok(done);
            }
            if wait(stop, POLL_MS, irql) != Waited::TimedOut {
                return Err(Halted);
            }
            if begun.elapsed_100ns(self.run.frequency()) >= deadline {
                self.time_out(irql)?;
            }
        }
    }

    fn acquire<L: Level>(
        &mut self,
        begun: Begun,
        lock: u8,
        asked: Asked,
        irql: &mut L,
        slots: &mut [Slot],
        proof: Option<&AnyProof>,
    ) -> Result<(), Halted> {
        let (run, polled) = (self.run, self.run.program.polled);
        match self.kind(lock)? {
            LockKind::FastMutex => {
                let mutex = run.locks.fast(lock).ok_or(Halted)?;
                let ended = if polled {
                    self.poll(irql, |this, irql| {
                        mutex.try_with(irql, |(), irql| this.inside(begun, irql, slots, None))
                    })?
                } else {
                    mutex.with(irql, |(), irql| self.inside(begun, irql, slots, None))
                };
                ended.map(drop)
            }
            LockKind::GuardedMutex => {
                let mutex = run.locks.guarded(lock).ok_or(Halted)?;
                let ended = if polled {
                    self.poll(irql, |this, irql| {
                        mutex.try_with(irql, |(), irql| this.inside(begun, irql, slots, None))
                    })?
                } else {
                    mutex.with(irql, |(), irql| self.inside(begun, irql, slots, None))
                };
                ended.map(drop)
            }
            LockKind::Mutex => {
                if self.own(begun, lock, run.wait_deadline_ms(), irql, slots)? {
                    Ok(())
                } else {
                    self.time_out(irql).map(drop)
                }
            }
            LockKind::Resource => {
                if self.raw.is_some() {
                    return self.acquire_raw(begun, lock, mode(asked), irql);
                }
                let proof = proof.ok_or(Halted)?;
                let shared = self.shared(lock)?;
                let guard = self.guard(shared.0, mode(asked), irql, proof)?;
                self.guarded(begun, shared, guard, irql, slots, proof)
            }
            LockKind::PushLock => {
                if let Some(raw) = &mut self.raw {
                    raw.push(lock, push_mode(asked), irql)?;
                    return self.acquired(begun, irql);
                }
                let proof = proof.ok_or(Halted)?;
                let lock = run.locks.push_lock(lock).ok_or(Halted)?;
                match push_mode(asked) {
                    PushLockMode::Exclusive => {
                        let _guard = lock.exclusive(irql, proof);
                        self.inside(begun, irql, slots, Some(proof)).map(drop)
                    }
                    PushLockMode::Shared => {
                        let _guard = lock.shared(irql, proof);
                        self.inside(begun, irql, slots, Some(proof)).map(drop)
                    }
                }
            }
        }
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

    fn enter_acquire<L: Level>(
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
                raw.enter(apclab_guards::RegionKind::Critical, irql);
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

    /// Tries a lock; with it executes what is inside. `false`: it could not be had.
    #[allow(
        clippy::too_many_arguments,
        reason = "what a `try` says, and where it is"
    )]
    fn attempt<L: Level>(
        &mut self,
        begun: Begun,
        lock: u8,
        asked: Asked,
        milliseconds: u32,
        irql: &mut L,
        slots: &mut [Slot],
        proof: Option<&AnyProof>,
    ) -> Result<bool, Halted> {
        let run = self.run;
        let ended = match self.kind(lock)? {
            LockKind::FastMutex => {
                let mutex = run.locks.fast(lock).ok_or(Halted)?;
                mutex.try_with(irql, |(), irql| self.inside(begun, irql, slots, None))
            }
            LockKind::GuardedMutex => {
                let mutex = run.locks.guarded(lock).ok_or(Halted)?;
                mutex.try_with(irql, |(), irql| self.inside(begun, irql, slots, None))
            }
            LockKind::Mutex => return self.own(begun, lock, milliseconds, irql, slots),
            LockKind::Resource => {
                return self.try_resource(begun, lock, mode(asked), irql, slots, proof);
            }
            LockKind::PushLock => return Err(Halted),
        };
        match ended {
            Some(ended) => ended.map(|_| true),
            None => Ok(false),
        }
    }

    fn try_resource<L: Level>(
        &mut self,
        begun: Begun,
        lock: u8,
        mode: Mode,
        irql: &mut L,
        slots: &mut [Slot],
        proof: Option<&AnyProof>,
    ) -> Result<bool, Halted> {
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

    /// Owns a mutex while what is inside is executed; in a raw lane, from here on. `false`: it could not be
    /// had in time.
    fn own<L: Level>(
        &mut self,
        begun: Begun,
        lock: u8,
        milliseconds: u32,
        irql: &mut L,
        slots: &mut [Slot],
    ) -> Result<bool, Halted> {
        let run = self.run;
        if let Some(raw) = &mut self.raw {
            let owned = raw.own(lock, milliseconds, irql)?;
            if owned {
                self.acquired(begun, irql)?;
            }
            return Ok(owned);
        }
        let mutex = run.locks.mutex(lock).ok_or(Halted)?;
        let stop = run.control.stop().ok_or(Halted)?;
        let ended = mutex.with_timeout_or_stop(irql, milliseconds, stop, |(), irql, held| {
            self.inside(begun, irql, slots, Some(held.any()))
        });
        owned(ended.map(|ended| ended.map(|_| true)))
    }

    /// In a raw lane, what does not raise the IRQL is released by its count. `false`: the release ends a
    /// scope.
    pub(super) fn release_raw(&mut self, lock: u8, irql: &impl Level) -> bool {
        match (&mut self.raw, self.run.program.locks.get(usize::from(lock))) {
            (Some(raw), Some(kind)) if !kind.raises() => raw.release(lock, irql),
            _ => false,
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
