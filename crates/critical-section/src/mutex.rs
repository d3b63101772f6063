//! The plain mutex: no recursion, and `&mut T`.
#![allow(
    unsafe_code,
    reason = "the critical section, not the compiler, excludes a second reference to the data"
)]

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use crate::error::{EnterError, InitError, SpinCountTooLarge};
use crate::options::Options;
use crate::raw::RawCriticalSection;
use crate::thread::OfThisThread;

/// Data that one thread at a time can change: a critical section without its recursion.
///
/// A thread that enters twice gets [`EnterError::AlreadyEntered`] instead of a second `&mut T`.
pub struct CriticalMutex<T> {
    raw: RawCriticalSection,
    data: UnsafeCell<T>,
}

// SAFETY: a shared mutex gives `&mut T` to one thread after another, which is sending the data.
unsafe impl<T: Send> Sync for CriticalMutex<T> {}

impl<T> CriticalMutex<T> {
    /// Makes a mutex as the system likes it.
    ///
    /// # Errors
    ///
    /// When the system can't.
    pub fn new(data: T) -> Result<Self, InitError> {
        Self::with_options(data, Options::new())
    }

    /// Makes a mutex with these options.
    ///
    /// # Errors
    ///
    /// When the system can't.
    pub fn with_options(data: T, options: Options) -> Result<Self, InitError> {
        Ok(Self {
            raw: RawCriticalSection::with_options(options)?,
            data: UnsafeCell::new(data),
        })
    }

    /// Waits until no other thread owns the mutex, as [`RawCriticalSection::enter`] does.
    ///
    /// # Errors
    ///
    /// [`EnterError::AlreadyEntered`] when this thread owns it, and [`EnterError::Abandoned`].
    pub fn enter(&self) -> Result<CriticalMutexGuard<'_, T>, EnterError> {
        self.raw.enter_once()?;
        Ok(CriticalMutexGuard::new(self))
    }

    /// As [`CriticalMutex::enter`], and returns `None` instead of waiting.
    ///
    /// # Errors
    ///
    /// [`EnterError::AlreadyEntered`] when this thread owns it, and [`EnterError::Abandoned`].
    pub fn try_enter(&self) -> Result<Option<CriticalMutexGuard<'_, T>>, EnterError> {
        Ok(self
            .raw
            .try_enter_once()?
            .then(|| CriticalMutexGuard::new(self)))
    }

    /// Calls `body` with the data, and leaves however it ends. In this form no guard can be leaked.
    ///
    /// # Errors
    ///
    /// As [`CriticalMutex::enter`].
    pub fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> Result<R, EnterError> {
        let mut guard = self.enter()?;
        Ok(body(&mut guard))
    }

    /// As [`RawCriticalSection::set_spin_count`].
    ///
    /// # Errors
    ///
    /// When the count is above [`MAX_SPIN_COUNT`](crate::MAX_SPIN_COUNT).
    pub fn set_spin_count(&self, count: u32) -> Result<u32, SpinCountTooLarge> {
        self.raw.set_spin_count(count)
    }

    /// The data of a mutex that nobody else can enter meanwhile.
    pub fn get_mut(&mut self) -> &mut T {
        self.data.get_mut()
    }

    /// Deletes the mutex and returns its data.
    pub fn into_inner(self) -> T {
        self.data.into_inner()
    }
}

impl<T: fmt::Debug> fmt::Debug for CriticalMutex<T> {
    /// Shows the data if no thread owns it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("CriticalMutex");
        match self.try_enter() {
            Ok(Some(guard)) => shown.field("data", &*guard).finish(),
            _ => shown.finish_non_exhaustive(),
        }
    }
}

/// Ownership of a [`CriticalMutex`]. Its thread leaves when it is dropped.
#[must_use = "a guard that is dropped at once protects nothing"]
pub struct CriticalMutexGuard<'a, T> {
    mutex: &'a CriticalMutex<T>,
    of_this_thread: OfThisThread,
}

// SAFETY: a shared guard gives `&T` and nothing else.
unsafe impl<T: Sync> Sync for CriticalMutexGuard<'_, T> {}

impl<'a, T> CriticalMutexGuard<'a, T> {
    /// The calling thread has entered, and has no other guard.
    fn new(mutex: &'a CriticalMutex<T>) -> Self {
        Self {
            mutex,
            of_this_thread: PhantomData,
        }
    }
}

impl<T> Deref for CriticalMutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: while this guard exists, no other does, and the data is reached through guards alone.
        unsafe { &*self.mutex.data.get() }
    }
}

impl<T> DerefMut for CriticalMutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and this guard is borrowed exclusively.
        unsafe { &mut *self.mutex.data.get() }
    }
}

impl<T> Drop for CriticalMutexGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: this guard was made when its thread had entered, and it can't be sent to another.
        unsafe { self.mutex.raw.leave_owned() };
    }
}

impl<T: fmt::Debug> fmt::Debug for CriticalMutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
