//! Any bytes, any code, any order: an answer each time, the counters as they were, nothing left.
//!
//! The machine checks the rest: a changed counter or IRQL at the end of a request, a leak at the end
//! and a wrong access in between are bug checks or errors, and fail the test.

use std::time::Duration;

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::ioctl;
use apclab_protocol::limits;
use apclab_protocol::message::{Reply, RunReply, RunRequest};
use apclab_protocol::status;
use apclab_tests::programs::program;
use apclab_tests::{Handle, machine, request, stop};
use proptest::prelude::*;

fn code() -> impl Strategy<Value = u32> {
    prop_oneof![
        8 => prop::sample::select(ioctl::ALL.map(|(code, _)| code).to_vec()),
        1 => any::<u32>(),
    ]
}

/// One request of a random conversation.
#[derive(Clone, Debug)]
enum Move {
    Bytes(u32, Vec<u8>, usize),
    Body(u32, u32, Vec<u8>, usize),
    Load(Box<ProgramBuf>, Option<(prop::sample::Index, u8)>),
    Run(u32),
    Histogram,
    Trace,
    Cancel,
}

fn any_move() -> impl Strategy<Value = Move> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..80);
    prop_oneof![
        2 => (code(), bytes(), 0_usize..128).prop_map(|(c, b, o)| Move::Bytes(c, b, o)),
        2 => (code(), 0_u32..3, prop::collection::vec(any::<u64>(), 0..10), 0_usize..128)
            .prop_map(|(code, session, body, output)| {
                let body = body.into_iter().flat_map(u64::to_le_bytes).collect();
                Move::Body(code, session, body, output)
            }),
        4 => (program(), prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>())))
            .prop_map(|(program, change)| Move::Load(Box::new(program), change)),
        4 => (1_u32..40).prop_map(Move::Run),
        1 => Just(Move::Histogram),
        1 => Just(Move::Trace),
        1 => Just(Move::Cancel),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_conversation_harms_the_machine(moves in prop::collection::vec(any_move(), 1..24)) {
        let host = machine();
        let handle = Handle::open(&host);
        let mut session = 0;
        for next in moves {
            match next {
                Move::Bytes(code, input, output) => {
                    let (status, written) = handle.raw(code, &input, &mut vec![0; output]);
                    prop_assert!(written <= output);
                    prop_assert!(!status::is_error(status) || written == 0);
                }
                Move::Body(code, session, body, output) => {
                    // A random run could be valid and long.
                    if code != ioctl::RUN {
                        let (_, written) = handle.raw(code, &request(session, &body), &mut vec![0; output]);
                        prop_assert!(written <= output);
                    }
                }
                Move::Load(program, change) => {
                    let mut bytes = program.encode();
                    if let Some((at, value)) = change {
                        let at = at.index(bytes.len());
                        bytes[at] = value;
                    }
                    let (status, reply) = handle.load_bytes(session, &bytes);
                    prop_assert!(reply.is_some(), "{status:#x}");
                    if status == status::SUCCESS {
                        session = reply.map_or(0, |reply| reply.session);
                    }
                }
                Move::Run(iterations) => {
                    let bounds = RunRequest { iterations, deadline_ms: 60, wait_deadline_ms: 2, trace_iteration: 1, seed: 9, delay_us: iterations % 3 };
                    match handle.run(session, &bounds) {
                        Ok(reply) => prop_assert!(reply.iterations <= iterations),
                        Err(status) => prop_assert!(
                            // A changed byte can make lanes callers, which run one iteration.
                            [status::NO_SUCH_SESSION, status::OUT_OF_SEQUENCE, status::INVALID_PARAMETER].contains(&status),
                            "{status:#x}"
                        ),
                    }
                }
                Move::Histogram => drop(handle.histogram(session)),
                Move::Trace => drop(handle.trace(session)),
                Move::Cancel => drop(handle.cancel(session)),
            }
        }
        prop_assert!(handle.query().is_ok());
        drop(handle);
        stop(host);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Whatever program was accepted, cancelling it at any moment leaves its threads as they were:
    /// the machine looks at each when it ends.
    #[test]
    fn no_moment_of_cancelling_harms_a_thread(program in program(), micros in 0_u64..3000, close in any::<bool>()) {
        let host = machine();
        let handle = Handle::open(&host);
        if let Ok(session) = handle.load(0, &program) {
            let bounds = RunRequest {
                iterations: limits::ITERATIONS,
                deadline_ms: limits::RUN_DEADLINE_MS,
                wait_deadline_ms: limits::WAIT_DEADLINE_MS,
                trace_iteration: 1,
                seed: micros,
                delay_us: u32::from(close) * 20,
            };
            let input = request(session, &bounds.encode());
            let pending = handle.file.ioctl_async(ioctl::RUN, input, RunReply::SIZE).unwrap();
            std::thread::sleep(Duration::from_micros(micros));
            let still_open = if close {
                handle.file.close().unwrap();
                None
            } else {
                pending.cancel().unwrap();
                Some(handle)
            };
            let (completion, _) = pending.wait(Duration::from_secs(20)).unwrap();
            prop_assert_eq!(completion.status, status::CANCELLED);
            drop(still_open);
        } else {
            drop(handle);
        }
        stop(host);
    }
}
