//! Locks, raw lanes, blocks and time-outs.

use super::*;

const BOTH: [Profile; 2] = [Profile::Documented, Profile::Nt52];
/// The mutexes. What can be shared as well is in [`super::resources`] and [`super::push_locks`].
const ALL: [LockKind; 3] = [LockKind::FastMutex, LockKind::GuardedMutex, LockKind::Mutex];

fn with_locks(locks: &[LockKind], test: ProgramBuf) -> ProgramBuf {
    ProgramBuf {
        locks: locks.to_vec(),
        ..test
    }
}

fn outcomes(program: &ProgramBuf, profile: Profile) -> Vec<Vec<i64>> {
    let found = all_paths(program, profile, &[]);
    assert_eq!((found.deadlocks, found.bug_checks), (0, vec![]));
    found.outcomes.into_keys().collect()
}

fn queue(apc: u8) -> Step {
    Step::Queue { apc, to: None }
}

fn ran(apc: u8, to: u8) -> Step {
    Step::Ran { apc, to }
}

fn store(constant: i64) -> Step {
    Step::Store {
        variable: 0,
        from: None,
        constant,
    }
}

fn attempt(to: u8, milliseconds: u32, length: u32) -> Step {
    Step::Try {
        lock: 0,
        mode: Mode::Exclusive,
        to,
        milliseconds,
        length,
    }
}

fn acquire(lock: u8) -> Step {
    let mode = Mode::Exclusive;
    Step::Acquire { lock, mode }
}

/// A load and a store between an acquire and its release.
fn increment(lock: u8) -> Vec<Step> {
    vec![
        acquire(lock),
        Step::Load { variable: 0, to: 0 },
        Step::Store {
            variable: 0,
            from: Some(0),
            constant: 1,
        },
        Step::Release { lock },
    ]
}

#[test]
fn no_update_is_lost_under_any_lock_and_either_lane_may_come_first() {
    for profile in BOTH {
        for kind in ALL {
            let test = program(&[], &[], 1, &[increment(0), increment(0)]);
            let test = with_locks(&[kind], test);
            assert_eq!(outcomes(&test, profile), [[0, 1, 2], [1, 0, 2]]);
        }
    }
}

#[test]
fn two_locks_of_one_kind_are_not_each_other() {
    let in_region = |lock| {
        [
            vec![Step::EnterCritical],
            increment(lock),
            vec![Step::LeaveCritical],
        ]
        .concat()
    };
    for kind in LockKind::ALL.into_iter().filter(|kind| !kind.user()) {
        // With others in between, so that each kind is counted by itself.
        let kinds = [
            kind,
            LockKind::FastMutex,
            LockKind::Mutex,
            LockKind::Resource,
            LockKind::PushLock,
            kind,
        ];
        let test = program(&[], &[], 1, &[in_region(0), in_region(5)]);
        let seen = outcomes(&with_locks(&kinds, test), Profile::Nt52);
        assert!(seen.contains(&vec![0, 0, 1]), "an update is lost");
        let test = program(&[], &[], 1, &[in_region(5), in_region(5)]);
        let seen = outcomes(&with_locks(&kinds, test), Profile::Nt52);
        assert!(!seen.contains(&vec![0, 0, 1]), "no update is lost");
    }
}

#[test]
fn a_raising_mutex_defers_both_kinds_and_a_kmutex_the_normal_one() {
    for profile in BOTH {
        for lock in ALL {
            for apc in [Kind::Special, Kind::Normal] {
                let lane = vec![
                    acquire(0),
                    queue(0),
                    ran(0, 0),
                    Step::Irql { to: 1 },
                    Step::AllApcsDisabled { to: 2 },
                    Step::Release { lock: 0 },
                    ran(0, 3),
                    Step::Irql { to: 4 },
                ];
                let test = with_locks(&[lock], program(&[(apc, 0)], &[], 0, &[lane]));
                let at_once = i64::from(lock == LockKind::Mutex && apc == Kind::Special);
                let raised = i64::from(lock.raises());
                let expected = [[at_once, raised, raised, 1, 0]];
                assert_eq!(outcomes(&test, profile), expected);
            }
        }
    }
}

