//! What hostile threads do, by chance.

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::ioctl;
use apclab_protocol::program::{Apc, ApcKind, Program};
use apclab_protocol::step::Step;
use apclab_protocol::verify::{Machine, verify};
use proptest::prelude::*;
use proptest::sample::Index;

use super::HANDLES;
use crate::any_moment;

/// Which event a HOLD names.
#[derive(Clone, Debug)]
pub(super) enum Named {
    /// The one that its completion signals.
    Own,
    /// Another one.
    Another,
    /// One whose handle is closed.
    Closed,
    /// None at all.
    Nothing(u64),
}

/// What a thread does next.
#[derive(Clone, Debug)]
pub(super) enum Move {
    Load {
        fresh: bool,
        change: Option<(Index, u8)>,
    },
    Run {
        iterations: u32,
        deadline_ms: u32,
        wait_deadline_ms: u32,
    },
    /// One call, with so many bytes missing of the input and the output.
    Call {
        lane: u8,
        step: Which,
        register: i64,
        missing: (usize, usize),
    },
    /// All calls of a lane, in their order.
    Lane(u8),
    Hold {
        apc: u8,
        event: Named,
    },
    /// Cancels a request of this thread's that is pending.
    Withdraw(Index),
    /// Cancels all that was sent through the handle.
    WithdrawAll,
    /// Waits for a request of this thread's that is pending.
    Await(Index, u64),
    Cancel,
    Page(u32),
    Bytes(u32, Vec<u8>, usize),
    Close,
    /// Suspends a thread, and resumes it after so many microseconds if that is said.
    Suspend(Index, Option<u64>),
    Resume(Index),
    Queue(Index, bool),
    Terminate(Index),
    Sleep(u32, bool),
}

/// The `call` that is meant.
#[derive(Clone, Debug)]
pub(super) enum Which {
    Call(Index),
    Any(u32),
    Done,
}

/// One thread: its process, and for each move the handle that it uses.
#[derive(Clone, Debug)]
pub(super) struct Actor {
    pub(super) foreign: bool,
    pub(super) moves: Vec<(usize, Move)>,
}

/// How a conversation ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// All threads come to their ends.
    Quiet,
    /// The device is pulled out after so many microseconds.
    Removed(u64),
    /// The machine is switched off after so many.
    SwitchedOff(u64),
}

fn named() -> impl Strategy<Value = Named> {
    prop_oneof![
        6 => Just(Named::Own),
        1 => Just(Named::Another),
        1 => Just(Named::Closed),
        1 => prop_oneof![Just(0), Just(u64::MAX), 1_u64..64, any::<u64>()].prop_map(Named::Nothing),
    ]
}

fn step() -> impl Strategy<Value = Which> {
    prop_oneof![
        8 => any::<Index>().prop_map(Which::Call),
        1 => prop_oneof![0_u32..40, any::<u32>()].prop_map(Which::Any),
        1 => Just(Which::Done),
    ]
}

fn any_move() -> impl Strategy<Value = Move> {
    let missing = prop_oneof![
        12 => Just((0, 0)),
        1 => (1_usize..200, Just(0)),
        1 => (Just(0), 1_usize..200),
    ];
    let code = || prop::sample::select(ioctl::ALL.map(|(code, _)| code).to_vec());
    prop_oneof![
        2 => (any::<bool>(), prop::option::weighted(0.3, any::<(Index, u8)>()))
            .prop_map(|(fresh, change)| Move::Load { fresh, change }),
        8 => (prop_oneof![8 => Just(1_u32), 1 => 0_u32..4], 5_u32..60, prop_oneof![8 => 1_u32..20, 1 => 1_u32..4000])
            .prop_map(|(iterations, deadline_ms, wait_deadline_ms)| Move::Run { iterations, deadline_ms, wait_deadline_ms }),
        10 => (prop_oneof![8 => 0_u8..4, 1 => any::<u8>()], step(), any::<i64>(), missing)
            .prop_map(|(lane, step, register, missing)| Move::Call { lane, step, register, missing }),
        6 => (0_u8..4).prop_map(Move::Lane),
        5 => (prop_oneof![8 => 0_u8..3, 1 => any::<u8>()], named())
            .prop_map(|(apc, event)| Move::Hold { apc, event }),
        3 => any::<Index>().prop_map(Move::Withdraw),
        2 => (any::<Index>(), 0_u64..20).prop_map(|(which, ms)| Move::Await(which, ms)),
        3 => Just(Move::Cancel),
        1 => prop::sample::select(vec![ioctl::QUERY, ioctl::HISTOGRAM, ioctl::TRACE]).prop_map(Move::Page),
        1 => (code(), prop::collection::vec(any::<u8>(), 0..200), 0_usize..200)
            .prop_map(|(code, bytes, output)| Move::Bytes(code, bytes, output)),
        1 => Just(Move::Close),
        1 => Just(Move::WithdrawAll),
        1 => any::<Index>().prop_map(Move::Terminate),
        4 => (any::<Index>(), prop::option::weighted(0.8, 0_u64..3000))
            .prop_map(|(who, micros)| Move::Suspend(who, micros)),
        2 => any::<Index>().prop_map(Move::Resume),
        3 => (any::<Index>(), any::<bool>()).prop_map(|(who, special)| Move::Queue(who, special)),
        2 => (0_u32..4, any::<bool>()).prop_map(|(ms, alertable)| Move::Sleep(ms, alertable)),
    ]
}

pub(super) fn actor() -> impl Strategy<Value = Actor> {
    let moves = prop::collection::vec((0..HANDLES, any_move()), 1..16);
    (prop::bool::weighted(0.15), moves).prop_map(|(foreign, moves)| Actor { foreign, moves })
}

pub(super) fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        6 => Just(End::Quiet),
        2 => (0_u64..20_000).prop_map(End::Removed),
        1 => (0_u64..20_000).prop_map(End::SwitchedOff),
    ]
}

/// Steps of a call as those of a lane of the driver's.
fn of_kernel(steps: &[Step]) -> Vec<Step> {
    let steps = steps.iter().filter_map(|step| match *step {
        Step::Start { .. } | Step::Call { .. } | Step::End => None,
        Step::WaitAs {
            event,
            to,
            milliseconds,
            ..
        } => Some(Step::WaitFor {
            event,
            to,
            milliseconds,
        }),
        step => Some(step),
    });
    steps.collect()
}

/// Programs of caller lanes, most of them with a lane of the driver's, whose APC completes a request.
pub(super) fn program() -> impl Strategy<Value = ProgramBuf> {
    let programs = (any_moment::program(), any::<bool>()).prop_map(|(mut program, kernel)| {
        if kernel && let Some(last) = program.lanes.last() {
            let mut steps = of_kernel(last);
            steps.insert(
                0,
                Step::Queue {
                    apc: 2,
                    to: Some(6),
                },
            );
            let lane = u8::try_from(program.lanes.len()).unwrap();
            program.lanes.push(steps);
            program.callers.push(false);
            program.apcs.push(Apc {
                kind: ApcKind::Special,
                lane,
            });
            let completes = Step::Queue {
                apc: 0,
                to: Some(0),
            };
            program.bodies = vec![vec![], vec![], vec![completes]];
        }
        program
    });
    // What is refused is loaded by changed bytes.
    programs.prop_filter("refused", |program| {
        let bytes = program.encode();
        Program::parse(&bytes).is_ok_and(|program| verify(&program, Machine::COMPLETE).is_ok())
    })
}
