//! The pool, in the manner of Driver Verifier's special pool: every allocation has pages of its
//! own and ends where they end, with an inaccessible page behind it, and freed pages stay
//! inaccessible for a while. So the first byte too far and the first use after free fault.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use super::raw;
use crate::mapping::{Access, Mapping, PAGE};

/// Who an allocation belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The driver, which must free it.
    Driver,
    /// The kernel or the framework, which free it themselves.
    System,
}

/// What an allocation is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// The size in bytes, not 0.
    pub(crate) size: usize,
    pub(crate) tag: u32,
    pub(crate) owner: Owner,
    pub(crate) paged: bool,
    pub(crate) zeroed: bool,
    /// The return address of the call that makes it.
    pub(crate) caller: u64,
}

impl Request {
    /// Zeroed nonpaged memory that the system frees itself.
    pub(crate) fn system(size: usize, tag: u32) -> Self {
        let owner = Owner::System;
        Self {
            size,
            tag,
            owner,
            paged: false,
            zeroed: true,
            caller: 0,
        }
    }
}

/// One allocation.
#[derive(Clone, Debug)]
pub(crate) struct Allocation {
    pub(crate) size: usize,
    pub(crate) tag: u32,
    pub(crate) owner: Owner,
    pub(crate) paged: bool,
    /// The return address of the call that made it.
    pub(crate) caller: u64,
    pages: Range<usize>,
}

/// Why a block was not freed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FreeError {
    /// No allocation starts there.
    NotAllocated,
    /// The allocation that started there has been freed.
    AlreadyFreed,
    /// The bytes around it within its pages were changed, at this distance from its start.
    Corrupted(i64),
}

#[derive(Clone, Debug)]
struct Freed {
    start: u64,
    size: usize,
    tag: u32,
    pages: Range<usize>,
}

/// The address space of the pool: 16 GiB, of which only what is in use costs anything.
const RESERVED: usize = 16 << 30;
/// How many freed blocks stay inaccessible before their addresses are used again.
const QUARANTINE: usize = 1024;
/// How many bytes ahead of a block are watched. Behind it every byte is.
const AHEAD: usize = 64;
/// The content of what nobody has written.
const FILL: u8 = 0xCD;

/// The pool of one machine.
#[derive(Debug)]
pub(crate) struct Pool {
    mapping: Mapping,
    live: BTreeMap<u64, Allocation>,
    quarantine: VecDeque<Freed>,
    /// Free page ranges that can be used again, by their number of pages.
    reusable: BTreeMap<usize, Vec<usize>>,
    /// Where the never used part begins.
    frontier: usize,
    /// How many allocations the driver has made or tried to make.
    pub(crate) requests: u64,
}

