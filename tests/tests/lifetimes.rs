//! Closing, cancelling and removing at any moment: nothing hangs, nothing stays behind.

use std::collections::BTreeMap;
use std::time::Duration;

use apclab_host::{Host, Pending, StartError};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::ioctl;
use apclab_protocol::limits;
use apclab_protocol::message::{Reply, RunReply, RunRequest};
use apclab_protocol::program::{Apc, ApcKind, Event, EventKind, Observed};
use apclab_protocol::status::{self, NtStatus};
use apclab_protocol::step::Step;
use apclab_tests::{Handle, bounds, machine, machine_with, request, stop};

const SOON: Duration = Duration::from_secs(8);
/// STATUS_INVALID_HANDLE.
const INVALID_HANDLE: NtStatus = -0x3FFF_FFF8;

/// Two lanes: one waits inside a region for an event that never comes, one queues APCs to it.
fn endless() -> ProgramBuf {
    ProgramBuf {
        events: vec![Event {
            kind: EventKind::Notification,
            signaled: false,
        }],
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
        observed: vec![Observed::Register {
            lane: 0,
            register: 0,
        }],
        lanes: vec![
            vec![
                Step::EnterCritical,
                Step::Wait { event: 0 },
                Step::LeaveCritical,
            ],
            vec![
                Step::EnterGuarded,
                Step::Queue { apc: 0, to: None },
                Step::Queue { apc: 1, to: None },
                Step::Wait { event: 0 },
                Step::LeaveGuarded,
            ],
        ],
        ..ProgramBuf::default()
    }
}

/// Many short iterations.
fn busy() -> ProgramBuf {
    ProgramBuf {
        apcs: vec![Apc {
            kind: ApcKind::Normal,
            lane: 1,
        }],
        observed: vec![Observed::Register {
            lane: 0,
            register: 0,
        }],
        lanes: vec![
            vec![
                Step::EnterCritical,
                Step::Queue { apc: 0, to: None },
                Step::LeaveCritical,
            ],
            vec![
                Step::EnterCritical,
                Step::Ran { apc: 0, to: 0 },
                Step::LeaveCritical,
            ],
        ],
        ..ProgramBuf::default()
    }
}

fn long() -> RunRequest {
    RunRequest {
        iterations: limits::ITERATIONS,
        deadline_ms: limits::RUN_DEADLINE_MS,
        wait_deadline_ms: limits::WAIT_DEADLINE_MS,
        trace_iteration: 0,
        seed: 0,
        delay_us: 0,
    }
}

fn start(handle: &Handle, session: u32) -> Pending {
    let input = request(session, &long().encode());
    handle
        .file
        .ioctl_async(ioctl::RUN, input, RunReply::SIZE)
        .unwrap()
}

fn assert_cancelled(pending: &Pending) {
    let (completion, output) = pending.wait(SOON).unwrap();
    assert_eq!(
        (completion.status, completion.information),
        (status::CANCELLED, 0)
    );
    assert!(output.is_empty(), "an error status copies nothing back");
}

/// Lets a run get somewhere: at once, or after a moment.
fn moments() -> impl Iterator<Item = Duration> {
    [0, 0, 1, 5, 30].into_iter().map(Duration::from_millis)
}

fn each_moment(mut check: impl FnMut(&Host, &ProgramBuf, Duration)) {
    for program in [endless(), busy()] {
        for moment in moments() {
            let host = machine();
            check(&host, &program, moment);
            stop(host);
        }
    }
}

#[test]
fn a_cancelled_request_completes_and_the_session_lives_on() {
    each_moment(|host, program, moment| {
        let handle = Handle::open(host);
        let session = handle.load(0, program).unwrap();
        let pending = start(&handle, session);
        std::thread::sleep(moment);
        pending.cancel().unwrap();
        assert_cancelled(&pending);
        handle.load(session, &busy()).unwrap();
        handle.run(session, &bounds(10)).unwrap();
    });
}

