//! The search against the plain one, over random programs.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::program::{Observed, Program};
use apclab_protocol::step::{Mode, Step};
use proptest::prelude::*;

use super::*;
use crate::program::tests::laws::test_program;
use crate::program::tests::random_callers::caller_program;

/// Larger programs are left out.
const MOST: usize = 20_000;

/// Random programs; in half of them one step of a lane is another, so that they may run into bug
/// checks and deadlocks.
fn any_program() -> impl Strategy<Value = ProgramBuf> {
    let wrong = prop_oneof![
        Just(Step::LeaveCritical),
        Just(Step::EnterGuarded),
        Just(Step::RaiseApc),
        Just(Step::Lower),
        Just(Step::Acquire {
            lock: 0,
            mode: Mode::Exclusive
        }),
        Just(Step::Release { lock: 1 }),
    ];
    let spoilt = (test_program(), any::<prop::sample::Index>(), wrong);
    let spoilt = spoilt.prop_map(|(mut test, at, wrong)| {
        let steps = test.lanes.iter_mut().flatten();
        let mut steps: Vec<_> = steps
            .filter(|step| !matches!(step, Step::Repeat { .. } | Step::Try { .. } | Step::End))
            .collect();
        if !steps.is_empty() {
            let at = at.index(steps.len());
            *steps[at] = wrong;
        }
        test
    });
    prop_oneof![test_program(), spoilt]
}

/// Programs of which two or three lanes are the same.
fn identical_lanes() -> impl Strategy<Value = ProgramBuf> {
    (any_program(), 2..=3_usize).prop_map(|(mut test, lanes)| {
        test.lanes = vec![test.lanes[0].clone(); lanes];
        test.raw = vec![test.raw[0]; lanes];
        for apc in &mut test.apcs {
            apc.lane = 0;
        }
        let registers = test.observed.iter().filter_map(|observed| match *observed {
            Observed::Register { lane: 0, register } => Some(register),
            _ => None,
        });
        let registers: Vec<_> = registers.collect();
        test.observed
            .retain(|observed| !matches!(observed, Observed::Register { .. }));
        for lane in 0..u8::try_from(lanes).unwrap() {
            let own = registers
                .iter()
                .filter(|&&register| register % 2 == lane % 2 || lane == 0);
            test.observed
                .extend(own.map(|&register| Observed::Register { lane, register }));
        }
        test
    })
}

fn any_profile() -> impl Strategy<Value = Profile> {
    prop_oneof![Just(Profile::Documented), Just(Profile::Nt52)]
}

fn threads(threads: usize) -> Options {
    Options {
        reductions: Reductions::NONE,
        threads: NonZeroUsize::new(threads).expect("at least one"),
        ..Options::default()
    }
}

fn quietly(initial: &State, program: &Program<'_>, options: &Options) -> Outcomes {
    search(initial, program, options, &mut |_| {}).expect("the plain search found few states")
}

/// That every witness leads where it says, also when it has been text.
fn check_witnesses(initial: &State, program: &Program<'_>, found: &Outcomes) {
    let leads = |path: &[Event]| {
        let path = path_from_text(&path_to_text(path)).expect("what is written can be read");
        let replayed = replay(initial, program, &path).expect("a witness is a path");
        replayed.end
    };
    assert!(found.outcomes.keys().eq(found.witnesses.keys()));
    for (outcome, path) in &found.witnesses {
        assert_eq!(leads(path), End::Outcome(outcome.clone()));
    }
    assert_eq!(found.deadlocks > 0, found.deadlock_witness.is_some());
    if let Some(path) = &found.deadlock_witness {
        assert_eq!(leads(path), End::Deadlock);
    }
    for (bug_check, path) in found.bug_checks.iter().zip(&found.bug_check_witnesses) {
        assert_eq!(leads(path), End::BugCheck(bug_check.clone()));
    }
}

fn lengths(found: &Outcomes) -> (Vec<usize>, Option<usize>, Vec<usize>) {
    (
        found.witnesses.values().map(Vec::len).collect(),
        found.deadlock_witness.as_ref().map(Vec::len),
        found.bug_check_witnesses.iter().map(Vec::len).collect(),
    )
}

/// Four lanes that bump a counter twice, each time by a load and a store.
fn lost_updates() -> ProgramBuf {
    let round = [
        Step::Load { variable: 0, to: 0 },
        Step::Store {
            variable: 0,
            from: Some(0),
            constant: 1,
        },
    ];
    ProgramBuf {
        variables: vec![0],
        observed: vec![
            Observed::Variable(0),
            Observed::Register {
                lane: 2,
                register: 0,
            },
        ],
        lanes: vec![round.repeat(2); 4],
        ..ProgramBuf::default()
    }
}

