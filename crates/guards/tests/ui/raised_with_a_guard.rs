//! A region entered outside cannot be left at raised IRQL.
use apclab_guards::*;

fn inside(irql: &mut Passive) {
    let region = GuardedRegion::enter(irql);
    irql.raise_to_apc_level(move |_| drop(region));
}

fn main() {}
