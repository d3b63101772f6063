//! The command line's grammar.

mod explore;
mod schedule;

use std::path::PathBuf;
use std::time::Duration;

use apclab_client::RunOptions;
use apclab_client::exploration::Baseline;
use apclab_protocol::limits;
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use explore::{ExploreArgs, Which};
pub(crate) use schedule::{Schedule, schedule};

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
    /// Let the model list all outcomes, deadlocks and bug checks of a test
    Explore(ExploreArgs),
    /// Draw one run of a test as swim lanes
    Trace(TraceArgs),
    /// Measure which APC runs where, next to what the documentation says
    Matrix(MatrixArgs),
    /// Merge the matrices of several machines into one page
    Compare(CompareArgs),
    /// Say what the target is
    Info(InfoArgs),
    /// Install the driver on this Windows
    Install(InstallArgs),
    /// Take the driver off this Windows
    Uninstall(ChangeArgs),
    /// Say what of the driver is installed, and whether it works
    Status(StatusArgs),
    /// Have Driver Verifier and KMDF Verifier watch the driver
    #[command(subcommand)]
    Verifier(VerifierCommand),
}

#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// The package's INF [default: apclab.inf beside this program]
    #[arg(long, value_name = "PATH")]
    pub(crate) inf: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, Subcommand)]
pub(crate) enum VerifierCommand {
    /// Switch both on, with Driver Verifier's standard flags
    On(ChangeArgs),
    /// Switch both off
    Off(ChangeArgs),
    /// Say what they are set to
    Status(StatusArgs),
}

/// What runs the programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum On {
    /// The model: all outcomes that the documentation allows (random ones with --iterations)
    Model,
    /// The real driver, loaded into this process (on Linux)
    Host,
    /// The real driver, loaded by Windows
    Device,
}

/// What runs the programs when nothing is said: the driver, by whatever can load it here.
const DEFAULT_TARGET: &str = if cfg!(windows) { "device" } else { "host" };

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

/// How `run` reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RunFormat {
    /// Histograms as litmus7 prints them, and a summary
    Text,
    /// One document
    Json,
    /// JUnit's XML, for build servers
    Junit,
    /// One page: source, histogram and trace of each test side by side
    Html,
}

#[derive(Debug, Args)]
pub(crate) struct TargetArgs {
    /// What runs the programs
    #[arg(long, value_enum, default_value = DEFAULT_TARGET)]
    pub(crate) on: On,
    /// The driver's file, for --on host [default: target/driver/apclab.sys here or above]
    #[arg(long, value_name = "FILE")]
    pub(crate) driver: Option<PathBuf>,
    /// Behave as a kernel that does not offer KeInitializeApc and KeInsertQueueApc
    #[arg(long)]
    pub(crate) without_apc_routines: bool,
    /// Behave as a kernel that does not offer the routines of push locks
    #[arg(long)]
    pub(crate) without_push_locks: bool,
    /// Behave as a Windows that does not offer QueueUserAPC2
    #[arg(long)]
    pub(crate) without_special_user_apcs: bool,
    /// The APC-disable counters that threads begin with, as KERNEL,SPECIAL: -1,0 is inside a critical
    /// region, 0,-1 inside a guarded one
    #[arg(
        long,
        value_name = "KERNEL,SPECIAL",
        default_value = "0,0",
        allow_hyphen_values = true,
        value_parser = baseline
    )]
    pub(crate) baseline: Baseline,
}

