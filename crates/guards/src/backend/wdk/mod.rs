//! The real kernel, through wdk-sys.
#![allow(
    unsafe_code,
    reason = "calls to the kernel; this is the crate's one place for them"
)]

mod bytes;
mod mutex;
#[cfg(feature = "alloc")]
mod pool;
mod push_lock;
mod resource;

pub(crate) use mutex::{FastMutex, GuardedMutex, KernelMutex};
#[cfg(feature = "alloc")]
pub(crate) use pool::{POOL_ALIGNMENT, allocate, free};
pub(crate) use push_lock::PushLock;
#[cfg(feature = "lookup")]
pub use push_lock::find_push_locks;
pub(crate) use resource::Resource;

use wdk_sys::{APC_LEVEL, ntddk};

#[inline]
pub(crate) fn enter_critical() {
    // SAFETY: callers hold a witness of IRQL <= APC_LEVEL and leave once on this thread.
    unsafe { ntddk::KeEnterCriticalRegion() }
}

#[inline]
pub(crate) fn leave_critical() {
    // SAFETY: callers entered once on this thread; the IRQL is that of the enter, <= APC_LEVEL.
    unsafe { ntddk::KeLeaveCriticalRegion() }
}

#[inline]
pub(crate) fn enter_guarded() {
    // SAFETY: callers hold a witness of IRQL <= APC_LEVEL and leave once on this thread.
    unsafe { ntddk::KeEnterGuardedRegion() }
}

#[inline]
pub(crate) fn leave_guarded() {
    // SAFETY: callers entered once on this thread; the IRQL is that of the enter, <= APC_LEVEL.
    unsafe { ntddk::KeLeaveGuardedRegion() }
}

#[inline]
pub(crate) fn apcs_disabled() -> bool {
    // SAFETY: callers hold a witness of IRQL <= APC_LEVEL.
    let answer = unsafe { ntddk::KeAreApcsDisabled() };
    answer != 0
}

#[inline]
pub(crate) fn all_apcs_disabled() -> bool {
    // SAFETY: callers hold a witness of IRQL <= APC_LEVEL.
    let answer = unsafe { ntddk::KeAreAllApcsDisabled() };
    answer != 0
}

#[inline]
pub(crate) fn current_irql() -> u8 {
    // SAFETY: KeGetCurrentIrql may be called at any IRQL.
    unsafe { ntddk::KeGetCurrentIrql() }
}

#[inline]
pub(crate) fn raise_to_apc_level() -> u8 {
    #[allow(clippy::cast_possible_truncation, reason = "APC_LEVEL is 1")]
    // SAFETY: callers hold a witness of IRQL <= APC_LEVEL, so this raises or keeps the IRQL.
    unsafe {
        ntddk::KfRaiseIrql(APC_LEVEL as u8)
    }
}

#[inline]
pub(crate) fn lower_to(irql: u8) {
    // SAFETY: `irql` came from the raise that this call undoes, on this thread.
    unsafe { ntddk::KeLowerIrql(irql) }
}

/// A number of the calling thread, not 0.
#[cfg(feature = "debug")]
pub(crate) fn current_thread() -> usize {
    // SAFETY: PsGetCurrentThreadId may be called at any IRQL that a witness of this crate shows.
    let id = unsafe { ntddk::PsGetCurrentThreadId() };
    id.addr().max(1)
}

/// Whether nothing keeps the thread's normal kernel APCs out.
#[cfg(feature = "debug")]
pub(crate) fn normal_apcs_enabled() -> bool {
    !apcs_disabled() && !all_apcs_disabled()
}

/// Tells the kernel's debugger of a mistake.
#[cfg(feature = "debug")]
pub(crate) fn report(mistake: &crate::debug::Mistake) {
    let (first, second) = mistake.parts();
    print(first);
    if let Some(second) = second {
        print(second);
    }
}

#[cfg(feature = "debug")]
fn print((what, place): (&core::ffi::CStr, crate::debug::Place)) {
    // The end of the name, with the zero that C wants.
    let mut file = [0_u8; 128];
    let name = place.file().as_bytes();
    let room = file.len() - 1;
    let end = name.get(name.len().saturating_sub(room)..).unwrap_or(name);
    for (to, from) in file.iter_mut().zip(end) {
        *to = *from;
    }
    // SAFETY: the format takes two strings and a number, which follow; DbgPrint may be called at these
    // IRQLs.
    unsafe {
        ntddk::DbgPrint(
            c"apclab-guards: %s %s:%u\n".as_ptr(),
            what.as_ptr(),
            file.as_ptr(),
            place.line(),
        );
    }
}
