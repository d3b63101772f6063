//! The recursive form: its owner can enter again, so there is `&T` and no `&mut T`.
#![allow(
    unsafe_code,
    reason = "the critical section, not the compiler, keeps the data to one thread at a time"
)]

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use crate::error::{EnterError, InitError, SpinCountTooLarge};
use crate::options::Options;
use crate::raw::RawCriticalSection;
use crate::thread::OfThisThread;

/// Data that one thread at a time can reach, as often as it likes.
///
/// What shall change needs a `Cell` or a `RefCell`: two guards of one thread are two references to the data.
pub struct CriticalSection<T> {
    raw: RawCriticalSection,
    data: T,
}

// SAFETY: the data is reached by one thread at a time, and one after another, which is sending it. That several
// references exist on one thread asks for nothing more.
unsafe impl<T: Send> Sync for CriticalSection<T> {}

impl<T> CriticalSection<T> {
    /// Makes a critical section as the system likes it.
    ///
    /// # Errors
    ///
    /// When the system can't.
    pub fn new(data: T) -> Result<Self, InitError> {
        Self::with_options(data, Options::new())
    }

    /// Makes a critical section with these options.
    ///
    /// # Errors
    ///
    /// When the system can't.
    pub fn with_options(data: T, options: Options) -> Result<Self, InitError> {
        Ok(Self {
            raw: RawCriticalSection::with_options(options)?,
            data,
        })
    }

    /// Waits until no other thread owns the critical section, as [`RawCriticalSection::enter`] does. Its owner
    /// enters once more.
    ///
    /// # Errors
    ///
    /// [`EnterError::TooDeep`] and [`EnterError::Abandoned`].
    pub fn enter(&self) -> Result<Entered<'_, T>, EnterError> {
        let depth = self.raw.enter()?;
        Ok(Entered::new(self, depth))
    }

    /// As [`CriticalSection::enter`], and returns `None` instead of waiting. For the owner it succeeds.
    ///
    /// # Errors
    ///
    /// [`EnterError::TooDeep`] and [`EnterError::Abandoned`].
    pub fn try_enter(&self) -> Result<Option<Entered<'_, T>>, EnterError> {
        let depth = self.raw.try_enter()?;
        Ok(depth.map(|depth| Entered::new(self, depth)))
    }

    /// Calls `body` with the data, and leaves however it ends. In this form no guard can be leaked.
    ///
    /// # Errors
    ///
    /// As [`CriticalSection::enter`].
    pub fn with<R>(&self, body: impl FnOnce(&T) -> R) -> Result<R, EnterError> {
        let guard = self.enter()?;
        Ok(body(&guard))
    }

    /// How often the calling thread has entered and not left; 0 when it does not own the critical section.
    pub fn depth(&self) -> u32 {
        self.raw.depth()
    }

    /// As [`RawCriticalSection::set_spin_count`].
    ///
    /// # Errors
    ///
    /// When the count is above [`MAX_SPIN_COUNT`](crate::MAX_SPIN_COUNT).
    pub fn set_spin_count(&self, count: u32) -> Result<u32, SpinCountTooLarge> {
        self.raw.set_spin_count(count)
    }

    /// The data of a critical section that nobody else can enter meanwhile.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.data
    }

    /// Deletes the critical section and returns its data.
    pub fn into_inner(self) -> T {
        self.data
    }
}

impl<T: fmt::Debug> fmt::Debug for CriticalSection<T> {
    /// Shows the data if no other thread owns it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("CriticalSection");
        match self.try_enter() {
            Ok(Some(guard)) => shown.field("data", &*guard).finish(),
            _ => shown.finish_non_exhaustive(),
        }
    }
}

/// One of its owner's entries into a [`CriticalSection`]. The owner leaves once when it is dropped; in which
/// order it drops several does not matter.
#[must_use = "a guard that is dropped at once protects nothing"]
pub struct Entered<'a, T> {
    section: &'a CriticalSection<T>,
    depth: u32,
    of_this_thread: OfThisThread,
}

// SAFETY: a shared guard gives `&T` and nothing else.
unsafe impl<T: Sync> Sync for Entered<'_, T> {}

impl<'a, T> Entered<'a, T> {
    /// The calling thread has entered for this guard.
    fn new(section: &'a CriticalSection<T>, depth: u32) -> Self {
        Self {
            section,
            depth,
            of_this_thread: PhantomData,
        }
    }

    /// How often its thread had entered when this guard was made: 1 for the outermost.
    pub fn depth(&self) -> u32 {
        self.depth
    }
}

impl<T> Deref for Entered<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.section.data
    }
}

impl<T> Drop for Entered<'_, T> {
    fn drop(&mut self) {
        // SAFETY: this guard was made when its thread had entered, and it can't be sent to another.
        unsafe { self.section.raw.leave_owned() };
    }
}

impl<T: fmt::Debug> fmt::Debug for Entered<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
