//! A token of another IRQL does not do.
use apclab_guards::*;

struct DispatchLevel;

fn acquire(irql: &DispatchLevel, resource: &Resource<u32>) {
    let _guard = resource.enter_exclusive(irql);
}

fn main() {}
