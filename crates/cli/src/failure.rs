//! What ends a command early, and the exit code of each.

use apclab_client::TargetError;
use apclab_client::journal::JournalError;

/// All as expected.
pub(crate) const OK: u8 = 0;
/// A test failed.
pub(crate) const FAILED: u8 = 1;
/// The input or the command line is wrong.
pub(crate) const BAD_INPUT: u8 = 2;
/// The target is not available.
pub(crate) const NOT_AVAILABLE: u8 = 3;

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The input is wrong; each message says how.
    Input(Vec<String>),
    /// The target gave no answer.
    Target(TargetError),
    /// The test does not run on the target, so that there is nothing to show.
    NotTraced(String),
    /// The report could not be made.
    Report(String),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Input(_) => BAD_INPUT,
            Self::Target(error) if error.is_unavailable() => NOT_AVAILABLE,
            Self::Target(_) | Self::NotTraced(_) | Self::Report(_) => FAILED,
        }
    }

    pub(crate) fn messages(&self) -> Vec<String> {
        match self {
            Self::Input(messages) => messages.clone(),
            Self::Target(error) => vec![format!("error: {error}")],
            Self::NotTraced(why) | Self::Report(why) => vec![format!("error: {why}")],
        }
    }
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        Self::Target(error)
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        Self::Input(vec![format!("error: {error}")])
    }
}
