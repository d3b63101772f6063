//! Random programs that the protocol's verifier accepts.

use proptest::prelude::*;

use super::*;
use apclab_protocol::program::flags;
use apclab_protocol::verify::{Machine, Reason, verify};

pub(super) const APCS: u8 = 2;
const EVENTS: u8 = 2;
const VARIABLES: u8 = 1;
const LOCKS: [LockKind; 4] = [
    LockKind::FastMutex,
    LockKind::Mutex,
    LockKind::Resource,
    LockKind::PushLock,
];
const RESOURCE: u8 = 2;
const PUSH_LOCK: u8 = 3;

/// A step that opens nothing and does not wait. Registers are numbered afterwards.
fn simple() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..APCS).prop_map(|apc| Step::Queue { apc, to: Some(0) }),
        3 => (0..APCS).prop_map(|apc| Step::Ran { apc, to: 0 }),
        1 => Just(Step::ApcsDisabled { to: 0 }),
        1 => Just(Step::Irql { to: 0 }),
        1 => (0..EVENTS).prop_map(|event| Step::Set { event }),
        1 => (0..EVENTS).prop_map(|event| Step::Reset { event }),
        1 => (0..VARIABLES).prop_map(|variable| Step::Load { variable, to: 0 }),
        1 => (0..VARIABLES, -3..3_i64)
            .prop_map(|(variable, constant)| Step::Store { variable, from: None, constant }),
        1 => question(),
    ]
}

/// What an APC's body, too, may ask about a resource.
fn question() -> impl Strategy<Value = Step> {
    let (lock, to) = (RESOURCE, 0);
    prop_oneof![
        Just(Step::AcquiredExclusive { lock, to }),
        Just(Step::AcquiredShared { lock, to }),
        Just(Step::ExclusiveWaiters { lock, to }),
        Just(Step::SharedWaiters { lock, to }),
    ]
}

/// What is done with a resource or a push lock, in a region.
fn with_region(raw: bool) -> impl Strategy<Value = Vec<Step>> {
    let lock = RESOURCE;
    let mode = || prop::sample::select(Mode::ALL.to_vec());
    let quick = || prop::collection::vec(simple(), 0..2);
    let in_region = |mut inside: Vec<Step>| {
        inside.insert(0, Step::EnterCritical);
        inside.push(Step::LeaveCritical);
        inside
    };
    let around =
        |first: Vec<Step>, inside: Vec<Step>, last: Vec<Step>| [first, inside, last].concat();
    let combined = (mode(), quick()).prop_map(move |(mode, inside)| {
        let mode = match mode {
            Mode::SharedStarveExclusive => Mode::Shared,
            mode => mode,
        };
        let enter = Step::EnterAcquire { lock, mode };
        around(vec![enter], inside, vec![Step::ReleaseLeave { lock }])
    });
    let converted = quick().prop_map(move |inside| {
        let mode = Mode::Exclusive;
        let enter = vec![Step::EnterAcquire { lock, mode }, Step::Convert { lock }];
        around(enter, inside, vec![Step::ReleaseLeave { lock }])
    });
    let recursive = (mode(), mode(), quick()).prop_map(move |(first, mode, inside)| {
        let acquires = [first, mode].map(|mode| Step::Acquire { lock, mode });
        around(acquires.to_vec(), inside, vec![Step::Release { lock }; 2])
    });
    let shared_push_lock = (any::<bool>(), quick()).prop_map(move |(shared, inside)| {
        let (lock, mode) = (
            PUSH_LOCK,
            [Mode::Exclusive, Mode::Shared][usize::from(shared)],
        );
        around(
            vec![Step::Acquire { lock, mode }],
            inside,
            vec![Step::Release { lock }],
        )
    });
    let tried = (mode(), quick(), any::<bool>()).prop_map(move |(mode, inside, hands_over)| {
        let last = if hands_over {
            Step::HandOver { lock }
        } else {
            Step::Release { lock }
        };
        let length = u32::try_from(inside.len() + 1).expect("the block is short");
        let attempt = Step::Try {
            lock,
            mode,
            to: 0,
            milliseconds: 0,
            length,
        };
        around(vec![attempt], inside, vec![last, Step::End])
    });
    let handed_over = (mode(), quick()).prop_map(move |(mode, inside)| {
        around(
            vec![Step::Acquire { lock, mode }],
            inside,
            vec![Step::HandOver { lock }],
        )
    });
    let twice = prop::sample::select(vec![Mode::Exclusive, Mode::Shared]);
    let shared_twice = (twice, quick()).prop_map(move |(mode, inside)| {
        let lock = PUSH_LOCK;
        let acquires = [Mode::Shared, mode].map(|mode| Step::Acquire { lock, mode });
        around(acquires.to_vec(), inside, vec![Step::Release { lock }; 2])
    });
    let released = (0..2_u8).prop_map(move |lane| vec![Step::ReleaseFor { lock, lane, to: 0 }]);
    prop_oneof![
        2 => combined,
        1 => converted,
        1 => recursive.prop_map(in_region),
        2 => shared_push_lock.prop_map(in_region),
        1 => tried.prop_map(in_region),
        1 => handed_over.prop_map(in_region),
        1 => shared_twice.prop_map(in_region),
        1 => released.prop_map(in_region),
        if raw { 3 } else { 0 } => (mode(), quick(), 0..3_usize)
            .prop_map(|(mode, inside, order)| out_of_order(mode, &inside, order)),
    ]
}

