//! Numbers for the parts that states are made of.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

/// A part of a state, by its number in the table of its kind.
pub(super) type Id = u32;

/// Hashes for tables inside one search. Not for input that an adversary chooses.
#[derive(Default)]
pub(super) struct Mix(u64);

impl Mix {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
}

/// Mixes a word into a hash.
pub(super) fn mix(hash: u64, word: u64) -> u64 {
    let product = (hash ^ word).wrapping_mul(Mix::FACTOR);
    product ^ (product >> 32)
}

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        // Tables take the low bits for the place and the high ones for a tag.
        self.0.wrapping_mul(Self::FACTOR)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(value.into());
    }

    fn write_u16(&mut self, value: u16) {
        self.write_u64(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = mix(self.0, value);
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }
}

/// A map with those hashes.
pub(super) type Map<K, V> = HashMap<K, V, BuildHasherDefault<Mix>>;

/// Values, each once, numbered in the order in which they came.
pub(super) struct Intern<T> {
    ids: Map<Arc<T>, Id>,
    items: Vec<Arc<T>>,
}

impl<T: Eq + Hash> Intern<T> {
    pub(super) fn new() -> Self {
        Self {
            ids: Map::default(),
            items: Vec::new(),
        }
    }

    /// The number of the value.
    ///
    /// # Panics
    ///
    /// When there are 2^32 values: memory ends earlier.
    pub(super) fn id(&mut self, value: T) -> Id {
        if let Some(&id) = self.ids.get(&value) {
            return id;
        }
        let id = Id::try_from(self.items.len()).expect("fewer than 2^32 parts of a kind");
        let value = Arc::new(value);
        self.items.push(Arc::clone(&value));
        self.ids.insert(value, id);
        id
    }

    pub(super) fn get(&self, id: Id) -> &Arc<T> {
        &self.items[id as usize]
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }
}
