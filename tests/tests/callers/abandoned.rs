//! Calls, and requests that are held, whose requests are cancelled or whose threads terminate: the driver has no
//! cancel routine for them and learns of it by looking, so that the run is cancelled within a moment.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use apclab_host::{HostError, UserHandle, UserRef, UserThread};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::call::CallReply;
use apclab_protocol::ioctl;
use apclab_protocol::message::Reply as _;
use apclab_protocol::status;
use apclab_protocol::step::{Step, WaitMode};
use apclab_tests::{Handle, bounds, machine, stop};

use crate::{
    SOON, as_user, begin, call, call_request, callers, calls_in, ended, held, holds, loaded,
    patient, status_of, until_it_waits, waits,
};

/// How long the driver may take: it looks every 250 ms.
const LOOKS: Duration = Duration::from_secs(1);

/// A lane that waits in each of the ways in which a call can, for an event that nobody sets.
fn programs() -> Vec<ProgramBuf> {
    let learns = call(&[Step::Wait { event: 1 }]);
    let waits_as = |mode| Step::WaitAs {
        event: 0,
        to: 0,
        milliseconds: 2000,
        mode,
    };
    let modes = WaitMode::ALL.into_iter().map(waits_as);
    let programs = modes.map(|wait| {
        let waits = call(&[Step::Set { event: 1 }, wait]);
        callers(vec![waits, learns.clone()], 2)
    });
    programs.chain([waits()]).collect()
}

/// While the first lane of a program waits in its call, which came through a handle of its own, somebody does
/// something to it. Gives what its thread is told of the call.
fn disturbed(
    program: &ProgramBuf,
    disturbs: impl FnOnce(&UserThread<'_>, &Handle, &UserRef) + Send + 'static,
) -> Result<Option<CallReply>, HostError> {
    let host = machine();
    let (handle, session) = loaded(&host, program);
    let run = begin(&handle, session, &patient());
    let other = Arc::new(Handle::open(&host));
    let user = Arc::clone(&other);
    let (sender, told) = mpsc::channel();
    let waiting = host.spawn_user(&handle.file, "waiting", move |thread| {
        let (input, mut output) = (call_request(session, 0, Some(0)), [0; CallReply::SIZE]);
        let sent = thread.ioctl(&user.file, ioctl::CALL, &input, &mut output);
        sender
            .send(sent.map(|_| CallReply::decode(&output)))
            .unwrap();
    });
    let waiting: UserHandle = waiting.unwrap();
    until_it_waits(&handle, session);
    let begun = Instant::now();
    let target = waiting.user_ref();
    as_user(&host, &handle.file, move |thread| {
        disturbs(thread, &other, &target);
    });
    let told = told.recv().unwrap();
    assert!(begun.elapsed() < LOOKS, "{:?}", begun.elapsed());
    assert_eq!(ended(&run).unwrap_err(), status::CANCELLED);
    assert!(begun.elapsed() < LOOKS, "{:?}", begun.elapsed());
    waiting.join(SOON).unwrap();
    drop(handle);
    stop(host);
    told
}

#[test]
fn cancelling_the_request_of_a_call_cancels_the_run() {
    for program in programs() {
        let told = disturbed(&program, |thread, handle, _| {
            thread.cancel_all(&handle.file).unwrap();
        });
        assert!(told.unwrap().unwrap().halted);
    }
}

#[test]
fn a_thread_that_terminates_in_a_call_cancels_the_run() {
    for program in programs() {
        let told = disturbed(&program, |thread, _, target| {
            thread.terminate(target).unwrap();
        });
        assert_eq!(told.unwrap_err(), HostError::ThreadEnded);
    }
}

/// It terminates while its request is held: the driver ends the run before the thread asks it to.
#[test]
fn a_thread_that_terminates_with_a_request_held_cancels_the_run() {
    let host = machine();
    let (handle, session) = loaded(&host, &held());
    let run = begin(&handle, session, &bounds(1));
    let user = Arc::clone(&handle);
    let begun = Instant::now();
    as_user(&host, &handle.file, move |thread| {
        let event = thread.create_event().unwrap();
        let request = holds(thread, &user.file, session, 0, &event);
        assert_eq!(status_of(&request), None);
        let asks = calls_in(thread, &user.file, session, 0, Some(crate::ASKS));
        assert!(!asks.unwrap().halted);
        let terminated = thread.terminate(&thread.user_ref());
        assert_eq!(terminated.unwrap_err(), HostError::ThreadEnded);
    });
    assert_eq!(ended(&run).unwrap_err(), status::CANCELLED);
    assert!(begun.elapsed() < LOOKS, "{:?}", begun.elapsed());
    drop(handle);
    stop(host);
}
