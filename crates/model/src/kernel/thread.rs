//! Threads: their two counters, their life, and what must be true when they return.

use super::apc::Queued;
use super::bugcheck::{
    APC_INDEX_MISMATCH, IRQL_GT_ZERO_AT_SYSTEM_SERVICE, KERNEL_APC_PENDING_DURING_EXIT,
    KERNEL_LOCK_ENTRY_LEAKED_ON_THREAD_TERMINATION, combined_apc_disable,
};
use super::delivery::Frame;
use super::fast_mutex::FastMutexKind;
use super::object::Object;
use super::user::User;
use super::wait::Wait;
use super::{APC_LEVEL, ApcId, BugCheck, Kernel, Mutant, ObjectId, PASSIVE_LEVEL, ThreadId};

/// The two signed 16-bit counters of a thread: 0 is enabled, negative is that many regions deep
/// (docs/semantics.md, section 1). As a thread's baseline: what they are when the thread starts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Baseline {
    /// `KernelApcDisable`: critical regions.
    pub kernel: i16,
    /// `SpecialApcDisable`: guarded regions.
    pub special: i16,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Thread {
    pub(super) baseline: Baseline,
    pub(super) counters: Baseline,
    pub(super) irql: u8,
    /// Inserted APCs, the next one first: specials ahead of normals, FIFO inside each kind.
    pub(super) queue: Vec<Queued>,
    /// APC routines that run now, the innermost last.
    pub(super) frames: Vec<Frame>,
    /// The wait that the thread is in. One that an APC routine interrupted is in its frame.
    pub(super) wait: Option<Wait>,
    pub(super) object: ObjectId,
    pub(super) ended: bool,
    /// Of a thread of user mode.
    pub(super) user: Option<User>,
}

impl Kernel {
    /// Makes a running thread at PASSIVE_LEVEL with the counters of `baseline`.
    ///
    /// What a driver-created thread starts with is disputed (docs/semantics.md, section 5), so it is
    /// a parameter.
    pub fn create_thread(&mut self, baseline: Baseline) -> ThreadId {
        // The object and the thread name each other, so the object is corrected afterwards.
        let object = ObjectId(self.objects.insert(Object::Thread {
            thread: ThreadId(0),
        }));
        let thread = ThreadId(self.threads.insert(Thread {
            baseline,
            counters: baseline,
            irql: PASSIVE_LEVEL,
            queue: Vec::new(),
            frames: Vec::new(),
            wait: None,
            object,
            ended: false,
            user: None,
        }));
        *self.objects.get_mut(object.0) = Object::Thread { thread };
        thread
    }

    /// Ends the thread, signals its object and empties its queue. Returns the APCs that were
    /// still inserted, in queue order: their rundown routines must run. Those of user mode are
    /// gone without.
    ///
    /// # Errors
    ///
    /// 0x20 KERNEL_APC_PENDING_DURING_EXIT when a counter is not at its baseline, the IRQL is not
    /// PASSIVE_LEVEL, or an APC routine has not returned (docs/semantics.md, section 4; the page of
    /// 0x20 demands zero for both; owning a KMUTEX moves a counter, holding a fast mutex the
    /// IRQL). 0x153 KERNEL_LOCK_ENTRY_LEAKED_ON_THREAD_TERMINATION when none of these gives away
    /// that it still holds a lock.
    ///
    /// # Panics
    ///
    /// When the thread waits: only a running thread can end itself.
    pub fn end_thread(&mut self, t: ThreadId) -> Result<Vec<ApcId>, BugCheck> {
        let (mutexes, lock) = (self.owned_mutexes(t), self.held_lock(t));
        let thread = self.thread_mut(t);
        assert!(
            thread.wait.is_none(),
            "a thread that waits can't end itself"
        );
        let wrong = if mutexes > 0 {
            Some("The thread ends while it owns a KMUTEX.")
        } else if thread.counters != thread.baseline {
            Some("The thread ends inside a region that it has not left.")
        } else if thread.irql != PASSIVE_LEVEL {
            Some("The thread ends above PASSIVE_LEVEL.")
        } else if !thread.frames.is_empty() {
            Some("The thread ends inside an APC routine.")
        } else {
            None
        };
        if let Some(reason) = wrong {
            let counters = combined_apc_disable(thread.counters);
            let parameters = [0, counters, u64::from(thread.irql), 0];
            return Err(BugCheck::new(
                KERNEL_APC_PENDING_DURING_EXIT,
                parameters,
                reason,
            ));
        }
        if let Some(name) = lock {
            return Err(BugCheck::new(
                KERNEL_LOCK_ENTRY_LEAKED_ON_THREAD_TERMINATION,
                [0; 4],
                format!("The thread ends while it holds a {name}."),
            ));
        }
        thread.ended = true;
        let object = thread.object;
        self.wake_all(object);
        let mut flushed = self.flush_queue(t);
        if self.thread(t).user.is_some() {
            let suspension = self.suspension(t);
            flushed.retain(|&apc| apc != suspension);
            self.flush_user_queue(t);
        }
        Ok(flushed)
    }

