//! Entering needs a witness of the IRQL.
use apclab_guards::*;

fn anywhere() {
    drop(CriticalRegion::enter(&()));
}

fn main() {}
