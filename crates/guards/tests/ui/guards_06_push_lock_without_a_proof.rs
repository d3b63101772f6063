//! A push lock wants the proof as well.
use apclab_guards::*;

fn acquire(irql: &Passive, lock: &PushLock<u32>) {
    let _guard = lock.shared(irql, &());
}

fn main() {}