/// A resource or a push lock and two regions, left in another order than the reverse.
fn out_of_order(mode: Mode, inside: &[Step], order: usize) -> Vec<Step> {
    let resource = Step::Acquire {
        lock: RESOURCE,
        mode,
    };
    let push_lock = Step::Acquire {
        lock: PUSH_LOCK,
        mode: Mode::Shared,
    };
    let release = |lock| Step::Release { lock };
    let release_leave = Step::ReleaseLeave { lock: RESOURCE };
    let (acquire, last) = match order {
        0 => {
            let last = [Step::LeaveCritical, release(PUSH_LOCK), Step::LeaveGuarded];
            (push_lock, last.to_vec())
        }
        1 => {
            let last = [Step::LeaveGuarded, release(RESOURCE), Step::LeaveCritical];
            (resource, last.to_vec())
        }
        _ => (resource, vec![release_leave, Step::LeaveGuarded]),
    };
    let first = [Step::EnterCritical, acquire, Step::EnterGuarded];
    [&first, inside, &last].concat()
}

/// Steps of one or two blocks deep, balanced on every path.
fn steps(raw: bool) -> impl Strategy<Value = Vec<Step>> {
    let scope = |open, close| {
        move |mut inside: Vec<Step>| {
            inside.insert(0, open);
            inside.push(close);
            inside
        }
    };
    let block = || {
        let leaf = prop_oneof![
            4 => simple(),
            1 => (0..EVENTS).prop_map(|event| Step::Wait { event }),
            1 => (0..EVENTS, 0..2_u32)
                .prop_map(|(event, milliseconds)| Step::WaitFor { event, to: 0, milliseconds }),
        ];
        leaf.prop_map(|step| vec![step])
    };
    let quick = || prop::collection::vec(simple(), 0..2);
    let attempt = |lock: u8, milliseconds| {
        move |mut inside: Vec<Step>| {
            let length = u32::try_from(inside.len() + 1).expect("the block is short");
            inside.insert(
                0,
                Step::Try {
                    lock,
                    mode: Mode::Exclusive,
                    to: 0,
                    milliseconds,
                    length,
                },
            );
            inside.extend([Step::Release { lock }, Step::End]);
            inside
        }
    };
    let repeat = |mut inside: Vec<Step>| {
        let length = u32::try_from(inside.len()).expect("the block is short");
        inside.insert(0, Step::Repeat { count: 2, length });
        inside.push(Step::End);
        inside
    };
    let acquire = |lock| Step::Acquire {
        lock,
        mode: Mode::Exclusive,
    };
    let any_block = prop_oneof![
        5 => block(),
        5 => with_region(raw),
        1 => block().prop_map(scope(Step::EnterCritical, Step::LeaveCritical)),
        1 => block().prop_map(scope(Step::EnterGuarded, Step::LeaveGuarded)),
        1 => quick().prop_map(scope(Step::RaiseApc, Step::Lower)),
        1 => quick().prop_map(scope(acquire(0), Step::Release { lock: 0 })),
        1 => block().prop_map(scope(acquire(1), Step::Release { lock: 1 })),
        1 => quick().prop_map(attempt(0, 0)),
        1 => (block(), 0..2_u32).prop_map(move |(inside, milliseconds)| attempt(1, milliseconds)(inside)),
        1 => block().prop_map(repeat),
    ];
    prop::collection::vec(any_block, 0..=2).prop_map(|blocks| blocks.concat())
}

