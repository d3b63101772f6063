//! A running machine: requests on its handle, and runs on it.

use std::sync::Arc;
use std::time::Duration;

use apclab_host::{File, Host, HostError};
use apclab_protocol::build::ProgramBuf;

use super::{crew, host_error};
use crate::session::{Completion, Device, Session};
use crate::target::{RunOptions, RunOutcome};
use crate::{TargetError, callers};

/// How long a cancelled request may take to complete.
pub(super) const CANCEL_DEADLINE: Duration = Duration::from_secs(5);

/// A running machine with one open handle.
pub(crate) struct Machine {
    // Declared first, since the handle has to be closed before the machine stops.
    pub(crate) session: Session<Arc<File>>,
    pub(crate) host: Host,
}

impl Machine {
    /// Runs the program that was loaded last.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub(crate) fn run_loaded(
        &self,
        program: &ProgramBuf,
        options: &RunOptions,
    ) -> Result<RunOutcome, TargetError> {
        run_loaded(&self.host, &self.session, program, options)
    }
}

/// Loads a program, runs it and reads what it gave.
///
/// # Errors
/// As [`Session::run`].
pub(crate) fn run(
    host: &Host,
    session: &mut Session<Arc<File>>,
    program: &ProgramBuf,
    options: &RunOptions,
) -> Result<RunOutcome, TargetError> {
    match session.load(program)? {
        Some(refused) => Ok(refused),
        None => run_loaded(host, session, program, options),
    }
}

fn run_loaded(
    host: &Host,
    session: &Session<Arc<File>>,
    program: &ProgramBuf,
    options: &RunOptions,
) -> Result<RunOutcome, TargetError> {
    if !callers::has_callers(program) {
        return session.run_loaded(program, options);
    }
    let mut threads = crew::Threads {
        host,
        file: Arc::clone(session.device()),
        session: session.id(),
        program: Arc::new(program.clone()),
    };
    session.run_callers(program, options, &mut threads)
}

/// Closes a handle.
///
/// # Errors
/// What the machine says of it.
pub(crate) fn close(session: Session<Arc<File>>) -> Result<(), TargetError> {
    // Only a thread of user mode that came to no end has another; stopping tells of that.
    match Arc::try_unwrap(session.into_device()) {
        Ok(file) => file.close().map_err(host_error),
        Err(_) => Ok(()),
    }
}

impl Device for Arc<File> {
    fn ioctl(&self, code: u32, input: &[u8], output: &mut [u8]) -> Result<Completion, TargetError> {
        File::ioctl(self, code, input, output)
            .map(completion)
            .map_err(host_error)
    }

    fn ioctl_within(
        &self,
        code: u32,
        input: &[u8],
        output: &mut [u8],
        within: Duration,
    ) -> Result<Completion, TargetError> {
        let pending = self
            .ioctl_async(code, input.to_vec(), output.len())
            .map_err(host_error)?;
        let (done, bytes) = match pending.wait(within) {
            Err(late @ HostError::NoAnswer(_)) => {
                pending.cancel().map_err(host_error)?;
                // Whether or not the cancelled request completes, the deadline was missed.
                let _ = pending.wait(CANCEL_DEADLINE);
                return Err(host_error(late));
            }
            answer => answer.map_err(host_error)?,
        };
        match output.get_mut(..bytes.len()) {
            Some(front) => front.copy_from_slice(&bytes),
            None => {
                return Err(TargetError::Failed(format!(
                    "the host gave {} bytes for a buffer of {}",
                    bytes.len(),
                    output.len()
                )));
            }
        }
        Ok(completion(done))
    }
}

pub(super) const fn completion(done: apclab_host::Completion) -> Completion {
    Completion {
        status: done.status,
        information: done.information,
    }
}
