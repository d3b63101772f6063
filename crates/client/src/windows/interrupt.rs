//! Ctrl-C, as an event that a request is waited for together with.
#![allow(unsafe_code, reason = "the console's handler and its event")]

use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::sync::OnceLock;

use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler};
use windows_sys::Win32::System::Threading::{SetEvent, WaitForSingleObject};

use super::event::{Event, Reset};
use super::{Win32Error, check};

static INTERRUPTED: OnceLock<OwnedHandle> = OnceLock::new();

/// A new event that stays signalled until it is reset.
///
/// # Errors
/// [`Win32Error`]: there is no memory for it.
pub(crate) fn event() -> Result<OwnedHandle, Win32Error> {
    Ok(Event::new(Reset::Manual)?.into())
}

/// The event that Ctrl-C and Ctrl-Break signal from the first call on. A second Ctrl-C ends the
/// process, as it does everywhere.
///
/// # Errors
/// [`Win32Error`]: there is no event.
pub(crate) fn on_ctrl_c() -> Result<&'static OwnedHandle, Win32Error> {
    if INTERRUPTED.get().is_none() {
        let event = event()?;
        if INTERRUPTED.set(event).is_ok() {
            // A process without a console has no handler, and gets no Ctrl-C either.
            // SAFETY: the handler is a function of this program, which stays where it is.
            let _ = check(unsafe { SetConsoleCtrlHandler(Some(handler), 1) });
        }
    }
    // No event can be missing here but for an error above.
    INTERRUPTED.get().ok_or(Win32Error(0))
}

/// Runs on a thread of its own that Windows makes.
unsafe extern "system" fn handler(kind: u32) -> i32 {
    if kind != CTRL_C_EVENT && kind != CTRL_BREAK_EVENT {
        return 0;
    }
    let Some(event) = INTERRUPTED.get() else {
        return 0;
    };
    // SAFETY: the event lives as long as the process.
    let state = unsafe { WaitForSingleObject(event.as_raw_handle(), 0) };
    if state == 0 {
        // It was signalled before: the user means it.
        return 0;
    }
    // SAFETY: as above.
    unsafe { SetEvent(event.as_raw_handle()) }
}
