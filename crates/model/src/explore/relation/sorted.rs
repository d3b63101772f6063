//! One state for all that differ only in the numbers of identical lanes.

use std::cmp::Ordering;

use apclab_protocol::limits::LANES;

use super::{Miss, Relation, Visit};
use crate::explore::layout::{Layout, Words};
use crate::explore::reduce::symmetry::{Permutation, Symmetry};

impl Relation<'_> {
    /// Sorts the identical lanes of the state, which then stands for all that differ only in their
    /// numbers, and gives how they have changed places.
    ///
    /// Lanes that compare equal may still differ in how they stand to others. Then two states stand
    /// for what one could, which costs time and changes nothing that is found.
    #[inline]
    pub(super) fn sort<const W: usize>(
        &self,
        layout: &Layout,
        state: &mut Words<W>,
        visit: &mut impl Visit<W>,
    ) -> Permutation {
        match &self.symmetry {
            Some(symmetry) => self.sort_lanes(layout, symmetry, state, visit),
            None => Permutation::IDENTITY,
        }
    }

    fn sort_lanes<const W: usize>(
        &self,
        layout: &Layout,
        symmetry: &Symmetry,
        state: &mut Words<W>,
        visit: &mut impl Visit<W>,
    ) -> Permutation {
        let mut permutation = Permutation::IDENTITY;
        for class in &symmetry.classes {
            let mut sorted = [0; LANES];
            let sorted = &mut sorted[..class.len()];
            sorted.copy_from_slice(class);
            sorted.sort_by(|&one, &other| self.compare(layout, state, one, other));
            for (&from, &to) in sorted.iter().zip(class) {
                permutation.set(from, to);
            }
        }
        if permutation != Permutation::IDENTITY {
            self.permute(layout, state, permutation, visit);
        }
        permutation
    }

    fn compare<const W: usize>(
        &self,
        layout: &Layout,
        state: &Words<W>,
        one: usize,
        other: usize,
    ) -> Ordering {
        let kernel = layout.kernel.get(state);
        let place = |lane: usize| layout.lanes[lane].get(state);
        let look = |lane| self.kernels.look(kernel, lane);
        let registers = |lane: usize| {
            let slots = self.values.registers(lane).iter();
            slots.map(|&slot| layout.slots[usize::from(slot)].get(state))
        };
        let places = place(one).cmp(&place(other));
        let looks = || look(one).cmp(&look(other));
        let registers = || registers(one).cmp(registers(other));
        places.then_with(looks).then_with(registers)
    }

    fn permute<const W: usize>(
        &self,
        layout: &Layout,
        state: &mut Words<W>,
        permutation: Permutation,
        visit: &mut impl Visit<W>,
    ) {
        let old = *state;
        let kernel = layout.kernel.get(&old);
        match self.permuted.get(&(kernel, permutation)) {
            Some(&permuted) => layout.kernel.set(state, permuted),
            None => visit.miss(Miss::Permuted {
                kernel,
                permutation,
            }),
        }
        for (lane, field) in layout.lanes.iter().enumerate() {
            let to = permutation.of(lane);
            layout.lanes[to].set(state, field.get(&old));
            let registers = self.values.registers(lane).iter();
            for (&from, &to) in registers.zip(self.values.registers(to)) {
                let value = layout.slots[usize::from(from)].get(&old);
                layout.slots[usize::from(to)].set(state, value);
            }
        }
    }
}
