//! A token belongs to its thread.
use apclab_guards::*;

fn elsewhere(irql: Passive) {
    std::thread::spawn(move || apcs_disabled(&irql));
}

fn main() {}
