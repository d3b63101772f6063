//! Caller lanes: outcomes that follow from a fact by hand.

use super::*;
use apclab_protocol::step::WaitMode;

const BOTH: [Profile; 2] = [Profile::Documented, Profile::Nt52];

/// A program whose lanes in `callers`, a bit each, are callers.
pub(super) fn with_callers(
    callers: u8,
    apcs: &[(Kind, u8)],
    events: &[Signal],
    lanes: &[Vec<Step>],
) -> ProgramBuf {
    ProgramBuf {
        callers: (0..lanes.len())
            .map(|lane| callers >> lane & 1 != 0)
            .collect(),
        ..super::program(apcs, events, 1, lanes)
    }
}

fn call(steps: &[Step]) -> Vec<Step> {
    let length = u32::try_from(steps.len()).unwrap();
    [&[Step::Call { length }], steps, &[Step::End]].concat()
}

fn queue(apc: u8) -> Step {
    Step::Queue { apc, to: None }
}

fn ran(apc: u8, to: u8) -> Step {
    Step::Ran { apc, to }
}

fn sleep(milliseconds: u32, alertable: bool, to: u8) -> Step {
    Step::Sleep {
        milliseconds,
        alertable,
        to,
    }
}

fn wait_as(mode: WaitMode, to: u8) -> Step {
    Step::WaitAs {
        event: 0,
        to,
        milliseconds: 10,
        mode,
    }
}

fn suspend(lane: u8) -> Step {
    Step::Suspend { lane, to: None }
}

fn resume(lane: u8) -> Step {
    Step::Resume { lane, to: None }
}

const ENTER: Step = Step::Acquire {
    lock: 0,
    mode: Mode::Exclusive,
};
const LEAVE: Step = Step::Release { lock: 0 };

fn with_section(test: ProgramBuf) -> ProgramBuf {
    ProgramBuf {
        locks: vec![LockKind::CriticalSection],
        ..test
    }
}

/// The values without those of the variable, which is the last; and whether the test may hang.
fn outcomes(test: &ProgramBuf, profile: Profile) -> (Vec<Vec<i64>>, bool) {
    let found = all_paths(test, profile, &[]);
    assert_eq!(found.bug_checks, []);
    let mut values: Vec<_> = found.outcomes.into_keys().collect();
    for outcome in &mut values {
        outcome.pop();
    }
    values.dedup();
    (values, found.deadlocks > 0)
}

fn only(test: &ProgramBuf, expected: &[i64]) {
    for profile in BOTH {
        let expected = (vec![expected.to_vec()], false);
        assert_eq!(outcomes(test, profile), expected, "{profile:?}");
    }
}

const NOTIFICATION: [Signal; 1] = [Signal::Notification];

#[test]
fn an_ordinary_user_apc_waits_for_an_alertable_wait() {
    let lane = vec![
        queue(0),
        queue(0),
        sleep(1, false, 0),
        ran(0, 1),
        sleep(1, true, 2),
        ran(0, 3),
        sleep(0, true, 4),
    ];
    only(
        &with_callers(1, &[(Kind::User, 0)], &[], &[lane]),
        &[0, 0, 2, 2, 0],
    );
}

#[test]
fn a_special_user_apc_waits_for_the_return_to_user_mode_only() {
    let lane = vec![queue(0), ran(0, 0)];
    only(
        &with_callers(1, &[(Kind::SpecialUser, 0)], &[], &[lane]),
        &[1],
    );
    // From another lane: at any point of user mode, before the next call returns.
    let a = [
        call(&[Step::Set { event: 0 }, Step::Wait { event: 1 }]),
        vec![ran(0, 0)],
    ]
    .concat();
    let b = [
        call(&[Step::Wait { event: 0 }]),
        vec![queue(0)],
        call(&[Step::Set { event: 1 }]),
    ]
    .concat();
    let events = [Signal::Notification; 2];
    only(
        &with_callers(3, &[(Kind::SpecialUser, 0)], &events, &[a, b]),
        &[1],
    );
}

