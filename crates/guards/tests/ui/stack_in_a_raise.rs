//! Nor can a stack of regions get into a raise.
use apclab_guards::*;

fn inside(irql: &mut Passive, stack: &mut RegionStack<'_>) {
    irql.raise_to_apc_level(|_| {
        stack.leave();
    });
}

fn main() {}
