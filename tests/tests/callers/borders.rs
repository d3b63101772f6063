//! Requests that are refused, and why.

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::call::{CallReply, CallRequest, HoldRequest};
use apclab_protocol::ioctl;
use apclab_protocol::limits;
use apclab_protocol::message::{HEADER_SIZE, Limits, Reply as _, RunRequest};
use apclab_protocol::status;
use apclab_protocol::step::Step;
use apclab_tests::{Handle, bounds, machine, request, stop};

use crate::{ZERO, asks, begin, call, callers, calls, ended, held, loaded};

#[test]
fn bad_lengths_are_told_apart() {
    let host = machine();
    let (handle, session) = loaded(&host, &held());
    let run = begin(&handle, session, &bounds(1));
    let done = CallRequest {
        lane: 0,
        step: None,
        registers: ZERO,
    }
    .encode();
    let hold = HoldRequest { apc: 0, event: 4 }.encode();
    for (code, body) in [(ioctl::CALL, &done[..]), (ioctl::HOLD, &hold[..])] {
        let mut output = [0xEE; CallReply::SIZE];
        let mut send = |bytes: &[u8], room: usize| handle.raw(code, bytes, &mut output[..room]);
        let good = request(session, body);
        let short = request(session, &body[..body.len() - 8]);
        let long = request(session, &[body, &[0; 8]].concat());
        let room = CallReply::SIZE;
        assert_eq!(send(&[], room), (status::INPUT_TOO_SHORT, 0));
        assert_eq!(send(&short, room), (status::INPUT_TOO_SHORT, 0));
        assert_eq!(send(&long, room), (status::INPUT_TOO_LONG, 0));
        assert_eq!(
            send(&good[..HEADER_SIZE], room),
            (status::INPUT_TOO_SHORT, 0)
        );
        let (empty, little) = if code == ioctl::CALL {
            (status::OUTPUT_TOO_SHORT, status::OUTPUT_TOO_SHORT)
        } else {
            // It has no reply; there is no event of that handle.
            (status::INPUT_TOO_SHORT, status::INVALID_PARAMETER)
        };
        assert_eq!(send(&[], 0), (empty, 0), "no buffer at all");
        assert_eq!(send(&good, room - 1), (little, 0));
        assert!(output.iter().all(|byte| *byte == 0xEE), "nothing is copied");
    }
    assert!(!calls(&handle, session, 0, None).unwrap().halted);
    ended(&run).unwrap();
    drop(handle);
    stop(host);
}

#[test]
fn a_call_of_what_is_not_there_is_refused() {
    let host = machine();
    let idle = vec![Step::Irql { to: 0 }];
    let caller = call(&[Step::Irql { to: 0 }]);
    let program = ProgramBuf {
        callers: vec![true, false],
        ..callers(vec![caller, idle], 0)
    };
    let (handle, session) = loaded(&host, &program);
    let early = calls(&handle, session, 0, Some(0)).unwrap_err();
    assert_eq!(early, status::OUT_OF_SEQUENCE, "nothing runs yet");
    let run = begin(&handle, session, &bounds(1));
    let refused = |id, lane, step| calls(&handle, id, lane, step).unwrap_err();
    for session in [0, session + 1, u32::MAX] {
        assert_eq!(refused(session, 0, Some(0)), status::NO_SUCH_SESSION);
    }
    for (lane, step) in [
        (1, Some(0)),
        (1, None),
        (2, None),
        (6, None),
        (0, Some(1)),
        (0, Some(2)),
        (0, Some(3)),
        (0, Some(u32::MAX - 1)),
    ] {
        let status = refused(session, lane, step);
        assert_eq!(status, status::INVALID_PARAMETER, "{lane} {step:?}");
    }
    let stranger = Handle::open_as(&host, 4242);
    let foreign = calls(&stranger, session, 0, Some(0)).unwrap_err();
    assert_eq!(foreign, status::NOT_THE_OPENER);
    // Another handle of the same process need not have joined the session.
    let other = Handle::open(&host);
    assert!(!calls(&other, session, 0, Some(0)).unwrap().halted);
    assert!(!calls(&other, session, 0, None).unwrap().halted);
    ended(&run).unwrap();
    assert_eq!(refused(session, 0, Some(0)), status::OUT_OF_SEQUENCE);
    drop((handle, stranger, other));
    stop(host);
}

#[test]
fn a_run_of_callers_has_one_iteration_and_short_waits() {
    let host = machine();
    let (handle, session) = loaded(&host, &asks());
    let refused = |bounds| handle.run(session, &bounds).unwrap_err();
    assert_eq!(refused(bounds(2)), status::INVALID_PARAMETER);
    let patient = RunRequest {
        wait_deadline_ms: limits::CALLER_WAIT_DEADLINE_MS + 1,
        ..bounds(1)
    };
    assert_eq!(refused(patient), status::INVALID_PARAMETER);
    let run = begin(
        &handle,
        session,
        &RunRequest {
            wait_deadline_ms: limits::CALLER_WAIT_DEADLINE_MS,
            ..bounds(1)
        },
    );
    assert!(!calls(&handle, session, 0, None).unwrap().halted);
    ended(&run).unwrap();
    drop(handle);
    stop(host);
}

#[test]
fn two_calls_of_one_lane_are_never_under_way_together() {
    let host = machine();
    let waits = call(&[Step::Set { event: 0 }, Step::Wait { event: 1 }]);
    let helps = [
        call(&[Step::Wait { event: 0 }]),
        call(&[Step::Set { event: 1 }]),
    ];
    let program = callers(vec![waits, helps.concat()], 2);
    let (handle, session) = loaded(&host, &program);
    let run = begin(&handle, session, &bounds(1));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| calls(&handle, session, 0, Some(0)));
        calls(&handle, session, 1, Some(0)).unwrap();
        for step in [Some(0), None] {
            let status = calls(&handle, session, 0, step).unwrap_err();
            assert_eq!(status, status::IN_USE);
        }
        calls(&handle, session, 1, Some(3)).unwrap();
        assert!(!waiting.join().unwrap().unwrap().halted);
    });
    for lane in 0..2 {
        assert!(!calls(&handle, session, lane, None).unwrap().halted);
    }
    assert_eq!(ended(&run).unwrap().timed_out, 0);
    drop(handle);
    stop(host);
}

#[test]
fn the_version_says_that_there_are_caller_lanes() {
    assert_eq!(apclab_protocol::VERSION, 3);
    let host = machine();
    let handle = Handle::open(&host);
    assert_eq!(handle.query().unwrap().limits, Limits::BUILT);
    drop(handle);
    stop(host);
}
