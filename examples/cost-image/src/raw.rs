//! As a C driver does it.

use core::ptr::null_mut;

use wdk_sys::{
    _KWAIT_REASON::Executive, _MODE::KernelMode, APC_LEVEL, ERESOURCE, FAST_MUTEX, KGUARDED_MUTEX,
    KMUTEX, ntddk,
};

use crate::Work;

unsafe extern "C" {
    fn ExAcquirePushLockExclusiveEx(lock: *mut usize, flags: u32);
    fn ExAcquirePushLockSharedEx(lock: *mut usize, flags: u32);
    fn ExReleasePushLockExclusiveEx(lock: *mut usize, flags: u32);
    fn ExReleasePushLockSharedEx(lock: *mut usize, flags: u32);
}

macro_rules! exports {
    ($($name:ident($($lock:ident: $type:ty)?; $work:ident) $before:expr, $after:expr;)*) => {
        $(
            /// See [`crate`].
            ///
            /// # Safety
            /// Called at PASSIVE_LEVEL, with a lock that the calling thread does not hold.
            // SAFETY: the name is defined once.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name($($lock: $type,)? $work: Work) {
                // SAFETY: the caller's guarantee.
                unsafe { $before };
                $work();
                // SAFETY: undoes what the line above did, on the same thread.
                unsafe { $after };
            }
        )*
    };
}

exports! {
    raw_critical_region(; work) ntddk::KeEnterCriticalRegion(), ntddk::KeLeaveCriticalRegion();
    raw_critical_closure(; work) ntddk::KeEnterCriticalRegion(), ntddk::KeLeaveCriticalRegion();
    raw_guarded_region(; work) ntddk::KeEnterGuardedRegion(), ntddk::KeLeaveGuardedRegion();
    raw_guarded_closure(; work) ntddk::KeEnterGuardedRegion(), ntddk::KeLeaveGuardedRegion();
    raw_fast_mutex(lock: *mut FAST_MUTEX; work)
        ntddk::ExAcquireFastMutex(lock), ntddk::ExReleaseFastMutex(lock);
    raw_guarded_mutex(lock: *mut KGUARDED_MUTEX; work)
        ntddk::KeAcquireGuardedMutex(lock), ntddk::KeReleaseGuardedMutex(lock);
    raw_enter_exclusive_unchecked(lock: *mut ERESOURCE; work)
        ntddk::ExEnterCriticalRegionAndAcquireResourceExclusive(lock),
        ntddk::ExReleaseResourceAndLeaveCriticalRegion(lock);
    raw_enter_shared_unchecked(lock: *mut ERESOURCE; work)
        ntddk::ExEnterCriticalRegionAndAcquireResourceShared(lock),
        ntddk::ExReleaseResourceAndLeaveCriticalRegion(lock);
    raw_enter_wait_unchecked(lock: *mut ERESOURCE; work)
        ntddk::ExEnterCriticalRegionAndAcquireSharedWaitForExclusive(lock),
        ntddk::ExReleaseResourceAndLeaveCriticalRegion(lock);
    raw_enter_exclusive(lock: *mut ERESOURCE; work)
        ntddk::ExEnterCriticalRegionAndAcquireResourceExclusive(lock),
        ntddk::ExReleaseResourceAndLeaveCriticalRegion(lock);
    raw_enter_shared(lock: *mut ERESOURCE; work)
        ntddk::ExEnterCriticalRegionAndAcquireResourceShared(lock),
        ntddk::ExReleaseResourceAndLeaveCriticalRegion(lock);
}

/// See [`crate`].
///
/// # Safety
/// Called at PASSIVE_LEVEL.
// SAFETY: the name is defined once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raw_nested_regions(work: Work) {
    // SAFETY: the caller's guarantee.
    unsafe { ntddk::KeEnterCriticalRegion() };
    // SAFETY: as above.
    unsafe { ntddk::KeEnterGuardedRegion() };
    work();
    // SAFETY: entered above.
    unsafe { ntddk::KeLeaveGuardedRegion() };
    // SAFETY: entered above.
    unsafe { ntddk::KeLeaveCriticalRegion() };
}

/// See [`crate`].
///
/// # Safety
/// Called at PASSIVE_LEVEL.
#[allow(clippy::cast_possible_truncation, reason = "APC_LEVEL is 1")]
// SAFETY: the name is defined once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raw_raise(work: Work) {
    // SAFETY: the caller's guarantee.
    let old = unsafe { ntddk::KfRaiseIrql(APC_LEVEL as u8) };
    work();
    // SAFETY: raised above.
    unsafe { ntddk::KeLowerIrql(old) };
}

/// See [`crate`].
///
/// # Safety
/// Called at PASSIVE_LEVEL, with a mutex that the calling thread does not hold.
#[allow(clippy::cast_possible_truncation, reason = "KernelMode is 0")]
// SAFETY: the name is defined once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raw_kernel_mutex(lock: *mut KMUTEX, work: Work) {
    // SAFETY: the caller's guarantee. Without a time-out and not alertable it ends one way.
    let _ = unsafe {
        ntddk::KeWaitForSingleObject(lock.cast(), Executive, KernelMode as i8, 0, null_mut())
    };
    work();
    // SAFETY: acquired above.
    unsafe { ntddk::KeReleaseMutex(lock, 0) };
}

/// See [`crate`].
///
/// # Safety
/// Called at PASSIVE_LEVEL, with a lock that the calling thread does not hold.
// SAFETY: the name is defined once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raw_push_lock_exclusive(lock: *mut usize, work: Work) {
    // SAFETY: the caller's guarantee.
    unsafe { ntddk::KeEnterCriticalRegion() };
    // SAFETY: as above.
    unsafe { ExAcquirePushLockExclusiveEx(lock, 0) };
    work();
    // SAFETY: acquired above.
    unsafe { ExReleasePushLockExclusiveEx(lock, 0) };
    // SAFETY: entered above.
    unsafe { ntddk::KeLeaveCriticalRegion() };
}

/// See [`crate`].
///
/// # Safety
/// Called at PASSIVE_LEVEL, with a lock that the calling thread does not hold.
// SAFETY: the name is defined once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn raw_push_lock_shared(lock: *mut usize, work: Work) {
    // SAFETY: the caller's guarantee.
    unsafe { ntddk::KeEnterCriticalRegion() };
    // SAFETY: as above.
    unsafe { ExAcquirePushLockSharedEx(lock, 0) };
    work();
    // SAFETY: acquired above.
    unsafe { ExReleasePushLockSharedEx(lock, 0) };
    // SAFETY: entered above.
    unsafe { ntddk::KeLeaveCriticalRegion() };
}
