//! Where a lane or the body of an APC is in its steps.

use apclab_protocol::program::{Place, Program};
use apclab_protocol::step::Step;

/// The place of a lane or a body in its steps.
///
/// The steps that only steer (the begin of a `repeat`, the end of a block that is no `call`) are
/// never where it stands: they show nowhere, and belong to the step before them.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Cursor {
    next: u32,
    /// The open blocks, the innermost last.
    blocks: Vec<Block>,
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
        let mut cursor = Self {
            next: 0,
            blocks: Vec::new(),
        };
        cursor.settle(program, place);
        cursor
    }

    /// The index of the step that is executed next; the number of steps at the end.
    pub(super) fn next(&self) -> usize {
        self.next as usize
    }

    /// Goes back to the first step.
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

    /// Goes into the block of a `call`, or of a `try` that has its lock.
    pub(super) fn enter_block(&mut self, program: &Program<'_>, place: Place) {
        self.blocks.push(Block {
            begin: self.next,
            left: 0,
        });
        self.advance(program, place);
    }

    /// Goes past the end of a `call`.
    pub(super) fn leave_call(&mut self, program: &Program<'_>, place: Place) {
        self.blocks.pop();
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
                    Some(block) if calls(program, place, block) => break,
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

/// Whether the block is a `call`, whose end is the return to user mode.
fn calls(program: &Program<'_>, place: Place, block: &Block) -> bool {
    let begin = program.step(place, block.begin as usize);
    matches!(begin, Some(Step::Call { .. }))
}
