//! The same work twice: with the guards, and with the kernel's routines as a C driver calls them.
//!
//! Nothing runs this image. `cargo xtask bench` disassembles each pair and compares the two.
//! `guarded_x` and `raw_x` are exported and take the same arguments: a lock's address, and a function
//! that stands for the work inside.
#![no_std]
#![allow(
    unsafe_code,
    reason = "the raw halves call the kernel as a C driver does"
)]

use wdk_panic as _;

pub mod guarded;
pub mod raw;

use wdk_sys::{DRIVER_OBJECT, NTSTATUS, PCUNICODE_STRING};

/// The work inside a region. Its address is an argument, so that neither half can look inside.
pub type Work = extern "C" fn();

/// STATUS_NOT_SUPPORTED.
const NOT_SUPPORTED: NTSTATUS = 0xC000_00BB_u32.cast_signed();

/// Refuses to load: the image is for reading.
///
/// # Safety
/// The caller is the framework's entry point.
// SAFETY: the symbol's name is the framework's, and this image defines it once.
#[unsafe(export_name = "DriverEntry")]
pub unsafe extern "system" fn driver_entry(
    _driver: &mut DRIVER_OBJECT,
    _registry_path: PCUNICODE_STRING,
) -> NTSTATUS {
    NOT_SUPPORTED
}
