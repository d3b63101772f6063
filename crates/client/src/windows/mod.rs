//! What is asked of Windows itself. Nothing here is newer than Windows 7; what is newer, or may be
//! missing on a partial implementation, is looked up at run time.

pub(crate) mod crew;
pub(crate) mod device_sets;
pub(crate) mod event;
pub(crate) mod facts;
pub(crate) mod handle;
pub(crate) mod installer;
pub(crate) mod interrupt;
pub(crate) mod library;
pub(crate) mod registry;
pub(crate) mod service;
pub(crate) mod transfer;

use std::io;

/// A Win32 error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Win32Error(pub(crate) u32);

impl Win32Error {
    /// The calling thread's last error.
    pub(crate) fn last() -> Self {
        Self::of(&io::Error::last_os_error())
    }

    /// The code of an error of the standard library's; 0 when it has none.
    pub(crate) fn of(error: &io::Error) -> Self {
        Self(error.raw_os_error().map_or(0, i32::cast_unsigned))
    }

    /// What the system calls it.
    pub(crate) fn text(self) -> String {
        /// The errors of SetupAPI's own, of which the system's tables have no text.
        const SETUP_API: u32 = 0xE000_0000;
        if self.0 & SETUP_API == SETUP_API {
            return format!("SetupAPI error {:#x}", self.0);
        }
        io::Error::from_raw_os_error(self.0.cast_signed()).to_string()
    }
}

impl std::fmt::Display for Win32Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text())
    }
}

/// The result of a function that gives FALSE for failure and sets the last error.
pub(crate) fn check(answer: i32) -> Result<(), Win32Error> {
    if answer == 0 {
        Err(Win32Error::last())
    } else {
        Ok(())
    }
}

/// A string with a zero at its end.
pub(crate) fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// A string up to its zero.
pub(crate) fn narrow(units: &[u16]) -> String {
    String::from_utf16_lossy(units.split(|unit| *unit == 0).next().unwrap_or(&[]))
}

/// The size of a structure, as Windows wants it told.
#[allow(
    clippy::cast_possible_truncation,
    reason = "no structure comes near 4 GiB"
)]
pub(crate) const fn size<T>() -> u32 {
    size_of::<T>() as u32
}

/// A length that Windows takes as a `u32`.
pub(crate) fn length(length: usize) -> Result<u32, Win32Error> {
    const INVALID_PARAMETER: u32 = 87;
    u32::try_from(length).map_err(|_| Win32Error(INVALID_PARAMETER))
}
