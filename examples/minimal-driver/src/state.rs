//! What the requests share. There is no `unsafe` here.

use apclab_guards::{
    AtMostApcLevel, FastMutex, Nonpaged, NotMade, Refused, Resource, current_irql,
};

/// The numbers so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) count: u64,
    pub(crate) sum: u64,
}

/// The state of a device.
#[derive(Debug)]
pub(crate) struct State {
    /// Read by many, written by one at a time, inside a critical region: a request whose thread were
    /// suspended while it owns this would stall all others.
    sums: Nonpaged<Resource<Sums>>,
    /// The last number, with the IRQL at which it was noted: APC_LEVEL.
    last: Nonpaged<FastMutex<(u32, u8)>>,
}

impl State {
    /// Nothing added yet. IRQL <= DISPATCH_LEVEL.
    ///
    /// # Errors
    /// [`NotMade::OutOfMemory`].
    pub(crate) fn try_new() -> Result<Self, NotMade> {
        Ok(Self {
            sums: Resource::try_new(Sums::default())?,
            last: FastMutex::try_new((0, 0))?,
        })
    }

    /// Adds a number.
    ///
    /// # Errors
    /// [`Refused`]: the calling thread is inside `add` or `read` already.
    pub(crate) fn add(&self, irql: &mut impl AtMostApcLevel, number: u32) -> Result<(), Refused> {
        self.sums.with_exclusive(irql, |sums, irql, _region| {
            sums.count = sums.count.wrapping_add(1);
            sums.sum = sums.sum.wrapping_add(number.into());
            self.last
                .with(irql, |last, _irql| *last = (number, current_irql()));
        })
    }

    /// The numbers so far, and the last.
    ///
    /// # Errors
    /// As [`State::add`].
    pub(crate) fn read(&self, irql: &mut impl AtMostApcLevel) -> Result<(Sums, u32), Refused> {
        self.sums.with_shared(irql, |sums, irql, _region| {
            let (last, _) = self.last.with(irql, |last, _irql| *last);
            (*sums, last)
        })
    }
}
