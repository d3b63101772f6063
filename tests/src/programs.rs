//! Random programs, most of them such as the verifier accepts.

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::program::{Apc, ApcKind, Event, EventKind, LockKind, Observed, flags};
use apclab_protocol::step::{Mode, Step};
use proptest::prelude::*;

/// The locks of every random program, in the order in which they may be waited for.
const LOCKS: [LockKind; 6] = [
    LockKind::FastMutex,
    LockKind::GuardedMutex,
    LockKind::Resource,
    LockKind::PushLock,
    LockKind::Mutex,
    LockKind::Resource,
];
const RESOURCE: u8 = 2;
/// One that can be handed over, since it is only tried.
const TRIED: u8 = 5;

fn kind(lock: u8) -> LockKind {
    LOCKS[usize::from(lock)]
}

fn mode() -> impl Strategy<Value = Mode> {
    prop::sample::select(Mode::ALL.to_vec())
}

/// The mode, where the lock has it.
fn fitting(lock: u8, mode: Mode) -> Mode {
    if kind(lock).has(mode) {
        mode
    } else {
        Mode::Exclusive
    }
}

fn resource() -> impl Strategy<Value = u8> {
    prop_oneof![Just(RESOURCE), Just(TRIED)]
}

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
        (resource(), register()).prop_map(|(lock, to)| Step::AcquiredExclusive { lock, to }),
        (resource(), register()).prop_map(|(lock, to)| Step::AcquiredShared { lock, to }),
        (resource(), register()).prop_map(|(lock, to)| Step::ExclusiveWaiters { lock, to }),
        (resource(), register()).prop_map(|(lock, to)| Step::SharedWaiters { lock, to }),
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
    Acquire(u8, Mode),
    Try(u8, Mode, u8, u32),
    /// Acquire and convert.
    Convert(Mode),
    /// The combined forms.
    Combined(Mode),
    /// A resource is tried, and handed over at the end.
    HandOver(Mode),
    Repeat(u32),
    /// Legal in a raw lane only.
    Crossed,
}

fn around() -> impl Strategy<Value = Around> {
    prop_oneof![
        3 => Just(Around::Critical),
        3 => Just(Around::Guarded),
        1 => Just(Around::Raise),
        3 => (0..TRIED, mode()).prop_map(|(lock, mode)| Around::Acquire(lock, mode)),
        3 => (0_u8..6, mode(), register(), 0_u32..2)
            .prop_map(|(lock, mode, to, ms)| Around::Try(lock, mode, to, ms)),
        1 => mode().prop_map(Around::Convert),
        2 => mode().prop_map(Around::Combined),
        1 => mode().prop_map(Around::HandOver),
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
        Around::Acquire(lock, mode) => {
            let mode = fitting(lock, mode);
            let before = Step::Acquire { lock, mode };
            (vec![before], inner, vec![Step::Release { lock }])
        }
        Around::Try(lock, mode, to, milliseconds) => {
            let milliseconds = if kind(lock) == LockKind::Mutex {
                milliseconds
            } else {
                0
            };
            let inner = [inner, vec![Step::Release { lock }]].concat();
            let attempt = Step::Try {
                lock,
                mode: fitting(lock, mode),
                to,
                milliseconds,
                length: length(&inner),
            };
            (vec![attempt], inner, vec![Step::End])
        }
        Around::Convert(mode) => {
            let lock = RESOURCE;
            let before = vec![Step::Acquire { lock, mode }, Step::Convert { lock }];
            (before, inner, vec![Step::Release { lock }])
        }
        Around::Combined(mode) => {
            let lock = RESOURCE;
            let before = Step::EnterAcquire { lock, mode };
            (vec![before], inner, vec![Step::ReleaseLeave { lock }])
        }
        Around::HandOver(mode) => {
            let lock = TRIED;
            let inner = [inner, vec![Step::HandOver { lock }]].concat();
            let attempt = Step::Try {
                lock,
                mode,
                to: 0,
                milliseconds: 0,
                length: length(&inner),
            };
            let release = Step::ReleaseFor {
                lock,
                lane: 0,
                to: 1,
            };
            (vec![attempt], inner, vec![Step::End, release])
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
    // Mostly as it is; now and then polled, which never blocks for good.
    let flags = prop_oneof![4 => Just(0), 1 => Just(flags::POLLED), 1 => Just(flags::ALL)];
    let bodies = prop::collection::vec(prop::collection::vec(plain(), 0..3), 0..4);
    (lanes, bodies, flags).prop_map(|(lanes, bodies, flags)| {
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
            callers: Vec::new(),
            flags,
        }
    })
}