    /// A lock that the thread holds and that is no dispatcher object, by its name.
    fn held_lock(&self, t: ThreadId) -> Option<&'static str> {
        self.held_fast_mutex(t).or_else(|| {
            if self.owns_resource(t) {
                Some("resource")
            } else {
                self.holds_push_lock(t).then_some("push lock")
            }
        })
    }

    /// The thread's counters now. There is no documented accessor (docs/semantics.md, section 1):
    /// exact counts exist on the model and the host only.
    pub fn counters(&self, t: ThreadId) -> Baseline {
        self.thread(t).counters
    }

    /// The thread's IRQL now.
    pub fn irql(&self, t: ThreadId) -> u8 {
        let thread = self.thread(t);
        match self.mutant {
            Some(Mutant::RegionsKeepIrql) if thread.counters != Baseline::default() => {
                thread.irql.max(APC_LEVEL)
            }
            Some(Mutant::MutexKeepsIrql) if self.owned_mutexes(t) > 0 => thread.irql.max(APC_LEVEL),
            Some(Mutant::FastMutexRaises) if self.holds(t, FastMutexKind::Fast) => PASSIVE_LEVEL,
            Some(Mutant::GuardedMutexRaises) if self.holds(t, FastMutexKind::Guarded) => {
                PASSIVE_LEVEL
            }
            _ => thread.irql,
        }
    }

    /// The object that is signaled once the thread has ended. It outlives the thread until
    /// [`Kernel::remove_object`].
    pub fn thread_object(&self, t: ThreadId) -> ObjectId {
        self.thread(t).object
    }

    /// Checks, at the end of a request or a callback, that both counters and the IRQL are what
    /// they were before it.
    ///
    /// # Errors
    ///
    /// 0x4A IRQL_GT_ZERO_AT_SYSTEM_SERVICE for the IRQL, 0x1 APC_INDEX_MISMATCH for the counters
    /// (docs/semantics.md, section 4; parameter 3 of 0x1 is both counters).
    pub fn check_return(
        &self,
        t: ThreadId,
        before: Baseline,
        irql_before: u8,
    ) -> Result<(), BugCheck> {
        let thread = self.thread(t);
        if thread.irql != irql_before {
            let reason = format!(
                "A routine that was called at IRQL {irql_before} returned at IRQL {}.",
                thread.irql
            );
            let parameters = [0, u64::from(thread.irql), 0, 0];
            return Err(BugCheck::new(
                IRQL_GT_ZERO_AT_SYSTEM_SERVICE,
                parameters,
                reason,
            ));
        }
        check_counters(thread, before)
    }
}

/// 0x1 when the counters are not `before`.
pub(super) fn check_counters(thread: &Thread, before: Baseline) -> Result<(), BugCheck> {
    let now = thread.counters;
    if now == before {
        return Ok(());
    }
    let reason = format!(
        "A routine that was called with KernelApcDisable = {} and SpecialApcDisable = {} \
         returned with {} and {}.",
        before.kernel, before.special, now.kernel, now.special
    );
    let parameters = [0, 0, combined_apc_disable(now), 0];
    Err(BugCheck::new(APC_INDEX_MISMATCH, parameters, reason))
}

#[cfg(test)]
mod tests;
