//! Fast, guarded and kernel mutexes against the model.
#![allow(unsafe_code, reason = "the tests are the roots of the IRQL witnesses")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use apclab_guards::testing::{Event, Meeting, counters, threads};
use apclab_guards::{
    FastMutex, GuardedMutex, KMutex, Mutex, MutexKind, NormalApcsDisabled, NotAcquired, NotMade,
    Passive, Place, ReentrantKMutex, all_apcs_disabled, apcs_disabled, critical, current_irql,
    guarded,
};

fn passive() -> Passive {
    // SAFETY: each test thread begins at PASSIVE_LEVEL in the model and makes one token.
    unsafe { Passive::assume() }
}

fn depths() -> (i16, i16) {
    let counters = counters();
    (counters.kernel, counters.special)
}

fn proven(_proof: &impl NormalApcsDisabled) {}

fn at_apc_level<K: MutexKind>(mutex: &Mutex<K, u32>) {
    let mut irql = passive();
    let inside = mutex.with(&mut irql, |count, irql| {
        *count += 1;
        proven(irql);
        (current_irql(), all_apcs_disabled(irql))
    });
    assert_eq!(inside, (1, true));
    assert_eq!(current_irql(), 0);
    assert_eq!(mutex.try_with(&mut irql, |count, _| *count), Some(6));
}

#[test]
fn a_fast_or_guarded_mutex_is_held_at_apc_level() {
    at_apc_level(&FastMutex::try_new(5).unwrap());
    at_apc_level(&GuardedMutex::try_new(5).unwrap());
}

#[test]
fn mutexes_nest_and_give_each_irql_back() {
    let (outer, inner) = (
        FastMutex::try_new(1).unwrap(),
        GuardedMutex::try_new(2).unwrap(),
    );
    let mut irql = passive();
    let sum = irql.raise_to_apc_level(|irql| {
        outer.with(irql, |outer, irql| {
            let sum = inner.with(irql, |inner, _| *outer + *inner);
            assert_eq!(current_irql(), 1);
            sum
        })
    });
    assert_eq!((sum, current_irql()), (3, 0));
}

#[test]
fn a_try_of_a_mutex_that_is_held_gives_nothing() {
    let mutex = FastMutex::try_new(()).unwrap();
    let (held, tried) = (Meeting::default(), Meeting::default());
    let holder = |irql: &mut Passive| {
        mutex.with(irql, |(), irql| {
            assert_eq!(mutex.try_with(irql, |(), _| ()), None, "by its holder");
            held.meet();
            tried.meet();
        });
    };
    let other = |irql: &mut Passive| {
        held.meet();
        assert_eq!(mutex.try_with(irql, |(), _| ()), None, "by another");
        assert_eq!(current_irql(), 0, "a try that failed leaves the IRQL");
        tried.meet();
    };
    threads(&[&holder, &other]);
}

/// Each thread reads, lets others run and writes: what mutual exclusion is lost shows as a lost sum.
fn sums(add: impl Fn(&mut Passive) + Sync) {
    let main = |irql: &mut Passive| {
        for _ in 0..50 {
            add(irql);
        }
    };
    threads(&[&main, &main, &main, &main]);
}

fn slowly_add(sum: &mut u32) {
    let old = *sum;
    std::thread::yield_now();
    *sum = old + 1;
}

#[test]
fn one_thread_at_a_time() {
    let mut irql = passive();
    let fast = FastMutex::try_new(0).unwrap();
    sums(|irql| fast.with(irql, |sum, _| slowly_add(sum)));
    assert_eq!(fast.with(&mut irql, |sum, _| *sum), 200);
    let guarded = GuardedMutex::try_new(0).unwrap();
    sums(|irql| guarded.with(irql, |sum, _| slowly_add(sum)));
    assert_eq!(guarded.with(&mut irql, |sum, _| *sum), 200);
    let kernel = KMutex::try_new(0).unwrap();
    sums(|irql| kernel.with(irql, |sum, _, _| slowly_add(sum)).unwrap());
    assert_eq!(kernel.with(&mut irql, |sum, _, _| *sum), Ok(200));
}

#[test]
fn a_panic_releases_the_mutex() {
    let (fast, kernel) = (FastMutex::try_new(0).unwrap(), KMutex::try_new(0).unwrap());
    let mut irql = passive();
    let thrown = catch_unwind(AssertUnwindSafe(|| {
        kernel.with(&mut irql, |_, irql, _| {
            fast.with(irql, |_, _| panic!("on purpose"));
        })
    }));
    assert!(thrown.is_err());
    assert_eq!((current_irql(), depths()), (0, (0, 0)));
    assert_eq!(fast.try_with(&mut irql, |_, _| ()), Some(()));
    assert_eq!(kernel.try_with(&mut irql, |_, _, _| ()), Ok(()));
}

