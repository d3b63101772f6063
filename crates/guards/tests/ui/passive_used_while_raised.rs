//! While the IRQL is raised nothing can say PASSIVE_LEVEL.
use apclab_guards::*;

fn both(irql: &mut Passive) {
    let outer: &Passive = irql;
    irql.raise_to_apc_level(|_| ());
    let _ = apcs_disabled(outer);
}

fn main() {}
