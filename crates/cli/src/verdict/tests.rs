use apclab_litmus::Formula;
use apclab_protocol::program::Place;
use proptest::prelude::*;

use super::*;

fn condition(quantifier: Quantifier, value: i64) -> Condition {
    Condition {
        quantifier,
        formula: Formula::Equal {
            observed: 0,
            name: "x".to_owned(),
            value,
        },
    }
}

fn expects(quantifier: Quantifier, value: i64) -> Expectation {
    Expectation::Condition(condition(quantifier, value))
}

fn seen(values: &[i64]) -> RunResult {
    RunResult {
        histogram: values.iter().map(|value| (vec![*value], 10)).collect(),
        iterations: 10 * u32::try_from(values.len()).expect("few"),
        ..RunResult::default()
    }
}

fn set(values: &[i64]) -> OutcomeSet {
    values.iter().map(|value| vec![*value]).collect()
}

fn allows(documented: &[i64], nt52: &[i64]) -> Prediction {
    Prediction {
        documented: set(documented),
        nt52: set(nt52),
        ..Prediction::default()
    }
}

const fn case(expectation: &Expectation) -> Case<'_> {
    Case {
        expectation,
        unjudged: None,
        polled: false,
    }
}

fn verdict(expectation: &Expectation, result: RunResult, prediction: &Prediction) -> Judgement {
    judge(case(expectation), &RunOutcome::Ran(result), Ok(prediction))
}

#[test]
fn violated_conditions_fail() {
    let both = allows(&[0, 1], &[0, 1]);
    let forall = verdict(&expects(Quantifier::Forall, 1), seen(&[0, 1]), &both);
    assert_eq!(forall.verdict, Verdict::Failed);
    assert_eq!(forall.problems, [Problem::Violated]);
    let never = verdict(&expects(Quantifier::NotExists, 1), seen(&[1]), &both);
    assert_eq!(never.problems, [Problem::Violated]);
    let good = verdict(
        &expects(Quantifier::Forall, 1),
        seen(&[1]),
        &allows(&[1], &[1]),
    );
    assert_eq!((good.verdict, good.notes), (Verdict::Ok, vec![]));
}

#[test]
fn an_exists_fails_only_where_everything_was_seen() {
    let both = allows(&[0, 1], &[0]);
    let sampled = verdict(&expects(Quantifier::Exists, 1), seen(&[0]), &both);
    assert_eq!(sampled.verdict, Verdict::NotObserved);
    let unseen = Note::NotSeen(vec![vec![1]], false);
    assert_eq!(sampled.notes, [unseen.clone(), Note::NotInNt52]);
    let both = allows(&[0, 1], &[0, 1]);
    let sampled = verdict(&expects(Quantifier::Exists, 1), seen(&[0]), &both);
    assert_eq!(sampled.notes, [unseen]);
    let all = RunResult {
        exhaustive: true,
        ..seen(&[0])
    };
    let exhaustive = verdict(&expects(Quantifier::Exists, 1), all, &allows(&[0], &[0]));
    assert_eq!(exhaustive.problems, [Problem::Violated]);
}

#[test]
fn forbidden_outcomes_fail_and_differing_ones_do_not() {
    let prediction = allows(&[0, 1], &[0]);
    let judgement = verdict(
        &expects(Quantifier::Exists, 0),
        seen(&[0, 1, 2]),
        &prediction,
    );
    assert_eq!(judgement.problems, [Problem::Forbidden(vec![vec![2]])]);
    assert_eq!(judgement.notes, [Note::DiffersFromNt52(vec![vec![1]])]);
    let judgement = verdict(&expects(Quantifier::Exists, 0), seen(&[0, 1]), &prediction);
    assert_eq!(judgement.verdict, Verdict::Ok);
}

