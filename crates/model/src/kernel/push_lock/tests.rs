#![allow(
    clippy::many_single_char_names,
    reason = "threads are called a, b, c, d"
)]

use proptest::prelude::*;

use super::*;
use crate::kernel::{ApcKind, Baseline, DISPATCH_LEVEL};
use PushLockMode::{Exclusive, Shared};

const BOTH: [Profile; 2] = [Profile::Documented, Profile::Nt52];

/// Threads in a critical region each, and a push lock.
fn machine<const N: usize>(profile: Profile) -> (Kernel, PushLockId, [ThreadId; N]) {
    let mut kernel = Kernel::new(profile);
    let threads = std::array::from_fn(|_| {
        let t = kernel.create_thread(Baseline::default());
        kernel.enter_critical(t).unwrap();
        t
    });
    let l = kernel.create_push_lock();
    (kernel, l, threads)
}

#[test]
fn one_thread_holds_it_exclusively_or_many_share_it() {
    for profile in BOTH {
        let (mut kernel, l, [a, b, c]) = machine(profile);
        for t in [a, b] {
            assert_eq!(kernel.acquire_push_lock(t, l, Shared), Ok(Acquired::Now));
        }
        assert_eq!(
            kernel.acquire_push_lock(c, l, Exclusive),
            Ok(Acquired::Blocked)
        );
        kernel.release_push_lock(a, l, Shared).unwrap();
        assert_eq!(kernel.grant(c), None);
        kernel.release_push_lock(b, l, Shared).unwrap();
        assert_eq!(kernel.grant(c), Some(0));
        assert_eq!(kernel.push_lock_held(c, l), Some(Exclusive));
        assert_eq!(
            kernel.acquire_push_lock(a, l, Shared),
            Ok(Acquired::Blocked)
        );
        kernel.release_push_lock(c, l, Exclusive).unwrap();
        assert_eq!(kernel.grant(a), Some(0));
        assert_eq!(kernel.push_lock_held(a, l), Some(Shared));
    }
}

#[test]
fn a_new_sharer_queues_behind_a_waiter_in_nt52_and_may_pass_it_by_the_documents() {
    for profile in BOTH {
        let (mut kernel, l, [a, b, c]) = machine(profile);
        kernel.acquire_push_lock(a, l, Shared).unwrap();
        kernel.acquire_push_lock(b, l, Exclusive).unwrap();
        assert_eq!(
            kernel.acquire_push_lock(c, l, Shared),
            Ok(Acquired::Blocked)
        );
        assert_eq!(kernel.lock_available(c), profile == Profile::Documented);
        kernel.release_push_lock(a, l, Shared).unwrap();
        assert_eq!(kernel.lock_available(b), profile == Profile::Documented);
        assert_eq!(kernel.grant(b), Some(0));
    }
}

#[test]
fn in_nt52_the_first_waiter_gets_it_and_sharers_with_a_sharer() {
    let (mut kernel, l, [a, b, c, d]) = machine(Profile::Nt52);
    kernel.acquire_push_lock(a, l, Exclusive).unwrap();
    kernel.acquire_push_lock(b, l, Shared).unwrap();
    kernel.acquire_push_lock(c, l, Exclusive).unwrap();
    kernel.acquire_push_lock(d, l, Shared).unwrap();
    kernel.release_push_lock(a, l, Exclusive).unwrap();
    assert_eq!([b, c, d].map(|t| kernel.grant(t)), [Some(0), None, Some(0)]);
}

#[test]
fn it_is_not_recursive_in_any_mode() {
    for profile in BOTH {
        for (held, again) in [
            (Exclusive, Exclusive),
            (Exclusive, Shared),
            (Shared, Exclusive),
            (Shared, Shared),
        ] {
            let (mut kernel, l, [a]) = machine(profile);
            kernel.acquire_push_lock(a, l, held).unwrap();
            let acquired = kernel.acquire_push_lock_choosing(a, l, again, true);
            assert_eq!(acquired, Ok(Acquired::Blocked));
            assert_eq!((kernel.grant(a), kernel.expire(a)), (None, false));
        }
    }
}

