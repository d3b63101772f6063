//! A request on a device, and the memory that the kernel writes to until it has completed.
#![allow(unsafe_code, reason = "NtDeviceIoControlFile and what waits for it")]

use std::mem;
use std::os::windows::io::{AsRawHandle, OwnedHandle, RawHandle};
use std::time::Duration;

use apclab_protocol::status::{self, NtStatus};
use windows_sys::Wdk::System::IO::NtDeviceIoControlFile;
use windows_sys::Win32::Foundation::WAIT_OBJECT_0;
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;
use windows_sys::Win32::System::Threading::WaitForMultipleObjects;

use super::event::{Event, Reset, millis};
use super::{Win32Error, length};
use crate::session::Completion;

/// A request, which can be sent again when it has completed.
pub(crate) struct Transfer {
    /// A block of its own on the heap. It is reached by this pointer only, since the kernel writes to it
    /// at any time.
    block: *mut IO_STATUS_BLOCK,
    event: Event,
    input: Vec<u8>,
    output: Vec<u8>,
    input_length: u32,
    output_length: u32,
    /// Whether the kernel may write to the block and the output.
    pending: bool,
}

// SAFETY: the block belongs to no thread; it is used by whoever has the transfer, and by the kernel.
unsafe impl Send for Transfer {}

/// How a request began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// It has completed.
    Ended(Completion),
    /// It will complete later.
    Pending,
}

/// How a wait for a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// The request has completed.
    Completed(Completion),
    /// The other event was signaled.
    Stopped,
    /// The time is over.
    TooLate,
}

impl Transfer {
    /// A request with that input and so many bytes for its output.
    ///
    /// # Errors
    /// [`Win32Error`]: there is no event, or a length is above 4 GiB.
    pub(crate) fn new(input: &[u8], output: usize) -> Result<Self, Win32Error> {
        let input_length = length(input.len())?;
        let output_length = length(output)?;
        let event = Event::new(Reset::Manual)?;
        Ok(Self {
            block: Box::into_raw(Box::default()),
            event,
            input: input.to_vec(),
            output: vec![0; output],
            input_length,
            output_length,
            pending: false,
        })
    }

    /// Sends it. The call of the reference page `NtDeviceIoControlFile`: it gives the status itself,
    /// where DeviceIoControl gives the Win32 error that is nearest to it.
    pub(crate) fn begin(&mut self, file: &OwnedHandle, code: u32) -> Begun {
        if self.pending {
            return ended(status::IN_USE, 0);
        }
        self.event.reset();
        // SAFETY: the handles are open. Block and buffers are on the heap and have the sizes that are
        // told; they stay there until the request has completed, or for ever when it does not: a
        // transfer that is pending is neither changed nor freed.
        let begun = unsafe {
            NtDeviceIoControlFile(
                file.as_raw_handle(),
                self.event.as_raw_handle(),
                None,
                std::ptr::null(),
                self.block,
                code,
                self.input.as_ptr().cast(),
                self.input_length,
                self.output.as_mut_ptr().cast(),
                self.output_length,
            )
        };
        if begun == status::PENDING {
            self.pending = true;
            return Begun::Pending;
        }
        if status::is_error(begun) {
            // It never was a request that completes: the block is not written.
            return ended(begun, 0);
        }
        Begun::Ended(self.outcome())
    }

    /// Waits until it completes, or the other event is signaled, or the time is over (never without a
    /// limit). On open handles a wait does not fail; if it does, it counts as too late.
    pub(crate) fn wait(&mut self, stop: Option<&OwnedHandle>, limit: Option<Duration>) -> Waited {
        // The first of several that are signaled counts: a request that has completed is not cancelled.
        let event = self.event.as_raw_handle();
        let handles = [event, stop.map_or(event, AsRawHandle::as_raw_handle)];
        let count = if stop.is_some() { 2 } else { 1 };
        // SAFETY: there are at least so many handles, and all are open.
        match unsafe { WaitForMultipleObjects(count, handles.as_ptr(), 0, millis(limit)) } {
            WAIT_OBJECT_0 => {
                self.pending = false;
                Waited::Completed(self.outcome())
            }
            other if other == WAIT_OBJECT_0 + 1 => Waited::Stopped,
            _ => Waited::TooLate,
        }
    }

