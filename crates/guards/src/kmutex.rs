//! Kernel mutexes: KMUTEX.
#![allow(
    unsafe_code,
    reason = "the form that no scope ends is the caller's to balance"
)]

use core::fmt;
use core::mem;

use crate::backend::memory::{Lock, NotMade, sealed::InPlace};
use crate::backend::recursive::{Inside, Recursively};
use crate::backend::{KernelMutex, NeverStops, StopEvent, Wait, Waited};
use crate::{AtMostApcLevel, OneThread};

#[cfg(feature = "alloc")]
use crate::Nonpaged;

/// Why a kernel mutex was not acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotAcquired {
    /// Another thread held it to the end of the time.
    TimedOut,
    /// The stop event was signaled first.
    Stopped,
    /// The calling thread holds it already. It was released as often as acquired.
    Recursive,
}

impl fmt::Display for NotAcquired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "another thread held the mutex to the end of the time",
            Self::Stopped => "the stop event was signaled first",
            Self::Recursive => "the calling thread holds the mutex already",
        })
    }
}

impl core::error::Error for NotAcquired {}

/// The calling thread holds a kernel mutex, which keeps its normal kernel APCs out.
#[derive(Debug)]
pub struct HoldsKMutex {
    _one_thread: OneThread,
}

impl HoldsKMutex {
    const fn acquired() -> Self {
        Self {
            _one_thread: OneThread::HERE,
        }
    }
}

/// Data under a KMUTEX that one thread at a time reaches, once.
///
/// The IRQL stays; holding it keeps normal kernel APCs out, and the [`HoldsKMutex`] that the closure
/// gets is the proof. A KMUTEX lets its owner in again. Two `&mut T` would be the result, so that is
/// an error value here; [`ReentrantKMutex`] allows it and gives `&T`.
///
/// There is no guard to forget: a KMUTEX that is held is linked to its thread, and freeing it would
/// leave the link.
pub struct KMutex<T: ?Sized> {
    cell: Recursively<KernelMutex, T>,
}

/// Data under a KMUTEX that its owner may acquire again, to any depth that its stack holds.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
/// use apclab_guards::{NotAcquired, Passive, ReentrantKMutex};
///
/// let visits = ReentrantKMutex::try_new(AtomicU32::new(0))?;
/// // SAFETY: this thread runs at PASSIVE_LEVEL, and no other token of it exists.
/// let mut irql = unsafe { Passive::assume() };
/// visits.with_timeout(&mut irql, 100, |outer, irql, _held| {
///     outer.fetch_add(1, Relaxed);
///     visits.try_with(irql, |inner, _, _| inner.fetch_add(1, Relaxed))
/// })??;
/// assert_eq!(visits.try_with(&mut irql, |visits, _, _| visits.load(Relaxed)), Ok(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ReentrantKMutex<T: ?Sized> {
    cell: Recursively<KernelMutex, T>,
}

macro_rules! in_place {
    ($lock:ident) => {
        impl<T> Lock for $lock<T> {}
        impl<T> InPlace for $lock<T> {
            type Data = T;

            fn blank(data: T) -> Self {
                Self {
                    cell: Recursively::blank(data),
                }
            }

            fn initialise(&self) -> Result<(), NotMade> {
                self.cell.initialise()
            }
        }

        impl<T> $lock<T> {
            /// A mutex in nonpaged memory of its own. IRQL <= DISPATCH_LEVEL.
            ///
            /// # Errors
            /// [`NotMade::OutOfMemory`].
            #[cfg(feature = "alloc")]
            pub fn try_new(data: T) -> Result<Nonpaged<Self>, NotMade> {
                Nonpaged::try_new(data)
            }
        }

        impl<T: ?Sized> fmt::Debug for $lock<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($lock)).finish_non_exhaustive()
            }
        }
    };
}
in_place!(KMutex);
in_place!(ReentrantKMutex);

#[cfg_attr(feature = "debug", track_caller)]
fn acquire<'a, T: ?Sized, S: StopEvent>(
    cell: &'a Recursively<KernelMutex, T>,
    wait: Wait<'_, S>,
) -> Result<Inside<'a, KernelMutex, T>, NotAcquired> {
    cell.acquire(wait).map_err(|ended| match ended {
        Waited::Stopped => NotAcquired::Stopped,
        Waited::Acquired | Waited::TimedOut => NotAcquired::TimedOut,
    })
}

