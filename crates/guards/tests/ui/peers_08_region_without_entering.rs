//! A guard comes from entering only.
use apclab_guards::*;

fn forged() -> CriticalRegion {
    Region { kind: std::marker::PhantomData, one_thread: std::marker::PhantomData }
}

fn main() {}
