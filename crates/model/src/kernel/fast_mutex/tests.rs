use proptest::prelude::*;

use super::*;
use crate::kernel::{ApcKind, Baseline, DISPATCH_LEVEL, EventKind, PASSIVE_LEVEL, Profile};

const BOTH: [Profile; 2] = [Profile::Documented, Profile::Nt52];
const KINDS: [FastMutexKind; 2] = [FastMutexKind::Fast, FastMutexKind::Guarded];

fn machine<const N: usize>(profile: Profile) -> (Kernel, [ThreadId; N]) {
    let mut kernel = Kernel::new(profile);
    let threads = std::array::from_fn(|_| kernel.create_thread(Baseline::default()));
    (kernel, threads)
}

#[test]
fn the_holder_is_at_apc_level_and_the_release_restores_the_old_irql() {
    for kind in KINDS {
        for old in [PASSIVE_LEVEL, APC_LEVEL] {
            let (mut kernel, [a]) = machine(Profile::Documented);
            let m = kernel.create_fast_mutex(kind);
            kernel.raise_irql(a, old).unwrap();
            assert_eq!(kernel.acquire_fast_mutex(a, m), Ok(Acquired::Now));
            assert_eq!(
                (kernel.irql(a), kernel.fast_mutex_owner(m)),
                (APC_LEVEL, Some(a))
            );
            assert_eq!(kernel.counters(a), Baseline::default(), "no counter moves");
            kernel.release_fast_mutex(a, m).unwrap();
            assert_eq!((kernel.irql(a), kernel.fast_mutex_owner(m)), (old, None));
            assert_eq!(kernel.remove_fast_mutex(m), Ok(()));
        }
    }
}

#[test]
fn every_apc_is_deferred_to_the_release_which_forces_what_the_holder_queued() {
    for kind in KINDS {
        for apc in [ApcKind::Special, ApcKind::Normal] {
            let (mut kernel, [a]) = machine(Profile::Documented);
            let m = kernel.create_fast_mutex(kind);
            kernel.acquire_fast_mutex(a, m).unwrap();
            let apc = kernel.create_apc(a, apc);
            kernel.insert_apc(apc, a).unwrap();
            assert_eq!((kernel.deliverable(a), kernel.forced(a)), (None, false));
            kernel.release_fast_mutex(a, m).unwrap();
            assert_eq!((kernel.deliverable(a), kernel.forced(a)), (Some(apc), true));
        }
    }
}

#[test]
fn a_waiter_waits_at_apc_level_where_no_apc_runs_in_its_wait() {
    for profile in BOTH {
        let (mut kernel, [a, b]) = machine(profile);
        let m = kernel.create_fast_mutex(FastMutexKind::Fast);
        kernel.acquire_fast_mutex(a, m).unwrap();
        assert_eq!(kernel.acquire_fast_mutex(b, m), Ok(Acquired::Blocked));
        assert_eq!((kernel.irql(b), kernel.waiting(b)), (APC_LEVEL, true));
        let apc = kernel.create_apc(b, ApcKind::Special);
        kernel.insert_apc(apc, a).unwrap();
        assert_eq!((kernel.deliverable(b), kernel.forced(b)), (None, false));
        assert!(!kernel.expire(b), "an acquire can't be given up");
        assert_eq!(
            (kernel.grantable(b), kernel.lock_available(b)),
            (None, false)
        );
        kernel.release_fast_mutex(a, m).unwrap();
        assert_eq!(kernel.grant(b), Some(0));
        assert_eq!(kernel.fast_mutex_owner(m), Some(b));
        kernel.release_fast_mutex(b, m).unwrap();
        assert_eq!(kernel.irql(b), PASSIVE_LEVEL);
    }
}

#[test]
fn by_the_documents_anybody_may_come_next_and_in_nt52_the_first_waiter() {
    let start = |profile| {
        let (mut kernel, [a, b, c]) = machine(profile);
        let m = kernel.create_fast_mutex(FastMutexKind::Fast);
        kernel.acquire_fast_mutex(a, m).unwrap();
        kernel.acquire_fast_mutex(c, m).unwrap();
        kernel.acquire_fast_mutex(b, m).unwrap();
        kernel.release_fast_mutex(a, m).unwrap();
        (kernel, m, [a, b, c])
    };
    let (mut kernel, m, [a, b, c]) = start(Profile::Documented);
    assert_eq!([b, c].map(|t| kernel.satisfied(t)), [false; 2]);
    assert_eq!([b, c].map(|t| kernel.lock_available(t)), [true; 2]);
    let mut other = kernel.clone();
    assert_eq!(other.try_fast_mutex(a, m), Ok(true), "nobody has it yet");
    assert_eq!([b, c].map(|t| other.grant(t)), [None; 2]);
    assert!(kernel.give_lock(b));
    assert!(!kernel.give_lock(c));
    assert_eq!([b, c].map(|t| kernel.grant(t)), [Some(0), None]);

    let (mut kernel, m, [a, b, c]) = start(Profile::Nt52);
    assert_eq!(kernel.try_fast_mutex(a, m), Ok(false), "it was handed over");
    assert_eq!([b, c].map(|t| kernel.satisfied(t)), [false, true]);
    assert_eq!([b, c].map(|t| kernel.grant(t)), [None, Some(0)]);
}

