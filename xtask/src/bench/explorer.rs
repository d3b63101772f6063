//! The explorer beside Spin: the same tests, in one run, by turns.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail, ensure};
use apclab_litmus::Test;

use super::middle;
use super::spin::{self, Pan};
use crate::cli::executable;
use crate::command;
use crate::workspace::Workspace;

/// Where the tests are, each as a litmus test and as a Promela model of the same name.
const FOLDER: &str = "bench/spin";

/// What one search cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Cost {
    pub(super) seconds: f64,
    pub(super) states: u64,
    /// In bytes.
    pub(super) memory: u64,
}

/// What a search has found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Found {
    pub(super) cost: Cost,
    pub(super) outcomes: BTreeSet<Vec<i64>>,
}

/// Runs every test with both, prints the table, and how both grow.
///
/// # Errors
///
/// When Spin is not there, something does not compile or end, or outcomes differ.
pub(super) fn run(workspace: &Workspace, runs: u32) -> Result<()> {
    let version = spin::version()?;
    let explorer = build(workspace)?;
    let cores = thread::available_parallelism()?.get();
    println!(
        "\n{version}, and the explorer on 1 and {cores} threads: medians of {runs} runs by turns"
    );
    println!("{}", processor());
    let folder = workspace.root().join(FOLDER);
    let mut tests: Vec<_> = fs::read_dir(&folder)
        .with_context(|| folder.display().to_string())?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    tests.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "litmus")
    });
    tests.sort();
    ensure!(!tests.is_empty(), "no tests in {}", folder.display());
    head();
    for test in tests {
        compare(workspace, &explorer, &test, cores, runs)
            .with_context(|| test.display().to_string())?;
    }
    grow(workspace, &explorer, cores)
}

/// Builds the program that explores one test and says what it cost.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let mut build = command::cargo();
    build
        .current_dir(workspace.root())
        .args([
            "build",
            "--release",
            "--locked",
            "--package",
            "apclab-model",
            "--bench",
            "explore",
        ])
        .arg("--message-format=json-render-diagnostics");
    let messages = command::answer(&mut build)?;
    executable(&messages, "explore").context("the package apclab-model has no bench explore")
}

/// The ways in which a test is searched.
struct Way<'a> {
    name: &'static str,
    run: Box<dyn Fn() -> Result<Found> + 'a>,
}

fn compare(
    workspace: &Workspace,
    explorer: &Path,
    path: &Path,
    cores: usize,
    runs: u32,
) -> Result<()> {
    let source = fs::read_to_string(path)?;
    let test = apclab_litmus::parse(&path.display().to_string(), &source)
        .map_err(|errors| anyhow!("{errors}"))?;
    let folder = workspace.bench().join(&test.name);
    fs::create_dir_all(&folder)?;
    let program = write(&test, &folder)?;
    let model = path.with_extension("pml");
    let explore = |threads: usize, reduced| search(explorer, &program, threads, reduced);
    let full = Pan::compile(&model, &folder, "full", &["-DNOREDUCE"])?;
    let reduced = Pan::compile(&model, &folder, "reduced", &[])?;
    let ways = [
        way("full", || explore(1, false)),
        way("Spin full", || full.run()),
        way("full, all cores", || explore(cores, false)),
        way("reduced", || explore(1, true)),
        way("Spin reduced", || reduced.run()),
        way("reduced, all cores", || explore(cores, true)),
    ];
    let mut costs = vec![Vec::new(); ways.len()];
    let mut outcomes: Option<BTreeSet<Vec<i64>>> = None;
    for _ in 0..runs {
        for (way, costs) in ways.iter().zip(&mut costs) {
            let found = (way.run)().with_context(|| way.name)?;
            costs.push(found.cost);
            // What pan prints it prints where it is compiled for that.
            if !way.name.starts_with("Spin") {
                agree(&mut outcomes, found.outcomes, way.name)?;
            }
        }
    }
    for (name, flags) in [("full", &["-DNOREDUCE"][..]), ("reduced", &[])] {
        let name = format!("{name}-printing");
        let flags: Vec<_> = flags.iter().chain(&["-DPRINTF"]).copied().collect();
        let pan = Pan::compile(&model, &folder, &name, &flags)?;
        agree(&mut outcomes, pan.run()?.outcomes, &format!("Spin {name}"))?;
    }
    let costs: Vec<_> = costs.into_iter().map(|runs| median(&runs)).collect();
    let count = outcomes.map_or(0, |outcomes| outcomes.len());
    println!(
        "\n{}: {count} outcomes, the same in all; pan compiled in {:.1} s",
        test.name, full.compile_seconds
    );
    for (way, cost) in ways.iter().zip(&costs) {
        let spin = if way.name.contains("full") {
            &costs[1]
        } else {
            &costs[4]
        };
        row(way.name, cost, spin);
    }
    Ok(())
}

