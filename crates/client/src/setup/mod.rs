//! Installs the driver and Driver Verifier on a test machine, and takes them away again.
//!
//! What a command will do is a [`Plan`], made from what is there ([`State`]) before anything is
//! changed. It can be shown without being carried out. When a step of it fails, the steps before it
//! are undone.

pub mod package;
pub mod plan;
pub mod state;
pub mod verifier;

#[cfg(windows)]
mod this_system;

#[cfg(test)]
mod tests;

use crate::TargetError;

pub use plan::{Action, Done, Plan, Stopped, System, carry_out};
pub use state::State;

/// The hardware ID by which the INF knows the device.
pub const HARDWARE_ID: &str = r"Root\apclab";

/// The service of the driver, which the INF names too.
pub const SERVICE: &str = "apclab";

/// The driver's file, as Driver Verifier names it.
pub const DRIVER_FILE: &str = "apclab.sys";

/// Looks at what is installed on this machine.
///
/// # Errors
/// [`TargetError::NotAvailable`] on a system other than Windows; [`TargetError::Failed`] when Windows
/// does not tell.
#[cfg(windows)]
pub fn observe() -> Result<State, TargetError> {
    this_system::observe().map_err(TargetError::Failed)
}

/// Looks at what is installed on this machine.
///
/// # Errors
/// [`TargetError::NotAvailable`]: this is not Windows.
#[cfg(not(windows))]
pub fn observe() -> Result<State, TargetError> {
    Err(not_windows())
}

/// This machine, for [`carry_out`].
///
/// # Errors
/// [`TargetError::NotAvailable`] on a system other than Windows.
#[cfg(windows)]
#[allow(
    clippy::unnecessary_wraps,
    reason = "on other systems there is nothing to give"
)]
pub fn this_system() -> Result<Box<dyn System>, TargetError> {
    Ok(Box::new(this_system::ThisSystem))
}

/// This machine, for [`carry_out`].
///
/// # Errors
/// [`TargetError::NotAvailable`]: this is not Windows.
#[cfg(not(windows))]
pub fn this_system() -> Result<Box<dyn System>, TargetError> {
    Err(not_windows())
}

#[cfg(not(windows))]
fn not_windows() -> TargetError {
    TargetError::NotAvailable(
        "drivers are installed on Windows only: run this on the test machine; --dry-run shows here \
         what it would do there"
            .to_owned(),
    )
}
