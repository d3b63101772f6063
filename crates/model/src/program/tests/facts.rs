//! Facts of docs/semantics.md, sections 1 and 2, and decisions of docs/model.md as small programs.

use super::*;
use crate::explore::LimitReached;
use crate::sample::sample;

const BOTH: [Profile; 2] = [Profile::Documented, Profile::Nt52];

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

/// Lane 0 enters, lets lane 1 queue the APC, and looks before and after it leaves.
fn region(kind: Kind, enter: Step, leave: Step) -> ProgramBuf {
    let inside = vec![
        enter,
        Step::Barrier,
        Step::Barrier,
        ran(0, 0),
        leave,
        ran(0, 1),
    ];
    program(
        &[(kind, 0)],
        &[],
        0,
        &[inside, vec![Step::Barrier, queue(0), Step::Barrier]],
    )
}

#[test]
fn a_critical_region_defers_a_normal_apc_to_its_leave() {
    for profile in BOTH {
        let test = region(Kind::Normal, Step::EnterCritical, Step::LeaveCritical);
        assert_eq!(outcomes(&test, profile), [[0, 1]]);
    }
}

#[test]
fn a_critical_region_does_not_defer_a_special_apc() {
    let test = region(Kind::Special, Step::EnterCritical, Step::LeaveCritical);
    assert_eq!(
        outcomes(&test, Profile::Documented),
        [[0, 0], [0, 1], [1, 1]]
    );
    assert_eq!(outcomes(&test, Profile::Nt52), [[0, 1], [1, 1]]);
}

#[test]
fn a_guarded_region_defers_both_kinds_to_its_leave() {
    for (profile, kind) in BOTH.into_iter().zip([Kind::Special, Kind::Normal]) {
        let test = region(kind, Step::EnterGuarded, Step::LeaveGuarded);
        assert_eq!(outcomes(&test, profile), [[0, 1]]);
    }
}

#[test]
fn apc_level_defers_and_lowering_forces_what_the_lane_queued_itself() {
    for (profile, kind) in BOTH.into_iter().zip([Kind::Special, Kind::Normal]) {
        let lane = vec![Step::RaiseApc, queue(0), ran(0, 0), Step::Lower, ran(0, 1)];
        let test = program(&[(kind, 0)], &[], 0, &[lane]);
        assert_eq!(outcomes(&test, profile), [[0, 1]]);
    }
}

#[test]
fn apc_level_lowered_does_not_force_what_another_lane_queued() {
    let lane = vec![Step::RaiseApc, ran(0, 0), Step::Lower, ran(0, 1)];
    let test = program(&[(Kind::Special, 0)], &[], 0, &[lane, vec![queue(0)]]);
    for profile in BOTH {
        // Before the raise, after the lower, or later.
        assert_eq!(outcomes(&test, profile), [[0, 0], [0, 1], [1, 1]]);
    }
}

#[test]
fn an_apc_queued_to_oneself_has_run_when_the_step_returns() {
    for (profile, kind) in BOTH.into_iter().zip([Kind::Special, Kind::Normal]) {
        let lane = vec![
            Step::Queue {
                apc: 0,
                to: Some(0),
            },
            ran(0, 1),
        ];
        assert_eq!(
            outcomes(&program(&[(kind, 0)], &[], 0, &[lane]), profile),
            [[1, 1]]
        );
    }
}

#[test]
fn inside_both_regions_the_specials_run_at_the_leave_of_the_guarded_one() {
    for profile in BOTH {
        let lane = vec![
            Step::EnterCritical,
            Step::EnterGuarded,
            queue(0),
            queue(1),
            Step::LeaveGuarded,
            ran(0, 0),
            ran(1, 1),
            Step::LeaveCritical,
            ran(0, 2),
        ];
        let test = program(&[(Kind::Normal, 0), (Kind::Special, 0)], &[], 0, &[lane]);
        assert_eq!(outcomes(&test, profile), [[0, 1, 1]]);
    }
}

