//! The I/O manager: files and requests as user mode sees them, METHOD_BUFFERED only.

use std::collections::BTreeMap;

use apclab_model::kernel::{ApcId, ApcKind, BugCheck, ThreadId};

use crate::irp::Wdm;
use crate::machine::State;
use crate::memory::Request;
use crate::pool_errors::free_error;
use crate::report::Completion;
use crate::status;

/// Pool tag of system buffers.
const BUFFER_TAG: u32 = u32::from_le_bytes(*b"IoSB");

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Major {
    /// Opening the device.
    Create,
    /// A device control of this code with these lengths.
    Control {
        /// The control code.
        code: u32,
        /// The length of the input in bytes.
        input: usize,
        /// The length of the output buffer in bytes.
        output: usize,
    },
}

/// The status and the output of a completed request.
pub(crate) type Answer = (Completion, Vec<u8>);

/// The user thread that has sent a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requester {
    pub(crate) thread: ThreadId,
    /// The event object that is signaled when the request is completed.
    pub(crate) event: Option<u64>,
}

impl Irp {
    /// Whether the driver, or the framework for it, has it still.
    pub(crate) fn outstanding(&self) -> bool {
        self.done.is_none() && self.answer.is_none()
    }
}

/// A request of user mode.
#[derive(Debug)]
pub(crate) struct Irp {
    pub(crate) major: Major,
    pub(crate) file: u64,
    /// The system buffer, when there is one.
    pub(crate) buffer: Option<u64>,
    /// The framework's request, while there is one.
    pub(crate) request: Option<u64>,
    /// Its IRP, when the driver has seen it.
    pub(crate) wdm: Option<Wdm>,
    /// The user thread that has sent it, if it is one.
    pub(crate) requester: Option<Requester>,
    /// Whether its dispatch has said or will say that it is pending: then the requester learns of
    /// the completion by an APC.
    pub(crate) pending: bool,
    /// Whether it has been cancelled.
    pub(crate) cancelled: bool,
    /// What it was completed with, while the requester has not learnt of it.
    pub(crate) answer: Option<Answer>,
    /// How it ended, and what is copied to the output buffer.
    pub(crate) done: Option<Answer>,
    /// Whether nobody waits for it any more.
    pub(crate) orphaned: bool,
}

/// An open file.
#[derive(Debug)]
pub(crate) struct OpenFile {
    /// The framework's file object, while there is one.
    pub(crate) object: Option<u64>,
    pub(crate) process: u64,
    /// The address of its FILE_OBJECT, which the driver must not look into.
    pub(crate) address: u64,
    /// Requests that are not completed.
    pub(crate) outstanding: usize,
    /// Whether its handle is closed, so that nobody can send a request any more.
    closed: bool,
    /// Whether IRP_MJ_CLEANUP has been sent.
    pub(crate) cleaned: bool,
}

/// All files and requests of a machine.
#[derive(Debug, Default)]
pub(crate) struct Io {
    pub(crate) files: BTreeMap<u64, OpenFile>,
    pub(crate) irps: BTreeMap<u64, Irp>,
    /// The APCs that tell user threads of completed requests.
    pub(crate) completions: BTreeMap<ApcId, u64>,
    next: u64,
}

impl Io {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Adds a file that is being opened.
    pub(crate) fn add_file(&mut self, process: u64, address: u64) -> u64 {
        let id = self.number();
        let file = OpenFile {
            object: None,
            process,
            address,
            outstanding: 0,
            closed: false,
            cleaned: false,
        };
        self.files.insert(id, file);
        id
    }

    /// The handle of a file is closed.
    pub(crate) fn close_handle(&mut self, file: u64) {
        if let Some(file) = self.files.get_mut(&file) {
            file.closed = true;
        }
    }

    /// Requests that are not completed, for a report.
    pub(crate) fn outstanding(&self) -> Vec<String> {
        let open = self.irps.iter().filter(|(_, irp)| irp.outstanding());
        let name = |(id, irp): (&u64, &Irp)| match irp.major {
            Major::Create => format!("create request {id}"),
            Major::Control { code, .. } => format!("IOCTL request {id} with code {code:#x}"),
        };
        open.map(name).collect()
    }

    /// Requests of the driver or the framework that are not completed.
    pub(crate) fn any_outstanding(&self) -> bool {
        self.irps.values().any(Irp::outstanding)
    }
}

