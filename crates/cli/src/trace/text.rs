//! What is said of a step or a routine, and a whole trace as lines of text.

use apclab_litmus::Test;
use apclab_protocol::trace::Record;

use super::timeline::{Executed, Routine, RoutineKind, Timeline};
use crate::input::{Input, StepTexts};

/// A step as the file has it, and what it answered.
pub(super) fn step(texts: &StepTexts, step: &Executed) -> String {
    let text = texts.get(step.place, step.step);
    match step.value {
        Some(value) => format!("{text} = {value}"),
        None => text.to_owned(),
    }
}

/// A routine of an APC.
pub(super) fn routine(test: &Test, routine: &Routine) -> String {
    let apc = test.program.apcs.get(usize::from(routine.apc));
    let which = match routine.kind {
        _ if apc.is_some_and(|apc| apc.kind.user()) => "user APC",
        RoutineKind::Kernel => "kernel routine",
        RoutineKind::Normal => "normal routine",
    };
    format!("{}: {which}", apc_name(test, routine.apc))
}

/// The name of a lane.
pub(super) fn lane_name(test: &Test, lane: usize) -> &str {
    test.names.lanes.get(lane).map_or("?", String::as_str)
}

/// The name of an APC.
pub(super) fn apc_name(test: &Test, apc: u8) -> &str {
    let names = &test.names.apcs;
    names.get(usize::from(apc)).map_or("?", String::as_str)
}

/// One line for each step and each routine, behind the name of its lane.
pub(crate) fn lines(input: &Input, records: &[Record]) -> Vec<String> {
    let test = &input.test;
    let texts = input.step_texts();
    let timeline = Timeline::of(&test.program, records);
    let names = || test.names.lanes.iter().map(|name| name.chars().count());
    let width = names().max().unwrap_or(0);
    let mut rows = Vec::new();
    for (lane, track) in timeline.lanes.iter().enumerate() {
        let mut add = |row: usize, text: String| {
            let name = lane_name(test, lane);
            rows.push((row, format!("  {name:<width$}  {text}")));
        };
        for executed in &track.steps {
            let said = step(&texts, executed);
            let open = executed.waits && executed.span.to.is_none() && track.timed_out.is_none();
            add(
                executed.span.from,
                if open {
                    format!("{said} (waits on)")
                } else {
                    said
                },
            );
            // A wait that is over is a line of its own, where something may have come between.
            if let (true, true, Some(row)) = (executed.locks, executed.waits, executed.span.to)
                && row > executed.span.from
            {
                let words = texts.get(executed.place, executed.step);
                add(row, format!("{words} (waited)"));
            }
        }
        for ran in &track.routines {
            add(ran.row, routine(test, ran));
        }
        if let Some(row) = track.timed_out {
            add(row, "timed out".to_owned());
        }
    }
    rows.sort_by_key(|(row, _)| *row);
    rows.into_iter().map(|(_, line)| line).collect()
}
