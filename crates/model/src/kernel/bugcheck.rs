//! What misuse costs: the bug checks, with the parameters of their reference pages.

use std::fmt;

use super::Baseline;

/// A bug check: the machine stops.
///
/// Addresses that a reference page names as parameters are 0, since the model has none.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BugCheck {
    /// The bug check code.
    pub code: u32,
    /// The four parameters.
    pub parameters: [u64; 4],
    /// What went wrong, in a sentence.
    pub reason: String,
}

/// APC_INDEX_MISMATCH.
pub(super) const APC_INDEX_MISMATCH: u32 = 0x1;
/// MAXIMUM_WAIT_OBJECTS_EXCEEDED.
pub(super) const MAXIMUM_WAIT_OBJECTS_EXCEEDED: u32 = 0xC;
/// KMODE_EXCEPTION_NOT_HANDLED.
pub(super) const KMODE_EXCEPTION_NOT_HANDLED: u32 = 0x1E;
/// KERNEL_APC_PENDING_DURING_EXIT.
pub(super) const KERNEL_APC_PENDING_DURING_EXIT: u32 = 0x20;
/// IRQL_GT_ZERO_AT_SYSTEM_SERVICE.
pub(super) const IRQL_GT_ZERO_AT_SYSTEM_SERVICE: u32 = 0x4A;
/// DRIVER_VERIFIER_DETECTED_VIOLATION.
pub(super) const DRIVER_VERIFIER_DETECTED_VIOLATION: u32 = 0xC4;
/// IRQL_UNEXPECTED_VALUE.
pub(super) const IRQL_UNEXPECTED_VALUE: u32 = 0xC8;
/// RESOURCE_NOT_OWNED.
pub(super) const RESOURCE_NOT_OWNED: u32 = 0xE3;
/// RESOURCE_OWNER_POINTER_INVALID.
pub(super) const RESOURCE_OWNER_POINTER_INVALID: u32 = 0x132;
/// KERNEL_SECURITY_CHECK_FAILURE.
pub(super) const KERNEL_SECURITY_CHECK_FAILURE: u32 = 0x139;
/// KERNEL_LOCK_ENTRY_LEAKED_ON_THREAD_TERMINATION.
pub(super) const KERNEL_LOCK_ENTRY_LEAKED_ON_THREAD_TERMINATION: u32 = 0x153;
/// KERNEL_AUTO_BOOST_INVALID_LOCK_RELEASE.
pub(super) const KERNEL_AUTO_BOOST_INVALID_LOCK_RELEASE: u32 = 0x162;

impl BugCheck {
    pub(super) fn new(code: u32, parameters: [u64; 4], reason: impl Into<String>) -> Self {
        Self {
            code,
            parameters,
            reason: reason.into(),
        }
    }

    /// A violation that Driver Verifier reports. `kind` is parameter 1 of the page of 0xC4.
    pub(super) fn verifier(kind: u64, rest: [u64; 3], reason: impl Into<String>) -> Self {
        let parameters = [kind, rest[0], rest[1], rest[2]];
        Self::new(DRIVER_VERIFIER_DETECTED_VIOLATION, parameters, reason)
    }

    /// What is left of an object that was freed while the kernel still had it on a list. No page
    /// names a bug check for this; code 0x139 with parameter 1 = 3 (corrupt list entry) is what
    /// the next operation on such a list leads to.
    pub(super) fn freed_in_use(reason: impl Into<String>) -> Self {
        Self::new(KERNEL_SECURITY_CHECK_FAILURE, [3, 0, 0, 0], reason)
    }

    /// The name of the code on its reference page.
    pub fn name(&self) -> &'static str {
        match self.code {
            APC_INDEX_MISMATCH => "APC_INDEX_MISMATCH",
            MAXIMUM_WAIT_OBJECTS_EXCEEDED => "MAXIMUM_WAIT_OBJECTS_EXCEEDED",
            KMODE_EXCEPTION_NOT_HANDLED => "KMODE_EXCEPTION_NOT_HANDLED",
            KERNEL_APC_PENDING_DURING_EXIT => "KERNEL_APC_PENDING_DURING_EXIT",
            IRQL_GT_ZERO_AT_SYSTEM_SERVICE => "IRQL_GT_ZERO_AT_SYSTEM_SERVICE",
            DRIVER_VERIFIER_DETECTED_VIOLATION => "DRIVER_VERIFIER_DETECTED_VIOLATION",
            IRQL_UNEXPECTED_VALUE => "IRQL_UNEXPECTED_VALUE",
            RESOURCE_NOT_OWNED => "RESOURCE_NOT_OWNED",
            RESOURCE_OWNER_POINTER_INVALID => "RESOURCE_OWNER_POINTER_INVALID",
            KERNEL_SECURITY_CHECK_FAILURE => "KERNEL_SECURITY_CHECK_FAILURE",
            KERNEL_LOCK_ENTRY_LEAKED_ON_THREAD_TERMINATION => {
                "KERNEL_LOCK_ENTRY_LEAKED_ON_THREAD_TERMINATION"
            }
            KERNEL_AUTO_BOOST_INVALID_LOCK_RELEASE => "KERNEL_AUTO_BOOST_INVALID_LOCK_RELEASE",
            _ => "BUG_CHECK",
        }
    }
}

impl fmt::Display for BugCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p1, p2, p3, p4] = self.parameters;
        write!(f, "{:#x} {} ", self.code, self.name())?;
        write!(f, "({p1:#x}, {p2:#x}, {p3:#x}, {p4:#x}): {}", self.reason)
    }
}

impl std::error::Error for BugCheck {}

/// `KTHREAD.CombinedApcDisable`: the special counter in the high half, the kernel counter in the
/// low half (page of bug check 0x1).
pub(super) fn combined_apc_disable(counters: Baseline) -> u64 {
    let half = |counter: i16| u64::from(u16::from_ne_bytes(counter.to_ne_bytes()));
    half(counters.special) << 16 | half(counters.kernel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_combined_counter_has_special_in_the_high_half() {
        let counters = Baseline {
            kernel: -1,
            special: -2,
        };
        assert_eq!(combined_apc_disable(counters), 0xFFFE_FFFF);
        assert_eq!(
            combined_apc_disable(Baseline {
                kernel: 1,
                special: 0
            }),
            1
        );
    }

    #[test]
    fn a_bug_check_prints_code_name_parameters_and_reason() {
        let bug_check = BugCheck::verifier(0x3E, [0; 3], "Left without having entered.");
        assert_eq!(
            bug_check.to_string(),
            "0xc4 DRIVER_VERIFIER_DETECTED_VIOLATION (0x3e, 0x0, 0x0, 0x0): \
             Left without having entered."
        );
    }
}
