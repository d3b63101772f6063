//! Where a lane or the body of an APC is in its steps, and its registers.

use apclab_protocol::program::{Observed, Place, Program};
use apclab_protocol::step::{Register, Step};

/// The place of a lane or a body in its steps, with its registers.
///
/// The steps that only steer (the begin of a `repeat`, the end of a block) are never where it
/// stands: they show nowhere, and belong to the step before them.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Cursor {
    next: u32,
    /// The open blocks, the innermost last.
    blocks: Vec<Block>,
    /// As many as the program names.
    registers: Box<[i64]>,
}

/// An open block.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Block {
    /// The step that begins it.
    begin: u32,
    /// Rounds that follow this one.
    left: u32,
}

impl Cursor {
    pub(super) fn new(program: &Program<'_>, place: Place) -> Self {
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
        let mut cursor = Self {
            next: 0,
            blocks: Vec::new(),
            registers: vec![0; count.unwrap_or(0)].into(),
        };
        cursor.settle(program, place);
        cursor
    }

    /// The index of the step that is executed next; the number of steps at the end.
    pub fn next(&self) -> usize {
        self.next as usize
    }

    /// The value of a register; 0 for one that the program does not name.
    pub fn register(&self, register: usize) -> i64 {
        self.registers.get(register).copied().unwrap_or(0)
    }

    pub(super) fn put(&mut self, register: Register, value: i64) {
        self.registers[usize::from(register)] = value;
    }

    /// Goes back to the first step. The registers keep their values.
    pub(super) fn restart(&mut self, program: &Program<'_>, place: Place) {
        self.next = 0;
        self.blocks.clear();
        self.settle(program, place);
    }

    /// Goes past the step.
    pub(super) fn advance(&mut self, program: &Program<'_>, place: Place) {
        self.next += 1;
        self.settle(program, place);
    }

    /// Goes into the block of a `try` that has its lock.
    pub(super) fn enter_block(&mut self, program: &Program<'_>, place: Place) {
        self.blocks.push(Block {
            begin: self.next,
            left: 0,
        });
        self.advance(program, place);
    }

    /// Goes past a block of so many steps and its end.
    pub(super) fn skip_block(&mut self, program: &Program<'_>, place: Place, length: u32) {
        self.next += length + 2;
        self.settle(program, place);
    }

    /// Steers on to a step that does something.
    fn settle(&mut self, program: &Program<'_>, place: Place) {
        loop {
            match program.step(place, self.next()) {
                Some(Step::Repeat { length: 0, .. }) => self.next += 2,
                Some(Step::Repeat { count, .. }) => {
                    self.blocks.push(Block {
                        begin: self.next,
                        left: count.saturating_sub(1),
                    });
                    self.next += 1;
                }
                Some(Step::End) => match self.blocks.last_mut() {
                    Some(block) if block.left > 0 => {
                        block.left -= 1;
                        self.next = block.begin + 1;
                    }
                    _ => {
                        self.blocks.pop();
                        self.next += 1;
                    }
                },
                _ => break,
            }
        }
    }
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
        | Step::Load { to, .. } => Some(to),
        Step::Queue { to, .. } => to,
        _ => None,
    }
}

/// The register that a step reads.
fn read(step: Step) -> Option<Register> {
    match step {
        Step::Store { from, .. } => from,
        _ => None,
    }
}
