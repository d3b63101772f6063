//! Inside a fast mutex the outer token cannot be used: mutexes and raises nest strictly.
use apclab_guards::*;

fn inside(irql: &mut Passive, mutex: &FastMutex<u32>) {
    mutex.with(irql, |_, _| irql.raise_to_apc_level(|_| ()));
}

fn main() {}
