//! Acquires and releases that no scope pairs, for code that closes in any order what it opened and
//! counts by itself. Nothing here gives a reference to the data.
#![allow(unsafe_code, reason = "the balance is the caller's")]

use super::{ReentrantResource, ResourceOwner};
use crate::backend::{EnterMode, Mode};
use crate::debug::{self, LockKind, Origin};
use crate::{AtMostApcLevel, RegionKind};

impl<T: ?Sized> ReentrantResource<T> {
    /// Acquires the resource in this mode; `false` only when it does not wait and would have to. It
    /// refuses nothing: a thread that waits for itself waits for ever.
    ///
    /// IRQL <= APC_LEVEL, which the token shows. What a guard's `drop` does is the caller's here.
    ///
    /// # Safety
    /// - Normal kernel APCs are disabled in the calling thread, and stay disabled until the acquire is
    ///   released or handed over.
    /// - Each success is given back once, by the same thread, before it ends and before the resource is
    ///   dropped: with [`Self::release_unscoped`], with [`Self::release_leave_unscoped`], or with
    ///   [`Self::hand_over_unscoped`] and then [`Self::release_for_owner_unscoped`].
    /// - The thread has the resource less than 2^29 times.
    #[cfg_attr(feature = "debug", track_caller)]
    pub unsafe fn acquire_unscoped(
        &self,
        mode: Mode,
        wait: bool,
        _irql: &impl AtMostApcLevel,
    ) -> bool {
        let object = self.cell.object();
        debug::acquires(LockKind::Resource, object, false);
        let acquired = if wait {
            object.acquire(mode);
            true
        } else {
            object.try_acquire(mode)
        };
        if acquired {
            debug::acquired(LockKind::Resource, object);
        }
        acquired
    }

    /// Enters a critical region and acquires the resource in this mode. It refuses nothing, as
    /// [`Self::acquire_unscoped`].
    ///
    /// # Safety
    /// - As for `acquire_unscoped`, where the region that is entered here disables the APCs.
    /// - The region is left once: with [`Self::release_leave_unscoped`], or with
    ///   [`CriticalRegion::assume_entered`](crate::CriticalRegion::assume_entered).
    #[cfg_attr(feature = "debug", track_caller)]
    pub unsafe fn enter_acquire_unscoped(&self, mode: EnterMode, _irql: &impl AtMostApcLevel) {
        let object = self.cell.object();
        debug::entered(RegionKind::Critical);
        object.enter_and_acquire(mode);
        debug::acquired(LockKind::Resource, object);
    }

    /// Releases the resource once: `ExReleaseResourceLite`.
    ///
    /// # Safety
    /// The calling thread has more successes of `acquire_unscoped` and `enter_acquire_unscoped` than it
    /// has given back, and has not handed the resource over since.
    pub unsafe fn release_unscoped(&self, _irql: &impl AtMostApcLevel) {
        let object = self.cell.object();
        debug::releases(LockKind::Resource, object, Origin::UNKNOWN);
        // SAFETY: the caller's guarantee.
        unsafe { object.release() };
    }

    /// Releases the resource once and then leaves a critical region:
    /// `ExReleaseResourceAndLeaveCriticalRegion`.
    ///
    /// # Safety
    /// As for [`Self::release_unscoped`], and the calling thread is in a critical region that has no
    /// guard (as for [`CriticalRegion::assume_entered`](crate::CriticalRegion::assume_entered)).
    pub unsafe fn release_leave_unscoped(&self, _irql: &impl AtMostApcLevel) {
        let object = self.cell.object();
        debug::releases(LockKind::Resource, object, Origin::UNKNOWN);
        let region = debug::leaves(RegionKind::Critical, Origin::UNKNOWN);
        // SAFETY: the caller's guarantee.
        unsafe { object.release_and_leave() };
        debug::left(region);
    }

    /// Lets other threads share what the calling thread has exclusively, however often:
    /// `ExConvertExclusiveToSharedLite`. [`Self::convert`] asks first.
    ///
    /// # Safety
    /// The calling thread has it exclusively.
    pub unsafe fn convert_unscoped(&self, _irql: &impl AtMostApcLevel) {
        // SAFETY: the caller's guarantee.
        unsafe { self.cell.object().convert() };
    }

    /// Makes the kernel's object as new: `ExReinitializeResourceLite`.
    ///
    /// # Safety
    /// Nobody has the resource or waits for it, and nobody begins to before this returns.
    pub unsafe fn reinitialize_unscoped(&self, _irql: &impl AtMostApcLevel) {
        // SAFETY: the caller's guarantee.
        unsafe { self.cell.object().reinitialize() };
    }

    /// Gives all that the calling thread has of the resource to an owner that is no thread:
    /// `ExSetResourceOwnerPointer`. The thread has none of it afterwards.
    ///
    /// # Safety
    /// - The calling thread has it, and each of its acquires was unscoped: no guard lives.
    /// - The owner stays where it is until the last release for it. Whoever releases, in whatever thread,
    ///   does so with [`Self::release_for_owner_unscoped`], as often as the thread had acquired, before
    ///   the resource is dropped.
    pub unsafe fn hand_over_unscoped(&self, owner: &ResourceOwner, _irql: &impl AtMostApcLevel) {
        let object = self.cell.object();
        debug::hands_over(LockKind::Resource, object);
        // SAFETY: the caller's guarantee.
        unsafe { object.set_owner(owner) };
    }

    /// Releases once what was handed over to this owner: `ExReleaseResourceForThreadLite`.
    ///
    /// # Safety
    /// The resource was handed over to this owner, with more acquires than have been released for it. The
    /// calling thread is a system thread, or its normal kernel APCs are disabled.
    pub unsafe fn release_for_owner_unscoped(
        &self,
        owner: &ResourceOwner,
        _irql: &impl AtMostApcLevel,
    ) {
        // SAFETY: the caller's guarantee.
        unsafe { self.cell.object().release_for(owner) };
    }
}
