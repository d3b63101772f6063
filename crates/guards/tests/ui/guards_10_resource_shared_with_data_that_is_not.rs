//! A resource is `Sync` only when its data is.
use apclab_guards::*;

fn shared<T: Sync>() {}

fn main_thread() {
    shared::<Resource<std::cell::Cell<u32>>>();
}

fn main() {}
