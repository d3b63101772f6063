//! The IOCTL conversation with the driver: every byte of it is made and read here.
//!
//! It knows nothing of how requests get to the driver. Whoever can send one is a [`Device`].

use std::time::Duration;

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::message::{
    Ended, HEADER_SIZE, Header, HistogramReply, LoadReply, NONE, PageRequest, QueryReply, Reply,
    RunReply, RunRequest,
};
use apclab_protocol::program::{Malformation, Malformed};
use apclab_protocol::status::{self, NtStatus};
use apclab_protocol::trace::{Record, TraceReply};
use apclab_protocol::verify::{Reason, Refusal};
use apclab_protocol::{VERSION, ioctl};

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

/// Versions to try for the one that a driver speaks, when it is not ours.
const VERSIONS: std::ops::RangeInclusive<u16> = 0..=64;

/// Bytes of one page of a histogram or trace.
const PAGE: usize = 16 * 1024;

/// A handle and the session on it.
#[derive(Debug)]
pub struct Session<D> {
    device: D,
    /// The session's id; 0 until a program has been loaded.
    id: u32,
}

/// A request before it is bytes.
struct Request<'a> {
    code: u32,
    operation: &'static str,
    session: u32,
    body: &'a [u8],
    /// How long it may take, for one that takes its time.
    within: Option<Duration>,
}

impl Request<'_> {
    fn encode(&self) -> Vec<u8> {
        let header = Header {
            session: self.session,
        };
        // A body is at most a program, whose size the limits keep far below 4 GiB; a longer one gets
        // a length that no driver accepts.
        let length = u32::try_from(HEADER_SIZE + self.body.len()).unwrap_or(u32::MAX);
        let mut bytes = header.encode(length).to_vec();
        bytes.extend(self.body);
        bytes
    }
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

