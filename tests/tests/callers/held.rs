//! Requests that are held for their completions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use apclab_host::{Host, Options, StartError, UserEvent};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::call::HoldRequest;
use apclab_protocol::ioctl;
use apclab_protocol::message::RunRequest;
use apclab_protocol::program::{Apc, ApcKind};
use apclab_protocol::status;
use apclab_protocol::step::Step;
use apclab_tests::{Handle, bounds, machine, request, stop};

use crate::{
    ASKS, QUEUES, SOON, as_user, begin, call, callers, calls, calls_in, ended, held, holds, loaded,
    status_of,
};

#[test]
fn a_held_request_is_completed_by_its_queue_and_once() {
    let host = machine();
    let (handle, session) = loaded(&host, &held());
    let run = begin(&handle, session, &bounds(1));
    let user = Arc::clone(&handle);
    as_user(&host, &handle.file, move |thread| {
        let file = &user.file;
        let event = thread.create_event().unwrap();
        let request = holds(thread, file, session, 0, &event);
        assert_eq!(status_of(&request), None);
        let queued = calls_in(thread, file, session, 0, Some(QUEUES)).unwrap();
        assert_eq!(queued.registers[..3], [0, 1, 0]);
        assert_eq!(status_of(&request), Some(status::SUCCESS));
        assert!(thread.wait(&event, Duration::ZERO).unwrap());
        let asked = calls_in(thread, file, session, 0, Some(ASKS)).unwrap();
        assert_eq!(asked.registers[3], 1);
        // Its request was started in this iteration.
        let again = holds(thread, file, session, 0, &thread.create_event().unwrap());
        assert_eq!(status_of(&again), Some(status::IN_USE));
        calls_in(thread, file, session, 0, None).unwrap();
    });
    assert_eq!(ended(&run).unwrap().timed_out, 0);
    drop(handle);
    stop(host);
}

#[test]
fn what_nobody_has_started_is_not_held_and_has_not_run() {
    let host = machine();
    let (handle, session) = loaded(&host, &held());
    let run = begin(&handle, session, &bounds(1));
    let queued = calls(&handle, session, 0, Some(QUEUES)).unwrap();
    assert_eq!(queued.registers[..3], [0, 0, 0]);
    let asked = calls(&handle, session, 0, Some(ASKS)).unwrap();
    assert_eq!(asked.registers[3], 0);
    calls(&handle, session, 0, None).unwrap();
    ended(&run).unwrap();
    drop(handle);
    stop(host);
}

/// The last request comes when those that are held have been completed: before or after the run's own
/// request is.
#[test]
fn a_request_that_nobody_completes_ends_cancelled_with_the_iteration() {
    let host = machine();
    let (handle, session) = loaded(&host, &held());
    for _ in 0..30 {
        let run = begin(&handle, session, &bounds(1));
        let user = Arc::clone(&handle);
        as_user(&host, &handle.file, move |thread| {
            let file = &user.file;
            let event = thread.create_event().unwrap();
            let other = thread.create_event().unwrap();
            let request = holds(thread, file, session, 0, &event);
            let twice = holds(thread, file, session, 0, &other);
            assert_eq!(status_of(&twice), Some(status::IN_USE));
            calls_in(thread, file, session, 0, None).unwrap();
            assert!(thread.wait(&event, SOON).unwrap());
            let late = holds(thread, file, session, 0, &other);
            assert_eq!(status_of(&late), Some(status::OUT_OF_SEQUENCE));
            assert_eq!(status_of(&request), Some(status::CANCELLED));
        });
        ended(&run).unwrap();
    }
    drop(handle);
    stop(host);
}

#[test]
fn a_bad_hold_is_refused() {
    let host = machine();
    let program = ProgramBuf {
        apcs: vec![
            held().apcs[0],
            Apc {
                kind: ApcKind::User,
                lane: 0,
            },
        ],
        ..held()
    };
    let (handle, session) = loaded(&host, &program);
    let user = Arc::clone(&handle);
    let foreign = Arc::new(Handle::open_as(&host, 4242));
    let refused = as_user(&host, &handle.file, move |thread| {
        let event = thread.create_event().unwrap();
        status_of(&holds(thread, &user.file, session, 0, &event))
    });
    assert_eq!(refused, Some(status::OUT_OF_SEQUENCE), "nothing runs yet");
    let run = begin(&handle, session, &bounds(1));
    let stranger = as_user(&host, &foreign.file, {
        let file = Arc::clone(&foreign);
        move |thread| {
            let event = thread.create_event().unwrap();
            status_of(&holds(thread, &file.file, session, 0, &event))
        }
    });
    assert_eq!(stranger, Some(status::NOT_THE_OPENER));
    let user = Arc::clone(&handle);
    as_user(&host, &handle.file, move |thread| {
        let file = &user.file;
        let event = thread.create_event().unwrap();
        let hold = |session, apc, event: &UserEvent| {
            status_of(&holds(thread, file, session, apc, event)).unwrap()
        };
        assert_eq!(hold(session, 1, &event), status::INVALID_PARAMETER);
        assert_eq!(hold(session, 2, &event), status::INVALID_PARAMETER);
        assert_eq!(hold(session, 16, &event), status::INVALID_PARAMETER);
        assert_eq!(hold(session + 1, 0, &event), status::NO_SUCH_SESSION);
        for handle in [0, 3, u64::MAX, 1 << 40] {
            let body = HoldRequest {
                apc: 0,
                event: handle,
            };
            let input = request(session, &body.encode());
            let bad = thread.start_ioctl(file, ioctl::HOLD, &input, 0, &event);
            let status = status_of(&bad.unwrap());
            assert_eq!(status, Some(status::INVALID_PARAMETER), "{handle:#x}");
        }
        calls_in(thread, file, session, 0, None).unwrap();
    });
    ended(&run).unwrap();
    drop((handle, foreign));
    stop(host);
}

