//! A guard of data that is not `Sync` cannot be shared between threads.
use apclab_guards::*;

fn shared(guard: &ResourceExclusive<'_, std::cell::Cell<u32>>) {
    another_thread(|| drop(guard.get()));
}

fn another_thread(_: impl FnOnce() + Send) {}

fn main() {}
