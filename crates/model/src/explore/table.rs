//! The states that have been met: packed, each once, in tables that hold nothing else.

use std::hint::black_box;

use super::intern::mix;
use super::layout::Words;

/// How many tables there are. A state's hash says in which one it belongs, so that each can be
/// filled by a thread of its own.
pub(super) const SHARDS: usize = 64;

/// How many places are looked up at once, so that their latencies overlap.
const BATCH: usize = 16;

/// The hash of a state.
pub(super) fn hash<const W: usize>(state: &Words<W>) -> u64 {
    let hash = state.iter().fold(0, |hash, &word| mix(hash, word));
    mix(hash, 0)
}

/// The table in which a state with that hash belongs.
pub(super) fn shard_of(hash: u64) -> usize {
    // 64 shards: the top six bits.
    usize::try_from(hash >> 58).expect("six bits")
}

/// One of the tables: open addressing, with the states themselves in it. A place whose first word is
/// 0 is free.
#[derive(Default)]
pub(super) struct Shard {
    slots: Vec<u64>,
    count: usize,
}

impl Shard {
    /// Adds the states that are not there, and appends them to `new` in the order of `states`.
    pub(super) fn insert_all<const W: usize>(&mut self, states: &[Words<W>], new: &mut Vec<u64>) {
        for batch in states.chunks(BATCH) {
            self.reserve::<W>(batch.len());
            let slots = self.slots.as_chunks::<W>().0;
            let mut places = [0; BATCH];
            let mut words = 0;
            for (place, state) in places.iter_mut().zip(batch) {
                *place = start(state, slots.len());
                words ^= slots[*place][0];
            }
            // The words have no meaning: they are in the cache now.
            black_box(words);
            let slots = self.slots.as_chunks_mut::<W>().0;
            for (&place, state) in places.iter().zip(batch) {
                if insert(slots, place, state) {
                    self.count += 1;
                    new.extend_from_slice(state);
                }
            }
        }
    }

    /// Makes room for more states.
    fn reserve<const W: usize>(&mut self, more: usize) {
        let places = self.slots.len() / W;
        if (self.count + more) * 4 <= places * 3 {
            return;
        }
        let larger = (places * 2).max(64);
        #[allow(
            clippy::slow_vector_initialization,
            reason = "a page that is read before it is written is mapped twice, and the second \
                      time every core has to hear of it: so each is written first"
        )]
        let mut places = Vec::with_capacity(larger * W);
        places.resize(larger * W, 0);
        let old = std::mem::replace(&mut self.slots, places);
        let slots = self.slots.as_chunks_mut::<W>().0;
        for state in old.as_chunks::<W>().0 {
            if state[0] != 0 {
                let place = start(state, slots.len());
                insert(slots, place, state);
            }
        }
    }

    /// How many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<u64>()
    }
}

/// Where the search for a state begins. The number of places is a power of two.
fn start<const W: usize>(state: &Words<W>, places: usize) -> usize {
    #[allow(clippy::cast_possible_truncation, reason = "the low bits are wanted")]
    let low = hash(state) as usize;
    low & (places - 1)
}

/// Whether the state was not there. There is a free place.
fn insert<const W: usize>(slots: &mut [Words<W>], mut place: usize, state: &Words<W>) -> bool {
    loop {
        if slots[place][0] == 0 {
            slots[place] = *state;
            return true;
        }
        if slots[place] == *state {
            return false;
        }
        place = (place + 1) & (slots.len() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_is_new_once() {
        let mut shard = Shard::default();
        let states: Vec<[u64; 2]> = (0..1000).map(|n| [(1 << 63) | (n % 300), n % 2]).collect();
        let mut new = Vec::new();
        shard.insert_all(&states, &mut new);
        shard.insert_all(&states, &mut new);
        assert_eq!(new.as_chunks::<2>().0, &states[..300]);
        assert_eq!(shard.count, 300);
    }
}
