//! A region entered at APC_LEVEL cannot outlive the raise.
use apclab_guards::*;

fn outside(irql: &mut Passive) -> CriticalRegion {
    irql.raise_to_apc_level(|irql| CriticalRegion::enter(irql))
}

fn main() {}
