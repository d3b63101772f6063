//! A test driver: it uses every form of the guards on the kernel that it is loaded into, and says which did
//! not do what it should.
//!
//! It has the interface of the minimal driver, whose framework part it shares: [`ADD`] runs the exercise
//! with that number, [`READ`] tells how many ran, how many passed, and the last number.
#![no_std]

#[path = "../../minimal-driver/src/framework.rs"]
mod framework;
mod locks;
mod regions;
mod state;
mod thread;
mod unscoped;

// The crate is the panic handler: it is linked for that alone.
use wdk_panic as _;

/// CTL_CODE(FILE_DEVICE_UNKNOWN, 0x900, METHOD_BUFFERED, FILE_ANY_ACCESS).
pub const ADD: u32 = 0x0022_2400;
/// CTL_CODE(FILE_DEVICE_UNKNOWN, 0x901, METHOD_BUFFERED, FILE_ANY_ACCESS).
pub const READ: u32 = 0x0022_2404;