#[test]
fn which_waits_a_user_apc_ends() {
    for kind in [Kind::User, Kind::SpecialUser] {
        for (mode, in_region, documented, nt52) in [
            (WaitMode::UserAlertable, false, vec![2], vec![2]),
            (WaitMode::UserAlertable, true, vec![0, 2], vec![2]),
            (WaitMode::User, false, vec![0], vec![0]),
            (WaitMode::KernelAlertable, false, vec![0, 2], vec![0]),
        ] {
            let wait = if in_region {
                vec![Step::EnterCritical, wait_as(mode, 0), Step::LeaveCritical]
            } else {
                vec![wait_as(mode, 0)]
            };
            // Queued by another lane inside the call, so that a special one is there at the wait.
            let own = [vec![Step::Set { event: 1 }, Step::Wait { event: 2 }], wait].concat();
            let other = [
                call(&[Step::Wait { event: 1 }]),
                vec![queue(0)],
                call(&[Step::Set { event: 2 }]),
            ]
            .concat();
            let lanes = [[call(&own), vec![ran(0, 1)]].concat(), other];
            let events = [Signal::Notification; 3];
            let test = with_callers(3, &[(kind, 0)], &events, &lanes);
            for (profile, ends) in BOTH.into_iter().zip([documented, nt52]) {
                let runs =
                    |end: i64| i64::from(kind == Kind::SpecialUser || (mode.user() && end == 2));
                let expected = ends.iter().map(|&end| vec![end, runs(end)]).collect();
                let found = outcomes(&test, profile);
                assert_eq!(
                    found,
                    (expected, false),
                    "{kind:?} {mode:?} {in_region} {profile:?}"
                );
            }
        }
    }
}

#[test]
fn an_object_and_a_user_apc_may_both_end_the_wait() {
    let lane = [
        vec![queue(0)],
        call(&[Step::Set { event: 0 }, wait_as(WaitMode::UserAlertable, 0)]),
        vec![ran(0, 1)],
    ]
    .concat();
    let test = with_callers(1, &[(Kind::User, 0)], &NOTIFICATION, &[lane]);
    let either = vec![vec![1, 0], vec![2, 1]];
    assert_eq!(outcomes(&test, Profile::Documented), (either, false));
    assert_eq!(outcomes(&test, Profile::Nt52), (vec![vec![1, 0]], false));
}

#[test]
fn user_apcs_run_in_the_order_in_which_they_were_queued_special_ones_first() {
    let apcs = [(Kind::User, 0), (Kind::SpecialUser, 0)];
    let lanes = [
        vec![sleep(5, true, 0), ran(0, 1), ran(1, 2)],
        vec![queue(0), queue(1), ran(0, 3), ran(1, 4)],
    ];
    let test = with_callers(3, &apcs, &[], &lanes);
    let (found, hangs) = outcomes(&test, Profile::Documented);
    assert!(!hangs);
    assert!(found.contains(&vec![2, 1, 1, 1, 1]));
    assert!(
        found.contains(&vec![0, 0, 1, 0, 1]),
        "too late for the sleep"
    );
    // Whatever ends the sleep: the special one has run once the other lane has gone on in user
    // mode after it was queued, and it has only if it was there.
    assert!(
        found
            .iter()
            .all(|outcome| outcome[0] == 0 || outcome[1] + outcome[2] > 0)
    );
}

#[test]
fn what_is_queued_while_the_last_one_runs_runs_as_well_or_does_not() {
    let apcs = [(Kind::User, 0), (Kind::User, 0)];
    let lanes = [
        vec![queue(0), sleep(5, true, 0), ran(1, 1)],
        vec![ran(0, 2), queue(1)],
    ];
    let test = with_callers(3, &apcs, &[], &lanes);
    for profile in BOTH {
        let (found, _) = outcomes(&test, profile);
        // The first has run before the second was queued, and the second has run as well.
        assert!(found.contains(&vec![2, 1, 1]), "{found:?}");
        assert!(found.contains(&vec![2, 0, 1]), "{found:?}");
    }
}

#[test]
fn a_suspended_lane_goes_on_when_it_is_resumed_as_often() {
    let others = |resumes: usize| {
        let to = |at: usize| u8::try_from(at).unwrap();
        let suspend = |at| Step::Suspend {
            lane: 0,
            to: Some(to(at)),
        };
        let resume = |at| Step::Resume {
            lane: 0,
            to: Some(to(at + 2)),
        };
        let suspended = (0..2).map(suspend);
        suspended
            .chain((0..resumes).map(resume))
            .collect::<Vec<_>>()
    };
    for profile in BOTH {
        for resumes in 0..=2 {
            let lanes = [vec![sleep(0, false, 0)], others(resumes)];
            let test = with_callers(3, &[], &[], &lanes);
            let (found, hangs) = outcomes(&test, profile);
            assert_eq!(hangs, resumes < 2);
            let counts = [0, 0, 1, 2, 1];
            let all = counts[..3 + resumes].to_vec();
            assert_eq!(found, if hangs { vec![] } else { vec![all] });
        }
        // Suspended by itself: no step follows before the resume.
        let lanes = [
            vec![suspend(0), sleep(0, false, 0)],
            vec![Step::Resume {
                lane: 0,
                to: Some(1),
            }],
        ];
        let (found, hangs) = outcomes(&with_callers(3, &[], &[], &lanes), profile);
        assert_eq!((found, hangs), (vec![vec![0, 1]], true));
    }
}

