//! A guard releases on the thread that acquired.
use apclab_guards::*;

fn elsewhere(guard: ResourceExclusive<'static, u32>) {
    std::thread::spawn(move || drop(guard));
}

fn main() {}
