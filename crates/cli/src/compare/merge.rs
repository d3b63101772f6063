//! Puts the answers of all machines to one question side by side.

use serde::Serialize;

use super::machine::{Machine, machines};
use super::read::Source;
use crate::report::{Cell, MEASURE};

/// What all reports say together.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    pub(super) machines: Vec<Machine>,
    /// What the documentation says something of.
    pub(super) documented: Vec<Fact>,
    /// What it is silent about, or contradicts itself.
    pub(super) unpublished: Vec<Fact>,
}

/// A question in a context, and its answers.
#[derive(Debug, Serialize)]
pub(super) struct Fact {
    pub(super) context: String,
    pub(super) question: String,
    /// What the documentation says, as each report has it; mostly that is one thing.
    pub(super) documented: Vec<String>,
    pub(super) machines_differ: bool,
    /// The cell of each machine, in their order; none where it was not measured.
    pub(super) cells: Vec<Option<Cell>>,
}

/// Merges reports. Contexts and questions are taken as they come, by their names.
pub(super) fn merge(sources: &[Source]) -> Comparison {
    let rows = || sources.iter().flat_map(|source| &source.rows);
    let mut facts = Vec::new();
    for context in distinct(rows().map(|row| row.context.as_str())) {
        let asked = rows().filter(|row| row.context == context);
        let asked = asked.flat_map(|row| &row.cells);
        for question in distinct(asked.map(|cell| cell.question.as_str())) {
            facts.push(fact(sources, context, question));
        }
    }
    let silent = |fact: &Fact| fact.documented == [MEASURE];
    let (unpublished, documented) = facts.into_iter().partition(silent);
    Comparison {
        machines: machines(sources),
        documented,
        unpublished,
    }
}

fn fact(sources: &[Source], context: &str, question: &str) -> Fact {
    let cell = |source: &Source| {
        let mut rows = source.rows.iter().filter(|row| row.context == context);
        rows.find_map(|row| row.cell(question)).cloned()
    };
    let cells: Vec<Option<Cell>> = sources.iter().map(cell).collect();
    let measured = || cells.iter().flatten();
    let documented = distinct(measured().map(|cell| cell.documented.as_str()));
    // Where there is no answer, there is none that could differ.
    let answers = measured().map(|cell| {
        let mut answers = cell.answers.clone();
        answers.sort();
        answers
    });
    let mut answers: Vec<_> = answers.filter(|answers| !answers.is_empty()).collect();
    answers.dedup();
    Fact {
        context: context.to_owned(),
        question: question.to_owned(),
        documented: documented.into_iter().map(ToOwned::to_owned).collect(),
        machines_differ: answers.len() > 1,
        cells,
    }
}

/// Each value once, in the order of first appearance.
fn distinct<'a>(values: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut once = Vec::new();
    for value in values {
        if !once.contains(&value) {
            once.push(value);
        }
    }
    once
}

#[cfg(test)]
mod tests;
