//! What the lanes compute with: variables, registers and how often each APC has run.
//!
//! No rule of the machine looks at any of it, and it steers no lane. So what an event does to it is
//! a list of [`Change`]s, which say the same whatever the values are.

use std::sync::Arc;

use apclab_protocol::program::{Observed, Place, Program};
use apclab_protocol::step::{Register, Step};

use super::{index8, place_of};

/// What an event does to the values.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Change {
    /// A register gets a value.
    Put(Place, Register, i64),
    /// A register gets the value of a variable.
    Load(Place, Register, u8),
    /// A register gets the number of times that an APC has run.
    Count(Place, Register, u8),
    /// A variable gets the sum of a register, if there is one, and a constant.
    Store(u8, Option<(Place, Register)>, i64),
    /// An APC has run once more.
    Ran(u8),
}

/// What a change comes to: one value becomes the sum of another, if there is one, and a constant.
/// The sum wraps. Values are named by their index in [`Data::values`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Assign {
    pub(crate) to: usize,
    pub(crate) from: Option<usize>,
    pub(crate) add: i64,
}

/// Which value is where.
#[derive(PartialEq, Eq, Hash, Debug)]
pub(crate) struct Shape {
    /// Where the counts of the APCs begin, after the variables.
    ran_at: usize,
    /// Where the registers of each lane, then of each body, begin; at last, where all end.
    registers_at: Vec<usize>,
    lanes: usize,
}

impl Shape {
    fn new(program: &Program<'_>) -> Self {
        let ran_at = program.variables();
        let lanes = (0..program.lanes()).map(place_of);
        let bodies = (0..program.apcs()).map(|apc| Place::Body(index8(apc)));
        let mut registers_at = vec![ran_at + program.apcs()];
        let mut end = ran_at + program.apcs();
        for place in lanes.chain(bodies) {
            end += registers(program, place);
            registers_at.push(end);
        }
        Self {
            ran_at,
            registers_at,
            lanes: program.lanes(),
        }
    }

    /// Where a register is; `None` for one that the program does not name.
    pub(crate) fn register(&self, place: Place, register: usize) -> Option<usize> {
        let registers = self.registers(place);
        let at = registers.start + register;
        registers.contains(&at).then_some(at)
    }

    /// Where the registers of a place are.
    pub(crate) fn registers(&self, place: Place) -> std::ops::Range<usize> {
        let file = self.file(place);
        self.registers_at[file]..self.registers_at[file + 1]
    }

    /// Where it is counted how often an APC has run.
    pub(crate) fn ran(&self, apc: u8) -> usize {
        self.ran_at + usize::from(apc)
    }

    fn file(&self, place: Place) -> usize {
        match place {
            Place::Lane(lane) => lane.into(),
            Place::Body(apc) => self.lanes + usize::from(apc),
        }
    }

    pub(crate) fn assign(&self, change: Change) -> Assign {
        let named = "a program names the registers that its steps use";
        let register = |place, register: Register| {
            let at = self.register(place, register.into());
            at.expect(named)
        };
        let (to, from, add) = match change {
            Change::Put(place, to, value) => (register(place, to), None, value),
            Change::Load(place, to, variable) => (register(place, to), Some(variable.into()), 0),
            Change::Count(place, to, apc) => (register(place, to), Some(self.ran(apc)), 0),
            Change::Store(variable, from, constant) => {
                let from = from.map(|(place, from)| register(place, from));
                (variable.into(), from, constant)
            }
            Change::Ran(apc) => (self.ran(apc), Some(self.ran(apc)), 1),
        };
        Assign { to, from, add }
    }
}

/// The values.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Data {
    /// The variables, how often each APC's routine has begun, then the registers that the program
    /// names: those of each lane, then those of each body.
    values: Box<[i64]>,
    shape: Arc<Shape>,
}

impl Data {
    pub(super) fn new(program: &Program<'_>) -> Self {
        let shape = Shape::new(program);
        let count = shape.registers_at.last().copied().unwrap_or(0);
        let variables = (0..program.variables()).map(|index| program.initial(index));
        let values: Vec<_> = variables.chain(std::iter::repeat(0)).take(count).collect();
        Self {
            values: values.into(),
            shape: Arc::new(shape),
        }
    }

    pub(crate) fn shape(&self) -> &Arc<Shape> {
        &self.shape
    }

    /// Other values of the same shape.
    pub(crate) fn with(&self, values: Vec<i64>) -> Self {
        assert_eq!(values.len(), self.values.len(), "of the same shape");
        Self {
            values: values.into(),
            shape: Arc::clone(&self.shape),
        }
    }

    pub(crate) fn values(&self) -> &[i64] {
        &self.values
    }

    pub(super) fn variables(&self) -> &[i64] {
        &self.values[..self.shape.ran_at]
    }

    pub(super) fn ran(&self, apc: usize) -> u32 {
        u32::try_from(self.values[self.shape.ran_at + apc]).unwrap_or(u32::MAX)
    }

    /// The value of a register; 0 for one that the program does not name.
    pub(super) fn register(&self, place: Place, register: usize) -> i64 {
        let at = self.shape.register(place, register);
        at.map_or(0, |at| self.values[at])
    }

    pub(super) fn change(&mut self, change: Change) {
        let Assign { to, from, add } = self.shape.assign(change);
        self.values[to] = from.map_or(0, |from| self.values[from]).wrapping_add(add);
    }
}

/// How many registers of the place are written, read or observed.
fn registers(program: &Program<'_>, place: Place) -> usize {
    let named = program
        .steps(place)
        .flat_map(|step| written(step).into_iter().chain(read(step)));
    let observed = (0..program.observed_len()).filter_map(|index| program.observed(index));
    let observed = observed.filter_map(|observed| match observed {
        Observed::Register { lane, register } if place == Place::Lane(lane) => Some(register),
        Observed::ApcRegister { apc, register } if place == Place::Body(apc) => Some(register),
        _ => None,
    });
    let count = named
        .chain(observed)
        .map(|register| usize::from(register) + 1)
        .max();
    count.unwrap_or(0)
}

/// The register that a step writes.
pub(crate) fn written(step: Step) -> Option<Register> {
    match step {
        Step::ApcsDisabled { to }
        | Step::AllApcsDisabled { to }
        | Step::Irql { to }
        | Step::Ran { to, .. }
        | Step::WaitFor { to, .. }
        | Step::WaitAs { to, .. }
        | Step::Sleep { to, .. }
        | Step::Try { to, .. }
        | Step::AcquiredExclusive { to, .. }
        | Step::AcquiredShared { to, .. }
        | Step::ExclusiveWaiters { to, .. }
        | Step::SharedWaiters { to, .. }
        | Step::ReleaseFor { to, .. }
        | Step::Load { to, .. } => Some(to),
        Step::Queue { to, .. } | Step::Suspend { to, .. } | Step::Resume { to, .. } => to,
        _ => None,
    }
}

/// The register that a step reads.
pub(crate) fn read(step: Step) -> Option<Register> {
    match step {
        Step::Store { from, .. } => from,
        _ => None,
    }
}
