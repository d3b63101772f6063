//! Runs: what the steps do on the real driver, and what histogram and trace say of it.

use apclab_model::kernel::Baseline;
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::limits;
use apclab_protocol::message::{Context, Ended, RunRequest};
use apclab_protocol::program::{Apc, ApcKind, Event, EventKind, Observed};
use apclab_protocol::status;
use apclab_protocol::step::Step;
use apclab_protocol::trace::Kind;
use apclab_tests::{Handle, PLAIN, bounds, machine, machine_with, outcomes, register, stop};

#[test]
fn a_normal_apc_waits_for_the_outermost_leave() {
    let program = ProgramBuf {
        apcs: vec![Apc {
            kind: ApcKind::Normal,
            lane: 0,
        }],
        observed: vec![
            register(0, 0),
            register(0, 1),
            register(0, 2),
            register(0, 3),
        ],
        lanes: vec![vec![
            Step::EnterCritical,
            Step::Queue {
                apc: 0,
                to: Some(3),
            },
            Step::Ran { apc: 0, to: 0 },
            Step::EnterCritical,
            Step::LeaveCritical,
            Step::Ran { apc: 0, to: 1 },
            Step::LeaveCritical,
            Step::Ran { apc: 0, to: 2 },
        ]],
        ..ProgramBuf::default()
    };
    assert_eq!(outcomes(&program, 1000), [(vec![0, 0, 1, 1], 1000)]);
}

#[test]
fn predicates_and_irql_are_the_kernels() {
    let ask = |base: u8| {
        [
            Step::ApcsDisabled { to: base },
            Step::AllApcsDisabled { to: base + 1 },
            Step::Irql { to: base + 2 },
        ]
    };
    let mut steps = ask(0).to_vec();
    steps.push(Step::EnterCritical);
    steps.extend(ask(3));
    steps.push(Step::EnterGuarded);
    steps.extend(ask(6));
    steps.push(Step::RaiseApc);
    steps.extend(ask(9));
    steps.extend([Step::Lower, Step::LeaveGuarded, Step::LeaveCritical]);
    steps.extend(ask(12));
    let program = ProgramBuf {
        observed: (0..15).map(|r| register(0, r)).collect(),
        lanes: vec![steps],
        ..ProgramBuf::default()
    };
    let expected = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1], [0, 0, 0]].concat();
    assert_eq!(outcomes(&program, 100), [(expected, 100)]);
}

#[test]
fn nesting_to_the_limit_costs_no_stack() {
    let depth = limits::NESTING;
    let mut steps = Vec::new();
    for level in 0..depth {
        steps.push(if level % 2 == 0 {
            Step::EnterCritical
        } else {
            Step::EnterGuarded
        });
    }
    steps.push(Step::AllApcsDisabled { to: 0 });
    for level in (0..depth).rev() {
        steps.push(if level % 2 == 0 {
            Step::LeaveCritical
        } else {
            Step::LeaveGuarded
        });
    }
    steps.push(Step::AllApcsDisabled { to: 1 });
    let program = ProgramBuf {
        observed: vec![register(0, 0), register(0, 1)],
        lanes: vec![steps; 1],
        ..ProgramBuf::default()
    };
    assert_eq!(outcomes(&program, 20), [(vec![1, 0], 20)]);
}

#[test]
fn the_trace_shows_which_apc_ran_where() {
    let host = machine();
    let handle = Handle::open(&host);
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
        lanes: vec![vec![
            Step::EnterCritical,
            Step::Queue { apc: 1, to: None },
            Step::Queue { apc: 0, to: None },
            Step::LeaveCritical,
        ]],
        ..ProgramBuf::default()
    };
    let session = handle.load(0, &program).unwrap();
    let reply = handle
        .run(
            session,
            &RunRequest {
                trace_iteration: 3,
                ..bounds(5)
            },
        )
        .unwrap();
    assert_eq!(reply.trace_lost, 0);
    let records = handle.trace(session).unwrap();
    assert_eq!(records.len(), reply.trace_records as usize);
    let apcs: Vec<_> = records
        .iter()
        .filter(|r| {
            matches!(
                r.kind,
                Kind::KernelRoutine | Kind::NormalRoutine | Kind::Inserted
            )
        })
        .map(|r| (r.kind, r.apc, r.context))
        .collect();
    let region = Context {
        apcs_disabled: true,
        ..PLAIN
    };
    let in_region = Context {
        apcs_disabled: true,
        all_apcs_disabled: true,
        irql: 1,
    };
    let at_apc_level = Context {
        apcs_disabled: false,
        all_apcs_disabled: true,
        irql: 1,
    };
    assert_eq!(
        apcs,
        [
            (Kind::Inserted, 1, region),
            // The special one preempts the queue step, inside the region.
            (Kind::KernelRoutine, 0, in_region),
            (Kind::Inserted, 0, region),
            // The normal one runs both routines at the leave.
            (Kind::KernelRoutine, 1, at_apc_level),
            (Kind::NormalRoutine, 1, PLAIN),
        ]
    );
    let sequence: Vec<_> = records.iter().map(|record| record.sequence).collect();
    assert!(
        sequence.windows(2).all(|pair| pair[0] < pair[1]),
        "a total order: {sequence:?}"
    );
    assert!(records.windows(2).all(|pair| pair[0].time <= pair[1].time));
    assert_eq!(records.first().unwrap().kind, Kind::Begin);
    assert_eq!(records.last().unwrap().kind, Kind::End);
    drop(handle);
    stop(host);
}

