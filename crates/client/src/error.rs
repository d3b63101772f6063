//! Why a target gave no answer.

use std::time::Duration;

use apclab_host::Choice;
use apclab_protocol::status::{self, NtStatus};

use crate::schedules::Schedules;

/// Threads that wait for each other for ever.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Deadlock {
    /// Who waits for what, and who holds it.
    pub sentence: String,
    /// The choices that led there, where the threads took turns.
    pub choices: Vec<Choice>,
}

/// Why a target gave no answer. Each is a sentence that says what to do, where something can be
/// done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// There is no such target here.
    #[error("{0}")]
    NotAvailable(String),
    /// Driver and client speak different versions of the protocol.
    #[error(
        "the driver speaks protocol version {}, this program version {ours}: build both from the \
         same sources (`cargo xtask driver`)",
        .theirs.map_or_else(|| "unknown".to_owned(), |version| version.to_string())
    )]
    Version {
        /// This program's version.
        ours: u16,
        /// The driver's, if it could be found out.
        theirs: Option<u16>,
    },
    /// The kernel stopped.
    #[error("the kernel stopped with a {0}")]
    BugCheck(String),
    /// Threads of the driver wait for each other for ever; the machine was ended.
    #[error("{0}")]
    Deadlock(Box<Deadlock>),
    /// A request completed with an error.
    #[error("the request `{operation}` failed with {}", describe(*.status))]
    Ioctl {
        /// The request.
        operation: &'static str,
        /// What it completed with.
        status: NtStatus,
    },
    /// A request completed with success, and its reply makes no sense.
    #[error("the reply to `{operation}` makes no sense: {what}")]
    Reply {
        /// The request.
        operation: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// The target did not answer in time, also after the request was cancelled.
    #[error("the target did not answer within {:.1} s: {what}", .within.as_secs_f64())]
    NoAnswer {
        /// How long it had.
        within: Duration,
        /// What hangs where, as far as it is known.
        what: String,
    },
    /// The driver left something behind when it was unloaded.
    #[error("the driver left behind: {}", .0.join("; "))]
    Leaks(Vec<String>),
    /// The model has too many states to look at.
    #[error("{0}")]
    TooManyStates(String),
    /// What happened with one schedule.
    #[error("{error} (again with --schedule {schedule} --iterations 1)")]
    Scheduled {
        /// The one schedule.
        schedule: Schedules,
        /// What happened.
        error: Box<TargetError>,
    },
    /// The user asked to stop.
    #[error("interrupted: the request on the target was cancelled")]
    Interrupted,
    /// Anything else that keeps the target from answering.
    #[error("{0}")]
    Failed(String),
}

impl TargetError {
    /// Whether the target cannot be used at all, as against a failure of what ran on it.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::NotAvailable(_) | Self::Version { .. } => true,
            Self::Scheduled { error, .. } => error.is_unavailable(),
            _ => false,
        }
    }

    /// Whether the machine has stopped or hangs, so that nothing can be asked of it any more.
    pub(crate) fn ends_the_machine(&self) -> bool {
        match self {
            Self::BugCheck(_) | Self::Deadlock(_) | Self::NoAnswer { .. } => true,
            Self::Scheduled { error, .. } => error.ends_the_machine(),
            _ => false,
        }
    }
}

/// A status as a name and what to do about it.
fn describe(status: NtStatus) -> String {
    let number = status.cast_unsigned();
    let Some(name) = status::name(status) else {
        return format!("status {number:#010x}");
    };
    let hint = match status {
        status::INSUFFICIENT_RESOURCES => ": the driver got no memory or no thread; try again",
        status::TOO_MANY_SESSIONS => ": close other programs that use the device",
        status::CANCELLED => ": the run was cancelled, or its handle was closed",
        status::REMOVED => ": the device is being removed",
        status::INVALID_PARAMETER => ": a number is out of its range",
        _ => "",
    };
    format!("{name} ({number:#010x}){hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sentences() {
        let version = TargetError::Version {
            ours: 1,
            theirs: Some(2),
        };
        assert_eq!(
            version.to_string(),
            "the driver speaks protocol version 2, this program version 1: build both from the \
             same sources (`cargo xtask driver`)"
        );
        let status = TargetError::Ioctl {
            operation: "run",
            status: status::INSUFFICIENT_RESOURCES,
        };
        assert_eq!(
            status.to_string(),
            "the request `run` failed with STATUS_INSUFFICIENT_RESOURCES (0xc000009a): the driver \
             got no memory or no thread; try again"
        );
        let unknown = TargetError::Ioctl {
            operation: "load",
            status: -1,
        };
        assert!(unknown.to_string().ends_with("status 0xffffffff"));
    }
}
