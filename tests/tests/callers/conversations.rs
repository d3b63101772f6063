//! Random conversations of threads that mean harm: whatever they send, through whichever handle, and whenever
//! they suspend each other, withdraw a request, close a handle or lose the device, each request is answered,
//! each thread leaves the kernel as it entered it, and nothing stays behind.
//!
//! `APCLAB_CONVERSATIONS` says how many.

mod moves;
mod talk;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use apclab_host::{Host, HostError, UserHandle, UserThread};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::message::RunRequest;
use apclab_protocol::status;
use apclab_tests::{Handle, bounds, machine, stop};
use proptest::prelude::*;

use crate::{SOON, asks, begin, calls, ended};
use moves::{Actor, End, actor, end, program};
use talk::{Talked, World, ended_or, talk};

/// The process of most handles and threads, and another one.
const PROCESSES: [u64; 2] = [1000, 2000];
/// The handles of a conversation: all but the last one of the first process.
const HANDLES: usize = 4;

/// Waits until all threads have ended, and resumes whoever is suspended, after `patience`.
fn until_all_have_ended(host: &Host, users: &[UserHandle], patience: Duration) -> Talked<()> {
    const SLICE: Duration = Duration::from_millis(5);
    let begun = Instant::now();
    for user in users {
        while let Err(error) = user.join(SLICE) {
            if !matches!(error, HostError::NoAnswer(_)) || begun.elapsed() > SOON {
                return Err(error);
            }
            if begun.elapsed() < patience {
                continue;
            }
            for user in users {
                while host.resume(&user.user_ref())? > 1 {}
            }
        }
    }
    Ok(())
}

/// A conversation, with the deadline of the run that has begun before it, if one has; and whether those who
/// stay suspended stay so for longer than the driver waits for them.
fn conversation(
    program: ProgramBuf,
    begun: Option<u32>,
    actors: Vec<Actor>,
    end: End,
    patient: bool,
) {
    let mut host = machine();
    let open = |index| Handle::open_as(&host, PROCESSES[usize::from(index == HANDLES - 1)]);
    let world = Arc::new(World {
        handles: (0..HANDLES).map(open).collect(),
        program,
        session: AtomicU32::new(0),
        users: OnceLock::new(),
        wrong: Mutex::default(),
    });
    let first = &world.handles[0];
    let session = first.load(0, &world.program).unwrap();
    world.session.store(session, Ordering::Relaxed);
    let run = begun.map(|deadline_ms| {
        let bounds = RunRequest {
            deadline_ms,
            wait_deadline_ms: 10,
            ..bounds(1)
        };
        begin(first, session, &bounds)
    });
    let users: Vec<UserHandle> = actors
        .into_iter()
        .map(|Actor { foreign, moves }| {
            let process = if foreign { HANDLES - 1 } else { 0 };
            let shared = Arc::clone(&world);
            let body = move |user: &UserThread<'_>| {
                let talked = talk(&shared, user, &moves);
                // Whoever was terminated stops talking.
                if let Err(error) = ended_or(talked)
                    && !matches!(end, End::SwitchedOff(_))
                {
                    shared.wrong(error.to_string());
                }
            };
            host.spawn_user(&world.handles[process].file, "user", body)
                .unwrap()
        })
        .collect();
    let references = users.iter().map(UserHandle::user_ref).collect();
    assert!(world.users.set(references).is_ok());
    match end {
        End::Quiet => {}
        End::Removed(micros) => {
            std::thread::sleep(Duration::from_micros(micros));
            host.surprise_remove().unwrap();
        }
        End::SwitchedOff(micros) => {
            std::thread::sleep(Duration::from_micros(micros));
            let begun = Instant::now();
            drop(host);
            assert!(begun.elapsed() < Duration::from_secs(1));
            return;
        }
    }
    let patience = Duration::from_millis(if patient { 2500 } else { 20 });
    let joined = until_all_have_ended(&host, &users, patience);
    let wrong = std::mem::take(&mut *world.wrong.lock().unwrap());
    assert!(joined.is_ok() && wrong.is_empty(), "{joined:?} {wrong:?}");
    for handle in &world.handles {
        handle.file.close_handle().unwrap();
    }
    if let Some(run) = run {
        let (completion, _) = run.wait(SOON).unwrap();
        assert!(
            [status::SUCCESS, status::CANCELLED].contains(&completion.status),
            "{:#x}",
            completion.status
        );
    }
    if let End::Quiet = end {
        let handle = Handle::open(&host);
        let session = handle.load(0, &asks()).unwrap();
        let run = begin(&handle, session, &bounds(1));
        let call = calls(&handle, session, 0, Some(0)).unwrap();
        assert_eq!(call.registers[..3], [0, 1, 0]);
        calls(&handle, session, 0, None).unwrap();
        assert_eq!(ended(&run).unwrap().timed_out, 0);
    }
    stop(host);
}

fn cases() -> u32 {
    let number = std::env::var("APCLAB_CONVERSATIONS");
    number.map_or(256, |number| number.parse().expect("a number"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn no_conversation_of_hostile_threads_harms_the_machine(
        program in program(),
        begun in prop::option::weighted(0.8, 5_u32..60),
        actors in prop::collection::vec(actor(), 1..5),
        end in end(),
        patient in prop::bool::weighted(0.02),
    ) {
        conversation(program, begun, actors, end, patient);
    }
}
