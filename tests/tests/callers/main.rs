//! Caller lanes by their IOCTLs: CALL and HOLD, from threads that behave and from such that do not.

mod abandoned;
mod any_moment;
mod borders;
mod conversations;
mod ends;
mod held;
mod orders;
mod steps;

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use apclab_host::{File, Host, Pending, UserEvent, UserThread};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::call::{CallReply, CallRequest, HoldRequest, Registers};
use apclab_protocol::ioctl;
use apclab_protocol::limits;
use apclab_protocol::message::{Reply, RunReply, RunRequest};
use apclab_protocol::program::{Apc, ApcKind, Event, EventKind};
use apclab_protocol::status::{self, NtStatus};
use apclab_protocol::step::Step;
use apclab_tests::{Answer, Handle, bounds, register, request};

pub(crate) const SOON: Duration = Duration::from_secs(8);
pub(crate) const ZERO: Registers = [0; limits::REGISTERS];

/// Steps as one call.
pub(crate) fn call(steps: &[Step]) -> Vec<Step> {
    let length = u32::try_from(steps.len()).unwrap();
    [&[Step::Call { length }], steps, &[Step::End]].concat()
}

/// Programs whose lanes are callers, with so many events.
pub(crate) fn callers(lanes: Vec<Vec<Step>>, events: usize) -> ProgramBuf {
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
pub(crate) fn asks() -> ProgramBuf {
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
pub(crate) fn waits() -> ProgramBuf {
    let waits = call(&[Step::Set { event: 1 }, Step::Wait { event: 0 }]);
    let learns = call(&[Step::Wait { event: 1 }]);
    callers(vec![waits, learns], 2)
}

/// Returns when the first lane of [`waits`] is in its call.
pub(crate) fn until_it_waits(handle: &Handle, session: u32) {
    assert!(!calls(handle, session, 1, Some(0)).unwrap().halted);
}

/// A lane with a completion that it starts, and calls that ask for it and queue it.
pub(crate) fn held() -> ProgramBuf {
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
pub(crate) const QUEUES: u32 = 1;
pub(crate) const ASKS: u32 = 6;

pub(crate) fn begin(handle: &Handle, session: u32, bounds: &RunRequest) -> Pending {
    let input = request(session, &bounds.encode());
    let output = RunReply::SIZE;
    handle.file.ioctl_async(ioctl::RUN, input, output).unwrap()
}

pub(crate) fn ended(run: &Pending) -> Answer<RunReply> {
    let (completion, output) = run.wait(SOON).unwrap();
    match completion.status {
        status::SUCCESS => Ok(RunReply::decode(&output).unwrap()),
        status => Err(status),
    }
}

/// Bounds of a run whose waits last as long as those of caller lanes may.
pub(crate) const fn patient() -> RunRequest {
    RunRequest {
        wait_deadline_ms: limits::CALLER_WAIT_DEADLINE_MS,
        ..bounds(1)
    }
}

/// A CALL of a lane whose registers are all 0.
pub(crate) fn call_request(session: u32, lane: u8, step: Option<u32>) -> Vec<u8> {
    let registers = ZERO;
    let call = CallRequest {
        lane,
        step,
        registers,
    };
    request(session, &call.encode())
}

/// A CALL in whatever thread the host has for it.
pub(crate) fn calls(
    handle: &Handle,
    session: u32,
    lane: u8,
    step: Option<u32>,
) -> Answer<CallReply> {
    let input = call_request(session, lane, step);
    let mut output = [0; CallReply::SIZE];
    match handle.raw(ioctl::CALL, &input, &mut output) {
        (status::SUCCESS, CallReply::SIZE) => Ok(CallReply::decode(&output).unwrap()),
        (status, written) => {
            assert_eq!(written, 0);
            Err(status)
        }
    }
}

/// A CALL in a thread of user mode.
pub(crate) fn calls_in(
    user: &UserThread<'_>,
    file: &File,
    session: u32,
    lane: u8,
    step: Option<u32>,
) -> Answer<CallReply> {
    let input = call_request(session, lane, step);
    let mut output = [0; CallReply::SIZE];
    let completion = user.ioctl(file, ioctl::CALL, &input, &mut output).unwrap();
    match completion.status {
        status::SUCCESS => Ok(CallReply::decode(&output).unwrap()),
        status => Err(status),
    }
}

pub(crate) fn holds(
    user: &UserThread<'_>,
    file: &File,
    session: u32,
    apc: u8,
    event: &UserEvent,
) -> Pending {
    let handle = event.handle();
    let body = HoldRequest { apc, event: handle }.encode();
    let input = request(session, &body);
    user.start_ioctl(file, ioctl::HOLD, &input, 0, event)
        .unwrap()
}

/// The status of a request of a user thread that has learnt of it.
pub(crate) fn status_of(pending: &Pending) -> Option<NtStatus> {
    let done = pending.done().unwrap();
    done.map(|(completion, _)| completion.status)
}

/// Executes something in a thread of user mode of the process that has opened the file.
pub(crate) fn as_user<R: Send + 'static>(
    host: &Host,
    file: &File,
    program: impl FnOnce(&UserThread<'_>) -> R + Send + 'static,
) -> R {
    let (sender, receiver) = mpsc::channel();
    let thread = host.spawn_user(file, "user", move |user| {
        sender.send(program(user)).unwrap();
    });
    thread.unwrap().join(SOON).unwrap();
    receiver.recv().unwrap()
}

/// A loaded program in a session.
pub(crate) fn loaded(host: &Host, program: &ProgramBuf) -> (Arc<Handle>, u32) {
    let handle = Handle::open(host);
    let session = handle.load(0, program).unwrap();
    (Arc::new(handle), session)
}
