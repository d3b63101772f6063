//! Laws of the program format and of the verifier.

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::limits;
use apclab_protocol::program::{
    Apc, ApcKind, Event, EventKind, HEAD_SIZE, Malformation, Malformed, Observed, Program,
};
use apclab_protocol::step::Step;
use apclab_protocol::verify::{Reason, Refusal, Verified, verify};
use proptest::prelude::*;

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
        (0_u8..2, proptest::option::of(0_u8..16), any::<i64>()).prop_map(
            |(variable, from, constant)| Step::Store {
                variable,
                from,
                constant
            }
        ),
        (0_u8..2, 0_u8..16).prop_map(|(variable, to)| Step::Load { variable, to }),
    ]
}

fn program() -> impl Strategy<Value = ProgramBuf> {
    proptest::collection::vec(proptest::collection::vec(step(), 0..12), 1..=limits::LANES).prop_map(
        |lanes| ProgramBuf {
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
                Apc {
                    kind: ApcKind::Special,
                    lane: 0,
                },
                Apc {
                    kind: ApcKind::Normal,
                    lane: 0,
                },
            ],
            observed: vec![
                Observed::Register {
                    lane: 0,
                    register: 3,
                },
                Observed::Variable(1),
            ],
            lanes,
        },
    )
}

/// Walks a lane by the kernel's counting rules alone; says whether it is balanced at every prefix
/// and at its end. It shares nothing with the verifier.
fn balanced(steps: &[Step]) -> bool {
    let (mut critical, mut guarded, mut raised) = (0_i64, 0_i64, 0_i64);
    for step in steps {
        match step {
            Step::EnterCritical => critical += 1,
            Step::LeaveCritical => critical -= 1,
            Step::EnterGuarded => guarded += 1,
            Step::LeaveGuarded => guarded -= 1,
            Step::RaiseApc => raised += 1,
            Step::Lower => raised -= 1,
            _ => {}
        }
        if critical < 0 || guarded < 0 || !(0..=1).contains(&raised) {
            return false;
        }
    }
    (critical, guarded, raised) == (0, 0, 0)
}

proptest! {
    #[test]
    fn programs_survive_the_border(program in program()) {
        prop_assert_eq!(ProgramBuf::decode(&program.encode()), Ok(program));
    }

    /// What the verifier accepts leaves every lane as it was, by an independent count.
    #[test]
    fn accepted_programs_are_balanced(program in program()) {
        let bytes = program.encode();
        if verify(&Program::parse(&bytes).unwrap(), true).is_ok() {
            for lane in &program.lanes {
                prop_assert!(balanced(lane));
            }
        }
    }

    /// What it refuses, it refuses with a lane and a step that exist.
    #[test]
    fn refusals_name_a_place(program in program()) {
        let bytes = program.encode();
        if let Err(refusal) = verify(&Program::parse(&bytes).unwrap(), false) {
            let steps = program.lanes[refusal.lane as usize].len();
            prop_assert!(refusal.step as usize <= steps);
            let at_end = matches!(refusal.reason, Reason::LeftOpen | Reason::UnequalBarriers);
            prop_assert_eq!(refusal.step as usize == steps, at_end);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        if let Ok(program) = Program::parse(&bytes) {
            let _ = verify(&program, true);
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
            let _ = verify(&parsed, true);
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
    verify(&Program::parse(&bytes).unwrap(), true)
}

fn refused(steps: Vec<Step>) -> (u32, Reason) {
    let refusal = judge(&one_lane(steps)).unwrap_err();
    assert_eq!(refusal.lane, 0);
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
            lane: 1,
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
    assert!(verify(&parsed, true).unwrap().queues_apcs);
    assert_eq!(
        verify(&parsed, false),
        Err(Refusal {
            lane: 0,
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
        lanes: vec![vec![Step::Ran { apc: 0, to: 1 }]],
    };
    let good = program.encode();
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        Program::parse(&bytes).map(|_| ()).unwrap_err()
    };
    let events = HEAD_SIZE + 8;
    let steps = events + 24;
    for (at, value, what, offset) in [
        (0, 0, Malformation::Magic, 0),
        (4, 9, Malformation::Format, 4),
        (6, 7, Malformation::Limit, 6),
        (6, 0, Malformation::Limit, 6),
        (11, 1, Malformation::Reserved, 11),
        (12, 1, Malformation::Length, 12),
        (20, 1, Malformation::Limit, 20),
        (40, 1, Malformation::Reserved, 40),
        (events, 2, Malformation::Kind, events),
        (events + 9, 1, Malformation::Index, events + 9),
        (events + 18, 16, Malformation::Index, events + 17),
        (steps, 99, Malformation::Operation, steps),
        (steps + 1, 16, Malformation::Register, steps + 1),
        (steps + 2, 1, Malformation::Index, steps + 2),
        (steps + 3, 0, Malformation::Unused, steps + 1),
    ] {
        let offset = u32::try_from(offset).unwrap();
        assert_eq!(
            with(at, value),
            Malformed { what, offset },
            "byte {at} = {value}"
        );
    }
}
