//! Being at PASSIVE_LEVEL is no proof that normal APCs are disabled.
use apclab_guards::*;

fn acquire(_proof: &impl NormalApcsDisabled) {}

fn without_a_region(irql: &Passive) {
    acquire(irql);
}

fn main() {}