#[test]
fn a_try_raises_the_irql_with_success_only() {
    let (mut kernel, [a, b]) = machine(Profile::Nt52);
    let m = kernel.create_fast_mutex(FastMutexKind::Guarded);
    assert_eq!(kernel.try_fast_mutex(a, m), Ok(true));
    assert_eq!(
        kernel.try_fast_mutex(a, m),
        Ok(false),
        "it is not recursive"
    );
    assert_eq!(kernel.try_fast_mutex(b, m), Ok(false));
    assert_eq!([a, b].map(|t| kernel.irql(t)), [APC_LEVEL, PASSIVE_LEVEL]);
    assert!(!kernel.waiting(b));
}

#[test]
fn a_thread_that_acquires_what_it_holds_waits_for_ever() {
    for profile in BOTH {
        let (mut kernel, [a]) = machine(profile);
        let m = kernel.create_fast_mutex(FastMutexKind::Fast);
        kernel.acquire_fast_mutex(a, m).unwrap();
        assert_eq!(kernel.acquire_fast_mutex(a, m), Ok(Acquired::Blocked));
        assert_eq!((kernel.grant(a), kernel.expire(a)), (None, false));
        assert!(!kernel.give_lock(a));
    }
}

#[test]
fn acquiring_above_apc_level_is_0x33_and_releasing_at_another_irql_0x34() {
    let (mut kernel, [a]) = machine(Profile::Documented);
    let m = kernel.create_fast_mutex(FastMutexKind::Fast);
    kernel.raise_irql(a, DISPATCH_LEVEL).unwrap();
    for result in [
        kernel.acquire_fast_mutex(a, m).map(|_| ()),
        kernel.try_fast_mutex(a, m).map(|_| ()),
    ] {
        let bug_check = result.unwrap_err();
        assert_eq!(
            (bug_check.code, bug_check.parameters),
            (0xC4, [0x33, 2, 0, 0])
        );
    }
    kernel.lower_irql(a, PASSIVE_LEVEL).unwrap();
    kernel.acquire_fast_mutex(a, m).unwrap();
    kernel.lower_irql(a, PASSIVE_LEVEL).unwrap();
    let bug_check = kernel.release_fast_mutex(a, m).unwrap_err();
    assert_eq!(
        (bug_check.code, bug_check.parameters),
        (0xC4, [0x34, 0, 0, 0])
    );
}

#[test]
fn releasing_what_another_thread_or_nobody_holds_is_0x162() {
    let (mut kernel, [a, b]) = machine(Profile::Documented);
    let m = kernel.create_fast_mutex(FastMutexKind::Guarded);
    kernel.raise_irql(b, APC_LEVEL).unwrap();
    assert_eq!(
        kernel.release_fast_mutex(b, m).unwrap_err().to_string(),
        "0x162 KERNEL_AUTO_BOOST_INVALID_LOCK_RELEASE (0x0, 0x0, 0x0, 0x0): \
         A guarded mutex was released that nobody holds."
    );
    kernel.acquire_fast_mutex(a, m).unwrap();
    assert_eq!(kernel.release_fast_mutex(b, m).unwrap_err().code, 0x162);
    assert_eq!(kernel.fast_mutex_owner(m), Some(a));
}

#[test]
fn a_thread_that_ends_with_a_fast_mutex_is_0x20_and_at_passive_level_0x153() {
    let (mut kernel, [a]) = machine(Profile::Documented);
    let m = kernel.create_fast_mutex(FastMutexKind::Fast);
    kernel.acquire_fast_mutex(a, m).unwrap();
    assert_eq!(kernel.end_thread(a).unwrap_err().code, 0x20);
    kernel.lower_irql(a, PASSIVE_LEVEL).unwrap();
    let bug_check = kernel.end_thread(a).unwrap_err();
    assert_eq!(bug_check.code, 0x153);
    assert_eq!(
        bug_check.reason,
        "The thread ends while it holds a fast mutex."
    );
    kernel.raise_irql(a, APC_LEVEL).unwrap();
    kernel.release_fast_mutex(a, m).unwrap();
    assert_eq!(kernel.end_thread(a), Ok(vec![]));
}

