//! One test for each point of the two lists that the library is held to: what makes guards sound
//! (`guards_NN`), and the defects of published wrappers (`peers_NN`). A point that the compiler enforces
//! is a file of that name in `tests/ui`; the test here shows its other half, what does work.
#![allow(unsafe_code, reason = "the tests are the roots of the IRQL witnesses")]

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use apclab_guards::testing::{counters, interrupt, threads};
use apclab_guards::{
    CriticalRegion, ExclusiveGuard, FastMutex, GuardedRegion, HeldAs, HoldsKMutex, InRegion,
    KMutex, NotAcquired, Passive, PushLock, ReentrantResource, Refused, Resource, SharedGuard,
    apcs_disabled, critical, current_irql,
};

fn passive() -> Passive {
    // SAFETY: each test thread begins at PASSIVE_LEVEL in the model and makes one token.
    unsafe { Passive::assume() }
}

fn kernel_depth() -> i16 {
    counters().kernel
}

/// Asks the compiler whether a type has an auto trait: the inherent constant is found before the
/// trait's, and only where its bound holds.
macro_rules! has {
    ($type:ty: $bound:path) => {{
        struct Ask<T: ?Sized>(core::marker::PhantomData<T>);
        #[allow(dead_code, reason = "found only where the bound does not hold")]
        trait No {
            const ANSWER: bool = false;
        }
        impl<T: ?Sized> No for Ask<T> {}
        #[allow(dead_code, reason = "found only where the bound holds")]
        impl<T: ?Sized + $bound> Ask<T> {
            const ANSWER: bool = true;
        }
        <Ask<$type>>::ANSWER
    }};
}

#[test]
fn guards_01_a_witness_exists_once() {
    // Two tokens, and a token of another thread, are compile errors. A raise lends the other level.
    let mut irql = passive();
    let level = irql.raise_to_apc_level(|_irql| current_irql());
    assert_eq!((level, current_irql()), (1, 0));
    assert!(!has!(Passive: Clone) && !has!(Passive: Send) && !has!(Passive: Sync));
}

#[test]
fn guards_02_raising_is_a_closure_that_takes_no_guard() {
    // `&mut T` gets in, out of a guard too; the guard itself is a compile error.
    let resource = Resource::try_new(1).unwrap();
    let mut irql = passive();
    let mut guard = resource.enter_exclusive(&irql).unwrap();
    let value = &mut *guard;
    irql.raise_to_apc_level(|_| *value += 1);
    assert_eq!(*guard, 2);
}

#[test]
fn guards_03_regions_borrow_the_token_only_to_enter() {
    let mutex = FastMutex::try_new(0).unwrap();
    let mut irql = passive();
    let outer = CriticalRegion::enter(&irql);
    let inner = GuardedRegion::enter(&irql);
    mutex.with(&mut irql, |value, irql| critical(irql, |_, _| *value += 1));
    // Any order of leaving.
    outer.leave();
    inner.leave();
    assert_eq!((kernel_depth(), counters().special), (0, 0));
}

#[test]
fn guards_04_a_forgotten_guard_is_seen_and_a_closure_forgets_nothing() {
    let forgetful = |irql: &mut Passive| {
        std::mem::forget(GuardedRegion::enter(irql));
    };
    assert!(catch_unwind(AssertUnwindSafe(|| threads(&[&forgetful]))).is_err());
    // What a closure gets is lent: there is nothing in it to forget.
    let careful = |irql: &mut Passive| {
        let mutex = KMutex::try_new(0).unwrap();
        let twice = critical(irql, |irql, _region| {
            mutex.with(irql, |value, _irql, _held| *value * 2)
        });
        assert_eq!(twice, Ok(0));
    };
    threads(&[&careful]);
}

#[test]
fn guards_05_an_apc_is_a_signal_handler_on_the_same_thread() {
    let resource = Resource::try_new(0).unwrap();
    let mutex = KMutex::try_new(0).unwrap();
    let reentrant = ReentrantResource::try_new(AtomicU32::new(0)).unwrap();
    let mut irql = passive();
    let mut shared = reentrant.enter_exclusive(&irql).unwrap();
    let _exclusive = resource.enter_exclusive(&irql).unwrap();
    let ran = mutex.with(&mut irql, |value, _, _| {
        let ran = interrupt(|irql| {
            assert_eq!(
                resource.exclusive(irql, irql).err(),
                Some(Refused::Recursive)
            );
            let again = mutex.try_with(irql, |_, _, _| ());
            assert_eq!(again, Err(NotAcquired::Recursive));
            reentrant.shared(irql, irql).unwrap().fetch_add(1, Relaxed);
        });
        *value += 1;
        ran
    });
    assert_eq!(ran, Ok(true));
    assert_eq!(
        reentrant
            .shared(&irql, shared.parts().1)
            .unwrap()
            .load(Relaxed),
        1
    );
}

