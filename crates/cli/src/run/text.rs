//! A run as text.

use std::time::Duration;

use apclab_client::{RunOutcome, RunResult};
use apclab_litmus::Expectation;

use super::Record;
use crate::out::Out;
use crate::verdict::{Problem, Verdict};
use crate::{describe, histogram, table};

/// One test, its verdict apart: the histogram in litmus7's format, then what is to be said about it.
pub(crate) fn body(record: &Record<'_>) -> String {
    let test = record.test();
    let names = describe::observed_names(test);
    let name = &test.name;
    let mut lines = Vec::new();
    match (&test.expectation, record.result()) {
        (Expectation::Condition(condition), Some(result)) => {
            let states = &result.histogram;
            let shown = histogram::text(name, condition, &names, states, result.elapsed);
            lines.push(shown.trim_end().to_owned());
        }
        (Expectation::Condition(condition), None) => {
            lines.push(format!(
                "Test {name} {}",
                histogram::kind(condition.quantifier)
            ));
        }
        (Expectation::Refused { .. }, _) => lines.push(format!("Test {name} Refused")),
    }
    if let Some(RunOutcome::Refused(refusal)) = &record.outcome {
        lines.push(if record.judgement.verdict == Verdict::Ok {
            describe::refusal(test, refusal)
        } else {
            test.render_refusal(refusal, &record.input.source)
        });
    }
    for problem in &record.judgement.problems {
        // The text of litmus7 has said so.
        if *problem != Problem::Violated {
            lines.push(describe::problem(test, problem));
        }
    }
    for note in &record.judgement.notes {
        lines.push(describe::note(test, note));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Prints one test.
pub(super) fn print(record: &Record<'_>, out: &mut Out) {
    out.text(&body(record));
    let verdict = out.verdict(record.judgement.verdict);
    out.line(&format!("Verdict {} {verdict}\n", record.test().name));
}

/// Prints the table of all tests.
pub(super) fn summary(records: &[Record<'_>], out: &mut Out) {
    let mut rows = table::Table::new(out, &["test", "states", "iterations", "time", "verdict"]);
    for record in records {
        let result = record.result();
        let cell = |of: &dyn Fn(&RunResult) -> String| result.map_or_else(String::new, of);
        rows.row([
            record.test().name.clone(),
            cell(&|result| result.histogram.len().to_string()),
            cell(&iterations),
            cell(&|result| seconds(result.elapsed)),
            record.judgement.verdict.name().to_owned(),
        ]);
    }
    out.line(&rows.to_string());
}

/// Counts the verdicts.
pub(super) fn count(records: &[Record<'_>], verdict: Verdict) -> usize {
    let same = |record: &&Record<'_>| record.judgement.verdict == verdict;
    records.iter().filter(same).count()
}

/// Prints the last line: how many tests ended how.
pub(super) fn total(records: &[Record<'_>], target: &str, error: Option<&str>, out: &mut Out) {
    let counted: Vec<String> = Verdict::ALL
        .into_iter()
        .filter(|verdict| *verdict == Verdict::Ok || count(records, *verdict) > 0)
        .map(|verdict| format!("{} {}", count(records, verdict), out.verdict(verdict)))
        .collect();
    let all = records.len();
    out.line(&format!("{all} tests on {target}: {}", counted.join(", ")));
    if let Some(error) = error {
        out.line(&format!("{}: {error}", out.verdict(Verdict::Failed)));
    }
}

pub(super) fn iterations(result: &RunResult) -> String {
    if result.exhaustive {
        "all".to_owned()
    } else {
        result.iterations.to_string()
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}