#[test]
fn a_kmutex_is_recursive_and_lets_apcs_in_at_the_last_release() {
    let lane = vec![
        acquire(0),
        acquire(0),
        queue(0),
        Step::Release { lock: 0 },
        ran(0, 0),
        Step::ApcsDisabled { to: 1 },
        Step::Release { lock: 0 },
        ran(0, 2),
        Step::ApcsDisabled { to: 3 },
    ];
    let test = program(&[(Kind::Normal, 0)], &[], 0, &[lane]);
    for profile in BOTH {
        let test = with_locks(&[LockKind::Mutex], test.clone());
        assert_eq!(outcomes(&test, profile), [[0, 1, 1, 0]]);
    }
}

#[test]
fn by_the_documents_the_one_who_released_may_come_before_the_one_who_waits() {
    // Lane 1 notes what lane 0 had written when it got the mutex.
    let mut first = increment(0);
    first.extend(increment(0));
    let second = vec![
        acquire(0),
        Step::Load { variable: 0, to: 0 },
        Step::Release { lock: 0 },
    ];
    let test = program(&[], &[], 1, &[first, second]);
    for profile in BOTH {
        let seen = outcomes(&with_locks(&[LockKind::FastMutex], test.clone()), profile);
        assert_eq!(seen, [[1, 0, 2], [1, 1, 2], [1, 2, 2]]);
    }
}

#[test]
fn the_block_of_a_try_runs_with_the_lock_only() {
    let holder = vec![acquire(0), store(1), store(2), Step::Release { lock: 0 }];
    let trier = vec![
        attempt(0, 0, 2),
        Step::Load { variable: 0, to: 1 },
        Step::Release { lock: 0 },
        Step::End,
        Step::Irql { to: 2 },
    ];
    for kind in ALL {
        let test = program(&[], &[], 1, &[holder.clone(), trier.clone()]);
        for profile in BOTH {
            let test = with_locks(&[kind], test.clone());
            // Never between the two stores.
            let expected = [[0, 0, 0, 2], [1, 0, 0, 2], [1, 2, 0, 2]];
            assert_eq!(outcomes(&test, profile), expected);
        }
    }
}

#[test]
fn a_timed_try_of_a_kmutex_gets_it_or_runs_out_of_time() {
    let holder = vec![acquire(0), Step::Barrier, Step::Release { lock: 0 }];
    let trier = |milliseconds| {
        vec![
            Step::Barrier,
            attempt(0, milliseconds, 1),
            Step::Release { lock: 0 },
            Step::End,
        ]
    };
    for profile in BOTH {
        for milliseconds in [0, 10] {
            let lanes = [holder.clone(), trier(milliseconds)];
            let test = with_locks(&[LockKind::Mutex], program(&[], &[], 0, &lanes));
            assert_eq!(outcomes(&test, profile), [[0], [1]]);
        }
    }
}

#[test]
fn an_owner_s_timed_try_does_not_wait() {
    let lane = vec![
        acquire(0),
        attempt(0, 10, 1),
        Step::Release { lock: 0 },
        Step::End,
        Step::Release { lock: 0 },
    ];
    let test = with_locks(&[LockKind::Mutex], program(&[], &[], 0, &[lane]));
    assert_eq!(outcomes(&test, Profile::Documented), [[1]]);
}

#[test]
fn a_timed_wait_ends_with_the_event_or_with_its_time_and_takes_the_event_with_success_only() {
    let wait = |milliseconds| Step::WaitFor {
        event: 0,
        to: 0,
        milliseconds,
    };
    for profile in BOTH {
        let nobody = program(&[], &[Signal::Notification], 0, &[vec![wait(10)]]);
        assert_eq!(outcomes(&nobody, profile), [[0]]);
        for milliseconds in [0, 10] {
            let lanes = [vec![wait(milliseconds)], vec![Step::Set { event: 0 }]];
            let test = program(&[], &[Signal::Synchronization], 0, &lanes);
            assert_eq!(outcomes(&test, profile), [[0], [1]]);
            let twice = vec![
                Step::Set { event: 0 },
                wait(milliseconds),
                Step::WaitFor {
                    event: 0,
                    to: 1,
                    milliseconds: 0,
                },
            ];
            let test = program(&[], &[Signal::Synchronization], 0, &[twice]);
            assert_eq!(
                outcomes(&test, profile),
                [[1, 0]],
                "what is signaled is taken at once"
            );
        }
    }
}

