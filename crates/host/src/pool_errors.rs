//! The bug checks for a free that the pool refuses.

use apclab_model::kernel::BugCheck;

use crate::bugcheck::{self, check};
use crate::memory::{FreeError, Memory};

/// The bug check for `error`, which freeing `address` gave.
pub(crate) fn free_error(memory: &Memory, address: u64, error: &FreeError) -> BugCheck {
    match error {
        FreeError::AlreadyFreed => check(
            bugcheck::BAD_POOL_CALLER,
            [0x7, 0, 0, address],
            format!("the pool at {address:#x} was freed twice"),
        ),
        FreeError::NotAllocated => check(
            bugcheck::BAD_POOL_CALLER,
            [0x46, address, 0, 0],
            format!(
                "{} was freed, which is no allocation",
                memory.describe(address)
            ),
        ),
        FreeError::Corrupted(distance) => check(
            bugcheck::SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION,
            [address, distance.cast_unsigned(), 0, 0x23],
            format!(
                "bytes outside the pool allocation at {address:#x} were changed, the first at \
                 distance {distance} from its start"
            ),
        ),
    }
}
