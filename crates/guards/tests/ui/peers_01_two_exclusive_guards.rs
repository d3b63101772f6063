//! An exclusive guard cannot be doubled, and gives one `&mut` at a time.
use apclab_guards::*;

fn doubled<'a>(mut guard: ResourceExclusive<'a, u32>) {
    let one = &mut *guard;
    let two = &mut *guard;
    std::mem::swap(one, two);
    let again: ResourceExclusive<'a, u32> = guard.clone();
}

fn main() {}
