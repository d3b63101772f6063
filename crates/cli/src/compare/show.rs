//! A comparison as tables: for a terminal, in Markdown, as a page.

use super::machine::Machine;
use super::merge::{Comparison, Fact};
use crate::out::Out;
use crate::page::{document, escape};
use crate::report::Cell;
use crate::table::Table;

/// The title of the page.
const TITLE: &str = "Which APC runs where, machine by machine";
/// The heading of each table.
const DOCUMENTED: &str = "What the documentation says, and what was measured";
const UNPUBLISHED: &str = "What is not published";
/// What the marks mean.
const LEGEND: [&str; 3] = [
    "!: differs from the documentation; *: the machines differ.",
    "now: the APC had run by this point; deferred: it ran later; now or later: it ran inside the wait, or the \
     wait was over first.",
    "not measured: the report has no such cell; in parentheses: why it could not be measured.",
];

/// As text, for the reader of `out`.
pub(super) fn text(comparison: &Comparison, out: &Out) -> String {
    let mut lines = machines(comparison);
    let header = header(comparison, "\n");
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    for (heading, facts) in tables(comparison) {
        let mut table = Table::new(out, &header);
        for fact in facts {
            table.row(row(fact));
        }
        lines.extend([String::new(), heading.to_owned(), String::new()]);
        lines.push(table.to_string());
    }
    lines.push(String::new());
    lines.extend(notes(comparison));
    lines.push(summary(comparison));
    lines.join("\n") + "\n"
}

/// As a page in Markdown.
pub(super) fn markdown(comparison: &Comparison) -> String {
    let list = |lines: Vec<String>| -> String {
        let items = lines.iter().map(|line| format!("- {}\n", literal(line)));
        items.collect()
    };
    let header: Vec<_> = header(comparison, ", ")
        .iter()
        .map(|name| literal(name))
        .collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let table = |(heading, facts): (&str, &[Fact])| {
        let mut table = Table::markdown(&header);
        for fact in facts {
            table.row(row(fact).into_iter().map(|cell| literal(&cell)));
        }
        format!("## {heading}\n\n{table}\n\n")
    };
    format!(
        "# {TITLE}\n\n{}\n{}{}\n{}\n",
        list(machines(comparison)),
        tables(comparison).map(table).collect::<String>(),
        list(notes(comparison)),
        literal(&summary(comparison))
    )
}

/// As a page of its own.
pub(super) fn html(comparison: &Comparison) -> String {
    let list = |lines: Vec<String>| {
        let items = lines
            .iter()
            .map(|line| format!("<li>{}</li>\n", escape(line)));
        format!("<ul>\n{}</ul>\n", items.collect::<String>())
    };
    let header = header(comparison, "\n");
    let names = header.iter().map(|name| escape(name).replace('\n', "<br>"));
    let names: Vec<_> = names.map(|name| format!("<th>{name}</th>")).collect();
    let header = names.concat();
    let table = |(heading, facts): (&str, &[Fact])| {
        let rows: String = facts.iter().map(html_row).collect();
        format!("<h2>{heading}</h2>\n<table>\n<tr>{header}</tr>\n{rows}</table>\n")
    };
    let body = format!(
        "{}{}{}<p>{}</p>\n",
        list(machines(comparison)),
        tables(comparison).map(table).collect::<String>(),
        list(notes(comparison)),
        escape(&summary(comparison))
    );
    document(TITLE, &body)
}

fn html_row(fact: &Fact) -> String {
    let mut cells: Vec<_> = labels(fact)
        .iter()
        .map(|label| format!("<td>{}</td>", escape(label)))
        .collect();
    for cell in &fact.cells {
        let class = match cell {
            None => "none",
            Some(cell) if cell.differs => "failed",
            Some(cell) if cell.answers.is_empty() => "none",
            Some(_) if fact.machines_differ => "open",
            Some(_) => "ok",
        };
        let said = escape(&answer(fact, cell.as_ref()));
        cells.push(format!("<td class=\"{class}\">{said}</td>"));
    }
    format!("<tr>{}</tr>\n", cells.concat())
}