#[test]
fn a_begun_delivery_drains_the_queue_in_nt52_and_may_stop_by_the_documents() {
    let lane = vec![
        Step::RaiseApc,
        ran(0, 0),
        Step::Load { variable: 0, to: 1 },
        Step::Lower,
        ran(0, 2),
        ran(1, 3),
    ];
    let store = Step::Store {
        variable: 0,
        from: None,
        constant: 1,
    };
    let apcs = [(Kind::Special, 0), (Kind::Special, 0)];
    let test = program(&apcs, &[], 1, &[lane, vec![queue(0), queue(1), store]]);
    // Both stood in the queue when the lane lowered the IRQL, and one has run since.
    let apart = vec![0, 1, 1, 0, 1];
    let seen = BOTH.map(|profile| outcomes(&test, profile).contains(&apart));
    assert_eq!(seen, [true, false]);
}

#[test]
fn apcs_of_parked_lanes_still_run_before_the_iteration_ends() {
    let store = Step::Store {
        variable: 0,
        from: None,
        constant: 1,
    };
    let test = program(
        &[(Kind::Normal, 0)],
        &[],
        1,
        &[vec![], vec![queue(0), store]],
    );
    let bytes = test.encode();
    let parsed = Program::parse(&bytes).unwrap();
    let histogram = sample(&parsed, Profile::Documented, &[], 1, 100);
    assert_eq!(
        histogram.outcomes.into_iter().collect::<Vec<_>>(),
        [(vec![1], 100)]
    );
    let mut state = State::initial(&parsed, Profile::Documented, &[]);
    for _ in 0..2 {
        assert!(!is_final(&state, &parsed));
        state = apply(&state, &parsed, Event::Step { lane: 1, choice: 0 }).unwrap();
    }
    assert!(!is_final(&state, &parsed), "the APC is still queued");
    assert_eq!(enabled(&state, &parsed), [Event::Deliver { lane: 0 }]);
    state = apply(&state, &parsed, Event::Deliver { lane: 0 }).unwrap();
    assert_eq!((is_final(&state, &parsed), state.ran(0)), (true, 1));
}

#[test]
fn a_lane_in_a_wait_takes_apcs_and_goes_on_waiting() {
    for (profile, kind) in BOTH.into_iter().zip([Kind::Special, Kind::Normal]) {
        let waiter = vec![Step::Wait { event: 0 }, ran(0, 0)];
        let other = vec![queue(0), Step::Set { event: 0 }];
        let test = program(
            &[(kind, 0)],
            &[Signal::Synchronization],
            0,
            &[waiter, other],
        );
        // Queued before the set, yet it may run after the wait.
        let expected: &[[i64; 1]] = &[[0], [1]];
        assert_eq!(outcomes(&test, profile), expected);
    }
}

#[test]
fn an_apc_that_stands_in_the_queue_runs_before_its_target_blocks() {
    // The set comes after the APC has run, so that without delivery in the wait nothing ends it.
    let waiter = vec![
        Step::EnterCritical,
        Step::Barrier,
        Step::LeaveCritical,
        Step::Wait { event: 0 },
        ran(0, 0),
    ];
    let other = vec![queue(0), Step::Barrier, Step::Set { event: 0 }];
    let test = program(
        &[(Kind::Normal, 0)],
        &[Signal::Synchronization],
        0,
        &[waiter, other],
    );
    for profile in BOTH {
        assert_eq!(outcomes(&test, profile), [[1]]);
    }
}

#[test]
fn the_disputed_predicate_goes_both_ways_by_the_documents() {
    let lane = vec![
        Step::EnterGuarded,
        Step::ApcsDisabled { to: 0 },
        Step::LeaveGuarded,
    ];
    let test = program(&[], &[], 0, &[lane]);
    assert_eq!(outcomes(&test, Profile::Documented), [[0], [1]]);
    assert_eq!(outcomes(&test, Profile::Nt52), [[1]]);
}

