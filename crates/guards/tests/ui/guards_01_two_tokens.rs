//! A thread has one token: none can be made from another, and none from nothing.
use apclab_guards::*;

fn second(irql: &Passive) -> Passive {
    irql.clone()
}

fn forged() -> ApcLevel {
    ApcLevel { one_thread: std::marker::PhantomData }
}

fn main() {}