#[test]
fn a_kernel_mutex_keeps_normal_apcs_out_once_whatever_the_recursion() {
    let mutex = ReentrantKMutex::try_new(()).unwrap();
    let mut irql = passive();
    mutex
        .with(&mut irql, |(), irql, held| {
            proven(held);
            assert_eq!((depths(), current_irql()), ((-1, 0), 0));
            mutex
                .with(irql, |(), irql, _| {
                    assert_eq!(depths(), (-1, 0));
                    assert!(apcs_disabled(irql) && !all_apcs_disabled(irql));
                })
                .unwrap();
            assert_eq!(depths(), (-1, 0), "one release does not free it");
        })
        .unwrap();
    assert_eq!(depths(), (0, 0));
}

#[test]
fn recursion_does_not_give_two_references() {
    let mutex = KMutex::try_new(1).unwrap();
    let mut irql = passive();
    let inner = mutex.with(&mut irql, |outer, irql, _| {
        let inner = mutex.with(irql, |_, _, _| ());
        *outer += 1;
        assert_eq!(
            mutex.try_with(irql, |_, _, _| ()),
            Err(NotAcquired::Recursive)
        );
        assert_eq!(depths(), (-1, 0), "the refused ones were released");
        inner
    });
    assert_eq!(inner, Ok(Err(NotAcquired::Recursive)));
    assert_eq!(mutex.with(&mut irql, |value, _, _| *value), Ok(2));
}

#[test]
fn a_wait_ends_by_the_mutex_the_time_or_the_stop_event() {
    let mutex = ReentrantKMutex::try_new(AtomicU32::new(0)).unwrap();
    let stop = Event::notification();
    let (held, seen) = (Meeting::default(), Meeting::default());
    let holder = |irql: &mut Passive| {
        mutex
            .with(irql, |_, _, _| {
                held.meet();
                seen.meet();
                stop.set();
                seen.meet();
            })
            .unwrap();
    };
    let waiter = |irql: &mut Passive| {
        held.meet();
        let start = Instant::now();
        let timed_out = mutex.with_timeout_or_stop(irql, 20, &stop, |_, _, _| ());
        assert_eq!(timed_out, Err(NotAcquired::TimedOut));
        assert!(start.elapsed() >= Duration::from_millis(20));
        assert_eq!(
            mutex.try_with(irql, |_, _, _| ()),
            Err(NotAcquired::TimedOut)
        );
        seen.meet();
        let stopped = mutex.with_timeout_or_stop(irql, 10_000, &stop, |_, _, _| ());
        assert_eq!(stopped, Err(NotAcquired::Stopped));
        seen.meet();
        let got = mutex.with_timeout(irql, 10_000, |count, _, _| count.fetch_add(1, Relaxed));
        assert_eq!(got, Ok(0));
        let both = mutex.with_timeout_or_stop(irql, 0, &stop, |count, _, _| count.load(Relaxed));
        assert_eq!(both, Ok(1), "a free mutex is preferred to the event");
        assert_eq!(depths(), (0, 0));
    };
    threads(&[&holder, &waiter]);
}

#[test]
fn what_no_scope_ends_is_balanced_by_hand() {
    let mutex = ReentrantKMutex::try_new(()).unwrap();
    let never = Event::notification();
    let irql = passive();
    for expected in 1..=3 {
        // SAFETY: released below, as often, by this thread.
        let depth = unsafe { mutex.acquire_unscoped(&irql, 0, &never) };
        assert_eq!(depth, Ok(expected));
    }
    for _ in 0..3 {
        assert_eq!(depths(), (-1, 0));
        // SAFETY: acquired above, as often, by this thread.
        unsafe { mutex.release_unscoped(&irql) };
    }
    assert_eq!(depths(), (0, 0));
}

#[test]
fn everything_nests_in_everything() {
    let (fast, kernel) = (FastMutex::try_new(0).unwrap(), KMutex::try_new(0).unwrap());
    let mut irql = passive();
    critical(&mut irql, |irql, _| {
        kernel
            .with(irql, |kernel, irql, _| {
                guarded(irql, |irql, _| {
                    assert_eq!(depths(), (-2, -1));
                    fast.with(irql, |fast, irql| {
                        critical(irql, |_, _| *kernel += *fast + 1);
                        assert_eq!((depths(), current_irql()), ((-2, -1), 1));
                    });
                });
            })
            .unwrap();
    });
    assert_eq!((depths(), current_irql()), ((0, 0), 0));
    assert_eq!(kernel.with(&mut irql, |value, _, _| *value), Ok(1));
}

#[test]
fn a_place_holds_one_lock_at_a_time() {
    // SAFETY: a static, and the test drops the lock.
    static PLACE: Place<FastMutex<String>> = unsafe { Place::new() };
    let mut irql = passive();
    let first = PLACE.try_init("first".to_owned()).unwrap();
    assert_eq!(
        PLACE.try_init(String::new()).map(|_| ()),
        Err(NotMade::Occupied)
    );
    assert_eq!(first.with(&mut irql, |text, _| text.len()), 5);
    drop(first);
    let second = PLACE.try_init("second".to_owned()).unwrap();
    assert_eq!(second.with(&mut irql, |text, _| text.len()), 6);
}