#[test]
fn predicates_and_irql_are_read_where_they_stand() {
    let lane = vec![
        Step::ApcsDisabled { to: 0 },
        Step::EnterCritical,
        Step::ApcsDisabled { to: 1 },
        Step::AllApcsDisabled { to: 2 },
        Step::LeaveCritical,
        Step::RaiseApc,
        Step::ApcsDisabled { to: 3 },
        Step::AllApcsDisabled { to: 4 },
        Step::Irql { to: 5 },
        Step::Lower,
        Step::Irql { to: 6 },
    ];
    for profile in BOTH {
        let test = program(&[], &[], 0, std::slice::from_ref(&lane));
        assert_eq!(outcomes(&test, profile), [[0, 1, 0, 0, 1, 1, 0]]);
    }
}

#[test]
fn variables_are_sequentially_consistent_and_updates_get_lost() {
    let lane = |mine, theirs| {
        vec![
            Step::Store {
                variable: mine,
                from: None,
                constant: 1,
            },
            Step::Load {
                variable: theirs,
                to: 0,
            },
        ]
    };
    let store_buffering = program(&[], &[], 2, &[lane(0, 1), lane(1, 0)]);
    let seen = outcomes(&store_buffering, Profile::Documented);
    assert_eq!(seen, [[0, 1, 1, 1], [1, 0, 1, 1], [1, 1, 1, 1]]);
    let increment = vec![
        Step::Load { variable: 0, to: 0 },
        Step::Store {
            variable: 0,
            from: Some(0),
            constant: 1,
        },
    ];
    let lost_update = program(&[], &[], 1, &[increment.clone(), increment]);
    let values: BTreeSet<_> = outcomes(&lost_update, Profile::Documented)
        .iter()
        .map(|outcome| outcome[2])
        .collect();
    assert_eq!(values, BTreeSet::from([1, 2]));
}

#[test]
fn an_apc_that_is_off_the_queue_and_has_not_run_can_be_queued_again() {
    let again = vec![
        queue(0),
        Step::Queue {
            apc: 0,
            to: Some(0),
        },
        ran(0, 1),
    ];
    let test = program(&[(Kind::Special, 0)], &[], 0, &[vec![], again]);
    for profile in BOTH {
        let seen = outcomes(&test, profile);
        assert_eq!(seen, [[0, 0], [0, 1], [1, 0], [1, 1], [1, 2]]);
    }
}

#[test]
fn a_special_does_not_pass_a_normal_apc_that_is_off_the_queue() {
    // Lane 1 has queued the special when the normal one has not run, and later finds that the
    // normal one alone has.
    let other = vec![queue(1), ran(0, 0), ran(0, 1), ran(1, 2)];
    let lanes = [vec![], other, vec![queue(0)]];
    let test = program(&[(Kind::Normal, 0), (Kind::Special, 0)], &[], 0, &lanes);
    for profile in BOTH {
        assert!(outcomes(&test, profile).contains(&vec![0, 1, 0]));
    }
}

#[test]
fn a_wait_that_begins_after_the_reset_misses_the_set() {
    let other = vec![Step::Set { event: 0 }, Step::Reset { event: 0 }];
    let lanes = [vec![Step::Wait { event: 0 }], other];
    for kind in [Signal::Notification, Signal::Synchronization] {
        let found = all_paths(&program(&[], &[kind], 0, &lanes), Profile::Nt52, &[]);
        assert_eq!(
            found.outcomes.len(),
            1,
            "in time, the set releases the waiter"
        );
        assert_eq!(found.deadlocks, 1);
        let path = found
            .deadlock_witness
            .expect("there is a path to the deadlock");
        assert_eq!(path, [1, 1, 0].map(|lane| Event::Step { lane, choice: 0 }));
    }
}