#[test]
fn a_region_defers_suspension_and_a_wait_does_not() {
    for (enter, leave) in [
        (Step::EnterCritical, Step::LeaveCritical),
        (Step::EnterGuarded, Step::LeaveGuarded),
    ] {
        for profile in BOTH {
            let inside = |open: Vec<Step>, close: Vec<Step>| {
                let steps = [
                    open,
                    vec![
                        Step::Set { event: 0 },
                        Step::Wait { event: 1 },
                        Step::Set { event: 2 },
                    ],
                    close,
                ];
                let other = [
                    call(&[Step::Wait { event: 0 }]),
                    vec![suspend(0)],
                    call(&[
                        Step::Set { event: 1 },
                        Step::WaitFor {
                            event: 2,
                            to: 0,
                            milliseconds: 1,
                        },
                    ]),
                    vec![resume(0)],
                    // After the resume it goes on, suspended or not.
                    call(&[Step::Wait { event: 2 }]),
                ];
                let lanes = [call(&steps.concat()), other.concat()];
                with_callers(3, &[], &[Signal::Notification; 3], &lanes)
            };
            let region = inside(vec![enter], vec![leave]);
            let plain = inside(vec![], vec![]);
            for test in [&region, &plain] {
                assert_eq!(outcomes(test, profile), (vec![vec![0], vec![1]], false));
            }
            // Without an end: only the lane that may be suspended can hang.
            let endless = |test: &ProgramBuf| {
                let mut test = test.clone();
                let resumes = |step: &Step| matches!(step, Step::Resume { .. });
                test.lanes[1].retain(|step| !resumes(step));
                outcomes(&test, profile)
            };
            assert!(endless(&region).1, "it is suspended after the leave");
            assert!(endless(&plain).1);
        }
    }
}

#[test]
fn a_region_keeps_a_lane_going_until_it_leaves() {
    // The lane suspends nobody but is suspended in its region, where it can still answer.
    for profile in BOTH {
        let own = call(&[
            Step::EnterCritical,
            Step::Set { event: 0 },
            Step::Wait { event: 1 },
            Step::Set { event: 2 },
            Step::LeaveCritical,
        ]);
        let other = [
            call(&[Step::Wait { event: 0 }]),
            vec![suspend(0)],
            call(&[Step::Set { event: 1 }, Step::Wait { event: 2 }]),
            vec![resume(0)],
        ];
        let events = [Signal::Notification; 3];
        let lanes = [own.clone(), other.concat()];
        let (_, hangs) = outcomes(&with_callers(3, &[], &events, &lanes), profile);
        assert!(!hangs, "{profile:?}");
        let outside: Vec<_> = own
            .into_iter()
            .filter(|step| !matches!(step, Step::EnterCritical | Step::LeaveCritical))
            .map(|step| match step {
                Step::Call { length } => Step::Call { length: length - 2 },
                step => step,
            })
            .collect();
        let lanes = [outside, other.concat()];
        let (_, hangs) = outcomes(&with_callers(3, &[], &events, &lanes), profile);
        assert!(hangs, "{profile:?}");
    }
}

#[test]
fn the_completion_of_a_request_is_a_special_apc() {
    let apcs = [(Kind::Completion, 0)];
    let held = |open: Vec<Step>, close: Vec<Step>| {
        let queued = Step::Queue {
            apc: 0,
            to: Some(0),
        };
        let steps = [open, vec![queued, ran(0, 1)], close, vec![ran(0, 2)]].concat();
        with_callers(
            1,
            &apcs,
            &[],
            &[[vec![Step::Start { apc: 0 }], call(&steps)].concat()],
        )
    };
    only(&held(vec![], vec![]), &[1, 1, 1]);
    only(
        &held(vec![Step::EnterCritical], vec![Step::LeaveCritical]),
        &[1, 1, 1],
    );
    only(
        &held(vec![Step::EnterGuarded], vec![Step::LeaveGuarded]),
        &[1, 0, 1],
    );
    only(&held(vec![Step::RaiseApc], vec![Step::Lower]), &[1, 0, 1]);
    // Nobody holds a request that was not made, or that is completed already.
    let again = [
        queue(0),
        Step::Queue {
            apc: 0,
            to: Some(0),
        },
    ];
    let lane = [vec![Step::Start { apc: 0 }], call(&again)].concat();
    only(&with_callers(1, &apcs, &[], &[lane]), &[0]);
    only(&with_callers(1, &apcs, &[], &[call(&again[1..])]), &[0]);
}

