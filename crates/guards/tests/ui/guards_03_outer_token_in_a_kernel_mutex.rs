//! Inside a kernel mutex the token is lent to the closure: the outer name of it cannot raise.
use apclab_guards::*;

fn inside(irql: &mut Passive, mutex: &KMutex<u32>) {
    let _ = mutex.with(irql, |_, _, _| irql.raise_to_apc_level(|_| ()));
}

fn main() {}
