//! The model's fast, guarded and kernel mutexes.

use std::time::Duration;

use apclab_model::kernel::{FastMutexId, FastMutexKind, Kernel, ObjectId};

use super::machine::{acquire, call, wait_any};
use super::name::Name;
use super::testing::Event;
use crate::backend::exclusive::{Exclusive, Object};
use crate::backend::memory::NotMade;
use crate::backend::recursive::Recursive;
use crate::backend::{StopEvent, Wait, Waited};

/// `FAST_MUTEX`.
#[derive(Debug)]
pub struct FastMutex(Name<FastMutexId>);

/// `KGUARDED_MUTEX`.
#[derive(Debug)]
pub struct GuardedMutex(Name<FastMutexId>);

macro_rules! fast_mutex {
    ($mutex:ident, $kind:ident) => {
        // SAFETY: the model's mutex begins unowned, and the machine's lock synchronises.
        unsafe impl Object for $mutex {
            const BLANK: Self = Self(Name::none());

            fn initialise(&self) -> Result<(), NotMade> {
                self.0
                    .create(|kernel| kernel.create_fast_mutex(FastMutexKind::$kind));
                Ok(())
            }
        }

        // SAFETY: the model lets one thread have the mutex, and one that has it wait for ever.
        unsafe impl Exclusive for $mutex {
            fn acquire(&self) {
                acquire(|kernel, thread| kernel.acquire_fast_mutex(thread, self.0.get()));
            }

            fn try_acquire(&self) -> bool {
                call(|kernel, thread| kernel.try_fast_mutex(thread, self.0.get()))
            }

            unsafe fn release(&self) {
                call(|kernel, thread| kernel.release_fast_mutex(thread, self.0.get()));
            }
        }
    };
}
fast_mutex!(FastMutex, Fast);
fast_mutex!(GuardedMutex, Guarded);

/// `KMUTEX`.
#[derive(Debug)]
pub(crate) struct KernelMutex(Name<ObjectId>);

// SAFETY: the model's mutex begins unowned, and the machine's lock synchronises.
unsafe impl Object for KernelMutex {
    const BLANK: Self = Self(Name::none());

    fn initialise(&self) -> Result<(), NotMade> {
        self.0.create(Kernel::create_mutex);
        Ok(())
    }
}

// SAFETY: the model lets one thread have the mutex, and that one have it again.
unsafe impl Recursive for KernelMutex {
    fn wait<S: StopEvent>(&self, wait: Wait<'_, S>) -> Waited {
        let mutex = self.0.get();
        let milliseconds = |ms: u32| Some(Duration::from_millis(ms.into()));
        let granted = match wait {
            Wait::Forever => wait_any(&[mutex], None),
            Wait::Milliseconds(ms) => wait_any(&[mutex], milliseconds(ms)),
            Wait::MillisecondsOr(ms, stop) => {
                wait_any(&[mutex, Event::behind(stop)], milliseconds(ms))
            }
        };
        match granted {
            Some(0) => Waited::Acquired,
            Some(_) => Waited::Stopped,
            None => Waited::TimedOut,
        }
    }

    unsafe fn release(&self) {
        call(|kernel, thread| kernel.release_mutex(thread, self.0.get()));
    }
}
