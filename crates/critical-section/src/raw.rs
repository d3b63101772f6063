//! The raw form: entering and leaving without guards, counted and checked. The other forms are built on it.
//!
//! Windows documents no field of a `CRITICAL_SECTION`, so who owns it and how often is tracked beside it. The
//! reasons why that is sound:
//!
//! - `depth` and `owner` are written only by a thread that the system has let in and that has not yet left.
//!   The system's own leave and enter order these writes: a thread that enters sees what the last owner wrote.
//! - `depth` is raised before anything is handed out and lowered when it has come back. That it was not 0
//!   means recursion, whatever the identity of the thread; no guard of [`crate::CriticalMutex`] rests on
//!   more than that. One instruction reads and raises it: an APC that runs in between can't be missed.
//! - `owner` is read without entering too, by threads that ask whether they may leave. A thread finds its own
//!   number there only if it has written it, as numbers are never given to two threads. Its own writes it
//!   sees in order, and others write their own numbers or none. So a thread that reads its number has entered
//!   and not left; any other value, however old, is not its number. Relaxed access is enough for that.
#![allow(
    unsafe_code,
    reason = "leaving is the owner's right alone, and deleting that of nobody while there is an owner"
)]

use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::error::{EnterError, InitError, NotOwner, SpinCountTooLarge, StillEntered};
use crate::options::{MAX_SPIN_COUNT, Options};
use crate::system::System;
use crate::thread::{self, NOBODY};

/// How often a thread can enter without leaving. The system's own count is a signed 32-bit number, which this
/// keeps far from its end.
pub const MAX_DEPTH: u32 = 0x00FF_FFFF;

/// A critical section without guards and without data.
///
/// For code where entering and leaving can't be one scope. Who can have a scope should prefer
/// [`CriticalSection`](crate::CriticalSection) or [`CriticalMutex`](crate::CriticalMutex).
///
/// Dropping it deletes the system's object if no thread has entered. If one has, the object stays in memory for
/// ever; [`RawCriticalSection::delete`] says so.
#[derive(Debug)]
pub struct RawCriticalSection {
    /// Deleted by hand, or not at all.
    system: ManuallyDrop<System>,
    depth: AtomicU32,
    owner: AtomicU64,
}

impl RawCriticalSection {
    /// Makes a critical section as the system likes it.
    ///
    /// # Errors
    ///
    /// When the system can't.
    pub fn new() -> Result<Self, InitError> {
        Self::with_options(Options::new())
    }

    /// Makes a critical section with these options.
    ///
    /// # Errors
    ///
    /// When the system can't.
    pub fn with_options(options: Options) -> Result<Self, InitError> {
        Ok(Self {
            system: ManuallyDrop::new(System::new(options)?),
            depth: AtomicU32::new(0),
            owner: AtomicU64::new(NOBODY),
        })
    }

    /// Waits until this thread owns the critical section, and returns how often it has entered now: 1, or more
    /// where it already did.
    ///
    /// The wait is not alertable. It has no limit but the one in the system's registry, about 30 days where
    /// nobody has changed it, at which the system raises an exception.
    ///
    /// # Errors
    ///
    /// [`EnterError::TooDeep`] and [`EnterError::Abandoned`].
    pub fn enter(&self) -> Result<u32, EnterError> {
        self.system.enter();
        self.entered(MAX_DEPTH)
    }

    /// As [`RawCriticalSection::enter`], and returns `None` instead of waiting.
    ///
    /// # Errors
    ///
    /// [`EnterError::TooDeep`] and [`EnterError::Abandoned`].
    pub fn try_enter(&self) -> Result<Option<u32>, EnterError> {
        if !self.system.try_enter() {
            return Ok(None);
        }
        self.entered(MAX_DEPTH).map(Some)
    }

    /// Waits until this thread owns the critical section, which it must not do yet.
    pub(crate) fn enter_once(&self) -> Result<(), EnterError> {
        self.system.enter();
        self.entered(1).map(drop)
    }

    /// As `enter_once`, and returns whether this thread owns it, without waiting.
    pub(crate) fn try_enter_once(&self) -> Result<bool, EnterError> {
        if !self.system.try_enter() {
            return Ok(false);
        }
        self.entered(1).map(|_| true)
    }

    /// What follows when the system has let this thread in: counts, or leaves again.
    fn entered(&self, most: u32) -> Result<u32, EnterError> {
        let this = thread::current();
        let owner = self.owner.load(Ordering::Relaxed);
        if owner == NOBODY {
            self.owner.store(this, Ordering::Relaxed);
        }
        let before = self.depth.fetch_add(1, Ordering::Relaxed);
        let refused = if before == 0 {
            None
        } else if owner != this {
            Some(EnterError::Abandoned)
        } else if before < most {
            None
        } else if most == 1 {
            Some(EnterError::AlreadyEntered)
        } else {
            Some(EnterError::TooDeep)
        };
        let Some(error) = refused else {
            return Ok(before.saturating_add(1));
        };
        self.depth.fetch_sub(1, Ordering::Relaxed);
        // SAFETY: the system has just let this thread in, and the caller is told that it has not entered.
        unsafe { self.system.leave() };
        Err(error)
    }

    /// Leaves once, and returns how often this thread still has to: 0 when it no longer owns the critical
    /// section.
    ///
    /// # Errors
    ///
    /// When this thread does not own it; nothing has happened then. The system's own routine would let other
    /// threads wait for ever.
    pub fn leave(&self) -> Result<u32, NotOwner> {
        if self.owner.load(Ordering::Relaxed) != thread::current() {
            return Err(NotOwner);
        }
        // SAFETY: this thread owns the critical section, as the module's documentation says.
        Ok(unsafe { self.leave_owned() })
    }

