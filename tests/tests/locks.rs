//! Locks, blocks, raw lanes and bodies of APCs on the real driver.

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::limits;
use apclab_protocol::message::{Context, Ended, RunRequest};
use apclab_protocol::program::{Apc, ApcKind, Event, EventKind, LockKind, Observed, Place};
use apclab_protocol::status;
use apclab_protocol::step::{Mode, Step};
use apclab_protocol::trace::Kind;
use apclab_protocol::verify::Reason;
use apclab_tests::{Handle, PLAIN, bounds, machine, outcomes, register, stop};

const KINDS: [LockKind; 3] = [LockKind::FastMutex, LockKind::GuardedMutex, LockKind::Mutex];

#[test]
fn what_a_lock_protects_loses_no_update() {
    for kind in KINDS {
        let bump = vec![
            Step::Repeat {
                count: 50,
                length: 4,
            },
            Step::Acquire {
                lock: 0,
                mode: Mode::Exclusive,
            },
            Step::Load { variable: 0, to: 0 },
            Step::Store {
                variable: 0,
                from: Some(0),
                constant: 1,
            },
            Step::Release { lock: 0 },
            Step::End,
        ];
        let program = ProgramBuf {
            variables: vec![0],
            locks: vec![kind],
            observed: vec![Observed::Variable(0)],
            lanes: vec![bump; 3],
            ..ProgramBuf::default()
        };
        assert_eq!(outcomes(&program, 40), [(vec![150], 40)], "{kind:?}");
    }
}

#[test]
fn the_holder_sees_what_the_facts_say() {
    for kind in KINDS {
        let ask = |base: u8| {
            [
                Step::ApcsDisabled { to: base },
                Step::AllApcsDisabled { to: base + 1 },
                Step::Irql { to: base + 2 },
            ]
        };
        let mut steps = vec![Step::Acquire {
            lock: 0,
            mode: Mode::Exclusive,
        }];
        steps.extend(ask(0));
        steps.push(Step::Release { lock: 0 });
        steps.extend(ask(3));
        let program = ProgramBuf {
            locks: vec![kind],
            observed: (0..6).map(|r| register(0, r)).collect(),
            lanes: vec![steps],
            ..ProgramBuf::default()
        };
        let inside = if kind.raises() { [0, 1, 1] } else { [1, 0, 0] };
        let expected = [inside, [0, 0, 0]].concat();
        assert_eq!(outcomes(&program, 20), [(expected, 20)], "{kind:?}");
    }
}

#[test]
fn a_try_runs_its_block_only_with_the_lock() {
    // A holds the lock while B tries: the two barriers say when. There is no barrier at APC_LEVEL, so
    // that only a mutex can be held at one.
    let holds = vec![
        Step::Acquire {
            lock: 0,
            mode: Mode::Exclusive,
        },
        Step::Barrier,
        Step::Barrier,
        Step::Release { lock: 0 },
    ];
    for milliseconds in [0, 1] {
        let tries = vec![
            Step::Barrier,
            Step::Try {
                lock: 0,
                mode: Mode::Exclusive,
                to: 0,
                milliseconds,
                length: 2,
            },
            Step::Store {
                variable: 0,
                from: None,
                constant: 9,
            },
            Step::Release { lock: 0 },
            Step::End,
            Step::Barrier,
        ];
        let program = ProgramBuf {
            variables: vec![0],
            locks: vec![LockKind::Mutex],
            observed: vec![register(1, 0), Observed::Variable(0)],
            lanes: vec![holds.clone(), tries],
            ..ProgramBuf::default()
        };
        assert_eq!(outcomes(&program, 20), [(vec![0, 0], 20)]);
    }
}

