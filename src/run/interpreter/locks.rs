//! The steps that acquire: each lock that is acquired is released when the call for what is inside has
//! come back, however it has.

use apclab_guards::{AnyProof, NormalApcsDisabled, PushLockMode, Slot};
use apclab_protocol::program::LockKind;
use apclab_protocol::step::{Mode as Asked, Step};
use apclab_protocol::trace::Kind;

use super::{Block, Ended, Halted, Interpreter, owned};
use crate::nt::clock::Ticks;
use crate::nt::event::{Waited, wait};
use crate::run::level::Level;

/// How long a lane that polls waits before it tries again.
const POLL_MS: u32 = 1;

fn push_mode(asked: Asked) -> PushLockMode {
    match asked {
        Asked::Exclusive => PushLockMode::Exclusive,
        _ => PushLockMode::Shared,
    }
}

/// The step that acquires, and the block that it begins, if it does.
#[derive(Clone, Copy)]
pub(super) struct Begun {
    index: usize,
    /// Of a `try`: where the answer goes, and its block.
    attempt: Option<(u8, Block)>,
}

impl Interpreter<'_> {
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

    /// The lock is held from here on: says so, and begins the block of a `try`, which may ask for its own
    /// answer.
    pub(super) fn acquired(&mut self, begun: Begun, irql: &impl Level) -> Result<(), Halted> {
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
    pub(super) fn inside<L: Level>(
        &mut self,
        begun: Begun,
        irql: &mut L,
        slots: &mut [Slot],
        proof: Option<&AnyProof>,
    ) -> Ended {
        self.acquired(begun, irql)?;
        self.scope(irql, slots, proof)
    }

    /// Tries again and again, up to the run's wait deadline.
    pub(super) fn poll<L: Level, R>(
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
            LockKind::Resource => self.acquire_resource(begun, lock, asked, irql, slots, proof),
            // Of user mode: the verifier leaves none here.
            LockKind::CriticalSection => Err(Halted),
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
                return self.try_resource(begun, lock, asked, irql, slots, proof);
            }
            LockKind::PushLock | LockKind::CriticalSection => return Err(Halted),
        };
        match ended {
            Some(ended) => ended.map(|_| true),
            None => Ok(false),
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
}
