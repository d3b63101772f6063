//! `apclab trace`: one run of a test, as swim lanes or as text.

mod picture;
mod text;
mod timeline;

use std::fs;
use std::path::Path;

use apclab_client::model::Mode;
use apclab_client::{RunOptions, RunOutcome, RunResult, Target};
use apclab_litmus::{Condition, Expectation, Outcome, Quantifier};
use svg::Document;

use self::picture::Scene;
use self::timeline::Timeline;
use crate::args::{Format, On, TraceArgs};
use crate::failure::{self, Failure};
use crate::input::{self, Input};
use crate::log::{self, Log};
use crate::out::Out;
use crate::report::{Document as Report, TargetReport, TraceBody};
use crate::{describe, histogram, target};

pub(crate) use self::text::lines;

/// Runs the command; gives the exit code.
///
/// # Errors
/// [`Failure`]: bad input, a target that cannot be used, or a test that does not run there.
pub(crate) fn run(args: &TraceArgs, out: &mut Out) -> Result<u8, Failure> {
    let input = input::read_one(&args.file)?;
    let mut target = target::open(&args.target, Mode::Exhaustive)?;
    let schedules = args
        .schedule
        .as_ref()
        .and_then(|schedule| schedule.of_the_host(1));
    if schedules.is_some() && args.target.on != On::Host {
        return Err(Failure::Input(vec![
            "error: only --on host has schedules".to_owned(),
        ]));
    }
    let iteration = match (args.iteration, args.target.on) {
        (Some(iteration), _) => iteration,
        (None, On::Model) => wanted(target.as_mut(), &input)?,
        (None, On::Host | On::Device) => 1,
    };
    let options = RunOptions {
        iterations: iteration,
        deadline: args.waits.deadline,
        wait_deadline: args.waits.wait_deadline,
        trace_iteration: Some(iteration),
        ..RunOptions::default()
    };
    let info = target.info()?;
    let mut log = Log::of_command(args.target.on, target.name())?;
    let id = log::id(&input);
    log.begin(&id, &options)?;
    let outcome = match &schedules {
        None => target.run(&input.test.program, &options),
        Some(schedules) => target.run_scheduled(&input.test.program, &options, schedules),
    };
    log.end(&id, outcome.as_ref().ok().map(|_| "traced"))?;
    log.done()?;
    let ended = target.finish();
    let result = match outcome? {
        RunOutcome::Ran(result) => result,
        other => return Err(Failure::NotTraced(describe::not_run(&input, &other))),
    };
    if let (true, Some(sentence)) = (result.trace.is_empty(), &result.deadlock) {
        return Err(Failure::NotTraced(format!(
            "the host ended in it, and its records with it; `apclab explore` draws deadlocks of the \
             model: {sentence}"
        )));
    }
    if result.trace.is_empty() {
        let seen = result.histogram.len();
        return Err(Failure::NotTraced(format!(
            "there is no trace {iteration}: {} has {seen} outcomes",
            input.test.name
        )));
    }
    ended?;
    let subtitle = subtitle(target.name(), &input, &result, iteration);
    if let Some(path) = &args.svg {
        let picture = draw(&input, &result, &subtitle).to_string();
        write_picture(path, &picture, out)?;
        return Ok(failure::OK);
    }
    if args.format == Format::Json {
        let report = TargetReport::of(target.name(), &info);
        let body = TraceBody::of(&input.test, &result);
        out.json(&Report::new("trace", report, failure::OK, None, body));
    } else {
        out.line(&format!("Trace {} {subtitle}", input.test.name));
        for line in lines(&input, &result.trace) {
            out.line(&line);
        }
    }
    Ok(failure::OK)
}

/// Writes a picture to a file, or where `-` says so on the standard output.
///
/// # Errors
/// [`Failure::Input`]: the file cannot be written.
pub(crate) fn write_picture(path: &Path, picture: &str, out: &mut Out) -> Result<(), Failure> {
    if path.as_os_str() == "-" {
        out.line(picture);
        return Ok(());
    }
    fs::write(path, picture).map_err(|error| {
        Failure::Input(vec![format!(
            "error: {} cannot be written: {error}",
            path.display()
        )])
    })
}

/// The picture of a traced run.
pub(crate) fn draw(input: &Input, result: &RunResult, subtitle: &str) -> Document {
    let timeline = Timeline::of(&input.test.program, &result.trace);
    let scene = Scene {
        test: &input.test,
        timeline: &timeline,
        texts: &input.step_texts(),
        subtitle,
        frequency: result.trace_frequency,
    };
    scene.draw()
}

/// What a picture is of: the target, the iteration, and its outcome where that is known.
pub(crate) fn subtitle(name: &str, input: &Input, result: &RunResult, iteration: u32) -> String {
    let number = usize::try_from(iteration).unwrap_or(usize::MAX);
    let known = match result.histogram.as_slice() {
        all if result.exhaustive => all.get(number - 1),
        [(outcome, 1)] => Some((outcome, 1)).map(|_| &result.histogram[0]),
        _ => None,
    };
    let what = if result.exhaustive {
        "outcome"
    } else {
        "iteration"
    };
    let lost = match result.trace_lost {
        0 => String::new(),
        lost => format!(" ({lost} records lost)"),
    };
    match known {
        Some((outcome, _)) => {
            let names = describe::observed_names(&input.test);
            let state = histogram::state(&names, outcome);
            format!("{name}, {what} {iteration}: {state}{lost}")
        }
        None => format!("{name}, {what} {iteration}{lost}"),
    }
}

/// The number of the first outcome that the condition looks for; of the first at all, when there is
/// none.
fn wanted(target: &mut dyn Target, input: &Input) -> Result<u32, Failure> {
    let Expectation::Condition(condition) = &input.test.expectation else {
        return Ok(1);
    };
    let all = match target.run(&input.test.program, &RunOptions::default())? {
        RunOutcome::Ran(result) => result.histogram,
        other => return Err(Failure::NotTraced(describe::not_run(input, &other))),
    };
    let place = all
        .iter()
        .position(|(outcome, _)| looked_for(condition, outcome));
    Ok(place
        .and_then(|place| u32::try_from(place + 1).ok())
        .unwrap_or(1))
}

/// Whether an outcome is one that a reader of the condition looks for.
pub(crate) fn looked_for<'v>(condition: &Condition, outcome: impl Into<Outcome<'v>>) -> bool {
    condition.holds_for(outcome) != (condition.quantifier == Quantifier::Forall)
}