fn way<'a>(name: &'static str, run: impl Fn() -> Result<Found> + 'a) -> Way<'a> {
    Way {
        name,
        run: Box::new(run),
    }
}

/// Checks that every search finds the same.
fn agree(
    outcomes: &mut Option<BTreeSet<Vec<i64>>>,
    found: BTreeSet<Vec<i64>>,
    name: &str,
) -> Result<()> {
    match outcomes {
        None => *outcomes = Some(found),
        Some(known) if *known == found => {}
        Some(known) => {
            let differ: Vec<_> = known.symmetric_difference(&found).take(5).collect();
            bail!("{name}: other outcomes than the first search, as {differ:?}");
        }
    }
    Ok(())
}

/// Writes the program as the driver is sent it.
fn write(test: &Test, folder: &Path) -> Result<PathBuf> {
    let path = folder.join("program");
    fs::write(&path, test.program.encode())?;
    Ok(path)
}

/// Runs the explorer once.
fn search(explorer: &Path, program: &Path, threads: usize, reduced: bool) -> Result<Found> {
    let mut run = Command::new(explorer);
    run.arg(program).arg(threads.to_string());
    if reduced {
        run.arg("reduced");
    }
    let start = Instant::now();
    let text = command::output(&mut run)?;
    read(&text, start.elapsed().as_secs_f64())
}

/// What the explorer prints.
fn read(text: &str, seconds: f64) -> Result<Found> {
    let value = |name: &str| {
        let mut values = text.lines().filter_map(|line| line.strip_prefix(name));
        values
            .next()
            .with_context(|| format!("no{name}in the explorer's output"))
    };
    let number = |name: &str| Ok::<u64, anyhow::Error>(value(name)?.parse()?);
    ensure!(number("deadlocks ")? == 0, "the test can deadlock");
    ensure!(
        number("bug checks ")? == 0,
        "the test can run into a bug check"
    );
    Ok(Found {
        cost: Cost {
            seconds,
            states: number("states ")?,
            memory: number("memory ")? << 10,
        },
        outcomes: outcomes(text)?,
    })
}

/// The lines `outcome 1 2 3` of a text.
pub(super) fn outcomes(text: &str) -> Result<BTreeSet<Vec<i64>>> {
    let lines = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("outcome "));
    lines
        .map(|line| {
            line.split_whitespace()
                .map(|value| Ok(value.parse()?))
                .collect()
        })
        .collect()
}

fn median(costs: &[Cost]) -> Cost {
    let mut seconds: Vec<_> = costs.iter().map(|cost| cost.seconds).collect();
    let first = costs.first().cloned().unwrap_or_default();
    Cost {
        seconds: middle(&mut seconds),
        ..first
    }
}

fn head() {
    println!(
        "{:20}{:>12}{:>14}{:>14}{:>12}{:>14}",
        "", "time, s", "states", "10^6 states/s", "MiB", "Spin's time ×"
    );
}

fn row(name: &str, cost: &Cost, spin: &Cost) {
    #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = cost.states as f64 / cost.seconds / 1e6;
    println!(
        "{name:20}{:>12.3}{:>14}{rate:>14.2}{:>12}{:>14.1}",
        cost.seconds,
        cost.states,
        cost.memory >> 20,
        spin.seconds / cost.seconds
    );
}

