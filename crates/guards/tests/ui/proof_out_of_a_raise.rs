#![allow(unsafe_code)]
use apclab_guards::{Passive, ReentrantResource};

fn main() {
    let mut irql = unsafe { Passive::assume() };
    let resource = ReentrantResource::try_new(()).unwrap();
    let proof = irql.raise_to_apc_level(|irql| irql.parts().1);
    drop(resource.exclusive(&irql, proof));
}
