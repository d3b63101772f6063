//! Events of this process.
#![allow(unsafe_code, reason = "the routines of events")]

use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle, RawHandle};
use std::time::Duration;

use windows_sys::Win32::Foundation::WAIT_OBJECT_0;
use windows_sys::Win32::System::Threading::{
    CreateEventW, INFINITE, ResetEvent, SetEvent, WaitForSingleObject,
};

use super::Win32Error;

/// When an event is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reset {
    /// By hand.
    Manual,
    /// When it has released one thread.
    Auto,
}

/// An event. It begins not signaled.
#[derive(Debug)]
pub(crate) struct Event(OwnedHandle);

impl Event {
    /// A new event.
    ///
    /// # Errors
    /// [`Win32Error`]: there is no memory for it.
    pub(crate) fn new(reset: Reset) -> Result<Self, Win32Error> {
        let manual = i32::from(reset == Reset::Manual);
        // SAFETY: neither attributes nor a name are needed.
        let event = unsafe { CreateEventW(std::ptr::null(), manual, 0, std::ptr::null()) };
        if event.is_null() {
            return Err(Win32Error::last());
        }
        // SAFETY: the handle was just made, and nobody else has it.
        Ok(Self(unsafe { OwnedHandle::from_raw_handle(event) }))
    }

    /// Signals it. On an open handle of an event that does not fail.
    pub(crate) fn set(&self) {
        // SAFETY: the handle is open.
        unsafe { SetEvent(self.as_raw_handle()) };
    }

    /// Resets it. On an open handle of an event that does not fail.
    pub(crate) fn reset(&self) {
        // SAFETY: the handle is open.
        unsafe { ResetEvent(self.as_raw_handle()) };
    }

    /// Waits until it is signaled, for ever without a limit; whether it is.
    pub(crate) fn wait(&self, limit: Option<Duration>) -> bool {
        wait(self, limit)
    }
}

impl AsRawHandle for Event {
    fn as_raw_handle(&self) -> RawHandle {
        self.0.as_raw_handle()
    }
}

impl From<Event> for OwnedHandle {
    fn from(event: Event) -> Self {
        event.0
    }
}

/// Waits until an object is signaled, for ever without a limit; whether it is. Not alertable.
pub(crate) fn wait(object: &impl AsRawHandle, limit: Option<Duration>) -> bool {
    // SAFETY: the handle is open.
    let waited = unsafe { WaitForSingleObject(object.as_raw_handle(), millis(limit)) };
    waited == WAIT_OBJECT_0
}

/// A limit as Windows takes it.
pub(super) fn millis(limit: Option<Duration>) -> u32 {
    limit.map_or(INFINITE, |limit| {
        u32::try_from(limit.as_millis())
            .unwrap_or(INFINITE)
            .min(INFINITE - 1)
    })
}
