//! Fast mutexes and guarded mutexes: their holder is at APC_LEVEL.
//!
//! Since Windows 8 a guarded mutex is a fast mutex (docs/semantics.md, section 2).

use super::bugcheck::KERNEL_AUTO_BOOST_INVALID_LOCK_RELEASE;
use super::lock::{Acquired, Claim, LockId};
use super::{APC_LEVEL, BugCheck, FastMutexId, Kernel, Mutant, PASSIVE_LEVEL, ThreadId};

/// The two kinds of mutex that raise the IRQL.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FastMutexKind {
    /// `FAST_MUTEX`.
    Fast,
    /// `KGUARDED_MUTEX`.
    Guarded,
}

impl FastMutexKind {
    fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast mutex",
            Self::Guarded => "guarded mutex",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct FastMutex {
    kind: FastMutexKind,
    holder: Option<Holder>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Holder {
    thread: ThreadId,
    /// What the release lowers the IRQL to.
    old_irql: u8,
}

impl FastMutex {
    pub(super) fn held_by(&self, t: ThreadId) -> bool {
        self.holder
            .as_ref()
            .is_some_and(|holder| holder.thread == t)
    }

    pub(super) fn permute(&mut self, of: impl Fn(ThreadId) -> ThreadId) {
        if let Some(holder) = &mut self.holder {
            holder.thread = of(holder.thread);
        }
    }
}

impl Kernel {
    /// `ExInitializeFastMutex`, `KeInitializeGuardedMutex`.
    pub fn create_fast_mutex(&mut self, kind: FastMutexKind) -> FastMutexId {
        FastMutexId(self.fast_mutexes.insert(FastMutex { kind, holder: None }))
    }

    /// Frees the mutex.
    ///
    /// # Errors
    ///
    /// 0x139 with parameter 1 = 3 while a thread holds it or waits for it. No page names a bug
    /// check for this.
    pub fn remove_fast_mutex(&mut self, m: FastMutexId) -> Result<(), BugCheck> {
        let mutex = self.fast_mutexes.get(m.0);
        let name = mutex.kind.name();
        if mutex.holder.is_some() {
            return Err(BugCheck::freed_in_use(format!(
                "A {name} was freed while a thread held it."
            )));
        }
        if self.awaited(LockId::FastMutex(m)) {
            return Err(BugCheck::freed_in_use(format!(
                "A {name} was freed while a thread waited for it."
            )));
        }
        self.fast_mutexes.remove(m.0);
        Ok(())
    }

    /// `ExAcquireFastMutex`, `KeAcquireGuardedMutex`: raises the IRQL to APC_LEVEL and acquires
    /// the mutex, or waits for it there, so that no APC runs inside the wait. A thread that holds
    /// the mutex already waits for itself, for ever.
    ///
    /// # Errors
    ///
    /// 0xC4/0x33 above APC_LEVEL (page of bug check 0xC4).
    ///
    /// # Panics
    ///
    /// When the thread waits already or has ended.
    pub fn acquire_fast_mutex(
        &mut self,
        t: ThreadId,
        m: FastMutexId,
    ) -> Result<Acquired, BugCheck> {
        let claim = self.fast_mutex_claim(t, m)?;
        self.thread_mut(t).irql = APC_LEVEL;
        Ok(self.acquire(t, claim, true))
    }

    /// `ExTryToAcquireFastMutex`, `KeTryToAcquireGuardedMutex`: whether it was acquired. The IRQL
    /// is raised with success only.
    ///
    /// # Errors
    ///
    /// 0xC4/0x33 above APC_LEVEL (page of bug check 0xC4).
    ///
    /// # Panics
    ///
    /// When the thread waits already or has ended.
    pub fn try_fast_mutex(&mut self, t: ThreadId, m: FastMutexId) -> Result<bool, BugCheck> {
        let claim = self.fast_mutex_claim(t, m)?;
        let kind = self.fast_mutexes.get(m.0).kind;
        if kind == FastMutexKind::Guarded && self.gets_wrong(Mutant::GuardedMutexTry) {
            return Ok(false);
        }
        let acquired = self.acquire(t, claim, false) == Acquired::Now;
        if kind == FastMutexKind::Fast && self.gets_wrong(Mutant::FastMutexTry) {
            self.thread_mut(t).irql = APC_LEVEL;
        }
        Ok(acquired)
    }

    /// `ExReleaseFastMutex`, `KeReleaseGuardedMutex`: lowers the IRQL to what it was when the
    /// holder began to acquire the mutex, which forces the APCs that this processor has seen.
    ///
    /// # Errors
    ///
    /// 0xC4/0x34 at another IRQL than APC_LEVEL (page of bug check 0xC4); 0x162 when the thread
    /// does not hold the mutex (the page speaks of locks that AutoBoost tracks).
    pub fn release_fast_mutex(&mut self, t: ThreadId, m: FastMutexId) -> Result<(), BugCheck> {
        let mutex = self.fast_mutexes.get_mut(m.0);
        let kind = mutex.kind;
        let name = kind.name();
        let irql = self.threads.get(t.0).irql;
        if irql != APC_LEVEL {
            let reason = format!("A {name} was released at IRQL {irql}, which is not APC_LEVEL.");
            return Err(BugCheck::verifier(0x34, [u64::from(irql), 0, 0], reason));
        }
        let Some(holder) = mutex.holder.take_if(|holder| holder.thread == t) else {
            let reason = match mutex.holder {
                Some(_) => format!("A {name} was released by a thread that does not hold it."),
                None => format!("A {name} was released that nobody holds."),
            };
            return Err(BugCheck::new(
                KERNEL_AUTO_BOOST_INVALID_LOCK_RELEASE,
                [0; 4],
                reason,
            ));
        };
        self.hand_over(LockId::FastMutex(m), |_| true);
        let silent = match kind {
            FastMutexKind::Fast => Mutant::FastMutexReleaseDelivers,
            FastMutexKind::Guarded => Mutant::GuardedMutexReleaseDelivers,
        };
        let to = match kind {
            FastMutexKind::Fast if self.gets_wrong(Mutant::FastMutexRestoresIrql) => PASSIVE_LEVEL,
            _ => holder.old_irql,
        };
        if self.gets_wrong(silent) {
            self.thread_mut(t).irql = to;
        } else {
            self.irql_falls(t, to);
        }
        if to == PASSIVE_LEVEL && self.gets_wrong(Mutant::ReleaseInsideRegion) {
            self.force_everything(t);
        }
        Ok(())
    }

    /// The thread that holds the mutex.
    pub fn fast_mutex_owner(&self, m: FastMutexId) -> Option<ThreadId> {
        let holder = self.fast_mutexes.get(m.0).holder.as_ref();
        holder.map(|holder| holder.thread)
    }

    /// Whether nobody holds the mutex.
    pub(super) fn fast_mutex_free(&self, m: FastMutexId) -> bool {
        let mutex = self.fast_mutexes.get(m.0);
        let shared = match mutex.kind {
            FastMutexKind::Fast => Mutant::FastMutexExcludes,
            FastMutexKind::Guarded => Mutant::GuardedMutexExcludes,
        };
        mutex.holder.is_none() || self.gets_wrong(shared)
    }

    /// Whether the thread holds a mutex of the kind.
    pub(super) fn holds(&self, t: ThreadId, kind: FastMutexKind) -> bool {
        let mut mutexes = self.fast_mutexes.iter();
        mutexes.any(|(_, mutex)| mutex.kind == kind && mutex.held_by(t))
    }

    fn fast_mutex_claim(&self, t: ThreadId, m: FastMutexId) -> Result<Claim, BugCheck> {
        let irql = self.thread(t).irql;
        if irql > APC_LEVEL {
            let name = self.fast_mutexes.get(m.0).kind.name();
            let reason = format!("A {name} was acquired at IRQL {irql}, above APC_LEVEL.");
            return Err(BugCheck::verifier(0x33, [u64::from(irql), 0, 0], reason));
        }
        Ok(Claim::FastMutex {
            mutex: m,
            old_irql: irql,
        })
    }

    pub(super) fn give_fast_mutex(&mut self, t: ThreadId, m: FastMutexId, old_irql: u8) {
        self.thread_mut(t).irql = APC_LEVEL;
        let holder = Holder {
            thread: t,
            old_irql,
        };
        self.fast_mutexes.get_mut(m.0).holder = Some(holder);
    }

    /// A mutex that the thread holds, by its name.
    pub(super) fn held_fast_mutex(&self, t: ThreadId) -> Option<&'static str> {
        let kinds = [FastMutexKind::Fast, FastMutexKind::Guarded];
        let held = kinds.into_iter().find(|&kind| self.holds(t, kind));
        held.map(FastMutexKind::name)
    }
}

#[cfg(test)]
mod tests;
