//! Random tests: every step, every declaration, blocks in one another.

use apclab_litmus::{Condition, Expectation, Formula, Names, Quantifier, Test};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::program::{Apc, ApcKind, Event, EventKind, LockKind, Observed, Place, flags};
use apclab_protocol::step::{Mode, Step, WaitMode};
use apclab_protocol::verify::Reason;
use proptest::prelude::*;
use proptest::sample::select;

fn constant() -> impl Strategy<Value = i64> {
    prop_oneof![-3_i64..4, any::<i64>(), Just(i64::MIN), Just(i64::MAX)]
}

/// A step. It stores only from `r0`, which every lane of [`test`] has written.
fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::EnterCritical),
        Just(Step::LeaveCritical),
        Just(Step::EnterGuarded),
        Just(Step::LeaveGuarded),
        Just(Step::RaiseApc),
        Just(Step::Lower),
        Just(Step::Barrier),
        (0_u8..16).prop_map(|to| Step::ApcsDisabled { to }),
        (0_u8..16).prop_map(|to| Step::AllApcsDisabled { to }),
        (0_u8..16).prop_map(|to| Step::Irql { to }),
        (0_u8..2, proptest::option::of(0_u8..16)).prop_map(|(apc, to)| Step::Queue { apc, to }),
        (0_u8..2, 0_u8..16).prop_map(|(apc, to)| Step::Ran { apc, to }),
        (0_u8..2).prop_map(|event| Step::Set { event }),
        (0_u8..2).prop_map(|event| Step::Reset { event }),
        (0_u8..2).prop_map(|event| Step::Wait { event }),
        (0_u8..2, proptest::option::of(Just(0)), constant()).prop_map(
            |(variable, from, constant)| Step::Store {
                variable,
                from,
                constant
            }
        ),
        (0_u8..2, 0_u8..16).prop_map(|(variable, to)| Step::Load { variable, to }),
        (0_u8..2, 0_u8..16, 0_u32..=10_000).prop_map(|(event, to, milliseconds)| Step::WaitFor {
            event,
            to,
            milliseconds
        }),
        (0..LOCKS.len()).prop_flat_map(acquire),
        (0..locks()).prop_map(|lock| Step::Release { lock }),
        on_resource(),
        of_callers(),
        Just(Step::End),
    ]
}

/// The caller lane of [`test`].
const CALLER: u8 = 2;

/// A step that only caller lanes may have; who else has it is refused.
fn of_callers() -> impl Strategy<Value = Step> {
    let to = || proptest::option::of(0_u8..16);
    let modes = WaitMode::ALL.to_vec();
    prop_oneof![
        (2_u8..5, to()).prop_map(|(apc, to)| Step::Queue { apc, to }),
        (2_u8..5, 0_u8..16).prop_map(|(apc, to)| Step::Ran { apc, to }),
        (0_u32..=1000, any::<bool>(), 0_u8..16).prop_map(|(milliseconds, alertable, to)| {
            Step::Sleep {
                milliseconds,
                alertable,
                to,
            }
        }),
        to().prop_map(|to| Step::Suspend { lane: CALLER, to }),
        to().prop_map(|to| Step::Resume { lane: CALLER, to }),
        (0_u8..2, 0_u8..16, 0_u32..=10_000, select(modes)).prop_map(
            |(event, to, milliseconds, mode)| Step::WaitAs {
                event,
                to,
                milliseconds,
                mode
            }
        ),
    ]
}

/// The locks of [`test`].
const LOCKS: [LockKind; 7] = [
    LockKind::FastMutex,
    LockKind::GuardedMutex,
    LockKind::Mutex,
    LockKind::Resource,
    LockKind::PushLock,
    LockKind::Resource,
    LockKind::CriticalSection,
];

/// As many of them as a body's prologue has room for.
const KERNEL_LOCKS: u8 = 6;

fn locks() -> u8 {
    u8::try_from(LOCKS.len()).unwrap()
}

/// An index of [`LOCKS`] as programs have it, and a mode that the lock has.
fn lock_and_mode(lock: usize) -> impl Strategy<Value = (u8, Mode)> {
    let modes = Mode::ALL.into_iter().filter(|mode| LOCKS[lock].has(*mode));
    let lock = u8::try_from(lock).unwrap();
    select(modes.collect::<Vec<_>>()).prop_map(move |mode| (lock, mode))
}

fn acquire(lock: usize) -> impl Strategy<Value = Step> {
    lock_and_mode(lock).prop_map(|(lock, mode)| Step::Acquire { lock, mode })
}

