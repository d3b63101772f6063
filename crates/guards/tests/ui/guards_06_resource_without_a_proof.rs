//! Being at most at APC_LEVEL does not prove that normal APCs are disabled.
use apclab_guards::*;

fn acquire(irql: &Passive, resource: &Resource<u32>) {
    let _guard = resource.exclusive(irql, irql);
}

fn main() {}
