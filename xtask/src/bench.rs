//! How fast the command line is: to its first verdict, and at iterations; and the explorer beside Spin.
//! It measures, and asserts nothing but that all searches find the same.

mod explorer;
mod spin;

use std::io::{BufRead as _, BufReader};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::cli::Cli;
use crate::command;
use crate::cost;
use crate::driver;
use crate::setup;
use crate::workspace::Workspace;

/// One lane; two lanes of which one sends the other an APC; two lanes that race on variables.
const TESTS: &[&str] = &[
    "litmus/critical-region/critical-region-defers-normal-apc.litmus",
    "litmus/cross-lane/normal-apc-from-another-lane.litmus",
    "litmus/variables/store-buffering.litmus",
];

const TARGETS: &[&str] = &["model", "host"];

#[derive(Args, Clone, Copy, Debug)]
#[group(skip)]
pub(crate) struct Options {
    #[command(flatten)]
    setup: setup::Options,
    /// Runs that each figure is the median of.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Measure the explorer beside Spin and nothing else
    #[arg(long)]
    explorer: bool,
    /// Iterations of each run.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    iterations: u32,
}

/// Builds what is needed, measures, prints the table.
pub(crate) fn run(options: Options) -> Result<ExitCode> {
    let workspace = Workspace::current()?;
    if options.explorer {
        explorer::run(&workspace, options.runs)?;
        return Ok(ExitCode::SUCCESS);
    }
    let tools = setup::install(&workspace, options.setup.toolchain)?;
    driver::build(&workspace, &tools)?;
    let cli = Cli::build(&workspace)?;

    println!("Median of {} runs", options.runs);
    row(&["", "model", "host"]);
    let mut cells = vec!["start to first verdict, ms".to_owned()];
    for target in TARGETS {
        let time = median(options.runs, || first_verdict(&cli, target))?;
        cells.push(format!("{:.1}", time * 1000.0));
    }
    row(&cells);
    for test in TESTS {
        let name = test.rsplit('/').next().unwrap_or(test);
        let name = name.trim_end_matches(".litmus");
        let mut cells = vec![format!("{name}, iterations/s")];
        for target in TARGETS {
            let rate = median(options.runs, || {
                iterations_per_second(&cli, target, test, options.iterations)
            })?;
            cells.push(format!("{rate:.0}"));
        }
        row(&cells);
    }
    costs(&workspace)?;
    explorer::run(&workspace, options.runs)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints how many instructions each guard is, beside the code without it.
fn costs(workspace: &Workspace) -> Result<()> {
    let image = workspace.driver_folder().join("apclab-cost.sys");
    let bytes = std::fs::read(&image).with_context(|| format!("can't read {}", image.display()))?;
    println!("\n{}", cost::head());
    for pair in cost::compare(&bytes)? {
        println!("{pair}");
    }
    Ok(())
}

fn row<S: AsRef<str>>(cells: &[S]) {
    let line: String = cells
        .iter()
        .enumerate()
        .map(|(column, cell)| match column {
            0 => format!("{:52}", cell.as_ref()),
            _ => format!("{:>12}", cell.as_ref()),
        })
        .collect();
    println!("{line}");
}

/// Measures `runs` times, at least once.
fn median(runs: u32, mut measure: impl FnMut() -> Result<f64>) -> Result<f64> {
    let mut values = vec![measure()?];
    for _ in 1..runs {
        values.push(measure()?);
    }
    Ok(middle(&mut values))
}

/// The middle value, or the mean of the middle two. There is at least one.
fn middle(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 {
        values[half]
    } else {
        f64::midpoint(values[half - 1], values[half])
    }
}

/// Seconds from the start of the process to the line that has the first verdict.
fn first_verdict(cli: &Cli, target: &str) -> Result<f64> {
    let mut run = cli.command(&["run", TESTS[0], "--on", target]);
    run.stdout(Stdio::piped());
    let line = command::line(&run);
    let start = Instant::now();
    let mut process = run
        .spawn()
        .with_context(|| format!("can't start `{line}`"))?;
    let output = process
        .stdout
        .take()
        .context("the output was not captured")?;
    let mut verdict: Option<Duration> = None;
    // Read to the end: a process that can't write its output would fail.
    for text in BufReader::new(output).lines() {
        if text?.starts_with("Verdict ") && verdict.is_none() {
            verdict = Some(start.elapsed());
        }
    }
    let status = process.wait()?;
    match verdict {
        Some(time) if status.success() => Ok(time.as_secs_f64()),
        Some(_) => bail!("`{line}` failed: {status}"),
        None => bail!("`{line}` printed no verdict: {status}"),
    }
}

/// What the command line says of its run: without the start of the process and of the driver.
fn iterations_per_second(cli: &Cli, target: &str, test: &str, iterations: u32) -> Result<f64> {
    let iterations = iterations.to_string();
    let mut run = cli.command(&["run", test, "--on", target, "--format", "json"]);
    run.args(["--iterations", &iterations]);
    let line = command::line(&run);
    let report = command::answer(&mut run)?;
    rate(&report).with_context(|| format!("`{line}` reported no iterations and seconds"))
}

fn rate(report: &str) -> Result<f64> {
    let report: Value = serde_json::from_str(report)?;
    let result = &report["tests"][0]["result"];
    let number = |name: &str| result[name].as_f64().with_context(|| format!("no {name}"));
    Ok(number("iterations")? / number("seconds")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-9
    }

    #[test]
    fn the_middle_is_not_the_mean() {
        assert!(close(middle(&mut [9.0, 1.0, 2.0]), 2.0));
        assert!(close(middle(&mut [9.0, 1.0, 2.0, 4.0]), 3.0));
        assert!(close(middle(&mut [5.0]), 5.0));
    }

    #[test]
    fn the_rate_is_that_of_the_first_test() {
        let report = r#"{"tests":[{"result":{"iterations":500,"seconds":0.25}}]}"#;
        assert!(close(rate(report).unwrap(), 2000.0));
    }

    #[test]
    fn a_test_that_did_not_run_has_no_rate() {
        assert!(rate(r#"{"tests":[{}]}"#).is_err());
    }
}
