//! Resources that lanes have handed over: who may release them, and how often.
//!
//! `ExSetResourceOwnerPointer` gives what a thread holds to a pointer, and after that any thread may
//! release it, but not once too often. So each hand-over is counted, and a release takes its turn from
//! the count before it calls the kernel.
#![allow(unsafe_code, reason = "releases what the counts say is held")]

use alloc::vec::Vec;
use core::mem;
use core::sync::atomic::{AtomicU32, Ordering};

use apclab_guards::{
    AtMostApcLevel, NormalApcsDisabled, ReentrantGuard, ReentrantResource, ResourceOwner,
};
use apclab_protocol::status::NtStatus;

use crate::nt::memory::try_vec;

/// What one lane has handed over of one resource.
struct Share {
    /// Its address is the owner's name: the vector that it is in does not grow.
    owner: ResourceOwner,
    /// How often it has to be released.
    count: AtomicU32,
}

/// What all lanes have handed over of one resource.
pub(crate) struct HandedOver {
    shares: Vec<Share>,
}

impl HandedOver {
    /// Nothing, for so many lanes.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub(crate) fn try_new(lanes: usize) -> Result<Self, NtStatus> {
        let shares = try_vec(lanes, |_| Share {
            owner: ResourceOwner::new(),
            count: AtomicU32::new(0),
        })?;
        Ok(Self { shares })
    }

    /// Hands over what a guard stands for, of lane `lane`. `false`: the thread has the resource more
    /// than once, or the lane's last hand-over has not been released; the guard is dropped then.
    pub(crate) fn hand_over_guard(
        &self,
        resource: &ReentrantResource<()>,
        guard: ReentrantGuard<'_, ()>,
        lane: usize,
        irql: &impl AtMostApcLevel,
    ) -> bool {
        let free = |share: &Share| share.count.load(Ordering::Acquire) == 0;
        if resource.acquired_count() != 1 || !self.shares.get(lane).is_some_and(free) {
            return false;
        }
        mem::forget(guard);
        // SAFETY: the thread has the resource once, and the guard that stood for it is forgotten. What
        // the lane handed over before has been released.
        unsafe { self.hand_over(resource, lane, 1, irql) };
        true
    }

    /// Hands over what the calling thread, lane `lane`, has of the resource. Does nothing for a lane
    /// that does not exist.
    ///
    /// # Safety
    /// The calling thread has acquired the resource `count` times, and no guard stands for any of them.
    /// The lane has not handed it over before in this iteration.
    pub(crate) unsafe fn hand_over(
        &self,
        resource: &ReentrantResource<()>,
        lane: usize,
        count: u32,
        irql: &impl AtMostApcLevel,
    ) {
        let Some(share) = self.shares.get(lane) else {
            return;
        };
        // SAFETY: by the contract of this function; the owner is in the run's memory, which outlives the
        // iteration, and `release_all` at its end releases what nobody has.
        unsafe { resource.hand_over_unscoped(&share.owner, irql) };
        // Published last: whoever sees the count may release.
        share.count.fetch_add(count, Ordering::Release);
    }

    /// Releases once what a lane has handed over; `false` when there is nothing to release.
    pub(crate) fn release(
        &self,
        resource: &ReentrantResource<()>,
        lane: usize,
        irql: &impl AtMostApcLevel,
        _proof: &impl NormalApcsDisabled,
    ) -> bool {
        let Some(share) = self.shares.get(lane) else {
            return false;
        };
        let less = |count: u32| count.checked_sub(1);
        let taken = share
            .count
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
        if taken.is_err() {
            return false;
        }
        // SAFETY: the count said that the owner has the resource once more than it has been released, and
        // this caller alone has taken that one; the proof says that APCs are disabled.
        unsafe { resource.release_for_owner_unscoped(&share.owner, irql) };
        true
    }

    /// Releases all that is left.
    pub(crate) fn release_all(
        &self,
        resource: &ReentrantResource<()>,
        irql: &impl AtMostApcLevel,
        proof: &impl NormalApcsDisabled,
    ) {
        for lane in 0..self.shares.len() {
            while self.release(resource, lane, irql, proof) {}
        }
    }
}
