//! A guard of data that is not `Sync` cannot be shared between threads.
use apclab_guards::*;

fn shared(guard: &ResourceExclusive<'_, std::cell::Cell<u32>>) {
    std::thread::scope(|scope| {
        scope.spawn(|| guard.get());
    });
}

fn main() {}