fn nonsense<T>(operation: &'static str, what: impl Into<String>) -> Result<T, TargetError> {
    Err(TargetError::Reply {
        operation,
        what: what.into(),
    })
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

    /// Sends a request and decodes the head of its reply; gives the rest of the reply too.
    fn ask<'o, R: Reply>(
        &self,
        request: &Request<'_>,
        output: &'o mut [u8],
    ) -> Result<(R, NtStatus, &'o [u8]), TargetError> {
        let Request {
            code, operation, ..
        } = *request;
        let input = request.encode();
        let completion = match request.within {
            None => self.device.ioctl(code, &input, output)?,
            Some(within) => self.device.ioctl_within(code, &input, output, within)?,
        };
        let status = completion.status;
        if status == status::REVISION_MISMATCH {
            return Err(self.version_mismatch());
        }
        if status::is_error(status) {
            return Err(TargetError::Ioctl { operation, status });
        }
        let Some(written) = output.get(..completion.information) else {
            return nonsense(operation, "it is longer than the buffer for it");
        };
        match R::decode(written) {
            Some(reply) => Ok((reply, status, written.get(R::SIZE..).unwrap_or(&[]))),
            None => nonsense(operation, format!("{} bytes are no reply", written.len())),
        }
    }

    /// Which version the driver speaks, found by asking in each: a refused version is told by an
    /// error status, which brings no reply along.
    fn version_mismatch(&self) -> TargetError {
        let theirs = VERSIONS
            .filter(|version| *version != VERSION)
            .find(|version| {
                let mut input = Header { session: 0 }.encode(16);
                input[..2].copy_from_slice(&version.to_le_bytes());
                let mut output = vec![0; PAGE];
                self.device
                    .ioctl(ioctl::QUERY, &input, &mut output)
                    .is_ok_and(|completion| completion.status == status::SUCCESS)
            });
        TargetError::Version {
            ours: VERSION,
            theirs,
        }
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
        if let Some(refused) = self.load(program)? {
            return Ok(refused);
        }
        let body = RunRequest {
            iterations: options.iterations,
            deadline_ms: millis(options.deadline),
            wait_deadline_ms: millis(options.wait_deadline),
            trace_iteration: options.trace_iteration.unwrap_or(0),
        };
        let request = Request {
            code: ioctl::RUN,
            operation: "run",
            session: self.id,
            body: &body.encode(),
            within: Some(options.deadline + options.wait_deadline + GRACE),
        };
        let mut output = [0; RunReply::SIZE];
        let (reply, status, _): (RunReply, _, _) = self.ask(&request, &mut output)?;
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
                    operation: "run",
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
            cut_short: reply.ended == Ended::Deadline,
            timed_out: reply.timed_out,
            overflow: reply.overflow,
            missed_overlaps: reply.missed_overlaps,
            elapsed: Duration::from_nanos(reply.elapsed_100ns.saturating_mul(100)),
            baseline,
            deadlocks: 0,
            bug_checks: Vec::new(),
            trace,
            trace_lost: reply.trace_lost,
            trace_frequency,
        }))
    }

    /// Loads a program; gives the refusal, if it is refused.
    fn load(&mut self, program: &ProgramBuf) -> Result<Option<RunOutcome>, TargetError> {
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
            status::REFUSED | status::NO_APC_ROUTINES => match Reason::from_number(reply.reason) {
                Some(reason) => Ok(Some(RunOutcome::Refused(Refusal {
                    lane: reply.lane,
                    step: reply.step,
                    reason,
                }))),
                None => nonsense(OPERATION, format!("no reason has number {}", reply.reason)),
            },
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

    /// One page of a histogram or trace, from entry `first` on.
    fn page<'o, R: Reply>(
        &self,
        (code, operation): (u32, &'static str),
        first: usize,
        output: &'o mut [u8],
    ) -> Result<(R, &'o [u8]), TargetError> {
        let body = PageRequest {
            first: u32::try_from(first).unwrap_or(u32::MAX),
        };
        let request = Request {
            code,
            operation,
            session: self.id,
            body: &body.encode(),
            within: None,
        };
        let (reply, _, rest) = self.ask(&request, output)?;
        Ok((reply, rest))
    }

    fn histogram(&self, width: usize, total: u32) -> Result<Vec<(Vec<i64>, u64)>, TargetError> {
        const OPERATION: &str = "histogram";
        let size = HistogramReply::entry_size(width);
        let mut entries = Vec::new();
        let mut output = vec![0; HistogramReply::SIZE + PAGE];
        while entries.len() < total as usize {
            let (reply, rest): (HistogramReply, _) =
                self.page((ioctl::HISTOGRAM, OPERATION), entries.len(), &mut output)?;
            if reply.total != total || reply.width as usize != width || reply.returned == 0 {
                return nonsense(OPERATION, "its counts contradict the run");
            }
            let mut pieces = rest.chunks_exact(size);
            for _ in 0..reply.returned {
                let mut values = vec![0; width];
                let entry = pieces.next().unwrap_or(&[]);
                match HistogramReply::read_entry(entry, &mut values) {
                    Some(count) => entries.push((values, count)),
                    None => return nonsense(OPERATION, "it has fewer entries than it says"),
                }
            }
        }
        Ok(entries)
    }

    fn trace(&self, total: u32) -> Result<(Vec<Record>, u64), TargetError> {
        const OPERATION: &str = "trace";
        let mut records = Vec::new();
        let mut frequency = 0;
        let mut output = vec![0; TraceReply::SIZE + PAGE];
        while records.len() < total as usize {
            let (reply, rest): (TraceReply, _) =
                self.page((ioctl::TRACE, OPERATION), records.len(), &mut output)?;
            if reply.total != total || reply.returned == 0 {
                return nonsense(OPERATION, "its counts contradict the run");
            }
            frequency = reply.frequency;
            let mut pieces = rest.chunks_exact(Record::SIZE);
            for _ in 0..reply.returned {
                match Record::decode(pieces.next().unwrap_or(&[])) {
                    Some(record) => records.push(record),
                    None => return nonsense(OPERATION, "a record of it cannot be read"),
                }
            }
        }
        records.sort_by_key(|record| record.sequence);
        Ok((records, frequency))
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
    ]
    .into_iter()
    .find(|what| *what as u32 + 1 == number)
}

#[cfg(test)]
mod tests;
