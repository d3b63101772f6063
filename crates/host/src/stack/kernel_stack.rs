//! A kernel stack: 24 KB, as on x64 Windows, with inaccessible memory below it.

use std::io;
use std::ops::Range;

use crate::mapping::{Access, Mapping, PAGE};

/// The size of a kernel stack on x64, in bytes (docs/semantics.md, section 5).
pub(crate) const SIZE: usize = 24 << 10;
/// The inaccessible part below.
const GUARD: usize = 16 * PAGE;
/// Room above the first frame. The switch reads a fixed number of argument words whether or not
/// the callee has that many, so those of the outermost frame must exist.
const HEADROOM: usize = PAGE;

/// The kernel stack of one thread.
#[derive(Debug)]
pub(crate) struct KernelStack {
    mapping: Mapping,
}

impl KernelStack {
    pub(crate) fn new() -> io::Result<Self> {
        let mapping = Mapping::reserve(GUARD + SIZE + HEADROOM)?;
        mapping.protect(GUARD..GUARD + SIZE + HEADROOM, Access::ReadWrite)?;
        Ok(Self { mapping })
    }

    /// Where the first frame goes, 16-aligned.
    pub(crate) fn top(&self) -> u64 {
        (self.mapping.base() + GUARD + SIZE) as u64
    }

    /// The addresses that the driver may use: `SIZE` bytes below the top, and the headroom.
    pub(crate) fn usable(&self) -> Range<u64> {
        let base = (self.mapping.base() + GUARD) as u64;
        base..self.mapping.range().end as u64
    }

    /// How many bytes below the top have ever been used: all below that are still zero.
    pub(crate) fn used(&self) -> usize {
        let unused = self.mapping.zero_words(GUARD..GUARD + SIZE);
        SIZE - unused * size_of::<u64>()
    }

    /// The inaccessible addresses below the stack.
    pub(crate) fn guard(&self) -> Range<u64> {
        let base = self.mapping.base() as u64;
        base..base + GUARD as u64
    }
}
