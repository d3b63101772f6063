//! Calls for a resource that no guard can stand for, in lanes that are not raw.
#![allow(unsafe_code, reason = "acquires and releases without a guard")]

use apclab_guards::{AtMostApcLevel, Mode, NormalApcsDisabled, ReentrantResource};

/// Whether the kernel lets the calling thread have the resource at once, in a mode that a guard refuses to
/// ask for. What it gives is given back.
pub(crate) fn would_acquire(
    resource: &ReentrantResource<()>,
    mode: Mode,
    irql: &impl AtMostApcLevel,
    _proof: &impl NormalApcsDisabled,
) -> bool {
    // SAFETY: the proof is held across both calls; a success is released here; the verifier bounds the
    // depth.
    let acquired = unsafe { resource.acquire_unscoped(mode, false, irql) };
    if acquired {
        // SAFETY: acquired in the line above.
        unsafe { resource.release_unscoped(irql) };
    }
    acquired
}

/// `ExReinitializeResourceLite`, unless the calling thread holds the resource.
///
/// The verifier lets one lane alone name a resource that is reinitialised, and nobody hand it over: so
/// whether that lane holds it is all there is to ask.
pub(crate) fn reinitialize(
    resource: &ReentrantResource<()>,
    irql: &impl AtMostApcLevel,
) -> Option<()> {
    if resource.acquired_count() != 0 {
        return None;
    }
    // SAFETY: only this lane names the resource, and it does not hold it; a lane has one thread.
    unsafe { resource.reinitialize_unscoped(irql) };
    Some(())
}
