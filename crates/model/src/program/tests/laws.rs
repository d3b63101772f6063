//! Laws over random programs that the protocol's verifier accepts.

use proptest::prelude::*;

use super::*;
use crate::explore::explore_from;
use crate::kernel::{Kernel, Mutant};
use crate::sample::sample;
use apclab_protocol::program::flags;
use apclab_protocol::verify::{Machine, Reason, verify};

const APCS: u8 = 2;
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
fn with_region() -> impl Strategy<Value = Vec<Step>> {
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
    let released = (0..2_u8).prop_map(move |lane| vec![Step::ReleaseFor { lock, lane, to: 0 }]);
    prop_oneof![
        2 => combined,
        1 => converted,
        1 => recursive.prop_map(in_region),
        2 => shared_push_lock.prop_map(in_region),
        1 => tried.prop_map(in_region),
        1 => handed_over.prop_map(in_region),
        1 => released.prop_map(in_region),
    ]
}

/// Steps of one or two blocks deep, balanced on every path.
fn steps() -> impl Strategy<Value = Vec<Step>> {
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
        5 => with_region(),
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

fn number_registers(steps: &mut [Step]) {
    let mut next = 0;
    for step in steps {
        if let Step::Queue { to: Some(to), .. }
        | Step::Ran { to, .. }
        | Step::ApcsDisabled { to }
        | Step::Irql { to }
        | Step::WaitFor { to, .. }
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
    let lanes = prop::collection::vec((steps(), steps()), 2..=3);
    let bodies = (body(0), body(1));
    ([apc(), apc()], bodies, lanes, any::<bool>())
        .prop_map(|(apcs, bodies, lanes, barrier)| {
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
                ..bodies::with_bodies(&bodies, test)
            };
            match refused(&test) {
                Some(Reason::LockOrder | Reason::WaitsForItself | Reason::HandedOver) => {
                    ProgramBuf {
                        flags: flags::MAY_DEADLOCK,
                        ..test
                    }
                }
                _ => test,
            }
        })
        // Only one lane in one step may hand over, and not in a repeat.
        .prop_filter("handed over twice", |test| {
            refused(test) != Some(Reason::HandedOverTwice)
        })
}

fn refused(test: &ProgramBuf) -> Option<Reason> {
    let bytes = test.encode();
    let parsed = Program::parse(&bytes).expect("the generator knows the format");
    verify(&parsed, Machine::COMPLETE)
        .err()
        .map(|refusal| refusal.reason)
}

const LIMITS: Limits = Limits { states: 20_000 };
const NO_BASELINES: &[Baseline] = &[];

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 10_000, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn what_the_verifier_accepts_runs_into_no_bug_check(test in test_program()) {
        let bytes = test.encode();
        let parsed = Program::parse(&bytes).unwrap();
        prop_assert_eq!(refused(&test), None);
        let found = explore(&parsed, Profile::Documented, NO_BASELINES, LIMITS);
        prop_assume!(found.is_ok());
        prop_assert_eq!(found.unwrap().bug_checks, vec![]);
    }

    /// A machine that gets a fact wrong is still a machine.
    #[test]
    fn mutants_end_in_outcomes_deadlocks_or_bug_checks(
        test in test_program(),
        mutant in prop::sample::select(Mutant::ALL),
        nt52 in any::<bool>(),
    ) {
        let profile = if nt52 { Profile::Nt52 } else { Profile::Documented };
        let bytes = test.encode();
        let parsed = Program::parse(&bytes).unwrap();
        let kernel = Kernel::new_with(profile, Some(mutant));
        let found = explore_from(State::initial_on(kernel, &parsed, NO_BASELINES), &parsed, LIMITS);
        prop_assume!(found.is_ok());
        let found = found.unwrap();
        let ends = found.outcomes.len() + found.bug_checks.len();
        prop_assert!(ends > 0 || found.deadlocks > 0);
    }

    #[test]
    fn sampled_outcomes_are_among_the_explored_ones(
        test in test_program(),
        nt52 in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let profile = if nt52 { Profile::Nt52 } else { Profile::Documented };
        let bytes = test.encode();
        let parsed = Program::parse(&bytes).unwrap();
        let found = explore(&parsed, profile, NO_BASELINES, LIMITS);
        prop_assume!(found.is_ok());
        let found = found.unwrap();
        let histogram = sample(&parsed, profile, NO_BASELINES, seed, 50);
        prop_assert_eq!(&histogram, &sample(&parsed, profile, NO_BASELINES, seed, 50));
        let counted: u64 = histogram.outcomes.values().sum();
        prop_assert_eq!(counted + histogram.deadlocks, 50);
        prop_assert!(histogram.deadlocks == 0 || found.deadlocks > 0);
        for outcome in histogram.outcomes.keys() {
            prop_assert!(found.outcomes.contains_key(outcome), "{:?} was not explored", outcome);
        }
    }

    #[test]
    fn every_outcome_of_nt52_is_a_documented_one(test in test_program()) {
        let bytes = test.encode();
        let parsed = Program::parse(&bytes).unwrap();
        let documented = explore(&parsed, Profile::Documented, NO_BASELINES, LIMITS);
        prop_assume!(documented.is_ok());
        let documented = documented.unwrap();
        let nt52 = explore(&parsed, Profile::Nt52, NO_BASELINES, LIMITS);
        prop_assume!(nt52.is_ok());
        let nt52 = nt52.unwrap();
        for outcome in nt52.outcomes.keys() {
            prop_assert!(documented.outcomes.contains_key(outcome), "{:?} is not documented", outcome);
        }
        prop_assert!(nt52.deadlocks == 0 || documented.deadlocks > 0);
    }

    /// The module's claim that delivery in one event hides nothing.
    #[test]
    fn keeping_every_routine_apart_finds_no_other_outcome(
        test in test_program(),
        nt52 in any::<bool>(),
    ) {
        let profile = if nt52 { Profile::Nt52 } else { Profile::Documented };
        let bytes = test.encode();
        let parsed = Program::parse(&bytes).unwrap();
        let initial = State::initial(&parsed, profile, NO_BASELINES);
        let apart = State { apart: u32::MAX, ..initial.clone() };
        let apart = explore_from(apart, &parsed, LIMITS);
        prop_assume!(apart.is_ok());
        let apart = apart.unwrap();
        let together = explore_from(initial, &parsed, LIMITS).expect("it has fewer states");
        prop_assert!(together.outcomes.keys().eq(apart.outcomes.keys()));
        prop_assert_eq!(together.deadlocks > 0, apart.deadlocks > 0);
    }

    /// Each APC runs exactly once for each step that inserted it, and a witness leads where it
    /// says.
    #[test]
    fn witnesses_lead_to_their_outcomes_and_apcs_run_once_an_insertion(test in test_program()) {
        let bytes = test.encode();
        let parsed = Program::parse(&bytes).unwrap();
        let found = explore(&parsed, Profile::Documented, NO_BASELINES, LIMITS);
        prop_assume!(found.is_ok());
        let found = found.unwrap();
        prop_assert!(found.outcomes.keys().eq(found.witnesses.keys()));
        for (outcome, events) in &found.witnesses {
            let mut state = State::initial(&parsed, Profile::Documented, NO_BASELINES);
            for &event in events {
                prop_assert!(enabled(&state, &parsed).contains(&event));
                state = apply(&state, &parsed, event).unwrap();
            }
            prop_assert!(is_final(&state, &parsed));
            prop_assert_eq!(&state.outcome(&parsed), outcome);
            for lane in 0..test.lanes.len() {
                let t = thread(lane);
                prop_assert_eq!(state.kernel().counters(t), Baseline::default());
                prop_assert_eq!(state.kernel().irql(t), 0);
            }
            // A register tells of one insertion only.
            let again = |step: &Step| matches!(step, Step::Repeat { .. });
            let queues = |step: &Step| matches!(step, Step::Queue { .. });
            if test.lanes.iter().flatten().any(again) || test.bodies.iter().flatten().any(queues) {
                continue;
            }
            let mut inserted = [0; APCS as usize];
            for (lane, steps) in test.lanes.iter().enumerate() {
                for step in steps {
                    if let Step::Queue { apc, to: Some(to) } = *step {
                        inserted[usize::from(apc)] += state.register(place_of(lane), to.into());
                    }
                }
            }
            for (apc, &times) in inserted.iter().enumerate() {
                prop_assert_eq!(i64::from(state.ran(apc)), times);
            }
        }
    }
}
