//! Requests: buffers, cancellation, completion.

use apclab_model::kernel::{APC_LEVEL, BugCheck, DISPATCH_LEVEL};

use super::object::{Kind, bad_handle};
use crate::bugcheck;
use crate::dispatch::{Arguments, Export, Fault};
use crate::io::{Irp, Major};
use crate::machine::State;
use crate::report::Completion;
use crate::status;
use crate::thread::Thread;

pub(super) const FUNCTIONS: &[Export] = &[
    // Made to fail, the request is one that has been cancelled a moment ago.
    Export::rule("WdfRequestMarkCancelableEx", mark_cancelable)
        .fallible(status::word(status::CANCELLED)),
    Export::rule("WdfRequestUnmarkCancelable", unmark_cancelable),
    Export::plain("WdfRequestIsCanceled", is_cancelled),
    Export::rule("WdfRequestComplete", |thread, arguments| {
        let (request, status) = (arguments.word(1), arguments.signed(2));
        thread
            .complete(request, status, 0, "WdfRequestComplete")
            .map(|()| 0)
    }),
    Export::rule("WdfRequestCompleteWithInformation", |thread, arguments| {
        let (request, status) = (arguments.word(1), arguments.signed(2));
        let routine = "WdfRequestCompleteWithInformation";
        thread
            .complete(request, status, arguments.word(3), routine)
            .map(|()| 0)
    }),
    Export::plain("WdfRequestRetrieveInputBuffer", |thread, arguments| {
        retrieve(thread, arguments, true, "WdfRequestRetrieveInputBuffer")
    }),
    Export::plain("WdfRequestRetrieveOutputBuffer", |thread, arguments| {
        retrieve(thread, arguments, false, "WdfRequestRetrieveOutputBuffer")
    }),
    Export::plain("WdfRequestGetFileObject", get_file_object),
];

/// What may happen to a request next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits in a queue.
    Queued,
    /// The driver has it.
    Owned,
    /// The driver has it and has given the routine that cancels it.
    Cancelable(u64),
    /// That routine has been called.
    Cancelling,
    /// The driver has completed it.
    Completed,
}

/// A request object.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) irp: u64,
    pub(super) queue: Option<u64>,
    pub(super) file: Option<u64>,
    pub(super) stage: Stage,
}

impl Request {
    pub(super) fn new(irp: u64, queue: Option<u64>, file: Option<u64>) -> Self {
        // A create request goes to the driver without a queue.
        let stage = if queue.is_some() {
            Stage::Queued
        } else {
            Stage::Owned
        };
        Self {
            irp,
            queue,
            file,
            stage,
        }
    }
}

/// The request behind a handle, which the driver must have.
fn owned<'a>(
    state: &'a mut State,
    handle: u64,
    routine: &str,
) -> Result<&'a mut Request, BugCheck> {
    match &mut state.framework.get_mut(handle, routine)?.kind {
        Kind::Request(request) if !matches!(request.stage, Stage::Completed | Stage::Queued) => {
            Ok(request)
        }
        _ => Err(bad_handle(
            handle,
            "WDFREQUEST that the driver has",
            routine,
        )),
    }
}

fn irp(state: &State, id: u64) -> Option<&Irp> {
    state.io.irps.get(&id)
}

/// `WdfRequestMarkCancelableEx(Request, EvtRequestCancel)`: STATUS_CANCELLED when it has been
/// cancelled already; then the callback is not called.
fn mark_cancelable(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    const ROUTINE: &str = "WdfRequestMarkCancelableEx";
    let mut state = thread.lock();
    let request = owned(&mut state, arguments.word(1), ROUTINE)?;
    if request.stage != Stage::Owned {
        let reason = format!("{ROUTINE}: the request is cancelable already");
        return Err(bugcheck::wdf(0x6, 0, arguments.word(1), reason).into());
    }
    let id = request.irp;
    if irp(&state, id).is_some_and(|irp| irp.cancelled) {
        return Ok(status::word(status::CANCELLED));
    }
    owned(&mut state, arguments.word(1), ROUTINE)?.stage = Stage::Cancelable(arguments.word(2));
    Ok(status::word(status::SUCCESS))
}

/// `WdfRequestUnmarkCancelable(Request)`: STATUS_CANCELLED when the callback has been called or is
/// about to be.
fn unmark_cancelable(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let mut state = thread.lock();
    let request = owned(&mut state, arguments.word(1), "WdfRequestUnmarkCancelable")?;
    let result = match request.stage {
        Stage::Cancelable(_) => {
            request.stage = Stage::Owned;
            status::SUCCESS
        }
        Stage::Cancelling => status::CANCELLED,
        _ => status::INVALID_PARAMETER,
    };
    Ok(status::word(result))
}

fn is_cancelled(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let mut state = thread.lock();
    let id = owned(&mut state, arguments.word(1), "WdfRequestIsCanceled")?.irp;
    Ok(u64::from(irp(&state, id).is_some_and(|irp| irp.cancelled)))
}

