//! Executive resources: ERESOURCE.
//!
//! A thread may acquire a resource that it holds already. [`Resource`] refuses where two references
//! would be the result of which one is `&mut T`; [`ReentrantResource`] gives `&T` and lets the thread
//! in again. The check is relative to the calling thread, so that nothing another thread does races
//! with it. There is no safe hand-over to another thread: after `ExSetResourceOwnerPointer` the resource
//! belongs to no thread, the check would miss the owner, and a guard that may be sent would have to
//! leave its region on a thread that never entered it. `ReentrantResource`, which gives no `&mut T`, has
//! it as an unsafe call.
#![allow(
    unsafe_code,
    reason = "the forms without a check, and one that rests on a borrow"
)]

mod answers;
mod reentrant;
mod unscoped;

pub use crate::backend::ResourceOwner;
pub use answers::{HeldAs, NotExclusive, Refused, StillOwned};
pub use reentrant::{ReentrantGuard, ReentrantResource};

use core::fmt;

use crate::backend::memory::{Lock, NotMade, sealed::InPlace};
use crate::backend::sharing::Sharing;
use crate::backend::{
    self, EnterMode, ExclusiveGuard, InRegion, Mode, OfResource, SharedGuard, WithRegion,
};
use crate::{AtMostApcLevel, CriticalRegion, Nonpaged, NormalApcsDisabled, Passive};

/// Data that one thread writes or several read, under an ERESOURCE.
///
/// Every acquire asks for a proof that normal kernel APCs are disabled, and its guard borrows the proof:
/// the region cannot end first. The forms that begin with `enter` bring a critical region along.
///
/// Prefer [`Resource::with_exclusive`] and [`Resource::with_shared`]: a closure cannot forget its guard.
///
/// ```
/// use apclab_guards::{CriticalRegion, Passive, Refused, Resource};
///
/// let names = Resource::try_new(vec!["one"])?;
/// // SAFETY: this thread runs at PASSIVE_LEVEL, and no other token of it exists.
/// let mut irql = unsafe { Passive::assume() };
/// names.with_exclusive(&mut irql, |names, _irql, _region| names.push("two"))?;
/// {
///     let region = CriticalRegion::enter(&irql);
///     let guard = names.shared(&irql, &region)?;
///     assert_eq!(*guard, ["one", "two"]);
///     assert_eq!(names.exclusive(&irql, &region).map(|_| ()), Err(Refused::Upgrade));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Resource<T: ?Sized> {
    cell: Sharing<backend::Resource, T>,
}

/// A guard of a [`Resource`] that gives `&mut T`.
pub type ResourceExclusive<'a, T, H = InRegion<'a>> = ExclusiveGuard<'a, T, H>;
/// A guard of a [`Resource`] that gives `&T`.
pub type ResourceShared<'a, T, H = InRegion<'a>> = SharedGuard<'a, T, H>;

impl<T> Lock for Resource<T> {}
impl<T> InPlace for Resource<T> {
    type Data = T;

    fn blank(data: T) -> Self {
        Self {
            cell: Sharing::<backend::Resource, T>::blank(data),
        }
    }

    fn initialise(&self) -> Result<(), NotMade> {
        self.cell.initialise()
    }
}

impl<T> Resource<T> {
    /// A resource in nonpaged memory of its own. IRQL <= DISPATCH_LEVEL.
    ///
    /// Dropping it above APC_LEVEL, or while a forgotten guard of the calling thread owns it, is bug
    /// check 0x45524553: the kernel's list of resources would be left with freed memory in it.
    ///
    /// # Errors
    /// [`NotMade::OutOfMemory`], [`NotMade::Refused`].
    #[cfg(feature = "alloc")]
    pub fn try_new(data: T) -> Result<Nonpaged<Self>, NotMade> {
        Nonpaged::try_new(data)
    }

    /// Deletes a resource where the IRQL is known to allow it. Reference page:
    /// `ExDeleteResourceLite`.
    pub fn delete(resource: Nonpaged<Self>, _irql: &Passive) {
        drop(resource);
    }
}