#[test]
fn the_cancel_ioctl_ends_the_run_from_the_same_handle_and_from_a_joined_one() {
    each_moment(|host, program, moment| {
        let handle = Handle::open(host);
        let joined = Handle::open(host);
        let session = handle.load(0, program).unwrap();
        for canceller in [&handle, &joined] {
            let pending = start(&handle, session);
            std::thread::sleep(moment);
            assert_eq!(canceller.cancel(session), status::SUCCESS);
            assert_cancelled(&pending);
        }
    });
}

#[test]
fn closing_the_handle_ends_its_run() {
    each_moment(|host, program, moment| {
        let handle = Handle::open(host);
        let session = handle.load(0, program).unwrap();
        let pending = start(&handle, session);
        std::thread::sleep(moment);
        handle.file.close().unwrap();
        assert_cancelled(&pending);
    });
}

#[test]
fn a_session_outlives_the_handle_that_made_it() {
    let host = machine();
    let first = Handle::open(&host);
    let second = Handle::open(&host);
    let session = first.load(0, &busy()).unwrap();
    second.run(session, &bounds(5)).unwrap();
    first.file.close().unwrap();
    assert_eq!(second.query().unwrap().sessions, 1);
    assert_eq!(
        second
            .histogram(session)
            .unwrap()
            .iter()
            .map(|(_, n)| n)
            .sum::<u64>(),
        5
    );
    second.file.close().unwrap();
    let third = Handle::open(&host);
    assert_eq!(third.query().unwrap().sessions, 0);
    assert_eq!(
        third.run(session, &bounds(1)).unwrap_err(),
        status::NO_SUCH_SESSION
    );
    drop(third);
    stop(host);
}

#[test]
fn another_process_gets_nothing_of_a_session() {
    let host = machine();
    let owner = Handle::open(&host);
    let session = owner.load(0, &busy()).unwrap();
    let stranger = Handle::open_as(&host, 4242);
    assert_eq!(
        stranger.load(session, &busy()).unwrap_err(),
        status::NOT_THE_OPENER
    );
    assert_eq!(
        stranger.run(session, &bounds(1)).unwrap_err(),
        status::NOT_THE_OPENER
    );
    assert_eq!(stranger.cancel(session), status::NOT_THE_OPENER);
    assert_eq!(
        stranger.histogram(session).unwrap_err(),
        status::NOT_THE_OPENER
    );
    let own = stranger.load(0, &busy()).unwrap();
    assert_ne!(own, session);
    drop((owner, stranger));
    stop(host);
}

#[test]
fn while_a_session_runs_everything_else_in_it_waits_its_turn() {
    let host = machine();
    let handle = Handle::open(&host);
    let session = handle.load(0, &endless()).unwrap();
    let pending = start(&handle, session);
    assert_eq!(handle.load(session, &busy()).unwrap_err(), status::IN_USE);
    assert_eq!(handle.run(session, &bounds(1)).unwrap_err(), status::IN_USE);
    assert_eq!(handle.histogram(session).unwrap_err(), status::IN_USE);
    assert_eq!(handle.cancel(session), status::SUCCESS);
    assert_cancelled(&pending);
    drop(handle);
    stop(host);
}

#[test]
fn sessions_run_side_by_side_up_to_the_limit() {
    let host = machine();
    let handles: Vec<_> = (0..limits::SESSIONS).map(|_| Handle::open(&host)).collect();
    let sessions: Vec<_> = handles
        .iter()
        .map(|handle| handle.load(0, &busy()).unwrap())
        .collect();
    let one_more = Handle::open(&host);
    assert_eq!(
        one_more.load(0, &busy()).unwrap_err(),
        status::TOO_MANY_SESSIONS
    );
    let runs: Vec<_> = handles
        .iter()
        .zip(&sessions)
        .take(6)
        .map(|(handle, id)| start(handle, *id))
        .collect();
    for (handle, id) in handles.iter().zip(&sessions).take(6) {
        assert_eq!(handle.cancel(*id), status::SUCCESS);
    }
    runs.iter().for_each(assert_cancelled);
    drop((handles, one_more));
    stop(host);
}

