//! A region belongs to the thread that entered it.
use apclab_guards::*;

fn elsewhere(region: CriticalRegion) {
    another_thread(move || drop(region));
}

fn another_thread(_: impl FnOnce() + Send) {}

fn main() {}
