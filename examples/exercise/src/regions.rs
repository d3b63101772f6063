//! Regions and raises.

use apclab_guards::{
    CriticalRegion, GuardedRegion, Passive, RegionKind, RegionStack, Slot, all_apcs_disabled,
    apcs_disabled, critical, current_irql, guarded,
};

use crate::state::holds;

pub(crate) fn nest(irql: &mut Passive) -> Option<()> {
    let before = all_apcs_disabled(irql);
    critical(irql, |irql, _| {
        holds(apcs_disabled(irql))?;
        holds(all_apcs_disabled(irql) == before)?;
        guarded(irql, |irql, _| holds(all_apcs_disabled(irql)))
    })?;
    // In any order.
    let outer = GuardedRegion::enter(irql);
    let inner = CriticalRegion::enter(irql);
    outer.leave();
    holds(apcs_disabled(irql))?;
    inner.leave();
    holds(all_apcs_disabled(irql) == before)
}

pub(crate) fn raise(irql: &mut Passive) -> Option<()> {
    holds(current_irql() == 0)?;
    irql.raise_to_apc_level(|irql| {
        holds(current_irql() == 1)?;
        holds(all_apcs_disabled(irql))?;
        critical(irql, |irql, _| holds(apcs_disabled(irql)))
    })?;
    holds(current_irql() == 0)
}

pub(crate) fn stack(irql: &mut Passive) -> Option<()> {
    let before = all_apcs_disabled(irql);
    let mut slots = [Slot::EMPTY; 4];
    let mut stack = RegionStack::new(&mut slots);
    stack.enter(RegionKind::Critical, irql).ok()?;
    stack.enter(RegionKind::Guarded, irql).ok()?;
    holds(all_apcs_disabled(irql))?;
    holds(stack.leave() == Some(RegionKind::Guarded))?;
    holds(all_apcs_disabled(irql) == before)
}