impl Pool {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            mapping: Mapping::reserve(RESERVED)?,
            live: BTreeMap::new(),
            quarantine: VecDeque::new(),
            reusable: BTreeMap::new(),
            frontier: 0,
            requests: 0,
        })
    }

    /// Allocates memory; `None` when there is none.
    pub(crate) fn allocate(&mut self, request: Request) -> Option<u64> {
        let Request {
            size,
            tag,
            owner,
            paged,
            zeroed,
            caller,
        } = request;
        assert!(size > 0, "the caller refuses empty allocations");
        let rounded = size.checked_next_multiple_of(16)?;
        let bytes = rounded.checked_next_multiple_of(PAGE)?;
        // One page more, which stays inaccessible.
        let whole = bytes.checked_add(PAGE)?;
        let reused = self.reusable.get_mut(&whole).and_then(Vec::pop);
        let first = if let Some(first) = reused {
            first
        } else {
            let first = self.frontier;
            self.frontier = first.checked_add(whole).filter(|&end| end <= RESERVED)?;
            first
        };
        let own = first..first + bytes;
        if self
            .mapping
            .protect(own.clone(), Access::ReadWrite)
            .is_err()
        {
            self.reusable.entry(whole).or_default().push(first);
            return None;
        }
        let begin = (self.mapping.base() + first) as u64;
        let start = begin + (bytes - rounded) as u64;
        let ahead = (bytes - rounded).min(AHEAD);
        raw::fill(start - ahead as u64, FILL, ahead);
        if rounded > size {
            raw::fill(start + size as u64, FILL, rounded - size);
        }
        if !zeroed {
            raw::fill(start, FILL, size);
        }
        self.live.insert(
            start,
            Allocation {
                size,
                tag,
                owner,
                paged,
                caller,
                pages: own,
            },
        );
        Some(start)
    }

    /// The allocation that starts at `start`.
    pub(crate) fn get(&self, start: u64) -> Option<&Allocation> {
        self.live.get(&start)
    }

    /// Whether the range lies inside one live allocation.
    pub(crate) fn holds(&self, range: &Range<u64>) -> bool {
        self.live
            .range(..=range.start)
            .next_back()
            .is_some_and(|(start, block)| range.end <= start + block.size as u64)
    }

    /// The live allocation around `address`.
    pub(crate) fn around(&self, address: u64) -> Option<(u64, &Allocation)> {
        let (start, block) = self.live.range(..=address).next_back()?;
        (address < start + block.size as u64).then_some((*start, block))
    }

    /// Frees the allocation at `start`.
    pub(crate) fn free(&mut self, start: u64) -> Result<Allocation, FreeError> {
        let Some(block) = self.live.get(&start) else {
            let freed = self.quarantine.iter().any(|freed| freed.start == start);
            return Err(if freed {
                FreeError::AlreadyFreed
            } else {
                FreeError::NotAllocated
            });
        };
        if let Some(distance) = self.corrupted(start, block) {
            return Err(FreeError::Corrupted(distance));
        }
        let block = self.live.remove(&start).ok_or(FreeError::NotAllocated)?;
        // Should the system refuse, the pages stay accessible: only detection suffers.
        let given_back = self.mapping.discard(block.pages.clone());
        let closed = self.mapping.protect(block.pages.clone(), Access::None);
        debug_assert!(
            given_back.is_ok() && closed.is_ok(),
            "pages of the pool's own mapping"
        );
        self.quarantine.push_back(Freed {
            start,
            size: block.size,
            tag: block.tag,
            pages: block.pages.clone(),
        });
        if self.quarantine.len() > QUARANTINE
            && let Some(oldest) = self.quarantine.pop_front()
        {
            let whole = oldest.pages.len() + PAGE;
            self.reusable
                .entry(whole)
                .or_default()
                .push(oldest.pages.start);
        }
        Ok(block)
    }

    /// The driver's live allocations.
    pub(crate) fn of_driver(&self) -> impl Iterator<Item = (u64, &Allocation)> {
        let driver = |(_, block): &(&u64, &Allocation)| block.owner == Owner::Driver;
        self.live
            .iter()
            .filter(driver)
            .map(|(start, block)| (*start, block))
    }

    /// Where `address` lies relative to an allocation, for a sentence.
    pub(crate) fn describe(&self, address: u64) -> Option<String> {
        let place = usize::try_from(address).ok()?;
        if !self.mapping.range().contains(&place) {
            return None;
        }
        let offset = place - self.mapping.base();
        let freed = |freed: &&Freed| freed.pages.contains(&offset);
        if let Some(block) = self.quarantine.iter().rev().find(freed) {
            let from = address.cast_signed() - block.start.cast_signed();
            return Some(format!(
                "{from} bytes into {} bytes of freed pool with tag '{}'",
                block.size,
                tag_text(block.tag)
            ));
        }
        let (start, block) = self.live.range(..=address).next_back()?;
        let end = start + block.size as u64;
        (address >= end && address - end < 2 * PAGE as u64).then(|| {
            format!(
                "{} bytes past the end of {} bytes of pool with tag '{}'",
                address - end,
                block.size,
                tag_text(block.tag)
            )
        })
    }

    /// The distance from `start` of a changed byte outside the block but inside its pages.
    fn corrupted(&self, start: u64, block: &Allocation) -> Option<i64> {
        let begin = (self.mapping.base() + block.pages.start) as u64;
        let changed = |from: u64, to: u64| {
            let mut bytes = vec![0; usize::try_from(to - from).unwrap_or(0)];
            raw::read(from, &mut bytes);
            let index = bytes.iter().position(|&byte| byte != FILL)?;
            Some((from + index as u64).cast_signed() - start.cast_signed())
        };
        let end = start + block.size as u64;
        let last = begin + block.pages.len() as u64;
        changed(end, last).or_else(|| changed(begin.max(start - AHEAD as u64), start))
    }
}

