//! The memory that the driver may use, as the host sees it: every address that the driver hands
//! over is looked up here before the host reads or writes it.

mod pool;
mod raw;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use apclab_model::kernel::BugCheck;

pub(crate) use pool::{FreeError, Owner, Pool, Request, tag_text};

use crate::bugcheck;
use crate::image::Image;
use crate::mapping::Access;

/// What an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The image's writable data.
    Data,
    /// The image's code or read-only data.
    ReadOnly,
    /// A live pool allocation.
    Pool,
    /// The kernel stack of a thread.
    Stack,
}

/// All memory of one machine that driver code may touch.
#[derive(Debug)]
pub(crate) struct Memory {
    image: Option<Arc<Image>>,
    pub(crate) pool: Pool,
    stacks: BTreeMap<u64, u64>,
}

impl Memory {
    pub(crate) fn new(pool: Pool) -> Self {
        Self {
            image: None,
            pool,
            stacks: BTreeMap::new(),
        }
    }

    pub(crate) fn set_image(&mut self, image: Arc<Image>) {
        self.image = Some(image);
    }

    pub(crate) fn add_stack(&mut self, stack: &Range<u64>) {
        self.stacks.insert(stack.start, stack.end);
    }

    pub(crate) fn remove_stack(&mut self, stack: &Range<u64>) {
        self.stacks.remove(&stack.start);
    }

    /// What the `length` bytes at `address` belong to.
    pub(crate) fn place(&self, address: u64, length: u64) -> Option<Place> {
        let end = address.checked_add(length)?;
        let range = address..end;
        if let Some(access) = self.image.as_ref().and_then(|image| image.access(&range)) {
            return Some(match access {
                Access::ReadWrite => Place::Data,
                _ => Place::ReadOnly,
            });
        }
        if self.pool.holds(&range) {
            return Some(Place::Pool);
        }
        let (_, stack_end) = self.stacks.range(..=address).next_back()?;
        (end <= *stack_end).then_some(Place::Stack)
    }

    /// Whether the `length` bytes at `address` are writable memory that is never paged out and
    /// outlives the call: not a stack.
    pub(crate) fn nonpaged(&self, address: u64, length: u64) -> bool {
        match self.place(address, length) {
            Some(Place::Data) => true,
            Some(Place::Pool) => self
                .pool
                .around(address)
                .is_some_and(|(_, block)| !block.paged),
            _ => false,
        }
    }

    /// Reads `N` bytes.
    ///
    /// # Errors
    /// Bug check 0x50 when they are not all memory of the driver.
    pub(crate) fn read<const N: usize>(&self, address: u64) -> Result<[u8; N], BugCheck> {
        if self.place(address, N as u64).is_none() {
            return Err(self.bad_address(address, false));
        }
        let mut bytes = [0; N];
        raw::read(address, &mut bytes);
        Ok(bytes)
    }

    /// Reads `length` bytes.
    ///
    /// # Errors
    /// As [`Memory::read`].
    pub(crate) fn read_bytes(&self, address: u64, length: usize) -> Result<Vec<u8>, BugCheck> {
        if length == 0 {
            return Ok(Vec::new());
        }
        if self.place(address, length as u64).is_none() {
            return Err(self.bad_address(address, false));
        }
        let mut bytes = vec![0; length];
        raw::read(address, &mut bytes);
        Ok(bytes)
    }

    pub(crate) fn read_u8(&self, address: u64) -> Result<u8, BugCheck> {
        self.read(address).map(u8::from_le_bytes)
    }

    pub(crate) fn read_u16(&self, address: u64) -> Result<u16, BugCheck> {
        self.read(address).map(u16::from_le_bytes)
    }

    pub(crate) fn read_u32(&self, address: u64) -> Result<u32, BugCheck> {
        self.read(address).map(u32::from_le_bytes)
    }

    pub(crate) fn read_u64(&self, address: u64) -> Result<u64, BugCheck> {
        self.read(address).map(u64::from_le_bytes)
    }

    /// Writes `bytes`.
    ///
    /// # Errors
    /// Bug check 0x50 when the target is not memory that the driver may write.
    pub(crate) fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), BugCheck> {
        if bytes.is_empty() {
            return Ok(());
        }
        match self.place(address, bytes.len() as u64) {
            None | Some(Place::ReadOnly) => Err(self.bad_address(address, true)),
            Some(_) => {
                raw::write(address, bytes);
                Ok(())
            }
        }
    }

    pub(crate) fn write_u64(&mut self, address: u64, value: u64) -> Result<(), BugCheck> {
        self.write(address, &value.to_le_bytes())
    }

    /// Reads a string that ends with a zero byte, at most `limit` bytes of it.
    pub(crate) fn read_c_string(&self, address: u64, limit: u64) -> Result<String, BugCheck> {
        let mut bytes = Vec::new();
        for offset in 0..limit {
            match self.read_u8(address.wrapping_add(offset))? {
                0 => break,
                byte => bytes.push(byte),
            }
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Reads a `UNICODE_STRING` (length in bytes at 0, buffer at 8).
    pub(crate) fn read_unicode_string(&self, address: u64) -> Result<String, BugCheck> {
        let length = self.read_u16(address)?;
        let buffer = self.read_u64(address.wrapping_add(8))?;
        let bytes = self.read_bytes(buffer, usize::from(length))?;
        let units: Vec<u16> = bytes
            .chunks_exact(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        Ok(String::from_utf16_lossy(&units))
    }

    /// What an inaccessible address is near to, for a sentence.
    pub(crate) fn describe(&self, address: u64) -> String {
        if address < 0x1_0000 {
            return format!("{address:#x}, a null pointer");
        }
        match self.pool.describe(address) {
            Some(text) => format!("{address:#x}, {text}"),
            None => format!("{address:#x}"),
        }
    }

    /// `address` as `image+offset` when it lies in the image.
    pub(crate) fn code_name(&self, address: u64) -> String {
        match self.image.as_ref().and_then(|image| image.offset(address)) {
            Some(offset) => format!("driver+{offset:#x}"),
            None => format!("{address:#x}"),
        }
    }

    fn bad_address(&self, address: u64, write: bool) -> BugCheck {
        let verb = if write { "write to" } else { "read from" };
        bugcheck::check(
            bugcheck::PAGE_FAULT_IN_NONPAGED_AREA,
            [address, if write { 2 } else { 0 }, 0, 0],
            format!("the kernel was told to {verb} {}", self.describe(address)),
        )
    }
}