#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// When a test ends at the latest: 500ms, 30s, 2m
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = run_deadline)]
    pub(crate) deadline: Duration,
    /// When a wait inside an iteration gives up
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = wait_deadline)]
    pub(crate) wait_deadline: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct LimitArgs {
    /// Iterations of each test [default: 1000; the model: all outcomes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::ITERATIONS)))]
    pub(crate) iterations: Option<u32>,
    #[command(flatten)]
    pub(crate) waits: WaitArgs,
    /// Seed of the model's random paths
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

impl LimitArgs {
    pub(crate) fn options(&self) -> RunOptions {
        let default = RunOptions::default();
        RunOptions {
            iterations: self.iterations.unwrap_or(default.iterations),
            deadline: self.waits.deadline,
            wait_deadline: self.waits.wait_deadline,
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
    /// How the host's threads take turns. `random:SEED` and `pct:SEED[:DEPTH]` run one iteration for
    /// each seed from SEED on, by random choices or by priorities; `all` one for every schedule that
    /// there is; `replay:0,2,1` one with these choices. The machine is deterministic then, and the same
    /// seed gives the same run. `free` lets the threads run at the same time, also those of tests that
    /// may deadlock [default: free; random:SEED with the seed of --seed for tests that may deadlock]
    #[arg(long, value_name = "SCHEDULE", value_parser = schedule)]
    pub(crate) schedule: Option<Schedule>,
    /// How many schedules --schedule all tries at the most
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) schedules: u64,
    /// After how many deadlocks a test ends on the host, where each costs a machine
    #[arg(long, value_name = "N", default_value_t = RunOptions::default().deadlocks, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) deadlocks: u32,
    /// The longest random delay before a step, in microseconds, for lanes that run at the same time
    #[arg(long, value_name = "US", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=i64::from(limits::DELAY_US)))]
    pub(crate) delay: u32,
    /// Wait for locks by trying again and again, so that waits end: for tests that may deadlock, on
    /// machines where nothing ends a deadlock
    #[arg(long)]
    pub(crate) polled: bool,
    /// Make the driver's Nth call that can fail do so, counted from 0 in a machine for each test
    #[arg(long, value_name = "N", conflicts_with_all = ["fail_each", "schedule"])]
    pub(crate) fail: Option<u64>,
    /// Make each of the driver's calls that can fail do so, one in each machine
    #[arg(long, conflicts_with = "schedule")]
    pub(crate) fail_each: bool,
    /// Where it is written down which test runs, before it runs [default: with --on device,
    /// apclab.journal in the current folder; otherwise nowhere]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["fail", "fail_each"])]
    pub(crate) journal: Option<PathBuf>,
    /// Go on with the run of the journal: name the test that stopped the machine, run those that come
    /// after it
    #[arg(long, conflicts_with_all = ["fail", "fail_each"])]
    pub(crate) resume: bool,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: RunFormat,
}

/// Two counters. A positive one would say that a region was left too often.
fn baseline(text: &str) -> Result<Baseline, String> {
    let counter = |text: &str| text.trim().parse::<i16>().ok().filter(|count| *count <= 0);
    text.split_once(',')
        .and_then(|(kernel, special)| Some((counter(kernel)?, counter(special)?)))
        .map(|(kernel, special)| Baseline { kernel, special })
        .ok_or_else(|| "it must be two numbers from -32768 to 0, as in -1,0".to_owned())
}

/// Which kernel the model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// What Microsoft's pages promise, and no more
    Documented,
    /// What open re-implementations of NT 5.2 do
    Nt52,
}

impl Profile {
    /// The model's profile.
    pub(crate) const fn of_the_model(self) -> apclab_client::exploration::Profile {
        match self {
            Self::Documented => apclab_client::exploration::Profile::Documented,
            Self::Nt52 => apclab_client::exploration::Profile::Nt52,
        }
    }

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::Nt52 => "nt52",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    /// A litmus test
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Where the picture goes; without it the trace is printed
    #[arg(long, value_name = "OUT")]
    pub(crate) svg: Option<PathBuf>,
    /// On the host: the one iteration with this schedule, as `run` has it
    #[arg(long, value_name = "SCHEDULE", value_parser = schedule, conflicts_with = "iteration")]
    pub(crate) schedule: Option<Schedule>,
    /// Which iteration; on the model, which of the outcomes that `explore` lists [default: 1; the
    /// model: the first outcome that the condition looks for]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::ITERATIONS)))]
    pub(crate) iteration: Option<u32>,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) waits: WaitArgs,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct MatrixArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

/// How `compare` reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompareFormat {
    /// Tables
    Text,
    /// The same tables for a page in Markdown
    Markdown,
    /// One document
    Json,
    /// One page
    Html,
}

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// What `apclab matrix --format json` has written on each machine
    #[arg(value_name = "REPORT", required = true)]
    pub(crate) reports: Vec<PathBuf>,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: CompareFormat,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
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
    fn baselines_are_spelt_so() {
        let inside = Baseline {
            kernel: -1,
            special: 0,
        };
        assert_eq!(baseline("-1,0"), Ok(inside));
        for wrong in ["1,0", "0", "0,0,0", "-40000,0", "a,b"] {
            assert!(baseline(wrong).is_err(), "{wrong}");
        }
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
