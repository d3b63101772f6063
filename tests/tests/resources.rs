//! Resources and push locks on the real driver.

use std::time::Duration;

use apclab_host::HostError;
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::ioctl;
use apclab_protocol::limits;
use apclab_protocol::message::{Reply, RunReply, RunRequest, routines};
use apclab_protocol::program::{Event, EventKind, LockKind, Observed, flags};
use apclab_protocol::status;
use apclab_protocol::step::{Mode, Step};
use apclab_protocol::trace::Kind;
use apclab_protocol::verify::Reason;
use apclab_tests::{Handle, bounds, machine, machine_with, outcomes, register, request, stop};

use Step::{EnterCritical, LeaveCritical};

const fn exclusive(lock: u8) -> Step {
    acquire(lock, Mode::Exclusive)
}

const fn shared(lock: u8) -> Step {
    acquire(lock, Mode::Shared)
}

const fn acquire(lock: u8, mode: Mode) -> Step {
    Step::Acquire { lock, mode }
}

const fn release(lock: u8) -> Step {
    Step::Release { lock }
}

const fn attempt(lock: u8, mode: Mode, to: u8, length: u32) -> Step {
    Step::Try {
        lock,
        mode,
        to,
        milliseconds: 0,
        length,
    }
}

const fn count(to: u8) -> Step {
    Step::AcquiredShared { lock: 0, to }
}

const fn owned(to: u8) -> Step {
    Step::AcquiredExclusive { lock: 0, to }
}

/// One lane with one resource, of which the first registers are observed; raw and not.
fn alone(steps: &[Step], registers: u8) -> [ProgramBuf; 2] {
    [false, true].map(|raw| ProgramBuf {
        locks: vec![LockKind::Resource],
        observed: (0..registers).map(|r| register(0, r)).collect(),
        lanes: vec![steps.to_vec()],
        raw: vec![raw],
        ..ProgramBuf::default()
    })
}

fn gives(steps: &[Step], values: &[i64]) {
    let registers = u8::try_from(values.len()).unwrap();
    for program in alone(steps, registers) {
        let seen = outcomes(&program, 20);
        assert_eq!(seen, [(values.to_vec(), 20)], "raw: {:?}", program.raw);
    }
}

#[test]
fn what_a_resource_or_a_push_lock_protects_loses_no_update() {
    let update = [
        Step::Load { variable: 0, to: 0 },
        Step::Store {
            variable: 0,
            from: Some(0),
            constant: 1,
        },
    ];
    let enter_acquire = Step::EnterAcquire {
        lock: 0,
        mode: Mode::Exclusive,
    };
    let apart = ([EnterCritical, exclusive(0)], [release(0), LeaveCritical]);
    let combined = ([enter_acquire], [Step::ReleaseLeave { lock: 0 }]);
    for (kind, before, after) in [
        (LockKind::Resource, &apart.0[..], &apart.1[..]),
        (LockKind::PushLock, &apart.0[..], &apart.1[..]),
        (LockKind::Resource, &combined.0[..], &combined.1[..]),
    ] {
        for raw in [false, true] {
            let length = u32::try_from(before.len() + 2 + after.len()).unwrap();
            let again = Step::Repeat { count: 50, length };
            let bump = [&[again], before, &update, after, &[Step::End]].concat();
            let program = ProgramBuf {
                variables: vec![0],
                locks: vec![kind],
                observed: vec![Observed::Variable(0)],
                lanes: vec![bump; 3],
                raw: vec![raw; 3],
                ..ProgramBuf::default()
            };
            assert_eq!(outcomes(&program, 40), [(vec![150], 40)], "{kind:?} {raw}");
        }
    }
}

#[test]
fn the_counts_are_the_kernels() {
    gives(
        &[
            EnterCritical,
            count(0),
            exclusive(0),
            shared(0),
            count(1),
            owned(2),
            Step::Convert { lock: 0 },
            count(3),
            owned(4),
            release(0),
            release(0),
            LeaveCritical,
        ],
        &[0, 2, 1, 2, 0],
    );
    // The combined form enters a region of its own.
    gives(
        &[
            Step::EnterAcquire {
                lock: 0,
                mode: Mode::SharedWaitForExclusive,
            },
            Step::ApcsDisabled { to: 0 },
            count(1),
            owned(2),
            Step::ReleaseLeave { lock: 0 },
            Step::ApcsDisabled { to: 3 },
            Step::Reinitialize { lock: 0 },
            count(4),
        ],
        &[1, 1, 0, 0, 0],
    );
}

