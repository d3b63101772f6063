//! Executive resources and push locks against the model: the facts of docs/semantics.md, section 3, as the
//! guards show them.
#![allow(unsafe_code, reason = "the tests are the roots of the IRQL witnesses")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread::yield_now;

use apclab_guards::testing::{Meeting, counters, interrupt, threads};
use apclab_guards::{
    CriticalRegion, GuardedRegion, HeldAs, Mode, Passive, PushLock, ReentrantResource, Refused,
    Resource, all_apcs_disabled, apcs_disabled, current_irql,
};

fn passive() -> Passive {
    // SAFETY: each test thread begins at PASSIVE_LEVEL in the model and makes one token.
    unsafe { Passive::assume() }
}

fn depths() -> (i16, i16) {
    let counters = counters();
    (counters.kernel, counters.special)
}

fn refusal<G>(acquired: Result<G, Refused>) -> Option<Refused> {
    acquired.err()
}

#[test]
fn each_proof_allows_an_acquire() {
    let resource = Resource::try_new(1).unwrap();
    let mut irql = passive();
    let critical = CriticalRegion::enter(&irql);
    *resource.exclusive(&irql, &critical).unwrap() += 1;
    critical.leave();
    let guarded = GuardedRegion::enter(&irql);
    *resource.exclusive(&irql, &guarded).unwrap() += 1;
    guarded.leave();
    irql.raise_to_apc_level(|irql| *resource.exclusive(irql, irql).unwrap() += 1);
    let mutex = apclab_guards::KMutex::try_new(()).unwrap();
    mutex
        .with(&mut irql, |(), irql, held| {
            *resource.exclusive(irql, held).unwrap() += 1;
        })
        .unwrap();
    assert_eq!(resource.with_shared(&mut irql, |value, _, _| *value), Ok(5));
}

#[test]
fn recursion_of_the_exclusive_owner_is_refused_in_every_mode() {
    let resource = Resource::try_new(0).unwrap();
    let irql = passive();
    let region = CriticalRegion::enter(&irql);
    let mut guard = resource.exclusive(&irql, &region).unwrap();
    let again = [
        refusal(resource.exclusive(&irql, &region)),
        refusal(resource.try_exclusive(&irql, &region)),
        refusal(resource.shared(&irql, &region)),
        refusal(resource.try_shared(&irql, &region)),
        refusal(resource.shared_starve_exclusive(&irql, &region)),
        refusal(resource.shared_wait_for_exclusive(&irql, &region)),
        refusal(resource.try_shared_wait_for_exclusive(&irql, &region)),
        refusal(resource.enter_exclusive(&irql)),
        refusal(resource.enter_shared(&irql)),
        refusal(resource.enter_shared_wait_for_exclusive(&irql)),
    ];
    assert_eq!(again, [Some(Refused::Recursive); 10]);
    *guard += 1;
    assert_eq!(resource.held(), HeldAs::Exclusive(1));
    assert_eq!(depths(), (-1, 0), "what was refused entered no region");
}

#[test]
fn a_sharer_may_share_again_and_may_not_upgrade() {
    let resource = Resource::try_new(7).unwrap();
    let irql = passive();
    let region = CriticalRegion::enter(&irql);
    let first = resource.shared(&irql, &region).unwrap();
    let second = resource.shared(&irql, &region).unwrap();
    let third = resource.shared_starve_exclusive(&irql, &region).unwrap();
    assert_eq!(resource.held(), HeldAs::Shared(3));
    assert_eq!(
        refusal(resource.exclusive(&irql, &region)),
        Some(Refused::Upgrade)
    );
    assert_eq!(
        refusal(resource.try_exclusive(&irql, &region)),
        Some(Refused::Upgrade)
    );
    assert_eq!(
        refusal(resource.shared_wait_for_exclusive(&irql, &region)),
        Some(Refused::BehindItself)
    );
    // Without waiting it cannot wait behind itself.
    let fourth = resource
        .try_shared_wait_for_exclusive(&irql, &region)
        .unwrap();
    assert_eq!(*first + *second + *third + *fourth, 28);
    drop((first, third));
    assert_eq!(
        resource.held(),
        HeldAs::Shared(2),
        "one release for each acquire"
    );
    drop((second, fourth));
    assert_eq!(resource.held(), HeldAs::Not);
}