/// A pool tag as text, its first character in the low byte.
pub(crate) fn tag_text(tag: u32) -> String {
    let printable = |byte: u8| {
        if byte.is_ascii_graphic() {
            char::from(byte)
        } else {
            '.'
        }
    };
    tag.to_le_bytes().map(printable).iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: u32 = u32::from_le_bytes(*b"test");

    fn block(pool: &mut Pool, size: usize) -> u64 {
        pool.allocate(Request {
            owner: Owner::Driver,
            ..Request::system(size, TAG)
        })
        .unwrap()
    }

    #[test]
    fn a_block_is_zeroed_aligned_and_known() {
        let mut pool = Pool::new().unwrap();
        let start = block(&mut pool, 100);
        assert_eq!(start % 16, 0);
        let mut bytes = [1; 100];
        raw::read(start, &mut bytes);
        assert_eq!(bytes, [0; 100]);
        assert!(pool.holds(&(start..start + 100)));
        assert!(!pool.holds(&(start..start + 101)));
        assert!(!pool.holds(&(start - 1..start + 1)));
    }

    #[test]
    fn freeing_twice_or_elsewhere_is_told_apart() {
        let mut pool = Pool::new().unwrap();
        let start = block(&mut pool, 8);
        assert_eq!(pool.free(start + 8).unwrap_err(), FreeError::NotAllocated);
        assert!(pool.free(start).is_ok());
        assert_eq!(pool.free(start).unwrap_err(), FreeError::AlreadyFreed);
    }

    #[test]
    fn bytes_changed_around_a_block_are_found_when_it_is_freed() {
        let mut pool = Pool::new().unwrap();
        let start = block(&mut pool, 20);
        raw::write(start + 21, &[0]);
        assert_eq!(pool.free(start).unwrap_err(), FreeError::Corrupted(21));
        let start = block(&mut pool, 20);
        raw::write(start - 3, &[0]);
        assert_eq!(pool.free(start).unwrap_err(), FreeError::Corrupted(-3));
    }

    #[test]
    fn the_guard_page_and_freed_pages_are_described() {
        let mut pool = Pool::new().unwrap();
        let start = block(&mut pool, 32);
        let text = pool.describe(start + 32).unwrap();
        assert!(
            text.starts_with("0 bytes past the end of 32 bytes"),
            "{text}"
        );
        pool.free(start).unwrap();
        let text = pool.describe(start + 4).unwrap();
        assert!(
            text.starts_with("4 bytes into 32 bytes of freed pool"),
            "{text}"
        );
    }

    #[test]
    fn addresses_are_used_again_after_the_quarantine_and_read_as_zeros() {
        let mut pool = Pool::new().unwrap();
        let first = block(&mut pool, 64);
        raw::write(first, &[7; 64]);
        pool.free(first).unwrap();
        for _ in 0..QUARANTINE {
            let next = block(&mut pool, 64);
            assert_ne!(next, first);
            pool.free(next).unwrap();
        }
        let again = block(&mut pool, 64);
        assert_eq!(again, first);
        let mut bytes = [1; 64];
        raw::read(again, &mut bytes);
        assert_eq!(bytes, [0; 64]);
    }
}
