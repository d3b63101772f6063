//! The feature `debug`: mistakes are reported with the place that made them.
#![cfg(feature = "debug")]
#![allow(unsafe_code, reason = "the tests are the roots of the IRQL witnesses")]

use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use apclab_guards::debug::{LockKind, Mistake};
use apclab_guards::testing::{every_interleaving, mistakes, threads};
use apclab_guards::{
    CriticalRegion, EnterMode, FastMutex, GuardedRegion, Mode, Passive, PushLock, PushLockMode,
    ReentrantKMutex, ReentrantResource, RegionKind, Resource, ResourceOwner, critical, guarded,
};

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
        Mistake::NeverLeft(_, place) => place.line(),
        other => panic!("{other:?}"),
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

#[test]
fn what_is_released_in_any_order_is_not_reported() {
    let mut irql = passive();
    let (resource, other) = (
        Resource::try_new(1).unwrap(),
        ReentrantResource::try_new(()).unwrap(),
    );
    let (push_lock, fast) = (
        PushLock::try_new(()).unwrap(),
        FastMutex::try_new(()).unwrap(),
    );
    let outer = GuardedRegion::enter(&irql);
    let inner = CriticalRegion::enter(&irql);
    let one = resource.shared(&irql, &outer).unwrap();
    let two = resource.shared(&irql, &outer).unwrap();
    let pushed = push_lock.exclusive(&irql, &outer);
    drop(inner);
    drop((one, pushed, two));
    drop(outer);
    fast.with(&mut irql, |(), irql| {
        drop(other.exclusive(irql, irql).unwrap());
    });
    let guard = other.enter(EnterMode::Exclusive, &irql).unwrap();
    other.convert(&irql).unwrap();
    drop(guard);
    drop(irql);
    assert_eq!(mistakes(), []);
}

#[test]
fn a_lock_that_is_never_released_is_reported_with_its_own_place() {
    let irql = passive();
    let resource = Resource::try_new(()).unwrap();
    let mutex = ReentrantKMutex::try_new(()).unwrap();
    let region = CriticalRegion::enter(&irql);
    let kept = resource.shared(&irql, &region).unwrap();
    let line = line!() + 1;
    forget(resource.shared(&irql, &region).unwrap());
    drop(kept);
    let event = apclab_guards::testing::Event::notification();
    // SAFETY: it is not sound, which is to be reported: nobody releases it.
    unsafe { mutex.acquire_unscoped(&irql, 0, &event) }.unwrap();
    forget(region);
    drop(irql);
    let reported = mistakes();
    let place = |lock| {
        reported.iter().find_map(|mistake| match mistake {
            Mistake::NeverReleased(kind, place) if *kind == lock => Some(place.line()),
            _ => None,
        })
    };
    assert_eq!(place(LockKind::Resource), Some(line), "{reported:?}");
    assert_eq!(place(LockKind::KMutex), Some(line + 4), "{reported:?}");
    assert_eq!(reported.len(), 3, "the region too: {reported:?}");
    forget((resource, mutex));
}

#[test]
fn a_region_that_is_left_under_a_lock_is_reported_with_both_places() {
    let irql = passive();
    let resource = ReentrantResource::try_new(()).unwrap();
    let first = line!() + 1;
    forget(CriticalRegion::enter(&irql));
    // SAFETY: it is not sound, which is to be reported: the region is left first.
    assert!(unsafe { resource.acquire_unscoped(Mode::Shared, true, &irql) });
    let inner = GuardedRegion::enter(&irql);
    // SAFETY: the region above has no guard.
    drop(unsafe { CriticalRegion::assume_entered() });
    assert_eq!(mistakes(), [], "another region keeps the APCs out");
    drop(inner);
    let reported = mistakes();
    let [
        Mistake::LeftUnderALock {
            lock: LockKind::Resource,
            acquired,
            entered: Some(entered),
        },
    ] = reported[..]
    else {
        panic!("{reported:?}");
    };
    assert_eq!((acquired.line(), entered.line()), (first + 2, first + 3));
    let text = reported[0].to_string();
    assert!(
        text.contains(&format!("debug.rs:{}", first + 2))
            && text.contains(&format!("debug.rs:{}", first + 3)),
        "{text}"
    );
    let again = CriticalRegion::enter(&irql);
    // SAFETY: acquired above.
    unsafe { resource.release_unscoped(&irql) };
    drop(again);
    drop(irql);
    assert_eq!(mistakes(), []);
}

