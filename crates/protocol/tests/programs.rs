//! Laws of the program format and of the verifier.

use std::mem;

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::limits;
use apclab_protocol::program::{
    Apc, ApcKind, Event, EventKind, HEAD_SIZE, LockKind, Malformation, Malformed, Observed, Place,
    Program,
};
use apclab_protocol::step::{Mode, Step};
use apclab_protocol::verify::{Machine, Reason, Refusal, Verified, verify};
use proptest::prelude::*;

/// A step without a block of its own, sensible or not.
fn step() -> impl Strategy<Value = Step> {
    let register = || 0_u8..16;
    prop_oneof![
        Just(Step::EnterCritical),
        Just(Step::LeaveCritical),
        Just(Step::EnterGuarded),
        Just(Step::LeaveGuarded),
        Just(Step::RaiseApc),
        Just(Step::Lower),
        Just(Step::Barrier),
        Just(Step::End),
        register().prop_map(|to| Step::ApcsDisabled { to }),
        register().prop_map(|to| Step::AllApcsDisabled { to }),
        register().prop_map(|to| Step::Irql { to }),
        (0_u8..3, proptest::option::of(register())).prop_map(|(apc, to)| Step::Queue { apc, to }),
        (0_u8..3, register()).prop_map(|(apc, to)| Step::Ran { apc, to }),
        (0_u8..2).prop_map(|event| Step::Set { event }),
        (0_u8..2).prop_map(|event| Step::Reset { event }),
        (0_u8..2).prop_map(|event| Step::Wait { event }),
        (0_u8..2, register(), 0_u32..3).prop_map(|(event, to, milliseconds)| Step::WaitFor {
            event,
            to,
            milliseconds
        }),
        (0_u8..2, proptest::option::of(register()), any::<i64>()).prop_map(
            |(variable, from, constant)| Step::Store {
                variable,
                from,
                constant
            }
        ),
        (0_u8..2, register()).prop_map(|(variable, to)| Step::Load { variable, to }),
        (lock(), mode()).prop_map(|(lock, mode)| Step::Acquire { lock, mode }),
        lock().prop_map(|lock| Step::Release { lock }),
        (lock(), mode()).prop_map(|(lock, mode)| Step::EnterAcquire { lock, mode }),
        lock().prop_map(|lock| Step::ReleaseLeave { lock }),
        lock().prop_map(|lock| Step::Convert { lock }),
        lock().prop_map(|lock| Step::Reinitialize { lock }),
        lock().prop_map(|lock| Step::HandOver { lock }),
        (lock(), register()).prop_map(|(lock, to)| Step::AcquiredShared { lock, to }),
        (lock(), 0_u8..3, register()).prop_map(|(lock, lane, to)| Step::ReleaseFor {
            lock,
            lane,
            to
        }),
    ]
}

fn lock() -> impl Strategy<Value = u8> {
    0..7_u8
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![4 => Just(Mode::Exclusive), 2 => Just(Mode::Shared), 1 => prop::sample::select(Mode::ALL.to_vec())]
}

