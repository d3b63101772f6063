//! Fast, guarded and kernel mutexes made from the model's events, regions and IRQL.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::Duration;

use apclab_model::kernel::{APC_LEVEL, EventKind, ThreadId};

use super::machine::{call, wait_any};
use super::name::Name;
use super::testing::Event;
use crate::backend::exclusive::{Exclusive, Object};
use crate::backend::memory::NotMade;
use crate::backend::recursive::Recursive;
use crate::backend::{StopEvent, Wait, Waited};

/// Nobody, in an [`Owner`].
const NOBODY: u32 = u32::MAX;

/// The thread that owns a mutex. Others read it only to see that it is not they.
#[derive(Debug)]
struct Owner(AtomicU32);

impl Owner {
    const fn nobody() -> Self {
        Self(AtomicU32::new(NOBODY))
    }

    fn is_caller(&self) -> bool {
        self.0.load(Ordering::Relaxed) == caller().0
    }

    fn set_caller(&self) {
        self.0.store(caller().0, Ordering::Relaxed);
    }

    fn clear(&self) {
        self.0.store(NOBODY, Ordering::Relaxed);
    }
}

fn caller() -> ThreadId {
    call(|_, thread| Ok(thread))
}

/// `FAST_MUTEX`, and `KGUARDED_MUTEX` as Windows has it since version 8.
#[derive(Debug)]
pub struct FastMutex {
    /// Signaled while nobody owns the mutex.
    free: Name,
    owner: Owner,
    old_irql: AtomicU8,
}

pub(crate) type GuardedMutex = FastMutex;

// SAFETY: nobody owns it when its event is signaled; what it consists of synchronises.
unsafe impl Object for FastMutex {
    const BLANK: Self = Self {
        free: Name::none(),
        owner: Owner::nobody(),
        old_irql: AtomicU8::new(0),
    };

    fn initialise(&self) -> Result<(), NotMade> {
        self.free.event(EventKind::Synchronization, true);
        Ok(())
    }
}

impl FastMutex {
    fn wait(&self, time: Option<Duration>) -> bool {
        let old = call(|kernel, thread| kernel.raise_irql(thread, APC_LEVEL));
        assert!(
            !(self.owner.is_caller() && time.is_none()),
            "deadlock: a thread acquires a mutex that it holds"
        );
        let acquired = wait_any(&[self.free.get()], time).is_some();
        if acquired {
            self.owner.set_caller();
            self.old_irql.store(old, Ordering::Relaxed);
        } else {
            call(|kernel, thread| kernel.lower_irql(thread, old));
        }
        acquired
    }
}

// SAFETY: the event is signaled for one waiter at a time, which sets it when it releases.
unsafe impl Exclusive for FastMutex {
    fn acquire(&self) {
        self.wait(None);
    }

    fn try_acquire(&self) -> bool {
        self.wait(Some(Duration::ZERO))
    }

    unsafe fn release(&self) {
        assert!(
            self.owner.is_caller(),
            "bug check: a thread releases a mutex that it does not own"
        );
        self.owner.clear();
        let old = self.old_irql.load(Ordering::Relaxed);
        call(|kernel, _| Ok(kernel.set_event(self.free.get())));
        call(|kernel, thread| kernel.lower_irql(thread, old));
    }
}

/// `KMUTEX`.
#[derive(Debug)]
pub(crate) struct KernelMutex {
    /// Signaled while nobody owns the mutex.
    free: Name,
    owner: Owner,
    /// How often the owner has acquired it.
    depth: AtomicU32,
}

// SAFETY: nobody owns it when its event is signaled; what it consists of synchronises.
unsafe impl Object for KernelMutex {
    const BLANK: Self = Self {
        free: Name::none(),
        owner: Owner::nobody(),
        depth: AtomicU32::new(0),
    };

    fn initialise(&self) -> Result<(), NotMade> {
        self.free.event(EventKind::Synchronization, true);
        Ok(())
    }
}

// SAFETY: the event is signaled for one waiter at a time, which sets it with its last release.
unsafe impl Recursive for KernelMutex {
    fn wait<S: StopEvent>(&self, wait: Wait<'_, S>) -> Waited {
        if !self.owner.is_caller() {
            let free = self.free.get();
            let milliseconds = |ms: u32| Some(Duration::from_millis(ms.into()));
            let granted = match wait {
                Wait::Forever => wait_any(&[free], None),
                Wait::Milliseconds(ms) => wait_any(&[free], milliseconds(ms)),
                Wait::MillisecondsOr(ms, stop) => {
                    wait_any(&[free, Event::behind(stop)], milliseconds(ms))
                }
            };
            match granted {
                Some(0) => {}
                Some(_) => return Waited::Stopped,
                None => return Waited::TimedOut,
            }
            self.owner.set_caller();
            call(super::Kernel::enter_critical);
        }
        self.depth.fetch_add(1, Ordering::Relaxed);
        Waited::Acquired
    }

    unsafe fn release(&self) {
        assert!(
            self.owner.is_caller(),
            "STATUS_MUTEX_NOT_OWNED: a thread releases a KMUTEX that it does not own"
        );
        if self.depth.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.owner.clear();
            call(|kernel, _| Ok(kernel.set_event(self.free.get())));
            call(super::Kernel::leave_critical);
        }
    }
}
