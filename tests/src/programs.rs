//! Random programs, most of them such as the verifier accepts.

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::program::{Apc, ApcKind, Event, EventKind, LockKind, Observed};
use apclab_protocol::step::Step;
use proptest::prelude::*;

/// The locks of every random program: two that raise, in order, and a mutex.
const LOCKS: [LockKind; 3] = [LockKind::FastMutex, LockKind::GuardedMutex, LockKind::Mutex];

fn register() -> impl Strategy<Value = u8> {
    0_u8..4
}

/// A step that a body may have too.
fn plain() -> impl Strategy<Value = Step> {
    prop_oneof![
        register().prop_map(|to| Step::ApcsDisabled { to }),
        register().prop_map(|to| Step::AllApcsDisabled { to }),
        register().prop_map(|to| Step::Irql { to }),
        (0_u8..4, prop::option::of(register())).prop_map(|(apc, to)| Step::Queue { apc, to }),
        (0_u8..4, register()).prop_map(|(apc, to)| Step::Ran { apc, to }),
        (0_u8..2).prop_map(|event| Step::Set { event }),
        (0_u8..2).prop_map(|event| Step::Reset { event }),
        (0_u8..2, prop::option::of(register()), -9_i64..9).prop_map(
            |(variable, from, constant)| Step::Store {
                variable,
                from,
                constant
            }
        ),
        (0_u8..2, register()).prop_map(|(variable, to)| Step::Load { variable, to }),
    ]
}

fn blocking() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Barrier),
        (0_u8..2).prop_map(|event| Step::Wait { event }),
        (0_u8..2, register(), 0_u32..2).prop_map(|(event, to, milliseconds)| Step::WaitFor {
            event,
            to,
            milliseconds
        }),
    ]
}

/// Something around steps.
#[derive(Clone, Copy, Debug)]
enum Around {
    Critical,
    Guarded,
    Raise,
    Acquire(u8),
    Try(u8, u8, u32),
    Repeat(u32),
    /// Legal in a raw lane only.
    Crossed,
}

fn around() -> impl Strategy<Value = Around> {
    prop_oneof![
        3 => Just(Around::Critical),
        3 => Just(Around::Guarded),
        1 => Just(Around::Raise),
        2 => (0_u8..3).prop_map(Around::Acquire),
        2 => (0_u8..3, register(), 0_u32..2).prop_map(|(lock, to, ms)| Around::Try(lock, to, ms)),
        1 => (1_u32..4).prop_map(Around::Repeat),
        1 => Just(Around::Crossed),
    ]
}

fn wrap(around: Around, inner: Vec<Step>) -> Vec<Step> {
    let length = |steps: &[Step]| u32::try_from(steps.len()).unwrap_or(u32::MAX);
    let (before, inner, after) = match around {
        Around::Critical => (vec![Step::EnterCritical], inner, vec![Step::LeaveCritical]),
        Around::Guarded => (vec![Step::EnterGuarded], inner, vec![Step::LeaveGuarded]),
        Around::Raise => (vec![Step::RaiseApc], inner, vec![Step::Lower]),
        Around::Acquire(lock) => (
            vec![Step::Acquire { lock }],
            inner,
            vec![Step::Release { lock }],
        ),
        Around::Try(lock, to, milliseconds) => {
            let timed = LOCKS.get(usize::from(lock)) == Some(&LockKind::Mutex);
            let milliseconds = if timed { milliseconds } else { 0 };
            let inner = [inner, vec![Step::Release { lock }]].concat();
            let attempt = Step::Try {
                lock,
                to,
                milliseconds,
                length: length(&inner),
            };
            (vec![attempt], inner, vec![Step::End])
        }
        Around::Repeat(count) => (
            vec![Step::Repeat {
                count,
                length: length(&inner),
            }],
            inner,
            vec![Step::End],
        ),
        Around::Crossed => (
            vec![Step::EnterCritical, Step::EnterGuarded],
            inner,
            vec![Step::LeaveCritical, Step::LeaveGuarded],
        ),
    };
    [before, inner, after].concat()
}

fn lane() -> impl Strategy<Value = Vec<Step>> {
    let leaf = prop_oneof![6 => plain(), 1 => blocking()].prop_map(|step| vec![step]);
    let nested = leaf.prop_recursive(4, 24, 4, |inner| {
        let inner = prop::collection::vec(inner, 0..4).prop_map(|parts| parts.concat());
        (around(), inner).prop_map(|(around, inner)| wrap(around, inner))
    });
    prop::collection::vec(nested, 0..4).prop_map(|parts| parts.concat())
}

/// A random program of up to three lanes.
pub fn program() -> impl Strategy<Value = ProgramBuf> {
    let lanes = prop::collection::vec((lane(), any::<bool>()), 1..4);
    let bodies = prop::collection::vec(prop::collection::vec(plain(), 0..3), 0..4);
    (lanes, bodies).prop_map(|(lanes, bodies)| {
        let last = u8::try_from(lanes.len() - 1).unwrap_or(0);
        let apc = |kind, lane| Apc { kind, lane };
        let (lanes, raw) = lanes.into_iter().unzip();
        ProgramBuf {
            variables: vec![0, 3],
            events: vec![
                Event {
                    kind: EventKind::Notification,
                    signaled: true,
                },
                Event {
                    kind: EventKind::Synchronization,
                    signaled: false,
                },
            ],
            apcs: vec![
                apc(ApcKind::Special, 0),
                apc(ApcKind::Normal, 0),
                apc(ApcKind::Special, last),
                apc(ApcKind::Normal, last),
            ],
            bodies,
            locks: LOCKS.to_vec(),
            observed: vec![
                Observed::Register {
                    lane: last,
                    register: 1,
                },
                Observed::ApcRegister {
                    apc: 1,
                    register: 0,
                },
                Observed::Variable(0),
            ],
            lanes,
            raw,
        }
    })
}
