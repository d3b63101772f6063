//! A table whose free slots are used again, so that equal machines compare equal.

/// Values under small numbers; the lowest free number is used next.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Slots<T>(Vec<Option<T>>);

impl<T> Slots<T> {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    /// Stores `value` under the lowest free number and returns the number.
    pub(super) fn insert(&mut self, value: T) -> u32 {
        let free = self.0.iter().position(Option::is_none);
        let slot = free.unwrap_or_else(|| {
            self.0.push(None);
            self.0.len() - 1
        });
        self.0[slot] = Some(value);
        u32::try_from(slot).expect("a machine has fewer than 2^32 objects of a kind")
    }

    /// Takes the value out; its number is free afterwards.
    pub(super) fn remove(&mut self, id: u32) -> T {
        let slot = self.0.get_mut(id as usize).and_then(Option::take);
        while self.0.last().is_some_and(Option::is_none) {
            self.0.pop();
        }
        slot.unwrap_or_else(|| panic!("no object has the number {id}"))
    }

    pub(super) fn get(&self, id: u32) -> &T {
        let slot = self.0.get(id as usize).and_then(Option::as_ref);
        slot.unwrap_or_else(|| panic!("no object has the number {id}"))
    }

    pub(super) fn get_mut(&mut self, id: u32) -> &mut T {
        let slot = self.0.get_mut(id as usize).and_then(Option::as_mut);
        slot.unwrap_or_else(|| panic!("no object has the number {id}"))
    }

    /// How many bytes the table takes, without what its values point to.
    pub(super) fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<Option<T>>()
    }

    /// All values with their numbers, in the order of the numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..)
            .zip(&self.0)
            .filter_map(|(id, slot)| Some((id, slot.as_ref()?)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut T)> {
        (0..)
            .zip(&mut self.0)
            .filter_map(|(id, slot)| Some((id, slot.as_mut()?)))
    }
}
