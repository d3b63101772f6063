//! What the host can be told, through the client: schedules with seeds, baselines, calls that fail.

use std::collections::BTreeSet;

use apclab_client::exploration::Baseline;
use apclab_client::faults::{Effect, inject};
use apclab_client::schedules::Schedules;
use apclab_client::{HostTarget, RunOptions, RunOutcome, RunResult, Target};
use apclab_host::Options;
use apclab_protocol::build::ProgramBuf;
use apclab_tests::driver;

/// Lane B queues a special APC to lane A, which looks whether it has run.
const RACE: &str = "test race\n\napc s special to A\n\nlane A\n  ran s -> r1\n\nlane B\n  queue s\n\n\
                    exists (A:r1 = 1)\n";
/// A lane asks where it is.
const CONTEXT: &str = "test context\n\nlane A\n  apcs-disabled -> r1\n  all-apcs-disabled -> r2\n\n\
                       exists (A:r1 = 1 /\\ A:r2 = 1)\n";

fn program(source: &str) -> ProgramBuf {
    apclab_litmus::parse("inline", source)
        .expect("a test that parses")
        .program
}

fn host() -> HostTarget {
    HostTarget::with_options(Options::new(driver()))
}

fn run(mut host: HostTarget, source: &str, iterations: u32) -> RunOutcome {
    let options = RunOptions {
        iterations,
        ..RunOptions::default()
    };
    let outcome = host
        .run(&program(source), &options)
        .expect("the driver answers");
    host.finish().expect("nothing is left behind");
    outcome
}

fn ran(outcome: RunOutcome) -> RunResult {
    match outcome {
        RunOutcome::Ran(result) => result,
        other => panic!("it does not run: {other:?}"),
    }
}

#[test]
fn a_seed_gives_the_same_outcome_again() {
    let all = ran(run(host().with_schedules(Schedules::Random(11)), RACE, 60));
    assert_eq!(all.iterations, 60);
    let first = all.schedules.expect("a scheduled run").first;
    let outcomes: BTreeSet<_> = first.keys().cloned().collect();
    assert_eq!(outcomes, BTreeSet::from([vec![0], vec![1]]));
    for (outcome, schedule) in first {
        for _ in 0..2 {
            let again = host().with_schedules(schedule.clone());
            let again = ran(run(again, RACE, 1));
            assert_eq!(again.histogram, [(outcome.clone(), 1)], "{schedule}");
        }
    }
}

#[test]
fn all_schedules_are_all_only_when_the_limit_lets_them() {
    let all = ran(run(host().with_schedules(Schedules::All(10_000)), RACE, 1));
    assert!(all.schedules.is_some_and(|scheduled| scheduled.complete));
    assert!(all.iterations > 2);
    let some = ran(run(host().with_schedules(Schedules::All(2)), RACE, 1));
    assert!(some.schedules.is_some_and(|scheduled| !scheduled.complete));
    assert_eq!(some.iterations, 2);
}

/// Two lanes that take two locks in two orders.
const CROSSED: &str = "test crossed\nmay deadlock\n\nfast-mutex f\nfast-mutex g\n\n\
                       lane A\n  acquire f\n  acquire g\n  release g\n  release f\n\n\
                       lane B\n  acquire g\n  acquire f\n  release f\n  release g\n\n\
                       exists deadlock\n";

#[test]
fn a_machine_is_scheduled_or_free_from_run_to_run() {
    let mut host = host();
    let (program, options) = (program(RACE), RunOptions::default());
    let free = ran(host.run(&program, &options).expect("an answer"));
    assert_eq!(free.schedules, None);
    let pct = Schedules::Pct { seed: 3, depth: 2 };
    let options = RunOptions {
        iterations: 40,
        ..options
    };
    let scheduled = host.run_scheduled(&program, &options, &pct);
    let scheduled = ran(scheduled.expect("an answer"));
    assert_eq!(scheduled.iterations, 40);
    let first = scheduled.schedules.expect("schedules").first;
    for (outcome, one) in first {
        let options = RunOptions {
            iterations: 1,
            ..options
        };
        let again = host.run_scheduled(&program, &options, &one);
        assert_eq!(
            ran(again.expect("an answer")).histogram,
            [(outcome, 1)],
            "{one}"
        );
    }
    let free = ran(host.run(&program, &options).expect("an answer"));
    assert_eq!(free.schedules, None);
    host.finish().expect("nothing is left behind");
}

#[test]
fn a_run_ends_after_so_many_deadlocks_and_each_replays() {
    let mut host = host();
    let (program, options) = (program(CROSSED), RunOptions::default());
    let options = RunOptions {
        deadlocks: 3,
        ..options
    };
    let some = host.run_scheduled(&program, &options, &Schedules::Random(1));
    let some = ran(some.expect("an answer"));
    assert_eq!((some.deadlocks, some.enough_deadlocks), (3, true));
    assert!(some.iterations < options.iterations);
    let all = host.run_scheduled(&program, &options, &Schedules::All(1000));
    let all = ran(all.expect("an answer"));
    assert!(all.deadlocks > 3 && !all.enough_deadlocks);
    for scheduled in [some.schedules, all.schedules].into_iter().flatten() {
        let one = scheduled.deadlock.expect("a schedule that deadlocks");
        let options = RunOptions {
            iterations: 1,
            ..options
        };
        let again = host.run_scheduled(&program, &options, &one);
        assert_eq!(ran(again.expect("an answer")).deadlocks, 1, "{one}");
    }
    host.finish().expect("nothing is left behind");
}

#[test]
fn threads_begin_as_they_are_told_to() {
    for (kernel, special, answers) in [(0, 0, [0, 0]), (-1, 0, [1, 0]), (0, -2, [1, 1])] {
        let baseline = Baseline { kernel, special };
        let asked = ran(run(host().with_baseline(baseline), CONTEXT, 3));
        assert_eq!(asked.histogram, [(answers.to_vec(), 3)], "{baseline:?}");
        let queued = run(host().with_baseline(baseline), RACE, 3);
        if baseline == Baseline::default() {
            assert_eq!(ran(queued).iterations, 3);
            continue;
        }
        let RunOutcome::BaselineDisabled(contexts) = queued else {
            panic!("it ran with {baseline:?}: {queued:?}");
        };
        assert_eq!(contexts.len(), 2);
        assert!(contexts.iter().all(|context| context.apcs_disabled));
    }
}

#[test]
fn every_call_that_can_fail_ends_in_a_clean_error() {
    let options = RunOptions {
        iterations: 2,
        ..RunOptions::default()
    };
    let host = host();
    let mut functions = BTreeSet::new();
    let effects = (0..1000).map(|call| inject(host.options(), call, &program(RACE), &options));
    for effect in effects {
        match effect.expect("no call that fails does worse than an error") {
            Effect::None => break,
            Effect::Survived { function } | Effect::Error { function, .. } => {
                functions.insert(function);
            }
        }
    }
    for function in ["ExAllocatePool2", "PsCreateSystemThread", "DriverEntry"] {
        assert!(functions.contains(function), "{function} in {functions:?}");
    }
}
