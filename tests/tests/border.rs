//! The border itself: what is no request gets a status of its own, and nothing else happens.

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::ioctl;
use apclab_protocol::message::{Limits, routines};
use apclab_protocol::message::{LoadReply, NONE, QueryReply, Reply, RunReply, RunRequest};
use apclab_protocol::program::{Apc, ApcKind, Malformation, Observed};
use apclab_protocol::status;
use apclab_protocol::step::Step;
use apclab_protocol::verify::Reason;
use apclab_tests::{Handle, bounds, machine, machine_with, request, stop};

fn one_lane(steps: Vec<Step>) -> ProgramBuf {
    ProgramBuf {
        observed: vec![Observed::Register {
            lane: 0,
            register: 0,
        }],
        lanes: vec![steps],
        ..ProgramBuf::default()
    }
}

#[test]
fn query_tells_what_driver_and_kernel_are() {
    let host = machine();
    let handle = Handle::open(&host);
    let reply = handle.query().unwrap();
    assert_eq!(reply.driver, [0, 1, 0]);
    assert_eq!(reply.routines, routines::APC | routines::PUSH_LOCKS);
    assert_eq!(reply.limits, Limits::BUILT);
    assert!(reply.processors >= 1);
    assert!(
        reply.kernel[0] >= 10,
        "the floor is Windows 10: {:?}",
        reply.kernel
    );
    assert!(
        reply.dispatch.apcs_disabled && !reply.dispatch.all_apcs_disabled,
        "KMDF dispatches inside its own critical region: {:?}",
        reply.dispatch
    );
    assert_eq!(reply.sessions, 0);
    drop(handle);
    stop(host);
}

#[test]
fn each_bad_request_has_a_status_of_its_own() {
    let host = machine();
    let handle = Handle::open(&host);
    let mut output = [0; 256];
    let mut send = |code: u32, input: &[u8]| handle.raw(code, input, &mut output);
    let good = request(0, &[]);
    for (code, name) in ioctl::ALL {
        assert_eq!(
            send(code, &[]),
            (status::INPUT_TOO_SHORT, 0),
            "{name}: no input"
        );
        assert_eq!(
            send(code, &good[..15]),
            (status::INPUT_TOO_SHORT, 0),
            "{name}: short header"
        );
        let mut other = good.clone();
        other[0] += 1;
        assert_eq!(
            send(code, &other),
            (status::REVISION_MISMATCH, 0),
            "{name}: version"
        );
        let mut reserved = good.clone();
        reserved[12] = 1;
        assert_eq!(
            send(code, &reserved),
            (status::INVALID_PARAMETER, 0),
            "{name}: reserved"
        );
        let mut odd = good.clone();
        odd.push(0);
        assert_eq!(
            send(code, &odd),
            (status::INPUT_MISALIGNED, 0),
            "{name}: misaligned"
        );
        let mut long = good.clone();
        long.extend([0; 8]);
        assert_eq!(
            send(code, &long),
            (status::INPUT_TOO_LONG, 0),
            "{name}: overlong"
        );
        let mut claims_more = good.clone();
        claims_more[4] = 64;
        assert_eq!(
            send(code, &claims_more),
            (status::INPUT_TOO_SHORT, 0),
            "{name}: cut"
        );
    }
    for code in [
        0,
        ioctl::QUERY + 1,
        ioctl::HOLD + 4,
        ioctl::QUERY & !0xC000,
        u32::MAX,
    ] {
        assert_eq!(
            send(code, &good),
            (status::UNKNOWN_CODE, 0),
            "code {code:#x}"
        );
    }
    drop(handle);
    stop(host);
}

#[test]
fn operations_out_of_order_are_told_so() {
    let host = machine();
    let handle = Handle::open(&host);
    assert_eq!(
        handle.run(0, &bounds(1)).unwrap_err(),
        status::NO_SUCH_SESSION
    );
    assert_eq!(
        handle.run(7, &bounds(1)).unwrap_err(),
        status::NO_SUCH_SESSION
    );
    assert_eq!(handle.histogram(7).unwrap_err(), status::NO_SUCH_SESSION);
    assert_eq!(handle.cancel(7), status::NO_SUCH_SESSION);
    let session = handle.load(0, &one_lane(vec![])).unwrap();
    assert_eq!(
        handle.histogram(session).unwrap_err(),
        status::OUT_OF_SEQUENCE
    );
    assert_eq!(handle.trace(session).unwrap_err(), status::OUT_OF_SEQUENCE);
    assert_eq!(handle.cancel(session), status::OUT_OF_SEQUENCE);
    assert_eq!(
        handle.load(0, &one_lane(vec![])).unwrap_err(),
        status::OTHER_SESSION
    );
    handle.run(session, &bounds(1)).unwrap();
    assert_eq!(handle.histogram(session), Ok(vec![(vec![0], 1)]));
    // A new program takes the old one's results with it.
    handle.load(session, &one_lane(vec![])).unwrap();
    assert_eq!(
        handle.histogram(session).unwrap_err(),
        status::OUT_OF_SEQUENCE
    );
    drop(handle);
    stop(host);
}

