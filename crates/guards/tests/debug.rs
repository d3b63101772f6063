//! The feature `debug`: mistakes are reported with the place that made them.
#![cfg(feature = "debug")]
#![allow(unsafe_code, reason = "the tests are the roots of the IRQL witnesses")]

use std::mem::forget;

use apclab_guards::debug::Mistake;
use apclab_guards::testing::mistakes;
use apclab_guards::{CriticalRegion, GuardedRegion, Passive, RegionKind, critical, guarded};

fn passive() -> Passive {
    // SAFETY: each test thread begins at PASSIVE_LEVEL in the model and makes one token.
    unsafe { Passive::assume() }
}

#[test]
fn what_is_left_is_not_reported() {
    let mut irql = passive();
    critical(&mut irql, |irql, _| guarded(irql, |_, _| ()));
    let outer = CriticalRegion::enter(&irql);
    let inner = CriticalRegion::enter(&irql);
    drop(outer);
    drop(inner);
    drop(irql);
    assert_eq!(mistakes(), []);
}

#[test]
fn a_forgotten_region_is_reported_with_its_own_place() {
    let irql = passive();
    let kept = CriticalRegion::enter(&irql);
    let line = line!() + 1;
    forget(CriticalRegion::enter(&irql));
    forget(GuardedRegion::enter(&irql));
    drop(kept);
    drop(irql);
    let mut reported = mistakes();
    reported.sort_by_key(|mistake| match mistake {
        Mistake::NeverLeft(_, place) | Mistake::LeftWithoutEntering(_, place) => place.line(),
    });
    let [
        Mistake::NeverLeft(RegionKind::Critical, first),
        Mistake::NeverLeft(RegionKind::Guarded, second),
    ] = reported[..]
    else {
        panic!("{reported:?}");
    };
    assert_eq!((first.line(), second.line()), (line, line + 1));
    assert!(first.file().ends_with("debug.rs"));
    let text = reported[0].to_string();
    assert!(
        text.contains("never left") && text.contains("debug.rs"),
        "{text}"
    );
}

#[test]
fn leaving_what_was_not_entered_is_reported() {
    let irql = passive();
    forget(GuardedRegion::enter(&irql));
    // SAFETY: the region of the line above has no guard.
    drop(unsafe { GuardedRegion::assume_entered() });
    assert_eq!(mistakes(), []);
    let line = line!() + 2;
    // SAFETY: it is not sound, which is to be reported; the guard is forgotten, so nothing is left.
    forget(unsafe { CriticalRegion::assume_entered() });
    let reported = mistakes();
    assert!(
        matches!(reported[..], [Mistake::LeftWithoutEntering(RegionKind::Critical, place)] if place.line() == line),
        "{reported:?}"
    );
}