#[test]
fn a_run_without_an_outcome_proves_nothing() {
    let hangs = RunResult {
        iterations: 3,
        timed_out: 3,
        ..RunResult::default()
    };
    let forall = expects(Quantifier::Forall, 1);
    let judgement = verdict(&forall, hangs.clone(), &allows(&[1], &[1]));
    assert_eq!(judgement.problems, [Problem::NothingSeen]);
    assert!(judgement.notes.contains(&Note::TimedOut(3, 3, Some(false))));
    let deadlock = Prediction {
        deadlocks: 1,
        ..allows(&[], &[])
    };
    let judgement = verdict(&forall, hangs, &deadlock);
    assert_eq!(judgement.problems, [Problem::AlwaysHangs]);
    assert_eq!(judgement.notes, [Note::TimedOut(3, 3, Some(true))]);
}

#[test]
fn bug_checks_fail() {
    let result = RunResult {
        bug_checks: vec!["0x1".to_owned()],
        ..seen(&[1])
    };
    let judgement = verdict(&expects(Quantifier::Forall, 1), result, &allows(&[1], &[1]));
    let expected = Problem::BugChecks(vec!["0x1".to_owned()]);
    assert_eq!(judgement.problems, [expected]);
}

#[test]
fn refusals_are_compared_in_reason_lane_and_step() {
    let refusal = Refusal {
        place: Place::Lane(1),
        step: 2,
        reason: Reason::NotInnermost,
    };
    let expectation = Expectation::Refused {
        reason: Reason::NotInnermost,
        place: Place::Lane(1),
        step: 2,
    };
    let judged = |got| {
        judge(
            case(&expectation),
            &RunOutcome::Refused(got),
            Err("not asked"),
        )
    };
    assert_eq!(judged(refusal).verdict, Verdict::Ok);
    let others = [
        Refusal {
            place: Place::Lane(0),
            ..refusal
        },
        Refusal { step: 3, ..refusal },
        Refusal {
            reason: Reason::LeftOpen,
            ..refusal
        },
    ];
    for got in others {
        let expected = Problem::RefusedOtherwise {
            expected: refusal,
            got,
        };
        assert_eq!(judged(got).problems, [expected]);
    }
    let ran = judge(
        case(&expectation),
        &RunOutcome::Ran(seen(&[0])),
        Err("not asked"),
    );
    assert_eq!(ran.problems, [Problem::NotRefused(refusal)]);
    let unexpected = judge(
        case(&expects(Quantifier::Forall, 0)),
        &RunOutcome::Refused(refusal),
        Err("not asked"),
    );
    assert_eq!(unexpected.problems, [Problem::Refused(refusal)]);
}

#[test]
fn what_a_target_cannot_run_is_no_failure() {
    let refusal = Refusal {
        place: Place::Lane(0),
        step: 0,
        reason: Reason::NoApcRoutines,
    };
    let forall = expects(Quantifier::Forall, 0);
    let refused = judge(
        case(&forall),
        &RunOutcome::Refused(refusal),
        Err("not asked"),
    );
    assert_eq!(refused.verdict, Verdict::NotRunnable);
    let disabled = Context {
        apcs_disabled: true,
        ..Context::default()
    };
    let late = RunOutcome::BaselineDisabled(vec![disabled]);
    assert_eq!(
        judge(case(&forall), &late, Err("not asked")).verdict,
        Verdict::NotRunnable
    );

    // A predicate answers otherwise inside the region that the thread began in.
    let inside = RunResult {
        baseline: vec![disabled],
        ..seen(&[1])
    };
    let foreseen = verdict(&forall, inside.clone(), &allows(&[1], &[1]));
    assert_eq!(foreseen.notes, [Note::NotRunnable(Obstacle::Baseline)]);
    let unforeseen = verdict(&forall, inside, &allows(&[0, 2], &[0]));
    assert_eq!(unforeseen.verdict, Verdict::Failed);
    let plain = verdict(&forall, seen(&[1]), &allows(&[1], &[1]));
    assert_eq!(plain.verdict, Verdict::Failed);
}

fn of_deadlock(quantifier: Quantifier) -> Expectation {
    Expectation::Condition(Condition {
        quantifier,
        formula: Formula::Deadlock,
    })
}