    /// Whether it has been sent and has not completed, as far as anybody has waited for it.
    pub(crate) const fn pending(&self) -> bool {
        self.pending
    }

    /// The event that is signaled when it completes.
    pub(crate) fn event(&self) -> RawHandle {
        self.event.as_raw_handle()
    }

    /// Its input, to be changed before it is sent again. Empty while it is pending.
    pub(crate) fn input(&mut self) -> &mut [u8] {
        if self.pending {
            &mut []
        } else {
            &mut self.input
        }
    }

    /// The output, as far as a completed request has written it.
    pub(crate) fn output(&self, completion: Completion) -> &[u8] {
        if self.pending {
            return &[];
        }
        self.output
            .get(..completion.information)
            .unwrap_or(&self.output)
    }

    /// Status and number of bytes of a request that has completed.
    fn outcome(&self) -> Completion {
        // SAFETY: the block is live, and the kernel is done with it; it has written it behind the
        // compiler's back.
        let block = unsafe { self.block.read_volatile() };
        // SAFETY: a completed block holds a status.
        let status = unsafe { block.Anonymous.Status };
        Completion {
            status,
            information: block.Information,
        }
    }

    /// As if the kernel had pended it: for a driver of paper.
    #[cfg(test)]
    pub(crate) fn pend(&mut self) -> Pended {
        self.event.reset();
        self.pending = true;
        Pended {
            block: self.block,
            output: self.output.as_mut_ptr(),
            event: self.event.as_raw_handle(),
        }
    }

    /// Its bytes as the kernel has them: for a driver of paper.
    #[cfg(test)]
    pub(crate) fn buffers(&mut self) -> (&[u8], &mut [u8]) {
        (&self.input, &mut self.output)
    }
}

fn ended(status: NtStatus, information: usize) -> Begun {
    Begun::Ended(Completion {
        status,
        information,
    })
}

impl Drop for Transfer {
    fn drop(&mut self) {
        if self.pending {
            // The kernel may still write to it: it has to stay where it is for the rest of the
            // process.
            mem::forget(mem::take(&mut self.input));
            mem::forget(mem::take(&mut self.output));
            return;
        }
        // SAFETY: the block was made by a Box, and the kernel is done with it.
        drop(unsafe { Box::from_raw(self.block) });
    }
}

/// What a driver of paper has of a request that it has pended.
#[cfg(test)]
#[derive(Clone, Copy)]
pub(crate) struct Pended {
    block: *mut IO_STATUS_BLOCK,
    output: *mut u8,
    event: RawHandle,
}

// SAFETY: what it points to stays until the request is completed, and is not used by its owner before.
#[cfg(test)]
unsafe impl Send for Pended {}

#[cfg(test)]
impl Pended {
    /// Completes it.
    ///
    /// # Safety
    /// It has not been completed before, and its output has room for these bytes.
    pub(crate) unsafe fn complete(self, status: NtStatus, bytes: &[u8]) {
        let mut block = IO_STATUS_BLOCK {
            Information: bytes.len(),
            ..IO_STATUS_BLOCK::default()
        };
        block.Anonymous.Status = status;
        // SAFETY: the transfer waits for its event and keeps its memory until then.
        unsafe { self.block.write_volatile(block) };
        // SAFETY: as above; the caller guarantees the room.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.output, bytes.len()) };
        // SAFETY: the transfer keeps its event.
        unsafe { windows_sys::Win32::System::Threading::SetEvent(self.event) };
    }
}
