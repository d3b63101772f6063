//! Random programs with caller lanes that the protocol's verifier accepts, and laws over them.

use proptest::prelude::*;

use super::random::{number_registers, refused};
use super::*;
use crate::explore::explore_from;
use crate::kernel::{Kernel, Mutant};
use crate::sample::sample;
use apclab_protocol::step::WaitMode;

const LIMITS: Limits = Limits { states: 20_000 };
/// The APCs: two of user mode, to either caller lane, and a completion to the first.
const USER: u8 = 0;
const SPECIAL_USER: u8 = 1;
const COMPLETION: u8 = 2;
const EVENTS: u8 = 2;

/// A step in a call.
fn kernel_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..EVENTS).prop_map(|event| Step::Set { event }),
        1 => (0..EVENTS).prop_map(|event| Step::Reset { event }),
        1 => Just(Step::Load { variable: 0, to: 0 }),
        1 => (-3..3_i64).prop_map(|constant| Step::Store { variable: 0, from: None, constant }),
        2 => Just(Step::Queue { apc: COMPLETION, to: Some(0) }),
        1 => Just(Step::Ran { apc: COMPLETION, to: 0 }),
        1 => Just(Step::ApcsDisabled { to: 0 }),
    ]
}

fn wait() -> impl Strategy<Value = Step> {
    let modes = prop::sample::select(WaitMode::ALL.to_vec());
    prop_oneof![
        2 => (0..EVENTS).prop_map(|event| Step::Wait { event }),
        1 => (0..EVENTS, 0..2_u32)
            .prop_map(|(event, milliseconds)| Step::WaitFor { event, to: 0, milliseconds }),
        2 => (0..EVENTS, 0..2_u32, modes).prop_map(|(event, milliseconds, mode)| {
            Step::WaitAs { event, to: 0, milliseconds, mode }
        }),
    ]
}

fn call() -> impl Strategy<Value = Vec<Step>> {
    let steps = prop::collection::vec(kernel_step(), 0..2);
    let last = prop::option::of(wait());
    (steps, last, 0..4_u8).prop_map(|(mut steps, last, region)| {
        let waits = last.is_some();
        steps.extend(last);
        match region {
            0 => {
                steps.insert(0, Step::EnterCritical);
                steps.push(Step::LeaveCritical);
            }
            1 => {
                steps.insert(0, Step::EnterGuarded);
                steps.push(Step::LeaveGuarded);
            }
            2 if !waits => {
                steps.insert(0, Step::RaiseApc);
                steps.push(Step::Lower);
            }
            _ => {}
        }
        let length = u32::try_from(steps.len()).expect("the block is short");
        steps.insert(0, Step::Call { length });
        steps.push(Step::End);
        steps
    })
}

/// A step of user mode.
fn user_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (USER..=SPECIAL_USER).prop_map(|apc| Step::Queue { apc, to: Some(0) }),
        2 => (USER..=SPECIAL_USER).prop_map(|apc| Step::Ran { apc, to: 0 }),
        3 => (0..2_u32, any::<bool>())
            .prop_map(|(milliseconds, alertable)| Step::Sleep { milliseconds, alertable, to: 0 }),
        1 => (0..2_u8).prop_map(|lane| Step::Suspend { lane, to: Some(0) }),
        2 => (0..2_u8).prop_map(|lane| Step::Resume { lane, to: Some(0) }),
    ]
}

/// Steps of user mode, balanced on every path.
fn user_steps() -> impl Strategy<Value = Vec<Step>> {
    let section = |attempt: bool, mut inside: Vec<Step>| {
        let (lock, mode) = (0, Mode::Exclusive);
        if attempt {
            let length = u32::try_from(inside.len() + 1).expect("the block is short");
            let (to, milliseconds) = (0, 0);
            let attempt = Step::Try {
                lock,
                mode,
                to,
                milliseconds,
                length,
            };
            inside.insert(0, attempt);
            inside.extend([Step::Release { lock }, Step::End]);
        } else {
            inside.insert(0, Step::Acquire { lock, mode });
            inside.push(Step::Release { lock });
        }
        inside
    };
    let repeat = |mut inside: Vec<Step>| {
        let length = u32::try_from(inside.len()).expect("the block is short");
        inside.insert(0, Step::Repeat { count: 2, length });
        inside.push(Step::End);
        inside
    };
    let leaf = || prop_oneof![user_step().prop_map(|step| vec![step]), call()];
    let block = prop_oneof![
        4 => leaf(),
        1 => (any::<bool>(), leaf()).prop_map(move |(attempt, inside)| section(attempt, inside)),
        1 => leaf().prop_map(repeat),
    ];
    prop::collection::vec(block, 1..=3).prop_map(|blocks| blocks.concat())
}