#[test]
fn a_try_of_a_free_lock_succeeds() {
    for kind in KINDS {
        let program = ProgramBuf {
            variables: vec![0],
            locks: vec![kind],
            observed: vec![register(0, 0), Observed::Variable(0)],
            lanes: vec![vec![
                Step::Try {
                    lock: 0,
                    mode: Mode::Exclusive,
                    to: 0,
                    milliseconds: 0,
                    length: 2,
                },
                Step::Store {
                    variable: 0,
                    from: Some(0),
                    constant: 9,
                },
                Step::Release { lock: 0 },
                Step::End,
            ]],
            ..ProgramBuf::default()
        };
        assert_eq!(outcomes(&program, 20), [(vec![1, 10], 20)], "{kind:?}");
    }
}

#[test]
fn a_mutex_counts_once_whatever_the_recursion() {
    let program = ProgramBuf {
        apcs: vec![Apc {
            kind: ApcKind::Normal,
            lane: 0,
        }],
        locks: vec![LockKind::Mutex],
        observed: vec![register(0, 0), register(0, 1), register(0, 2)],
        lanes: vec![vec![
            Step::Acquire {
                lock: 0,
                mode: Mode::Exclusive,
            },
            Step::Acquire {
                lock: 0,
                mode: Mode::Exclusive,
            },
            Step::Queue { apc: 0, to: None },
            Step::Ran { apc: 0, to: 0 },
            Step::Release { lock: 0 },
            Step::Ran { apc: 0, to: 1 },
            Step::Release { lock: 0 },
            Step::Ran { apc: 0, to: 2 },
        ]],
        ..ProgramBuf::default()
    };
    assert_eq!(outcomes(&program, 50), [(vec![0, 0, 1], 50)]);
}

#[test]
fn scopes_nest_to_their_limit_within_the_stack() {
    let host = machine();
    let handle = Handle::open(&host);
    let depth = u8::try_from(limits::SCOPES).unwrap();
    let mut steps: Vec<_> = (0..depth)
        .map(|lock| Step::Acquire {
            lock,
            mode: Mode::Exclusive,
        })
        .collect();
    steps.push(Step::Irql { to: 0 });
    steps.extend((0..depth).rev().map(|lock| Step::Release { lock }));
    let program = ProgramBuf {
        locks: vec![LockKind::FastMutex; limits::SCOPES],
        observed: vec![register(0, 0)],
        lanes: vec![steps],
        ..ProgramBuf::default()
    };
    let session = handle.load(0, &program).unwrap();
    handle.run(session, &bounds(10)).unwrap();
    assert_eq!(handle.histogram(session), Ok(vec![(vec![1], 10)]));
    drop(handle);
    let report = host.stop().unwrap();
    // A kernel stack has 24 KB for everybody; half of it is the driver's budget.
    assert!(
        report.deepest_stack < 12 * 1024,
        "{} bytes of stack",
        report.deepest_stack
    );
}

#[test]
fn a_raw_lane_leaves_in_any_order_and_at_raised_irql() {
    let program = ProgramBuf {
        apcs: vec![
            Apc {
                kind: ApcKind::Special,
                lane: 0,
            },
            Apc {
                kind: ApcKind::Normal,
                lane: 0,
            },
        ],
        locks: vec![LockKind::Mutex],
        observed: (0..6).map(|r| register(0, r)).collect(),
        raw: vec![true],
        lanes: vec![vec![
            Step::EnterCritical,
            Step::EnterGuarded,
            Step::Acquire {
                lock: 0,
                mode: Mode::Exclusive,
            },
            Step::Queue { apc: 0, to: None },
            Step::Queue { apc: 1, to: None },
            Step::LeaveCritical,
            Step::Ran { apc: 0, to: 0 },
            Step::RaiseApc,
            Step::LeaveGuarded,
            Step::Ran { apc: 0, to: 1 },
            Step::Lower,
            Step::Ran { apc: 0, to: 2 },
            Step::Ran { apc: 1, to: 3 },
            Step::Release { lock: 0 },
            Step::Ran { apc: 1, to: 4 },
            Step::ApcsDisabled { to: 5 },
        ]],
        ..ProgramBuf::default()
    };
    // The special one runs when the IRQL falls, the normal one when the mutex goes.
    assert_eq!(outcomes(&program, 50), [(vec![0, 0, 1, 0, 1, 0], 50)]);
}