#[test]
fn an_apc_runs_in_a_timed_wait_which_goes_on() {
    let waiter = vec![
        Step::WaitFor {
            event: 0,
            to: 0,
            milliseconds: 10,
        },
        ran(0, 1),
    ];
    let other = vec![queue(0), Step::Set { event: 0 }];
    let test = program(
        &[(Kind::Normal, 0)],
        &[Signal::Notification],
        0,
        &[waiter, other],
    );
    for profile in BOTH {
        assert_eq!(outcomes(&test, profile), [[0, 0], [0, 1], [1, 0], [1, 1]]);
    }
}

#[test]
fn a_repeat_executes_its_block_so_many_times_and_blocks_nest() {
    let bump = [
        Step::Load { variable: 0, to: 0 },
        Step::Store {
            variable: 0,
            from: Some(0),
            constant: 1,
        },
    ];
    let mut lane = vec![
        Step::Repeat {
            count: 3,
            length: 6,
        },
        Step::Repeat {
            count: 2,
            length: 2,
        },
        bump[0],
        bump[1],
        Step::End,
        bump[0],
        bump[1],
        Step::End,
        Step::Repeat {
            count: 9,
            length: 0,
        },
        Step::End,
        attempt(1, 0, 4),
        Step::Repeat {
            count: 5,
            length: 1,
        },
        store(7),
        Step::End,
        Step::Release { lock: 0 },
        Step::End,
    ];
    let test = program(&[], &[], 1, &[lane.clone()]);
    let seen = outcomes(&with_locks(&[LockKind::FastMutex], test), Profile::Nt52);
    assert_eq!(seen, [[8, 1, 7]]);
    lane.truncate(8);
    let test = program(&[], &[], 1, &[lane]);
    assert_eq!(outcomes(&test, Profile::Nt52), [[8, 9]]);
}

#[test]
fn queueing_in_a_repeat_can_find_the_apc_off_the_queue_and_not_run() {
    let lane = vec![
        Step::Repeat {
            count: 2,
            length: 1,
        },
        queue(0),
        Step::End,
        ran(0, 0),
    ];
    let test = program(&[(Kind::Special, 0)], &[], 0, &[vec![], lane]);
    let seen = outcomes(&test, Profile::Documented);
    assert_eq!(seen, [[0], [1], [2]]);
}

#[test]
fn raw_lanes_leave_regions_and_mutexes_in_any_order() {
    let lane = vec![
        Step::EnterCritical,
        Step::EnterGuarded,
        acquire(0),
        queue(0),
        queue(1),
        Step::LeaveCritical,
        ran(0, 0),
        Step::LeaveGuarded,
        ran(0, 1),
        ran(1, 2),
        Step::Release { lock: 0 },
        ran(1, 3),
    ];
    let apcs = [(Kind::Special, 0), (Kind::Normal, 0)];
    let test = ProgramBuf {
        raw: vec![true],
        ..with_locks(&[LockKind::Mutex], program(&apcs, &[], 0, &[lane]))
    };
    for profile in BOTH {
        assert_eq!(outcomes(&test, profile), [[0, 1, 0, 1]]);
    }
}

#[test]
fn lock_order_inversion_is_a_deadlock() {
    let lane = |first, second| {
        vec![
            Step::EnterCritical,
            acquire(first),
            acquire(second),
            Step::Release { lock: second },
            Step::Release { lock: first },
            Step::LeaveCritical,
        ]
    };
    for kind in LockKind::ALL.into_iter().filter(|kind| !kind.user()) {
        let test = program(&[], &[], 0, &[lane(0, 1), lane(1, 0)]);
        let found = all_paths(&with_locks(&[kind; 2], test), Profile::Documented, &[]);
        assert_eq!((found.deadlocks, found.outcomes.len()), (1, 1), "{kind:?}");
        let path = found.deadlock_witness.expect("there is a path to it");
        assert_eq!(path.len(), 6);
    }
}

#[test]
fn releasing_what_is_not_held_is_a_bug_check_with_its_path() {
    for (kind, code) in [(LockKind::FastMutex, 0xC4), (LockKind::Mutex, 0x1E)] {
        let lane = vec![Step::Irql { to: 0 }, Step::Release { lock: 0 }];
        let test = with_locks(&[kind], program(&[], &[], 0, &[lane]));
        let found = all_paths(&test, Profile::Documented, &[]);
        assert_eq!(found.bug_checks[0].code, code);
        let step = Event::Step { lane: 0, choice: 0 };
        assert_eq!(found.bug_check_witnesses, [vec![step; 2]]);
    }
}