#[test]
fn an_apc_from_another_lane_runs_inside_the_wait_and_the_wait_goes_on() {
    // Whether A sees the APC is open: it may arrive after the wait. What A waits for is not.
    let program = ProgramBuf {
        events: vec![Event {
            kind: EventKind::Notification,
            signaled: false,
        }],
        apcs: vec![Apc {
            kind: ApcKind::Normal,
            lane: 0,
        }],
        observed: vec![register(0, 0), register(0, 1)],
        lanes: vec![
            vec![
                Step::Wait { event: 0 },
                Step::Ran { apc: 0, to: 0 },
                Step::Irql { to: 1 },
            ],
            vec![Step::Queue { apc: 0, to: None }, Step::Set { event: 0 }],
        ],
        ..ProgramBuf::default()
    };
    let histogram = outcomes(&program, 500);
    for (values, _) in &histogram {
        assert!(values[1] == 0 && (0..=1).contains(&values[0]), "{values:?}");
    }
}

#[test]
fn six_lanes_meet_at_their_barriers() {
    // Each lane stores its number + 1 before the barrier and loads its neighbour's after it.
    let lanes = (0..6_u8)
        .map(|lane| {
            vec![
                Step::Store {
                    variable: lane,
                    from: None,
                    constant: i64::from(lane) + 1,
                },
                Step::Barrier,
                Step::Load {
                    variable: (lane + 1) % 6,
                    to: 0,
                },
                Step::Barrier,
                Step::Store {
                    variable: lane,
                    from: Some(0),
                    constant: 10,
                },
            ]
        })
        .collect();
    let mut observed: Vec<_> = (0..6).map(|lane| register(lane, 0)).collect();
    observed.extend((0..6).map(Observed::Variable));
    let program = ProgramBuf {
        variables: vec![0; 6],
        observed,
        lanes,
        ..ProgramBuf::default()
    };
    let expected = vec![2, 3, 4, 5, 6, 1, 12, 13, 14, 15, 16, 11];
    assert_eq!(outcomes(&program, 300), [(expected, 300)]);
}

#[test]
fn values_begin_anew_in_every_iteration() {
    let program = ProgramBuf {
        variables: vec![5],
        events: vec![Event {
            kind: EventKind::Synchronization,
            signaled: true,
        }],
        apcs: vec![Apc {
            kind: ApcKind::Special,
            lane: 0,
        }],
        observed: vec![register(0, 0), register(0, 1), Observed::Variable(0)],
        lanes: vec![vec![
            Step::Wait { event: 0 },
            Step::Load { variable: 0, to: 0 },
            Step::Store {
                variable: 0,
                from: Some(0),
                constant: 1,
            },
            Step::Queue { apc: 0, to: None },
            Step::Ran { apc: 0, to: 1 },
        ]],
        ..ProgramBuf::default()
    };
    assert_eq!(outcomes(&program, 100), [(vec![5, 1, 6], 100)]);
}

#[test]
fn an_apc_that_is_queued_already_is_refused_and_runs_once() {
    let program = ProgramBuf {
        apcs: vec![Apc {
            kind: ApcKind::Normal,
            lane: 0,
        }],
        observed: vec![
            register(0, 0),
            register(0, 1),
            register(0, 2),
            register(0, 3),
        ],
        lanes: vec![vec![
            Step::EnterGuarded,
            Step::Queue {
                apc: 0,
                to: Some(0),
            },
            Step::Queue {
                apc: 0,
                to: Some(1),
            },
            Step::LeaveGuarded,
            Step::Ran { apc: 0, to: 2 },
            Step::Queue { apc: 0, to: None },
            Step::Ran { apc: 0, to: 3 },
        ]],
        ..ProgramBuf::default()
    };
    assert_eq!(outcomes(&program, 100), [(vec![1, 0, 1, 2], 100)]);
}

