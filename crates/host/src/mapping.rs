//! Reserved address ranges: the image, the kernel stacks, the pool, the thunks.
#![allow(unsafe_code, reason = "maps and unmaps memory by system calls")]

use std::io;
use std::ops::Range;

/// The size of a page, also that of the simulated machine.
pub(crate) const PAGE: usize = 4096;

/// What may be done with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    None,
    Read,
    ReadWrite,
    ReadExecute,
}

impl Access {
    fn bits(self) -> i32 {
        match self {
            Self::None => libc::PROT_NONE,
            Self::Read => libc::PROT_READ,
            Self::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
            Self::ReadExecute => libc::PROT_READ | libc::PROT_EXEC,
        }
    }
}

/// A private anonymous mapping, inaccessible at first, unmapped when dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: usize,
    length: usize,
}

impl Mapping {
    /// Reserves `length` bytes, rounded up to whole pages, without access.
    pub(crate) fn reserve(length: usize) -> io::Result<Self> {
        let length = length.next_multiple_of(PAGE);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no memory
        // that anybody else owns.
        let base =
            unsafe { libc::mmap(std::ptr::null_mut(), length, libc::PROT_NONE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            base: base as usize,
            length,
        })
    }

    pub(crate) fn base(&self) -> usize {
        self.base
    }

    /// The addresses of the mapping.
    pub(crate) fn range(&self) -> Range<usize> {
        self.base..self.base + self.length
    }

    /// Changes the access to `pages`, byte offsets from the base that are page-aligned.
    pub(crate) fn protect(&self, pages: Range<usize>, access: Access) -> io::Result<()> {
        assert!(
            pages.start <= pages.end && pages.end <= self.length,
            "pages of this mapping"
        );
        let start = (self.base + pages.start) as *mut libc::c_void;
        // SAFETY: the range lies inside this mapping, which nobody but its owner uses.
        let result = unsafe { libc::mprotect(start, pages.len(), access.bits()) };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Gives the memory of `pages` back; when accessible again they read as zeros.
    pub(crate) fn discard(&self, pages: Range<usize>) -> io::Result<()> {
        assert!(
            pages.start <= pages.end && pages.end <= self.length,
            "pages of this mapping"
        );
        let start = (self.base + pages.start) as *mut libc::c_void;
        // SAFETY: the range lies inside this private mapping; its owner has no use for the content.
        let result = unsafe { libc::madvise(start, pages.len(), libc::MADV_DONTNEED) };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// How many words at the start of `bytes`, page-aligned offsets of readable pages, are zero.
    /// Whoever writes there is the calling thread.
    pub(crate) fn zero_words(&self, bytes: Range<usize>) -> usize {
        assert!(
            bytes.start <= bytes.end && bytes.end <= self.length,
            "inside this mapping"
        );
        let start = (self.base + bytes.start) as *const u64;
        let count = bytes.len() / size_of::<u64>();
        // SAFETY: the range lies inside this mapping, is readable by the caller's guarantee,
        // aligned, and not written to meanwhile.
        let words = unsafe { std::slice::from_raw_parts(start, count) };
        words.iter().position(|&word| word != 0).unwrap_or(count)
    }

    /// Copies `bytes` to `offset`; the pages there must be writable.
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) {
        let end = offset.checked_add(bytes.len());
        assert!(
            end.is_some_and(|end| end <= self.length),
            "inside this mapping"
        );
        let target = (self.base + offset) as *mut u8;
        // SAFETY: the target lies inside this mapping and is writable by the caller's guarantee.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and its owner has seen to it that nothing
        // points into it any more.
        let result = unsafe { libc::munmap(self.base as *mut libc::c_void, self.length) };
        debug_assert_eq!(result, 0, "unmapping what was mapped");
    }
}