/// A step that only resources have.
fn on_resource() -> impl Strategy<Value = Step> {
    let combined = [Mode::Exclusive, Mode::Shared, Mode::SharedWaitForExclusive];
    let lock = || select(vec![3_u8, 5]);
    prop_oneof![
        (lock(), select(combined.to_vec()))
            .prop_map(|(lock, mode)| Step::EnterAcquire { lock, mode }),
        lock().prop_map(|lock| Step::ReleaseLeave { lock }),
        lock().prop_map(|lock| Step::Convert { lock }),
        lock().prop_map(|lock| Step::Reinitialize { lock }),
        lock().prop_map(|lock| Step::HandOver { lock }),
        (lock(), 0_u8..2, 0_u8..16).prop_map(|(lock, lane, to)| Step::ReleaseFor {
            lock,
            lane,
            to
        }),
        (lock(), 0_u8..16).prop_map(|(lock, to)| Step::AcquiredExclusive { lock, to }),
        (lock(), 0_u8..16).prop_map(|(lock, to)| Step::AcquiredShared { lock, to }),
        (lock(), 1_u8..16).prop_map(|(lock, to)| Step::ExclusiveWaiters { lock, to }),
        (lock(), 1_u8..16).prop_map(|(lock, to)| Step::SharedWaiters { lock, to }),
    ]
}

/// A step that begins a block, whose length is not known yet.
fn block() -> impl Strategy<Value = Step> {
    let attempt = |(lock, mode), to, milliseconds| Step::Try {
        lock,
        mode,
        to,
        milliseconds,
        length: 0,
    };
    // A push lock cannot be tried.
    let tried = select(vec![0, 1, 3, 5, 6]).prop_flat_map(lock_and_mode);
    prop_oneof![
        (tried, 0_u8..16).prop_map(move |(lock, to)| attempt(lock, to, 0)),
        (0_u8..16, 0_u32..=10_000).prop_map(move |(to, time)| attempt(
            (2, Mode::Exclusive),
            to,
            time
        )),
        (1_u32..=10_000).prop_map(|count| Step::Repeat { count, length: 0 }),
        Just(Step::Call { length: 0 }),
    ]
}

/// Steps with blocks in one another, and with ends too many.
fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![5 => step(), 1 => block()];
    proptest::collection::vec(step, 0..most / 2).prop_map(|mut steps| {
        let mut open = Vec::new();
        let mut index = 0;
        while index < steps.len() || !open.is_empty() {
            if index == steps.len() {
                steps.push(Step::End);
            }
            match steps[index] {
                step if step.block().is_some() => open.push(index),
                Step::End => {
                    if let Some(begin) = open.pop()
                        && let Step::Try { length, .. }
                        | Step::Repeat { length, .. }
                        | Step::Call { length } = &mut steps[begin]
                    {
                        *length = u32::try_from(index - begin - 1).unwrap();
                    }
                }
                _ => {}
            }
            index += 1;
        }
        steps
    })
}

/// Steps that use everything that is declared for lanes of the driver's own, and write `r0`.
fn prologue() -> Vec<Step> {
    let each = |index| {
        [
            Step::Queue {
                apc: index,
                to: None,
            },
            Step::Set { event: index },
            Step::Load {
                variable: index,
                to: 0,
            },
        ]
    };
    let mode = Mode::Exclusive;
    let locks = (0..KERNEL_LOCKS).map(|lock| Step::Acquire { lock, mode });
    [each(0), each(1)]
        .concat()
        .into_iter()
        .chain(locks)
        .collect()
}

/// Steps that use everything else.
fn caller_prologue() -> Vec<Step> {
    let queue = |apc| Step::Queue { apc, to: None };
    let enter = Step::Acquire {
        lock: KERNEL_LOCKS,
        mode: Mode::Exclusive,
    };
    let load = Step::Load { variable: 0, to: 0 };
    vec![queue(2), queue(3), Step::Start { apc: 4 }, enter, load]
}

/// A body that may be empty. One that is not writes `r0`.
fn first(body: Vec<Step>) -> Vec<Step> {
    let ran = Step::Ran { apc: 0, to: 0 };
    let ran = (!body.is_empty()).then_some(ran);
    ran.into_iter().chain(body).collect()
}

/// The values that formulas speak of, by the index that stands for them until they are numbered.
const VALUES: [(&str, Observed); 5] = [
    (
        "A:r0",
        Observed::Register {
            lane: 0,
            register: 0,
        },
    ),
    (
        "second-lane:r0",
        Observed::Register {
            lane: 1,
            register: 0,
        },
    ),
    (
        "apc-2:r0",
        Observed::ApcRegister {
            apc: 1,
            register: 0,
        },
    ),
    ("x", Observed::Variable(0)),
    ("y_2", Observed::Variable(1)),
];

fn formula() -> impl Strategy<Value = Formula> {
    let leaf = prop_oneof![
        Just(Formula::True),
        Just(Formula::False),
        Just(Formula::Deadlock),
        (0..VALUES.len(), constant()).prop_map(|(observed, value)| Formula::Equal {
            observed,
            name: VALUES[observed].0.to_owned(),
            value
        }),
    ];
    leaf.prop_recursive(6, 40, 4, |inner| {
        prop_oneof![
            inner
                .clone()
                .prop_map(|inner| Formula::Not(Box::new(inner))),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Formula::And),
            proptest::collection::vec(inner, 2..4).prop_map(Formula::Or),
        ]
    })
}

