//! From a test back to text.

mod step;

use std::fmt;

use apclab_protocol::limits;
use apclab_protocol::program::{EventKind, Observed};
use apclab_protocol::step::Step;

use crate::condition::Formula;
use crate::names::name_at;
use crate::test::{Expectation, Test};
use crate::words::{apc_word, lock_word};
use step::step_text;

impl Test {
    /// The test as text in its canonical form: [`crate::parse`] reads the same program, names and
    /// expectation from it. Comments are not kept.
    ///
    /// A test that was not parsed has to be one that text can say: names are words and not
    /// keywords, everything declared is used, each block ends at the [`Step::End`] that is its own,
    /// the observed list begins with what the condition mentions, in order of first mention, and of
    /// the program's flags only `MAY_DEADLOCK` is set.
    pub fn to_text(&self) -> String {
        Text(self).to_string()
    }
}

struct Text<'t>(&'t Test);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_test(self.0, f)
    }
}

fn write_test(test: &Test, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(out, "test {}", test.name)?;
    if !test.description.is_empty() {
        let escaped = test.description.replace('\\', r"\\").replace('"', "\\\"");
        writeln!(out, "\"{escaped}\"")?;
    }
    if !test.shows.is_empty() {
        writeln!(out, "shows {}", test.shows.join(", "))?;
    }
    if !test.tags.is_empty() {
        writeln!(out, "tags {}", test.tags.join(", "))?;
    }
    if test.may_deadlock() {
        writeln!(out, "may deadlock")?;
    }
    write_declarations(test, out)?;
    for (index, steps) in test.program.lanes.iter().enumerate() {
        let is = |lanes: &[bool]| lanes.get(index) == Some(&true);
        let raw = if is(&test.program.raw) { " raw" } else { "" };
        let caller = if is(&test.program.callers) {
            " caller"
        } else {
            ""
        };
        let name = name_at(&test.names.lanes, index);
        writeln!(out, "\nlane {name}{raw}{caller}")?;
        write_steps(steps, test, out)?;
    }
    write_locations(test, out)?;
    writeln!(out)?;
    match &test.expectation {
        Expectation::Condition(condition) => writeln!(out, "{condition}"),
        Expectation::Refused {
            reason,
            place,
            step,
        } => writeln!(
            out,
            "refused {}",
            test.describe_refusal(*reason, *place, *step)
        ),
    }
}

/// How deep steps are indented at most; no program that may run has more blocks inside one another.
const MOST_INDENTED: usize = limits::SCOPES + 1;

/// Writes each step on a line of its own, those of a block indented.
fn write_steps(steps: &[Step], test: &Test, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut depth = 1_usize;
    for &step in steps {
        if step == Step::End {
            depth = (depth - 1).max(1);
        }
        write!(out, "{:1$}", "", depth.min(MOST_INDENTED) * 2)?;
        writeln!(out, "{}", step_text(step, test))?;
        if step.block().is_some() {
            depth += 1;
        }
    }
    Ok(())
}

fn write_declarations(test: &Test, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (program, names) = (&test.program, &test.names);
    let tables = [
        program.apcs.len(),
        program.events.len(),
        program.variables.len(),
        program.locks.len(),
    ];
    if tables != [0; 4] {
        writeln!(out)?;
    }
    for (index, apc) in program.apcs.iter().enumerate() {
        let kind = apc_word(apc.kind);
        let lane = name_at(&names.lanes, apc.lane.into());
        writeln!(out, "apc {} {kind} to {lane}", name_at(&names.apcs, index))?;
        if let Some(body) = program.bodies.get(index) {
            write_steps(body, test, out)?;
        }
    }
    for (index, event) in program.events.iter().enumerate() {
        let kind = match event.kind {
            EventKind::Notification => "",
            EventKind::Synchronization => " synchronization",
        };
        let signaled = if event.signaled { " signaled" } else { "" };
        writeln!(
            out,
            "event {}{kind}{signaled}",
            name_at(&names.events, index)
        )?;
    }
    for (index, initial) in program.variables.iter().enumerate() {
        write!(out, "var {}", name_at(&names.variables, index))?;
        if *initial != 0 {
            write!(out, " = {initial}")?;
        }
        writeln!(out)?;
    }
    for (index, lock) in program.locks.iter().enumerate() {
        let kind = lock_word(*lock);
        writeln!(out, "{kind} {}", name_at(&names.locks, index))?;
    }
    Ok(())
}

/// How many observed values the condition brings in by itself.
fn mentioned(formula: &Formula) -> usize {
    match formula {
        Formula::True | Formula::False | Formula::Deadlock => 0,
        Formula::Equal { observed, .. } => observed + 1,
        Formula::Not(inner) => mentioned(inner),
        Formula::And(parts) | Formula::Or(parts) => parts.iter().map(mentioned).max().unwrap_or(0),
    }
}

fn write_locations(test: &Test, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let known = match &test.expectation {
        Expectation::Condition(condition) => mentioned(&condition.formula),
        Expectation::Refused { .. } => 0,
    };
    let further: &[Observed] = test.program.observed.get(known..).unwrap_or_default();
    if further.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = further
        .iter()
        .map(|&observed| format!("{};", test.names.of_observed(observed)))
        .collect();
    writeln!(out, "\nlocations [{}]", names.join(" "))
}