#[test]
fn a_special_apc_preempts_a_normal_ones_body_and_a_normal_one_does_not() {
    let program = ProgramBuf {
        apcs: vec![
            Apc {
                kind: ApcKind::Normal,
                lane: 0,
            },
            Apc {
                kind: ApcKind::Normal,
                lane: 0,
            },
            Apc {
                kind: ApcKind::Special,
                lane: 0,
            },
        ],
        bodies: vec![
            vec![
                Step::Queue { apc: 1, to: None },
                Step::Queue { apc: 2, to: None },
                Step::Ran { apc: 1, to: 0 },
                Step::Ran { apc: 2, to: 1 },
                Step::ApcsDisabled { to: 2 },
                Step::Irql { to: 3 },
            ],
            vec![],
            vec![Step::Irql { to: 0 }, Step::AllApcsDisabled { to: 1 }],
        ],
        observed: vec![
            Observed::ApcRegister {
                apc: 0,
                register: 0,
            },
            Observed::ApcRegister {
                apc: 0,
                register: 1,
            },
            Observed::ApcRegister {
                apc: 0,
                register: 2,
            },
            Observed::ApcRegister {
                apc: 0,
                register: 3,
            },
            Observed::ApcRegister {
                apc: 2,
                register: 0,
            },
            Observed::ApcRegister {
                apc: 2,
                register: 1,
            },
            register(0, 0),
        ],
        lanes: vec![vec![
            Step::Queue { apc: 0, to: None },
            Step::Ran { apc: 1, to: 0 },
        ]],
        ..ProgramBuf::default()
    };
    assert_eq!(outcomes(&program, 50), [(vec![0, 1, 0, 0, 1, 1, 1], 50)]);
}

#[test]
fn a_time_out_of_its_own_is_a_result() {
    let program = ProgramBuf {
        events: vec![
            Event {
                kind: EventKind::Notification,
                signaled: false,
            },
            Event {
                kind: EventKind::Synchronization,
                signaled: true,
            },
        ],
        observed: (0..4).map(|r| register(0, r)).collect(),
        lanes: vec![vec![
            Step::WaitFor {
                event: 0,
                to: 0,
                milliseconds: 1,
            },
            Step::WaitFor {
                event: 1,
                to: 1,
                milliseconds: 1,
            },
            Step::WaitFor {
                event: 1,
                to: 2,
                milliseconds: 0,
            },
            Step::RaiseApc,
            Step::WaitFor {
                event: 0,
                to: 3,
                milliseconds: 0,
            },
            Step::Lower,
        ]],
        ..ProgramBuf::default()
    };
    assert_eq!(outcomes(&program, 5), [(vec![0, 1, 0, 0], 5)]);
}

#[test]
fn a_mutex_that_nobody_releases_in_time_times_the_iteration_out() {
    let host = machine();
    let handle = Handle::open(&host);
    let mut session = 0;
    for raw in [false, true] {
        let program = ProgramBuf {
            locks: vec![LockKind::Mutex, LockKind::Mutex],
            raw: vec![raw, raw],
            lanes: vec![
                vec![
                    Step::Acquire {
                        lock: 0,
                        mode: Mode::Exclusive,
                    },
                    Step::Barrier,
                    Step::Acquire {
                        lock: 1,
                        mode: Mode::Exclusive,
                    },
                    Step::Release { lock: 1 },
                    Step::Release { lock: 0 },
                ],
                vec![
                    Step::Acquire {
                        lock: 1,
                        mode: Mode::Exclusive,
                    },
                    Step::Barrier,
                    Step::Acquire {
                        lock: 0,
                        mode: Mode::Exclusive,
                    },
                    Step::Release { lock: 0 },
                    Step::Release { lock: 1 },
                ],
            ],
            ..ProgramBuf::default()
        };
        session = handle.load(session, &program).unwrap();
        let reply = handle
            .run(
                session,
                &RunRequest {
                    wait_deadline_ms: 15,
                    ..bounds(3)
                },
            )
            .unwrap();
        assert_eq!(
            (reply.ended, reply.iterations, reply.timed_out),
            (Ended::Complete, 3, 3)
        );
        let records = handle.trace(session).unwrap();
        let ends: Vec<_> = records.iter().filter(|r| r.kind == Kind::End).collect();
        assert!(ends.len() == 2 && ends.iter().all(|r| r.context == PLAIN));
    }
    drop(handle);
    stop(host);
}