#[test]
fn stopping_the_device_ends_all_runs() {
    for program in [endless(), busy()] {
        let host = machine();
        let handle = Handle::open(&host);
        let session = handle.load(0, &program).unwrap();
        let pending = start(&handle, session);
        std::thread::sleep(Duration::from_millis(2));
        // A device that is removed with handles open: they stay, and are closed later.
        drop(handle);
        stop(host);
        assert_cancelled(&pending);
    }
}

/// Each call that can fail does so once in a session's life: the requests say so, nothing is lost,
/// and the machine stops clean.
#[test]
fn each_failing_call_is_a_clean_error() {
    let mut failed = BTreeMap::new();
    for n in 0.. {
        assert!(n < 400, "the driver makes fallible calls without end");
        let mut options = apclab_host::Options::new(apclab_tests::driver());
        options.fail = Some(n);
        let host = match Host::start(options) {
            Ok(host) => host,
            Err(StartError::Status { status, .. }) => {
                assert_eq!(status, status::INSUFFICIENT_RESOURCES, "call {n}");
                *failed.entry("the start").or_insert(0) += 1;
                continue;
            }
            Err(error) => panic!("call {n}: {error}"),
        };
        let handle = Handle::open(&host);
        let outcome = handle.load(0, &endless()).and_then(|session| {
            handle.run(
                session,
                &RunRequest {
                    wait_deadline_ms: 5,
                    ..bounds(1)
                },
            )
        });
        drop(handle);
        let function = host.failed_call();
        stop(host);
        let Some(function) = function else {
            outcome.unwrap();
            break;
        };
        let expected = match function {
            "ObReferenceObjectByHandle" => INVALID_HANDLE,
            // As if the request had been cancelled a moment before.
            "WdfRequestMarkCancelableEx" => status::CANCELLED,
            _ => status::INSUFFICIENT_RESOURCES,
        };
        assert_eq!(outcome.unwrap_err(), expected, "call {n}, {function}");
        *failed.entry(function).or_insert(0) += 1;
    }
    let count = |function| failed.get(function).copied().unwrap_or(0);
    assert!(count("ExAllocatePool2") > 20, "{failed:?}");
    // The runner's thread and the lanes'.
    let threads = 1 + endless().lanes.len();
    assert_eq!(count("PsCreateSystemThread"), threads, "{failed:?}");
    assert_eq!(count("ObReferenceObjectByHandle"), threads, "{failed:?}");
    assert_eq!(count("WdfRequestMarkCancelableEx"), 1, "{failed:?}");
    assert!(count("the start") > 5, "{failed:?}");
}

#[test]
fn a_request_cancelled_at_apc_level_is_as_good() {
    let host = machine_with(|options| options.cancel_at_dispatch = false);
    let handle = Handle::open(&host);
    let session = handle.load(0, &endless()).unwrap();
    let pending = start(&handle, session);
    pending.cancel().unwrap();
    assert_cancelled(&pending);
    drop(handle);
    stop(host);
}

/// The last reference to a handle may go in the thread that completes its run. Such threads end side
/// by side here: none of them may wait for another.
#[test]
fn runs_whose_handles_close_together_do_not_wait_for_each_other() {
    for round in 0..40 {
        let host = machine();
        let runs: Vec<_> = (0..6)
            .map(|_| {
                let handle = Handle::open(&host);
                let session = handle.load(0, &busy()).unwrap();
                let pending = start(&handle, session);
                (handle, pending)
            })
            .collect();
        std::thread::sleep(Duration::from_micros(round * 20));
        std::thread::scope(|scope| {
            for (handle, pending) in runs {
                scope.spawn(move || {
                    handle.file.close().unwrap();
                    assert_cancelled(&pending);
                });
            }
        });
        stop(host);
    }
}
