//! From a test back to text.

use std::fmt;

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::program::{ApcKind, EventKind, Observed};
use apclab_protocol::step::{Register, Step};

use crate::condition::Formula;
use crate::names::{Names, name_at};
use crate::test::{Expectation, Test};

impl Test {
    /// The test as text in its canonical form: [`crate::parse`] reads the same program, names and
    /// expectation from it. Comments are not kept.
    ///
    /// A test that was not parsed has to be one that text can say: names are words and not
    /// keywords, everything declared is used, and the observed list begins with what the condition
    /// mentions, in order of first mention.
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
    write_declarations(&test.program, &test.names, out)?;
    for (index, steps) in test.program.lanes.iter().enumerate() {
        writeln!(out, "\nlane {}", name_at(&test.names.lanes, index))?;
        for &step in steps {
            out.write_str("  ")?;
            write_step(step, &test.names, out)?;
            writeln!(out)?;
        }
    }
    write_locations(test, out)?;
    writeln!(out)?;
    match &test.expectation {
        Expectation::Condition(condition) => writeln!(out, "{condition}"),
        Expectation::Refused { reason, lane, step } => {
            let name = name_at(&test.names.lanes, *lane);
            write!(out, "refused {} at {name} ", reason.name())?;
            if *step == test.program.lanes.get(*lane).map_or(0, Vec::len) {
                writeln!(out, "end")
            } else {
                writeln!(out, "step {}", step + 1)
            }
        }
    }
}

fn write_declarations(
    program: &ProgramBuf,
    names: &Names,
    out: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    if !(program.apcs.is_empty() && program.events.is_empty() && program.variables.is_empty()) {
        writeln!(out)?;
    }
    for (index, apc) in program.apcs.iter().enumerate() {
        let kind = match apc.kind {
            ApcKind::Special => "special",
            ApcKind::Normal => "normal",
        };
        let lane = name_at(&names.lanes, apc.lane.into());
        writeln!(out, "apc {} {kind} to {lane}", name_at(&names.apcs, index))?;
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
    Ok(())
}

fn write_step(step: Step, names: &Names, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let apc = |index: u8| name_at(&names.apcs, index.into());
    let event = |index: u8| name_at(&names.events, index.into());
    let variable = |index: u8| name_at(&names.variables, index.into());
    match step {
        Step::EnterCritical => out.write_str("enter critical"),
        Step::LeaveCritical => out.write_str("leave critical"),
        Step::EnterGuarded => out.write_str("enter guarded"),
        Step::LeaveGuarded => out.write_str("leave guarded"),
        Step::RaiseApc => out.write_str("raise apc"),
        Step::Lower => out.write_str("lower"),
        Step::ApcsDisabled { to } => write!(out, "apcs-disabled -> r{to}"),
        Step::AllApcsDisabled { to } => write!(out, "all-apcs-disabled -> r{to}"),
        Step::Irql { to } => write!(out, "irql -> r{to}"),
        Step::Queue { apc: a, to: None } => write!(out, "queue {}", apc(a)),
        Step::Queue {
            apc: a,
            to: Some(r),
        } => write!(out, "queue {} -> r{r}", apc(a)),
        Step::Ran { apc: a, to } => write!(out, "ran {} -> r{to}", apc(a)),
        Step::Set { event: e } => write!(out, "set {}", event(e)),
        Step::Reset { event: e } => write!(out, "reset {}", event(e)),
        Step::Wait { event: e } => write!(out, "wait {}", event(e)),
        Step::Barrier => out.write_str("barrier"),
        Step::Store {
            variable: v,
            from,
            constant,
        } => {
            write!(out, "store {} ", variable(v))?;
            write_operand(from, constant, out)
        }
        Step::Load { variable: v, to } => write!(out, "load {} -> r{to}", variable(v)),
    }
}

fn write_operand(
    from: Option<Register>,
    constant: i64,
    out: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    match from {
        None => write!(out, "{constant}"),
        Some(register) if constant == 0 => write!(out, "r{register}"),
        Some(register) => {
            let sign = if constant < 0 { '-' } else { '+' };
            write!(out, "r{register} {sign} {}", constant.unsigned_abs())
        }
    }
}

/// How many observed values the condition brings in by itself.
fn mentioned(formula: &Formula) -> usize {
    match formula {
        Formula::True | Formula::False => 0,
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