#[test]
fn sharing_it_twice_may_go_well_by_the_documents_and_takes_two_releases() {
    let (mut kernel, l, [a, b]) = machine(Profile::Documented);
    assert_eq!(kernel.push_lock_sharer_queues(a, l), Answer::Is(false));
    kernel.acquire_push_lock(a, l, Shared).unwrap();
    assert_eq!(kernel.push_lock_sharer_queues(a, l), Answer::Either);
    assert_eq!(kernel.push_lock_sharer_queues(b, l), Answer::Is(false));
    assert_eq!(kernel.acquire_push_lock(a, l, Shared), Ok(Acquired::Now));
    kernel.acquire_push_lock(b, l, Exclusive).unwrap();
    kernel.release_push_lock(a, l, Shared).unwrap();
    assert_eq!(kernel.grant(b), None);
    kernel.release_push_lock(a, l, Shared).unwrap();
    assert_eq!(kernel.grant(b), Some(0));
}

#[test]
fn with_apcs_enabled_acquire_is_0xea_and_release_0xeb() {
    let (mut kernel, l, [a]) = machine(Profile::Documented);
    kernel.acquire_push_lock(a, l, Shared).unwrap();
    kernel.leave_critical(a).unwrap();
    let bug_checks = [
        kernel.release_push_lock(a, l, Shared).unwrap_err(),
        kernel.acquire_push_lock(a, l, Exclusive).unwrap_err(),
    ];
    assert_eq!(
        bug_checks.map(|check| (check.code, check.parameters[0])),
        [(0xC4, 0xEB), (0xC4, 0xEA)]
    );
    kernel.raise_irql(a, DISPATCH_LEVEL).unwrap();
    assert_eq!(
        kernel
            .acquire_push_lock(a, l, Shared)
            .unwrap_err()
            .parameters[0],
        0x20007
    );
}

#[test]
fn misuse_of_a_push_lock_is_0x162_0x153_and_0x139() {
    let (mut kernel, l, [a, b]) = machine(Profile::Documented);
    assert_eq!(
        kernel.release_push_lock(a, l, Shared).unwrap_err().code,
        0x162
    );
    kernel.acquire_push_lock(a, l, Shared).unwrap();
    assert_eq!(
        kernel.release_push_lock(a, l, Exclusive).unwrap_err().code,
        0x162
    );
    assert_eq!(
        kernel.release_push_lock(b, l, Shared).unwrap_err().code,
        0x162
    );
    assert_eq!(kernel.remove_push_lock(l).unwrap_err().code, 0x139);
    kernel.leave_critical(a).unwrap();
    let bug_check = kernel.end_thread(a).unwrap_err();
    assert_eq!(
        (bug_check.code, bug_check.reason.as_str()),
        (0x153, "The thread ends while it holds a push lock.")
    );
    kernel.enter_critical(a).unwrap();
    kernel.acquire_push_lock(b, l, Exclusive).unwrap();
    kernel.release_push_lock(a, l, Shared).unwrap();
    assert_eq!(kernel.remove_push_lock(l).unwrap_err().code, 0x139);
    kernel.grant(b).unwrap();
    kernel.release_push_lock(b, l, Exclusive).unwrap();
    assert_eq!(kernel.remove_push_lock(l), Ok(()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Writers exclude everybody, and a free lock leaves nobody waiting.
    #[test]
    fn writers_are_alone(
        nt52 in any::<bool>(),
        calls in prop::collection::vec((0..4_usize, 0..4_usize, any::<bool>()), 0..60),
    ) {
        let profile = if nt52 { Profile::Nt52 } else { Profile::Documented };
        let (mut kernel, l, threads) = machine::<4>(profile);
        let apcs = threads.map(|t| kernel.create_apc(t, ApcKind::Special));
        for (kind, t, exclusive) in calls {
            let id = threads[t];
            let mode = if exclusive { Exclusive } else { Shared };
            let held = kernel.push_lock_held(id, l);
            match (kind, held) {
                (0, None) if !kernel.waiting(id) => {
                    kernel.acquire_push_lock(id, l, mode).unwrap();
                }
                (1, Some(mode)) if !kernel.waiting(id) => kernel.release_push_lock(id, l, mode).unwrap(),
                (2, _) => {
                    let granted = kernel.grant(id).is_some();
                    prop_assert!(!granted || kernel.push_lock_held(id, l).is_some());
                }
                (3, _) => {
                    kernel.insert_apc(apcs[t], threads[0]).unwrap();
                    if kernel.begin_delivery(id).is_some() {
                        kernel.kernel_routine_returned(id).unwrap();
                    }
                }
                _ => {}
            }
            let held = threads.map(|t| kernel.push_lock_held(t, l));
            let holders = held.iter().flatten().count();
            prop_assert!(holders <= 1 || !held.contains(&Some(Exclusive)));
            if holders == 0 && threads.iter().any(|&t| kernel.waiting(t)) {
                prop_assert!(threads.iter().any(|&t| kernel.grantable(t).is_some()));
            }
        }
    }
}
