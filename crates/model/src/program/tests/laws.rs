//! Laws over random programs that the protocol's verifier accepts.

use proptest::prelude::*;

pub(crate) use super::random::test_program;
use super::random::{APCS, refused};
use super::*;
use crate::explore::explore_from;
use crate::kernel::{Kernel, Mutant};
use crate::sample::sample;

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
