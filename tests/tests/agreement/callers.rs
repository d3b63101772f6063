//! Small random programs with caller lanes, and now and then a lane of the driver's.

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::program::{Apc, ApcKind, Event, EventKind, LockKind};
use apclab_protocol::step::{Mode, Step, WaitMode};
use proptest::prelude::*;

use super::programs::observe;

const LOCKS: [LockKind; 6] = [
    LockKind::CriticalSection,
    LockKind::CriticalSection,
    LockKind::FastMutex,
    LockKind::GuardedMutex,
    LockKind::Mutex,
    LockKind::Resource,
];
/// Those among them that are critical sections.
const SECTIONS: u8 = 2;
const FAST_MUTEX: u8 = 2;
const GUARDED_MUTEX: u8 = 3;
const MUTEX: u8 = 4;
const RESOURCE: u8 = 5;
const EVENTS: u8 = 2;
/// The APCs of user mode: one to each of two caller lanes, and a special one to either.
const USER: std::ops::Range<u8> = 0..3;
const COMPLETION: u8 = 3;
/// The APCs to the driver's lane, if there is one.
const KERNEL: std::ops::Range<u8> = 4..6;
/// The time-outs in milliseconds: a look, and one that is a result.
const TIME_OUTS: std::ops::Range<u32> = 0..2;

/// A kernel step that a body may have too.
fn plain() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..EVENTS).prop_map(|event| Step::Set { event }),
        1 => (0..EVENTS).prop_map(|event| Step::Reset { event }),
        1 => Just(Step::Load { variable: 0, to: 0 }),
        2 => (1..4_i64).prop_map(|constant| Step::Store { variable: 0, from: None, constant }),
        3 => Just(Step::Queue { apc: COMPLETION, to: Some(0) }),
        2 => Just(Step::Ran { apc: COMPLETION, to: 0 }),
        1 => Just(Step::ApcsDisabled { to: 0 }),
        1 => Just(Step::AllApcsDisabled { to: 0 }),
    ]
}

/// A kernel step that waits, if there is something to wait for.
fn wait() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..EVENTS).prop_map(|event| Step::Wait { event }),
        2 => (0..EVENTS, TIME_OUTS)
            .prop_map(|(event, milliseconds)| Step::WaitFor { event, to: 0, milliseconds }),
    ]
}

/// The waits of caller lanes alone.
fn wait_as() -> impl Strategy<Value = Step> {
    let modes = prop_oneof![
        1 => Just(WaitMode::User),
        1 => Just(WaitMode::KernelAlertable),
        2 => Just(WaitMode::UserAlertable),
    ];
    (0..EVENTS, TIME_OUTS, modes).prop_map(|(event, milliseconds, mode)| Step::WaitAs {
        event,
        to: 0,
        milliseconds,
        mode,
    })
}

fn length(steps: &[Step]) -> u32 {
    u32::try_from(steps.len()).unwrap_or(u32::MAX)
}

fn block(begin: impl Fn(u32) -> Step, inner: &[Step]) -> Vec<Step> {
    [&[begin(length(inner))], inner, &[Step::End]].concat()
}

fn tried(lock: u8, milliseconds: u32, inner: &[Step]) -> Vec<Step> {
    let attempt = |length| Step::Try {
        lock,
        mode: Mode::Exclusive,
        to: 0,
        milliseconds,
        length,
    };
    block(attempt, &[inner, &[Step::Release { lock }]].concat())
}

fn repeated(inner: &[Step]) -> Vec<Step> {
    block(|length| Step::Repeat { count: 2, length }, inner)
}

/// Something around kernel steps.
#[derive(Clone, Copy, Debug)]
enum Around {
    Critical,
    Guarded,
    Raise,
    Acquire(u8),
    Try(u8, u32),
    Share(Mode),
    Repeat,
}