#[test]
fn guards_06_a_proof_and_the_data_are_handed_out_apart() {
    let outer = Resource::try_new(1).unwrap();
    let inner = PushLock::try_new(2).unwrap();
    let irql = passive();
    let mut guard = outer.enter_exclusive(&irql).unwrap();
    let (data, proof) = guard.parts();
    let other = inner.shared(&irql, proof);
    *data += *other;
    drop(other);
    assert_eq!(*guard, 3);
}

#[test]
fn guards_07_a_lock_stays_at_its_place() {
    let locks: Vec<_> = (0..8)
        .map(|value| Resource::try_new(value).unwrap())
        .collect();
    let places: Vec<_> = locks
        .iter()
        .map(|lock| std::ptr::from_ref(&**lock))
        .collect();
    let mut moved = locks;
    moved.reserve(1000);
    moved.reverse();
    for (lock, place) in moved.iter().rev().zip(places) {
        assert_eq!(
            std::ptr::from_ref(&**lock),
            place,
            "the owner moves, the lock does not"
        );
    }
}

#[test]
fn guards_08_a_resource_is_deleted_at_passive_level_or_where_it_is_dropped() {
    let irql = passive();
    Resource::delete(Resource::try_new(0).unwrap(), &irql);
    let (mut irql, resource) = (irql, Resource::try_new(0).unwrap());
    irql.raise_to_apc_level(move |_| drop(resource));
}

#[test]
fn guards_09_recursion_is_relative_to_the_thread() {
    let resource = Resource::try_new(1).unwrap();
    let mut irql = passive();
    let shared = resource.enter_shared(&irql).unwrap();
    let inner = resource.enter_shared(&irql).unwrap();
    assert_eq!(
        resource.enter_exclusive(&irql).err(),
        Some(Refused::Upgrade)
    );
    assert_eq!(
        resource.enter_shared_wait_for_exclusive(&irql).err(),
        Some(Refused::BehindItself)
    );
    let other = |irql: &mut Passive| {
        assert_eq!(resource.held(), HeldAs::Not);
        assert_eq!(resource.with_shared(irql, |value, _, _| *value), Ok(1));
    };
    threads(&[&other]);
    drop((shared, inner));
    assert_eq!(
        resource.with_exclusive(&mut irql, |value, _, _| *value),
        Ok(1)
    );
}

#[test]
fn guards_10_auto_traits() {
    assert!(has!(Resource<u32>: Send) && has!(Resource<u32>: Sync));
    assert!(has!(Resource<Cell<u32>>: Send) && !has!(Resource<Cell<u32>>: Sync));
    assert!(!has!(Resource<*mut u32>: Send) && !has!(Resource<*mut u32>: Sync));
    assert!(has!(PushLock<u32>: Sync) && !has!(PushLock<Cell<u32>>: Sync));
    // A mutex sends its data from thread to thread and shares nothing.
    assert!(has!(FastMutex<Cell<u32>>: Sync) && !has!(FastMutex<*mut u32>: Sync));
    assert!(has!(KMutex<Cell<u32>>: Sync) && !has!(KMutex<*mut u32>: Sync));
    assert!(!has!(ExclusiveGuard<'_, u32, InRegion<'_>>: Send));
    assert!(!has!(SharedGuard<'_, u32, InRegion<'_>>: Send));
    assert!(has!(ExclusiveGuard<'_, u32, InRegion<'_>>: Sync));
    assert!(has!(SharedGuard<'_, u32, InRegion<'_>>: Sync));
    assert!(!has!(SharedGuard<'_, Cell<u32>, InRegion<'_>>: Sync));
    assert!(!has!(CriticalRegion: Send) && !has!(CriticalRegion: Sync));
    assert!(!has!(HoldsKMutex: Send) && !has!(HoldsKMutex: Sync));
}

#[test]
fn guards_11_the_reentrant_form_nests_on_purpose() {
    let resource = ReentrantResource::try_new(()).unwrap();
    let irql = passive();
    let mut outer = resource.enter_exclusive(&irql).unwrap();
    let ((), region) = outer.parts();
    let _inner = resource.exclusive(&irql, region).unwrap();
    assert_eq!(resource.held(), HeldAs::Exclusive(2));
}

#[test]
fn peers_01_the_same_thread_never_gets_two_references() {
    let resource = Resource::try_new(0).unwrap();
    let mut irql = passive();
    let nested = resource.with_exclusive(&mut irql, |_, irql, _| {
        (
            resource.with_exclusive(irql, |_, _, _| ()),
            resource.with_shared(irql, |_, _, _| ()),
        )
    });
    let refused = Err(Refused::Recursive);
    assert_eq!(nested, Ok((refused, refused)));
}

#[test]
fn peers_02_a_resource_is_initialised_where_it_stays() {
    // By value there is none to return: `try_new` gives an owner, and the model knows the lock by it.
    let made = || Resource::try_new(5).unwrap();
    let moved = Box::new(made());
    assert_eq!(
        moved.with_shared(&mut passive(), |value, _, _| *value),
        Ok(5)
    );
}

