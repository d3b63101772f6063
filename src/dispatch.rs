//! The IOCTLs. Each handler reads its request into values, then acts, then writes its reply: with
//! METHOD_BUFFERED input and output are the same memory.

use apclab_guards::Passive;
use apclab_protocol::ioctl;
use apclab_protocol::message::{
    Header, Limits, LoadReply, NONE, PageRequest, QueryReply, Reply, RunReply, RunRequest,
};
use apclab_protocol::program::{Malformed, Program};
use apclab_protocol::status::{
    INSUFFICIENT_RESOURCES, INVALID_PARAMETER, MALFORMED_PROGRAM, NO_APC_ROUTINES, NtStatus,
    OUTPUT_TOO_SHORT, REFUSED, SUCCESS, UNKNOWN_CODE,
};
use apclab_protocol::verify::{Machine, Reason, Refusal, Verified, verify};

use crate::device::Device;
use crate::nt::memory::Shared;
use crate::nt::system;
use crate::run::program::Loaded;
use crate::run::runner::{self, Order};
use crate::run::trace::context;
use crate::sessions::Asker;
use crate::wdf::request::Request;

/// Sizes of the request's buffers in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Lengths {
    /// Of the input.
    pub(crate) input: usize,
    /// Of the output.
    pub(crate) output: usize,
}

/// What a handler ends with: a status, and the bytes of the reply.
type Answer = Result<(NtStatus, usize), NtStatus>;

/// Handles one request. IRQL: PASSIVE_LEVEL.
pub(crate) fn device_control(
    device: &Shared<Device>,
    request: Request,
    lengths: Lengths,
    code: u32,
    irql: &mut Passive,
) {
    let mut request = Some(request);
    let answer = match code {
        ioctl::QUERY => query(device, request.as_ref(), lengths, irql),
        ioctl::LOAD => load(device, request.as_ref(), lengths, irql),
        ioctl::RUN => match run(device, &mut request, lengths, irql) {
            Ok(()) => return,
            Err(status) => Err(status),
        },
        ioctl::HISTOGRAM | ioctl::TRACE => page(device, request.as_ref(), lengths, code, irql),
        ioctl::CANCEL => cancel(device, request.as_ref(), lengths, irql),
        _ => Err(UNKNOWN_CODE),
    };
    let (status, written) = answer.unwrap_or_else(|status| (status, 0));
    if let Some(request) = request {
        request.complete(status, written);
    }
}

/// The request, which is there until a run has taken it.
fn owned(request: Option<&Request>) -> Result<&Request, NtStatus> {
    request.ok_or(INSUFFICIENT_RESOURCES)
}

/// Reads a request of a header and `N` bytes, and finds out who asks.
fn read<const N: usize, R>(
    request: &Request,
    lengths: Lengths,
    body: impl FnOnce(&[u8; N]) -> Result<R, NtStatus>,
) -> Result<(Asker<'_>, R), NtStatus> {
    let (session, body) = request.with_input(lengths.input, |input| {
        let (header, bytes) = Header::split_exact::<N>(input)?;
        Ok((header.session, body(bytes)?))
    })?;
    Ok((Asker::of(request, session)?, body))
}

/// The version of this package, as Cargo knows it.
const VERSION: [u32; 3] = [
    number(env!("CARGO_PKG_VERSION_MAJOR")),
    number(env!("CARGO_PKG_VERSION_MINOR")),
    number(env!("CARGO_PKG_VERSION_PATCH")),
];

const fn number(digits: &str) -> u32 {
    match u32::from_str_radix(digits, 10) {
        Ok(number) => number,
        Err(_) => panic!("Cargo gives version parts as decimal numbers"),
    }
}

fn query(
    device: &Device,
    request: Option<&Request>,
    lengths: Lengths,
    irql: &mut Passive,
) -> Answer {
    let request = owned(request)?;
    let (asker, ()) = read(request, lengths, |_: &[u8; 0]| Ok(()))?;
    if asker.session != 0 {
        return Err(INVALID_PARAMETER);
    }
    let reply = QueryReply {
        dispatch: context(irql),
        driver: VERSION,
        routines: device.routines.bits,
        kernel: system::kernel_version(irql),
        processors: system::processors(),
        sessions: device.sessions.count(irql),
        limits: Limits::BUILT,
    };
    let written = request.with_output(lengths.output, |output| reply.encode(output))?;
    Ok((SUCCESS, written))
}

