//! Requests that meet the end of the iteration, in every order of threads.

use std::collections::BTreeSet;
use std::sync::{Arc, mpsc};

use apclab_host::{Host, Schedule, UserThread};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::ioctl;
use apclab_protocol::message::Reply as _;
use apclab_protocol::message::RunReply;
use apclab_protocol::status::{self, NtStatus};
use apclab_protocol::step::Step;
use apclab_tests::{Handle, bounds, machine_with, request, stop};

use crate::{SOON, as_user, call, callers, calls_in, held, holds, loaded, status_of};

/// One lane starts a request, the other completes it.
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

/// The first lane of [`race`]: starts its request, and when `late` says before that it is done. Gives what the
/// request was completed with.
fn starts(thread: &UserThread<'_>, handle: &Handle, session: u32, late: bool) -> NtStatus {
    let file = &handle.file;
    let done = || calls_in(thread, file, session, 0, None).unwrap();
    if late {
        done();
    }
    let event = thread.create_event().unwrap();
    let request = holds(thread, file, session, 0, &event);
    if !late {
        done();
    }
    loop {
        if let Some(status) = status_of(&request) {
            return status;
        }
        assert!(thread.wait(&event, SOON).unwrap());
    }
}

/// An iteration of [`race`] in an order that the seed decides: whether the request was there to be completed,
/// and its status.
fn raced(
    host: &Host,
    handle: &Arc<Handle>,
    session: u32,
    order: u64,
    late: bool,
) -> (bool, NtStatus) {
    host.set_schedule(&Schedule::Random(order)).unwrap();
    let shared = Arc::clone(handle);
    as_user(host, &handle.file, move |main| {
        let over = main.create_event().unwrap();
        let input = request(session, &bounds(1).encode());
        let run = main.start_ioctl(&shared.file, ioctl::RUN, &input, RunReply::SIZE, &over);
        let (sender, statuses) = mpsc::channel();
        let handle = Arc::clone(&shared);
        let first = main.spawn("starts", move |thread| {
            let status = starts(thread, &handle, session, late);
            sender.send(status).unwrap();
        });
        let (sender, answers) = mpsc::channel();
        let second = main.spawn("queues", move |thread| {
            let call = |step| calls_in(thread, &shared.file, session, 1, step).unwrap();
            let queued = call(Some(0)).registers[0] == 1;
            call(None);
            sender.send(queued).unwrap();
        });
        assert!(main.wait(&over, SOON).unwrap());
        for thread in [first, second] {
            assert!(main.join(&thread.unwrap(), SOON).unwrap());
        }
        let (completion, _) = run.unwrap().done().unwrap().unwrap();
        assert_eq!(completion.status, status::SUCCESS);
        (answers.recv().unwrap(), statuses.recv().unwrap())
    })
}

/// A request that comes when its lane has said that it is done already meets the end of the iteration.
#[test]
fn in_no_order_a_request_is_lost_or_completed_twice() {
    for late in [false, true] {
        let host = machine_with(|options| options.schedule = Schedule::Random(0));
        let (handle, session) = loaded(&host, &race());
        let mut seen = BTreeSet::new();
        for order in 0..300 {
            let (queued, status) = raced(&host, &handle, session, order, late);
            assert_eq!(queued, status == status::SUCCESS, "order {order}");
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
