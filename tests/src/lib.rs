//! What the IOCTL tests share: the real driver in a machine, and its requests as bytes.
//!
//! The tests speak to the driver in bytes of their own making and share no conversation with the
//! client, so that they see the driver as any stranger's program would.

pub mod programs;

use std::path::PathBuf;

use apclab_host::{Completion, File, Host, HostError, Options};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::ioctl;
use apclab_protocol::message::{
    Context, Ended, HEADER_SIZE, Header, HistogramReply, LoadReply, PageRequest, QueryReply, Reply,
    RunReply, RunRequest,
};
use apclab_protocol::program::Observed;
use apclab_protocol::status::{self, NtStatus};
use apclab_protocol::trace::{Record, TraceReply};

/// The driver under test: `APCLAB_DRIVER`, or what `cargo xtask driver` built.
///
/// # Panics
/// When there is none, with what to do.
pub fn driver() -> PathBuf {
    let path = std::env::var_os("APCLAB_DRIVER").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/driver/apclab.sys"),
        PathBuf::from,
    );
    assert!(
        path.is_file(),
        "no driver at {}: run `cargo xtask driver`",
        path.display()
    );
    path
}

/// A machine with the driver started.
///
/// # Panics
/// When the driver does not start.
pub fn machine() -> Host {
    machine_with(|_| ())
}

/// A machine with options other than the defaults.
///
/// # Panics
/// When the driver does not start.
pub fn machine_with(change: impl FnOnce(&mut Options)) -> Host {
    let mut options = Options::new(driver());
    // As on a device: a deadlock would end the machine, whatever else a test wants to see of it.
    options.ends_deadlocks = false;
    change(&mut options);
    match Host::start(options) {
        Ok(host) => host,
        Err(error) => panic!("the driver does not start: {error}"),
    }
}

/// Stops a machine; whatever the driver left behind fails the test by its name.
///
/// # Panics
/// On leaks and bug checks.
pub fn stop(host: Host) {
    if let Err(error) = host.stop() {
        panic!("the machine does not stop clean: {error}");
    }
}

/// A request's bytes: header and body.
pub fn request(session: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER_SIZE + body.len()).unwrap_or(u32::MAX);
    [&Header { session }.encode(length)[..], body].concat()
}

/// An open handle, with each IOCTL as a function.
pub struct Handle {
    /// The handle itself.
    pub file: File,
}

/// A reply, or the status without one.
pub type Answer<T> = Result<T, NtStatus>;

fn sent(answer: Result<Completion, HostError>) -> Completion {
    match answer {
        Ok(completion) => completion,
        Err(error) => panic!("{error}"),
    }
}

