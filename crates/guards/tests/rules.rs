//! The rules of the reference pages, each by its name. What the compiler enforces of a rule is a file in
//! `tests/ui`; the test here shows that the kernel sees the rule kept, and that it would see it broken.
#![allow(
    unsafe_code,
    reason = "the tests are the roots of the IRQL witnesses, and break each rule once"
)]

use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind};

use apclab_guards::testing::{counters, threads};
use apclab_guards::{
    ApcLevel, CriticalRegion, GuardedRegion, HeldAs, Mode, Passive, PushLock, PushLockMode,
    ReentrantResource, Refused, Regions, Resource, all_apcs_disabled, apcs_disabled, current_irql,
};

/// The sentence of the bug check that a thread ends in.
fn bug_check(main: impl Fn(&mut Passive) + Sync) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| threads(&[&main]))).unwrap_err();
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn rule_critical_regions() {
    threads(&[&|irql: &mut Passive| {
        irql.critical(|irql, _| irql.critical(|_, _| assert_eq!(counters().kernel, -2)));
        let (outer, inner) = (irql.enter_critical(), irql.enter_critical());
        drop(outer);
        drop(inner);
        assert_eq!(counters().kernel, 0);
    }]);
    let left_too_often = bug_check(|_| {
        // SAFETY: it is not sound: nobody entered.
        drop(unsafe { CriticalRegion::assume_entered() });
    });
    assert!(left_too_often.contains("0x3e"), "{left_too_often}");
    let never_left = bug_check(|irql| forget(irql.enter_critical()));
    assert!(never_left.contains("0x20"), "{never_left}");
}

#[test]
fn rule_guarded_regions() {
    threads(&[&|irql: &mut Passive| {
        irql.guarded(|irql, _| assert!(all_apcs_disabled(irql)));
        drop(irql.enter_guarded());
        assert_eq!(counters().special, 0);
    }]);
    let left_too_often = bug_check(|_| {
        // SAFETY: it is not sound: nobody entered.
        drop(unsafe { GuardedRegion::assume_entered() });
    });
    assert!(left_too_often.contains("bug check"), "{left_too_often}");
    let never_left = bug_check(|irql| forget(irql.enter_guarded()));
    assert!(never_left.contains("0x20"), "{never_left}");
}

#[test]
fn rule_within_critical_region() {
    let (resource, push_lock) = (
        ReentrantResource::try_new(()).unwrap(),
        PushLock::try_new(()).unwrap(),
    );
    threads(&[&|irql: &mut Passive| {
        let region = irql.enter_guarded();
        drop(resource.exclusive(irql, &region).unwrap());
        drop(push_lock.exclusive(irql, &region));
    }]);
    let outside = bug_check(|irql| {
        // SAFETY: it is not sound: there is no region.
        unsafe { resource.acquire_unscoped(Mode::Shared, true, irql) };
    });
    assert!(outside.contains("0x37"), "{outside}");
    let outside = bug_check(|irql| {
        // SAFETY: it is not sound: there is no region.
        unsafe { push_lock.acquire_unscoped(PushLockMode::Shared, irql) };
    });
    assert!(outside.contains("0xea"), "{outside}");
}

#[test]
fn rule_exclusive_resource_access() {
    let (resource, reentrant) = (
        Resource::try_new(()).unwrap(),
        ReentrantResource::try_new(()).unwrap(),
    );
    threads(&[&|irql: &mut Passive| {
        let region = irql.enter_critical();
        let guard = resource.exclusive(irql, &region).unwrap();
        let again = resource.exclusive(irql, &region).err();
        assert_eq!(again, Some(Refused::Recursive));
        drop(guard);
        assert_eq!(resource.held(), HeldAs::Not, "released once");
        // The form that breaks the rule says so by its name.
        let outer = reentrant.exclusive(irql, &region).unwrap();
        drop((reentrant.exclusive(irql, &region).unwrap(), outer));
    }]);
    let released_too_often = bug_check(|irql| {
        let region = irql.enter_critical();
        // SAFETY: it is not sound: nobody acquired.
        unsafe { reentrant.release_unscoped(irql) };
        drop(region);
    });
    assert!(released_too_often.contains("0xe3"), "{released_too_often}");
}

#[test]
fn rule_irql_ke_apc_lte2() {
    // Every level that has a token is one at which the rule allows the predicates and the regions.
    threads(&[&|irql: &mut Passive| {
        let asked =
            |irql: &ApcLevel| (current_irql(), apcs_disabled(irql), all_apcs_disabled(irql));
        assert!(!apcs_disabled(irql));
        assert_eq!(
            irql.raise_to_apc_level(|irql| asked(irql)),
            (1, false, true)
        );
        irql.raise_to_apc_level(|irql| irql.critical(|irql, _| assert!(apcs_disabled(irql))));
    }]);
}

#[test]
fn rule_irql_ex_apc_lte3() {
    let resource = Resource::try_new(1).unwrap();
    threads(&[&|irql: &mut Passive| {
        assert_eq!(resource.with_shared(irql, |value, _, _| *value), Ok(1));
        irql.raise_to_apc_level(|irql| {
            assert_eq!(current_irql(), 1);
            *resource.exclusive(irql, irql).unwrap() += 1;
        });
    }]);
}
