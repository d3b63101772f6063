#![allow(unsafe_code)]
use apclab_guards::{Passive, ReentrantResource, RegionKind, RegionStack, Slot};

fn main() {
    let irql = unsafe { Passive::assume() };
    let resource = ReentrantResource::try_new(()).unwrap();
    let mut slots = [Slot::EMPTY; 2];
    let mut regions = RegionStack::new(&mut slots);
    regions.enter(RegionKind::Critical, &irql).unwrap();
    let (proof, _spare) = regions.parts();
    let guard = resource.exclusive(&irql, proof.unwrap()).unwrap();
    regions.leave();
    drop(guard);
}
