//! An overlapped handle: requests on it do not wait for each other, so that one can be cancelled.
#![allow(unsafe_code, reason = "NtDeviceIoControlFile and what waits for it")]

use std::cell::Cell;
use std::fs::OpenOptions;
use std::marker::PhantomData;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::time::Duration;

use apclab_protocol::status::{self, NtStatus};
use windows_sys::Wdk::System::IO::NtDeviceIoControlFile;
use windows_sys::Win32::Foundation::WAIT_OBJECT_0;
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_OVERLAPPED, FILE_SHARE_READ, FILE_SHARE_WRITE,
};
use windows_sys::Win32::System::IO::{CancelIoEx, IO_STATUS_BLOCK};
use windows_sys::Win32::System::Threading::WaitForMultipleObjects;

use super::{Win32Error, check, interrupt, length};
use crate::TargetError;
use crate::session::{Completion, Device};

/// How long a request may take that does its work at once.
const AT_ONCE: Duration = Duration::from_secs(30);

/// How long a cancelled request may take to complete.
const CANCEL_DEADLINE: Duration = Duration::from_secs(10);

/// An overlapped handle to a device. One thread uses it, with one request at a time.
#[derive(Debug)]
pub(crate) struct Handle {
    file: OwnedHandle,
    /// Signalled when the user wants to stop.
    stop: &'static OwnedHandle,
    one_thread: PhantomData<Cell<()>>,
}

/// A request: the kernel writes to its memory until it has completed.
struct Transfer {
    /// A block of its own on the heap. It is reached by this pointer only, since the kernel writes to it
    /// at any time.
    block: *mut IO_STATUS_BLOCK,
    event: OwnedHandle,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Drop for Transfer {
    fn drop(&mut self) {
        // SAFETY: the block was made by a Box, and the kernel is done with it: a transfer that has not
        // completed is never dropped.
        drop(unsafe { Box::from_raw(self.block) });
    }
}

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waited {
    Completed,
    Interrupted,
    TooLate,
}

impl Handle {
    /// Opens a device for reading and writing.
    ///
    /// # Errors
    /// [`Win32Error`]: it cannot be opened.
    pub(crate) fn open(path: &str) -> Result<Self, Win32Error> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE)
            .custom_flags(FILE_FLAG_OVERLAPPED)
            .open(path);
        let file = file.map_err(|error| Win32Error::of(&error))?;
        Ok(Self::of(file.into(), interrupt::on_ctrl_c()?))
    }

    /// An overlapped handle that is open already, and the event that gives its requests up.
    pub(crate) const fn of(file: OwnedHandle, stop: &'static OwnedHandle) -> Self {
        Self {
            file,
            stop,
            one_thread: PhantomData,
        }
    }

    fn transfer(
        &self,
        code: u32,
        input: &[u8],
        output: &mut [u8],
        within: Duration,
    ) -> Result<Completion, TargetError> {
        let input_length = length(input.len()).map_err(no_request)?;
        let output_length = length(output.len()).map_err(no_request)?;
        let mut transfer = Transfer {
            block: Box::into_raw(Box::default()),
            event: interrupt::event().map_err(no_request)?,
            input: input.to_vec(),
            output: vec![0; output.len()],
        };
        // The call of the reference page `NtDeviceIoControlFile`: it gives the status itself, where
        // DeviceIoControl gives the Win32 error that is nearest to it.
        // SAFETY: the handles are open. Block and buffers are on the heap and have the sizes that are
        // told; they stay there until the request has completed, or for ever when it does not: between
        // here and the end of the wait nothing drops the transfer.
        let begun = unsafe {
            NtDeviceIoControlFile(
                self.file.as_raw_handle(),
                transfer.event.as_raw_handle(),
                None,
                std::ptr::null(),
                transfer.block,
                code,
                transfer.input.as_ptr().cast(),
                input_length,
                transfer.output.as_mut_ptr().cast(),
                output_length,
            )
        };
        if status::is_error(begun) {
            // It never was a request that completes: the block is not written.
            return Ok(Completion {
                status: begun,
                information: 0,
            });
        }
        if begun == status::PENDING {
            match wait(&transfer.event, Some(self.stop), within) {
                Waited::Completed => {}
                why => return Err(self.give_up(transfer, why, within)),
            }
        }
        let (status, information) = outcome(&transfer);
        let written = transfer
            .output
            .get(..information)
            .unwrap_or(&transfer.output);
        if let Some(front) = output.get_mut(..written.len()) {
            front.copy_from_slice(written);
        }
        Ok(Completion {
            status,
            information,
        })
    }

    /// Cancels the request; gives the error.
    fn give_up(&self, transfer: Transfer, why: Waited, within: Duration) -> TargetError {
        // There is one request on this handle at a time, so that cancelling all cancels this one.
        // It may complete by itself meanwhile: then there is nothing to cancel, which is as good.
        // SAFETY: the handle is open; null means all requests.
        let _ = check(unsafe { CancelIoEx(self.file.as_raw_handle(), std::ptr::null()) });
        if wait(&transfer.event, None, CANCEL_DEADLINE) != Waited::Completed {
            // The kernel may still write to it: it has to stay where it is for the rest of the
            // process.
            std::mem::forget(transfer);
            return TargetError::NoAnswer {
                within,
                what: format!(
                    "the request was cancelled and did not complete within {} s either",
                    CANCEL_DEADLINE.as_secs()
                ),
            };
        }
        if why == Waited::Interrupted {
            TargetError::Interrupted
        } else {
            TargetError::NoAnswer {
                within,
                what: "the request was cancelled".to_owned(),
            }
        }
    }
}

/// Status and number of bytes of a request that has completed.
fn outcome(transfer: &Transfer) -> (NtStatus, usize) {
    // SAFETY: the block is live, and the kernel is done with it; it has written it behind the
    // compiler's back.
    let block = unsafe { transfer.block.read_volatile() };
    // SAFETY: a completed block holds a status.
    let status = unsafe { block.Anonymous.Status };
    (status, block.Information)
}

/// Waits until a request completes. On open handles a wait does not fail; if it does, it counts as too
/// late.
fn wait(event: &OwnedHandle, stop: Option<&OwnedHandle>, within: Duration) -> Waited {
    // The first of several that are signalled counts: a request that has completed is not cancelled.
    let event = event.as_raw_handle();
    let handles = [event, stop.map_or(event, AsRawHandle::as_raw_handle)];
    let count = if stop.is_some() { 2 } else { 1 };
    // 2^32 - 1 would mean for ever.
    let millis = u32::try_from(within.as_millis())
        .unwrap_or(u32::MAX)
        .min(u32::MAX - 1);
    // SAFETY: there are at least so many handles, and all are open.
    match unsafe { WaitForMultipleObjects(count, handles.as_ptr(), 0, millis) } {
        WAIT_OBJECT_0 => Waited::Completed,
        other if other == WAIT_OBJECT_0 + 1 => Waited::Interrupted,
        _ => Waited::TooLate,
    }
}

fn no_request(error: Win32Error) -> TargetError {
    TargetError::Failed(format!("the request could not be made: {error}"))
}

impl Device for Handle {
    fn ioctl(&self, code: u32, input: &[u8], output: &mut [u8]) -> Result<Completion, TargetError> {
        self.transfer(code, input, output, AT_ONCE)
    }

    fn ioctl_within(
        &self,
        code: u32,
        input: &[u8],
        output: &mut [u8],
        within: Duration,
    ) -> Result<Completion, TargetError> {
        self.transfer(code, input, output, within)
    }
}

#[cfg(test)]
mod tests;
