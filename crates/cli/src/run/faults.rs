//! `apclab run --fail N` and `--fail-each`: what the driver makes of calls that fail.

use std::collections::BTreeMap;

use apclab_client::faults::{Effect, inject};
use apclab_client::{RunOptions, Target};
use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;

use super::progress;
use crate::args::{On, RunArgs, RunFormat};
use crate::failure::{self, Failure};
use crate::input::Input;
use crate::out::Out;
use crate::page::{document, escape};
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
    let failed: u64 = tests.iter().map(|test| test.failed).sum();
    let total = format!(
        "{} tests, {failed} calls made to fail: {dirty} tests without a clean end",
        tests.len()
    );
    match args.format {
        RunFormat::Json => {
            let report = TargetReport::of(host.name(), &info);
            let body = FaultsBody { tests };
            out.json(&Document::new("run --fail", report, code, None, body));
        }
        RunFormat::Text => out.line(&total),
        RunFormat::Junit => {
            let report = junit(&tests, host.name());
            out.text(&report.map_err(|why| Failure::Report(why.to_string()))?);
        }
        RunFormat::Html => out.text(&html(&tests, host.name(), &total)),
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

/// What there is to say of one test, a line for each thing.
fn lines(test: &TestFaults) -> Vec<String> {
    let errors: u64 = test.errors.values().sum();
    let mut lines = vec![format!(
        "Faults {}: {} calls failed, {errors} clean errors, {} done without",
        test.name, test.failed, test.survived
    )];
    let said = test.errors.iter();
    lines.extend(said.map(|(said, count)| format!("{count:<6}:>{said}")));
    let problems = test.problems.iter();
    lines.extend(problems.map(|problem| format!("FAILED {problem}")));
    lines
}

fn print(test: &TestFaults, out: &mut Out) {
    for line in lines(test) {
        out.line(&line);
    }
}

/// The tests in JUnit's XML.
fn junit(tests: &[TestFaults], target: &str) -> Result<String, SerializeError> {
    let mut report = Report::new("apclab");
    let mut suite = TestSuite::new(format!("{target}, calls that fail"));
    for test in tests {
        let mut status = TestCaseStatus::success();
        if !test.problems.is_empty() {
            status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(test.problems.join("; "));
        }
        let mut case = TestCase::new(test.name.as_str(), status);
        case.set_classname(super::junit::class(&test.file));
        case.set_system_out(lines(test).join("\n"));
        suite.add_test_case(case);
    }
    report.add_test_suite(suite);
    report.to_string()
}

/// The tests as a page.
fn html(tests: &[TestFaults], target: &str, total: &str) -> String {
    let sections: String = tests.iter().map(section).collect();
    let title = format!("apclab run on {target}, calls that fail");
    document(&title, &format!("<p>{}</p>\n{sections}", escape(total)))
}

/// One test on the page.
fn section(test: &TestFaults) -> String {
    let (class, verdict) = if test.problems.is_empty() {
        ("ok", "ok")
    } else {
        ("failed", "FAILED")
    };
    format!(
        "<section>\n<h2>{} <span class=\"{class}\">{verdict}</span></h2>\n<p>{}</p>\n\
         <pre>{}</pre>\n</section>\n",
        escape(&test.name),
        escape(&test.file),
        escape(&lines(test).join("\n")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> [TestFaults; 2] {
        let clean = TestFaults {
            name: "clean".to_owned(),
            file: "a/clean.litmus".to_owned(),
            failed: 2,
            survived: 1,
            errors: BTreeMap::from([("ExAllocatePool2: no <memory>".to_owned(), 1)]),
            problems: Vec::new(),
        };
        let dirty = TestFaults {
            name: "dirty".to_owned(),
            problems: vec!["call 1: the driver left behind: a thread".to_owned()],
            ..TestFaults::default()
        };
        [clean, dirty]
    }

    #[test]
    fn junit_counts_tests_without_a_clean_end() {
        let report = junit(&two(), "host").expect("a document");
        for text in [
            "name=\"host, calls that fail\" tests=\"2\"",
            "failures=\"1\"",
            "<testcase name=\"clean\" classname=\"a\"",
            "<failure message=\"call 1: the driver left behind: a thread\"/>",
            "2 calls failed, 1 clean errors, 1 done without",
        ] {
            assert!(report.contains(text), "{text} in {report}");
        }
    }

    #[test]
    fn html_says_it_of_each_test() {
        let page = html(&two(), "host", "2 tests");
        for text in [
            "<h2>clean <span class=\"ok\">ok</span></h2>",
            "<h2>dirty <span class=\"failed\">FAILED</span></h2>",
            "no &lt;memory&gt;",
            "<p>2 tests</p>",
        ] {
            assert!(page.contains(text), "{text} in {page}");
        }
    }
}
