//! Model and host agree: with every schedule, the real driver in the host has exactly the outcomes
//! that the explorer finds in the host's profile.
//!
//! Where a program has more schedules than are tried, each outcome of the host has to be one of the
//! model's. `APCLAB_AGREEMENT_PROGRAMS` says how many random programs there are, with caller lanes and
//! without, `APCLAB_AGREEMENT_SEED` which ones, and `APCLAB_AGREEMENT_SCHEDULES` how many schedules of
//! each are tried. With caller lanes there always are more, so that these are tried by chance; what the
//! model allows and nobody saw is printed.

mod callers;
mod compare;
mod programs;
mod random;

use std::path::{Path, PathBuf};

use apclab_client::schedules::Schedules;
use apclab_client::{HostTarget, Target};
use apclab_host::Options;
use apclab_tests::driver;

use compare::{Agreement, Sampler, allowed, compare};
use random::{Extent, is_small, litmus};

/// Random programs in an ordinary run of the tests.
const PROGRAMS: u32 = 80;
/// Schedules of one random program that are tried at the most, in an ordinary run of the tests.
const FEW: u32 = 200;
/// States of a random program at the most: with more, it has too many schedules to try them all.
const STATES: u64 = 70;
/// Random programs with caller lanes in an ordinary run of the tests.
const CALLERS: u32 = 50;
/// States of one of them at the most.
const CALLER_STATES: u64 = 100_000;
/// Schedules of one test of the suite that are tried at the most.
const MANY: u64 = 60;

/// The host with every schedule, up to a limit.
fn host(limit: u64) -> HostTarget {
    HostTarget::with_options(Options::new(driver())).with_schedules(Schedules::All(limit))
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
    let mut sampler = Sampler::new(&driver());
    let (mut same, mut within, mut wrong) = (0, 0, Vec::new());
    for file in &files {
        let name = file.display().to_string();
        let source = std::fs::read_to_string(file).expect("a readable test");
        let test = apclab_litmus::parse(&name, &source).expect("a test that parses");
        // With caller lanes there are too many schedules to try them all.
        let agreement = if test.program.callers.contains(&true) {
            let limit = u32::try_from(MANY).unwrap_or(u32::MAX);
            match allowed(&test.program, u64::MAX) {
                Ok(Some(allowed)) => sampler.compare(&test.program, &allowed, limit),
                Ok(None) => Ok(Agreement::NotRun),
                Err(why) => Err(why),
            }
        } else {
            compare(&mut host, &test.program, u64::MAX)
        };
        match agreement {
            Ok(Agreement::Same { .. }) => same += 1,
            Ok(Agreement::Within) => {
                println!("not all was seen: {name}");
                within += 1;
            }
            Ok(Agreement::NotRun) => {}
            Err(why) => wrong.push(format!("{name}: {why}")),
        }
    }
    host.finish().expect("nothing is left behind");
    sampler.finish();
    println!(
        "{same} tests with the same outcomes, {within} of which {MANY} schedules do not show all"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        same > 2 * within,
        "{same} tests were compared in full, {within} were not"
    );
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
    let mut sampler = Sampler::new(&driver());
    let counts = extent.try_programs(&callers::program(), |program| {
        if !is_small(program, 20) {
            return Ok(Agreement::NotRun);
        }
        // With one outcome there is nothing to order.
        let several = |allowed: &compare::Allowed| allowed.outcomes.len() > 1;
        let Some(allowed) = allowed(program, CALLER_STATES)?.filter(several) else {
            return Ok(Agreement::NotRun);
        };
        let agreement = sampler.compare(program, &allowed, extent.schedules);
        if agreement == Ok(Agreement::Within) {
            println!("not all was seen:\n{}", litmus(program.clone()));
        }
        agreement
    });
    sampler.finish();
    // Not of all: some outcomes are rare, and a suspension does not stay on its way through a whole request,
    // as the driver's lock around its sessions is a critical region.
    assert!(
        extent.schedules < FEW || counts.same > 4 * counts.within,
        "of too many programs not all was seen"
    );
    assert!(
        extent.programs < CALLERS || counts.hang > 0,
        "no program can hang"
    );
}
