//! `WDF_OBJECT_ATTRIBUTES`, read from the driver's memory.

use apclab_model::kernel::BugCheck;

use crate::memory::Memory;
use crate::status;

/// What an object's attributes say about its life and its context.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attributes {
    pub(super) cleanup: u64,
    pub(super) destroy: u64,
    pub(super) parent: u64,
    /// The context's unique type; 0 for no context.
    pub(super) context_type: u64,
    pub(super) context_size: u64,
}

impl Attributes {
    /// The size of the structure.
    const SIZE: u32 = 56;

    /// Reads the attributes at `address`; null stands for none (`WDF_NO_OBJECT_ATTRIBUTES`). The
    /// inner error is the status for the driver.
    pub(super) fn read(memory: &Memory, address: u64) -> Result<Result<Self, i32>, BugCheck> {
        if address == 0 {
            return Ok(Ok(Self::default()));
        }
        if memory.read_u32(address)? != Self::SIZE {
            return Ok(Err(status::INFO_LENGTH_MISMATCH));
        }
        let word = |offset: u64| memory.read_u64(address.wrapping_add(offset));
        let (size_override, type_info) = (word(40)?, word(48)?);
        let (context_type, context_size) = if type_info == 0 {
            (0, 0)
        } else {
            let size = memory.read_u64(type_info.wrapping_add(16))?;
            let unique = unique_type(memory, type_info)?;
            (
                unique,
                if size_override == 0 {
                    size
                } else {
                    size_override
                },
            )
        };
        Ok(Ok(Self {
            cleanup: word(8)?,
            destroy: word(16)?,
            parent: word(32)?,
            context_type,
            context_size,
        }))
    }
}

/// The address by which a context type is known: its UniqueType, or itself.
pub(super) fn unique_type(memory: &Memory, type_info: u64) -> Result<u64, BugCheck> {
    let unique = memory.read_u64(type_info.wrapping_add(24))?;
    Ok(if unique == 0 { type_info } else { unique })
}