impl State {
    /// Makes a request, or gives the status with which the I/O manager fails it itself: without memory
    /// for its system buffer, or when the handle is closed.
    pub(crate) fn add_irp(
        &mut self,
        file: u64,
        major: Major,
        input: &[u8],
    ) -> Result<Result<u64, i32>, BugCheck> {
        if self.io.files.get(&file).is_none_or(|file| file.closed) {
            return Ok(Err(status::INVALID_HANDLE));
        }
        let size = match major {
            Major::Create => 0,
            Major::Control { input, output, .. } => input.max(output),
        };
        let buffer = if size == 0 {
            None
        } else {
            // Beyond the input the buffer holds whatever the pool held: not zeros.
            let request = Request {
                zeroed: false,
                ..Request::system(size, BUFFER_TAG)
            };
            let Some(at) = self.memory.pool.allocate(request) else {
                return Ok(Err(status::INSUFFICIENT_RESOURCES));
            };
            self.memory.write(at, input)?;
            Some(at)
        };
        let id = self.io.number();
        let irp = Irp {
            major,
            file,
            buffer,
            request: None,
            wdm: None,
            requester: None,
            pending: false,
            cancelled: false,
            answer: None,
            done: None,
            orphaned: false,
        };
        self.io.irps.insert(id, irp);
        if let Some(file) = self.io.files.get_mut(&file) {
            file.outstanding += 1;
        }
        Ok(Ok(id))
    }

    /// Takes the completion of a request: copies the output back unless the status is of the error
    /// class, at most as much as fits. Its requester learns of it by [`State::conclude_irp`].
    pub(crate) fn complete_irp(&mut self, id: u64, completion: Completion) -> Result<(), BugCheck> {
        let Some(irp) = self.io.irps.get_mut(&id) else {
            return Ok(());
        };
        irp.request = None;
        let (buffer, major) = (irp.buffer.take(), irp.major);
        let packet = irp.wdm.as_mut().and_then(|wdm| wdm.address.take());
        let mut output = Vec::new();
        if let Some(buffer) = buffer
            && let Major::Control { output: room, .. } = major
            && !status::is_error(completion.status)
        {
            let length = completion.information.min(room);
            output = self.memory.read_bytes(buffer, length)?;
        }
        for block in [buffer, packet].into_iter().flatten() {
            let freed = self.memory.pool.free(block);
            freed.map_err(|error| free_error(&self.memory, block, &error))?;
        }
        if let Some(irp) = self.io.irps.get_mut(&id) {
            irp.answer = Some((completion, output));
        }
        Ok(())
    }

    /// Tells the requester of a completed request: by a special kernel APC when it is a user thread
    /// that has been told that the request is pending, otherwise at once. `by` has completed it.
    /// Gives the file to close when this was what its close waited for.
    pub(crate) fn tell_requester(
        &mut self,
        id: u64,
        by: ThreadId,
    ) -> Result<Option<u64>, BugCheck> {
        let irp = self.io.irps.get(&id);
        if let Some(Requester { thread, .. }) =
            irp.filter(|irp| irp.pending).and_then(|irp| irp.requester)
            && self.threads.contains_key(&thread)
        {
            let apc = self.kernel.create_apc(thread, ApcKind::Special);
            if self.kernel.insert_apc(apc, by)? {
                self.io.completions.insert(apc, id);
                self.wake();
                return Ok(None);
            }
            self.kernel.remove_apc(apc)?;
        }
        self.conclude_irp(id)
    }

    /// The requester of a completed request learns of it, and its event is signaled. Gives the file
    /// to close as [`State::tell_requester`] does.
    pub(crate) fn conclude_irp(&mut self, id: u64) -> Result<Option<u64>, BugCheck> {
        let Some(irp) = self.io.irps.get_mut(&id) else {
            return Ok(None);
        };
        let file = irp.file;
        irp.done = irp.answer.take();
        // The I/O manager leaves the event alone when a request fails at once.
        let failed = irp
            .done
            .as_ref()
            .is_none_or(|done| status::is_error(done.0.status));
        let event = irp.requester.and_then(|requester| requester.event);
        let signals = irp.pending || !failed;
        if irp.orphaned {
            self.io.irps.remove(&id);
        }
        if let Some(event) = event.filter(|_| signals) {
            self.change_event(event, true, "the completion of a request")?;
        }
        if let Some(event) = event {
            self.dereference_object(event)?;
        }
        let Some(entry) = self.io.files.get_mut(&file) else {
            return Ok(None);
        };
        entry.outstanding -= 1;
        Ok((entry.cleaned && entry.outstanding == 0).then_some(file))
    }

    /// Takes the result of a completed request.
    pub(crate) fn take_completed(&mut self, id: u64) -> Option<Answer> {
        let irp = self.io.irps.get(&id)?;
        irp.done.as_ref()?;
        self.io.irps.remove(&id)?.done
    }

    /// Nobody waits for the request any more.
    pub(crate) fn orphan_irp(&mut self, id: u64) {
        match self.io.irps.get_mut(&id) {
            Some(irp) if irp.done.is_none() => irp.orphaned = true,
            _ => drop(self.io.irps.remove(&id)),
        }
    }
}