#[test]
fn peers_03_a_resource_is_deleted() {
    // The model refuses to delete what is owned, which shows that the drop asks it to.
    let resource = Resource::try_new(()).unwrap();
    let irql = passive();
    std::mem::forget(resource.enter_shared(&irql).unwrap());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(resource))).is_err());
}

#[test]
fn peers_04_the_region_is_entered_first_and_left_last() {
    // The model bug-checks an acquire and a release with APCs enabled (0xC4/0x37, 0xC4/0x38).
    let resource = Resource::try_new(()).unwrap();
    let mut irql = passive();
    resource
        .with_exclusive(&mut irql, |(), irql, _| {
            assert!(apcs_disabled(irql));
            assert_eq!(kernel_depth(), -1);
        })
        .unwrap();
    assert_eq!(kernel_depth(), 0);
}

#[test]
fn peers_05_locks_are_shared_only_with_data_that_may_be() {
    assert!(!has!(ExclusiveGuard<'_, u32, InRegion<'_>>: Send));
    assert!(!has!(Resource<Cell<u32>>: Sync));
}

#[test]
fn peers_06_a_try_that_fails_gives_no_guard() {
    let resource = Resource::try_new(0).unwrap();
    let irql = passive();
    let region = CriticalRegion::enter(&irql);
    let _guard = resource.exclusive(&irql, &region).unwrap();
    let other = |irql: &mut Passive| {
        let region = CriticalRegion::enter(irql);
        assert_eq!(
            resource.try_exclusive(irql, &region).err(),
            Some(Refused::Busy)
        );
        assert_eq!(resource.held(), HeldAs::Not);
    };
    threads(&[&other]);
    assert_eq!(
        resource.held(),
        HeldAs::Exclusive(1),
        "and releases nothing"
    );
}

#[test]
fn peers_07_a_guard_releases_once() {
    let resource = Resource::try_new(0).unwrap();
    let irql = passive();
    let region = CriticalRegion::enter(&irql);
    let first = resource.shared(&irql, &region).unwrap();
    let second = resource.shared(&irql, &region).unwrap();
    drop(first);
    assert_eq!(resource.held(), HeldAs::Shared(1));
    drop(second.map(|value| value));
    assert_eq!(resource.held(), HeldAs::Not);
}

#[test]
fn peers_08_only_entering_makes_a_guard() {
    let irql = passive();
    assert_eq!(kernel_depth(), 0);
    let region = CriticalRegion::enter(&irql);
    assert_eq!(kernel_depth(), -1);
    drop(region);
}

#[test]
fn peers_09_two_threads_use_one_lock_through_shared_references() {
    let mutex = FastMutex::try_new(0).unwrap();
    let shared = &*mutex;
    let add = |irql: &mut Passive| shared.with(irql, |value, _| *value += 1);
    threads(&[&add, &add]);
    assert_eq!(mutex.with(&mut passive(), |value, _| *value), 2);
}

#[test]
fn peers_10_the_irql_is_a_type() {
    // Another token is a compile error; here the kernel agrees with what the types say.
    let mutex = FastMutex::try_new(()).unwrap();
    let mut irql = passive();
    assert_eq!(current_irql(), 0);
    mutex.with(&mut irql, |(), _| assert_eq!(current_irql(), 1));
}

#[test]
fn peers_11_the_tests_see_leaks_wrong_order_wrong_irql_and_contention() {
    let bug_check = |main: &(dyn Fn(&mut Passive) + Sync)| {
        let panic = catch_unwind(AssertUnwindSafe(|| threads(&[main]))).unwrap_err();
        panic.downcast_ref::<String>().cloned().unwrap_or_default()
    };
    let leaked = bug_check(&|irql| std::mem::forget(CriticalRegion::enter(irql)));
    assert!(leaked.contains("0x20"), "{leaked}");
    // SAFETY: it is not sound, which the model has to say: nobody entered.
    let left = bug_check(&|_| drop(unsafe { CriticalRegion::assume_entered() }));
    assert!(left.contains("0x3e"), "{left}");
    let unproven = bug_check(&|irql| {
        let resource = Resource::try_new(()).unwrap();
        let region = ManuallyDrop::new(CriticalRegion::enter(irql));
        let guard = resource.exclusive(irql, &*region).unwrap();
        // SAFETY: it is not sound either: the region is left under the guard.
        drop(unsafe { CriticalRegion::assume_entered() });
        drop(guard);
    });
    assert!(unproven.contains("0x38"), "{unproven}");
}

#[test]
fn peers_12_closures_leave_on_every_way_out() {
    let mut irql = passive();
    let early = critical(&mut irql, |irql, _| -> Option<()> {
        critical(irql, |_, _| None)?;
        unreachable!("the `?` above returns")
    });
    assert_eq!((early, kernel_depth()), (None, 0));
    let thrown = catch_unwind(AssertUnwindSafe(|| {
        critical(&mut irql, |_, _| panic!("on purpose"))
    }));
    assert!(thrown.is_err());
    assert_eq!(kernel_depth(), 0);
}
