//! A run as one page.

use super::{Record, text};
use crate::page::{document, escape};
use crate::trace;
use crate::verdict::Verdict;

/// The page: a table of all tests, then source, histogram and trace of each side by side.
pub(super) fn page(
    records: &[Record<'_>],
    target: &str,
    about: &str,
    error: Option<&str>,
) -> String {
    let counted: Vec<String> = Verdict::ALL
        .into_iter()
        .map(|verdict| (verdict, text::count(records, verdict)))
        .filter(|(_, count)| *count > 0)
        .map(|(verdict, count)| format!("{count} {}", verdict.name()))
        .collect();
    let numbered = || records.iter().enumerate();
    let rows: String = numbered()
        .map(|(number, record)| row(number, record))
        .collect();
    let sections: String = numbered()
        .map(|(number, record)| section(number, record, target))
        .collect();
    let error = error.map(|error| format!("<p class=\"failed\">{}</p>\n", escape(error)));
    let body = format!(
        "<p>{about}</p>\n<p>{all} tests: {counted}</p>\n{error}\
         <table>\n<tr><th>test</th><th>states</th><th>iterations</th><th>coverage</th>\
         <th>verdict</th></tr>\n{rows}</table>\n{sections}",
        about = escape(about),
        all = records.len(),
        counted = counted.join(", "),
        error = error.unwrap_or_default(),
    );
    document(&format!("apclab run on {target}"), &body)
}

/// A test in the table.
fn row(number: usize, record: &Record<'_>) -> String {
    let verdict = record.judgement.verdict;
    let (states, iterations) = record.result().map_or_else(Default::default, |result| {
        (
            text::states(record, result).to_string(),
            text::iterations(result),
        )
    });
    let covered = record.judgement.coverage;
    let covered = covered.map_or_else(String::new, text::covered);
    format!(
        "<tr><td><a href=\"#t{number}\">{}</a></td><td>{states}</td><td>{iterations}</td>\
         <td>{covered}</td><td class=\"{}\">{}</td></tr>\n",
        escape(&record.test().name),
        class(verdict),
        verdict.name()
    )
}

/// A test in full.
fn section(number: usize, record: &Record<'_>, target: &str) -> String {
    let test = record.test();
    let verdict = record.judgement.verdict;
    // What should not be is what a reader wants to see.
    let evidence = record.evidence.as_ref().map(|evidence| &evidence.result);
    let traced = evidence
        .or_else(|| record.result())
        .filter(|result| !result.trace.is_empty());
    let picture = traced.map_or_else(
        || "<p class=\"none\">no trace</p>".to_owned(),
        |result| {
            let subtitle = trace::subtitle(target, record.input, result, 1);
            trace::draw(record.input, result, &subtitle).to_string()
        },
    );
    format!(
        "<section id=\"t{number}\">\n<h2>{name} <span class=\"{class}\">{verdict}</span></h2>\n\
         <p>{file}</p>\n<div class=\"test\">\n<pre class=\"source\">{source}</pre>\n\
         <pre class=\"histogram\">{histogram}</pre>\n<div class=\"trace\">{picture}</div>\n\
         </div>\n</section>\n",
        name = escape(&test.name),
        class = class(verdict),
        verdict = verdict.name(),
        file = escape(&test.file),
        source = escape(&record.input.source),
        histogram = escape(&text::body(record)),
    )
}

const fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::NotObserved | Verdict::NotRunnable => "open",
        Verdict::Failed => "failed",
    }
}
