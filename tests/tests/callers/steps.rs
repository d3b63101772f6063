//! What a call does.

use std::sync::{Arc, mpsc};

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::call::{CallReply, CallRequest};
use apclab_protocol::ioctl;
use apclab_protocol::limits;
use apclab_protocol::message::{Ended, Reply as _};
use apclab_protocol::program::LockKind;
use apclab_protocol::status;
use apclab_protocol::step::{Mode, Step, WaitMode, answer};
use apclab_protocol::trace::Kind;
use apclab_tests::{PLAIN, bounds, machine, register, request, stop};

use crate::{ZERO, as_user, asks, begin, call, callers, calls, calls_in, ended, loaded};

#[test]
fn a_call_runs_in_the_requesting_thread_ahead_of_the_frameworks_region() {
    let host = machine();
    let (handle, session) = loaded(&host, &asks());
    let run = begin(&handle, session, &bounds(1));
    let user = Arc::clone(&handle);
    let (first, done, late) = as_user(&host, &handle.file, move |thread| {
        let call = |step| calls_in(thread, &user.file, session, 0, step);
        (call(Some(0)), call(None), call(None))
    });
    let first = first.unwrap();
    assert_eq!((first.halted, first.context), (false, PLAIN));
    assert_eq!(first.registers[..4], [0, 1, 0, 0]);
    assert!(!done.unwrap().halted);
    assert_eq!(late.unwrap_err(), status::OUT_OF_SEQUENCE);
    let reply = ended(&run).unwrap();
    assert_eq!((reply.ended, reply.iterations), (Ended::Complete, 1));
    assert_eq!((reply.timed_out, reply.baseline[0]), (0, PLAIN));
    let trace = handle.trace(session).unwrap();
    assert!(trace.iter().all(|record| record.lane == 0));
    let kinds: Vec<_> = trace.iter().map(|record| record.kind).collect();
    let mut expected = vec![Kind::Begin];
    expected.extend([Kind::Step, Kind::Done].repeat(5));
    expected.push(Kind::End);
    assert_eq!(kinds, expected);
    assert!(trace[5].context.apcs_disabled && !trace[1].context.apcs_disabled);
    drop(handle);
    stop(host);
}

#[test]
fn registers_come_with_a_call_and_go_back_and_the_last_ones_are_the_outcome() {
    let host = machine();
    let add = call(&[
        Step::Store {
            variable: 0,
            from: Some(5),
            constant: 1,
        },
        Step::Load { variable: 0, to: 6 },
    ]);
    let program = ProgramBuf {
        variables: vec![0],
        observed: vec![register(0, 6), register(0, 7)],
        ..callers(vec![add], 0)
    };
    let (handle, session) = loaded(&host, &program);
    let run = begin(&handle, session, &bounds(1));
    let mut registers = ZERO;
    registers[5] = 41;
    let send = |step, registers| {
        let body = CallRequest {
            lane: 0,
            step,
            registers,
        }
        .encode();
        let mut output = [0; CallReply::SIZE];
        let sent = handle.raw(ioctl::CALL, &request(session, &body), &mut output);
        assert_eq!(sent, (status::SUCCESS, CallReply::SIZE));
        CallReply::decode(&output).unwrap().registers
    };
    let mut after = send(Some(0), registers);
    assert_eq!((after[5], after[6]), (41, 42));
    after[7] = -7;
    assert_eq!(send(None, after), after);
    ended(&run).unwrap();
    assert_eq!(handle.histogram(session).unwrap(), [(vec![42, -7], 1)]);
    drop(handle);
    stop(host);
}

/// A wait in a call, ended by nobody, while a user APC is queued to its thread.
#[test]
fn only_an_alertable_wait_in_user_mode_ends_for_a_user_apc() {
    for (mode, expected) in [
        (WaitMode::User, answer::TIMED_OUT),
        (WaitMode::UserAlertable, answer::USER_APC),
    ] {
        let host = machine();
        let wait = Step::WaitAs {
            event: 0,
            to: 0,
            milliseconds: 30,
            mode,
        };
        let (handle, session) = loaded(&host, &callers(vec![call(&[wait])], 1));
        let run = begin(&handle, session, &bounds(1));
        let user = Arc::clone(&handle);
        let (reply, ran) = as_user(&host, &handle.file, move |thread| {
            let (sender, receiver) = mpsc::channel();
            let routine = move || sender.send(()).unwrap();
            let queued = thread.queue_apc(&thread.user_ref(), false, Arc::new(routine));
            assert!(queued.unwrap());
            let reply = calls_in(thread, &user.file, session, 0, Some(0)).unwrap();
            calls_in(thread, &user.file, session, 0, None).unwrap();
            (reply, receiver.try_iter().count())
        });
        assert_eq!(reply.registers[0], expected, "{mode:?}");
        assert_eq!(ran, usize::from(expected == answer::USER_APC));
        ended(&run).unwrap();
        drop(handle);
        stop(host);
    }
}

#[test]
fn an_event_ends_each_wait_of_a_call() {
    for mode in WaitMode::ALL {
        let host = machine();
        let steps = call(&[
            Step::Set { event: 0 },
            Step::WaitAs {
                event: 0,
                to: 0,
                milliseconds: 1000,
                mode,
            },
            Step::Reset { event: 0 },
            Step::ApcsDisabled { to: 1 },
        ]);
        let (handle, session) = loaded(&host, &callers(vec![steps], 1));
        let run = begin(&handle, session, &bounds(1));
        let reply = calls(&handle, session, 0, Some(0)).unwrap();
        assert_eq!(reply.registers[0], answer::SIGNALED, "{mode:?}");
        calls(&handle, session, 0, None).unwrap();
        ended(&run).unwrap();
        drop(handle);
        stop(host);
    }
}

#[test]
fn what_is_open_in_a_call_nests_to_its_limit_within_the_stack() {
    let host = machine();
    // The call is one of the lane's scopes itself.
    let locks = limits::SCOPES - 1;
    let open = (0_u8..).take(locks).map(|lock| Step::Acquire {
        lock,
        mode: Mode::Exclusive,
    });
    let close = (0_u8..).take(locks).map(|lock| Step::Release { lock });
    let steps = [
        vec![Step::EnterCritical; limits::NESTING],
        open.collect(),
        vec![Step::AllApcsDisabled { to: 0 }],
        close.collect::<Vec<_>>().into_iter().rev().collect(),
        vec![Step::LeaveCritical; limits::NESTING],
    ];
    let program = ProgramBuf {
        locks: vec![LockKind::FastMutex; locks],
        ..callers(vec![call(&steps.concat())], 0)
    };
    let (handle, session) = loaded(&host, &program);
    let run = begin(&handle, session, &bounds(1));
    let reply = calls(&handle, session, 0, Some(0)).unwrap();
    assert_eq!((reply.halted, reply.registers[0]), (false, 1));
    calls(&handle, session, 0, None).unwrap();
    ended(&run).unwrap();
    drop(handle);
    let report = host.stop().unwrap();
    // A kernel stack has 24 KB for everybody; half of it is the driver's budget.
    assert!(
        report.deepest_stack < 12 * 1024,
        "{} bytes of stack",
        report.deepest_stack
    );
}
