//! How a run of callers ends when not every lane is done, and what becomes of its calls.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::call::CallReply;
use apclab_protocol::ioctl;
use apclab_protocol::limits;
use apclab_protocol::message::{Ended, Reply as _, RunRequest};
use apclab_protocol::status;
use apclab_protocol::step::Step;
use apclab_tests::{Handle, bounds, machine, stop};

use crate::{
    SOON, as_user, asks, begin, call, callers, calls, calls_in, ended, held, holds, loaded,
    patient, status_of, until_it_waits, waits,
};

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
        let run = begin(&handle, session, &patient());
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
    let run = begin(&handle, session, &patient());
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
    let run = begin(&handle, session, &patient());
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
    let begun = Instant::now();
    host.surprise_remove().unwrap();
    let (reply, request) = receiver.recv().unwrap();
    assert!(reply.unwrap().halted);
    assert_eq!(request, Some(status::CANCELLED));
    // The queue is not power-managed: nobody waits for the run before the device leaves D0.
    assert_eq!(ended(&run).unwrap_err(), status::CANCELLED);
    assert!(begun.elapsed() < Duration::from_secs(1));
    thread.unwrap().join(SOON).unwrap();
    // Its handles are still open, and their requests reach the driver.
    let late = calls(&handle, session, 0, None).unwrap_err();
    assert_eq!(late, status::REMOVED);
    assert_eq!(handle.load(0, &asks()).unwrap_err(), status::REMOVED);
    let again = begin(&handle, session, &bounds(1));
    assert_eq!(ended(&again).unwrap_err(), status::REMOVED);
    drop(handle);
    stop(host);
}

/// The handle that a call came through, and no other, is closed while the call waits.
#[test]
fn closing_the_handle_of_a_call_cancels_the_run() {
    let host = machine();
    let (handle, session) = loaded(&host, &waits());
    let run = begin(&handle, session, &patient());
    let other = Handle::open(&host);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| calls(&other, session, 0, Some(0)));
        until_it_waits(&handle, session);
        let begun = Instant::now();
        other.file.close_handle().unwrap();
        assert!(waiting.join().unwrap().unwrap().halted);
        assert!(begun.elapsed() < Duration::from_secs(1));
    });
    assert_eq!(ended(&run).unwrap_err(), status::CANCELLED);
    drop((handle, other));
    stop(host);
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

/// A thread that is suspended on its way out of the driver is still there when its request has been completed and
/// its handle closed. Then nothing but the driver itself keeps the driver's code.
#[test]
fn the_driver_stays_until_a_suspended_thread_has_left_it() {
    for attempt in 0..12 {
        let host = machine();
        let handle = Arc::new(Handle::open(&host));
        let user = Arc::clone(&handle);
        let leaving = host.spawn_user(&handle.file, "leaving", move |thread| {
            // Until the handle is closed, or the machine stopped.
            let sends = || thread.ioctl(&user.file, ioctl::CALL, &[], &mut [0; CallReply::SIZE]);
            while sends().is_ok_and(|completion| completion.status == status::INPUT_TOO_SHORT) {}
        });
        let leaving = leaving.unwrap();
        let target = leaving.user_ref();
        as_user(&host, &handle.file, move |thread| {
            std::thread::sleep(Duration::from_micros(attempt * 30));
            thread.suspend(&target).unwrap();
        });
        // Wherever it is, it stands still from now on.
        std::thread::sleep(Duration::from_millis(1));
        handle.file.close_handle().unwrap();
        let resumes = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(150));
            drop(leaving.resume());
        });
        stop(host);
        resumes.join().unwrap();
    }
}
