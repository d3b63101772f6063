//! The IOCTL conversation with the driver: every byte of it is made and read here.
//!
//! It knows nothing of how requests get to the driver. Whoever can send one is a [`Device`].

mod callers;
mod pages;
mod request;

use std::time::Duration;

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::ioctl;
use apclab_protocol::message::{Ended, LoadReply, NONE, QueryReply, Reply, RunReply, RunRequest};
use apclab_protocol::program::{Malformation, Malformed, Place};
use apclab_protocol::status::{self, NtStatus};
use apclab_protocol::verify::{Reason, Refusal};

pub use self::callers::{Course, Crew, Iteration, call_request, hold_request};

use self::request::{Request, nonsense};
use crate::TargetError;
use crate::target::{RunOptions, RunOutcome, RunResult};

/// How a request completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Its status.
    pub status: NtStatus,
    /// Bytes of the output that were written.
    pub information: usize,
}

/// An open handle to the device.
pub trait Device {
    /// Sends a request and waits for its completion.
    ///
    /// # Errors
    /// [`TargetError`]: the request got no completion. One that completes with an error status has
    /// got one.
    fn ioctl(&self, code: u32, input: &[u8], output: &mut [u8]) -> Result<Completion, TargetError>;

    /// Sends a request that takes its time and waits for its completion, `within` at the most; then
    /// it is cancelled.
    ///
    /// # Errors
    /// As [`Device::ioctl`]; [`TargetError::NoAnswer`] when it had to be cancelled.
    fn ioctl_within(
        &self,
        code: u32,
        input: &[u8],
        output: &mut [u8],
        within: Duration,
    ) -> Result<Completion, TargetError>;
}

/// How much longer than its own deadline a run may take to end: its last iteration and its threads.
const GRACE: Duration = Duration::from_secs(10);

/// The request of a run, ahead of its header.
struct RunOrder {
    session: u32,
    body: [u8; RunRequest::SIZE],
    /// How long it may take.
    within: Duration,
}

impl RunOrder {
    fn as_request(&self) -> Request<'_> {
        Request {
            code: ioctl::RUN,
            operation: RUN,
            session: self.session,
            body: &self.body,
            within: Some(self.within),
        }
    }
}

/// The name of the request of a run.
const RUN: &str = "run";

/// A handle and the session on it.
#[derive(Debug)]
pub struct Session<D> {
    device: D,
    /// The session's id; 0 until a program has been loaded.
    id: u32,
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

impl<D: Device> Session<D> {
    /// A conversation over an open handle.
    pub const fn new(device: D) -> Self {
        Self { device, id: 0 }
    }

    /// The handle.
    pub const fn device(&self) -> &D {
        &self.device
    }

    /// Gives the handle back, which ends the session when it is closed.
    pub fn into_device(self) -> D {
        self.device
    }

    /// Asks what driver and kernel are.
    ///
    /// # Errors
    /// [`TargetError`]: no answer, an error status, or a driver of another version.
    pub fn query(&self) -> Result<QueryReply, TargetError> {
        let mut output = [0; QueryReply::SIZE];
        let request = Request {
            code: ioctl::QUERY,
            operation: "query",
            session: 0,
            body: &[],
            within: None,
        };
        let (reply, _, _) = self.ask(&request, &mut output)?;
        Ok(reply)
    }

    /// Loads a program, runs it and reads what it gave.
    ///
    /// # Errors
    /// [`TargetError`]: one of the requests got no answer, an error status, or a reply that makes no
    /// sense.
    pub fn run(
        &mut self,
        program: &ProgramBuf,
        options: &RunOptions,
    ) -> Result<RunOutcome, TargetError> {
        match self.load(program)? {
            Some(refused) => Ok(refused),
            None => self.run_loaded(program, options),
        }
    }

    /// Runs the program that was loaded last and reads what it gave.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_loaded(
        &self,
        program: &ProgramBuf,
        options: &RunOptions,
    ) -> Result<RunOutcome, TargetError> {
        let request = self.run_request(options);
        let mut output = [0; RunReply::SIZE];
        let (reply, status, _) = self.ask(&request.as_request(), &mut output)?;
        self.ran(program, options, &reply, status)
    }

