//! What a kernel mutex protects cannot leave the closure.
use apclab_guards::*;

fn outside<'a>(irql: &mut Passive, mutex: &'a KMutex<u32>) -> &'a mut u32 {
    mutex.with(irql, |data, _, _| data).unwrap()
}

fn main() {}
