//! Caller lanes by their IOCTLs: CALL and HOLD, from threads that behave and from such that do not.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use apclab_host::{File, Host, Options, Pending, Schedule, StartError, UserEvent, UserThread};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::call::{CallReply, CallRequest, HoldRequest, Registers};
use apclab_protocol::limits;
use apclab_protocol::message::{Ended, HEADER_SIZE, Reply, RunReply, RunRequest};
use apclab_protocol::program::{Apc, ApcKind, Event, EventKind, LockKind};
use apclab_protocol::status::{self, NtStatus};
use apclab_protocol::step::{Mode, Step, WaitMode, answer};
use apclab_protocol::trace::Kind;
use apclab_protocol::{ioctl, message};
use apclab_tests::{Answer, Handle, PLAIN, bounds, machine, machine_with, register, request, stop};

const SOON: Duration = Duration::from_secs(8);
const ZERO: Registers = [0; limits::REGISTERS];

/// Steps as one call.
fn call(steps: &[Step]) -> Vec<Step> {
    let length = u32::try_from(steps.len()).unwrap();
    [&[Step::Call { length }], steps, &[Step::End]].concat()
}

/// Programs whose lanes are callers, with so many events.
fn callers(lanes: Vec<Vec<Step>>, events: usize) -> ProgramBuf {
    let event = Event {
        kind: EventKind::Notification,
        signaled: false,
    };
    ProgramBuf {
        events: vec![event; events],
        callers: vec![true; lanes.len()],
        observed: vec![register(0, 0)],
        lanes,
        ..ProgramBuf::default()
    }
}

/// The lane asks where it is, outside of a region and inside.
fn asks() -> ProgramBuf {
    let steps = call(&[
        Step::ApcsDisabled { to: 0 },
        Step::EnterCritical,
        Step::ApcsDisabled { to: 1 },
        Step::LeaveCritical,
        Step::Irql { to: 2 },
    ]);
    callers(vec![steps], 0)
}

/// A lane that waits for an event that nobody sets, and one by which others learn that it does.
fn waits() -> ProgramBuf {
    let waits = call(&[Step::Set { event: 1 }, Step::Wait { event: 0 }]);
    let learns = call(&[Step::Wait { event: 1 }]);
    callers(vec![waits, learns], 2)
}

/// Returns when the first lane of [`waits`] is in its call.
fn until_it_waits(handle: &Handle, session: u32) {
    assert!(!calls(handle, session, 1, Some(0)).unwrap().halted);
}

/// A lane with a completion that it starts, and calls that ask for it and queue it.
fn held() -> ProgramBuf {
    let lane = [
        vec![Step::Start { apc: 0 }],
        call(&[
            Step::Ran { apc: 0, to: 0 },
            Step::Queue {
                apc: 0,
                to: Some(1),
            },
            Step::Queue {
                apc: 0,
                to: Some(2),
            },
        ]),
        call(&[Step::Ran { apc: 0, to: 3 }]),
    ];
    ProgramBuf {
        apcs: vec![Apc {
            kind: ApcKind::Completion,
            lane: 0,
        }],
        ..callers(vec![lane.concat()], 0)
    }
}

/// The indices of the calls of [`held`].
const QUEUES: u32 = 1;
const ASKS: u32 = 6;

fn begin(handle: &Handle, session: u32, bounds: &RunRequest) -> Pending {
    let input = request(session, &bounds.encode());
    let output = RunReply::SIZE;
    handle.file.ioctl_async(ioctl::RUN, input, output).unwrap()
}

fn ended(run: &Pending) -> Answer<RunReply> {
    let (completion, output) = run.wait(SOON).unwrap();
    match completion.status {
        status::SUCCESS => Ok(RunReply::decode(&output).unwrap()),
        status => Err(status),
    }
}

/// A CALL in whatever thread the host has for it.
fn calls(handle: &Handle, session: u32, lane: u8, step: Option<u32>) -> Answer<CallReply> {
    let registers = ZERO;
    let body = CallRequest {
        lane,
        step,
        registers,
    }
    .encode();
    let mut output = [0; CallReply::SIZE];
    match handle.raw(ioctl::CALL, &request(session, &body), &mut output) {
        (status::SUCCESS, CallReply::SIZE) => Ok(CallReply::decode(&output).unwrap()),
        (status, written) => {
            assert_eq!(written, 0);
            Err(status)
        }
    }
}

/// A CALL in a thread of user mode.
fn calls_in(
    user: &UserThread<'_>,
    file: &File,
    session: u32,
    lane: u8,
    step: Option<u32>,
) -> Answer<CallReply> {
    let registers = ZERO;
    let body = CallRequest {
        lane,
        step,
        registers,
    }
    .encode();
    let mut output = [0; CallReply::SIZE];
    let input = request(session, &body);
    let completion = user.ioctl(file, ioctl::CALL, &input, &mut output).unwrap();
    match completion.status {
        status::SUCCESS => Ok(CallReply::decode(&output).unwrap()),
        status => Err(status),
    }
}

