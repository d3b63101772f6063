//! What a lane may do, by the machine and the place of the lane.

use super::{Id, List, Map};

/// As long as the table has no more entries than this, each machine and place has one.
const DENSE: u64 = 1 << 22;

/// The lists of one lane.
#[derive(Default)]
pub(super) struct Lists {
    known: Vec<List>,
    /// For each machine and each place the number of its list + 1, or 0.
    dense: Vec<u32>,
    /// How many bits a place takes in an index of `dense`.
    bits: u32,
    /// All of them, for where `dense` is too small.
    sparse: Map<u64, u32>,
}

impl Lists {
    #[inline]
    pub(super) fn get(&self, kernel: Id, place: Id) -> Option<List> {
        let number = if self.dense.is_empty() {
            self.sparse.get(&key(kernel, place)).copied()
        } else {
            let at = (kernel as usize) << self.bits | place as usize;
            self.dense.get(at).copied()
        };
        let index = number?.checked_sub(1)?;
        Some(self.known[index as usize])
    }

    pub(super) fn insert(&mut self, kernel: Id, place: Id, list: List) {
        self.known.push(list);
        let number = u32::try_from(self.known.len()).expect("fewer than 2^32 lists");
        self.sparse.insert(key(kernel, place), number);
        let at = (kernel as usize) << self.bits | place as usize;
        if let Some(entry) = self.dense.get_mut(at) {
            *entry = number;
        }
    }

    /// Makes room for machines and places of so many bits.
    pub(super) fn widen(&mut self, kernel: u8, place: u8) {
        let entries = 1_u64 << (kernel + place).min(63);
        self.bits = place.into();
        self.dense.clear();
        if entries > DENSE {
            self.dense.shrink_to_fit();
            return;
        }
        self.dense.resize(1 << (kernel + place), 0);
        for (key, &number) in &self.sparse {
            let at = (key >> 32) << self.bits | key & 0xFFFF_FFFF;
            if let Some(entry) = usize::try_from(at)
                .ok()
                .and_then(|at| self.dense.get_mut(at))
            {
                *entry = number;
            }
        }
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let sparse = self.sparse.capacity() * size_of::<(u64, u32)>();
        self.known.capacity() * size_of::<List>() + self.dense.capacity() * 4 + sparse
    }
}

/// The key of a machine and a place.
fn key(kernel: Id, place: Id) -> u64 {
    u64::from(kernel) << 32 | u64::from(place)
}

#[cfg(test)]
mod tests {
    use super::super::Range;
    use super::*;

    #[test]
    fn a_list_is_found_whether_there_is_room_for_all_or_not() {
        let list = |len| List {
            moves: Range { first: 0, len },
            ..List::default()
        };
        let mut lists = Lists::default();
        for (kernel_bits, place_bits) in [(4, 4), (20, 10), (5, 3)] {
            lists.widen(kernel_bits, place_bits);
            for kernel in 0..10 {
                let found = lists.get(kernel, 7).map(|list| list.moves.len);
                let known = lists.known.len() >= 10;
                assert_eq!(found, known.then_some(kernel), "after {kernel_bits} bits");
                assert!(lists.get(kernel, 3).is_none());
            }
            if lists.known.is_empty() {
                (0..10).for_each(|kernel| lists.insert(kernel, 7, list(kernel)));
            }
            for kernel in 0..10 {
                assert_eq!(
                    lists.get(kernel, 7).map(|list| list.moves.len),
                    Some(kernel)
                );
            }
        }
    }
}