#[test]
fn the_reentrant_form_counts_in_both_modes() {
    let resource = ReentrantResource::try_new(AtomicU32::new(0)).unwrap();
    let irql = passive();
    let region = CriticalRegion::enter(&irql);
    let exclusive = resource.exclusive(&irql, &region).unwrap();
    let again = resource.exclusive(&irql, &region).unwrap();
    let shared = resource
        .acquire(Mode::SharedWaitForExclusive, &irql, &region)
        .unwrap();
    shared.fetch_add(1, Relaxed);
    assert_eq!(again.load(Relaxed), 1);
    assert_eq!(resource.held(), HeldAs::Exclusive(3));
    drop((exclusive, again));
    assert_eq!(
        resource.held(),
        HeldAs::Exclusive(1),
        "the order of releases is free"
    );
    drop(shared);
    let shared = resource.shared(&irql, &region).unwrap();
    assert_eq!(
        refusal(resource.exclusive(&irql, &region)),
        Some(Refused::Upgrade)
    );
    assert_eq!(
        refusal(resource.acquire(Mode::SharedWaitForExclusive, &irql, &region)),
        Some(Refused::BehindItself)
    );
    assert_eq!(resource.held(), HeldAs::Shared(1));
    drop(shared);
}

#[test]
fn the_combined_form_releases_first_and_leaves_then() {
    let resource = Resource::try_new(1).unwrap();
    let irql = passive();
    let mut guard = resource.enter_exclusive(&irql).unwrap();
    assert_eq!((depths(), resource.held()), ((-1, 0), HeldAs::Exclusive(1)));
    let (data, region) = guard.parts();
    let inner = Resource::try_new(2).unwrap();
    let other = inner.shared(&irql, region).unwrap();
    *data += *other;
    drop(other);
    // The model has a bug check for a release with APCs enabled: leaving first would not survive.
    drop(guard);
    assert_eq!((depths(), resource.held()), ((0, 0), HeldAs::Not));
    let shared = resource.enter_shared(&irql).unwrap();
    assert_eq!((*shared, depths()), (3, (-1, 0)));
    drop(shared);
    let shared = resource.enter_shared_wait_for_exclusive(&irql).unwrap();
    assert_eq!((*shared, depths()), (3, (-1, 0)));
    drop(shared);
    assert_eq!(depths(), (0, 0));
}

#[test]
fn a_try_fails_while_another_thread_has_it() {
    let resource = Resource::try_new(()).unwrap();
    let (held, tried) = (Meeting::default(), Meeting::default());
    let holder = |irql: &mut Passive| {
        resource
            .with_exclusive(irql, |(), _, _| {
                held.meet();
                tried.meet();
            })
            .unwrap();
    };
    let other = |irql: &mut Passive| {
        held.meet();
        let region = CriticalRegion::enter(irql);
        let answers = [
            refusal(resource.try_exclusive(irql, &region)),
            refusal(resource.try_shared(irql, &region)),
            refusal(resource.try_shared_starve_exclusive(irql, &region)),
            refusal(resource.try_shared_wait_for_exclusive(irql, &region)),
        ];
        assert_eq!(answers, [Some(Refused::Busy); 4]);
        assert_eq!(resource.held(), HeldAs::Not, "no guard without ownership");
        drop(region);
        tried.meet();
    };
    threads(&[&holder, &other]);
}

