//! The guards against the model: every region is left exactly once, whatever happens inside.
#![allow(unsafe_code, reason = "the tests are the roots of the IRQL witnesses")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use apclab_guards::testing::counters;
use apclab_guards::{
    CriticalRegion, Full, GuardedRegion, Passive, RegionKind, RegionStack, Slot, all_apcs_disabled,
    apcs_disabled, critical, current_irql, guarded,
};
use proptest::prelude::*;

fn passive() -> Passive {
    // SAFETY: each test thread begins at PASSIVE_LEVEL in the model and makes one token.
    unsafe { Passive::assume() }
}

fn depths() -> (i16, i16) {
    let counters = counters();
    (counters.kernel, counters.special)
}

#[test]
fn each_region_changes_its_own_counter() {
    let mut irql = passive();
    critical(&mut irql, |irql, _| {
        assert_eq!(depths(), (-1, 0));
        assert!(apcs_disabled(irql) && !all_apcs_disabled(irql));
        guarded(irql, |irql, _| {
            assert_eq!(depths(), (-1, -1));
            assert!(all_apcs_disabled(irql));
        });
        assert_eq!(depths(), (-1, 0));
    });
    assert_eq!(depths(), (0, 0));
}

#[test]
fn guards_leave_on_every_way_out() {
    let mut irql = passive();
    let early = |irql: &Passive| -> Option<()> {
        let _critical = CriticalRegion::enter(irql);
        let _guarded = GuardedRegion::enter(irql);
        None?;
        Some(())
    };
    assert_eq!(early(&irql), None);
    assert_eq!(depths(), (0, 0));
    let thrown = catch_unwind(AssertUnwindSafe(|| {
        critical(&mut irql, |irql, _| {
            irql.raise_to_apc_level(|irql| guarded(irql, |_, _| panic!("on purpose")))
        })
    }));
    assert!(thrown.is_err());
    assert_eq!(depths(), (0, 0));
    assert_eq!(current_irql(), 0);
}

#[test]
fn raising_lasts_as_long_as_the_closure() {
    let mut irql = passive();
    let inside = irql
        .raise_to_apc_level(|irql| (current_irql(), apcs_disabled(irql), all_apcs_disabled(irql)));
    assert_eq!(inside, (1, false, true));
    assert_eq!(current_irql(), 0);
}

#[test]
fn a_thousand_regions_need_a_thousand_slots() {
    let irql = passive();
    let mut slots = [Slot::EMPTY; 1000];
    let mut stack = RegionStack::new(&mut slots);
    for _ in 0..1000 {
        stack.enter(RegionKind::Critical, &irql).unwrap();
    }
    assert_eq!(stack.enter(RegionKind::Guarded, &irql), Err(Full));
    assert_eq!(
        depths(),
        (-1000, 0),
        "a region that found no slot is not entered"
    );
    drop(stack);
    assert_eq!(depths(), (0, 0));
}

proptest! {
    /// Any sequence of enters and leaves keeps the counters at minus the open regions, the stack in
    /// last-in-first-out order, and everything left at its end.
    #[test]
    fn a_stack_is_balanced_at_every_prefix(moves in proptest::collection::vec(0_u8..3, 0..40), raise_at in 0_usize..40) {
        let mut irql = passive();
        let mut slots = [Slot::EMPTY; 16];
        let mut expected = Vec::new();
        {
            let mut stack = RegionStack::new(&mut slots);
            for (index, step) in moves.iter().enumerate() {
                let kind = match step {
                    0 => RegionKind::Critical,
                    1 => RegionKind::Guarded,
                    _ => {
                        prop_assert_eq!(stack.leave(), expected.pop());
                        prop_assert_eq!(stack.proof().is_some(), !expected.is_empty());
                        continue;
                    }
                };
                if stack.enter(kind, &irql).is_ok() {
                    expected.push(kind);
                }
                let count = |kind| expected.iter().filter(|k| **k == kind).count();
                let open = (count(RegionKind::Critical), count(RegionKind::Guarded));
                let (kernel, special) = depths();
                prop_assert_eq!((usize::try_from(-kernel).unwrap(), usize::try_from(-special).unwrap()), open);
                prop_assert_eq!(stack.depth(), expected.len());
                prop_assert_eq!(stack.innermost(), expected.last().copied());
                prop_assert_eq!(stack.proof().is_some(), !expected.is_empty());
                prop_assert_eq!(stack.parts().0.is_some(), !expected.is_empty());
                if index == raise_at {
                    let spare = stack.spare();
                    irql.raise_to_apc_level(|irql| {
                        let mut inner = RegionStack::new(spare);
                        let _ = inner.enter(RegionKind::Critical, irql);
                    });
                    prop_assert_eq!(depths(), (kernel, special));
                }
            }
        }
        prop_assert_eq!(depths(), (0, 0));
    }
}
