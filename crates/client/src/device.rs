//! The driver that Windows has loaded, asked through its IOCTLs and nothing else.
//!
//! What does not need Windows is apart, so that it is tested everywhere: [`node`] and [`problem`] make
//! sentences of what Windows says.

pub mod node;
pub mod problem;

#[cfg(windows)]
mod target;

use crate::{Target, TargetError};

#[cfg(windows)]
pub use target::DeviceTarget;

/// Opens the device.
///
/// # Errors
/// [`TargetError::NotAvailable`], with what to do about it; [`TargetError::Version`].
#[cfg(windows)]
pub fn open() -> Result<Box<dyn Target>, TargetError> {
    Ok(Box::new(DeviceTarget::open()?))
}

/// Opens the device.
///
/// # Errors
/// [`TargetError::NotAvailable`]: this is not Windows.
#[cfg(not(windows))]
pub fn open() -> Result<Box<dyn Target>, TargetError> {
    Err(TargetError::NotAvailable(
        "the device is that of a driver which Windows has loaded, and this is not Windows: here there \
         are --on host and --on model"
            .to_owned(),
    ))
}

/// Seconds since the machine was started.
#[cfg(windows)]
pub fn uptime() -> Option<u64> {
    Some(crate::windows::facts::uptime())
}

/// Seconds since the machine was started.
#[cfg(not(windows))]
pub fn uptime() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    text.split('.').next()?.parse().ok()
}