#[test]
fn a_wait_that_nobody_ends_times_out_alone() {
    let host = machine();
    let handle = Handle::open(&host);
    // Only the first lane waits in vain; the second would wait for it at the barrier for ever.
    let program = ProgramBuf {
        events: vec![Event {
            kind: EventKind::Notification,
            signaled: false,
        }],
        observed: vec![register(0, 0)],
        lanes: vec![
            vec![
                Step::EnterCritical,
                Step::Wait { event: 0 },
                Step::LeaveCritical,
                Step::Barrier,
            ],
            vec![Step::EnterGuarded, Step::Barrier, Step::LeaveGuarded],
        ],
        ..ProgramBuf::default()
    };
    let session = handle.load(0, &program).unwrap();
    let short = RunRequest {
        wait_deadline_ms: 20,
        ..bounds(5)
    };
    let reply = handle.run(session, &short).unwrap();
    assert_eq!(
        (reply.ended, reply.iterations, reply.timed_out),
        (Ended::Complete, 5, 5)
    );
    assert_eq!(handle.histogram(session), Ok(vec![]));
    let records = handle.trace(session).unwrap();
    // The other lane's barrier has the same deadline: it may pass in the same moment.
    let timed_out = records
        .iter()
        .filter(|record| record.kind == Kind::TimedOut)
        .count();
    assert!((1..=2).contains(&timed_out), "{timed_out} lanes timed out");
    let ends = records.iter().filter(|record| record.kind == Kind::End);
    assert!(ends.clone().count() == 2 && ends.clone().all(|record| record.context == PLAIN));
    drop(handle);
    stop(host);
}

#[test]
fn a_run_ends_at_its_deadline_with_what_it_has() {
    let host = machine();
    let handle = Handle::open(&host);
    let program = ProgramBuf {
        observed: vec![register(0, 0)],
        lanes: vec![vec![Step::EnterCritical, Step::LeaveCritical]; 2],
        ..ProgramBuf::default()
    };
    let session = handle.load(0, &program).unwrap();
    let bounded = RunRequest {
        deadline_ms: 50,
        trace_iteration: 0,
        ..bounds(limits::ITERATIONS)
    };
    let reply = handle.run(session, &bounded).unwrap();
    assert_eq!(reply.ended, Ended::Deadline);
    assert!(reply.iterations > 0 && reply.iterations < limits::ITERATIONS);
    let histogram = handle.histogram(session).unwrap();
    assert_eq!(histogram, [(vec![0], u64::from(reply.iterations))]);
    assert_eq!(handle.trace(session), Ok(vec![]));
    drop(handle);
    stop(host);
}

#[test]
fn outcomes_beyond_the_histogram_are_counted_as_overflow() {
    let host = machine();
    let handle = Handle::open(&host);
    // A free-running race: B counts while A looks. The number of outcomes cannot exceed the steps.
    let counts = (1..=200).map(|constant| Step::Store {
        variable: 0,
        from: None,
        constant,
    });
    let program = ProgramBuf {
        variables: vec![0],
        observed: vec![register(0, 0)],
        lanes: vec![vec![Step::Load { variable: 0, to: 0 }], counts.collect()],
        ..ProgramBuf::default()
    };
    let session = handle.load(0, &program).unwrap();
    let reply = handle.run(session, &bounds(2000)).unwrap();
    let histogram = handle.histogram(session).unwrap();
    let counted: u64 = histogram.iter().map(|(_, count)| count).sum();
    assert_eq!(counted + u64::from(reply.overflow), 2000);
    assert!(histogram.len() <= limits::OUTCOMES.min(201));
    drop(handle);
    stop(host);
}

#[test]
fn a_baseline_with_apcs_disabled_is_reported_and_nothing_is_queued() {
    let host = machine_with(|options| {
        options.baseline = Baseline {
            kernel: -1,
            special: 0,
        }
    });
    let handle = Handle::open(&host);
    let queues = ProgramBuf {
        apcs: vec![Apc {
            kind: ApcKind::Normal,
            lane: 0,
        }],
        observed: vec![register(0, 0)],
        lanes: vec![vec![Step::Queue {
            apc: 0,
            to: Some(0),
        }]],
        ..ProgramBuf::default()
    };
    let session = handle.load(0, &queues).unwrap();
    assert_eq!(
        handle.run(session, &bounds(1)).unwrap_err(),
        status::BASELINE_DISABLED
    );
    let asks = ProgramBuf {
        observed: vec![register(0, 0)],
        lanes: vec![vec![Step::ApcsDisabled { to: 0 }]],
        ..ProgramBuf::default()
    };
    handle.load(session, &asks).unwrap();
    let reply = handle.run(session, &bounds(3)).unwrap();
    assert_eq!(
        reply.baseline[0],
        Context {
            apcs_disabled: true,
            ..PLAIN
        }
    );
    assert_eq!(handle.histogram(session), Ok(vec![(vec![1], 3)]));
    drop(handle);
    stop(host);
}
