#![allow(unsafe_code)]
use apclab_guards::{CriticalRegion, NormalApcsDisabled, Passive, ReentrantResource};

fn main() {
    let mut irql = unsafe { Passive::assume() };
    let resource = ReentrantResource::try_new(()).unwrap();
    let region = CriticalRegion::enter(&irql);
    let proof = region.any();
    irql.raise_to_apc_level(|irql| drop(resource.exclusive(irql, proof)));
}