#[test]
fn an_upgrade_is_asked_of_the_kernel_and_refused_by_it() {
    for mode in [Mode::Exclusive, Mode::SharedWaitForExclusive] {
        // Nobody waits for exclusive, so that only the upgrade has to fail.
        let granted = i64::from(mode != Mode::Exclusive);
        gives(
            &[
                EnterCritical,
                shared(0),
                attempt(0, mode, 0, 1),
                release(0),
                Step::End,
                release(0),
                LeaveCritical,
            ],
            &[granted],
        );
    }
}

#[test]
fn a_try_meets_a_holder_and_waiters_are_counted() {
    let holds = vec![
        EnterCritical,
        exclusive(0),
        Step::Barrier,
        Step::Barrier,
        release(0),
        LeaveCritical,
    ];
    let tries = vec![
        Step::Barrier,
        EnterCritical,
        attempt(0, Mode::Shared, 0, 1),
        release(0),
        Step::End,
        Step::ExclusiveWaiters { lock: 0, to: 1 },
        Step::SharedWaiters { lock: 0, to: 2 },
        LeaveCritical,
        Step::Barrier,
    ];
    let program = ProgramBuf {
        locks: vec![LockKind::Resource],
        observed: (0..3).map(|r| register(1, r)).collect(),
        lanes: vec![holds, tries],
        ..ProgramBuf::default()
    };
    assert_eq!(outcomes(&program, 20), [(vec![0, 0, 0], 20)]);
}

/// A takes the resource and hands it over; B releases it for A, once more than there is.
fn handed_over(raw: bool, released_by_b: bool) -> ProgramBuf {
    let gives = vec![
        EnterCritical,
        attempt(0, Mode::Exclusive, 0, 1),
        Step::HandOver { lock: 0 },
        Step::End,
        count(1),
        LeaveCritical,
        Step::Barrier,
    ];
    let release_for = |to| Step::ReleaseFor {
        lock: 0,
        lane: 0,
        to,
    };
    let mut takes = vec![Step::Barrier, EnterCritical];
    if released_by_b {
        takes.extend([release_for(0), release_for(1)]);
    }
    takes.extend([
        attempt(0, Mode::Exclusive, 2, 1),
        release(0),
        Step::End,
        LeaveCritical,
    ]);
    ProgramBuf {
        locks: vec![LockKind::Resource],
        observed: vec![
            register(0, 0),
            register(0, 1),
            register(1, 0),
            register(1, 1),
            register(1, 2),
        ],
        lanes: vec![gives, takes],
        raw: vec![raw; 2],
        ..ProgramBuf::default()
    }
}

#[test]
fn what_is_handed_over_is_released_once_and_by_anybody() {
    for raw in [false, true] {
        // The next iteration can have the resource again, also when nobody released it.
        let seen = outcomes(&handed_over(raw, true), 30);
        assert_eq!(seen, [(vec![1, 0, 1, 0, 1], 30)]);
        let seen = outcomes(&handed_over(raw, false), 30);
        assert_eq!(seen, [(vec![1, 0, 0, 0, 0], 30)]);
    }
}

#[test]
fn the_trace_shows_when_a_lock_was_acquired() {
    let host = machine();
    let handle = Handle::open(&host);
    let steps = [
        EnterCritical,
        exclusive(0),
        count(0),
        release(0),
        LeaveCritical,
    ];
    let mut session = 0;
    for program in alone(&steps, 1) {
        session = handle.load(session, &program).unwrap();
        handle.run(session, &bounds(1)).unwrap();
        let records = handle.trace(session).unwrap();
        let said: Vec<_> = records
            .iter()
            .filter(|record| matches!(record.kind, Kind::Step | Kind::Acquired))
            .map(|record| (record.kind, record.step, record.context.apcs_disabled))
            .collect();
        assert_eq!(
            said,
            [
                (Kind::Step, 0, false),
                (Kind::Step, 1, true),
                (Kind::Acquired, 1, true),
                (Kind::Step, 2, true),
                (Kind::Step, 3, true),
                (Kind::Step, 4, true),
            ]
        );
        let last = records.last().unwrap();
        assert_eq!((last.kind, last.context.apcs_disabled), (Kind::End, false));
    }
    drop(handle);
    stop(host);
}