#[test]
fn cancelling_or_closing_what_is_held_cancels_the_run() {
    for closes in [false, true] {
        let host = machine();
        let (handle, session) = loaded(&host, &held());
        let run = begin(&handle, session, &bounds(1));
        let other = Handle::open(&host);
        let begun = Instant::now();
        as_user(&host, &handle.file, move |thread| {
            let event = thread.create_event().unwrap();
            let request = holds(thread, &other.file, session, 0, &event);
            if closes {
                drop(other);
            } else {
                thread.cancel(&request).unwrap();
            }
            assert!(thread.wait(&event, SOON).unwrap());
            assert_eq!(status_of(&request), Some(status::CANCELLED));
        });
        assert_eq!(ended(&run).unwrap_err(), status::CANCELLED);
        assert!(begun.elapsed() < Duration::from_secs(2));
        drop(handle);
        stop(host);
    }
}

#[test]
fn an_apcs_body_completes_a_request() {
    let host = machine();
    let caller = [
        vec![Step::Start { apc: 1 }],
        call(&[Step::Set { event: 0 }, Step::Wait { event: 1 }]),
    ];
    let queues = vec![
        Step::Wait { event: 0 },
        Step::Queue {
            apc: 0,
            to: Some(0),
        },
    ];
    let program = ProgramBuf {
        apcs: vec![
            Apc {
                kind: ApcKind::Special,
                lane: 1,
            },
            Apc {
                kind: ApcKind::Completion,
                lane: 0,
            },
        ],
        bodies: vec![vec![
            Step::Queue {
                apc: 1,
                to: Some(0),
            },
            Step::Set { event: 1 },
        ]],
        callers: vec![true, false],
        ..callers(vec![caller.concat(), queues], 2)
    };
    let (handle, session) = loaded(&host, &program);
    let run = begin(&handle, session, &bounds(1));
    let user = Arc::clone(&handle);
    as_user(&host, &handle.file, move |thread| {
        let event = thread.create_event().unwrap();
        let request = holds(thread, &user.file, session, 1, &event);
        let reply = calls_in(thread, &user.file, session, 0, Some(1)).unwrap();
        assert!(!reply.halted);
        assert_eq!(status_of(&request), Some(status::SUCCESS));
        calls_in(thread, &user.file, session, 0, None).unwrap();
    });
    assert_eq!(ended(&run).unwrap().timed_out, 0);
    drop(handle);
    stop(host);
}

/// A whole iteration with a held request in which one call of the driver's that can fail does so.
#[test]
fn each_failing_call_is_a_clean_error() {
    let mut failures = 0;
    for n in 0.. {
        assert!(n < 400, "the driver makes fallible calls without end");
        let mut options = Options::new(apclab_tests::driver());
        options.fail = Some(n);
        let host = match Host::start(options) {
            Ok(host) => host,
            Err(StartError::Status { status, .. }) => {
                assert_eq!(status, status::INSUFFICIENT_RESOURCES, "call {n}");
                continue;
            }
            Err(error) => panic!("call {n}: {error}"),
        };
        let handle = Arc::new(Handle::open(&host));
        let outcome = handle.load(0, &held()).and_then(|session| {
            let bounds = RunRequest {
                deadline_ms: 200,
                ..bounds(1)
            };
            let run = begin(&handle, session, &bounds);
            let user = Arc::clone(&handle);
            let said = as_user(&host, &handle.file, move |thread| {
                let event = thread.create_event().unwrap();
                let request = holds(thread, &user.file, session, 0, &event);
                let call = |step| calls_in(thread, &user.file, session, 0, step);
                let queued = call(Some(QUEUES));
                let done = call(None);
                // Queued, or cancelled by the end of the run, or refused.
                if status_of(&request).is_none() {
                    assert!(thread.wait(&event, SOON).unwrap());
                }
                (status_of(&request).unwrap(), queued, done)
            });
            let reply = ended(&run)?;
            let (held, queued, done) = said;
            assert_eq!((reply.iterations, reply.timed_out), (1, 0));
            done?;
            queued?;
            if held == status::SUCCESS {
                Ok(())
            } else {
                Err(held)
            }
        });
        drop(handle);
        let function = host.failed_call();
        stop(host);
        let Some(function) = function else {
            outcome.unwrap();
            break;
        };
        assert!(outcome.is_err(), "call {n}, {function}");
        failures += 1;
    }
    assert!(failures > 30, "{failures}");
}