fn holds(user: &UserThread<'_>, file: &File, session: u32, apc: u8, event: &UserEvent) -> Pending {
    let handle = event.handle();
    let body = HoldRequest { apc, event: handle }.encode();
    let input = request(session, &body);
    user.start_ioctl(file, ioctl::HOLD, &input, 0, event)
        .unwrap()
}

/// The status of a request of a user thread that has learnt of it.
fn status_of(pending: &Pending) -> Option<NtStatus> {
    let done = pending.done().unwrap();
    done.map(|(completion, _)| completion.status)
}

/// Executes something in a thread of user mode of the process that has opened the file.
fn as_user<R: Send + 'static>(
    host: &Host,
    file: &File,
    program: impl FnOnce(&UserThread<'_>) -> R + Send + 'static,
) -> R {
    let (sender, receiver) = mpsc::channel();
    let thread = host.spawn_user(file, "user", move |user| {
        sender.send(program(user)).unwrap()
    });
    thread.unwrap().join(SOON).unwrap();
    receiver.recv().unwrap()
}

/// A loaded program in a session.
fn loaded(host: &Host, program: &ProgramBuf) -> (Arc<Handle>, u32) {
    let handle = Handle::open(host);
    let session = handle.load(0, program).unwrap();
    (Arc::new(handle), session)
}

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
fn a_wait_that_nobody_ends_halts_the_lane_and_the_iteration_has_timed_out() {
    let host = machine();
    let (handle, session) = loaded(&host, &waits());
    let run = begin(
        &handle,
        session,
        &RunRequest {
            wait_deadline_ms: 50,
            ..bounds(1)
        },
    );
    assert!(calls(&handle, session, 0, Some(0)).unwrap().halted);
    // The run does not wait for a lane that it has halted.
    let reply = ended(&run).unwrap();
    assert_eq!((reply.iterations, reply.timed_out), (1, 1));
    assert_eq!(reply.ended, Ended::Complete);
    assert!(handle.histogram(session).unwrap().is_empty());
    let late = calls(&handle, session, 0, None).unwrap_err();
    assert_eq!(late, status::OUT_OF_SEQUENCE);
    drop(handle);
    stop(host);
}

#[test]
fn a_lane_that_never_says_it_is_done_ends_with_the_runs_deadline() {
    let host = machine();
    let (handle, session) = loaded(&host, &asks());
    let begun = Instant::now();
    let run = begin(
        &handle,
        session,
        &RunRequest {
            deadline_ms: 200,
            ..bounds(1)
        },
    );
    assert!(!calls(&handle, session, 0, Some(0)).unwrap().halted);
    let reply = ended(&run).unwrap();
    assert_eq!((reply.iterations, reply.timed_out), (1, 1));
    assert_eq!(reply.ended, Ended::Complete);
    let elapsed = begun.elapsed();
    assert!(elapsed >= Duration::from_millis(200), "{elapsed:?}");
    assert!(elapsed < Duration::from_secs(2), "{elapsed:?}");
    drop(handle);
    stop(host);
}

/// Cancels in three ways, each in the midst of a call.
#[test]
fn cancelling_the_run_ends_a_call_that_waits() {
    for way in 0..3 {
        let host = machine();
        let (handle, session) = loaded(&host, &waits());
        let other = Handle::open(&host);
        let patient = RunRequest {
            wait_deadline_ms: 2000,
            ..bounds(1)
        };
        let run = begin(&handle, session, &patient);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| calls(&other, session, 0, Some(0)));
            until_it_waits(&handle, session);
            match way {
                0 => assert_eq!(handle.cancel(session), status::SUCCESS),
                1 => run.cancel().unwrap(),
                _ => Arc::into_inner(handle).unwrap().file.close().unwrap(),
            }
            let begun = Instant::now();
            assert!(waiting.join().unwrap().unwrap().halted);
            assert!(begun.elapsed() < Duration::from_secs(1));
        });
        assert_eq!(ended(&run).unwrap_err(), status::CANCELLED);
        drop(other);
        stop(host);
    }
}