#[test]
fn each_waiter_that_an_event_may_go_to_is_a_way_of_the_set() {
    let waiter = vec![Step::Wait { event: 0 }];
    let lanes = [waiter.clone(), waiter, vec![Step::Set { event: 0 }]];
    let bytes = program(&[], &[Signal::Synchronization], 0, &lanes).encode();
    let parsed = Program::parse(&bytes).unwrap();
    for (profile, ways) in BOTH.into_iter().zip([2, 1]) {
        let mut state = State::initial(&parsed, profile, &[]);
        for lane in [1, 0] {
            state = apply(&state, &parsed, Event::Step { lane, choice: 0 }).unwrap();
        }
        let sets: Vec<_> = (0..ways)
            .map(|choice| Event::Step { lane: 2, choice })
            .collect();
        assert_eq!(enabled(&state, &parsed), sets);
        let released = |&set| {
            let after = apply(&state, &parsed, set).unwrap();
            after.lanes().iter().position(|lane| lane.next() == 1)
        };
        let released: Vec<_> = sets.iter().filter_map(released).collect();
        let expected: &[usize] = match profile {
            Profile::Documented => &[0, 1],
            // Lane 1 blocked first.
            Profile::Nt52 => &[1],
        };
        assert_eq!(released, expected);
    }
}

#[test]
fn a_wait_on_an_event_that_nobody_sets_is_a_deadlock() {
    let test = program(
        &[],
        &[Signal::Notification],
        0,
        &[vec![Step::Wait { event: 0 }]],
    );
    let found = all_paths(&test, Profile::Documented, &[]);
    assert_eq!((found.deadlocks, found.outcomes.len()), (1, 0));
    assert_eq!(
        found.deadlock_witness,
        Some(vec![Event::Step { lane: 0, choice: 0 }])
    );
    let bytes = test.encode();
    let histogram = sample(&Program::parse(&bytes).unwrap(), Profile::Nt52, &[], 0, 7);
    assert_eq!((histogram.deadlocks, histogram.outcomes.len()), (7, 0));
}

#[test]
fn a_synchronization_event_lets_its_waiters_through_one_at_a_time_in_either_order() {
    let waiter = vec![
        Step::Wait { event: 0 },
        Step::Load { variable: 0, to: 0 },
        Step::Store {
            variable: 0,
            from: Some(0),
            constant: 1,
        },
        Step::Set { event: 0 },
    ];
    let lanes = [waiter.clone(), waiter, vec![Step::Set { event: 0 }]];
    let test = program(&[], &[Signal::Synchronization], 1, &lanes);
    for profile in BOTH {
        assert_eq!(outcomes(&test, profile), [[0, 1, 2], [1, 0, 2]]);
    }
}

#[test]
fn with_a_baseline_in_a_critical_region_a_normal_apc_never_runs() {
    let inside = [Baseline {
        kernel: -1,
        special: 0,
    }];
    for (kind, deadlocks) in [(Kind::Normal, 1), (Kind::Special, 0)] {
        let lane = vec![
            Step::EnterCritical,
            queue(0),
            Step::LeaveCritical,
            Step::ApcsDisabled { to: 0 },
        ];
        let found = all_paths(
            &program(&[(kind, 0)], &[], 0, &[lane]),
            Profile::Nt52,
            &inside,
        );
        assert_eq!(found.deadlocks, deadlocks);
        assert_eq!(found.outcomes.contains_key(&vec![1]), deadlocks == 0);
    }
}

#[test]
fn a_program_that_the_verifier_would_refuse_runs_into_its_bug_check() {
    let test = program(&[], &[], 0, &[vec![Step::LeaveCritical]]);
    let found = all_paths(&test, Profile::Documented, &[]);
    assert_eq!(found.bug_checks.len(), 1);
    assert_eq!(found.bug_checks[0].parameters, [0x3E, 0, 0, 0]);
    let bytes = test.encode();
    let histogram = sample(
        &Program::parse(&bytes).unwrap(),
        Profile::Documented,
        &[],
        0,
        3,
    );
    assert_eq!(histogram.bug_checks.into_values().collect::<Vec<_>>(), [3]);
}

#[test]
fn a_search_beyond_its_limit_says_so() {
    let lane = vec![Step::Irql { to: 0 }; 20];
    let bytes = program(&[], &[], 0, &[lane.clone(), lane]).encode();
    let parsed = Program::parse(&bytes).unwrap();
    let search = |states| explore(&parsed, Profile::Documented, &[], Limits { states });
    assert_eq!(
        search(440).unwrap_err(),
        LimitReached {
            states: 440,
            bytes: None
        }
    );
    let found = search(441).unwrap();
    assert_eq!((found.states, found.transitions), (441, 840));
}
