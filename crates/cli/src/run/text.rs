//! A run as text.

use std::time::Duration;

use apclab_client::{Info, RunOutcome, RunResult};
use apclab_litmus::Expectation;

use super::{Evidence, Record, coverage};
use crate::histogram::Seen;
use crate::out::Out;
use crate::verdict::{Coverage, Problem, Verdict};
use crate::{describe, histogram, table, trace};

/// One test, its verdict apart: the histogram in litmus7's format, then what is to be said about it.
pub(crate) fn body(record: &Record<'_>) -> String {
    let test = record.test();
    let names = describe::observed_names(test);
    let name = &test.name;
    let mut lines = Vec::new();
    match (&test.expectation, record.result()) {
        (Expectation::Condition(condition), Some(result)) => {
            let seen = Seen::of(condition, result);
            let shown = histogram::text(name, condition, &names, seen, result.elapsed);
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
    if let Some(Evidence { outcome, result }) = &record.evidence {
        lines.push(format!(
            "Trace of {}",
            describe::outcome(test, Some(outcome))
        ));
        lines.extend(trace::lines(record.input, &result.trace));
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
    let titles = [
        "test",
        "states",
        "iterations",
        "coverage",
        "time",
        "verdict",
    ];
    let mut rows = table::Table::new(out, &titles);
    for record in records {
        let result = record.result();
        let cell = |of: &dyn Fn(&RunResult) -> String| result.map_or_else(String::new, of);
        rows.row([
            record.test().name.clone(),
            cell(&|result| states(record, result).to_string()),
            cell(&iterations),
            record.judgement.coverage.map_or_else(String::new, covered),
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

/// How many different ends iterations had.
pub(super) fn states(record: &Record<'_>, result: &RunResult) -> usize {
    match &record.test().expectation {
        Expectation::Condition(condition) => Seen::of(condition, result).states(),
        Expectation::Refused { .. } => result.histogram.len(),
    }
}

/// How much of what is allowed was seen: `75% (3/4)`.
pub(super) fn covered(coverage: Coverage) -> String {
    let Coverage { seen, allowed } = coverage;
    format!("{}% ({seen}/{allowed})", coverage.per_cent())
}

/// What is to be known of the samples together: processors, lanes that did not overlap, outcomes that
/// found no place, and how much of what is allowed was seen.
pub(super) fn sampled(records: &[Record<'_>], info: &Info) -> Option<String> {
    let coverage = coverage(records)?;
    let results = || records.iter().filter_map(Record::result);
    let missed: u64 = results()
        .map(|result| u64::from(result.missed_overlaps))
        .sum();
    let lost: u64 = results().map(|result| u64::from(result.overflow)).sum();
    let processors = info.driver.as_ref().map_or_else(String::new, |driver| {
        format!("{} processors, ", driver.processors)
    });
    Some(format!(
        "{processors}{missed} missed overlaps, {lost} outcomes without a place; \
         {} of {} allowed outcomes seen, {}%",
        coverage.seen,
        coverage.allowed,
        coverage.per_cent()
    ))
}

pub(super) fn iterations(result: &RunResult) -> String {
    let polled = if result.polled { " polled" } else { "" };
    if result.exhaustive {
        format!("all{polled}")
    } else {
        format!("{}{polled}", result.iterations)
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}