#[test]
fn a_handle_that_closes_ends_only_what_came_through_it() {
    let host = machine();
    let (handle, session) = loaded(&host, &waits());
    let patient = RunRequest {
        wait_deadline_ms: 2000,
        ..bounds(1)
    };
    let run = begin(&handle, session, &patient);
    let other = Handle::open(&host);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| calls(&other, session, 0, Some(0)));
        until_it_waits(&handle, session);
        let third = Handle::open(&host);
        let busy = calls(&third, session, 0, Some(0)).unwrap_err();
        assert_eq!(busy, status::IN_USE);
        third.file.close().unwrap();
        let busy = calls(&handle, session, 0, Some(0)).unwrap_err();
        assert_eq!(busy, status::IN_USE, "the call goes on");
        assert_eq!(handle.cancel(session), status::SUCCESS);
        assert!(waiting.join().unwrap().unwrap().halted);
    });
    assert_eq!(ended(&run).unwrap_err(), status::CANCELLED);
    drop((handle, other));
    stop(host);
}

#[test]
fn removing_the_device_ends_a_call_and_what_is_held() {
    let mut host = machine();
    let mut lanes = waits().lanes;
    lanes[0].insert(0, Step::Start { apc: 0 });
    let program = ProgramBuf {
        apcs: held().apcs,
        ..callers(lanes, 2)
    };
    let (handle, session) = loaded(&host, &program);
    let patient = RunRequest {
        wait_deadline_ms: 2000,
        ..bounds(1)
    };
    let run = begin(&handle, session, &patient);
    let user = Arc::clone(&handle);
    let (sender, receiver) = mpsc::channel();
    let thread = host.spawn_user(&handle.file, "user", move |thread| {
        let event = thread.create_event().unwrap();
        let request = holds(thread, &user.file, session, 0, &event);
        let reply = calls_in(thread, &user.file, session, 0, Some(1));
        assert!(thread.wait(&event, SOON).unwrap());
        sender.send((reply, status_of(&request))).unwrap();
    });
    until_it_waits(&handle, session);
    host.surprise_remove().unwrap();
    let (reply, request) = receiver.recv().unwrap();
    assert!(reply.unwrap().halted);
    assert_eq!(request, Some(status::CANCELLED));
    // The framework decides whether the device leaves D0 while requests are still there.
    match ended(&run) {
        Ok(reply) => assert_eq!((reply.iterations, reply.timed_out), (1, 1)),
        Err(status) => assert_eq!(status, status::CANCELLED),
    }
    thread.unwrap().join(SOON).unwrap();
    drop(handle);
    stop(host);
}

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

/// The thread of a call is suspended, in a wait or between two steps, and stays so. The run does not wait for it
/// for long, and what the call works with outlives the run, the session and the handle.
fn left_behind(middle: &[Step]) {
    let host = machine();
    let steps = [&[Step::Set { event: 0 }], middle, &[Step::Set { event: 2 }]];
    let other = call(&[Step::Wait { event: 0 }]);
    let (handle, session) = loaded(&host, &callers(vec![call(&steps.concat()), other], 3));
    let begun = Instant::now();
    let run = begin(
        &handle,
        session,
        &RunRequest {
            deadline_ms: 300,
            ..bounds(1)
        },
    );
    let user = Handle::open(&host);
    let (sender, receiver) = mpsc::channel();
    let suspended = host.spawn_user(&handle.file, "suspended", move |thread| {
        let reply = calls_in(thread, &user.file, session, 0, Some(0));
        sender.send(reply).unwrap();
    });
    let suspended = suspended.unwrap();
    let target = suspended.user_ref();
    let user = Arc::clone(&handle);
    as_user(&host, &handle.file, move |thread| {
        calls_in(thread, &user.file, session, 1, Some(0)).unwrap();
        assert_eq!(thread.suspend(&target).unwrap(), 0);
    });
    let reply = ended(&run).unwrap();
    assert_eq!((reply.iterations, reply.timed_out), (1, 1));
    let elapsed = begun.elapsed();
    assert!(elapsed >= Duration::from_millis(2300), "{elapsed:?}");
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
    // The session runs something else meanwhile.
    handle.load(session, &asks()).unwrap();
    let next = begin(&handle, session, &bounds(1));
    assert!(!calls(&handle, session, 0, None).unwrap().halted);
    assert_eq!(ended(&next).unwrap().timed_out, 0);
    drop(handle);
    assert!(receiver.try_recv().is_err(), "it is still suspended");
    assert_eq!(host.resume(&suspended.user_ref()).unwrap(), 1);
    suspended.join(SOON).unwrap();
    let reply = receiver.recv().unwrap().unwrap();
    assert!(reply.halted, "it has not executed its last step");
    stop(host);
}

#[test]
fn a_call_that_is_suspended_in_a_wait_is_left_behind() {
    left_behind(&[Step::WaitFor {
        event: 1,
        to: 0,
        milliseconds: 10_000,
    }]);
}

#[test]
fn a_call_that_is_suspended_between_two_steps_is_left_behind() {
    let repeat = Step::Repeat {
        count: limits::ROUNDS,
        length: 60,
    };
    left_behind(&[&[repeat], &[Step::Irql { to: 0 }; 60][..], &[Step::End]].concat());
}

