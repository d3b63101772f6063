//! The I/O manager: files and requests as user mode sees them, METHOD_BUFFERED only.

use std::collections::BTreeMap;

use apclab_model::kernel::BugCheck;

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

/// A request of user mode.
#[derive(Debug)]
pub(crate) struct Irp {
    pub(crate) major: Major,
    pub(crate) file: u64,
    /// The system buffer, when there is one.
    pub(crate) buffer: Option<u64>,
    /// The framework's request, while there is one.
    pub(crate) request: Option<u64>,
    /// Whether it has been cancelled.
    pub(crate) cancelled: bool,
    /// How it ended, and what is copied to the output buffer.
    pub(crate) done: Option<(Completion, Vec<u8>)>,
    /// Whether nobody waits for it any more.
    pub(crate) orphaned: bool,
}

/// An open file.
#[derive(Debug)]
pub(crate) struct OpenFile {
    /// The framework's file object, while there is one.
    pub(crate) object: Option<u64>,
    pub(crate) process: u64,
    /// Requests that are not completed.
    pub(crate) outstanding: usize,
    /// Whether IRP_MJ_CLEANUP has been sent.
    pub(crate) cleaned: bool,
}

/// All files and requests of a machine.
#[derive(Debug, Default)]
pub(crate) struct Io {
    pub(crate) files: BTreeMap<u64, OpenFile>,
    pub(crate) irps: BTreeMap<u64, Irp>,
    next: u64,
}

impl Io {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Adds a file that is being opened.
    pub(crate) fn add_file(&mut self, process: u64) -> u64 {
        let id = self.number();
        let file = OpenFile {
            object: None,
            process,
            outstanding: 0,
            cleaned: false,
        };
        self.files.insert(id, file);
        id
    }

    /// Requests that are not completed, for a report.
    pub(crate) fn outstanding(&self) -> Vec<String> {
        let open = self.irps.iter().filter(|(_, irp)| irp.done.is_none());
        let name = |(id, irp): (&u64, &Irp)| match irp.major {
            Major::Create => format!("create request {id}"),
            Major::Control { code, .. } => format!("IOCTL request {id} with code {code:#x}"),
        };
        open.map(name).collect()
    }

    /// Requests of the driver or the framework that are not completed.
    pub(crate) fn any_outstanding(&self) -> bool {
        self.irps.values().any(|irp| irp.done.is_none())
    }
}

impl State {
    /// Makes a request. `None` when there is no memory for its system buffer.
    pub(crate) fn add_irp(
        &mut self,
        file: u64,
        major: Major,
        input: &[u8],
    ) -> Result<Option<u64>, BugCheck> {
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
                return Ok(None);
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
            cancelled: false,
            done: None,
            orphaned: false,
        };
        self.io.irps.insert(id, irp);
        if let Some(file) = self.io.files.get_mut(&file) {
            file.outstanding += 1;
        }
        Ok(Some(id))
    }

    /// Completes a request: copies the output back unless the status is of the error class, at
    /// most as much as fits. Gives the file to close when this was what its close waited for.
    pub(crate) fn complete_irp(
        &mut self,
        id: u64,
        completion: Completion,
    ) -> Result<Option<u64>, BugCheck> {
        let Some(irp) = self.io.irps.get_mut(&id) else {
            return Ok(None);
        };
        let buffer = irp.buffer.take();
        let (file, major, orphaned) = (irp.file, irp.major, irp.orphaned);
        let mut output = Vec::new();
        if let Some(buffer) = buffer {
            if let Major::Control { output: room, .. } = major
                && !status::is_error(completion.status)
            {
                output = self
                    .memory
                    .read_bytes(buffer, completion.information.min(room))?;
            }
            let freed = self.memory.pool.free(buffer);
            freed.map_err(|error| free_error(&self.memory, buffer, &error))?;
        }
        if orphaned {
            self.io.irps.remove(&id);
        } else if let Some(irp) = self.io.irps.get_mut(&id) {
            irp.request = None;
            irp.done = Some((completion, output));
        }
        let Some(entry) = self.io.files.get_mut(&file) else {
            return Ok(None);
        };
        entry.outstanding -= 1;
        Ok((entry.cleaned && entry.outstanding == 0).then_some(file))
    }

    /// Takes the result of a completed request.
    pub(crate) fn take_completed(&mut self, id: u64) -> Option<(Completion, Vec<u8>)> {
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
