//! A token belongs to its thread.
use apclab_guards::*;

fn elsewhere(irql: Passive) {
    another_thread(move || drop(apcs_disabled(&irql)));
}

fn another_thread(_: impl FnOnce() + Send) {}

fn main() {}