/// A sharer holds the resource, an exclusive waiter queues, and a third thread asks.
fn behind_a_waiter(ask: impl Fn(&Resource<u32>, &mut Passive) + Sync) {
    let resource = Resource::try_new(0).unwrap();
    let (shared, queued, asked) = (Meeting::default(), Meeting::default(), Meeting::default());
    let first = |irql: &mut Passive| {
        let mut guard = resource.enter_shared(irql).unwrap();
        shared.meet();
        while resource.exclusive_waiters() == 0 {
            yield_now();
        }
        // A sharer recurses past those that wait for exclusive.
        drop(resource.shared(irql, guard.parts().1).unwrap());
        queued.meet();
        asked.meet();
        drop(guard);
    };
    let waiter = |irql: &mut Passive| {
        shared.meet();
        *resource.enter_exclusive(irql).unwrap() += 1;
    };
    let third = |irql: &mut Passive| {
        queued.meet();
        ask(&resource, irql);
        asked.meet();
    };
    threads(&[&first, &waiter, &third]);
    assert_eq!(
        resource.with_shared(&mut passive(), |value, _, _| *value),
        Ok(1)
    );
}

#[test]
fn a_new_sharer_queues_behind_those_that_wait_for_exclusive() {
    behind_a_waiter(|resource, irql| {
        let region = CriticalRegion::enter(irql);
        assert_eq!(
            refusal(resource.try_shared(irql, &region)),
            Some(Refused::Busy)
        );
    });
}

#[test]
fn starve_exclusive_ignores_those_that_wait() {
    behind_a_waiter(|resource, irql| {
        let region = CriticalRegion::enter(irql);
        let shared = resource.shared_starve_exclusive(irql, &region).unwrap();
        assert_eq!(*shared, 0);
    });
}

#[test]
fn wait_for_exclusive_queues_even_as_a_sharer() {
    behind_a_waiter(|resource, irql| {
        let region = CriticalRegion::enter(irql);
        let shared = resource.shared_starve_exclusive(irql, &region).unwrap();
        assert_eq!(
            refusal(resource.try_shared_wait_for_exclusive(irql, &region)),
            Some(Refused::Busy)
        );
        drop(shared);
    });
}

#[test]
fn a_downgrade_keeps_the_count_and_lets_sharers_in() {
    let resource = Resource::try_new(1).unwrap();
    let (held, inside) = (Meeting::default(), Meeting::default());
    let owner = |irql: &mut Passive| {
        let mut guard = resource.enter_exclusive(irql).unwrap();
        held.meet();
        while resource.shared_waiters() == 0 {
            yield_now();
        }
        *guard += 1;
        let guard = guard.downgrade(irql);
        assert_eq!(resource.held(), HeldAs::Shared(1));
        inside.meet();
        assert_eq!(*guard, 2);
    };
    let sharer = |irql: &mut Passive| {
        held.meet();
        let guard = resource.enter_shared(irql).unwrap();
        inside.meet();
        assert_eq!(*guard, 2, "sharers see what the owner wrote");
    };
    threads(&[&owner, &sharer]);
}

#[test]
fn one_writer_at_a_time() {
    let (resource, push_lock) = (
        Resource::try_new(0_u32).unwrap(),
        PushLock::try_new(0_u32).unwrap(),
    );
    let slowly_add = |sum: &mut u32| {
        let old = *sum;
        yield_now();
        *sum = old + 1;
    };
    let main = |irql: &mut Passive| {
        for _ in 0..40 {
            resource
                .with_exclusive(irql, |sum, _, _| slowly_add(sum))
                .unwrap();
            push_lock.with_exclusive(irql, |sum, _, _| slowly_add(sum));
            let read = |sum: &u32| {
                let before = *sum;
                yield_now();
                assert_eq!(before, *sum, "nobody writes while somebody reads");
            };
            resource.with_shared(irql, |sum, _, _| read(sum)).unwrap();
            push_lock.with_shared(irql, |sum, _, _| read(sum));
        }
    };
    threads(&[&main, &main, &main, &main]);
    let mut irql = passive();
    assert_eq!(resource.with_shared(&mut irql, |sum, _, _| *sum), Ok(160));
    assert_eq!(push_lock.with_shared(&mut irql, |sum, _, _| *sum), 160);
}

