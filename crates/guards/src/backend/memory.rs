//! Where kernel objects live: nonpaged memory that they never leave.
#![allow(
    unsafe_code,
    reason = "places objects in memory of their own and takes them out again"
)]

use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "alloc")]
use super::{allocate, free};

/// A lock with its data could not be made. The data was dropped, or, after a refusal, forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotMade {
    /// The nonpaged pool has no room.
    OutOfMemory,
    /// The [`Place`] holds a lock already.
    Occupied,
    /// The kernel refused to initialise the object, with this NTSTATUS.
    Refused(i32),
    /// The kernel does not export the routines of the lock, or nobody has looked them up yet: only with
    /// the feature `lookup`.
    NoRoutine,
}

impl fmt::Display for NotMade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory => f.write_str("the nonpaged pool has no room for a lock"),
            Self::Occupied => f.write_str("the place holds a lock already"),
            Self::NoRoutine => f.write_str("the kernel has no routines for such a lock"),
            Self::Refused(status) => {
                write!(f, "the kernel refused to initialise a lock: {status:#010x}")
            }
        }
    }
}

impl core::error::Error for NotMade {}

/// A lock of this crate, which is made in the memory that it stays in.
pub trait Lock: sealed::InPlace {}

pub(crate) mod sealed {
    /// How a lock comes to be in its memory.
    pub trait InPlace: Sized {
        /// What the lock protects.
        type Data;
        /// The lock's bytes before the kernel has initialised its object.
        fn blank(data: Self::Data) -> Self;
        /// Initialises the kernel's object. The lock is at its final address, and never
        /// initialised before.
        ///
        /// # Errors
        /// The kernel's NTSTATUS. There is nothing to delete then.
        fn initialise(&self) -> Result<(), super::NotMade>;
    }
}
use sealed::InPlace;

/// Owns a lock in nonpaged memory that it never leaves. Dropping this deletes the lock.
///
/// It is the only way to own a lock: there is none by value, so that none can be moved.
#[must_use = "the lock is deleted at once when its owner is unused"]
pub struct Nonpaged<L: Lock> {
    lock: NonNull<L>,
    home: Home,
    owns: PhantomData<L>,
}

enum Home {
    #[cfg(feature = "alloc")]
    Pool,
    Place(&'static AtomicBool),
}

// SAFETY: a `Nonpaged` owns its lock as a box does.
unsafe impl<L: Lock + Send> Send for Nonpaged<L> {}
// SAFETY: as above; through `&Nonpaged` there is only `&L`.
unsafe impl<L: Lock + Sync> Sync for Nonpaged<L> {}

impl<L: Lock> Nonpaged<L> {
    /// Makes a lock in an allocation of its own from the nonpaged pool. IRQL <= DISPATCH_LEVEL.
    ///
    /// # Errors
    /// [`NotMade::OutOfMemory`], [`NotMade::Refused`].
    #[cfg(feature = "alloc")]
    pub fn try_new(data: L::Data) -> Result<Self, NotMade> {
        const { assert!(align_of::<L>() <= super::POOL_ALIGNMENT) };
        let layout = core::alloc::Layout::new::<L>();
        let memory = NonNull::new(allocate(layout)).ok_or(NotMade::OutOfMemory)?;
        // SAFETY: the memory is new, large enough, and aligned as the assertion above says.
        let made = unsafe { initialise(memory.cast::<L>(), L::blank(data)) };
        if let Err(refused) = made {
            // SAFETY: allocated above with this layout; nothing in it lives.
            unsafe { free(memory.as_ptr(), layout) };
            return Err(refused);
        }
        Ok(Self {
            lock: memory.cast(),
            home: Home::Pool,
            owns: PhantomData,
        })
    }
}

/// Moves the lock's bytes to where they stay, and initialises the kernel's object there.
///
/// # Safety
/// `at` is free nonpaged memory of the lock's size and alignment.
unsafe fn initialise<L: InPlace>(at: NonNull<L>, blank: L) -> Result<(), NotMade> {
    let at = at.cast::<core::mem::ManuallyDrop<L>>();
    // SAFETY: the caller's guarantee.
    unsafe { at.write(core::mem::ManuallyDrop::new(blank)) };
    // SAFETY: written just now.
    unsafe { at.as_ref() }.initialise()
    // On an error what the memory holds is forgotten: the object's destructor would delete what
    // was never made. The data is forgotten with it.
}

impl<L: Lock> Deref for Nonpaged<L> {
    type Target = L;