/// Two lanes that hold one resource each and want the other's, held so long that they surely meet.
fn inversion(kind: LockKind, extra: u8) -> ProgramBuf {
    let lane = |first, second| {
        vec![
            EnterCritical,
            exclusive(first),
            Step::Barrier,
            exclusive(second),
            release(second),
            release(first),
            LeaveCritical,
        ]
    };
    ProgramBuf {
        locks: vec![kind; 2],
        lanes: vec![lane(0, 1), lane(1, 0)],
        flags: flags::MAY_DEADLOCK | extra,
        ..ProgramBuf::default()
    }
}

#[test]
fn a_test_that_may_deadlock_is_refused_where_nothing_ends_it() {
    let host = machine();
    let handle = Handle::open(&host);
    assert_eq!(
        handle.query().unwrap().routines & routines::DEADLOCKS_END,
        0
    );
    for (kind, extra) in [
        (LockKind::Resource, 0),
        (LockKind::PushLock, 0),
        (LockKind::PushLock, flags::POLLED),
    ] {
        let bytes = inversion(kind, extra).encode();
        let (status, reply) = handle.load_bytes(0, &bytes);
        assert_eq!(status, status::REFUSED);
        let reply = reply.unwrap();
        assert_eq!(reply.reason, Reason::MayDeadlock as u32);
        assert_eq!((reply.lane, reply.step), (0, 1));
    }
    drop(handle);
    stop(host);
}

#[test]
fn polled_it_times_out_and_leaves_the_threads_as_they_were() {
    let host = machine();
    let handle = Handle::open(&host);
    let mut session = 0;
    for raw in [false, true] {
        let program = ProgramBuf {
            raw: vec![raw; 2],
            ..inversion(LockKind::Resource, flags::POLLED)
        };
        session = handle.load(session, &program).unwrap();
        let bounds = RunRequest {
            wait_deadline_ms: 20,
            ..bounds(3)
        };
        let reply = handle.run(session, &bounds).unwrap();
        assert_eq!((reply.iterations, reply.timed_out), (3, 3));
        // A run that polls for long can be cancelled at any moment.
        let long = RunRequest {
            iterations: 1000,
            wait_deadline_ms: 10_000,
            ..bounds
        };
        let input = request(session, &long.encode());
        let pending = handle
            .file
            .ioctl_async(ioctl::RUN, input, RunReply::SIZE)
            .unwrap();
        std::thread::sleep(Duration::from_millis(5));
        pending.cancel().unwrap();
        let (completion, _) = pending.wait(Duration::from_secs(5)).unwrap();
        assert_eq!(completion.status, status::CANCELLED);
    }
    drop(handle);
    stop(host);
}

#[test]
fn a_real_deadlock_ends_the_machine_and_is_told() {
    for kind in [LockKind::Resource, LockKind::PushLock] {
        let host = machine_with(|options| options.ends_deadlocks = true);
        let handle = Handle::open(&host);
        let session = handle.load(0, &inversion(kind, 0)).unwrap();
        let input = request(session, &bounds(1).encode());
        let mut output = [0; RunReply::SIZE];
        let answer = handle.file.ioctl(ioctl::RUN, &input, &mut output);
        let Err(HostError::Deadlock(report)) = answer else {
            panic!("both lanes wait for each other: {answer:?}");
        };
        assert_eq!(report.threads.len(), 2, "{report:?}");
        // The machine is dead: nothing more can be asked of it.
        assert!(
            handle
                .file
                .ioctl(ioctl::QUERY, &request(0, &[]), &mut [0; 88])
                .is_err()
        );
    }
}

#[test]
fn without_their_routines_push_locks_are_refused_and_the_driver_loads() {
    let host = machine_with(|options| options.push_locks = false);
    let handle = Handle::open(&host);
    assert_eq!(handle.query().unwrap().routines & routines::PUSH_LOCKS, 0);
    let program = ProgramBuf {
        locks: vec![LockKind::PushLock],
        lanes: vec![vec![EnterCritical, shared(0), release(0), LeaveCritical]],
        ..ProgramBuf::default()
    };
    let (status, reply) = handle.load_bytes(0, &program.encode());
    assert_eq!(status, status::REFUSED);
    assert_eq!(reply.unwrap().reason, Reason::NoPushLocks as u32);
    // One that only declares a push lock cannot be made either, and says so.
    let unused = ProgramBuf {
        lanes: vec![vec![]],
        ..program
    };
    let session = handle.load(0, &unused).unwrap();
    assert_eq!(
        handle.run(session, &bounds(1)),
        Err(status::INSUFFICIENT_RESOURCES)
    );
    drop(handle);
    stop(host);
}