/// `WdfRequestRetrieve…Buffer(Request, MinimumRequiredLength, Buffer, Length)`: the one system
/// buffer of METHOD_BUFFERED.
fn retrieve(
    thread: &Thread,
    arguments: &Arguments,
    of_input: bool,
    routine: &str,
) -> Result<u64, Fault> {
    let mut state = thread.lock();
    let id = owned(&mut state, arguments.word(1), routine)?.irp;
    let Some(Irp {
        major: Major::Control { input, output, .. },
        buffer,
        ..
    }) = irp(&state, id)
    else {
        return Ok(status::word(status::INVALID_DEVICE_REQUEST));
    };
    let length = if of_input { *input } else { *output } as u64;
    let buffer = buffer.unwrap_or(0);
    // The page of both: a length of zero is too small, whatever the minimum is.
    let refused = if length == 0 || length < arguments.word(2) {
        status::BUFFER_TOO_SMALL
    } else {
        status::SUCCESS
    };
    let (buffer, length) = if status::is_success(refused) {
        (buffer, length)
    } else {
        (0, 0)
    };
    state.memory.write_u64(arguments.word(3), buffer)?;
    if arguments.word(4) != 0 {
        state.memory.write_u64(arguments.word(4), length)?;
    }
    Ok(status::word(refused))
}

fn get_file_object(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let mut state = thread.lock();
    let request = owned(&mut state, arguments.word(1), "WdfRequestGetFileObject")?;
    Ok(request.file.unwrap_or(0))
}

impl Thread {
    /// Completes a request that the driver has.
    pub(super) fn complete(
        &self,
        handle: u64,
        status: i32,
        information: u64,
        routine: &str,
    ) -> Result<(), Fault> {
        let id = {
            let mut state = self.lock();
            bugcheck::irql_at_most(state.kernel.irql(self.id), DISPATCH_LEVEL, routine)?;
            let request = owned(&mut state, handle, routine)?;
            if matches!(request.stage, Stage::Cancelable(_)) {
                let reason = format!("{routine}: the request {handle:#x} is still cancelable");
                return Err(bugcheck::wdf(0x6, 0, handle, reason).into());
            }
            let id = request.irp;
            if let Some(Irp {
                major: Major::Control { output, .. },
                ..
            }) = irp(&state, id)
                && !status::is_error(status)
                && information > *output as u64
            {
                let reason = format!(
                    "{routine}: {information} bytes of output for a buffer of {output} bytes"
                );
                return Err(bugcheck::wdf(0x6, 0x4, handle, reason).into());
            }
            owned(&mut state, handle, routine)?.stage = Stage::Completed;
            id
        };
        // The driver's cleanup callback still sees the request with its buffers.
        self.delete_object(handle)?;
        self.finish_irp(id, status, information)
    }

    /// Completes a request towards the I/O manager.
    pub(crate) fn finish_irp(&self, id: u64, status: i32, information: u64) -> Result<(), Fault> {
        let information = usize::try_from(information).unwrap_or(usize::MAX);
        let completion = Completion {
            status,
            information,
        };
        let close = {
            let mut state = self.lock();
            state.complete_irp(id, completion)?;
            state.tell_requester(id, self.id)?
        };
        self.machine.callers.notify_all();
        if let Some(file) = close {
            self.machine.begin_close(file);
        }
        Ok(())
    }

    /// `IoCancelIrp`: the driver's cancel routine runs when the request is cancelable.
    pub(crate) fn cancel_irp(&self, id: u64) -> Result<(), Fault> {
        const ROUTINE: &str = "EvtRequestCancel";
        let (handle, callback) = {
            let mut state = self.lock();
            let Some(entry) = state.io.irps.get_mut(&id) else {
                return Ok(());
            };
            if !entry.outstanding() || entry.cancelled {
                return Ok(());
            }
            entry.cancelled = true;
            let request = entry.request;
            state.cancel_irp_in_memory(id)?;
            let Some(handle) = request else {
                return Ok(());
            };
            // The driver may be completing it at this moment: then the object can be gone already.
            let Some(object) = state.framework.objects.get_mut(&handle) else {
                return Ok(());
            };
            let Kind::Request(request) = &mut object.kind else {
                return Ok(());
            };
            match (request.stage, request.queue) {
                (Stage::Cancelable(callback), _) => {
                    request.stage = Stage::Cancelling;
                    object.references += 1;
                    (handle, callback)
                }
                (Stage::Queued, Some(queue)) => {
                    drop(state);
                    return self.cancel_waiting(queue, handle);
                }
                _ => return Ok(()),
            }
        };
        let level = if self.machine.options.cancel_at_dispatch {
            DISPATCH_LEVEL
        } else {
            APC_LEVEL
        };
        let before = self.lock().kernel.raise_irql(self.id, level)?;
        self.callback(ROUTINE, callback, &[handle])?;
        let mut state = self.lock();
        state.kernel.lower_irql(self.id, before)?;
        drop(self.deliver(state)?);
        self.release_object(handle, ROUTINE)
    }
}