fn around() -> impl Strategy<Value = Around> {
    prop_oneof![
        3 => Just(Around::Critical),
        3 => Just(Around::Guarded),
        1 => Just(Around::Raise),
        1 => prop::sample::select(vec![FAST_MUTEX, GUARDED_MUTEX, MUTEX, MUTEX])
            .prop_map(Around::Acquire),
        1 => TIME_OUTS.prop_map(|milliseconds| Around::Try(MUTEX, milliseconds)),
        1 => prop::sample::select(vec![Mode::Exclusive, Mode::Shared]).prop_map(Around::Share),
        1 => Just(Around::Repeat),
    ]
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
        Around::Try(lock, milliseconds) => tried(lock, milliseconds, inner),
        Around::Share(mode) => {
            let lock = RESOURCE;
            scope(
                Step::EnterAcquire { lock, mode },
                Step::ReleaseLeave { lock },
            )
        }
        Around::Repeat => repeated(inner),
    }
}

/// Kernel steps; those that wait are given.
fn kernel_steps(
    waits: BoxedStrategy<Step>,
    most: usize,
) -> impl Strategy<Value = Vec<Step>> + use<> {
    let leaf = prop_oneof![3 => plain(), 2 => waits].prop_map(|step| vec![step]);
    let nested = leaf.prop_recursive(2, 4, 2, |inner| {
        let inner = prop::collection::vec(inner, 1..3);
        (around(), inner).prop_map(|(around, parts)| wrap(around, &parts.concat()))
    });
    prop::collection::vec(nested, 1..=most).prop_map(|parts| parts.concat())
}

/// A call, with the lane's own user APC ahead of it or not.
fn call(lane: u8) -> impl Strategy<Value = Vec<Step>> {
    let waits = prop_oneof![1 => wait(), 3 => wait_as()].boxed();
    (any::<bool>(), kernel_steps(waits, 2)).prop_map(move |(queued, steps)| {
        let call = block(|length| Step::Call { length }, &steps);
        let own = Step::Queue {
            apc: lane,
            to: Some(0),
        };
        [&[own][..usize::from(queued)], &call].concat()
    })
}

/// One step of user mode.
fn user_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => USER.prop_map(|apc| Step::Queue { apc, to: Some(0) }),
        3 => USER.prop_map(|apc| Step::Ran { apc, to: 0 }),
        3 => (TIME_OUTS, prop::bool::weighted(0.8)).prop_map(|(milliseconds, alertable)| {
            Step::Sleep { milliseconds, alertable, to: 0 }
        }),
        // Not balanced: who is suspended may stay so.
        1 => (any::<bool>(), 0..2_u8).prop_map(|(suspend, lane)| {
            let to = Some(0);
            if suspend { Step::Suspend { lane, to } } else { Step::Resume { lane, to } }
        }),
    ]
}

/// Something around steps of user mode.
#[derive(Clone, Copy, Debug)]
enum UserAround {
    /// Suspended for so long.
    Suspended(u8),
    Section(u8),
    Try(u8),
    Repeat,
}

fn user_wrap(around: UserAround, inner: &[Step]) -> Vec<Step> {
    let scope = |before: Step, after: Step| [&[before], inner, &[after]].concat();
    match around {
        UserAround::Suspended(lane) => {
            let to = Some(0);
            scope(Step::Suspend { lane, to }, Step::Resume { lane, to })
        }
        UserAround::Section(lock) => {
            let mode = Mode::Exclusive;
            scope(Step::Acquire { lock, mode }, Step::Release { lock })
        }
        UserAround::Try(lock) => tried(lock, 0, inner),
        UserAround::Repeat => repeated(inner),
    }
}

/// Steps of the user mode of that lane.
fn user_steps(lane: u8) -> impl Strategy<Value = Vec<Step>> {
    let leaf = prop_oneof![
        1 => user_step().prop_map(|step| vec![step]),
        1 => call(lane),
    ];
    let around = prop_oneof![
        1 => Just(UserAround::Suspended(1 - lane)),
        2 => (0..SECTIONS).prop_map(UserAround::Section),
        1 => (0..SECTIONS).prop_map(UserAround::Try),
        1 => Just(UserAround::Repeat),
    ];
    let nested = leaf.prop_recursive(2, 4, 2, move |inner| {
        let inner = prop::collection::vec(inner, 0..3);
        (around.clone(), inner).prop_map(|(around, parts)| user_wrap(around, &parts.concat()))
    });
    prop::collection::vec(nested, 1..3).prop_map(|parts| parts.concat())
}

