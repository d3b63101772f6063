//! Model and host agree: with every schedule, the real driver in the host has exactly the outcomes
//! that the explorer finds in the host's profile.
//!
//! Where a program has more schedules than are tried, each outcome of the host has to be one of the
//! model's. `APCLAB_AGREEMENT_PROGRAMS` says how many random programs there are, with caller lanes and
//! without, `APCLAB_AGREEMENT_SEED` which ones, and `APCLAB_AGREEMENT_SCHEDULES` how many schedules of
//! each are tried.

mod callers;
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
/// Random programs with caller lanes in an ordinary run of the tests.
const CALLERS: u32 = 60;
/// Schedules that are tried at a time, of either kind.
const BATCH: u32 = 4;
/// Schedules that are tried of each, also when all has been seen.
const LEAST: u32 = 24;
/// States of one of them at the most.
const CALLER_STATES: u64 = 100_000;
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

/// What a program may do by the model: its outcomes, and whether it may hang.
struct Allowed {
    outcomes: BTreeSet<Vec<i64>>,
    hangs: bool,
}

/// Asks the model, unless the program is not for it to run, or has more states.
fn allowed(program: &ProgramBuf, states: u64) -> Result<Option<Allowed>, String> {
    let model = match explore(program, Profile::Nt52, &[]) {
        Ok(found) if found.states > states => return Ok(None),
        Ok(found) => found,
        Err(Unexplored::Refused(_)) => return Ok(None),
        Err(Unexplored::Failed(error)) => return Err(error.to_string()),
    };
    if !model.bug_checks.is_empty() {
        return Err(format!("the model has bug checks: {:?}", model.bug_checks));
    }
    let outcomes = model.outcomes.into_iter();
    Ok(Some(Allowed {
        outcomes: outcomes.map(|(outcome, _)| outcome).collect(),
        hangs: model.deadlocks > 0,
    }))
}

/// What the host was seen to do with a program.
#[derive(Default)]
struct Seen {
    outcomes: BTreeSet<Vec<i64>>,
    hangs: bool,
    /// These were all schedules.
    complete: bool,
}

impl Seen {
    fn all_of(&self, allowed: &Allowed) -> bool {
        self.outcomes == allowed.outcomes && self.hangs == allowed.hangs
    }
}

