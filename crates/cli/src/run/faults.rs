//! `apclab run --fail N` and `--fail-each`: what the driver makes of calls that fail.

use std::collections::BTreeMap;

use apclab_client::faults::{Effect, inject};
use apclab_client::{RunOptions, Target};
use serde::Serialize;

use super::progress;
use crate::args::{On, RunArgs, RunFormat};
use crate::failure::{self, Failure};
use crate::input::Input;
use crate::out::Out;
use crate::report::{Document, TargetReport};
use crate::target;

/// Calls of one test that are made to fail at the most. A test that makes more does not end.
const MOST: u64 = 100_000;

/// Iterations of each test: the calls that can fail are those of the start and the end.
const ITERATIONS: u32 = 2;

#[derive(Serialize)]
struct FaultsBody {
    tests: Vec<TestFaults>,
}

/// What came of the failed calls of one test.
#[derive(Default, Serialize)]
struct TestFaults {
    name: String,
    file: String,
    /// Calls that were made to fail.
    failed: u64,
    /// Those without which the driver did.
    survived: u64,
    /// The clean errors, and how often each came.
    errors: BTreeMap<String, u64>,
    /// What was no clean error, with the number of the call.
    problems: Vec<String>,
}

/// Runs the command; gives the exit code.
///
/// # Errors
/// [`Failure`]: a target that cannot be used.
pub(super) fn run(args: &RunArgs, inputs: &[Input], out: &mut Out) -> Result<u8, Failure> {
    if args.target.on != On::Host {
        return Err(Failure::Input(vec![
            "error: only --on host can make calls fail".to_owned(),
        ]));
    }
    if !matches!(args.format, RunFormat::Text | RunFormat::Json) {
        return Err(Failure::Input(vec![
            "error: failed calls are reported as text or json".to_owned(),
        ]));
    }
    let mut host = target::host(&args.target)?;
    let info = host.info()?;
    host.finish()?;
    let options = RunOptions {
        iterations: args.limits.iterations.unwrap_or(ITERATIONS),
        ..args.limits.options()
    };
    let bar = progress::bar(inputs.len());
    let mut tests = Vec::new();
    for input in inputs {
        bar.set_message(input.test.name.clone());
        let test = one(&host, input, args.fail, &options);
        if args.format == RunFormat::Text {
            bar.suspend(|| {
                print(&test, out);
                out.flush();
            });
        }
        tests.push(test);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let dirty = tests
        .iter()
        .filter(|test| !test.problems.is_empty())
        .count();
    let code = if dirty == 0 {
        failure::OK
    } else {
        failure::FAILED
    };
    if args.format == RunFormat::Json {
        let report = TargetReport::of(host.name(), &info);
        let body = FaultsBody { tests };
        out.json(&Document::new("run --fail", report, code, None, body));
    } else {
        let failed: u64 = tests.iter().map(|test| test.failed).sum();
        out.line(&format!(
            "{} tests, {failed} calls made to fail: {dirty} tests without a clean end",
            tests.len()
        ));
    }
    Ok(code)
}

/// Makes the calls of one test fail, each in a machine of its own.
fn one(
    host: &apclab_client::HostTarget,
    input: &Input,
    only: Option<u64>,
    options: &RunOptions,
) -> TestFaults {
    let mut faults = TestFaults {
        name: input.test.name.clone(),
        file: input.test.file.clone(),
        ..TestFaults::default()
    };
    let calls = match only {
        Some(call) => call..=call,
        None => 0..=MOST,
    };
    for call in calls {
        match inject(host.options(), call, &input.test.program, options) {
            Ok(Effect::None) => return faults,
            Ok(Effect::Survived { .. }) => faults.survived += 1,
            Ok(Effect::Error { function, said }) => {
                *faults
                    .errors
                    .entry(format!("{function}: {said}"))
                    .or_default() += 1;
            }
            Err(error) => faults.problems.push(format!("call {call}: {error}")),
        }
        faults.failed += 1;
    }
    if only.is_none() {
        faults.problems.push(format!("more than {MOST} calls"));
    }
    faults
}

fn print(test: &TestFaults, out: &mut Out) {
    let errors: u64 = test.errors.values().sum();
    out.line(&format!(
        "Faults {}: {} calls failed, {errors} clean errors, {} done without",
        test.name, test.failed, test.survived
    ));
    for (said, count) in &test.errors {
        out.line(&format!("{count:<6}:>{said}"));
    }
    for problem in &test.problems {
        out.line(&format!("FAILED {problem}"));
    }
}