/// How both grow with lanes and rounds, on the test of a counter under a fast mutex.
fn grow(workspace: &Workspace, explorer: &Path, cores: usize) -> Result<()> {
    let model = workspace.root().join(FOLDER).join("region-fast-mutex.pml");
    let folder = workspace.bench().join("grow");
    fs::create_dir_all(&folder)?;
    println!("\nregion-fast-mutex by lanes and rounds, one run each: seconds and states");
    println!(
        "{:8}{:>26}{:>26}{:>26}{:>26}{:>26}",
        "", "full", "full, all cores", "Spin full", "reduced", "Spin reduced"
    );
    for (lanes, rounds) in GROWTH {
        let test = apclab_litmus::parse("region-fast-mutex", &counter(lanes, rounds))
            .map_err(|errors| anyhow!("{errors}"))?;
        let program = write(&test, &folder)?;
        let sizes = [format!("-DLANES={lanes}"), format!("-DROUNDS={rounds}")];
        let [lanes_flag, rounds_flag] = &sizes;
        let spin = |name, flags: &[&str]| {
            let promela = [lanes_flag.as_str(), rounds_flag.as_str()];
            Pan::compile_with(&model, &folder, name, &promela, flags)?.run()
        };
        let found = [
            search(explorer, &program, 1, false)?,
            search(explorer, &program, cores, false)?,
            spin("full", &["-DNOREDUCE"])?,
            search(explorer, &program, 1, true)?,
            spin("reduced", &[])?,
        ];
        print!("{:8}", format!("{lanes} × {rounds}"));
        for found in found {
            let cell = format!("{:.3} {}", found.cost.seconds, found.cost.states);
            print!("{cell:>26}");
        }
        println!();
    }
    Ok(())
}

/// Lanes and rounds that both still search in minutes.
const GROWTH: [(u32, u32); 8] = [
    (2, 3),
    (3, 3),
    (4, 1),
    (4, 2),
    (4, 3),
    (4, 4),
    (5, 1),
    (5, 2),
];

/// The test region-fast-mutex with so many lanes and rounds.
fn counter(lanes: u32, rounds: u32) -> String {
    let lane = |lane| {
        format!(
            "lane L{lane}\n repeat {rounds}\n  enter critical\n  acquire m\n  load x -> r1\n  \
             store x r1 + 1\n  release m\n  leave critical\n end\n"
        )
    };
    let lanes_text: Vec<_> = (0..lanes).map(lane).collect();
    format!(
        "test region-fast-mutex\nvar x\nfast-mutex m\n{}forall (x = {})\n",
        lanes_text.concat(),
        lanes * rounds
    )
}

/// What the machine calls its processor.
fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let name = name.map(|name| name.trim_start_matches([' ', '\t', ':']));
    name.unwrap_or("an unnamed processor").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_explorer_prints_is_read() {
        let text = "states 12\ntransitions 30\ndeadlocks 0\nbug checks 0\nmemory 2048\n\
                    outcome 1 -2\noutcome 0 0\n";
        let found = read(text, 0.5).unwrap();
        assert_eq!(found.cost.states, 12);
        assert_eq!(found.cost.memory, 2 << 20);
        assert_eq!(found.outcomes, BTreeSet::from([vec![0, 0], vec![1, -2]]));
        assert!(read(&text.replace("deadlocks 0", "deadlocks 1"), 0.5).is_err());
    }

    #[test]
    fn a_search_that_finds_something_else_is_an_error() {
        let mut known = None;
        let found = BTreeSet::from([vec![1]]);
        agree(&mut known, found.clone(), "one").unwrap();
        agree(&mut known, found, "other").unwrap();
        assert!(agree(&mut known, BTreeSet::new(), "third").is_err());
    }

    #[test]
    fn the_test_that_grows_is_a_test() {
        let test = apclab_litmus::parse("region-fast-mutex", &counter(3, 2)).unwrap();
        assert_eq!(test.program.lanes.len(), 3);
    }
}
