//! A try has two answers: without looking at them there is no data.
use apclab_guards::*;

fn careless(irql: &Passive, resource: &Resource<u32>, region: &CriticalRegion) -> u32 {
    *resource.try_shared(irql, region)
}

fn main() {}
