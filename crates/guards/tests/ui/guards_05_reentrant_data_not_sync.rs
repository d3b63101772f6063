//! What a reentrant lock protects is shared with the APCs of its own thread.
use apclab_guards::*;

fn again(irql: &Passive, resource: &ReentrantResource<*mut u32>) {
    let _guard = resource.enter_exclusive(irql);
}

fn main() {}
