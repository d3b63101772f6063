//! The command line's grammar.

use std::path::PathBuf;
use std::time::Duration;

use apclab_client::RunOptions;
use apclab_protocol::limits;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// A laboratory for the Windows kernel's APC-disabling regions.
#[derive(Debug, Parser)]
#[command(name = "apclab", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 all as expected, 1 a test failed, 2 the input or the command \
                        line is wrong, 3 the target is not available."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run litmus tests and judge what they do
    Run(RunArgs),
    /// Measure which APC runs where, next to what the documentation says
    Matrix(MatrixArgs),
    /// Say what the target is
    Info(InfoArgs),
}

/// What runs the programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum On {
    /// The model: all outcomes that the documentation allows (random ones with --iterations)
    Model,
    /// The real driver, loaded into this process
    Host,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct TargetArgs {
    /// What runs the programs
    #[arg(long, value_enum, default_value = "host")]
    pub(crate) on: On,
    /// The driver's file, for --on host [default: target/driver/apclab.sys here or above]
    #[arg(long, value_name = "FILE")]
    pub(crate) driver: Option<PathBuf>,
    /// Behave as a kernel that does not offer KeInitializeApc and KeInsertQueueApc
    #[arg(long)]
    pub(crate) without_apc_routines: bool,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct LimitArgs {
    /// Iterations of each test [default: 1000; the model: all outcomes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::ITERATIONS)))]
    pub(crate) iterations: Option<u32>,
    /// When a test ends at the latest: 500ms, 30s, 2m
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = run_deadline)]
    pub(crate) deadline: Duration,
    /// When a wait inside an iteration gives up
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = wait_deadline)]
    pub(crate) wait_deadline: Duration,
    /// Seed of the model's random paths
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

impl LimitArgs {
    pub(crate) fn options(&self) -> RunOptions {
        let default = RunOptions::default();
        RunOptions {
            iterations: self.iterations.unwrap_or(default.iterations),
            deadline: self.deadline,
            wait_deadline: self.wait_deadline,
            seed: self.seed,
            ..default
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Litmus tests, or folders with *.litmus files
    #[arg(value_name = "PATH", default_value = "litmus")]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MatrixArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

fn run_deadline(text: &str) -> Result<Duration, String> {
    duration(text, limits::RUN_DEADLINE_MS)
}

fn wait_deadline(text: &str) -> Result<Duration, String> {
    duration(text, limits::WAIT_DEADLINE_MS)
}

/// A whole number and its unit, between a millisecond and `longest_ms`.
fn duration(text: &str, longest_ms: u32) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        _ => return Err("a time is a whole number with ms, s or m behind it".to_owned()),
    };
    let millis = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(scale))
        .filter(|millis| (1..=u64::from(longest_ms)).contains(millis));
    millis
        .map(Duration::from_millis)
        .ok_or_else(|| format!("it must be between 1ms and {}s", longest_ms / 1000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_have_a_unit_and_a_limit() {
        assert_eq!(duration("250ms", 1000), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2m", 600_000), Ok(Duration::from_mins(2)));
        for wrong in [
            "",
            "5",
            "s",
            "0s",
            "-1s",
            "1.5s",
            "2s",
            "99999999999999999999ms",
        ] {
            assert!(duration(wrong, 1000).is_err(), "{wrong}");
        }
    }
}
