//! A region is left once.
use apclab_guards::*;

fn twice(irql: &Passive) {
    let region = CriticalRegion::enter(irql);
    region.leave();
    region.leave();
}

fn main() {}
