//! A run in JUnit's XML.

use std::path::Path;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::{Record, text};
use crate::describe;
use crate::verdict::Verdict;

/// The document. Tests that a target cannot run, and those whose outcome was not observed, count as
/// skipped: neither is a success or a failure.
///
/// # Errors
/// [`SerializeError`]: the document could not be written down.
pub(super) fn report(
    records: &[Record<'_>],
    target: &str,
    error: Option<&str>,
) -> Result<String, SerializeError> {
    let mut report = Report::new("apclab");
    let mut suite = TestSuite::new(target);
    let times = records.iter().filter_map(|record| record.result());
    let total: Duration = times.map(|result| result.elapsed).sum();
    suite.set_time(total);
    report.set_time(total);
    for record in records {
        suite.add_test_case(case(record));
    }
    if let Some(error) = error {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(error);
        suite.add_test_case(TestCase::new("the target ends in order", status));
    }
    report.add_test_suite(suite);
    report.to_string()
}

fn case(record: &Record<'_>) -> TestCase {
    let test = record.test();
    let problems = record.judgement.problems.iter();
    let problems: Vec<_> = problems.map(|p| describe::problem(test, p)).collect();
    let notes = record.judgement.notes.iter();
    let notes: Vec<_> = notes.map(|note| describe::note(test, note)).collect();
    let verdict = record.judgement.verdict;
    let mut status = match verdict {
        Verdict::Ok => TestCaseStatus::success(),
        Verdict::NotObserved | Verdict::NotRunnable => TestCaseStatus::skipped(),
        Verdict::Failed if record.outcome.is_none() => {
            TestCaseStatus::non_success(NonSuccessKind::Error)
        }
        Verdict::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
    };
    match verdict {
        Verdict::Ok => {}
        Verdict::NotObserved => {
            status.set_message("not observed");
        }
        Verdict::NotRunnable => {
            status.set_message(notes.join("; "));
        }
        Verdict::Failed => {
            status.set_message(problems.join("; "));
        }
    }
    let mut case = TestCase::new(test.name.as_str(), status);
    case.set_classname(class(&test.file));
    case.set_system_out(text::body(record));
    if let Some(result) = record.result() {
        case.set_time(result.elapsed);
    }
    case
}

/// The folders of a file as the name of a class: `litmus.waits` for `litmus/waits/a.litmus`.
pub(super) fn class(file: &str) -> String {
    let folder = Path::new(file).parent();
    let parts = folder.into_iter().flat_map(Path::components);
    let names = parts.filter_map(|part| match part {
        std::path::Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    });
    names.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_classes() {
        assert_eq!(class("litmus/waits/a.litmus"), "litmus.waits");
        assert_eq!(class("./a.litmus"), "");
        assert_eq!(class("/x/y/a.litmus"), "x.y");
    }
}
