//! One interface to everything that can run a program: the model, the real driver in the host, and
//! the driver that Windows has loaded.
//!
//! | module | holds |
//! |---|---|
//! | [`target`] | the [`Target`] trait, what a run is asked for and what it gives |
//! | [`error`] | why a target gave no answer, in sentences that say what to do |
//! | [`session`] | the IOCTL conversation with the driver, over any [`session::Device`] |
//! | [`device`] | the driver that Windows has loaded |
//! | [`callers`] | what a thread of user mode does with its caller lane |
//! | [`host`] | the real `apclab.sys` in a simulated machine |
//! | [`model`] | the model as a target |
//! | [`prediction`] | which outcomes the model allows a program |
//! | [`exploration`] | everything that the model lets a program do, each with a shortest path |
//! | [`faults`] | the host with a call that fails |
//! | [`schedules`] | the host as a deterministic machine |
//! | [`locate`] | where the built driver is |
//! | [`surroundings`] | what a result depends on, beside target and driver |
//! | [`journal`] | which test runs, on the disk before it runs |
//! | [`setup`] | installs the driver and Driver Verifier, and takes them away again |

pub mod callers;
mod deadlocks;
pub mod device;
pub mod error;
pub mod exploration;
pub mod faults;
pub mod host;
mod iterations;
pub mod journal;
pub mod locate;
pub mod model;
pub mod prediction;
pub mod schedules;
pub mod session;
pub mod setup;
pub mod surroundings;
pub mod target;
#[cfg(windows)]
mod windows;
mod witness;

pub use error::TargetError;
pub use host::HostTarget;
pub use model::ModelTarget;
pub use prediction::Prediction;
pub use surroundings::Surroundings;
pub use target::{CallContext, Info, RunOptions, RunOutcome, RunResult, Target};
