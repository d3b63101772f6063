//! Runs of programs with caller lanes: one request an iteration, and beside it the threads of user mode
//! that execute these lanes.

use std::time::Duration;

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::call::{CallRequest, HoldRequest, Registers};
use apclab_protocol::message::{Ended, HEADER_SIZE, Header, Reply, RunReply};
use apclab_protocol::status;

use super::{Completion, Device, Session};
use crate::TargetError;
use crate::callers::patience;
use crate::iterations;
use crate::target::{RunOptions, RunOutcome};

/// The request that begins an iteration.
#[derive(Clone, Copy, Debug)]
pub struct Iteration<'a> {
    /// The bytes of the request [`apclab_protocol::ioctl::RUN`].
    pub input: &'a [u8],
    /// How long the lanes may take; then they are given up, and the request is about to complete.
    pub patience: Duration,
    /// How long the request may take; then it is cancelled.
    pub within: Duration,
}

/// How an iteration went.
#[derive(Debug)]
pub struct Course {
    /// How its request completed.
    pub completion: Completion,
    /// Whether it had to be helped to its end: the lanes were given up, or the thread of some lane was
    /// still suspended in the end, which could not have gone on.
    pub helped: bool,
    /// What failed in the lanes.
    pub errors: Vec<TargetError>,
}

/// The threads of user mode that execute the caller lanes of a program.
pub trait Crew {
    /// Sends the request of a run and, once that pends, lets every caller lane execute its steps. When
    /// the request has completed, or the lanes are given up, ends what is left of them: resumes whoever
    /// is suspended, waits until all have come to their ends, for their requests and for the user APCs
    /// that are queued.
    ///
    /// # Errors
    /// [`TargetError`]: the request got no completion, or a lane came to no end.
    fn iterate(
        &mut self,
        iteration: &Iteration<'_>,
        output: &mut [u8],
    ) -> Result<Course, TargetError>;
}

/// The bytes of a request with that body.
fn request<const BODY: usize, const WHOLE: usize>(session: u32, body: &[u8; BODY]) -> [u8; WHOLE] {
    const { assert!(WHOLE == HEADER_SIZE + BODY && WHOLE < 4096) };
    let mut bytes = [0; WHOLE];
    let (head, rest) = bytes.split_at_mut(HEADER_SIZE);
    #[allow(clippy::cast_possible_truncation, reason = "checked above")]
    head.copy_from_slice(&Header { session }.encode(WHOLE as u32));
    rest.copy_from_slice(body);
    bytes
}

/// The bytes of a request [`apclab_protocol::ioctl::CALL`].
pub fn call_request(
    session: u32,
    lane: u8,
    step: Option<u32>,
    registers: &Registers,
) -> [u8; HEADER_SIZE + CallRequest::SIZE] {
    let call = CallRequest {
        lane,
        step,
        registers: *registers,
    };
    request(session, &call.encode())
}

/// The bytes of a request [`apclab_protocol::ioctl::HOLD`].
pub fn hold_request(session: u32, apc: u8, event: u64) -> [u8; HEADER_SIZE + HoldRequest::SIZE] {
    request(session, &HoldRequest { apc, event }.encode())
}

impl<D: Device> Session<D> {
    /// The session's id; 0 until a program has been loaded.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Runs the program that was loaded last, which has caller lanes, and reads what it gave. An
    /// iteration that does not come to its end counts as timed out.
    ///
    /// # Errors
    /// As [`Session::run`]; what failed in a lane.
    pub fn run_callers(
        &self,
        program: &ProgramBuf,
        options: &RunOptions,
        crew: &mut dyn Crew,
    ) -> Result<RunOutcome, TargetError> {
        iterations::add_up(
            options,
            |sum| sum.deadlocks + u64::from(sum.timed_out),
            |one| self.iterate(program, one, crew),
        )
    }

    /// One iteration of the program that was loaded last, which has caller lanes.
    ///
    /// # Errors
    /// As [`Session::run_callers`].
    pub fn iterate(
        &self,
        program: &ProgramBuf,
        options: &RunOptions,
        crew: &mut dyn Crew,
    ) -> Result<RunOutcome, TargetError> {
        let wait_deadline = patience::wait_deadline(options.wait_deadline);
        let options = RunOptions {
            iterations: 1,
            wait_deadline,
            // Whoever waits in user mode has no deadline of its own.
            deadline: patience::of_iteration(program, wait_deadline),
            ..*options
        };
        let order = self.run_request(&options);
        let iteration = Iteration {
            input: &order.as_request().encode(),
            patience: options.deadline,
            within: order.within,
        };
        let mut output = [0; RunReply::SIZE];
        let course = crew.iterate(&iteration, &mut output)?;
        let answer = self.reply(super::RUN, course.completion, &output);
        // What failed in a lane is the reason for whatever came of the request.
        let (after_the_end, others): (Vec<_>, _) = course.errors.into_iter().partition(is_late);
        if let Some(error) = others.into_iter().next() {
            return Err(error);
        }
        let (reply, status, _): (RunReply, _, _) = answer?;
        let ran = status == status::SUCCESS;
        let late = ran && (reply.timed_out > 0 || reply.ended == Ended::Deadline);
        if !late && let Some(error) = after_the_end.into_iter().next() {
            return Err(error);
        }
        if !ran || !(late || course.helped) {
            return self.ran(program, &options, &reply, status);
        }
        let reply = RunReply {
            ended: Ended::Complete,
            iterations: 1,
            timed_out: 1,
            outcomes: 0,
            overflow: 0,
            ..reply
        };
        self.ran(program, &options, &reply, status)
    }
}

/// Whether a lane was told only that its iteration is over.
fn is_late(error: &TargetError) -> bool {
    matches!(
        error,
        TargetError::Ioctl {
            status: status::OUT_OF_SEQUENCE | status::CANCELLED,
            ..
        }
    )
}

#[cfg(test)]
mod tests;
