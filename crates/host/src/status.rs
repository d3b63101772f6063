//! NTSTATUS values that the host returns, by their names in ntstatus.h.

pub(crate) const SUCCESS: i32 = 0;
pub(crate) const USER_APC: i32 = 0xC0;
pub(crate) const TIMEOUT: i32 = 0x102;
pub(crate) const PENDING: i32 = 0x103;
pub(crate) const OBJECT_NAME_NOT_FOUND: i32 = code(0xC000_0034);
pub(crate) const UNSUCCESSFUL: i32 = code(0xC000_0001);
pub(crate) const INFO_LENGTH_MISMATCH: i32 = code(0xC000_0004);
pub(crate) const INVALID_HANDLE: i32 = code(0xC000_0008);
pub(crate) const INVALID_PARAMETER: i32 = code(0xC000_000D);
pub(crate) const NO_SUCH_DEVICE: i32 = code(0xC000_000E);
pub(crate) const INVALID_DEVICE_REQUEST: i32 = code(0xC000_0010);
pub(crate) const BUFFER_TOO_SMALL: i32 = code(0xC000_0023);
pub(crate) const OBJECT_TYPE_MISMATCH: i32 = code(0xC000_0024);
pub(crate) const OBJECT_NAME_COLLISION: i32 = code(0xC000_0035);
pub(crate) const INSUFFICIENT_RESOURCES: i32 = code(0xC000_009A);
pub(crate) const INVALID_DEVICE_STATE: i32 = code(0xC000_0184);
pub(crate) const CANCELLED: i32 = code(0xC000_0120);

const fn code(value: u32) -> i32 {
    i32::from_le_bytes(value.to_le_bytes())
}

/// Whether a status counts as success (`NT_SUCCESS`).
pub(crate) const fn is_success(status: i32) -> bool {
    status >= 0
}

/// Whether a status is of the error class (`NT_ERROR`), for which the I/O manager copies no
/// output back.
pub(crate) const fn is_error(status: i32) -> bool {
    status.cast_unsigned() >> 30 == 3
}

/// The register value in which a function returns a status.
pub(crate) const fn word(status: i32) -> u64 {
    status.cast_unsigned() as u64
}

/// The status in the result register of a function.
#[allow(
    clippy::cast_possible_truncation,
    reason = "the upper half of the register is undefined"
)]
pub(crate) const fn from_word(word: u64) -> i32 {
    (word as u32).cast_signed()
}