    /// Leaves once.
    ///
    /// # Safety
    ///
    /// The calling thread owns the critical section, and this is one of as many calls as it has entered.
    pub(crate) unsafe fn leave_owned(&self) -> u32 {
        let before = self.depth.fetch_sub(1, Ordering::Relaxed);
        if before == 1 {
            self.owner.store(NOBODY, Ordering::Relaxed);
        }
        // SAFETY: the caller guarantees it.
        unsafe { self.system.leave() };
        before.saturating_sub(1)
    }

    /// How often the calling thread has entered and not left; 0 when it does not own the critical section.
    pub fn depth(&self) -> u32 {
        if self.owner.load(Ordering::Relaxed) == thread::current() {
            self.depth.load(Ordering::Relaxed)
        } else {
            0
        }
    }

    /// Sets how often a thread that finds the critical section owned looks again before it waits, and returns
    /// what the system says the count was.
    ///
    /// # Errors
    ///
    /// When the count is above [`MAX_SPIN_COUNT`].
    pub fn set_spin_count(&self, count: u32) -> Result<u32, SpinCountTooLarge> {
        if count > MAX_SPIN_COUNT {
            return Err(SpinCountTooLarge(count));
        }
        Ok(self.system.set_spin_count(count))
    }

    /// Deletes the critical section.
    ///
    /// # Errors
    ///
    /// When a thread has entered and not left: gives the critical section back.
    pub fn delete(self) -> Result<(), StillEntered> {
        if self.is_entered() {
            return Err(StillEntered(self));
        }
        drop(self);
        Ok(())
    }

    /// Whether any thread has entered and not left. Without another borrow this can't change meanwhile.
    fn is_entered(&self) -> bool {
        self.depth.load(Ordering::Relaxed) != 0
    }
}

impl Drop for RawCriticalSection {
    fn drop(&mut self) {
        if self.is_entered() {
            // The owner may leave no more, but what the system still keeps of it stays valid.
            return;
        }
        // SAFETY: this is the last use of the field.
        let system = unsafe { ManuallyDrop::take(&mut self.system) };
        // SAFETY: no thread has entered and not left.
        unsafe { system.delete() };
    }
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;

    fn raw() -> RawCriticalSection {
        RawCriticalSection::new().expect("the system makes critical sections")
    }

    /// The owner as if another thread, which has ended, had been it: its identifier is this thread's now.
    fn abandoned() -> RawCriticalSection {
        let raw = raw();
        assert_eq!(raw.enter(), Ok(1));
        raw.owner.store(u64::MAX, Ordering::Relaxed);
        raw
    }

    #[test]
    fn a_thread_with_the_identifier_of_one_that_has_ended_is_not_let_in() {
        let raw = abandoned();
        assert_eq!(raw.enter(), Err(EnterError::Abandoned));
        assert_eq!(raw.try_enter(), Err(EnterError::Abandoned));
        assert_eq!(raw.enter_once(), Err(EnterError::Abandoned));
        assert_eq!(raw.try_enter_once(), Err(EnterError::Abandoned));
        assert_eq!((raw.depth(), raw.leave()), (0, Err(NotOwner)));
    }

    #[test]
    fn an_entry_that_is_refused_is_left() {
        let raw = abandoned();
        for _ in 0..5 {
            assert_eq!(raw.enter(), Err(EnterError::Abandoned));
        }
        raw.owner.store(thread::current(), Ordering::Relaxed);
        assert_eq!(raw.enter_once(), Err(EnterError::AlreadyEntered));
        assert_eq!(raw.try_enter_once(), Err(EnterError::AlreadyEntered));
        assert_eq!(raw.leave(), Ok(0));
        // Had the system counted one of them, another thread could not enter.
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                let entered = raw.try_enter();
                (entered, raw.leave())
            });
            let other = other.join().expect("the thread does not panic");
            assert_eq!(other, (Ok(Some(1)), Ok(0)));
        });
    }

    #[test]
    fn what_is_entered_when_it_is_dropped_stays_in_memory() {
        let raw = raw();
        assert_eq!(raw.enter(), Ok(1));
        let address = raw.system.address();
        drop(raw);
        let blocks: Vec<_> = (0..10_000).map(|_| Box::new([0_usize; 5])).collect();
        assert!(
            blocks
                .iter()
                .all(|block| ptr::from_ref(&**block).cast() != address),
            "the system's object was freed while it had an owner"
        );
    }

    #[test]
    fn what_is_free_when_it_is_dropped_is_freed() {
        let reused = (0..100).any(|_| {
            let raw = raw();
            let address = raw.system.address();
            drop(raw);
            let blocks: Vec<_> = (0..100).map(|_| Box::new([0_usize; 5])).collect();
            blocks
                .iter()
                .any(|block| ptr::from_ref(&**block).cast() == address)
        });
        assert!(reused, "dropping frees nothing");
    }

    #[test]
    fn a_thread_can_enter_so_often_and_not_more() {
        let raw = raw();
        for depth in 1..=MAX_DEPTH {
            assert_eq!(raw.enter(), Ok(depth));
        }
        assert_eq!(raw.enter(), Err(EnterError::TooDeep));
        assert_eq!(raw.try_enter(), Err(EnterError::TooDeep));
        assert_eq!(raw.depth(), MAX_DEPTH);
        for depth in (0..MAX_DEPTH).rev() {
            assert_eq!(raw.leave(), Ok(depth));
        }
        assert_eq!(raw.delete().ok(), Some(()));
    }
}