/// The tables that have rows, with their headings.
fn tables(comparison: &Comparison) -> impl Iterator<Item = (&'static str, &[Fact])> {
    let tables = [
        (DOCUMENTED, &comparison.documented[..]),
        (UNPUBLISHED, &comparison.unpublished),
    ];
    tables.into_iter().filter(|(_, facts)| !facts.is_empty())
}

fn header(comparison: &Comparison, between: &str) -> Vec<String> {
    let mut header = ["context", "question", "documented"]
        .map(ToOwned::to_owned)
        .to_vec();
    let names = comparison.machines.iter();
    header.extend(names.map(|machine| machine.name.join(between)));
    header
}

fn row(fact: &Fact) -> Vec<String> {
    let mut row = labels(fact).to_vec();
    row.extend(fact.cells.iter().map(|cell| answer(fact, cell.as_ref())));
    row
}

/// What stands ahead of the machines' cells.
fn labels(fact: &Fact) -> [String; 3] {
    [
        fact.context.clone(),
        fact.question.clone(),
        fact.documented.join(" / "),
    ]
}

/// A machine's cell, with its marks.
fn answer(fact: &Fact, cell: Option<&Cell>) -> String {
    let Some(cell) = cell else {
        return "not measured".to_owned();
    };
    if !fact.machines_differ || cell.answers.is_empty() {
        return cell.text();
    }
    let blank = if cell.differs { "" } else { " " };
    format!("{}{blank}*", cell.text())
}

/// Which report each machine is from.
fn machines(comparison: &Comparison) -> Vec<String> {
    let machines = comparison.machines.iter();
    let line = |machine: &Machine| {
        format!(
            "{}: {}, apclab {}",
            machine.name.join(", "),
            machine.report,
            machine.apclab_version
        )
    };
    machines.map(line).collect()
}

/// What stands below the tables.
fn notes(comparison: &Comparison) -> Vec<String> {
    let mut notes: Vec<_> = LEGEND.map(ToOwned::to_owned).into();
    notes.extend(failures(comparison));
    notes
}

/// Why cells failed: in each context and on each machine the first reason.
fn failures(comparison: &Comparison) -> Vec<String> {
    let mut failures: Vec<String> = Vec::new();
    let mut told = Vec::new();
    for fact in comparison.documented.iter().chain(&comparison.unpublished) {
        for (machine, cell) in comparison.machines.iter().zip(&fact.cells) {
            let Some(why) = cell.as_ref().and_then(Cell::failure) else {
                continue;
            };
            if !told.contains(&(&fact.context, &machine.report)) {
                told.push((&fact.context, &machine.report));
                let name = machine.name.join(", ");
                failures.push(format!("failed in {} on {name}: {why}", fact.context));
            }
        }
    }
    failures
}

fn summary(comparison: &Comparison) -> String {
    let facts = || comparison.documented.iter().chain(&comparison.unpublished);
    let differ = facts().filter(|fact| fact.machines_differ).count();
    let marked = facts().flat_map(|fact| fact.cells.iter().flatten());
    let marked = marked.filter(|cell| cell.differs).count();
    format!(
        "{} reports, {} questions: the machines differ in {differ}; {marked} answers differ from the \
         documentation",
        comparison.machines.len(),
        facts().count()
    )
}

/// Text as it has to stand in Markdown to be read literally: a backslash ahead of any punctuation
/// that could be markup, and one line of it, as rows of tables are.
fn literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(
            character,
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '&' | '|' | '~' | '#'
        ) {
            literal.push('\\');
        }
        literal.push(if character.is_control() {
            ' '
        } else {
            character
        });
    }
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_literal_in_markdown() {
        assert_eq!(literal("a|b *c* [measure]"), "a\\|b \\*c\\* \\[measure\\]");
        assert_eq!(literal("two\nlines"), "two lines");
    }
}