/// `$by` makes the guard, by these arguments ahead of whether it waits.
macro_rules! acquires {
    ($($(#[$doc:meta])* $name:ident $try_name:ident -> $guard:ident by $by:ident($($mode:expr)?);)*) => {
        $(
            $(#[$doc])*
            ///
            /// IRQL <= APC_LEVEL, which the token shows.
            ///
            /// # Errors
            /// [`Refused`], but never [`Refused::Busy`]: it waits.
            #[cfg_attr(feature = "debug", track_caller)]
            pub fn $name<'a>(
                &'a self,
                _irql: &impl AtMostApcLevel,
                _proof: &'a impl NormalApcsDisabled,
            ) -> Result<$guard<'a, T>, Refused> {
                self.cell.$by($($mode,)? true)
            }

            #[doc = concat!("As [`Self::", stringify!($name), "`], but without waiting.")]
            ///
            /// # Errors
            /// [`Refused`].
            #[cfg_attr(feature = "debug", track_caller)]
            pub fn $try_name<'a>(
                &'a self,
                _irql: &impl AtMostApcLevel,
                _proof: &'a impl NormalApcsDisabled,
            ) -> Result<$guard<'a, T>, Refused> {
                self.cell.$by($($mode,)? false)
            }
        )*
    };
}

macro_rules! enters {
    ($($(#[$doc:meta])* $name:ident $unchecked:ident -> $guard:ident
        by $by:ident $by_unchecked:ident($($mode:expr)?);)*) => {
        $(
            $(#[$doc])*
            ///
            /// IRQL <= APC_LEVEL, which the token shows. Dropping the guard releases the resource
            /// and leaves the region then: `ExReleaseResourceAndLeaveCriticalRegion`.
            ///
            /// # Errors
            /// [`Refused`], but never [`Refused::Busy`]: it waits.
            #[cfg_attr(feature = "debug", track_caller)]
            pub fn $name<'a>(
                &'a self,
                _irql: &impl AtMostApcLevel,
            ) -> Result<$guard<'a, T, WithRegion<'a>>, Refused> {
                self.cell.$by($($mode)?)
            }

            #[doc = concat!("As [`Self::", stringify!($name), "`] without its check: the two kernel calls and nothing else.")]
            ///
            /// # Safety
            /// The calling thread does not hold the resource.
            #[inline]
            #[cfg_attr(feature = "debug", track_caller)]
            pub unsafe fn $unchecked<'a>(
                &'a self,
                _irql: &impl AtMostApcLevel,
            ) -> $guard<'a, T, WithRegion<'a>> {
                // SAFETY: the caller's guarantee.
                unsafe { self.cell.$by_unchecked($($mode)?) }
            }
        )*
    };
}

impl<T: ?Sized> Resource<T> {
    acquires! {
        /// Acquires the resource exclusively: `ExAcquireResourceExclusiveLite`.
        exclusive try_exclusive -> ResourceExclusive by exclusive();
        /// Shares the resource, behind those that wait for exclusive: `ExAcquireResourceSharedLite`.
        shared try_shared -> ResourceShared by share(Mode::Shared);
        /// Shares the resource, ahead of those that wait for exclusive:
        /// `ExAcquireSharedStarveExclusive`.
        shared_starve_exclusive try_shared_starve_exclusive -> ResourceShared
            by share(Mode::SharedStarveExclusive);
        /// Shares the resource behind those that wait for exclusive:
        /// `ExAcquireSharedWaitForExclusive`.
        shared_wait_for_exclusive try_shared_wait_for_exclusive -> ResourceShared
            by share(Mode::SharedWaitForExclusive);
    }

    enters! {
        /// Enters a critical region and acquires the resource exclusively:
        /// `ExEnterCriticalRegionAndAcquireResourceExclusive`.
        enter_exclusive enter_exclusive_unchecked -> ResourceExclusive
            by enter_exclusive enter_exclusive_unchecked();
        /// Enters a critical region and shares the resource:
        /// `ExEnterCriticalRegionAndAcquireResourceShared`.
        enter_shared enter_shared_unchecked -> ResourceShared
            by enter_share enter_share_unchecked(EnterMode::Shared);
        /// Enters a critical region and shares the resource behind those that wait for exclusive:
        /// `ExEnterCriticalRegionAndAcquireSharedWaitForExclusive`.
        enter_shared_wait_for_exclusive enter_shared_wait_for_exclusive_unchecked -> ResourceShared
            by enter_share enter_share_unchecked(EnterMode::SharedWaitForExclusive);
    }

