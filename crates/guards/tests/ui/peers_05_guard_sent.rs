//! A guard releases on the thread that acquired.
use apclab_guards::*;

fn elsewhere(guard: ResourceExclusive<'static, u32>) {
    another_thread(move || drop(guard));
}

fn another_thread(_: impl FnOnce() + Send) {}

fn main() {}
