//! A resource does not leave its place.
use apclab_guards::*;

fn moved(resource: Nonpaged<Resource<u32>>) -> Resource<u32> {
    *resource
}

fn main() {}
