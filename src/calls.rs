//! The IOCTLs of caller lanes, CALL and HOLD, in the thread of user mode that asks.
//!
//! The requests are untrusted, and their thread may be suspended, or asked to end, at any moment. So whatever
//! a handler works with is kept by clones of its own, and those are gone before it completes the IRP: with
//! the IRP goes what keeps the device. The code stays until the thread has left it ([`crate::wdm::dispatch`]).
//! A request that is held may be completed by another thread at once, so only its run is still touched then.

use apclab_guards::Passive;
use apclab_protocol::call::{CallReply, CallRequest, HoldRequest};
use apclab_protocol::ioctl;
use apclab_protocol::message::{Header, Reply};
use apclab_protocol::status::{NOT_THE_OPENER, NtStatus, OUTPUT_TOO_SHORT, PENDING, SUCCESS};

use crate::device::Device;
use crate::nt::memory::Shared;
use crate::nt::system;
use crate::nt::user_event::UserEvent;
use crate::run::state::Run;
use crate::run::trace::context;
use crate::wdm::irp::Irp;

/// Handles one request, and gives what the dispatch callback returns.
pub(crate) fn handle(
    device: Shared<Device>,
    code: u32,
    mut irp: Irp,
    irql: &mut Passive,
) -> NtStatus {
    if !irp.of_user_mode() {
        return irp.complete(NOT_THE_OPENER, 0);
    }
    if code == ioctl::CALL {
        let answer = call(&device, &mut irp, irql);
        drop(device);
        return match answer {
            Ok(written) => irp.complete(SUCCESS, written),
            Err(status) => irp.complete(status, 0),
        };
    }
    let place = place(&device, &irp, irql);
    drop(device);
    let held = match place {
        Ok((run, apc, event)) => run.held.hold(apc, irp, event),
        Err(status) => Err((irp, status)),
    };
    match held {
        Ok(()) => PENDING,
        Err((irp, status)) => irp.complete(status, 0),
    }
}

/// Reads a request of a header and `N` bytes, and finds the run that it is about.
fn read<const N: usize, R>(
    device: &Device,
    irp: &Irp,
    irql: &mut Passive,
    body: impl FnOnce(&[u8; N]) -> Result<R, NtStatus>,
) -> Result<(Shared<Run>, R), NtStatus> {
    let (session, body) = irp.with_input(|input| {
        let (header, bytes) = Header::split_exact::<N>(input)?;
        Ok((header.session, body(bytes)?))
    })?;
    let run = device
        .sessions
        .running(session, system::current_process(), irql)?;
    Ok((run, body))
}

fn call(device: &Device, irp: &mut Irp, irql: &mut Passive) -> Result<usize, NtStatus> {
    // First of all: this is where user mode has left the thread.
    let entered = context(irql);
    if irp.lengths().output < CallReply::SIZE {
        return Err(OUTPUT_TOO_SHORT);
    }
    let (run, request) = read(device, irp, irql, CallRequest::decode)?;
    let reply = run.callers.call(&run, irp, &request, entered, irql)?;
    drop(run);
    irp.with_output(|output| reply.encode(output))
}

/// The run that shall hold a request, for which completion, and the request's event.
fn place(
    device: &Device,
    irp: &Irp,
    irql: &mut Passive,
) -> Result<(Shared<Run>, u8, UserEvent), NtStatus> {
    let (run, request) = read(device, irp, irql, HoldRequest::decode)?;
    let event = UserEvent::of_handle(request.event, irql)?;
    Ok((run, request.apc, event))
}
