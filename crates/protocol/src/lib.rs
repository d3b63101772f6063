//! The border between user mode and the driver: IOCTL codes, the bytes that cross it, the program
//! format and the verifier that decides what may run in ring 0.
//!
//! Driver and user mode use this one crate, so that neither can drift from the other. It neither
//! allocates nor has any `unsafe`; all numbers are little-endian; no function here panics, whatever
//! the bytes.
//!
//! | module | holds |
//! |---|---|
//! | [`call`] | what a thread of user mode says for its caller lane |
//! | [`ioctl`] | control codes, names of the device, its interface GUID |
//! | [`message`] | requests and replies, byte by byte |
//! | [`program`] | the program format: a view over borrowed bytes |
//! | [`step`](mod@step) | the 16-byte steps of a lane |
//! | [`verify`] | what the driver accepts, and why it refuses the rest |
//! | [`status`] | the NTSTATUS values that requests complete with |
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;

#[cfg(feature = "alloc")]
pub mod build;
mod bytes;
pub mod call;
pub mod ioctl;
pub mod limits;
pub mod message;
pub mod program;
pub mod status;
pub mod step;
pub mod trace;
pub mod verify;

/// Version of everything in this crate that crosses the IOCTL border. A driver refuses requests of
/// any other version with [`status::REVISION_MISMATCH`].
pub const VERSION: u16 = 3;