#[test]
fn a_refused_body_is_named() {
    let host = machine();
    let handle = Handle::open(&host);
    let program = ProgramBuf {
        apcs: vec![
            Apc {
                kind: ApcKind::Normal,
                lane: 0
            };
            2
        ],
        bodies: vec![
            vec![],
            vec![
                Step::Ran { apc: 0, to: 0 },
                Step::Queue { apc: 1, to: None },
            ],
        ],
        lanes: vec![vec![]],
        ..ProgramBuf::default()
    };
    let (status, reply) = handle.load_bytes(0, &program.encode());
    let reply = reply.unwrap();
    assert_eq!(status, status::REFUSED);
    assert_eq!(Place::from_number(reply.lane), Some(Place::Body(1)));
    assert_eq!(
        (reply.step, reply.reason),
        (1, Reason::QueuesBackwards as u32)
    );
    drop(handle);
    stop(host);
}

#[test]
fn the_trace_shows_the_steps_of_bodies_where_they_run() {
    let host = machine();
    let handle = Handle::open(&host);
    let program = ProgramBuf {
        apcs: vec![Apc {
            kind: ApcKind::Normal,
            lane: 0,
        }],
        bodies: vec![vec![Step::EnterGuarded, Step::LeaveGuarded]],
        lanes: vec![vec![Step::Queue { apc: 0, to: None }]],
        ..ProgramBuf::default()
    };
    let session = handle.load(0, &program).unwrap();
    handle.run(session, &bounds(1)).unwrap();
    let records = handle.trace(session).unwrap();
    let body: Vec<_> = records
        .iter()
        .filter(|r| r.apc == 0 && matches!(r.kind, Kind::Step | Kind::Done))
        .map(|r| (r.kind, r.step, r.context.all_apcs_disabled))
        .collect();
    assert_eq!(
        body,
        [
            (Kind::Step, 0, false),
            (Kind::Done, 0, true),
            (Kind::Step, 1, true),
            (Kind::Done, 1, false),
        ]
    );
    let routine = records
        .iter()
        .find(|r| r.kind == Kind::NormalRoutine)
        .unwrap();
    assert_eq!(routine.context, Context { irql: 0, ..PLAIN });
    drop(handle);
    stop(host);
}

#[test]
fn the_trace_shows_enter_acquire_release_leave_in_that_order() {
    for kind in KINDS {
        let host = machine();
        let handle = Handle::open(&host);
        let program = ProgramBuf {
            locks: vec![kind],
            lanes: vec![vec![
                Step::EnterCritical,
                Step::Acquire {
                    lock: 0,
                    mode: Mode::Exclusive,
                },
                Step::Release { lock: 0 },
                Step::LeaveCritical,
            ]],
            ..ProgramBuf::default()
        };
        let session = handle.load(0, &program).unwrap();
        handle.run(session, &bounds(1)).unwrap();
        let records = handle.trace(session).unwrap();
        let begun: Vec<_> = records
            .iter()
            .filter(|record| record.kind == Kind::Step)
            .map(|record| {
                (
                    record.step,
                    record.context.apcs_disabled,
                    record.context.irql,
                )
            })
            .collect();
        // The context is that in which each step begins: what the step before it has made.
        let held = u8::from(kind.raises());
        assert_eq!(
            begun,
            [(0, false, 0), (1, true, 0), (2, true, held), (3, true, 0)],
            "{kind:?}"
        );
        assert_eq!(records.last().unwrap().context, PLAIN);
        drop(handle);
        stop(host);
    }
}
