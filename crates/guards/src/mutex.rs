//! Fast and guarded mutexes.

use core::fmt;

use crate::backend::exclusive::Exclusively;
use crate::backend::memory::{Lock, NotMade, sealed::InPlace};
use crate::{ApcLevel, AtMostApcLevel};

#[cfg(feature = "alloc")]
use crate::Nonpaged;

/// Which kernel object a [`Mutex`] is.
pub trait MutexKind: sealed::Sealed {}

/// `FAST_MUTEX`.
#[derive(Debug)]
pub enum Fast {}

/// `KGUARDED_MUTEX`: since Windows 8 the kernel implements it as a fast mutex.
#[derive(Debug)]
pub enum ByGuardedRegion {}

impl MutexKind for Fast {}
impl MutexKind for ByGuardedRegion {}

mod sealed {
    use crate::backend;

    pub trait Sealed {
        type Object: backend::exclusive::Exclusive;
    }
    impl Sealed for super::Fast {
        type Object = backend::FastMutex;
    }
    impl Sealed for super::ByGuardedRegion {
        type Object = backend::GuardedMutex;
    }
}

/// Data that one thread at a time reaches, at APC_LEVEL.
///
/// Holding it keeps every kernel APC of the thread out: the [`ApcLevel`] token that the closure gets
/// is the proof. A thread that acquires a mutex that it holds deadlocks; [`Mutex::try_with`] gives
/// `None` then.
///
/// There is no guard to keep: the IRQL of the acquire is restored by the release, so that mutexes and
/// raises have to be released in the reverse order, and a closure can do nothing else.
pub struct Mutex<K: MutexKind, T: ?Sized> {
    cell: Exclusively<K::Object, T>,
}

/// Data under a `FAST_MUTEX`.
///
/// ```
/// use apclab_guards::{FastMutex, Passive, current_irql};
///
/// let log = FastMutex::try_new(Vec::new())?;
/// // SAFETY: this thread runs at PASSIVE_LEVEL, and no other token of it exists.
/// let mut irql = unsafe { Passive::assume() };
/// log.with(&mut irql, |log, _irql| log.push(current_irql()));
/// assert_eq!(log.try_with(&mut irql, |log, _irql| log.clone()), Some(vec![1]));
/// # Ok::<(), apclab_guards::NotMade>(())
/// ```
pub type FastMutex<T> = Mutex<Fast, T>;

/// Data under a `KGUARDED_MUTEX`.
pub type GuardedMutex<T> = Mutex<ByGuardedRegion, T>;

impl<K: MutexKind, T> Lock for Mutex<K, T> {}
impl<K: MutexKind, T> InPlace for Mutex<K, T> {
    type Data = T;

    fn blank(data: T) -> Self {
        Self {
            cell: Exclusively::blank(data),
        }
    }

    fn initialise(&self) -> Result<(), NotMade> {
        self.cell.initialise()
    }
}

impl<K: MutexKind, T> Mutex<K, T> {
    /// A mutex in nonpaged memory of its own. IRQL <= DISPATCH_LEVEL.
    ///
    /// # Errors
    /// [`NotMade::OutOfMemory`].
    #[cfg(feature = "alloc")]
    pub fn try_new(data: T) -> Result<Nonpaged<Self>, NotMade> {
        Nonpaged::try_new(data)
    }
}

impl<K: MutexKind, T: ?Sized> Mutex<K, T> {
    /// Acquires the mutex, calls `f` with the data, releases the mutex. It waits as long as another
    /// thread holds it.
    ///
    /// The closure and its result are `Send`, as for [`Passive::raise_to_apc_level`]: no guard that
    /// was made at another IRQL gets in or out.
    ///
    /// IRQL <= APC_LEVEL, which the token shows; `f` runs at APC_LEVEL.
    ///
    /// # Panics
    /// If `f` panics the mutex is released while the panic unwinds (in tests; a driver aborts).
    ///
    /// Reference page: `ExAcquireFastMutex`, `KeAcquireGuardedMutex`.
    ///
    /// [`Passive::raise_to_apc_level`]: crate::Passive::raise_to_apc_level
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn with<R: Send>(
        &self,
        _irql: &mut impl AtMostApcLevel,
        f: impl FnOnce(&mut T, &mut ApcLevel) -> R + Send,
    ) -> R {
        let mut held = self.cell.acquire();
        f(&mut held, &mut ApcLevel::reached())
    }

    /// As [`Mutex::with`], but gives `None` at once when the mutex is held, also by this thread.
    ///
    /// Reference page: `ExTryToAcquireFastMutex`, `KeTryToAcquireGuardedMutex`.
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn try_with<R: Send>(
        &self,
        _irql: &mut impl AtMostApcLevel,
        f: impl FnOnce(&mut T, &mut ApcLevel) -> R + Send,
    ) -> Option<R> {
        let mut held = self.cell.try_acquire()?;
        Some(f(&mut held, &mut ApcLevel::reached()))
    }
}

impl<K: MutexKind, T: ?Sized> fmt::Debug for Mutex<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").finish_non_exhaustive()
    }
}
