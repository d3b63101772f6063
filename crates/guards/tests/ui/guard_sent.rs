//! A region belongs to the thread that entered it.
use apclab_guards::*;

fn elsewhere(region: CriticalRegion) {
    std::thread::spawn(move || drop(region));
}

fn main() {}
