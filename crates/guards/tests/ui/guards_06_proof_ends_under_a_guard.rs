//! The region cannot end while a guard relies on it.
use apclab_guards::*;

fn too_early(irql: &Passive, resource: &Resource<u32>) {
    let region = CriticalRegion::enter(irql);
    let guard = resource.exclusive(irql, &region);
    region.leave();
    drop(guard);
}

fn main() {}