#[test]
fn random_delays_change_no_outcome_and_honour_the_bounds() {
    let host = machine();
    let handle = Handle::open(&host);
    let [program, _] = alone(&[EnterCritical, exclusive(0), release(0), LeaveCritical], 0);
    let session = handle.load(0, &program).unwrap();
    let delayed = RunRequest {
        seed: 7,
        delay_us: 200,
        ..bounds(20)
    };
    let reply = handle.run(session, &delayed).unwrap();
    assert_eq!((reply.iterations, reply.timed_out), (20, 0));
    // Five delays in each iteration, of 100 us on average: the run can hardly take less than a
    // twentieth of that, and a run without delays takes far less.
    assert!(reply.elapsed_100ns > 5_000, "{}", reply.elapsed_100ns);
    let too_long = RunRequest {
        delay_us: 1_001,
        ..delayed
    };
    assert_eq!(
        handle.run(session, &too_long),
        Err(status::INVALID_PARAMETER)
    );
    drop(handle);
    stop(host);
}

/// Locks inside one another, as deep as the verifier lets them: `open` and `close` say how.
fn deep(
    kind: LockKind,
    depth: u8,
    flags: u8,
    open: impl Fn(u8) -> Vec<Step>,
    close: impl Fn(u8) -> Vec<Step>,
) -> ProgramBuf {
    let mut steps = vec![EnterCritical];
    steps.extend((0..depth).flat_map(open));
    steps.push(Step::Irql { to: 0 });
    steps.extend((0..depth).rev().flat_map(close));
    steps.push(LeaveCritical);
    ProgramBuf {
        locks: vec![kind; depth.into()],
        lanes: vec![steps],
        flags,
        ..ProgramBuf::default()
    }
}

#[test]
fn what_is_held_nests_to_its_limit_within_the_stack() {
    let host = machine();
    let handle = Handle::open(&host);
    let depth = u8::try_from(limits::SCOPES).unwrap();
    let exclusively = |lock| vec![exclusive(lock)];
    let combined = |lock| {
        vec![Step::EnterAcquire {
            lock,
            mode: Mode::Exclusive,
        }]
    };
    let released = |lock| vec![release(lock)];
    let left = |lock| vec![Step::ReleaseLeave { lock }];
    // A try and its block are two scopes; its length reaches over all that is inside.
    let half = depth / 2;
    let tried = |lock: u8| {
        let inside = u32::from(half - lock - 1) * 3 + 2;
        vec![attempt(lock, Mode::Exclusive, 0, inside)]
    };
    let ended = |lock| vec![release(lock), Step::End];
    let resource = LockKind::Resource;
    let mut session = 0;
    for program in [
        deep(resource, depth, 0, exclusively, released),
        deep(resource, depth, flags::POLLED, exclusively, released),
        deep(LockKind::PushLock, depth, 0, exclusively, released),
        deep(resource, depth, 0, combined, left),
        deep(resource, depth, flags::POLLED, combined, left),
        deep(resource, half, 0, tried, ended),
    ] {
        session = handle.load(session, &program).unwrap();
        handle.run(session, &bounds(5)).unwrap();
    }
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
fn a_raw_lane_that_is_stopped_at_apc_level_releases_before_the_irql_falls() {
    let again = |count, length| Step::Repeat { count, length };
    let long = [
        again(400, 3),
        again(1000, 1),
        Step::Irql { to: 0 },
        Step::End,
        Step::End,
    ];
    for (open, close) in [(Step::RaiseApc, Step::Lower), (exclusive(1), release(1))] {
        for kind in [LockKind::Resource, LockKind::PushLock] {
            // What the hold rests on is the IRQL alone.
            let stopped = [&[open, exclusive(2)], &long[..], &[release(2), close]].concat();
            let program = ProgramBuf {
                locks: vec![LockKind::FastMutex, LockKind::FastMutex, kind],
                events: vec![Event {
                    kind: EventKind::Notification,
                    signaled: false,
                }],
                lanes: vec![stopped, vec![Step::Wait { event: 0 }]],
                raw: vec![true; 2],
                ..ProgramBuf::default()
            };
            let host = machine();
            let handle = Handle::open(&host);
            let session = handle.load(0, &program).unwrap();
            let bounds = RunRequest {
                wait_deadline_ms: 2,
                ..bounds(3)
            };
            let reply = handle.run(session, &bounds).unwrap();
            assert_eq!((reply.iterations, reply.timed_out), (3, 3));
            drop(handle);
            stop(host);
        }
    }
}
