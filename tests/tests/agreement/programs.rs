//! Small random programs whose lanes have to do with each other: most of them have several outcomes.

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::program::{Apc, ApcKind, Event, EventKind, LockKind, Observed, flags};
use apclab_protocol::step::{Mode, Step};
use proptest::prelude::*;

const LOCKS: [LockKind; 6] = [
    LockKind::FastMutex,
    LockKind::GuardedMutex,
    LockKind::Resource,
    LockKind::PushLock,
    LockKind::Mutex,
    LockKind::Resource,
];
const RESOURCE: u8 = 2;
const PUSH_LOCK: u8 = 3;
const MUTEX: u8 = 4;
/// A resource that is only tried, and handed over.
const TRIED: u8 = 5;
/// The time-outs that are results, in milliseconds.
const TIME_OUT: u32 = 1;

/// Steps that a body may have. What is written is a register of its own (`to`), so that no answer is
/// lost.
fn plain(apcs: std::ops::Range<u8>) -> impl Strategy<Value = Vec<Step>> {
    let one = prop_oneof![
        4 => apcs.prop_map(|apc| Step::Queue { apc, to: Some(0) }),
        3 => (0_u8..3).prop_map(|apc| Step::Ran { apc, to: 0 }),
        2 => (1_i64..4).prop_map(|constant| Step::Store { variable: 0, from: None, constant }),
        2 => Just(Step::Load { variable: 0, to: 0 }),
        1 => Just(Step::Set { event: 0 }),
        1 => Just(Step::Reset { event: 0 }),
        1 => Just(Step::ApcsDisabled { to: 0 }),
        1 => Just(Step::AllApcsDisabled { to: 0 }),
        1 => Just(Step::AcquiredShared { lock: RESOURCE, to: 0 }),
        1 => Just(Step::AcquiredExclusive { lock: RESOURCE, to: 0 }),
    ];
    one.prop_map(|step| vec![step])
}

fn blocking() -> impl Strategy<Value = Vec<Step>> {
    let timed = Step::WaitFor {
        event: 0,
        to: 0,
        milliseconds: TIME_OUT,
    };
    prop_oneof![Just(vec![Step::Wait { event: 0 }]), Just(vec![timed])]
}

/// Something around steps.
#[derive(Clone, Copy, Debug)]
enum Around {
    Critical,
    Guarded,
    Raise,
    /// A lock that wants no region.
    Acquire(u8),
    /// Which lock, and for how many milliseconds.
    Try(u8, u32),
    /// A resource or a push lock, in a region of its own.
    Share(u8, Mode),
    Combined(Mode),
    /// Exclusive, then shared.
    Convert,
    TryShare(Mode),
    HandOver(Mode),
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![
        3 => Just(Mode::Exclusive),
        3 => Just(Mode::Shared),
        1 => Just(Mode::SharedStarveExclusive),
        1 => Just(Mode::SharedWaitForExclusive),
    ]
}

fn around() -> impl Strategy<Value = Around> {
    prop_oneof![
        3 => Just(Around::Critical),
        3 => Just(Around::Guarded),
        1 => Just(Around::Raise),
        1 => (0..RESOURCE).prop_map(Around::Acquire),
        2 => Just(Around::Acquire(MUTEX)),
        2 => prop::sample::select(vec![0, 1, MUTEX]).prop_map(|lock| Around::Try(lock, 0)),
        1 => Just(Around::Try(MUTEX, TIME_OUT)),
        4 => mode().prop_map(|mode| Around::Share(RESOURCE, mode)),
        1 => prop::sample::select(vec![Mode::Exclusive, Mode::Shared])
            .prop_map(|mode| Around::Share(PUSH_LOCK, mode)),
        2 => mode().prop_map(Around::Combined),
        1 => Just(Around::Convert),
        2 => mode().prop_map(Around::TryShare),
        1 => mode().prop_map(Around::HandOver),
    ]
}

fn attempt(lock: u8, mode: Mode, milliseconds: u32, inner: &[Step], last: Step) -> Vec<Step> {
    let attempt = Step::Try {
        lock,
        mode,
        to: 0,
        milliseconds,
        length: u32::try_from(inner.len() + 1).unwrap_or(u32::MAX),
    };
    [&[attempt], inner, &[last, Step::End]].concat()
}

