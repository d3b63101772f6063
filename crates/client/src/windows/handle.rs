//! An overlapped handle: requests on it do not wait for each other, so that one can be cancelled.
#![allow(unsafe_code, reason = "requests are cancelled")]

use std::cell::Cell;
use std::fs::OpenOptions;
use std::marker::PhantomData;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::time::Duration;

use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_OVERLAPPED, FILE_SHARE_READ, FILE_SHARE_WRITE,
};
use windows_sys::Win32::System::IO::CancelIoEx;

use super::transfer::{Begun, Transfer, Waited};
use super::{Win32Error, check, interrupt};
use crate::TargetError;
use crate::session::{Completion, Device};

/// How long a request may take that does its work at once.
const AT_ONCE: Duration = Duration::from_secs(30);

/// How long a cancelled request may take to complete.
pub(crate) const CANCEL_DEADLINE: Duration = Duration::from_secs(10);

/// An overlapped handle to a device. One thread uses it, with one request at a time.
#[derive(Debug)]
pub(crate) struct Handle {
    file: OwnedHandle,
    /// Signalled when the user wants to stop.
    stop: &'static OwnedHandle,
    one_thread: PhantomData<Cell<()>>,
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

    /// Opens a device for requests that the system waits for itself.
    ///
    /// # Errors
    /// [`Win32Error`]: it cannot be opened.
    pub(crate) fn open_synchronous(path: &str) -> Result<OwnedHandle, Win32Error> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE)
            .open(path);
        file.map(OwnedHandle::from)
            .map_err(|error| Win32Error::of(&error))
    }

    /// An overlapped handle that is open already, and the event that gives its requests up.
    pub(crate) const fn of(file: OwnedHandle, stop: &'static OwnedHandle) -> Self {
        Self {
            file,
            stop,
            one_thread: PhantomData,
        }
    }

    /// Another handle to the same open device, for the threads of caller lanes.
    ///
    /// # Errors
    /// [`TargetError::Failed`]: there is no memory for it.
    pub(crate) fn duplicate(&self) -> Result<OwnedHandle, TargetError> {
        let file = self.file.try_clone();
        file.map_err(|error| no_request(Win32Error::of(&error)))
    }

    /// What is signaled when the user wants to stop.
    pub(crate) const fn stop(&self) -> &'static OwnedHandle {
        self.stop
    }

    fn transfer(
        &self,
        code: u32,
        input: &[u8],
        output: &mut [u8],
        within: Duration,
    ) -> Result<Completion, TargetError> {
        let mut transfer = Transfer::new(input, output.len()).map_err(no_request)?;
        let completion = match transfer.begin(&self.file, code) {
            Begun::Ended(completion) => completion,
            Begun::Pending => match transfer.wait(Some(self.stop), Some(within)) {
                Waited::Completed(completion) => completion,
                why => return Err(self.give_up(transfer, why, within)),
            },
        };
        let written = transfer.output(completion);
        if let Some(front) = output.get_mut(..written.len()) {
            front.copy_from_slice(written);
        }
        Ok(completion)
    }

    /// Cancels the request; gives the error.
    fn give_up(&self, mut transfer: Transfer, why: Waited, within: Duration) -> TargetError {
        // There is one request on this handle at a time, so that cancelling all cancels this one.
        cancel(&self.file);
        if transfer.wait(None, Some(CANCEL_DEADLINE)) == Waited::TooLate {
            return never_completed(within);
        }
        if why == Waited::Stopped {
            TargetError::Interrupted
        } else {
            TargetError::NoAnswer {
                within,
                what: "the request was cancelled".to_owned(),
            }
        }
    }
}

/// Cancels every request on a handle. One that completes by itself meanwhile is as good.
pub(crate) fn cancel(file: &OwnedHandle) {
    // SAFETY: the handle is open; null means all requests.
    let _ = check(unsafe { CancelIoEx(file.as_raw_handle(), std::ptr::null()) });
}

/// A request that has not completed after it was cancelled.
pub(crate) fn never_completed(within: Duration) -> TargetError {
    TargetError::NoAnswer {
        within,
        what: format!(
            "the request was cancelled and did not complete within {} s either",
            CANCEL_DEADLINE.as_secs()
        ),
    }
}

pub(crate) fn no_request(error: Win32Error) -> TargetError {
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