impl Handle {
    /// Opens the device, each time as the same process.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub fn open(host: &Host) -> Self {
        const PROCESS: u64 = 1000;
        Self::open_as(host, PROCESS)
    }

    /// Opens the device as another process.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub fn open_as(host: &Host, process: u64) -> Self {
        match host.open_as(process) {
            Ok(file) => Self { file },
            Err(error) => panic!("the device does not open: {error}"),
        }
    }

    /// Sends bytes and gives the status, and the bytes written.
    ///
    /// # Panics
    /// On bug checks and when no answer comes.
    pub fn raw(&self, code: u32, input: &[u8], output: &mut [u8]) -> (NtStatus, usize) {
        let completion = sent(self.file.ioctl(code, input, output));
        (completion.status, completion.information)
    }

    fn reply<T: Reply>(
        &self,
        code: u32,
        input: &[u8],
        size: usize,
    ) -> (NtStatus, Option<T>, Vec<u8>) {
        let mut output = vec![0xEE; size];
        let (status, written) = self.raw(code, input, &mut output);
        output.truncate(written);
        (status, T::decode(&output), output)
    }

    /// QUERY.
    ///
    /// # Errors
    /// The status.
    pub fn query(&self) -> Answer<QueryReply> {
        let (status, reply, _) = self.reply(ioctl::QUERY, &request(0, &[]), QueryReply::SIZE);
        reply.ok_or(status)
    }

    /// LOAD of arbitrary bytes: the status, and the reply if there is one.
    pub fn load_bytes(&self, session: u32, program: &[u8]) -> (NtStatus, Option<LoadReply>) {
        let (status, reply, _) =
            self.reply(ioctl::LOAD, &request(session, program), LoadReply::SIZE);
        (status, reply)
    }

    /// LOAD: the session's id.
    ///
    /// # Errors
    /// The status.
    pub fn load(&self, session: u32, program: &ProgramBuf) -> Answer<u32> {
        match self.load_bytes(session, &program.encode()) {
            (status::SUCCESS, Some(reply)) => Ok(reply.session),
            (status, _) => Err(status),
        }
    }

    /// RUN.
    ///
    /// # Errors
    /// The status.
    pub fn run(&self, session: u32, bounds: &RunRequest) -> Answer<RunReply> {
        let input = request(session, &bounds.encode());
        match self.reply(ioctl::RUN, &input, RunReply::SIZE) {
            (status::SUCCESS, Some(reply), _) => Ok(reply),
            (status, _, _) => Err(status),
        }
    }

    /// HISTOGRAM, all pages: outcomes and counts, sorted.
    ///
    /// # Errors
    /// The status.
    pub fn histogram(&self, session: u32) -> Answer<Vec<(Vec<i64>, u64)>> {
        let mut outcomes = Vec::new();
        loop {
            let first = u32::try_from(outcomes.len()).unwrap_or(u32::MAX);
            let input = request(session, &PageRequest { first }.encode());
            let (status, reply, bytes): (_, Option<HistogramReply>, _) =
                self.reply(ioctl::HISTOGRAM, &input, 4096);
            let reply = reply.ok_or(status)?;
            let width = reply.width as usize;
            for entry in bytes[HistogramReply::SIZE..].chunks(HistogramReply::entry_size(width)) {
                let mut values = vec![0; width];
                let count = HistogramReply::read_entry(entry, &mut values).ok_or(status)?;
                outcomes.push((values, count));
            }
            if outcomes.len() >= reply.total as usize || reply.returned == 0 {
                outcomes.sort();
                return Ok(outcomes);
            }
        }
    }

    /// TRACE, all pages, in the order in which it happened.
    ///
    /// # Errors
    /// The status.
    pub fn trace(&self, session: u32) -> Answer<Vec<Record>> {
        let mut records = Vec::new();
        loop {
            let first = u32::try_from(records.len()).unwrap_or(u32::MAX);
            let input = request(session, &PageRequest { first }.encode());
            let (status, reply, bytes): (_, Option<TraceReply>, _) =
                self.reply(ioctl::TRACE, &input, 4096);
            let reply = reply.ok_or(status)?;
            let page = bytes[TraceReply::SIZE..].chunks(Record::SIZE);
            records.extend(page.filter_map(Record::decode));
            if records.len() >= reply.total as usize || reply.returned == 0 {
                records.sort_by_key(|record| record.sequence);
                return Ok(records);
            }
        }
    }

    /// CANCEL.
    pub fn cancel(&self, session: u32) -> NtStatus {
        self.raw(ioctl::CANCEL, &request(session, &[]), &mut []).0
    }
}

/// Bounds of a run: so many iterations, ten seconds, one second a wait, the first one traced.
pub const fn bounds(iterations: u32) -> RunRequest {
    RunRequest {
        iterations,
        deadline_ms: 10_000,
        wait_deadline_ms: 1000,
        trace_iteration: 1,
        seed: 0,
        delay_us: 0,
    }
}

/// The context of plain code at PASSIVE_LEVEL.
pub const PLAIN: Context = Context {
    apcs_disabled: false,
    all_apcs_disabled: false,
    irql: 0,
};

/// A register of a lane, as an observed value.
pub const fn register(lane: u8, register: u8) -> Observed {
    Observed::Register { lane, register }
}

fn failed<T>(status: NtStatus) -> T {
    panic!(
        "{}",
        status::name(status).unwrap_or("a status of somebody else's")
    )
}

/// Runs a program so many times on a machine of its own, none of them timed out; gives the histogram.
///
/// # Panics
/// When something else came of it.
pub fn outcomes(program: &ProgramBuf, iterations: u32) -> Vec<(Vec<i64>, u64)> {
    let host = machine();
    let handle = Handle::open(&host);
    let session = handle.load(0, program).unwrap_or_else(failed);
    let reply = handle
        .run(session, &bounds(iterations))
        .unwrap_or_else(failed);
    assert_eq!(
        (reply.ended, reply.iterations),
        (Ended::Complete, iterations)
    );
    assert_eq!((reply.timed_out, reply.overflow), (0, 0));
    assert!(
        reply.baseline[..program.lanes.len()]
            .iter()
            .all(|context| *context == PLAIN)
    );
    let histogram = handle.histogram(session).unwrap_or_else(failed);
    assert_eq!(reply.outcomes as usize, histogram.len());
    assert_eq!(
        histogram.iter().map(|(_, count)| count).sum::<u64>(),
        u64::from(iterations)
    );
    drop(handle);
    stop(host);
    histogram
}