    /// Calls `f` with the data for this thread alone, inside a critical region. Resource and region
    /// are given back however `f` ends, the resource first.
    ///
    /// IRQL <= APC_LEVEL, which the token shows; it is lent to `f`.
    ///
    /// # Errors
    /// [`Refused::Recursive`], [`Refused::Upgrade`].
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn with_exclusive<L: AtMostApcLevel, R>(
        &self,
        irql: &mut L,
        f: impl FnOnce(&mut T, &mut L, &CriticalRegion) -> R,
    ) -> Result<R, Refused> {
        let mut guard = self.enter_exclusive(irql)?;
        let (data, hold) = guard.split();
        Ok(f(data, irql, hold.region()))
    }

    /// Calls `f` with the data, which other threads may read too, inside a critical region. As
    /// [`Self::with_exclusive`] otherwise.
    ///
    /// # Errors
    /// [`Refused::Recursive`], [`Refused::TooOften`].
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn with_shared<L: AtMostApcLevel, R>(
        &self,
        irql: &mut L,
        f: impl FnOnce(&T, &mut L, &CriticalRegion) -> R,
    ) -> Result<R, Refused> {
        let mut guard = self.enter_shared(irql)?;
        let (data, region) = guard.parts();
        Ok(f(data, irql, region))
    }
}

impl<'a, T: ?Sized> ResourceExclusive<'a, T, WithRegion<'a>> {
    /// The data, and the proof that normal kernel APCs are disabled: apart, so that the data may
    /// change while the proof is borrowed.
    pub fn parts(&mut self) -> (&mut T, &CriticalRegion) {
        let (data, hold) = self.split();
        (data, hold.region())
    }
}

impl<'a, T: ?Sized> ResourceShared<'a, T, WithRegion<'a>> {
    /// The data, and the proof that normal kernel APCs are disabled.
    ///
    /// It wants `&mut self`: a guard may be shared with other threads, for which it proves nothing.
    pub fn parts(&mut self) -> (&T, &CriticalRegion) {
        let (data, hold) = self.split();
        (data, hold.region())
    }
}

impl<'a, T: ?Sized, H: OfResource> ResourceExclusive<'a, T, H> {
    /// Lets other threads share the resource: `ExConvertExclusiveToSharedLite`. Sharers that wait
    /// come in.
    ///
    /// IRQL <= APC_LEVEL, which the token shows.
    pub fn downgrade(self, _irql: &impl AtMostApcLevel) -> ResourceShared<'a, T, H> {
        self.convert()
    }
}

macro_rules! in_both_forms {
    ($resource:ident) => {
        impl<T> $resource<T> {
            /// Makes the kernel's object as new, without its memory going: `ExReinitializeResourceLite`.
            /// The data stays. Nobody else has the resource, since its owner is borrowed alone; a guard
            /// that another thread forgot is not seen, as when the resource is dropped.
            ///
            /// IRQL <= APC_LEVEL, which the token shows.
            ///
            /// # Errors
            /// [`StillOwned`]. Nothing changed.
            pub fn reinitialize(
                resource: &mut Nonpaged<Self>,
                _irql: &impl AtMostApcLevel,
            ) -> Result<(), StillOwned> {
                let object = resource.cell.object();
                if object.acquired_count() > 0 {
                    return Err(StillOwned);
                }
                // SAFETY: no guard borrows the resource, so that nobody has it or waits for it.
                unsafe { object.reinitialize() };
                Ok(())
            }
        }

        impl<T: ?Sized> $resource<T> {
            /// Whether the calling thread has it exclusively: `ExIsResourceAcquiredExclusiveLite`.
            /// IRQL <= DISPATCH_LEVEL.
            pub fn acquired_exclusive(&self) -> bool {
                self.cell.object().acquired_exclusive()
            }

            /// How often the calling thread has it, in either mode: `ExIsResourceAcquiredSharedLite`.
            /// IRQL <= DISPATCH_LEVEL.
            pub fn acquired_count(&self) -> u32 {
                self.cell.object().acquired_count()
            }

            /// How the calling thread holds it. IRQL <= DISPATCH_LEVEL.
            pub fn held(&self) -> HeldAs {
                self.cell.object().held()
            }

            /// How many threads wait for exclusive: an estimate. `ExGetExclusiveWaiterCount`.
            pub fn exclusive_waiters(&self) -> u32 {
                self.cell.object().exclusive_waiters()
            }

            /// How many threads wait to share: an estimate. `ExGetSharedWaiterCount`.
            pub fn shared_waiters(&self) -> u32 {
                self.cell.object().shared_waiters()
            }
        }

        impl<T: ?Sized> fmt::Debug for $resource<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($resource))
                    .finish_non_exhaustive()
            }
        }
    };
}
in_both_forms!(Resource);
in_both_forms!(ReentrantResource);