/// Numbers the values of a formula by first mention.
fn number(formula: &mut Formula, list: &mut Vec<Observed>) {
    match formula {
        Formula::True | Formula::False | Formula::Deadlock => {}
        Formula::Equal { observed, .. } => {
            let value = VALUES[*observed].1;
            *observed = list
                .iter()
                .position(|known| *known == value)
                .unwrap_or_else(|| {
                    list.push(value);
                    list.len() - 1
                });
        }
        Formula::Not(inner) => number(inner, list),
        Formula::And(parts) | Formula::Or(parts) => {
            for part in parts {
                number(part, list);
            }
        }
    }
}

/// Lanes and bodies of [`test`] that have at least six steps.
const PLACES: [Place; 3] = [Place::Lane(0), Place::Lane(1), Place::Body(1)];

fn expectation() -> impl Strategy<Value = Expectation> {
    let quantifier = select(vec![
        Quantifier::Forall,
        Quantifier::Exists,
        Quantifier::NotExists,
    ]);
    prop_oneof![
        3 => (quantifier, formula()).prop_map(|(quantifier, formula)| {
            Expectation::Condition(Condition { quantifier, formula })
        }),
        1 => (select(Reason::ALL.to_vec()), select(PLACES.to_vec()), 0_usize..7)
            .prop_map(|(reason, place, step)| Expectation::Refused { reason, place, step }),
    ]
}

/// Ids of facts, or tags.
fn words() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::btree_set("[a-z]{1,5}(-[a-z0-9]{1,3}){0,3}", 0..3)
        .prop_map(|words| words.into_iter().collect())
}

pub(crate) fn test() -> impl Strategy<Value = Test> {
    (
        [steps(40), steps(40), steps(40)],
        [steps(16), steps(7)],
        [constant(), constant()],
        any::<[bool; 9]>(),
        expectation(),
        proptest::collection::vec(0..VALUES.len(), 0..4),
        r#"[a-zA-Z0-9 "\\.é(*#)]{0,30}"#,
        [words(), words()],
    )
        .prop_map(
            |(
                [a, b, c],
                [first_body, second_body],
                variables,
                bits,
                mut expectation,
                locations,
                description,
                [shows, tags],
            )| {
                let mut observed = Vec::new();
                if let Expectation::Condition(condition) = &mut expectation {
                    number(&mut condition.formula, &mut observed);
                }
                for value in locations {
                    if !observed.contains(&VALUES[value].1) {
                        observed.push(VALUES[value].1);
                    }
                }
                let event = |synchronization, signaled| Event {
                    kind: if synchronization {
                        EventKind::Synchronization
                    } else {
                        EventKind::Notification
                    },
                    signaled,
                };
                let apc = |special, lane: bool| Apc {
                    kind: if special {
                        ApcKind::Special
                    } else {
                        ApcKind::Normal
                    },
                    lane: lane.into(),
                };
                let of_caller = |kind| Apc { kind, lane: CALLER };
                let program = ProgramBuf {
                    variables: variables.to_vec(),
                    events: vec![event(bits[0], bits[1]), event(bits[2], bits[3])],
                    apcs: vec![
                        apc(bits[4], bits[5]),
                        apc(bits[5], bits[0]),
                        of_caller(ApcKind::User),
                        of_caller(ApcKind::SpecialUser),
                        of_caller(ApcKind::Completion),
                    ],
                    observed,
                    lanes: vec![
                        [prologue(), a].concat(),
                        [prologue(), b].concat(),
                        [caller_prologue(), c].concat(),
                    ],
                    callers: vec![false, false, true],
                    bodies: vec![first(first_body), [prologue(), second_body].concat()],
                    locks: LOCKS.to_vec(),
                    raw: match (bits[6], bits[7]) {
                        (first, true) => vec![first, true],
                        (true, false) => vec![true],
                        (false, false) => vec![],
                    },
                    flags: if bits[8] { flags::MAY_DEADLOCK } else { 0 },
                };
                let words = |words: &[&str]| words.iter().map(|&w| w.to_owned()).collect();
                let names = Names {
                    lanes: words(&["A", "second-lane", "C"]),
                    variables: words(&["x", "y_2"]),
                    events: words(&["go", "E"]),
                    apcs: words(&["n", "apc-2", "u", "v-1", "i"]),
                    locks: words(&["f", "g", "k", "r-e_s", "p", "q", "cs"]),
                };
                let mut test = Test::from_program("made-up", program, names, expectation);
                test.description = description;
                (test.shows, test.tags) = (shows, tags);
                test
            },
        )
}
