//! The host with a call that fails: what the driver makes of it.

use std::sync::Arc;

use apclab_host::{Host, HostError, Options, StartError};
use apclab_protocol::build::ProgramBuf;

use crate::TargetError;
use crate::host::machine;
use crate::host::{host_error, start_error};
use crate::session::Session;
use crate::target::{RunOptions, RunOutcome};

/// What came of a failed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The program was over before so many calls were made; none has failed.
    None,
    /// The driver did without.
    Survived {
        /// The function that failed.
        function: &'static str,
    },
    /// The driver gave an error.
    Error {
        /// The function that failed.
        function: &'static str,
        /// What the driver said.
        said: String,
    },
}

/// Starts a machine in which the call with that number (counted from 0) fails, runs a program in it
/// and ends it.
///
/// # Errors
/// [`TargetError`] for what is no clean error: a bug check, a hang, something left behind, a reply
/// that makes no sense.
pub fn inject(
    options: &Options,
    call: u64,
    program: &ProgramBuf,
    run: &RunOptions,
) -> Result<Effect, TargetError> {
    let options = Options {
        fail: Some(call),
        ..options.clone()
    };
    let host = match Host::start(options) {
        Ok(host) => host,
        // Nothing has been started that could be asked which function it was.
        Err(StartError::Status { step, status }) => {
            return Ok(Effect::Error {
                function: step,
                said: format!("the driver did not start: status {status:#010x}"),
            });
        }
        Err(error) => return Err(start_error(error)),
    };
    let answer = converse(&host, program, run);
    let failed = host.failed_call();
    host.stop().map_err(host_error)?;
    let said = match answer {
        Ok(None) => None,
        Ok(Some(said)) => Some(said),
        Err(error @ TargetError::Ioctl { .. }) => Some(error.to_string()),
        Err(error) => return Err(error),
    };
    match (failed, said) {
        (None, None) => Ok(Effect::None),
        (None, Some(said)) => Err(TargetError::Failed(format!(
            "no call was made to fail, and yet {said}"
        ))),
        (Some(function), None) => Ok(Effect::Survived { function }),
        (Some(function), Some(said)) => Ok(Effect::Error { function, said }),
    }
}

/// Opens the device and runs the program; gives what the driver said, if it is an error.
fn converse(
    host: &Host,
    program: &ProgramBuf,
    run: &RunOptions,
) -> Result<Option<String>, TargetError> {
    let file = match host.open() {
        Ok(file) => file,
        Err(HostError::Open { status }) => {
            return Ok(Some(format!(
                "the device did not open: status {status:#010x}"
            )));
        }
        Err(error) => return Err(host_error(error)),
    };
    let mut session = Session::new(Arc::new(file));
    let answer = machine::run(host, &mut session, program, run);
    machine::close(session)?;
    match answer? {
        RunOutcome::Ran(_)
        | RunOutcome::Refused(_)
        | RunOutcome::BaselineDisabled(_)
        | RunOutcome::NoSpecialUserApcs => Ok(None),
        RunOutcome::Malformed(malformed) => Err(TargetError::Failed(format!(
            "the program's bytes were rejected: {malformed:?}"
        ))),
    }
}
