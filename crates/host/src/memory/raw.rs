//! Copies between the host and addresses that the machine's memory map has approved.
#![allow(unsafe_code, reason = "reads and writes memory by address")]

/// Reads `bytes.len()` bytes at `address`, which the caller has looked up in the memory map and
/// keeps mapped by holding the machine's lock.
pub(super) fn read(address: u64, bytes: &mut [u8]) {
    let source = address as *const u8;
    // SAFETY: the caller has looked the range up: it is mapped and readable, and the lock that
    // the caller holds keeps it so. The driver writing to it meanwhile is the driver's race.
    unsafe { std::ptr::copy_nonoverlapping(source, bytes.as_mut_ptr(), bytes.len()) };
}

/// Writes `bytes` at `address`, under the same conditions.
pub(super) fn write(address: u64, bytes: &[u8]) {
    let target = address as *mut u8;
    // SAFETY: the caller has looked the range up: it is mapped and writable, belongs to the
    // driver and no Rust reference points into it, and the caller's lock keeps it mapped.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
}

/// Fills `length` bytes at `address` with `byte`, under the same conditions.
pub(super) fn fill(address: u64, byte: u8, length: usize) {
    let target = address as *mut u8;
    // SAFETY: as for `write`.
    unsafe { std::ptr::write_bytes(target, byte, length) };
}
