//! A guard releases once.
use apclab_guards::*;

fn twice(guard: ResourceExclusive<'_, u32>) {
    drop(guard);
    drop(guard);
}

fn main() {}