/// Runs a program on the host. It may show only what is allowed.
fn run(
    host: &mut HostTarget,
    program: &ProgramBuf,
    iterations: u32,
    allowed: &Allowed,
) -> Result<Seen, String> {
    let options = RunOptions {
        iterations,
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
    let scheduled = result.schedules.unwrap_or_default();
    let outcomes = result.histogram.into_iter();
    let seen = Seen {
        outcomes: outcomes.map(|(outcome, _)| outcome).collect(),
        hangs: result.timed_out > 0 || result.deadlocks > 0,
        complete: scheduled.complete,
    };
    if let Some(outcome) = seen.outcomes.difference(&allowed.outcomes).next() {
        return Err(format!(
            "the host alone has {outcome:?}, with schedule {}",
            scheduled.first[outcome]
        ));
    }
    if seen.hangs && !allowed.hangs {
        let schedule = scheduled.deadlock.map(|schedule| schedule.to_string());
        return Err(format!("the host alone hangs, with schedule {schedule:?}"));
    }
    Ok(seen)
}

/// Whether all was seen that is allowed.
fn judge(seen: &Seen, allowed: &Allowed) -> Result<Agreement, String> {
    if seen.all_of(allowed) {
        let (outcomes, hangs) = (seen.outcomes.len(), seen.hangs);
        return Ok(Agreement::Same { outcomes, hangs });
    }
    if !seen.complete {
        return Ok(Agreement::Within);
    }
    let only_model: Vec<_> = allowed.outcomes.difference(&seen.outcomes).collect();
    Err(format!(
        "the model alone has {only_model:?}; the host hangs: {}, the model: {}",
        seen.hangs, allowed.hangs
    ))
}

/// Runs a program on both, with every schedule.
fn compare(host: &mut HostTarget, program: &ProgramBuf, states: u64) -> Result<Agreement, String> {
    match allowed(program, states)? {
        Some(allowed) => judge(&run(host, program, 1, &allowed)?, &allowed),
        None => Ok(Agreement::NotRun),
    }
}

/// Runs a program with schedules by chance, until all has been seen that is allowed: some at the least,
/// and so many at the most. Gives the host back.
fn sample(
    mut host: HostTarget,
    program: &ProgramBuf,
    allowed: &Allowed,
    limit: u32,
) -> (HostTarget, Result<Agreement, String>) {
    let mut seen = Seen::default();
    let mut tried = 0;
    while tried < limit.min(LEAST) || (tried < limit && !seen.all_of(allowed)) {
        let first = tried.into();
        let depth = 2 + tried % 3;
        for schedules in [
            Schedules::Random(first),
            Schedules::Pct { seed: first, depth },
        ] {
            host = host.with_schedules(schedules);
            match run(&mut host, program, BATCH, allowed) {
                Ok(more) => {
                    seen.outcomes.extend(more.outcomes);
                    seen.hangs |= more.hangs;
                }
                Err(why) => return (host, Err(why)),
            }
            tried += BATCH;
        }
    }
    (host, judge(&seen, allowed))
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

/// How many random programs there are, which ones, and with how many schedules.
#[derive(Clone, Copy)]
struct Extent {
    programs: u32,
    seed: u32,
    schedules: u32,
}

impl Extent {
    /// What the environment asks for, or so many.
    fn new(programs: u32, schedules: u32) -> Self {
        let number = |name: &str, default| match std::env::var(name) {
            Ok(text) => text.parse().expect("a number"),
            Err(_) => default,
        };
        Self {
            programs: number("APCLAB_AGREEMENT_PROGRAMS", programs),
            seed: number("APCLAB_AGREEMENT_SEED", 1),
            schedules: number("APCLAB_AGREEMENT_SCHEDULES", schedules),
        }
    }

    /// Tries programs until there are enough that both have run, or one of them shows a difference.
    fn try_programs(
        self,
        programs: &impl Strategy<Value = ProgramBuf>,
        mut attempt: impl FnMut(&ProgramBuf) -> Result<Agreement, String>,
    ) -> Counts {
        let config = Config {
            cases: self.programs,
            // Most random programs are too large to try every schedule of, or refused.
            max_global_rejects: self.programs.saturating_mul(100),
            failure_persistence: None,
            ..Config::default()
        };
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&self.seed.to_le_bytes());
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let counts = RefCell::new(Counts::default());
        let attempt = RefCell::new(&mut attempt);
        let ended = TestRunner::new_with_rng(config, random).run(programs, |program| {
            match attempt.borrow_mut()(&program) {
                Ok(Agreement::NotRun) => prop_assume!(false),
                Ok(agreement) => counts.borrow_mut().add(&agreement),
                Err(why) => prop_assert!(false, "{}\n\n{}", why, litmus(program)),
            }
            Ok(())
        });
        let counts = counts.into_inner();
        println!("seed {}: {counts:?}", self.seed);
        if let Err(failure) = ended {
            panic!("seed {}: {failure}", self.seed);
        }
        counts
    }
}

#[test]
fn random_programs_have_the_same_outcomes_on_model_and_host() {
    let extent = Extent::new(PROGRAMS, FEW);
    let mut host = host(extent.schedules.into());
    let counts = extent.try_programs(&programs::program(), |program| {
        if !is_small(program, 9) {
            return Ok(Agreement::NotRun);
        }
        compare(&mut host, program, STATES)
    });
    host.finish().expect("nothing is left behind");
    // With fewer schedules of each, it is the simple programs that are compared in full.
    assert!(
        extent.schedules < FEW || counts.same > counts.within,
        "fewer programs were compared in full than not"
    );
    assert!(
        extent.schedules < FEW || counts.several + counts.hang > counts.same / 10,
        "the programs are too simple to tell anything"
    );
    assert!(
        extent.programs < PROGRAMS || counts.hang > 0,
        "no program can hang"
    );
}

#[test]
fn random_programs_with_caller_lanes_do_on_the_host_what_the_model_allows() {
    let extent = Extent::new(CALLERS, FEW);
    let mut idle = Some(HostTarget::with_options(Options::new(driver())));
    let counts = extent.try_programs(&callers::program(), |program| {
        if !is_small(program, 20) {
            return Ok(Agreement::NotRun);
        }
        let Some(allowed) = allowed(program, CALLER_STATES)? else {
            return Ok(Agreement::NotRun);
        };
        if allowed.outcomes.len() < 2 {
            return Ok(Agreement::NotRun);
        }
        let host = idle.take().expect("it was given back");
        let (host, agreement) = sample(host, program, &allowed, extent.schedules);
        idle = Some(host);
        if agreement == Ok(Agreement::Within) {
            println!("not all was seen:\n{}", litmus(program.clone()));
        }
        agreement
    });
    let host = idle.as_mut().expect("it was given back");
    host.finish().expect("nothing is left behind");
    assert!(
        extent.schedules < FEW || counts.same > counts.within,
        "of most programs not all was seen"
    );
    assert!(
        extent.programs < CALLERS || counts.several > counts.same / 4 && counts.hang > 0,
        "the programs are too simple to tell anything"
    );
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

impl Counts {
    fn add(&mut self, agreement: &Agreement) {
        match *agreement {
            Agreement::Same { outcomes, hangs } => {
                self.same += 1;
                self.several += u32::from(outcomes > 1);
                self.hang += u32::from(hangs);
            }
            Agreement::Within => self.within += 1,
            Agreement::NotRun => {}
        }
    }
}

/// Whether a program runs, and has no more steps than that to order.
fn is_small(program: &ProgramBuf, steps: usize) -> bool {
    let bytes = program.encode();
    program.lanes.iter().map(Vec::len).sum::<usize>() <= steps
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
