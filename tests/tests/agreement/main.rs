//! Model and host agree: with every schedule, the real driver in the host has exactly the outcomes
//! that the explorer finds in the host's profile.
//!
//! Where a program has more schedules than are tried, each outcome of the host has to be one of the
//! model's. `APCLAB_AGREEMENT_PROGRAMS` says how many random programs there are,
//! `APCLAB_AGREEMENT_SEED` which ones, and `APCLAB_AGREEMENT_SCHEDULES` how many schedules of each are
//! tried.

mod programs;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use apclab_client::exploration::{Profile, Unexplored, explore};
use apclab_client::schedules::Schedules;
use apclab_client::{HostTarget, RunOptions, RunOutcome, Target};
use apclab_host::Options;
use apclab_litmus::{Condition, Expectation, Formula, Names, Quantifier, Test};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::program::Program;
use apclab_protocol::verify::{Machine, verify};
use apclab_tests::driver;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Random programs in an ordinary run of the tests.
const PROGRAMS: u32 = 80;
/// Schedules of one random program that are tried at the most, in an ordinary run of the tests.
const FEW: u32 = 200;
/// States of a random program at the most: with more, it has too many schedules to try them all.
const STATES: u64 = 70;
/// Schedules of one test of the suite that are tried at the most.
const MANY: u64 = 60;

/// How host and model compare.
#[derive(Debug, PartialEq, Eq)]
enum Agreement {
    /// The same outcomes, so many of them, and the same answer to the question whether it can hang.
    Same { outcomes: usize, hangs: bool },
    /// Not every schedule was tried; no outcome is the host's alone.
    Within,
    /// It is not for both to run, or too large.
    NotRun,
}

/// The host with every schedule, up to a limit.
fn host(limit: u64) -> HostTarget {
    HostTarget::with_options(Options::new(driver())).with_schedules(Schedules::All(limit))
}

/// Runs a program on both.
fn compare(host: &mut HostTarget, program: &ProgramBuf, states: u64) -> Result<Agreement, String> {
    let model = match explore(program, Profile::Nt52, &[]) {
        Ok(found) if found.states > states => return Ok(Agreement::NotRun),
        Ok(found) => found,
        Err(Unexplored::Refused(_)) => return Ok(Agreement::NotRun),
        Err(Unexplored::Failed(error)) => return Err(error.to_string()),
    };
    if !model.bug_checks.is_empty() {
        return Err(format!("the model has bug checks: {:?}", model.bug_checks));
    }
    let options = RunOptions {
        deadline: Duration::from_mins(1),
        ..RunOptions::default()
    };
    let result = match host
        .run(program, &options)
        .map_err(|error| error.to_string())?
    {
        RunOutcome::Ran(result) => result,
        other => return Err(format!("the host does not run it: {other:?}")),
    };
    let complete = result.schedules.is_some_and(|scheduled| scheduled.complete);
    let seen: BTreeSet<_> = result
        .histogram
        .into_iter()
        .map(|(outcome, _)| outcome)
        .collect();
    let allowed: BTreeSet<_> = model
        .outcomes
        .into_iter()
        .map(|(outcome, _)| outcome)
        .collect();
    let hangs = result.timed_out > 0 || result.deadlocks > 0;
    let may_hang = model.deadlocks > 0;
    let only_host: Vec<_> = seen.difference(&allowed).collect();
    if !only_host.is_empty() || (hangs && !may_hang) {
        return Err(format!(
            "the host alone has {only_host:?}; it hangs: {hangs}, the model: {may_hang}"
        ));
    }
    if !complete {
        return Ok(Agreement::Within);
    }
    let only_model: Vec<_> = allowed.difference(&seen).collect();
    if !only_model.is_empty() || hangs != may_hang {
        return Err(format!(
            "the model alone has {only_model:?}; the host hangs: {hangs}, the model: {may_hang}"
        ));
    }
    Ok(Agreement::Same {
        outcomes: seen.len(),
        hangs,
    })
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).expect("a folder of tests");
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "litmus")
        {
            files.push(path);
        }
    }
}

