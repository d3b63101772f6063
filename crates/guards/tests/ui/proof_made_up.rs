#![allow(unsafe_code)]
use apclab_guards::{AnyProof, CriticalRegion, NormalApcsDisabled, Passive, ReentrantResource};

fn lend<'a>(region: CriticalRegion) -> &'a AnyProof {
    region.any()
}

fn main() {
    let irql = unsafe { Passive::assume() };
    let resource = ReentrantResource::try_new(()).unwrap();
    drop(resource.exclusive(&irql, lend(CriticalRegion::enter(&irql))));
}