/// What a body may have: it queues only APCs that come after its own.
fn body(apc: u8) -> impl Strategy<Value = Vec<Step>> {
    let fits = move |step| match step {
        Step::Queue { apc: queued, to } if queued <= apc => Step::Ran {
            apc: queued,
            to: to.unwrap_or(0),
        },
        other => other,
    };
    let steps = || prop::collection::vec(simple().prop_map(fits), 1..=2);
    let region = |mut steps: Vec<Step>| {
        steps.insert(0, Step::EnterCritical);
        steps.push(Step::LeaveCritical);
        steps
    };
    prop_oneof![3 => Just(vec![]), 2 => steps(), 1 => steps().prop_map(region)]
}

pub(super) fn number_registers(steps: &mut [Step]) {
    let mut next = 0;
    for step in steps {
        if let Step::Queue { to: Some(to), .. }
        | Step::Ran { to, .. }
        | Step::ApcsDisabled { to }
        | Step::Irql { to }
        | Step::WaitFor { to, .. }
        | Step::WaitAs { to, .. }
        | Step::Sleep { to, .. }
        | Step::Suspend { to: Some(to), .. }
        | Step::Resume { to: Some(to), .. }
        | Step::Try { to, .. }
        | Step::AcquiredExclusive { to, .. }
        | Step::AcquiredShared { to, .. }
        | Step::ExclusiveWaiters { to, .. }
        | Step::SharedWaiters { to, .. }
        | Step::ReleaseFor { to, .. }
        | Step::Load { to, .. } = step
        {
            *to = next;
            next += 1;
        }
    }
}

/// Programs of two or three lanes, half of them with a barrier. Those that only a test which may
/// deadlock may have are such tests.
pub(crate) fn test_program() -> impl Strategy<Value = ProgramBuf> {
    let apc = || {
        (
            prop_oneof![Just(Kind::Special), Just(Kind::Normal)],
            0..2_u8,
        )
    };
    let lanes = |raw| {
        (
            Just(raw),
            prop::collection::vec((steps(raw), steps(raw)), 2..=3),
        )
    };
    let lanes = prop::bool::weighted(0.3).prop_flat_map(lanes);
    let bodies = (body(0), body(1));
    ([apc(), apc()], bodies, lanes, any::<bool>())
        .prop_map(|(apcs, bodies, (raw, lanes), barrier)| {
            let lane = |(before, after): (Vec<Step>, Vec<Step>)| {
                let barrier = barrier.then_some(Step::Barrier);
                let mut lane: Vec<_> = before.into_iter().chain(barrier).chain(after).collect();
                number_registers(&mut lane);
                lane
            };
            let events = [Signal::Notification, Signal::Synchronization];
            let lanes: Vec<_> = lanes.into_iter().map(lane).collect();
            let mut bodies = vec![bodies.0, bodies.1];
            for body in &mut bodies {
                number_registers(body);
            }
            let test = program(&apcs, &events, VARIABLES.into(), &lanes);
            let test = ProgramBuf {
                locks: LOCKS.to_vec(),
                raw: vec![raw; lanes.len()],
                ..bodies::with_bodies(&bodies, test)
            };
            match refused(&test) {
                Some(
                    Reason::LockOrder
                    | Reason::WaitsForItself
                    | Reason::HeldAlready
                    | Reason::HandedOver,
                ) => ProgramBuf {
                    flags: flags::MAY_DEADLOCK,
                    ..test
                },
                _ => test,
            }
        })
        // Only one lane in one step may hand over, and not in a repeat.
        .prop_filter("handed over twice", |test| {
            refused(test) != Some(Reason::HandedOverTwice)
        })
}

pub(super) fn refused(test: &ProgramBuf) -> Option<Reason> {
    let bytes = test.encode();
    let parsed = Program::parse(&bytes).expect("the generator knows the format");
    verify(&parsed, Machine::COMPLETE)
        .err()
        .map(|refusal| refusal.reason)
}