#[test]
fn a_mutex_that_is_held_or_waited_for_can_t_be_freed() {
    let (mut kernel, [a, b]) = machine(Profile::Documented);
    let m = kernel.create_fast_mutex(FastMutexKind::Fast);
    kernel.acquire_fast_mutex(a, m).unwrap();
    assert_eq!(kernel.remove_fast_mutex(m).unwrap_err().code, 0x139);
    kernel.acquire_fast_mutex(b, m).unwrap();
    kernel.release_fast_mutex(a, m).unwrap();
    let bug_check = kernel.remove_fast_mutex(m).unwrap_err();
    assert_eq!(
        bug_check.reason,
        "A fast mutex was freed while a thread waited for it."
    );
    kernel.grant(b).unwrap();
    kernel.release_fast_mutex(b, m).unwrap();
    assert_eq!(kernel.remove_fast_mutex(m), Ok(()));
}

const THREADS: usize = 3;

#[derive(Clone, Copy, Debug)]
enum Call {
    Acquire(usize, usize),
    Try(usize, usize),
    Release(usize),
    Grant(usize),
    Queue(usize, usize),
    Wait(usize),
    Deliver(usize),
}

fn call() -> impl Strategy<Value = Call> {
    let t = || 0..THREADS;
    prop_oneof![
        4 => (t(), 0..2_usize).prop_map(|(t, m)| Call::Acquire(t, m)),
        2 => (t(), 0..2_usize).prop_map(|(t, m)| Call::Try(t, m)),
        5 => t().prop_map(Call::Release),
        4 => t().prop_map(Call::Grant),
        1 => (t(), t()).prop_map(|(a, b)| Call::Queue(a, b)),
        1 => t().prop_map(Call::Wait),
        2 => t().prop_map(Call::Deliver),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// One holder at a time; releases in reverse order bring the IRQL back; APCs wait for that.
    #[test]
    fn holders_exclude_each_other_and_end_where_they_began(
        nt52 in any::<bool>(),
        calls in prop::collection::vec(call(), 0..60),
    ) {
        let profile = if nt52 { Profile::Nt52 } else { Profile::Documented };
        let (mut kernel, threads) = machine::<THREADS>(profile);
        let mutexes = KINDS.map(|kind| kernel.create_fast_mutex(kind));
        let signaled = kernel.create_event(EventKind::Notification, true);
        let apcs = threads.map(|t| kernel.create_apc(t, ApcKind::Special));
        // What each thread holds, by its own account, and what it waits for.
        let mut held: [Vec<usize>; THREADS] = Default::default();
        let mut wanted: [Option<usize>; THREADS] = [None; THREADS];
        for call in calls {
            match call {
                Call::Acquire(t, m) if wanted[t].is_none() && !kernel.forced(threads[t]) => {
                    let free = held.iter().all(|held| !held.contains(&m));
                    match kernel.acquire_fast_mutex(threads[t], mutexes[m]).unwrap() {
                        Acquired::Now => {
                            prop_assert!(free);
                            held[t].push(m);
                        }
                        other => {
                            prop_assert_eq!(other, Acquired::Blocked);
                            prop_assert!(!free || nt52, "handed over to a waiter that has not run yet");
                            wanted[t] = Some(m);
                        }
                    }
                }
                Call::Try(t, m) if wanted[t].is_none() && !kernel.forced(threads[t]) => {
                    let acquired = kernel.try_fast_mutex(threads[t], mutexes[m]).unwrap();
                    if acquired {
                        prop_assert!(held.iter().all(|held| !held.contains(&m)));
                        held[t].push(m);
                    }
                }
                Call::Release(t) if wanted[t].is_none() => {
                    if let Some(m) = held[t].pop() {
                        kernel.release_fast_mutex(threads[t], mutexes[m]).unwrap();
                    }
                }
                Call::Grant(t) if kernel.grant(threads[t]).is_some() => {
                    let m = wanted[t].take().expect("it waited");
                    prop_assert!(held.iter().all(|held| !held.contains(&m)));
                    held[t].push(m);
                }
                Call::Queue(t, by) => {
                    kernel.insert_apc(apcs[t], threads[by]).unwrap();
                }
                Call::Wait(t) if wanted[t].is_none() => {
                    prop_assert_eq!(kernel.wait(threads[t], &[signaled], false, true), Ok(Some(0)));
                }
                Call::Deliver(t) => {
                    let raised = !held[t].is_empty() || wanted[t].is_some();
                    let delivered = kernel.begin_delivery(threads[t]);
                    prop_assert!(!(raised && delivered.is_some()));
                    if delivered.is_some() {
                        kernel.kernel_routine_returned(threads[t]).unwrap();
                    }
                }
                _ => {}
            }
            for t in 0..THREADS {
                let raised = !held[t].is_empty() || wanted[t].is_some();
                let irql = if raised { APC_LEVEL } else { PASSIVE_LEVEL };
                prop_assert_eq!(kernel.irql(threads[t]), irql);
                prop_assert_eq!(kernel.counters(threads[t]), Baseline::default());
            }
        }
    }
}