    /// The request of a run.
    fn run_request(&self, options: &RunOptions) -> RunOrder {
        let body = RunRequest {
            iterations: options.iterations,
            deadline_ms: millis(options.deadline),
            wait_deadline_ms: millis(options.wait_deadline),
            trace_iteration: options.trace_iteration.unwrap_or(0),
            seed: options.seed,
            delay_us: options.delay_us,
        };
        RunOrder {
            session: self.id,
            body: body.encode(),
            within: options.deadline + options.wait_deadline + GRACE,
        }
    }

    /// Reads what a run gave, whose request completed with this reply.
    fn ran(
        &self,
        program: &ProgramBuf,
        options: &RunOptions,
        reply: &RunReply,
        status: NtStatus,
    ) -> Result<RunOutcome, TargetError> {
        let baseline = reply
            .baseline
            .into_iter()
            .take(program.lanes.len())
            .collect();
        match status {
            status::SUCCESS => {}
            status::BASELINE_DISABLED => return Ok(RunOutcome::BaselineDisabled(baseline)),
            _ => {
                return Err(TargetError::Ioctl {
                    operation: RUN,
                    status,
                });
            }
        }
        let mut histogram = self.histogram(program.observed.len(), reply.outcomes)?;
        histogram.sort();
        let (trace, trace_frequency) = if reply.trace_records == 0 {
            (Vec::new(), 0)
        } else {
            self.trace(reply.trace_records)?
        };
        Ok(RunOutcome::Ran(RunResult {
            histogram,
            exhaustive: false,
            iterations: reply.iterations,
            polled: options.polled,
            cut_short: reply.ended == Ended::Deadline,
            timed_out: reply.timed_out,
            overflow: reply.overflow,
            missed_overlaps: reply.missed_overlaps,
            elapsed: Duration::from_nanos(reply.elapsed_100ns.saturating_mul(100)),
            baseline,
            deadlocks: 0,
            deadlock: None,
            enough_deadlocks: false,
            bug_checks: Vec::new(),
            trace,
            trace_lost: reply.trace_lost,
            trace_frequency,
            schedules: None,
        }))
    }

    /// Loads a program; gives the refusal, if it is refused.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn load(&mut self, program: &ProgramBuf) -> Result<Option<RunOutcome>, TargetError> {
        const OPERATION: &str = "load";
        let mut output = [0; LoadReply::SIZE];
        let request = Request {
            code: ioctl::LOAD,
            operation: OPERATION,
            session: self.id,
            body: &program.encode(),
            within: None,
        };
        let (reply, status, _): (LoadReply, _, _) = self.ask(&request, &mut output)?;
        match status {
            status::SUCCESS => {
                self.id = reply.session;
                if reply.observed as usize == program.observed.len() {
                    Ok(None)
                } else {
                    nonsense(
                        OPERATION,
                        "it counts other observed values than the program",
                    )
                }
            }
            status::REFUSED | status::NO_APC_ROUTINES => {
                let reason = Reason::from_number(reply.reason);
                match (reason, Place::from_number(reply.lane)) {
                    (Some(reason), Some(place)) => Ok(Some(RunOutcome::Refused(Refusal {
                        place,
                        step: reply.step,
                        reason,
                    }))),
                    (None, _) => {
                        nonsense(OPERATION, format!("no reason has number {}", reply.reason))
                    }
                    (_, None) => nonsense(OPERATION, format!("no place has number {}", reply.lane)),
                }
            }
            status::MALFORMED_PROGRAM => match malformation(reply.reason) {
                Some(what) if reply.offset != NONE => Ok(Some(RunOutcome::Malformed(Malformed {
                    what,
                    offset: reply.offset,
                }))),
                _ => nonsense(
                    OPERATION,
                    "it calls the program malformed and does not say where",
                ),
            },
            _ => Err(TargetError::Ioctl {
                operation: OPERATION,
                status,
            }),
        }
    }
}

/// The malformation with that number in a [`LoadReply`]: 1 + its place in the enumeration.
fn malformation(number: u32) -> Option<Malformation> {
    [
        Malformation::Magic,
        Malformation::Format,
        Malformation::Length,
        Malformation::Limit,
        Malformation::Reserved,
        Malformation::Kind,
        Malformation::Index,
        Malformation::Operation,
        Malformation::Register,
        Malformation::Unused,
        Malformation::Range,
    ]
    .into_iter()
    .find(|what| *what as u32 + 1 == number)
}

#[cfg(test)]
mod tests;
