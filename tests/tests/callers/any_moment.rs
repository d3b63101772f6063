//! Random calls, suspended, resumed and cancelled at any moment: nothing hangs, each thread leaves the kernel as
//! it entered it, and nothing stays behind. The machine looks at that.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use apclab_host::{Host, UserHandle, UserThread};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::message::RunRequest;
use apclab_protocol::program::{Apc, ApcKind, LockKind};
use apclab_protocol::status;
use apclab_protocol::step::{Mode, Step, WaitMode};
use apclab_tests::{Handle, bounds, machine, stop};
use proptest::prelude::*;

use crate::{SOON, begin, call, callers, calls, calls_in, ended, holds, status_of};

/// The locks of every program, in the order in which they may be waited for.
const LOCKS: [LockKind; 5] = [
    LockKind::FastMutex,
    LockKind::GuardedMutex,
    LockKind::Resource,
    LockKind::PushLock,
    LockKind::Mutex,
];

fn plain() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_u8..4).prop_map(|to| Step::ApcsDisabled { to }),
        (0_u8..2).prop_map(|event| Step::Set { event }),
        (0_u8..2).prop_map(|event| Step::Reset { event }),
        (0_u8..2, 0_u8..4).prop_map(|(apc, to)| Step::Queue { apc, to: Some(to) }),
        (0_u8..2, 0_u8..4).prop_map(|(apc, to)| Step::Ran { apc, to }),
    ]
}

fn waiting() -> impl Strategy<Value = Step> {
    let wait = (
        0_u8..2,
        0_u32..4,
        prop::sample::select(WaitMode::ALL.to_vec()),
    );
    prop_oneof![
        (0_u8..2, 0_u32..4).prop_map(|(event, milliseconds)| Step::WaitFor {
            event,
            to: 4,
            milliseconds
        }),
        (0_u8..2).prop_map(|event| Step::Wait { event }),
        wait.prop_map(|(event, milliseconds, mode)| Step::WaitAs {
            event,
            to: 5,
            milliseconds,
            mode
        }),
    ]
}

/// Steps inside of one thing more.
fn inside(around: u8, mut steps: Vec<Step>) -> Vec<Step> {
    let mode = Mode::Exclusive;
    let (before, after) = match around {
        0 => (vec![Step::EnterCritical], vec![Step::LeaveCritical]),
        1 => (vec![Step::EnterGuarded], vec![Step::LeaveGuarded]),
        2 => (vec![Step::RaiseApc], vec![Step::Lower]),
        lock => {
            let lock = lock - 3;
            let region = LOCKS[usize::from(lock)].shares();
            let mut before = vec![Step::Acquire { lock, mode }];
            let mut after = vec![Step::Release { lock }];
            if region {
                before.insert(0, Step::EnterCritical);
                after.push(Step::LeaveCritical);
            }
            (before, after)
        }
    };
    steps.splice(0..0, before);
    steps.extend(after);
    steps
}

/// One call: plain steps inside of something, then a wait, which may be inside of a region.
fn one_call() -> impl Strategy<Value = Vec<Step>> {
    let plain = prop::collection::vec(plain(), 1..5);
    (
        plain,
        prop::collection::vec(0_u8..8, 0..3),
        waiting(),
        0_u8..4,
    )
        .prop_map(|(steps, arounds, wait, region)| {
            let mut steps = arounds
                .into_iter()
                .fold(steps, |steps, around| inside(around, steps));
            steps.extend(match region {
                0 | 1 => inside(region, vec![wait]),
                _ => vec![wait],
            });
            call(&steps)
        })
}

