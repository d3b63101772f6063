//! A minimal KMDF driver: it adds up numbers that user mode sends.
//!
//! Everything that concurrent requests share is under the guards of `apclab-guards`, and what protects
//! what stands in the types of [`state::State`]. It needs no global allocator: locks bring their own
//! nonpaged memory.
//!
//! | IOCTL | input | output |
//! |---|---|---|
//! | [`ADD`] | a `u32` to add | |
//! | [`READ`] | | three `u64`: how many numbers, their sum, the last |
#![no_std]

mod framework;
mod state;

// The crate is the panic handler: it is linked for that alone.
use wdk_panic as _;

/// CTL_CODE(FILE_DEVICE_UNKNOWN, 0x900, METHOD_BUFFERED, FILE_ANY_ACCESS).
pub const ADD: u32 = 0x0022_2400;
/// CTL_CODE(FILE_DEVICE_UNKNOWN, 0x901, METHOD_BUFFERED, FILE_ANY_ACCESS).
pub const READ: u32 = 0x0022_2404;
