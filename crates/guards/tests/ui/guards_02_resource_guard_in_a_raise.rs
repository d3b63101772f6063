//! A resource guard made outside cannot be dropped inside a raise.
use apclab_guards::*;

fn inside(irql: &mut Passive, resource: &Resource<u32>) {
    let guard = resource.enter_exclusive(irql).unwrap();
    irql.raise_to_apc_level(move |_| drop(guard));
}

fn main() {}