#[test]
fn a_combined_release_that_leaves_a_lock_behind_is_reported() {
    let irql = passive();
    let (one, two) = (
        ReentrantResource::try_new(()).unwrap(),
        PushLock::try_new(()).unwrap(),
    );
    let line = line!() + 2;
    // SAFETY: given back below.
    unsafe { one.enter_acquire_unscoped(EnterMode::Shared, &irql) };
    // SAFETY: it is not sound, which is to be reported: released outside every region.
    unsafe { two.acquire_unscoped(PushLockMode::Shared, &irql) };
    // SAFETY: acquired above, in a region without a guard.
    unsafe { one.release_leave_unscoped(&irql) };
    let reported = mistakes();
    assert!(
        matches!(
            reported[..],
            [Mistake::LeftUnderALock { lock: LockKind::PushLock, acquired, entered: Some(entered) }]
                if (entered.line(), acquired.line()) == (line, line + 2)
        ),
        "{reported:?}"
    );
    forget(two);
}

#[test]
fn a_combined_guard_that_leaves_a_lock_behind_is_reported() {
    let irql = passive();
    let (one, two) = (
        Resource::try_new(()).unwrap(),
        PushLock::try_new(()).unwrap(),
    );
    let line = line!() + 1;
    let mut guard = one.enter_shared(&irql).unwrap();
    forget(two.shared(&irql, guard.parts().1));
    drop(guard);
    let reported = mistakes();
    assert!(
        matches!(
            reported[..],
            [Mistake::LeftUnderALock { lock: LockKind::PushLock, acquired, entered: Some(entered) }]
                if (entered.line(), acquired.line()) == (line, line + 1)
        ),
        "{reported:?}"
    );
    forget(two);
}

#[test]
fn an_acquire_with_apcs_enabled_is_reported_before_the_kernel_stops() {
    let irql = passive();
    let resource = ReentrantResource::try_new(()).unwrap();
    let mut line = 0;
    let stopped = catch_unwind(AssertUnwindSafe(|| {
        line = line!() + 2;
        // SAFETY: it is not sound, which is to be reported: there is no region.
        unsafe { resource.acquire_unscoped(Mode::Shared, true, &irql) }
    }));
    assert!(stopped.is_err());
    let reported = mistakes();
    assert!(
        matches!(reported[..], [Mistake::AcquiredWithApcsEnabled(LockKind::Resource, place)] if place.line() == line),
        "{reported:?}"
    );
}

/// What is reported of a thread that waits for itself.
fn of_a_deadlock(main: impl Fn(&mut Passive) + Sync) -> Vec<Mistake> {
    let seen = Mutex::new(Vec::new());
    let main = |irql: &mut Passive| {
        let stopped = catch_unwind(AssertUnwindSafe(|| main(irql)));
        seen.lock().unwrap().extend(mistakes());
        if let Err(panic) = stopped {
            std::panic::resume_unwind(panic);
        }
    };
    let stopped = catch_unwind(AssertUnwindSafe(|| {
        every_interleaving(|| threads(&[&main]))
    }));
    assert!(stopped.is_err());
    seen.into_inner().unwrap()
}

#[test]
fn a_thread_that_waits_for_itself_is_reported_with_both_places() {
    let line = line!() + 4;
    let reported = of_a_deadlock(|irql| {
        let lock = PushLock::try_new(()).unwrap();
        let region = CriticalRegion::enter(irql);
        let _first = lock.shared(irql, &region);
        drop(lock.exclusive(irql, &region));
    });
    assert!(
        matches!(
            reported[..],
            [Mistake::WaitsForItself { lock: LockKind::PushLock, acquired, again }, ..]
                if (acquired.line(), again.line()) == (line, line + 1)
        ),
        "{reported:?}"
    );
    let line = line!() + 4;
    let reported = of_a_deadlock(|irql| {
        let mutex = FastMutex::try_new(()).unwrap();
        let mutex = &*mutex;
        mutex.with(irql, |(), irql| {
            mutex.with(irql, |(), _| ());
        });
    });
    assert!(
        matches!(
            reported[..],
            [Mistake::WaitsForItself { lock: LockKind::Mutex, acquired, again }, ..]
                if (acquired.line(), again.line()) == (line, line + 1)
        ),
        "{reported:?}"
    );
}

#[test]
fn what_was_handed_over_is_not_the_threads_any_more() {
    let irql = passive();
    let resource = ReentrantResource::try_new(()).unwrap();
    let owner = ResourceOwner::new();
    // SAFETY: handed over below.
    unsafe { resource.enter_acquire_unscoped(EnterMode::Exclusive, &irql) };
    // SAFETY: acquired unscoped; released for the owner below.
    unsafe { resource.hand_over_unscoped(&owner, &irql) };
    // SAFETY: the combined call's region.
    drop(unsafe { CriticalRegion::assume_entered() });
    // SAFETY: handed over above.
    unsafe { resource.release_for_owner_unscoped(&owner, &irql) };
    drop(irql);
    assert_eq!(mistakes(), []);
}