/// Its levels are large enough for threads, and its states for repacking.
#[test]
fn threads_change_nothing_that_is_found() {
    let bytes = lost_updates().encode();
    let program = Program::parse(&bytes).unwrap();
    let initial = State::initial(&program, Profile::Documented, &[]);
    for reductions in [Reductions::NONE, Reductions::ALL] {
        let [one, three] = [1, 3].map(|count| {
            let options = Options {
                reductions,
                ..threads(count)
            };
            quietly(&initial, &program, &options)
        });
        assert_eq!(one, three);
        check_witnesses(&initial, &program, &one);
        let values: BTreeSet<_> = one.outcomes.keys().map(|outcome| outcome[0]).collect();
        assert_eq!(values, (2..=8).collect());
    }
}

#[test]
fn a_bound_on_memory_ends_the_search_with_a_message() {
    let bytes = lost_updates().encode();
    let program = Program::parse(&bytes).unwrap();
    let initial = State::initial(&program, Profile::Documented, &[]);
    let options = Options {
        bytes: 1 << 20,
        ..threads(1)
    };
    let mut met = Vec::new();
    let given_up = search(&initial, &program, &options, &mut |progress| {
        met.push(progress);
    });
    let limit = given_up.unwrap_err();
    assert_eq!(limit.bytes, Some(1 << 20));
    let text = limit.to_string();
    assert!(
        text.starts_with("the search took more than 1 MiB of memory after "),
        "{text}"
    );
    assert!(!met.is_empty() && met.is_sorted_by_key(|progress| progress.states));
    assert!(met.iter().all(|progress| progress.bytes <= 1 << 20));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_search_finds_what_the_plain_one_finds(
        test in prop_oneof![3 => any_program(), 1 => caller_program()],
        profile in any_profile(),
    ) {
        let bytes = test.encode();
        let program = Program::parse(&bytes).unwrap();
        let initial = State::initial(&program, profile, &[]);
        let plain = plain::search(initial.clone(), &program, MOST);
        prop_assume!(plain.is_some());
        let plain = plain.unwrap();
        let found = quietly(&initial, &program, &threads(1));
        check_witnesses(&initial, &program, &found);
        prop_assert_eq!(lengths(&found), lengths(&plain));
        prop_assert_eq!(&found.outcomes, &plain.outcomes);
        prop_assert_eq!(&found.bug_checks, &plain.bug_checks);
        prop_assert_eq!(found.deadlocks, plain.deadlocks);
        prop_assert_eq!(found.states, plain.states);
        prop_assert_eq!(found.transitions, plain.transitions);
        prop_assert_eq!(quietly(&initial, &program, &threads(3)), found);
    }

    #[test]
    fn reductions_keep_outcomes_deadlocks_and_bug_checks(
        test in prop_oneof![2 => any_program(), 2 => identical_lanes(), 1 => caller_program()],
        profile in any_profile(),
    ) {
        let bytes = test.encode();
        let program = Program::parse(&bytes).unwrap();
        let initial = State::initial(&program, profile, &[]);
        let plain = plain::search(initial.clone(), &program, MOST);
        prop_assume!(plain.is_some());
        let plain = plain.unwrap();
        for bits in 1..8 {
            let reductions = Reductions {
                partial_order: bits & 1 != 0,
                symmetry: bits & 2 != 0,
                dead_values: bits & 4 != 0,
            };
            let options = Options { reductions, ..threads(1) };
            let found = quietly(&initial, &program, &options);
            check_witnesses(&initial, &program, &found);
            prop_assert!(found.outcomes.keys().eq(plain.outcomes.keys()), "{:?}", reductions);
            prop_assert_eq!(&found.bug_checks, &plain.bug_checks, "{:?}", reductions);
            prop_assert_eq!(found.deadlocks > 0, plain.deadlocks > 0, "{:?}", reductions);
            prop_assert!(found.states <= plain.states, "{:?}", reductions);
            prop_assert_eq!(lengths(&found), lengths(&plain), "{:?}", reductions);
            if bits == 1 {
                prop_assert_eq!(&found.outcomes, &plain.outcomes);
                prop_assert_eq!(found.deadlocks, plain.deadlocks);
            }
        }
    }
}