#[test]
fn a_special_apc_that_interrupts_the_owner_gets_no_second_reference() {
    let resource = Resource::try_new(0).unwrap();
    let irql = passive();
    let mut guard = resource.enter_exclusive(&irql).unwrap();
    let mut inside = None;
    let ran = interrupt(|irql| {
        inside = Some((
            current_irql(),
            refusal(resource.exclusive(irql, irql)),
            refusal(resource.shared(irql, irql)),
        ));
    });
    assert!(ran, "special APCs run inside critical regions");
    assert_eq!(
        inside,
        Some((1, Some(Refused::Recursive), Some(Refused::Recursive)))
    );
    *guard += 1;
    drop(guard);
    let guarded = GuardedRegion::enter(&irql);
    assert!(!interrupt(|_| ()), "and not inside guarded ones");
    drop(guarded);
}

#[test]
fn a_panic_gives_everything_back() {
    let resource = Resource::try_new(0).unwrap();
    let mut irql = passive();
    let thrown = catch_unwind(AssertUnwindSafe(|| {
        resource.with_exclusive(&mut irql, |_, _, _| panic!("on purpose"))
    }));
    assert!(thrown.is_err());
    assert_eq!((depths(), resource.held()), ((0, 0), HeldAs::Not));
}

#[test]
fn unsized_data_and_parts_of_data() {
    let resource = Resource::try_new([1, 2, 3]).unwrap();
    let slice: &Resource<[i32]> = &*resource;
    let irql = passive();
    let region = CriticalRegion::enter(&irql);
    let guard = slice.exclusive(&irql, &region).unwrap();
    *guard.map(|slice| &mut slice[1]) = 5;
    let guard = slice.shared(&irql, &region).unwrap();
    assert_eq!(*guard.map(|slice| &slice[1]), 5);
    assert_eq!(resource.held(), HeldAs::Not);
}

/// Tells of its drop.
struct Told(mpsc::Sender<&'static str>);
impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.0.send("data");
    }
}

#[test]
fn a_resource_is_deleted_with_its_owner_and_not_before() {
    let (sender, receiver) = mpsc::channel();
    let resource = Resource::try_new(Told(sender)).unwrap();
    let irql = passive();
    Resource::delete(resource, &irql);
    assert_eq!(receiver.try_recv(), Ok("data"));
    // Deleting one that is owned is a bug check in the model: a forgotten guard shows it.
    let resource = Resource::try_new(()).unwrap();
    let region = CriticalRegion::enter(&irql);
    std::mem::forget(resource.exclusive(&irql, &region).unwrap());
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(resource)));
    assert!(dropped.is_err(), "freeing an owned resource is not silent");
}

#[test]
fn a_thread_that_ends_inside_a_forgotten_region_is_a_bug_check() {
    let leaked = catch_unwind(|| {
        threads(&[&|irql: &mut Passive| std::mem::forget(CriticalRegion::enter(irql))]);
    });
    let message = leaked.unwrap_err();
    let message = message.downcast_ref::<String>().unwrap();
    assert!(message.contains("0x20"), "{message}");
}

#[test]
fn a_thread_that_ends_as_owner_is_a_bug_check() {
    let resource = Resource::try_new(()).unwrap();
    let leaked = catch_unwind(AssertUnwindSafe(|| {
        threads(&[&|irql: &mut Passive| {
            std::mem::forget(resource.enter_shared(irql).unwrap());
            // SAFETY: the forgotten guard's region; so that the owner is all that is left behind.
            drop(unsafe { CriticalRegion::assume_entered() });
        }]);
    }));
    std::mem::forget(resource);
    let message = leaked.unwrap_err();
    let message = message.downcast_ref::<String>().unwrap();
    assert!(message.contains("bug check"), "{message}");
}

#[test]
fn push_locks_take_every_proof_and_nest_with_resources() {
    let (push_lock, resource) = (PushLock::try_new(1).unwrap(), Resource::try_new(2).unwrap());
    let mut irql = passive();
    let sum = resource.with_exclusive(&mut irql, |two, irql, region| {
        assert!(apcs_disabled(irql) && !all_apcs_disabled(irql));
        let mut one = push_lock.exclusive(irql, region);
        *one += *two;
        *one
    });
    assert_eq!(sum, Ok(3));
    irql.raise_to_apc_level(|irql| *push_lock.exclusive(irql, irql) += 1);
    assert_eq!(push_lock.with_shared(&mut irql, |value, _, _| *value), 4);
    assert_eq!(depths(), (0, 0));
}