#[test]
fn a_deadlock_fails_a_test_that_does_not_speak_of_it() {
    let stuck = RunResult {
        deadlocks: 2,
        deadlock: Some("A waits for B".to_owned()),
        ..seen(&[1])
    };
    let may = Prediction {
        deadlocks: 1,
        ..allows(&[1], &[1])
    };
    let silent = verdict(&expects(Quantifier::Forall, 1), stuck.clone(), &may);
    let deadlocks = Problem::Deadlocks(2, stuck.deadlock.clone());
    assert_eq!(silent.problems, [deadlocks]);
    assert_eq!(silent.wrong, [None]);
    let exists = verdict(&of_deadlock(Quantifier::Exists), stuck.clone(), &may);
    assert_eq!((exists.verdict, exists.wrong), (Verdict::Ok, vec![]));
    let never = verdict(&of_deadlock(Quantifier::NotExists), stuck.clone(), &may);
    assert_eq!(never.problems, [Problem::Violated]);
    assert_eq!(never.wrong, [None]);
    let forbidden = verdict(
        &of_deadlock(Quantifier::Exists),
        stuck.clone(),
        &allows(&[1], &[1]),
    );
    assert_eq!(
        forbidden.problems,
        [Problem::ForbiddenDeadlock(stuck.deadlock)]
    );
}

#[test]
fn deadlocks_are_covered_like_outcomes() {
    let may = Prediction {
        deadlocks: 3,
        ..allows(&[0, 1], &[0, 1])
    };
    let none = verdict(&of_deadlock(Quantifier::Exists), seen(&[1]), &may);
    assert_eq!(none.verdict, Verdict::NotObserved);
    assert_eq!(none.notes, [Note::NotSeen(vec![vec![0]], true)]);
    let coverage = none.coverage.expect("a sample");
    assert_eq!(
        (coverage.seen, coverage.allowed, coverage.per_cent()),
        (1, 3, 33)
    );
    // An iteration that times out may be one, and need not be.
    let late = RunResult {
        timed_out: 1,
        ..seen(&[1])
    };
    let late = verdict(&of_deadlock(Quantifier::Exists), late, &allows(&[1], &[1]));
    assert_eq!((late.verdict, late.problems), (Verdict::Ok, vec![]));
    let only = RunResult {
        deadlocks: 1,
        iterations: 1,
        ..RunResult::default()
    };
    let only = verdict(
        &of_deadlock(Quantifier::Forall),
        only,
        &Prediction {
            documented: set(&[]),
            ..may
        },
    );
    assert_eq!(only.verdict, Verdict::Ok);
}

proptest! {
    /// A test fails when, and only when, something speaks against it; whatever lies outside the
    /// documented outcomes does, and whatever lies inside is never called forbidden.
    #[test]
    fn verdicts_follow_from_their_grounds(
        quantifier in prop_oneof![Just(Quantifier::Forall), Just(Quantifier::Exists), Just(Quantifier::NotExists)],
        value in 0..3_i64,
        observed in proptest::collection::btree_set(0..4_i64, 0..4),
        documented in proptest::collection::btree_set(0..4_i64, 0..4),
        nt52 in proptest::collection::btree_set(0..4_i64, 0..4),
        exhaustive: bool,
    ) {
        let list = |values: &std::collections::BTreeSet<i64>| values.iter().copied().collect::<Vec<_>>();
        let result = RunResult { exhaustive, ..seen(&list(&observed)) };
        let prediction = allows(&list(&documented), &list(&nt52));
        let judgement = verdict(&expects(quantifier, value), result, &prediction);
        prop_assert_eq!(judgement.verdict == Verdict::Failed, !judgement.problems.is_empty());
        let stray: Vec<_> = observed.difference(&documented).map(|v| vec![*v]).collect();
        let forbidden = judgement.problems.iter().find_map(|problem| match problem {
            Problem::Forbidden(outcomes) => Some(outcomes.clone()),
            _ => None,
        });
        prop_assert_eq!(forbidden.unwrap_or_default(), stray);
        if judgement.verdict == Verdict::NotObserved {
            prop_assert!(quantifier == Quantifier::Exists && !exhaustive && !observed.contains(&value));
        }
        let holds = match quantifier {
            Quantifier::Forall => observed.iter().all(|v| *v == value),
            Quantifier::Exists => observed.contains(&value),
            Quantifier::NotExists => !observed.contains(&value),
        };
        prop_assert!(holds || judgement.verdict != Verdict::Ok);
    }
}