#[test]
fn a_completion_runs_in_a_suspended_thread_and_ends_no_wait() {
    let apcs = [(Kind::Completion, 0)];
    let lanes = [
        [
            vec![Step::Start { apc: 0 }],
            call(&[Step::Set { event: 0 }]),
            vec![suspend(0)],
        ]
        .concat(),
        [
            call(&[Step::Wait { event: 0 }, queue(0)]),
            call(&[ran(0, 0)]),
            vec![resume(0)],
        ]
        .concat(),
    ];
    let test = with_callers(3, &apcs, &NOTIFICATION, &lanes);
    for profile in BOTH {
        let (found, _) = outcomes(&test, profile);
        assert_eq!(found, [[0], [1]]);
    }
    let lanes = [
        [
            vec![Step::Start { apc: 0 }],
            call(&[
                Step::Set { event: 1 },
                Step::WaitFor {
                    event: 0,
                    to: 0,
                    milliseconds: 5,
                },
            ]),
        ]
        .concat(),
        call(&[Step::Wait { event: 1 }, queue(0)]),
    ];
    only(
        &with_callers(3, &apcs, &[Signal::Notification; 2], &lanes),
        &[0],
    );
}

#[test]
fn a_critical_section_excludes_counts_and_keeps_no_apc_out() {
    let increment = |to: u8| {
        [
            vec![ENTER],
            call(&[
                Step::Load { variable: 0, to },
                Step::Store {
                    variable: 0,
                    from: Some(to),
                    constant: 1,
                },
            ]),
            vec![LEAVE],
        ]
        .concat()
    };
    let test = with_section(with_callers(
        7,
        &[],
        &[],
        &[increment(0), increment(0), increment(0)],
    ));
    for profile in BOTH {
        let found = all_paths(&test, profile, &[]);
        assert!(found.outcomes.keys().all(|outcome| outcome[3] == 3));
        assert_eq!((found.outcomes.len(), found.deadlocks), (6, 0));
    }
    let attempt = |to, inside: Vec<Step>| {
        let block = [inside, vec![LEAVE]].concat();
        let length = u32::try_from(block.len()).unwrap();
        let attempt = Step::Try {
            lock: 0,
            mode: Mode::Exclusive,
            to,
            milliseconds: 0,
            length,
        };
        [vec![attempt], block, vec![Step::End]].concat()
    };
    let recursive = [vec![ENTER, ENTER], attempt(0, vec![]), vec![LEAVE, LEAVE]].concat();
    only(&with_section(with_callers(1, &[], &[], &[recursive])), &[1]);
    let lanes = [
        [
            vec![ENTER],
            call(&[Step::Set { event: 0 }, Step::Wait { event: 1 }]),
            vec![LEAVE],
        ]
        .concat(),
        [
            call(&[Step::Wait { event: 0 }]),
            attempt(0, vec![]),
            call(&[Step::Set { event: 1 }]),
        ]
        .concat(),
    ];
    let test = with_callers(3, &[], &[Signal::Notification; 2], &lanes);
    only(&with_section(test), &[0]);
    let inside = vec![ENTER, queue(0), sleep(1, true, 0), LEAVE, ran(0, 1)];
    only(
        &with_section(with_callers(1, &[(Kind::User, 0)], &[], &[inside])),
        &[2, 1],
    );
}

#[test]
fn a_suspended_owner_blocks_the_others() {
    let lanes = |resumes: bool| {
        let mut other = [call(&[Step::Wait { event: 0 }]), vec![ENTER, LEAVE]].concat();
        if resumes {
            other.insert(3, resume(0));
        }
        [
            [
                vec![ENTER],
                call(&[Step::Set { event: 0 }]),
                vec![suspend(0), LEAVE],
            ]
            .concat(),
            other,
        ]
    };
    for profile in BOTH {
        for resumes in [true, false] {
            let test = with_section(with_callers(3, &[], &NOTIFICATION, &lanes(resumes)));
            let (found, hangs) = outcomes(&test, profile);
            // A resume may come before the suspension.
            assert!(hangs);
            assert_eq!(found.len(), usize::from(resumes));
        }
    }
}

#[test]
fn a_special_user_apc_may_run_in_who_is_woken_and_waits_anew() {
    let lanes = [
        [
            vec![ENTER],
            call(&[Step::Set { event: 0 }, Step::Wait { event: 1 }]),
            vec![LEAVE, ENTER],
        ]
        .concat(),
        vec![ENTER, LEAVE],
        [
            call(&[Step::Wait { event: 0 }]),
            vec![queue(0)],
            call(&[Step::Set { event: 1 }]),
            vec![ran(0, 0)],
        ]
        .concat(),
    ];
    let mut lanes = lanes.to_vec();
    lanes[0].extend([call(&[Step::Wait { event: 2 }]), vec![LEAVE]].concat());
    lanes[2].extend(call(&[Step::Set { event: 2 }]));
    let test = with_callers(
        7,
        &[(Kind::SpecialUser, 1)],
        &[Signal::Notification; 3],
        &lanes,
    );
    for profile in BOTH {
        let (found, hangs) = outcomes(&with_section(test.clone()), profile);
        assert_eq!((found, hangs), (vec![vec![0], vec![1]], false));
    }
}