macro_rules! forms {
    ($data:ty, $recursion:literal) => {
        /// Acquires the mutex, calls `f` with the data, releases the mutex. It waits as long as
        /// another thread holds it.
        ///
        /// IRQL <= APC_LEVEL, which the token shows; it is lent to `f`. Prefer a form with a
        /// time-out where the holder is not known to go on.
        ///
        /// # Errors
        #[doc = $recursion]
        ///
        /// # Panics
        /// If `f` panics the mutex is released while the panic unwinds (in tests; a driver aborts).
        ///
        /// Reference page: `KeWaitForSingleObject`, `KeReleaseMutex`.
        #[cfg_attr(feature = "debug", track_caller)]
        pub fn with<L: AtMostApcLevel, R>(
            &self,
            irql: &mut L,
            f: impl FnOnce($data, &mut L, &HoldsKMutex) -> R,
        ) -> Result<R, NotAcquired> {
            self.waiting(irql, Wait::<NeverStops>::Forever, f)
        }

        /// As [`Self::with`], but without waiting.
        ///
        /// # Errors
        /// [`NotAcquired::TimedOut`]: another thread holds it.
        #[doc = $recursion]
        #[cfg_attr(feature = "debug", track_caller)]
        pub fn try_with<L: AtMostApcLevel, R>(
            &self,
            irql: &mut L,
            f: impl FnOnce($data, &mut L, &HoldsKMutex) -> R,
        ) -> Result<R, NotAcquired> {
            self.waiting(irql, Wait::<NeverStops>::Milliseconds(0), f)
        }

        /// As [`Self::with`], but waits for so many milliseconds at most.
        ///
        /// # Errors
        /// [`NotAcquired::TimedOut`].
        #[doc = $recursion]
        #[cfg_attr(feature = "debug", track_caller)]
        pub fn with_timeout<L: AtMostApcLevel, R>(
            &self,
            irql: &mut L,
            milliseconds: u32,
            f: impl FnOnce($data, &mut L, &HoldsKMutex) -> R,
        ) -> Result<R, NotAcquired> {
            self.waiting(irql, Wait::<NeverStops>::Milliseconds(milliseconds), f)
        }

        /// As [`Self::with_timeout`], but gives up as soon as `stop` is signaled. A mutex that is
        /// free is acquired all the same. A synchronization event that stops the wait is reset.
        ///
        /// # Errors
        /// [`NotAcquired::TimedOut`], [`NotAcquired::Stopped`].
        #[doc = $recursion]
        ///
        /// Reference page: `KeWaitForMultipleObjects`.
        #[cfg_attr(feature = "debug", track_caller)]
        pub fn with_timeout_or_stop<L: AtMostApcLevel, R>(
            &self,
            irql: &mut L,
            milliseconds: u32,
            stop: &impl StopEvent,
            f: impl FnOnce($data, &mut L, &HoldsKMutex) -> R,
        ) -> Result<R, NotAcquired> {
            self.waiting(irql, Wait::MillisecondsOr(milliseconds, stop), f)
        }
    };
}

impl<T: ?Sized> KMutex<T> {
    forms!(&mut T, "[`NotAcquired::Recursive`]: this thread holds it.");

    #[cfg_attr(feature = "debug", track_caller)]
    fn waiting<L: AtMostApcLevel, R, S: StopEvent>(
        &self,
        irql: &mut L,
        wait: Wait<'_, S>,
        f: impl FnOnce(&mut T, &mut L, &HoldsKMutex) -> R,
    ) -> Result<R, NotAcquired> {
        let inside = acquire(&self.cell, wait)?;
        let mut data = inside.alone().ok_or(NotAcquired::Recursive)?;
        Ok(f(&mut data, irql, &HoldsKMutex::acquired()))
    }
}

impl<T: ?Sized + Sync> ReentrantKMutex<T> {
    forms!(&T, "Never for recursion.");

    #[cfg_attr(feature = "debug", track_caller)]
    fn waiting<L: AtMostApcLevel, R, S: StopEvent>(
        &self,
        irql: &mut L,
        wait: Wait<'_, S>,
        f: impl FnOnce(&T, &mut L, &HoldsKMutex) -> R,
    ) -> Result<R, NotAcquired> {
        let inside = acquire(&self.cell, wait)?;
        Ok(f(&inside, irql, &HoldsKMutex::acquired()))
    }

    /// Acquires the mutex, for code that cannot release it at the end of a scope. Gives how often
    /// the thread holds it now.
    ///
    /// # Errors
    /// [`NotAcquired::TimedOut`], [`NotAcquired::Stopped`].
    ///
    /// # Safety
    /// The calling thread releases it with [`Self::release_unscoped`], once for each success, before
    /// it ends and before the mutex is dropped.
    #[cfg_attr(feature = "debug", track_caller)]
    pub unsafe fn acquire_unscoped(
        &self,
        _irql: &impl AtMostApcLevel,
        milliseconds: u32,
        stop: &impl StopEvent,
    ) -> Result<u32, NotAcquired> {
        let inside = acquire(&self.cell, Wait::MillisecondsOr(milliseconds, stop))?;
        let depth = inside.depth();
        mem::forget(inside);
        Ok(depth)
    }

    /// Releases once what [`Self::acquire_unscoped`] acquired.
    ///
    /// # Safety
    /// The calling thread has more successful calls of `acquire_unscoped` than of this.
    pub unsafe fn release_unscoped(&self, _irql: &impl AtMostApcLevel) {
        // SAFETY: the caller's guarantee.
        unsafe { self.cell.release() };
    }
}