/// What the bytes of a LOAD turned out to be.
enum Judged {
    Accepted(Loaded),
    Malformed(Malformed),
    Refused(Refusal),
}

fn judge(bytes: &[u8], machine: Machine) -> Result<Judged, NtStatus> {
    let program = match Program::parse(bytes) {
        Ok(program) => program,
        Err(malformed) => return Ok(Judged::Malformed(malformed)),
    };
    match verify(&program, machine) {
        Ok(verified) => accepted(&program, verified),
        Err(refusal) => Ok(Judged::Refused(refusal)),
    }
}

/// Apart, so that its locals are on the stack only when the verifier's are not.
#[inline(never)]
fn accepted(program: &Program<'_>, verified: Verified) -> Result<Judged, NtStatus> {
    Loaded::try_new(program, verified).map(Judged::Accepted)
}

fn load(
    device: &Device,
    request: Option<&Request>,
    lengths: Lengths,
    irql: &mut Passive,
) -> Answer {
    let request = owned(request)?;
    if lengths.output < LoadReply::SIZE {
        return Err(OUTPUT_TOO_SHORT);
    }
    let (session, judged) = request.with_input(lengths.input, |input| {
        let (header, program) = Header::split(input)?;
        Ok((header.session, judge(program, device.routines.machine())?))
    })?;
    let asker = Asker::of(request, session)?;
    let mut reply = LoadReply {
        session,
        reason: 0,
        lane: NONE,
        step: NONE,
        offset: NONE,
        observed: 0,
    };
    let status = match judged {
        Judged::Accepted(loaded) => {
            reply.observed = u32::try_from(loaded.observed.len()).unwrap_or(NONE);
            reply.session = device
                .sessions
                .load(asker, Shared::try_new(loaded)?, irql)?;
            SUCCESS
        }
        Judged::Malformed(malformed) => {
            reply.reason = 1 + malformed.what as u32;
            reply.offset = malformed.offset;
            MALFORMED_PROGRAM
        }
        Judged::Refused(refusal) => {
            reply.reason = refusal.reason as u32;
            reply.lane = refusal.place.number();
            reply.step = refusal.step;
            if refusal.reason == Reason::NoApcRoutines {
                NO_APC_ROUTINES
            } else {
                REFUSED
            }
        }
    };
    let written = request.with_output(lengths.output, |output| reply.encode(output))?;
    Ok((status, written))
}

/// Begins a run. On success the run's thread has the request and completes it.
fn run(
    device: &Shared<Device>,
    request: &mut Option<Request>,
    lengths: Lengths,
    irql: &mut Passive,
) -> Result<(), NtStatus> {
    if lengths.output < RunReply::SIZE {
        return Err(OUTPUT_TOO_SHORT);
    }
    let asked = owned(request.as_ref())?;
    let (Asker { session, .. }, bounds) = read(asked, lengths, RunRequest::decode)?;
    let order = Order {
        request: bounds,
        output_length: lengths.output,
        session,
    };
    device
        .sessions
        .start(session, request, irql, |program, request, irql| {
            runner::begin(device, program, &order, request, irql)
        })
}

fn page(
    device: &Device,
    request: Option<&Request>,
    lengths: Lengths,
    code: u32,
    irql: &mut Passive,
) -> Answer {
    let request = owned(request)?;
    let (asker, page) = read(request, lengths, PageRequest::decode)?;
    let written = device.sessions.with_results(asker, irql, |run| {
        request.with_output(lengths.output, |output| match code {
            ioctl::TRACE => run.trace.reply(page.first, output),
            _ => run
                .tally
                .with(|tally| tally.histogram.write(page.first, output))
                .unwrap_or(Err(INSUFFICIENT_RESOURCES)),
        })
    })?;
    Ok((SUCCESS, written))
}

fn cancel(
    device: &Device,
    request: Option<&Request>,
    lengths: Lengths,
    irql: &mut Passive,
) -> Answer {
    let request = owned(request)?;
    let (asker, ()) = read(request, lengths, |_: &[u8; 0]| Ok(()))?;
    device.sessions.cancel(asker, irql)?;
    Ok((SUCCESS, 0))
}
