//! The device as the Plug and Play manager sees it.

use std::fmt;

/// A device of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its instance ID, such as `ROOT\SYSTEM\0001`.
    pub instance: String,
    /// How it is.
    pub state: NodeState,
}

/// How a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// Its driver serves it.
    Started,
    /// It has a problem with this number (reference page "Device Manager Error Messages").
    Problem(u32),
    /// It has no problem, and has not started.
    NotStarted,
    /// It is known, and not present.
    NotPresent,
}

/// CM_PROB_UNSIGNED_DRIVER.
pub const UNSIGNED_DRIVER: u32 = 52;

/// What the problems that a device of ours can have mean, and what to do (`cfg.h`).
const PROBLEMS: [(u32, &str); 15] = [
    (1, "it has no driver yet: `apclab install`"),
    (
        10,
        "the driver refused to start it: C:\\Windows\\INF\\setupapi.dev.log and the event log say \
         more",
    ),
    (14, "Windows has to be restarted first"),
    (18, "its driver has to be installed again: `apclab install`"),
    (
        19,
        "its registry entries are damaged: `apclab uninstall`, then `apclab install`",
    ),
    (21, "it is being removed: restart Windows"),
    (22, "it is disabled: enable it in the device manager"),
    (24, "it is not present"),
    (28, "it has no driver: `apclab install`"),
    (
        31,
        "the driver did not add it: it needs Windows 10 version 2004 or later",
    ),
    (32, "the service apclab is disabled"),
    (37, "the driver did not start: its DriverEntry failed"),
    (
        38,
        "an earlier instance of the driver is still in memory: restart Windows",
    ),
    (
        39,
        "Windows could not load the driver: its file is missing or damaged, or it imports what this \
         kernel does not have",
    ),
    (
        UNSIGNED_DRIVER,
        "Windows does not accept the driver's signature: switch test-signing on (`bcdedit /set \
         testsigning on`, with Secure Boot off) and restart",
    ),
];

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started => f.write_str("started"),
            Self::NotStarted => f.write_str("not started"),
            Self::NotPresent => f.write_str("not present"),
            Self::Problem(number) => {
                let known = PROBLEMS.iter().find(|(problem, _)| problem == number);
                match known {
                    Some((_, meaning)) => write!(f, "problem {number}: {meaning}"),
                    None => write!(f, "problem {number}"),
                }
            }
        }
    }
}

/// Bits of a device's status (`cfg.h`).
mod status {
    /// DN_STARTED.
    pub(super) const STARTED: u32 = 0x8;
    /// DN_HAS_PROBLEM.
    pub(super) const HAS_PROBLEM: u32 = 0x400;
}

impl NodeState {
    /// The state that status bits and problem number stand for.
    pub const fn of(bits: u32, problem: u32) -> Self {
        if bits & status::HAS_PROBLEM != 0 {
            Self::Problem(problem)
        } else if bits & status::STARTED != 0 {
            Self::Started
        } else {
            Self::NotStarted
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_hides_that_the_device_was_started() {
        assert_eq!(NodeState::of(0x8, 0), NodeState::Started);
        assert_eq!(NodeState::of(0x408, 52), NodeState::Problem(52));
        assert_eq!(NodeState::of(0x1, 0), NodeState::NotStarted);
    }

    #[test]
    fn problems_say_what_to_do() {
        let unsigned = NodeState::Problem(UNSIGNED_DRIVER).to_string();
        assert!(unsigned.contains("testsigning on"), "{unsigned}");
        assert_eq!(NodeState::Problem(99).to_string(), "problem 99");
        assert!(PROBLEMS.is_sorted());
    }
}
