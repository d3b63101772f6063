//! Bug checks that do not come from the kernel's rules on threads: memory, faults, the framework.

use apclab_model::kernel::BugCheck;

/// The framework's own check failed (page of bug check 0x10D).
pub(crate) const WDF_VIOLATION: u32 = 0x10D;
/// A bad request to the pool.
pub(crate) const BAD_POOL_CALLER: u32 = 0xC2;
/// A write outside an allocation was found when it was freed.
pub(crate) const SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION: u32 = 0xC1;
/// A trap that the processor raised and nobody handles.
pub(crate) const UNEXPECTED_KERNEL_MODE_TRAP: u32 = 0x7F;
/// An exception in kernel code that nobody handles.
pub(crate) const KMODE_EXCEPTION_NOT_HANDLED: u32 = 0x1E;
/// An access to memory that is not there.
pub(crate) const PAGE_FAULT_IN_NONPAGED_AREA: u32 = 0x50;
/// The same at DISPATCH_LEVEL or above.
pub(crate) const DRIVER_IRQL_NOT_LESS_OR_EQUAL: u32 = 0xD1;
/// Driver Verifier's collection of misuses.
pub(crate) const DRIVER_VERIFIER_DETECTED_VIOLATION: u32 = 0xC4;
/// Driver Verifier's checks of I/O.
const DRIVER_VERIFIER_IOMANAGER_VIOLATION: u32 = 0xC9;
/// An IRP was completed that had been completed.
pub(crate) const MULTIPLE_IRP_COMPLETE_REQUESTS: u32 = 0x44;
/// A fast-fail (`int 0x29`).
pub(crate) const KERNEL_SECURITY_CHECK_FAILURE: u32 = 0x139;
/// A spin lock was acquired by the thread that holds it.
pub(crate) const SPIN_LOCK_ALREADY_OWNED: u32 = 0xF;
/// A spin lock was released by a thread that does not hold it.
pub(crate) const SPIN_LOCK_NOT_OWNED: u32 = 0x10;
/// More references were given back than taken.
pub(crate) const REFERENCE_BY_POINTER: u32 = 0x18;
/// A thread gave back a resource that it did not own.
const RESOURCE_NOT_OWNED: u32 = 0xE3;
/// An owner pointer without its two low bits set.
const RESOURCE_OWNER_POINTER_INVALID: u32 = 0x132;
/// A lock was released by a thread that did not own it.
const KERNEL_AUTO_BOOST_INVALID_LOCK_RELEASE: u32 = 0x162;
/// Not a code of Windows: the host itself failed while it served the driver.
pub(crate) const HOST_FAILURE: u32 = 0xDEAD_0057;

/// A bug check from its parts.
pub(crate) fn check(code: u32, parameters: [u64; 4], reason: impl Into<String>) -> BugCheck {
    BugCheck {
        code,
        parameters,
        reason: reason.into(),
    }
}

/// A violation that the framework detects; `kind` is parameter 1 on the page of bug check 0x10D.
pub(crate) fn wdf(kind: u64, second: u64, third: u64, reason: impl Into<String>) -> BugCheck {
    check(WDF_VIOLATION, [kind, second, third, 0], reason)
}

/// Misuse that Driver Verifier detects; `kind` is parameter 1 on the page of bug check 0xC4.
/// 0 stands for misuse that the page has no number for.
pub(crate) fn verifier(kind: u64, second: u64, reason: impl Into<String>) -> BugCheck {
    check(
        DRIVER_VERIFIER_DETECTED_VIOLATION,
        [kind, second, 0, 0],
        reason,
    )
}

/// Misuse of IRPs; `kind` is parameter 1 on the page of bug check 0xC9.
pub(crate) fn io(kind: u64, rest: [u64; 3], reason: impl Into<String>) -> BugCheck {
    let [second, third, fourth] = rest;
    check(
        DRIVER_VERIFIER_IOMANAGER_VIOLATION,
        [kind, second, third, fourth],
        reason,
    )
}

/// The IRQL rules that the host checks itself: each page of `routine` says at most `limit`.
pub(crate) fn irql_at_most(irql: u8, limit: u8, routine: &str) -> Result<(), BugCheck> {
    if irql <= limit {
        return Ok(());
    }
    let reason = format!("{routine} was called at IRQL {irql}; its page allows at most {limit}");
    Err(verifier(0, u64::from(irql), reason))
}

/// A bug check of the rules on locks, with the addresses that the pages of 0xC4, 0x132, 0x162 and
/// 0xE3 name as parameters: the rules know none. `thread` is the thread object's.
pub(crate) fn of_lock(mut check: BugCheck, lock: u64, thread: u64) -> BugCheck {
    let [kind, second, third, fourth] = &mut check.parameters;
    match (check.code, *kind) {
        (DRIVER_VERIFIER_DETECTED_VIOLATION, 0x33 | 0x34) => *third = lock,
        (DRIVER_VERIFIER_DETECTED_VIOLATION, 0x37 | 0x38 | 0xEA | 0xEB) => *fourth = lock,
        (DRIVER_VERIFIER_DETECTED_VIOLATION, 0xD0) => *second = lock,
        (RESOURCE_OWNER_POINTER_INVALID, _) => (*kind, *third) = (lock, thread),
        (KERNEL_AUTO_BOOST_INVALID_LOCK_RELEASE, _) => (*kind, *second) = (thread, lock),
        (RESOURCE_NOT_OWNED, _) => (*kind, *second) = (lock, thread),
        _ => {}
    }
    check
}
