//! One path: kept in a file, drawn, and gone along again.

use std::fs;
use std::path::Path;

use apclab_client::RunResult;
use apclab_client::Target;
use apclab_client::exploration::{
    Baseline, End, Exploration, Unexplored, Witness, path_from_text, path_to_text, replay as go,
};
use apclab_client::model::{Mode, ModelTarget};
use apclab_litmus::{Condition, Outcome};
use serde::Serialize;

use crate::args::{ExploreArgs, Format, Which};
use crate::failure::{self, Failure};
use crate::input::Input;
use crate::out::Out;
use crate::report::{Document, RecordReport, TargetReport};
use crate::trace::looked_for;
use crate::{describe, trace};

/// Writes and draws the path that the command line asks for.
///
/// # Errors
/// [`Failure::Input`]: there is no such path, or a file cannot be written.
pub(super) fn keep(
    args: &ExploreArgs,
    input: &Input,
    condition: Option<&Condition>,
    found: &Exploration,
    out: &mut Out,
) -> Result<(), Failure> {
    let (title, witness) = chosen(args, input, condition, found)?;
    if let Some(file) = &args.save_witness {
        let text = format!(
            "# {}, profile {}: {title}\n{}",
            input.test.name,
            args.profile.name(),
            path_to_text(&witness.events)
        );
        fs::write(file, text).map_err(|error| cannot("written", file, &error))?;
    }
    match &args.svg {
        Some(svg) => picture(svg, input, &title, witness, out),
        None => Ok(()),
    }
}

/// The path that is asked for, or else the one that a reader looks for first.
fn chosen<'f>(
    args: &ExploreArgs,
    input: &Input,
    condition: Option<&Condition>,
    found: &'f Exploration,
) -> Result<(String, &'f Witness), Failure> {
    let outcome = |place: usize| {
        let (values, witness) = found.outcomes.get(place)?;
        Some((describe::outcome(&input.test, Some(values)), witness))
    };
    let deadlock = || {
        let witness = found.deadlock.as_ref()?;
        Some((describe::outcome(&input.test, None), witness))
    };
    let bug_check = || {
        let (text, witness) = found.bug_checks.first()?;
        Some((format!("bug check {text}"), witness))
    };
    let path = match args.witness {
        Some(Which::Deadlock) => deadlock(),
        Some(Which::BugCheck) => bug_check(),
        Some(Which::Outcome(number)) => outcome(number - 1),
        None => bug_check()
            .or_else(|| {
                let wanted = condition.is_none_or(|condition| {
                    !condition.names_deadlock() || looked_for(condition, Outcome::Deadlock)
                });
                wanted.then(deadlock).flatten()
            })
            .or_else(|| {
                let looked_for = |values: &Vec<i64>| {
                    condition.is_some_and(|condition| looked_for(condition, values))
                };
                let mut outcomes = found.outcomes.iter();
                outcome(outcomes.position(|(values, _)| looked_for(values))?)
            })
            .or_else(|| outcome(0))
            .or_else(deadlock),
    };
    path.ok_or_else(|| {
        Failure::Input(vec![format!(
            "error: the search of {} has found no such path",
            input.test.name
        )])
    })
}

fn picture(
    svg: &Path,
    input: &Input,
    title: &str,
    witness: &Witness,
    out: &mut Out,
) -> Result<(), Failure> {
    let result = RunResult {
        trace: witness.records.clone(),
        ..RunResult::default()
    };
    let picture = trace::draw(input, &result, &format!("model: {title}"));
    trace::write_picture(svg, &picture.to_string(), out)
}

fn cannot(what: &str, file: &Path, error: &std::io::Error) -> Failure {
    Failure::Input(vec![format!(
        "error: {} cannot be {what}: {error}",
        file.display()
    )])
}

/// The body of `explore --replay`.
#[derive(Serialize)]
struct ReplayBody {
    name: String,
    file: String,
    profile: &'static str,
    end: String,
    records: Vec<RecordReport>,
}

/// Goes along the path in a file; gives the exit code, which is that of a failure when the path ends
/// with a bug check, or with a deadlock in a test that does not speak of deadlocks.
///
/// # Errors
/// [`Failure::Input`]: the file is no path of the test.
pub(super) fn replay(
    args: &ExploreArgs,
    input: &Input,
    baselines: &[Baseline],
    file: &Path,
    out: &mut Out,
) -> Result<u8, Failure> {
    let text = fs::read_to_string(file).map_err(|error| cannot("read", file, &error))?;
    let in_file = |why: &dyn std::fmt::Display| {
        Failure::Input(vec![format!("error: {}: {why}", file.display())])
    };
    let events = path_from_text(&text).map_err(|why| in_file(&why))?;
    let program = &input.test.program;
    let gone = go(program, args.profile.of_the_model(), baselines, &events);
    let (end, witness) = match gone {
        Ok(gone) => gone,
        Err(Unexplored::Failed(why)) => return Err(in_file(&why)),
        Err(Unexplored::Refused(refusal)) => return Ok(super::refused(input, refusal, out)),
    };
    let said = match &end {
        End::Outcome(values) => describe::outcome(&input.test, Some(values)),
        End::Deadlock => describe::outcome(&input.test, None),
        End::BugCheck(bug_check) => format!("bug check {bug_check}"),
        End::Open => "more may happen".to_owned(),
    };
    let fails = match end {
        End::BugCheck(_) => true,
        End::Deadlock => match &input.test.expectation {
            apclab_litmus::Expectation::Condition(condition) => !condition.names_deadlock(),
            apclab_litmus::Expectation::Refused { .. } => true,
        },
        End::Outcome(_) | End::Open => false,
    };
    let code = if fails { failure::FAILED } else { failure::OK };
    if let Some(svg) = &args.svg {
        picture(svg, input, &said, &witness, out)?;
        if svg.as_os_str() == "-" {
            return Ok(code);
        }
    }
    if args.format == Format::Json {
        let info = ModelTarget::new(Mode::Exhaustive).info()?;
        let report = TargetReport::of("model", &info);
        let body = ReplayBody {
            name: input.test.name.clone(),
            file: input.test.file.clone(),
            profile: args.profile.name(),
            end: said,
            records: witness.records.iter().map(RecordReport::of).collect(),
        };
        out.json(&Document::new("explore --replay", report, code, None, body));
        return Ok(code);
    }
    out.line(&format!("Replay {}: {said}", input.test.name));
    for line in trace::lines(input, &witness.records) {
        out.line(&line);
    }
    Ok(code)
}