/// Two caller lanes, and now and then one of the driver.
pub(crate) fn caller_program() -> impl Strategy<Value = ProgramBuf> {
    let driver = (prop::collection::vec(kernel_step(), 0..2), wait());
    let driver = driver.prop_map(|(mut steps, wait)| {
        if !matches!(wait, Step::WaitAs { .. }) {
            steps.push(wait);
        }
        steps
    });
    let lanes = (user_steps(), user_steps(), any::<bool>());
    let program = (lanes, 0..2_u8, 0..2_u8, prop::option::weighted(0.3, driver));
    let program = program.prop_map(|((mut first, second, starts), user, special, driver)| {
        if starts {
            first.insert(0, Step::Start { apc: COMPLETION });
        }
        let mut lanes = vec![first, second];
        lanes.extend(driver);
        for lane in &mut lanes {
            number_registers(lane);
        }
        let apcs = [
            (Kind::User, user),
            (Kind::SpecialUser, special),
            (Kind::Completion, 0),
        ];
        let events = [Signal::Notification, Signal::Synchronization];
        ProgramBuf {
            locks: vec![LockKind::CriticalSection],
            ..callers::with_callers(3, &apcs, &events, &lanes)
        }
    });
    program.prop_filter("the verifier refuses it", |test| refused(test).is_none())
}

fn any_profile() -> impl Strategy<Value = Profile> {
    prop_oneof![Just(Profile::Documented), Just(Profile::Nt52)]
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 20_000, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn what_the_verifier_accepts_of_caller_lanes_runs_into_no_bug_check(
        test in caller_program(),
        profile in any_profile(),
    ) {
        let bytes = test.encode();
        let parsed = Program::parse(&bytes).unwrap();
        let found = explore(&parsed, profile, &[], LIMITS);
        prop_assume!(found.is_ok());
        prop_assert_eq!(found.unwrap().bug_checks, vec![]);
    }

    #[test]
    fn mutants_of_caller_lanes_end_too(
        test in caller_program(),
        mutant in prop::sample::select(Mutant::ALL),
        profile in any_profile(),
    ) {
        let bytes = test.encode();
        let parsed = Program::parse(&bytes).unwrap();
        let kernel = Kernel::new_with(profile, Some(mutant));
        let found = explore_from(State::initial_on(kernel, &parsed, &[]), &parsed, LIMITS);
        prop_assume!(found.is_ok());
        let found = found.unwrap();
        prop_assert!(found.outcomes.len() + found.bug_checks.len() > 0 || found.deadlocks > 0);
    }

    #[test]
    fn every_outcome_of_caller_lanes_in_nt52_is_a_documented_one(test in caller_program()) {
        let bytes = test.encode();
        let parsed = Program::parse(&bytes).unwrap();
        let documented = explore(&parsed, Profile::Documented, &[], LIMITS);
        prop_assume!(documented.is_ok());
        let documented = documented.unwrap();
        let nt52 = explore(&parsed, Profile::Nt52, &[], LIMITS);
        prop_assume!(nt52.is_ok());
        let nt52 = nt52.unwrap();
        for outcome in nt52.outcomes.keys() {
            prop_assert!(documented.outcomes.contains_key(outcome), "{:?} is not documented", outcome);
        }
        prop_assert!(nt52.deadlocks == 0 || documented.deadlocks > 0);
        let histogram = sample(&parsed, Profile::Nt52, &[], 1, 20);
        for outcome in histogram.outcomes.keys() {
            prop_assert!(nt52.outcomes.contains_key(outcome), "{:?} was not explored", outcome);
        }
    }
}