#[test]
fn what_is_open_in_a_call_nests_to_its_limit_within_the_stack() {
    let host = machine();
    let lock = 0;
    let scopes = limits::SCOPES - 1;
    let acquire = Step::Acquire {
        lock,
        mode: Mode::Exclusive,
    };
    let steps = [
        vec![Step::EnterCritical; limits::NESTING],
        vec![acquire; scopes],
        vec![Step::ApcsDisabled { to: 0 }],
        vec![Step::Release { lock }; scopes],
        vec![Step::LeaveCritical; limits::NESTING],
    ];
    let program = ProgramBuf {
        locks: vec![LockKind::Mutex],
        ..callers(vec![call(&steps.concat())], 0)
    };
    let (handle, session) = loaded(&host, &program);
    let run = begin(&handle, session, &bounds(1));
    let reply = calls(&handle, session, 0, Some(0)).unwrap();
    assert_eq!((reply.halted, reply.registers[0]), (false, 1));
    calls(&handle, session, 0, None).unwrap();
    ended(&run).unwrap();
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

#[test]
fn the_version_says_that_there_are_caller_lanes() {
    assert_eq!(apclab_protocol::VERSION, 3);
    let host = machine();
    let handle = Handle::open(&host);
    assert_eq!(handle.query().unwrap().limits, message::Limits::BUILT);
    drop(handle);
    stop(host);
}

/// What came of an iteration in which one lane starts a request and another completes it, in an order that the
/// seed decides.
fn raced(
    host: &Host,
    handle: &Arc<Handle>,
    session: u32,
    seed: u64,
    late: bool,
) -> (bool, NtStatus) {
    host.set_schedule(&Schedule::Random(seed)).unwrap();
    let shared = Arc::clone(handle);
    let seen = as_user(host, &handle.file, move |main| {
        let file = &shared.file;
        let over = main.create_event().unwrap();
        let input = request(session, &bounds(1).encode());
        let run = main.start_ioctl(file, ioctl::RUN, &input, RunReply::SIZE, &over);
        let lane = |program: Box<dyn FnOnce(&UserThread<'_>, &File) + Send>| {
            let shared = Arc::clone(&shared);
            let program = move |thread: &UserThread<'_>| {
                let file = &shared.file;
                program(thread, file);
            };
            main.spawn("lane", program).unwrap()
        };
        let (sender, receiver) = mpsc::channel();
        let held = sender.clone();
        let starts = lane(Box::new(move |thread, file| {
            if late {
                calls_in(thread, file, session, 0, None).unwrap();
            }
            let event = thread.create_event().unwrap();
            let request = holds(thread, file, session, 0, &event);
            if !late {
                calls_in(thread, file, session, 0, None).unwrap();
            }
            while status_of(&request).is_none() {
                assert!(thread.wait(&event, SOON).unwrap());
            }
            held.send((None, status_of(&request))).unwrap();
        }));
        let queues = lane(Box::new(move |thread, file| {
            let reply = calls_in(thread, file, session, 1, Some(0)).unwrap();
            calls_in(thread, file, session, 1, None).unwrap();
            sender.send((Some(reply.registers[0] == 1), None)).unwrap();
        }));
        assert!(main.wait(&over, SOON).unwrap());
        for thread in [&starts, &queues] {
            assert!(main.join(thread, SOON).unwrap());
        }
        assert!(run.unwrap().done().unwrap().is_some());
        receiver.try_iter().collect::<Vec<_>>()
    });
    let queued = seen.iter().find_map(|(queued, _)| *queued).unwrap();
    let status = seen.iter().find_map(|(_, status)| *status).unwrap();
    (queued, status)
}

fn race() -> ProgramBuf {
    let queues = call(&[Step::Queue {
        apc: 0,
        to: Some(0),
    }]);
    ProgramBuf {
        apcs: held().apcs,
        ..callers(vec![vec![Step::Start { apc: 0 }], queues], 0)
    }
}

/// A request that comes when its lane has said that it is done already meets the end of the iteration.
#[test]
fn in_no_order_a_request_is_lost_or_completed_twice() {
    for late in [false, true] {
        let host = machine_with(|options| options.schedule = Schedule::Random(0));
        let (handle, session) = loaded(&host, &race());
        let mut seen = BTreeSet::new();
        for seed in 0..300 {
            let (queued, status) = raced(&host, &handle, session, seed, late);
            assert_eq!(queued, status == status::SUCCESS, "seed {seed}");
            seen.insert(status);
        }
        let mut expected = BTreeSet::from([status::SUCCESS, status::CANCELLED]);
        if late {
            expected.insert(status::OUT_OF_SEQUENCE);
        }
        assert_eq!(seen, expected, "late: {late}");
        drop(handle);
        stop(host);
    }
}
