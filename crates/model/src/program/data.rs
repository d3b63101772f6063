//! What the lanes compute with: variables, registers and how often each APC has run.
//!
//! No rule of the machine looks at any of it, and it steers no lane. So what an event does to it is
//! a list of [`Change`]s, which say the same whatever the values are.

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

/// The values.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Data {
    variables: Vec<i64>,
    /// For each APC how often its routine has begun.
    ran: Vec<u32>,
    /// Of each lane, then of each body: as many as the program names there.
    registers: Vec<Box<[i64]>>,
    lanes: usize,
}

impl Data {
    pub(super) fn new(program: &Program<'_>) -> Self {
        let lanes = (0..program.lanes()).map(place_of);
        let bodies = (0..program.apcs()).map(|apc| Place::Body(index8(apc)));
        let registers = |place| vec![0; registers(program, place)].into();
        Self {
            variables: (0..program.variables())
                .map(|index| program.initial(index))
                .collect(),
            ran: vec![0; program.apcs()],
            registers: lanes.chain(bodies).map(registers).collect(),
            lanes: program.lanes(),
        }
    }

    pub(super) fn variables(&self) -> &[i64] {
        &self.variables
    }

    pub(super) fn ran(&self, apc: usize) -> u32 {
        self.ran[apc]
    }

    /// The value of a register; 0 for one that the program does not name.
    pub(super) fn register(&self, place: Place, register: usize) -> i64 {
        let registers = &self.registers[self.file(place)];
        registers.get(register).copied().unwrap_or(0)
    }

    pub(super) fn change(&mut self, change: Change) {
        match change {
            Change::Put(place, to, value) => self.put(place, to, value),
            Change::Load(place, to, variable) => {
                self.put(place, to, self.variables[usize::from(variable)]);
            }
            Change::Count(place, to, apc) => self.put(place, to, self.ran(apc.into()).into()),
            Change::Store(variable, from, constant) => {
                let from = from.map_or(0, |(place, from)| self.register(place, from.into()));
                self.variables[usize::from(variable)] = from.wrapping_add(constant);
            }
            Change::Ran(apc) => self.ran[usize::from(apc)] += 1,
        }
    }

    fn put(&mut self, place: Place, to: Register, value: i64) {
        let file = self.file(place);
        self.registers[file][usize::from(to)] = value;
    }

    /// Where the registers of the place are.
    fn file(&self, place: Place) -> usize {
        match place {
            Place::Lane(lane) => lane.into(),
            Place::Body(apc) => self.lanes + usize::from(apc),
        }
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
pub(super) fn written(step: Step) -> Option<Register> {
    match step {
        Step::ApcsDisabled { to }
        | Step::AllApcsDisabled { to }
        | Step::Irql { to }
        | Step::Ran { to, .. }
        | Step::WaitFor { to, .. }
        | Step::Try { to, .. }
        | Step::AcquiredExclusive { to, .. }
        | Step::AcquiredShared { to, .. }
        | Step::ExclusiveWaiters { to, .. }
        | Step::SharedWaiters { to, .. }
        | Step::ReleaseFor { to, .. }
        | Step::Load { to, .. } => Some(to),
        Step::Queue { to, .. } => to,
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