/// The driver's lane, with the bodies of the APCs to it.
fn driver() -> impl Strategy<Value = (Vec<Step>, Vec<Vec<Step>>)> {
    let queue = KERNEL.prop_map(|apc| vec![Step::Queue { apc, to: Some(0) }]);
    let part = prop_oneof![2 => kernel_steps(wait().boxed(), 1), 1 => queue];
    let steps = prop::collection::vec(part, 1..3).prop_map(|parts| parts.concat());
    let bodies = prop::collection::vec(prop::collection::vec(plain(), 0..2), KERNEL.len());
    (steps, bodies)
}

/// Where the request is started in the first lane.
#[derive(Clone, Copy, Debug)]
enum Start {
    First,
    Last,
    Never,
}

/// What is random of a program.
type Parts = (
    (Vec<Step>, Option<Vec<Step>>),
    Option<(Vec<Step>, Vec<Vec<Step>>)>,
    Start,
    u8,
    bool,
);

fn parts() -> impl Strategy<Value = Parts> {
    let callers = (user_steps(0), prop::option::weighted(0.8, user_steps(1)));
    let start = prop_oneof![
        4 => Just(Start::First),
        1 => Just(Start::Last),
        2 => Just(Start::Never),
    ];
    let driver = prop::option::weighted(0.35, driver());
    (callers, driver, start, 0..2_u8, prop::bool::weighted(0.2))
}

fn assemble(((mut first, second), driver, start, special, meets): Parts) -> ProgramBuf {
    match start {
        Start::First => first.insert(0, Step::Start { apc: COMPLETION }),
        Start::Last => first.push(Step::Start { apc: COMPLETION }),
        Start::Never => {}
    }
    let callers = 1 + usize::from(second.is_some());
    let mut lanes = vec![first];
    lanes.extend(second);
    if meets {
        // All of them are there before anybody does anything.
        for lane in &mut lanes {
            let barrier = block(|length| Step::Call { length }, &[Step::Barrier]);
            lane.splice(0..0, barrier);
        }
    }
    let apc = |kind, lane: u8| Apc {
        kind,
        lane: if usize::from(lane) < callers { lane } else { 0 },
    };
    let mut apcs = vec![
        apc(ApcKind::User, 0),
        apc(ApcKind::User, 1),
        apc(ApcKind::SpecialUser, special),
        apc(ApcKind::Completion, 0),
    ];
    let mut bodies = vec![Vec::new(); apcs.len()];
    if let Some((mut steps, bodies_of_driver)) = driver {
        if meets {
            steps.insert(0, Step::Barrier);
        }
        let lane = u8::try_from(callers).unwrap_or(u8::MAX);
        lanes.push(steps);
        apcs.extend([ApcKind::Normal, ApcKind::Special].map(|kind| Apc { kind, lane }));
        bodies.extend(bodies_of_driver);
    }
    let observed = observe(&mut lanes, &mut bodies);
    let event = |kind| Event {
        kind,
        signaled: false,
    };
    let raw = vec![false; lanes.len()];
    ProgramBuf {
        variables: vec![0],
        events: vec![
            event(EventKind::Notification),
            event(EventKind::Synchronization),
        ],
        apcs,
        bodies,
        locks: LOCKS.to_vec(),
        observed,
        callers: (0..lanes.len()).map(|lane| lane < callers).collect(),
        lanes,
        raw,
        flags: 0,
    }
}

/// A random program of one or two caller lanes and at most one of the driver's, of which every answer
/// and the variable are observed.
pub(super) fn program() -> impl Strategy<Value = ProgramBuf> {
    parts().prop_map(assemble)
}
