//! How the numbers of a state's parts are packed into words, without loss.

use super::intern::Id;

/// Words of a packed state.
pub(super) type Words<const W: usize> = [u64; W];

/// The most words of a packed state.
pub(super) const MOST_WORDS: usize = 256;

/// The first word of a state has this bit, so that no state is all zeros.
const PRESENT: u64 = 1 << 63;

/// Some bits of a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Field {
    word: u8,
    shift: u8,
    bits: u8,
}

impl Field {
    pub(super) fn get<const W: usize>(self, state: &Words<W>) -> Id {
        let value = (state[self.word as usize] >> self.shift) & self.mask();
        #[allow(
            clippy::cast_possible_truncation,
            reason = "a field has 32 bits or fewer"
        )]
        let id = value as Id;
        id
    }

    pub(super) fn set<const W: usize>(self, state: &mut Words<W>, id: Id) {
        debug_assert!(self.fits(id as usize), "{id} in {self:?}");
        let word = &mut state[self.word as usize];
        *word = *word & !(self.mask() << self.shift) | u64::from(id) << self.shift;
    }

    const fn mask(self) -> u64 {
        (1 << self.bits) - 1
    }

    pub(super) const fn bits(self) -> u8 {
        self.bits
    }

    /// Whether the number can be stored.
    pub(super) const fn fits(self, id: usize) -> bool {
        id as u64 <= self.mask()
    }
}

/// How many parts of each kind there are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Sizes {
    pub(super) kernels: usize,
    /// Of each lane.
    pub(super) places: Vec<usize>,
    pub(super) values: usize,
    /// How many values a state has.
    pub(super) slots: usize,
}

/// Where each number is.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) kernel: Field,
    pub(super) lanes: Vec<Field>,
    pub(super) slots: Vec<Field>,
    /// How many words a state takes.
    pub(super) words: usize,
}

impl Layout {
    /// A layout with room for half as many parts again, as far as that takes no more words.
    pub(super) fn new(sizes: &Sizes) -> Self {
        let narrow = Self::with(sizes, [0; 3]);
        let wider = [
            [1, 1, 1],
            [1, 1, 0],
            [0, 1, 1],
            [1, 0, 0],
            [0, 1, 0],
            [0, 0, 1],
        ];
        let mut wider = wider.into_iter().map(|more| Self::with(sizes, more));
        let wide = wider.find(|wide| wide.words <= narrow.words);
        wide.unwrap_or(narrow)
    }

    /// With room for that many halves as many machines, places and values again.
    fn with(sizes: &Sizes, [machines, places, values]: [usize; 3]) -> Self {
        let bits = |count: usize, halves: usize| bits(count + count / 2 * halves + 1);
        let lanes = sizes.places.iter().map(|&count| bits(count, places));
        let value = bits(sizes.values, values);
        let fields = std::iter::once(bits(sizes.kernels, machines)).chain(lanes);
        let fields: Vec<u8> = fields
            .chain(std::iter::repeat_n(value, sizes.slots))
            .collect();
        let (mut fields, mut words) = place(&fields);
        let spare = fields.split_off(1);
        let [kernel] = fields[..] else {
            unreachable!("the machine's field comes first");
        };
        let (lanes, slots) = spare.split_at(sizes.places.len());
        words = round_up(words);
        Self {
            kernel,
            lanes: lanes.to_vec(),
            slots: slots.to_vec(),
            words,
        }
    }

    /// Whether all numbers of parts can be stored.
    pub(super) fn fits(&self, sizes: &Sizes) -> bool {
        let fits = |field: &Field, count: usize| field.fits(count.saturating_sub(1));
        fits(&self.kernel, sizes.kernels)
            && self
                .lanes
                .iter()
                .zip(&sizes.places)
                .all(|(field, &count)| fits(field, count))
            && self.slots.iter().all(|field| fits(field, sizes.values))
    }

    /// A state of which every number is 0.
    pub(super) fn empty<const W: usize>() -> Words<W> {
        let mut state = [0; W];
        state[0] = PRESENT;
        state
    }

    /// The state in another layout, appended to `into`.
    pub(super) fn repack<const W: usize>(&self, state: &Words<W>, to: &Self, into: &mut Vec<u64>) {
        let mut packed = Self::empty::<MOST_WORDS>();
        let from = std::iter::once(&self.kernel)
            .chain(&self.lanes)
            .chain(&self.slots);
        let to_fields = std::iter::once(&to.kernel)
            .chain(&to.lanes)
            .chain(&to.slots);
        for (from, to) in from.zip(to_fields) {
            to.set(&mut packed, from.get(state));
        }
        into.extend_from_slice(&packed[..to.words]);
    }
}

/// How many bits a number below `count` takes.
fn bits(count: usize) -> u8 {
    let bits = usize::BITS - count.saturating_sub(1).leading_zeros();
    u8::try_from(bits).unwrap_or(u8::MAX).min(32)
}

/// The words that there is code for.
pub(super) const WORDS: [usize; 8] = [1, 2, 3, 4, 6, 8, 16, MOST_WORDS];

fn round_up(words: usize) -> usize {
    let enough = WORDS.into_iter().find(|&known| known >= words);
    enough.expect("the limits of a program bound the size of its states")
}

/// Puts each field into the first word that has room for it, and counts the words.
fn place(fields: &[u8]) -> (Vec<Field>, usize) {
    // One bit of the first word says that the state is there.
    let mut room = vec![63_u8];
    let mut placed = Vec::new();
    for &bits in fields {
        let word = room.iter().position(|&free| free >= bits);
        let word = word.unwrap_or_else(|| {
            room.push(64);
            room.len() - 1
        });
        let top = if word == 0 { 63 } else { 64 };
        placed.push(Field {
            word: u8::try_from(word).expect("a state has few words"),
            shift: (top - room[word]).min(63),
            bits,
        });
        room[word] -= bits;
    }
    (placed, room.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_numbers_apart_and_across_layouts() {
        let sizes = Sizes {
            kernels: 1000,
            places: vec![3, 70],
            values: 9,
            slots: 20,
        };
        let small = Layout::new(&sizes);
        assert_eq!(small.words, 2);
        let numbers: Vec<Id> = (0..20).map(|slot| slot % 9).collect();
        let mut state = Layout::empty::<2>();
        small.kernel.set(&mut state, 999);
        small.lanes[0].set(&mut state, 2);
        small.lanes[1].set(&mut state, 69);
        for (field, &number) in small.slots.iter().zip(&numbers) {
            field.set(&mut state, number);
        }
        let larger = Sizes {
            values: 300,
            ..sizes.clone()
        };
        assert!(small.fits(&sizes) && !small.fits(&larger));
        let large = Layout::new(&larger);
        assert!(large.fits(&larger));
        assert_eq!(large.words, 4);
        let mut packed = Vec::new();
        small.repack(&state, &large, &mut packed);
        let packed: [u64; 4] = packed.try_into().unwrap();
        assert_eq!(large.kernel.get(&packed), 999);
        assert_eq!(large.lanes[1].get(&packed), 69);
        let read: Vec<Id> = large.slots.iter().map(|field| field.get(&packed)).collect();
        assert_eq!(read, numbers);
        assert_ne!(packed[0] & PRESENT, 0);
    }
}