/// Steps that are nested as a careful author would nest them, now and then with something among them
/// that is out of place.
fn nested() -> impl Strategy<Value = Vec<Step>> {
    let leaf = prop_oneof![
        12 => prop::sample::select(vec![
            Step::Barrier,
            Step::Irql { to: 1 },
            Step::Set { event: 0 },
            Step::Wait { event: 1 },
            Step::WaitFor { event: 1, to: 2, milliseconds: 0 },
        ]),
        1 => step(),
    ]
    .prop_map(|step| vec![step]);
    leaf.prop_recursive(5, 40, 4, |inner| {
        let inner = prop::collection::vec(inner, 0..4).prop_map(|parts| parts.concat());
        (0_u8..11, inner, lock(), mode(), 1_u32..4).prop_map(|(form, inner, lock, mode, count)| {
            let mode = if LOCKS[usize::from(lock)].has(mode) {
                mode
            } else {
                Mode::Exclusive
            };
            let length = |steps: &[Step]| u32::try_from(steps.len()).unwrap();
            match form {
                0 => [vec![Step::EnterCritical], inner, vec![Step::LeaveCritical]].concat(),
                1 => [vec![Step::EnterGuarded], inner, vec![Step::LeaveGuarded]].concat(),
                2 => [vec![Step::RaiseApc], inner, vec![Step::Lower]].concat(),
                3 => [
                    vec![Step::Acquire { lock, mode }],
                    inner,
                    vec![Step::Release { lock }],
                ]
                .concat(),
                4 | 5 => {
                    let inner = [inner, vec![Step::Release { lock }]].concat();
                    let milliseconds = if lock == 3 { count } else { 0 };
                    let attempt = Step::Try {
                        lock,
                        mode,
                        to: 3,
                        milliseconds,
                        length: length(&inner),
                    };
                    [vec![attempt], inner, vec![Step::End]].concat()
                }
                6 => {
                    let repeat = Step::Repeat {
                        count,
                        length: length(&inner),
                    };
                    [vec![repeat], inner, vec![Step::End]].concat()
                }
                7 => [
                    vec![Step::EnterAcquire { lock: 4, mode }],
                    inner,
                    vec![Step::ReleaseLeave { lock: 4 }],
                ]
                .concat(),
                8 => [
                    vec![
                        Step::EnterCritical,
                        Step::Try {
                            lock: 6,
                            mode,
                            to: 3,
                            milliseconds: 0,
                            length: 1 + length(&inner),
                        },
                    ],
                    inner,
                    vec![Step::HandOver { lock: 6 }, Step::End, Step::LeaveCritical],
                ]
                .concat(),
                9 => [
                    vec![Step::EnterCritical, Step::Acquire { lock, mode }],
                    inner,
                    vec![Step::Release { lock }, Step::LeaveCritical],
                ]
                .concat(),
                // Crossed on purpose: fine in a raw lane only.
                _ => [
                    vec![Step::EnterCritical, Step::EnterGuarded],
                    inner,
                    vec![Step::LeaveCritical, Step::LeaveGuarded],
                ]
                .concat(),
            }
        })
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop_oneof![
        1 => prop::collection::vec(step(), 0..12),
        3 => prop::collection::vec(nested(), 0..3).prop_map(|parts| parts.concat()),
    ]
}

fn program() -> impl Strategy<Value = ProgramBuf> {
    let lanes = prop::collection::vec((steps(), any::<bool>()), 1..4);
    let body = prop::collection::vec(step(), 0..4);
    (lanes, prop::option::weighted(0.3, body)).prop_map(|(lanes, body)| {
        let apc = |kind| Apc { kind, lane: 0 };
        let (lanes, mut raw): (Vec<_>, Vec<_>) = lanes.into_iter().unzip();
        // In the form that decoding gives.
        while raw.last() == Some(&false) {
            raw.pop();
        }
        ProgramBuf {
            variables: vec![0, -1],
            events: vec![
                Event {
                    kind: EventKind::Notification,
                    signaled: false,
                },
                Event {
                    kind: EventKind::Synchronization,
                    signaled: true,
                },
            ],
            apcs: vec![
                apc(ApcKind::Special),
                apc(ApcKind::Normal),
                apc(ApcKind::Normal),
            ],
            bodies: body.filter(|body| !body.is_empty()).into_iter().collect(),
            locks: LOCKS.to_vec(),
            observed: vec![
                Observed::Register {
                    lane: 0,
                    register: 3,
                },
                Observed::ApcRegister {
                    apc: 2,
                    register: 1,
                },
                Observed::Variable(1),
            ],
            lanes,
            raw,
            callers: Vec::new(),
            flags: 0,
        }
    })
}

const LOCKS: [LockKind; 7] = [
    LockKind::FastMutex,
    LockKind::GuardedMutex,
    LockKind::FastMutex,
    LockKind::Mutex,
    LockKind::Resource,
    LockKind::PushLock,
    LockKind::Resource,
];

const ALL: Machine = Machine::COMPLETE;

/// What a lane holds of a resource or push lock.
#[derive(Clone, Copy, Default)]
struct Hold {
    count: u32,
    exclusive: bool,
}

impl Hold {
    /// `None`: the lane would wait for itself.
    fn take(&mut self, kind: LockKind, mode: Mode) -> Option<()> {
        let upgrade = matches!(mode, Mode::Exclusive | Mode::SharedWaitForExclusive);
        if self.count > 0 && (kind == LockKind::PushLock || (upgrade && !self.exclusive)) {
            return None;
        }
        self.exclusive |= self.count == 0 && mode == Mode::Exclusive;
        self.count += 1;
        Some(())
    }

    fn give_back(&mut self) -> Option<()> {
        self.count = self.count.checked_sub(1)?;
        self.exclusive &= self.count > 0;
        Some(())
    }
}

/// Executes steps by the kernel's counting rules alone, taking each `try` as `luck` says. It shares
/// nothing with the verifier. `None`: something was wrong at some prefix, or open at the end.
fn executes(steps: &[Step], mut luck: impl FnMut() -> bool) -> Option<()> {
    let (mut critical, mut guarded) = (0_i64, 0_i64);
    // What each raise, fast or guarded mutex will put the IRQL back to.
    let mut irql = 0_u8;
    let mut raised: Vec<(Option<u8>, u8)> = Vec::new();
    let mut owned = 0_i64;
    let mut shares = [Hold::default(); LOCKS.len()];
    let mut rounds: Vec<(usize, u32)> = Vec::new();
    let mut at = 0;
    while let Some(step) = steps.get(at) {
        at += 1;
        match *step {
            Step::EnterCritical => critical += 1,
            Step::LeaveCritical => critical -= 1,
            Step::EnterGuarded => guarded += 1,
            Step::LeaveGuarded => guarded -= 1,
            Step::RaiseApc => {
                raised.push((None, irql));
                irql = 1;
            }
            Step::Lower => match raised.pop()? {
                (None, old) => irql = old,
                _ => return None,
            },
            Step::Try { length, .. } if !luck() => at += length as usize + 1,
            Step::EnterAcquire { lock, mode } => {
                critical += 1;
                shares[usize::from(lock)].take(LOCKS[usize::from(lock)], mode)?;
            }
            Step::ReleaseLeave { lock } => {
                shares[usize::from(lock)].give_back()?;
                critical -= 1;
            }
            Step::Convert { lock } => {
                let hold = &mut shares[usize::from(lock)];
                if hold.count == 0 || !mem::take(&mut hold.exclusive) {
                    return None;
                }
            }
            Step::HandOver { lock } => {
                let given = mem::take(&mut shares[usize::from(lock)]);
                given.count.checked_sub(1)?;
            }
            Step::Reinitialize { lock } if shares[usize::from(lock)].count != 0 => return None,
            Step::Try { lock, mode, .. } if LOCKS[usize::from(lock)].shares() => {
                let hold = &mut shares[usize::from(lock)];
                hold.exclusive |= hold.count == 0 && mode == Mode::Exclusive;
                hold.count += 1;
            }
            Step::Acquire { lock, mode } if LOCKS[usize::from(lock)].shares() => {
                shares[usize::from(lock)].take(LOCKS[usize::from(lock)], mode)?;
            }
            Step::Release { lock } if LOCKS[usize::from(lock)].shares() => {
                shares[usize::from(lock)].give_back()?;
            }
            Step::Acquire { lock, .. } | Step::Try { lock, .. } => {
                if LOCKS[usize::from(lock)].raises() {
                    if raised.iter().any(|(held, _)| *held == Some(lock)) {
                        return None;
                    }
                    raised.push((Some(lock), irql));
                    irql = 1;
                } else {
                    owned += 1;
                }
            }
            Step::Release { lock } if LOCKS[usize::from(lock)].raises() => match raised.pop()? {
                (Some(held), old) if held == lock => irql = old,
                _ => return None,
            },
            Step::Release { .. } => owned -= 1,
            Step::Repeat { count, .. } => rounds.push((at, count)),
            Step::End => match rounds.last_mut() {
                // The end of a `try` inside is passed on the way to the end of its repeat.
                Some((begin, left)) if block_ends(steps, *begin) == at - 1 => {
                    *left -= 1;
                    if *left == 0 {
                        rounds.pop();
                    } else {
                        at = *begin;
                    }
                }
                _ => {}
            },
            Step::Barrier | Step::Wait { .. } if irql != 0 => return None,
            _ => {}
        }
        if critical < 0 || guarded < 0 || owned < 0 {
            return None;
        }
        let enabled = critical == 0 && guarded == 0 && owned == 0 && irql == 0;
        if enabled && shares.iter().any(|hold| hold.count > 0) {
            return None;
        }
    }
    (critical == 0 && guarded == 0 && owned == 0 && irql == 0 && raised.is_empty()).then_some(())
}

/// Where the block of the repeat whose first step is at `begin` ends.
fn block_ends(steps: &[Step], begin: usize) -> usize {
    match steps[begin - 1] {
        Step::Repeat { length, .. } => begin + length as usize,
        _ => usize::MAX,
    }
}

proptest! {
    #[test]
    fn programs_survive_the_border(program in program()) {
        let bytes = program.encode();
        if Program::parse(&bytes).is_ok() {
            prop_assert_eq!(ProgramBuf::decode(&bytes), Ok(program));
        }
    }

    /// What the verifier accepts leaves every lane as it was, by an independent count, whichever
    /// locks can be had.
    #[test]
    fn accepted_programs_are_balanced(program in program(), luck in any::<u64>()) {
        let bytes = program.encode();
        if let Ok(parsed) = Program::parse(&bytes) && verify(&parsed, ALL).is_ok() {
            for lane in &program.lanes {
                let mut luck = luck;
                let next = || {
                    luck = luck.rotate_left(1);
                    luck & 1 != 0
                };
                prop_assert!(executes(lane, next).is_some(), "{:?}", lane);
            }
        }
    }

    /// What it refuses, it refuses with a lane and a step that exist.
    #[test]
    fn refusals_name_a_place(program in program()) {
        let bytes = program.encode();
        let Ok(parsed) = Program::parse(&bytes) else { return Ok(()) };
        if let Err(refusal) = verify(&parsed, Machine::default()) {
            let steps = match refusal.place {
                Place::Lane(lane) => program.lanes[usize::from(lane)].len(),
                Place::Body(apc) => program.bodies.get(usize::from(apc)).map_or(0, Vec::len),
            };
            prop_assert!(refusal.step as usize <= steps);
            let at_end = matches!(refusal.reason, Reason::LeftOpen | Reason::UnequalBarriers);
            prop_assert_eq!(refusal.step as usize == steps, at_end);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        if let Ok(program) = Program::parse(&bytes) {
            let _ = verify(&program, ALL);
        }
    }

    /// One changed byte of a good program: parse and verify end in an answer, and a program that
    /// still parses still encodes to the same bytes.
    #[test]
    fn no_changed_byte_panics(program in program(), at in any::<prop::sample::Index>(), value in any::<u8>()) {
        let mut bytes = program.encode();
        let at = at.index(bytes.len());
        bytes[at] = value;
        if let Ok(parsed) = Program::parse(&bytes) {
            let _ = verify(&parsed, ALL);
            prop_assert_eq!(ProgramBuf::decode(&bytes).unwrap().encode(), bytes);
        }
    }

    #[test]
    fn no_cut_panics(program in program(), at in any::<prop::sample::Index>()) {
        let bytes = program.encode();
        let cut = &bytes[..at.index(bytes.len())];
        prop_assert_eq!(Program::parse(cut).unwrap_err().what, Malformation::Length);
    }
}

fn one_lane(steps: Vec<Step>) -> ProgramBuf {
    ProgramBuf {
        lanes: vec![steps],
        ..ProgramBuf::default()
    }
}

fn judge(program: &ProgramBuf) -> Result<Verified, Refusal> {
    let bytes = program.encode();
    verify(&Program::parse(&bytes).unwrap(), ALL)
}

fn refused(steps: Vec<Step>) -> (u32, Reason) {
    let refusal = judge(&one_lane(steps)).unwrap_err();
    assert_eq!(refusal.place, Place::Lane(0));
    (refusal.step, refusal.reason)
}

#[test]
fn each_rule_has_its_reason() {
    use Step::*;
    assert_eq!(refused(vec![LeaveCritical]), (0, Reason::NothingToLeave));
    assert_eq!(
        refused(vec![EnterCritical, LeaveGuarded]),
        (1, Reason::NotInnermost)
    );
    assert_eq!(
        refused(vec![EnterCritical, RaiseApc, LeaveCritical]),
        (2, Reason::NotInnermost),
        "a region entered outside may not be left at raised IRQL"
    );
    assert_eq!(refused(vec![EnterGuarded, Barrier]), (2, Reason::LeftOpen));
    assert_eq!(refused(vec![RaiseApc, RaiseApc]), (1, Reason::RaisedTwice));
    assert_eq!(
        refused(vec![RaiseApc, Barrier]),
        (1, Reason::BlocksAtApcLevel)
    );
    assert_eq!(
        refused(vec![EnterCritical; limits::NESTING + 1]),
        (1024, Reason::TooDeep)
    );
    let uneven = ProgramBuf {
        lanes: vec![vec![Barrier], vec![]],
        ..ProgramBuf::default()
    };
    assert_eq!(
        judge(&uneven),
        Err(Refusal {
            place: Place::Lane(1),
            step: 0,
            reason: Reason::UnequalBarriers
        })
    );
}

#[test]
fn nesting_to_the_limit_is_accepted() {
    use Step::*;
    let mut steps = vec![EnterCritical; limits::NESTING];
    steps.extend([RaiseApc, Lower]);
    steps.extend(vec![LeaveCritical; limits::NESTING]);
    let verified = judge(&one_lane(steps)).unwrap();
    assert_eq!(verified.nesting, limits::NESTING);
}

#[test]
fn without_apc_routines_a_program_that_queues_is_refused_where_it_does() {
    let program = ProgramBuf {
        apcs: vec![Apc {
            kind: ApcKind::Normal,
            lane: 0,
        }],
        lanes: vec![vec![
            Step::EnterCritical,
            Step::Queue { apc: 0, to: None },
            Step::LeaveCritical,
        ]],
        ..ProgramBuf::default()
    };
    let bytes = program.encode();
    let parsed = Program::parse(&bytes).unwrap();
    assert!(verify(&parsed, ALL).unwrap().queues_apcs);
    assert_eq!(
        verify(&parsed, Machine::default()),
        Err(Refusal {
            place: Place::Lane(0),
            step: 1,
            reason: Reason::NoApcRoutines
        })
    );
}

#[test]
fn each_malformation_names_its_byte() {
    let program = ProgramBuf {
        variables: vec![5],
        events: vec![Event {
            kind: EventKind::Notification,
            signaled: false,
        }],
        apcs: vec![Apc {
            kind: ApcKind::Special,
            lane: 0,
        }],
        observed: vec![Observed::Register {
            lane: 0,
            register: 0,
        }],
        locks: vec![LockKind::FastMutex],
        lanes: vec![vec![
            Step::Ran { apc: 0, to: 1 },
            Step::Try {
                lock: 0,
                mode: Mode::Exclusive,
                to: 0,
                milliseconds: 0,
                length: 1,
            },
            Step::Release { lock: 0 },
            Step::End,
        ]],
        ..ProgramBuf::default()
    };
    let good = program.encode();
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        Program::parse(&bytes).map(|_| ()).unwrap_err()
    };
    let events = HEAD_SIZE + 8;
    let locks = events + 16;
    let steps = events + 32;
    let attempt = steps + 16;
    for (at, value, what, offset) in [
        (0, 0, Malformation::Magic, 0),
        (4, 9, Malformation::Format, 4),
        (6, 7, Malformation::Limit, 6),
        (6, 0, Malformation::Limit, 6),
        (11, 17, Malformation::Limit, 11),
        (41, 4, Malformation::Reserved, 41),
        (42, 2, Malformation::Index, 42),
        (43, 1, Malformation::Reserved, 43),
        (12, 1, Malformation::Length, 12),
        (20, 1, Malformation::Limit, 20),
        (40, 2, Malformation::Index, 40),
        (events, 2, Malformation::Kind, events),
        (events + 9, 1, Malformation::Index, events + 9),
        (events + 10, 1, Malformation::Reserved, events + 10),
        (events + 12, 17, Malformation::Limit, events + 12),
        (locks, 6, Malformation::Kind, locks),
        (locks, 4, Malformation::Lock, attempt + 2),
        (locks + 1, 1, Malformation::Reserved, locks + 1),
        (locks + 10, 16, Malformation::Index, locks + 9),
        (steps, 99, Malformation::Operation, steps),
        (steps + 1, 16, Malformation::Register, steps + 1),
        (steps + 2, 1, Malformation::Index, steps + 2),
        (steps + 3, 0, Malformation::Unused, steps + 1),
        (attempt + 2, 1, Malformation::Index, attempt + 2),
        (attempt + 3, 4, Malformation::Lock, attempt + 3),
        (attempt + 3, 1, Malformation::Lock, attempt + 2),
        (attempt + 4, 2, Malformation::Length, attempt + 4),
        (attempt + 7, 255, Malformation::Length, attempt + 4),
        // Only a mutex can be tried for a time.
        (attempt + 8, 1, Malformation::Range, attempt + 8),
        (attempt + 15, 1, Malformation::Range, attempt + 8),
    ] {
        let offset = u32::try_from(offset).unwrap();
        assert_eq!(
            with(at, value),
            Malformed { what, offset },
            "byte {at} = {value}"
        );
    }
}

fn with_locks(steps: Vec<Step>, raw: bool) -> Result<Verified, (u32, Reason)> {
    let program = ProgramBuf {
        locks: LOCKS.to_vec(),
        lanes: vec![steps],
        raw: vec![raw],
        ..ProgramBuf::default()
    };
    judge(&program).map_err(|refusal| (refusal.step, refusal.reason))
}

#[test]
fn locks_that_could_wait_for_each_other_are_refused() {
    use Step::*;
    let nested = |outer, inner| {
        let steps = vec![
            Acquire {
                lock: outer,
                mode: Mode::Exclusive,
            },
            Acquire {
                lock: inner,
                mode: Mode::Exclusive,
            },
            Release { lock: inner },
            Release { lock: outer },
        ];
        with_locks(steps, false).map(drop)
    };
    assert_eq!(nested(0, 2), Ok(()));
    assert_eq!(nested(2, 0), Err((1, Reason::LockOrder)));
    assert_eq!(nested(0, 0), Err((1, Reason::HeldAlready)));
    assert_eq!(nested(3, 3), Ok(()), "a mutex is recursive");
    assert_eq!(
        nested(3, 0),
        Ok(()),
        "a wait for a mutex has a deadline, so its order is free"
    );
    assert_eq!(nested(0, 3), Err((1, Reason::BlocksAtApcLevel)));
    // What a `try` got counts as held: waiting below it could close a circle.
    let tried = vec![
        Try {
            lock: 2,
            mode: Mode::Exclusive,
            to: 0,
            milliseconds: 0,
            length: 3,
        },
        Acquire {
            lock: 0,
            mode: Mode::Exclusive,
        },
        Release { lock: 0 },
        Release { lock: 2 },
        End,
    ];
    assert_eq!(with_locks(tried, false), Err((1, Reason::LockOrder)));
}

#[test]
fn only_raw_lanes_leave_in_any_order() {
    use Step::*;
    let crossed = vec![
        EnterCritical,
        Acquire {
            lock: 3,
            mode: Mode::Exclusive,
        },
        EnterGuarded,
        LeaveCritical,
        RaiseApc,
        LeaveGuarded,
        Release { lock: 3 },
        Lower,
    ];
    assert_eq!(
        with_locks(crossed.clone(), false),
        Err((3, Reason::NotInnermost))
    );
    assert_eq!(with_locks(crossed, true).map(drop), Ok(()));
    let raises = vec![
        RaiseApc,
        Acquire {
            lock: 0,
            mode: Mode::Exclusive,
        },
        Lower,
        Release { lock: 0 },
    ];
    assert_eq!(with_locks(raises, true), Err((2, Reason::NotInnermost)));
    assert_eq!(
        with_locks(vec![LeaveGuarded], true),
        Err((0, Reason::NothingToLeave))
    );
}

#[test]
fn blocks_end_as_they_began_and_share_no_end() {
    use Step::*;
    let unbalanced = vec![
        Repeat {
            count: 2,
            length: 1,
        },
        EnterCritical,
        End,
        LeaveCritical,
    ];
    assert_eq!(
        with_locks(unbalanced.clone(), true),
        Err((2, Reason::UnbalancedBlock))
    );
    assert_eq!(
        with_locks(unbalanced, false),
        Err((2, Reason::NotInnermost))
    );
    let unreleased = vec![
        Try {
            lock: 3,
            mode: Mode::Exclusive,
            to: 0,
            milliseconds: 0,
            length: 0,
        },
        End,
    ];
    assert_eq!(
        with_locks(unreleased, true),
        Err((1, Reason::UnbalancedBlock))
    );
    let shared = vec![
        Repeat {
            count: 2,
            length: 2,
        },
        Repeat {
            count: 2,
            length: 1,
        },
        Barrier,
        End,
        End,
    ];
    assert_eq!(with_locks(shared, false), Err((4, Reason::NotInnermost)));
    let endless = vec![
        Repeat {
            count: limits::ROUNDS,
            length: 3,
        },
        Repeat {
            count: limits::ROUNDS,
            length: 1,
        },
        Barrier,
        End,
        End,
    ];
    assert_eq!(with_locks(endless, false), Err((2, Reason::TooLong)));
    let deep = vec![
        Acquire {
            lock: 3,
            mode: Mode::Exclusive
        };
        limits::SCOPES + 1
    ];
    assert_eq!(
        with_locks(deep.clone(), false),
        Err((8, Reason::TooManyScopes))
    );
    assert_eq!(with_locks(deep, true), Err((8, Reason::TooManyScopes)));
}

#[test]
fn bodies_neither_block_nor_go_on_for_ever() {
    use Step::*;
    let with_body = |body: Vec<Step>| {
        let apc = Apc {
            kind: ApcKind::Normal,
            lane: 0,
        };
        let program = ProgramBuf {
            apcs: vec![apc, apc],
            bodies: vec![body, vec![]],
            events: vec![Event {
                kind: EventKind::Notification,
                signaled: false,
            }],
            locks: LOCKS.to_vec(),
            lanes: vec![vec![Queue { apc: 0, to: None }]],
            ..ProgramBuf::default()
        };
        judge(&program).map(drop)
    };
    let refused = |step, reason| {
        Err(Refusal {
            place: Place::Body(0),
            step,
            reason,
        })
    };
    assert_eq!(
        with_body(vec![
            EnterGuarded,
            Queue {
                apc: 1,
                to: Some(0)
            },
            LeaveGuarded
        ]),
        Ok(())
    );
    assert_eq!(
        with_body(vec![Queue { apc: 0, to: None }]),
        refused(0, Reason::QueuesBackwards)
    );
    assert_eq!(
        with_body(vec![Irql { to: 0 }, EnterCritical]),
        refused(2, Reason::LeftOpen)
    );
    for step in [
        Barrier,
        RaiseApc,
        Wait { event: 0 },
        Acquire {
            lock: 3,
            mode: Mode::Exclusive,
        },
    ] {
        assert_eq!(
            with_body(vec![step]),
            refused(0, Reason::NotInABody),
            "{step:?}"
        );
    }
}

#[test]
fn barriers_are_counted_with_every_round() {
    use Step::*;
    let two = vec![
        Repeat {
            count: 2,
            length: 1,
        },
        Barrier,
        End,
    ];
    let lanes = |other| ProgramBuf {
        lanes: vec![two.clone(), other],
        ..ProgramBuf::default()
    };
    assert!(judge(&lanes(vec![Barrier, Barrier])).is_ok());
    let refusal = judge(&lanes(vec![Barrier])).unwrap_err();
    assert_eq!(
        (refusal.place, refusal.reason),
        (Place::Lane(1), Reason::UnequalBarriers)
    );
}