pub(crate) fn program() -> impl Strategy<Value = ProgramBuf> {
    let lane = prop::collection::vec(one_call(), 1..4);
    prop::collection::vec(lane, 2..4).prop_map(|lanes| {
        let lanes = (0_u8..).zip(lanes).map(|(lane, calls)| {
            let starts = (lane < 2).then_some(Step::Start { apc: lane });
            starts.into_iter().chain(calls.concat()).collect()
        });
        let completion = |lane| Apc {
            kind: ApcKind::Completion,
            lane,
        };
        ProgramBuf {
            apcs: vec![completion(0), completion(1)],
            locks: LOCKS.to_vec(),
            ..callers(lanes.collect(), 2)
        }
    })
}

/// Executes a lane as a client does.
fn lane(thread: &UserThread<'_>, handle: &Handle, session: u32, number: u8, steps: &[Step]) {
    let file = &handle.file;
    let mut request = None;
    for (index, step) in (0..).zip(steps) {
        match step {
            Step::Start { apc } => {
                let event = thread.create_event().unwrap();
                request = Some((holds(thread, file, session, *apc, &event), event));
            }
            Step::Call { .. } => match calls_in(thread, file, session, number, Some(index)) {
                Ok(reply) if !reply.halted => {}
                _ => break,
            },
            _ => {}
        }
    }
    let _ = calls_in(thread, file, session, number, None);
    if let Some((request, event)) = request {
        if status_of(&request).is_none() {
            assert!(thread.wait(&event, SOON).unwrap());
        }
        let status = status_of(&request).unwrap();
        let known = [status::SUCCESS, status::CANCELLED, status::OUT_OF_SEQUENCE];
        assert!(known.contains(&status), "{status:#x}");
    }
}

fn threads(
    host: &Host,
    handle: &Arc<Handle>,
    session: u32,
    program: &ProgramBuf,
) -> Vec<UserHandle> {
    let lanes = (0_u8..).zip(program.lanes.clone());
    let lanes = lanes.map(|(number, steps)| {
        let shared = Arc::clone(handle);
        let body = move |thread: &UserThread<'_>| lane(thread, &shared, session, number, &steps);
        host.spawn_user(&handle.file, "lane", body).unwrap()
    });
    lanes.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn no_moment_harms_a_thread(
        program in program(),
        suspended in prop::collection::vec((0_usize..3, 0_u64..800), 0..4),
        cancelled in prop::option::of(0_u64..2000),
    ) {
        let host = machine();
        let handle = Arc::new(Handle::open(&host));
        let session = handle.load(0, &program);
        // A program that breaks a rule is not what this is about.
        prop_assume!(session.is_ok());
        let session = session.unwrap();
        let bounds = RunRequest { wait_deadline_ms: 5, deadline_ms: 3000, ..bounds(1) };
        let run = begin(&handle, session, &bounds);
        let lanes = threads(&host, &handle, session, &program);
        let targets: Vec<_> = lanes.iter().map(UserHandle::user_ref).collect();
        let suspends = Mutex::new(suspended);
        let chaos = host.spawn_user(&handle.file, "chaos", move |thread| {
            for (lane, micros) in suspends.into_inner().unwrap() {
                // A lane that has ended can be neither suspended nor resumed.
                let target = &targets[lane % targets.len()];
                std::thread::sleep(Duration::from_micros(micros));
                if thread.suspend(target).is_ok() {
                    std::thread::sleep(Duration::from_micros(800 - micros));
                    drop(thread.resume(target));
                }
            }
        });
        if let Some(micros) = cancelled {
            std::thread::sleep(Duration::from_micros(micros));
            let _ = handle.cancel(session);
        }
        chaos.unwrap().join(SOON).unwrap();
        match ended(&run) {
            Ok(reply) => prop_assert_eq!(reply.iterations, 1),
            Err(status) => prop_assert_eq!((status, cancelled.is_some()), (status::CANCELLED, true)),
        }
        for lane in lanes {
            lane.join(SOON).unwrap();
        }
        let late = calls(&handle, session, 0, None).unwrap_err();
        prop_assert_eq!(late, status::OUT_OF_SEQUENCE);
        drop(handle);
        stop(host);
    }
}
