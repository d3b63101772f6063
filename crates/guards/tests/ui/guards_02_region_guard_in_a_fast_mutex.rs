//! Nor can a region guard get into a fast mutex, which raises too.
use apclab_guards::*;

fn inside(irql: &mut Passive, mutex: &FastMutex<u32>) {
    let region = CriticalRegion::enter(irql);
    mutex.with(irql, move |_, _| drop(region));
}

fn main() {}