#[test]
fn the_suite_has_the_same_outcomes_on_model_and_host() {
    let mut files = Vec::new();
    collect(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../litmus"),
        &mut files,
    );
    files.sort();
    let mut host = host(MANY);
    let (mut same, mut within, mut wrong) = (0, 0, Vec::new());
    for file in &files {
        let name = file.display().to_string();
        let source = std::fs::read_to_string(file).expect("a readable test");
        let test = apclab_litmus::parse(&name, &source).expect("a test that parses");
        match compare(&mut host, &test.program, u64::MAX) {
            Ok(Agreement::Same { .. }) => same += 1,
            Ok(Agreement::Within) => within += 1,
            Ok(Agreement::NotRun) => {}
            Err(why) => wrong.push(format!("{name}: {why}")),
        }
    }
    host.finish().expect("nothing is left behind");
    println!("{same} tests with the same outcomes, {within} with more than {MANY} schedules");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        same > 2 * within,
        "{same} tests were compared in full, {within} were not"
    );
}

#[test]
fn random_programs_have_the_same_outcomes_on_model_and_host() {
    let number = |name: &str, default| match std::env::var(name) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => default,
    };
    let cases = number("APCLAB_AGREEMENT_PROGRAMS", PROGRAMS);
    let seed = number("APCLAB_AGREEMENT_SEED", 1);
    let schedules = number("APCLAB_AGREEMENT_SCHEDULES", FEW);
    let config = Config {
        cases,
        // Most random programs are too large to try every schedule of, or refused.
        max_global_rejects: cases.saturating_mul(100),
        failure_persistence: None,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let host = RefCell::new(host(schedules.into()));
    let counts = RefCell::new(Counts::default());
    let ended = TestRunner::new_with_rng(config, random).run(&programs::program(), |program| {
        prop_assume!(is_small(&program));
        match compare(&mut host.borrow_mut(), &program, STATES) {
            Ok(Agreement::Same { outcomes, hangs }) => {
                let mut counts = counts.borrow_mut();
                counts.same += 1;
                counts.several += u32::from(outcomes > 1);
                counts.hang += u32::from(hangs);
            }
            Ok(Agreement::Within) => counts.borrow_mut().within += 1,
            Ok(Agreement::NotRun) => prop_assume!(false),
            Err(why) => prop_assert!(false, "{}\n\n{}", why, litmus(program)),
        }
        Ok(())
    });
    let counts = counts.into_inner();
    println!("seed {seed}: {counts:?}");
    if let Err(failure) = ended {
        panic!("seed {seed}: {failure}");
    }
    host.into_inner().finish().expect("nothing is left behind");
    let Counts {
        same,
        several,
        hang,
        within,
    } = counts;
    // With fewer schedules of each, it is the simple programs that are compared in full.
    assert!(
        schedules < FEW || same > within,
        "fewer programs were compared in full than not"
    );
    assert!(
        schedules < FEW || several + hang > same / 10,
        "the programs are too simple to tell anything"
    );
    assert!(cases < PROGRAMS || hang > 0, "no program can hang");
}

/// How the random programs went.
#[derive(Debug, Default)]
struct Counts {
    /// Those with the same outcomes.
    same: u32,
    /// Those among them with more outcomes than one.
    several: u32,
    /// Those among them that can hang.
    hang: u32,
    /// Those with more schedules than are tried.
    within: u32,
}

/// Whether a program runs, and has not too much to order.
fn is_small(program: &ProgramBuf) -> bool {
    let bytes = program.encode();
    program.lanes.iter().map(Vec::len).sum::<usize>() <= 9
        && Program::parse(&bytes).is_ok_and(|parsed| verify(&parsed, Machine::COMPLETE).is_ok())
}

/// The program as a litmus test.
fn litmus(program: ProgramBuf) -> String {
    let names = |count: usize, first: &str| (0..count).map(|n| format!("{first}{n}")).collect();
    let names = Names {
        lanes: names(program.lanes.len(), "L"),
        variables: names(program.variables.len(), "x"),
        events: names(program.events.len(), "e"),
        apcs: names(program.apcs.len(), "a"),
        locks: names(program.locks.len(), "k"),
    };
    let anything = Expectation::Condition(Condition {
        quantifier: Quantifier::Exists,
        formula: Formula::True,
    });
    Test::from_program("disagreement", program, names, anything).to_text()
}