#[test]
fn a_run_out_of_bounds_is_refused() {
    let host = machine();
    let handle = Handle::open(&host);
    let session = handle.load(0, &one_lane(vec![])).unwrap();
    let good = bounds(1);
    for bad in [
        RunRequest {
            iterations: 0,
            ..good
        },
        RunRequest {
            iterations: u32::MAX,
            ..good
        },
        RunRequest {
            deadline_ms: 0,
            ..good
        },
        RunRequest {
            deadline_ms: 600_001,
            ..good
        },
        RunRequest {
            wait_deadline_ms: 0,
            ..good
        },
        RunRequest {
            wait_deadline_ms: 10_001,
            ..good
        },
        RunRequest {
            trace_iteration: 2,
            ..good
        },
    ] {
        assert_eq!(
            handle.run(session, &bad).unwrap_err(),
            status::INVALID_PARAMETER,
            "{bad:?}"
        );
    }
    let mut short = [0; RunReply::SIZE - 1];
    let input = request(session, &good.encode());
    assert_eq!(
        handle.raw(ioctl::RUN, &input, &mut short),
        (status::OUTPUT_TOO_SHORT, 0)
    );
    assert_eq!(
        handle.raw(ioctl::RUN, &input, &mut []),
        (status::OUTPUT_TOO_SHORT, 0)
    );
    let mut short = [0; QueryReply::SIZE - 1];
    let input = request(0, &[]);
    assert_eq!(
        handle.raw(ioctl::QUERY, &input, &mut short),
        (status::OUTPUT_TOO_SHORT, 0)
    );
    drop(handle);
    stop(host);
}

#[test]
fn a_refused_program_gets_lane_step_and_reason() {
    let host = machine();
    let handle = Handle::open(&host);
    let program = ProgramBuf {
        lanes: vec![
            vec![],
            vec![Step::EnterCritical, Step::LeaveGuarded, Step::LeaveCritical],
        ],
        ..ProgramBuf::default()
    };
    let (status, reply) = handle.load_bytes(0, &program.encode());
    assert_eq!(status, status::REFUSED);
    let expected = LoadReply {
        session: 0,
        reason: Reason::NotInnermost as u32,
        lane: 1,
        step: 1,
        offset: NONE,
        observed: 0,
    };
    assert_eq!(reply, Some(expected));
    assert_eq!(
        handle.query().unwrap().sessions,
        0,
        "a refused program makes no session"
    );
    drop(handle);
    stop(host);
}

#[test]
fn a_malformed_program_gets_the_byte() {
    let host = machine();
    let handle = Handle::open(&host);
    let mut bytes = one_lane(vec![Step::Barrier]).encode();
    let last = bytes.len() - 16;
    bytes[last] = 0x77;
    let (status, reply) = handle.load_bytes(0, &bytes);
    assert_eq!(status, status::MALFORMED_PROGRAM);
    let reply = reply.unwrap();
    assert_eq!(reply.offset as usize, last);
    assert_eq!(reply.reason, 1 + Malformation::Operation as u32);
    let (status, reply) = handle.load_bytes(0, &[]);
    assert_eq!(status, status::MALFORMED_PROGRAM);
    assert_eq!(reply.unwrap().reason, 1 + Malformation::Length as u32);
    drop(handle);
    stop(host);
}

#[test]
fn without_the_apc_routines_the_driver_loads_and_says_so() {
    let host = machine_with(|options| options.kernel_apc_routines = false);
    let handle = Handle::open(&host);
    assert_eq!(handle.query().unwrap().routines & routines::APC, 0);
    let queues = ProgramBuf {
        apcs: vec![Apc {
            kind: ApcKind::Special,
            lane: 0,
        }],
        ..one_lane(vec![Step::Barrier, Step::Queue { apc: 0, to: None }])
    };
    let (status, reply) = handle.load_bytes(0, &queues.encode());
    assert_eq!(status, status::NO_APC_ROUTINES);
    let reply = reply.unwrap();
    assert_eq!(
        (reply.reason, reply.lane, reply.step),
        (Reason::NoApcRoutines as u32, 0, 1)
    );
    // Programs without APCs still run.
    let session = handle
        .load(0, &one_lane(vec![Step::ApcsDisabled { to: 0 }]))
        .unwrap();
    handle.run(session, &bounds(10)).unwrap();
    assert_eq!(handle.histogram(session), Ok(vec![(vec![0], 10)]));
    drop(handle);
    stop(host);
}