fn wrap(around: Around, inner: &[Step]) -> Vec<Step> {
    let scope = |before: Step, after: Step| [&[before], inner, &[after]].concat();
    match around {
        Around::Critical => scope(Step::EnterCritical, Step::LeaveCritical),
        Around::Guarded => scope(Step::EnterGuarded, Step::LeaveGuarded),
        Around::Raise => scope(Step::RaiseApc, Step::Lower),
        Around::Acquire(lock) => {
            let mode = Mode::Exclusive;
            scope(Step::Acquire { lock, mode }, Step::Release { lock })
        }
        Around::Share(lock, mode) => {
            let before = [Step::EnterCritical, Step::Acquire { lock, mode }];
            [
                &before,
                inner,
                &[Step::Release { lock }, Step::LeaveCritical],
            ]
            .concat()
        }
        Around::Combined(mode) => {
            let lock = RESOURCE;
            scope(
                Step::EnterAcquire { lock, mode },
                Step::ReleaseLeave { lock },
            )
        }
        Around::Convert => {
            let (lock, mode) = (RESOURCE, Mode::Exclusive);
            let before = [Step::EnterAcquire { lock, mode }, Step::Convert { lock }];
            [&before, inner, &[Step::ReleaseLeave { lock }]].concat()
        }
        Around::TryShare(mode) => {
            let tried = attempt(RESOURCE, mode, 0, inner, Step::Release { lock: RESOURCE });
            [&[Step::EnterCritical], &tried[..], &[Step::LeaveCritical]].concat()
        }
        Around::HandOver(mode) => {
            let lock = TRIED;
            let tried = attempt(lock, mode, 0, inner, Step::HandOver { lock });
            let release = Step::ReleaseFor {
                lock,
                lane: 0,
                to: 0,
            };
            let after = [release, Step::LeaveCritical];
            [&[Step::EnterCritical], &tried[..], &after].concat()
        }
        Around::Try(lock, milliseconds) => {
            let release = Step::Release { lock };
            attempt(lock, Mode::Exclusive, milliseconds, inner, release)
        }
    }
}

/// One or two parts in turn.
fn in_turn(part: BoxedStrategy<Vec<Step>>) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(part, 1..3).prop_map(|parts| parts.concat())
}

fn lane() -> impl Strategy<Value = Vec<Step>> {
    let leaf = prop_oneof![8 => plain(0..3), 1 => blocking()];
    let nested = leaf.prop_recursive(2, 6, 2, |inner| {
        (around(), in_turn(inner)).prop_map(|(around, inner)| wrap(around, &inner))
    });
    in_turn(nested.boxed())
}

/// Gives each step that answers a register of its own: the first ones. So many.
fn number_registers(steps: &mut [Step]) -> u8 {
    let mut next = 0;
    for step in steps {
        let (Step::ApcsDisabled { to }
        | Step::AllApcsDisabled { to }
        | Step::Irql { to }
        | Step::Ran { to, .. }
        | Step::WaitFor { to, .. }
        | Step::WaitAs { to, .. }
        | Step::Sleep { to, .. }
        | Step::Try { to, .. }
        | Step::Load { to, .. }
        | Step::AcquiredExclusive { to, .. }
        | Step::AcquiredShared { to, .. }
        | Step::ReleaseFor { to, .. }
        | Step::Suspend { to: Some(to), .. }
        | Step::Resume { to: Some(to), .. }
        | Step::Queue { to: Some(to), .. }) = step
        else {
            continue;
        };
        *to = next;
        next += 1;
    }
    next
}

/// Gives each step of lanes and bodies that answers a register of its own. What is observed then: these
/// registers, and the first variable.
pub(super) fn observe(lanes: &mut [Vec<Step>], bodies: &mut [Vec<Step>]) -> Vec<Observed> {
    let mut observed = Vec::new();
    for (lane, steps) in (0..).zip(lanes) {
        let answers = 0..number_registers(steps);
        observed.extend(answers.map(|register| Observed::Register { lane, register }));
    }
    for (apc, steps) in (0..).zip(bodies) {
        let answers = 0..number_registers(steps);
        observed.extend(answers.map(|register| Observed::ApcRegister { apc, register }));
    }
    observed.push(Observed::Variable(0));
    observed
}

/// A random program of two or three lanes, of which every answer and the variable are observed.
pub(super) fn program() -> impl Strategy<Value = ProgramBuf> {
    let lanes = prop::collection::vec((lane(), prop::bool::weighted(0.1)), 2..4);
    // A body queues only what is declared behind its own APC.
    let bodies = (
        prop::option::weighted(0.4, plain(1..3)),
        prop::option::weighted(0.4, plain(2..3)),
    );
    let event = prop_oneof![
        Just(EventKind::Notification),
        Just(EventKind::Synchronization)
    ];
    // Where locks may be taken in any order, some programs deadlock.
    let may_deadlock = prop::bool::weighted(0.15);
    (lanes, bodies, event, may_deadlock).prop_map(|(lanes, (first, second), kind, may_deadlock)| {
        let last = u8::try_from(lanes.len() - 1).unwrap_or(0);
        let (mut lanes, raw): (Vec<_>, Vec<_>) = lanes.into_iter().unzip();
        let mut bodies = vec![first.unwrap_or_default(), second.unwrap_or_default()];
        let observed = observe(&mut lanes, &mut bodies);
        ProgramBuf {
            variables: vec![0],
            events: vec![Event {
                kind,
                signaled: false,
            }],
            apcs: vec![
                Apc {
                    kind: ApcKind::Normal,
                    lane: 0,
                },
                Apc {
                    kind: ApcKind::Special,
                    lane: 0,
                },
                Apc {
                    kind: ApcKind::Normal,
                    lane: last,
                },
            ],
            bodies,
            locks: LOCKS.to_vec(),
            observed,
            lanes,
            raw,
            callers: Vec::new(),
            flags: if may_deadlock { flags::MAY_DEADLOCK } else { 0 },
        }
    })
}
