//! Explores one program, given as the bytes that the driver is sent, and prints what that cost. It
//! asserts nothing; `cargo xtask bench` runs it beside Spin.
//!
//! `explore PROGRAM [THREADS] [reduced]`

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Instant;

use apclab_model::explore::{Options, Reductions, search};
use apclab_model::kernel::Profile;
use apclab_model::program::State;
use apclab_protocol::program::Program;

/// More than any machine has that this is run on: the bench is not about the bound.
const BYTES: usize = 1 << 40;

fn main() -> ExitCode {
    // Cargo passes `--bench` when it runs this itself.
    let arguments = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench");
    let arguments: Vec<_> = arguments.collect();
    let Some(path) = arguments.first() else {
        println!("explore PROGRAM [THREADS] [reduced]");
        return ExitCode::SUCCESS;
    };
    let threads = arguments.iter().find_map(|argument| argument.parse().ok());
    let reduced = arguments.iter().any(|argument| argument == "reduced");
    let reductions = if reduced {
        Reductions::ALL
    } else {
        Reductions::NONE
    };
    match explore(path, threads.unwrap_or(NonZeroUsize::MIN), reductions) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn explore(path: &str, threads: NonZeroUsize, reductions: Reductions) -> Result<(), String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let program = Program::parse(&bytes).map_err(|malformed| format!("{malformed:?}"))?;
    let start = Instant::now();
    let initial = State::initial(&program, Profile::Documented, &[]);
    let options = Options {
        reductions,
        threads,
        bytes: BYTES,
        witnesses: false,
        ..Options::default()
    };
    let found = search(&initial, &program, &options, &mut |_| {});
    let found = found.map_err(|limit| limit.to_string())?;
    println!("seconds {}", start.elapsed().as_secs_f64());
    println!("states {}", found.states);
    println!("transitions {}", found.transitions);
    println!("deadlocks {}", found.deadlocks);
    println!("bug checks {}", found.bug_checks.len());
    println!("memory {}", peak_memory().unwrap_or(0));
    for outcome in found.outcomes.keys() {
        let values: Vec<_> = outcome.iter().map(i64::to_string).collect();
        println!("outcome {}", values.join(" "));
    }
    Ok(())
}

/// The most memory that this process has had, in KiB, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