    fn deref(&self) -> &L {
        // SAFETY: the lock was initialised and lives as long as its owner.
        unsafe { self.lock.as_ref() }
    }
}

impl<L: Lock> Drop for Nonpaged<L> {
    fn drop(&mut self) {
        // SAFETY: the owner is the last who has the lock: everything else borrowed it.
        unsafe { self.lock.drop_in_place() };
        match self.home {
            #[cfg(feature = "alloc")]
            // SAFETY: allocated in `try_new` with this layout, and freed once.
            Home::Pool => unsafe {
                free(self.lock.as_ptr().cast(), core::alloc::Layout::new::<L>());
            },
            Home::Place(occupied) => occupied.store(false, Ordering::Release),
        }
    }
}

impl<L: Lock + fmt::Debug> fmt::Debug for Nonpaged<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Nonpaged static memory for one lock, for drivers that do not allocate.
///
/// ```
/// use apclab_guards::{FastMutex, Passive, Place};
///
/// // SAFETY: the place is a static of a nonpaged section, and `main` drops the lock.
/// static PLACE: Place<FastMutex<u32>> = unsafe { Place::new() };
///
/// // SAFETY: this thread runs at PASSIVE_LEVEL, and no other token of it exists.
/// let mut irql = unsafe { Passive::assume() };
/// let counter = PLACE.try_init(5)?;
/// assert_eq!(counter.with(&mut irql, |count, _| *count + 1), 6);
/// assert!(PLACE.try_init(7).is_err(), "one lock at a time");
/// # Ok::<(), apclab_guards::NotMade>(())
/// ```
pub struct Place<L> {
    occupied: AtomicBool,
    memory: UnsafeCell<MaybeUninit<L>>,
}

// SAFETY: `occupied` lets one owner at a time have the memory; the lock may be made in one thread
// and used in another, as `Send` and `Sync` of the lock allow.
unsafe impl<L: Send + Sync> Sync for Place<L> {}

impl<L> fmt::Debug for Place<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("occupied", &self.occupied)
            .finish_non_exhaustive()
    }
}

impl<L: Lock> Place<L> {
    /// An empty place.
    ///
    /// # Safety
    /// The place is a static (or a part of one) in a section of the driver's image that is never
    /// paged, as all sections but those named `PAGE…` are; and the lock made in it is dropped
    /// before the image is unloaded.
    pub const unsafe fn new() -> Self {
        Self {
            occupied: AtomicBool::new(false),
            memory: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    /// Makes a lock in the place. IRQL <= DISPATCH_LEVEL.
    ///
    /// # Errors
    /// [`NotMade::Occupied`], [`NotMade::Refused`].
    pub fn try_init(&'static self, data: L::Data) -> Result<Nonpaged<L>, NotMade> {
        if self.occupied.swap(true, Ordering::Acquire) {
            return Err(NotMade::Occupied);
        }
        // SAFETY: `UnsafeCell::get` is never null.
        let memory = unsafe { NonNull::new_unchecked(self.memory.get()) }.cast::<L>();
        // SAFETY: `occupied` was clear, so that the memory is free; `new` demands that it is
        // nonpaged and stays.
        let made = unsafe { initialise(memory, L::blank(data)) };
        if let Err(refused) = made {
            self.occupied.store(false, Ordering::Release);
            return Err(refused);
        }
        Ok(Nonpaged {
            lock: memory,
            home: Home::Place(&self.occupied),
            owns: PhantomData,
        })
    }
}
