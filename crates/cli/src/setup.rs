//! `apclab install`, `uninstall`, `status` and `verifier`: what is installed on a test machine.

mod report;

use std::path::{Path, PathBuf};

use apclab_client::setup::{self, Plan, State, Stopped, carry_out};
use apclab_client::{TargetError, device};

use self::report::{StatusBody, VerifierBody, service};
use crate::args::{ChangeArgs, Format, InstallArgs, StatusArgs, VerifierCommand};
use crate::failure::{self, Failure};
use crate::out::Out;
use crate::report::Document;

/// The INF's name in a package.
const INF: &str = "apclab.inf";

/// `apclab install`; gives the exit code.
///
/// # Errors
/// [`Failure`]: no INF, no Windows, no administrator, or a step that failed.
pub(crate) fn install(args: &InstallArgs, out: &mut Out) -> Result<u8, Failure> {
    let inf = inf(args.inf.as_deref())?;
    let state = state(&args.change, out)?;
    if !args.change.dry_run && !inf.is_file() {
        return Err(Failure::Input(vec![format!(
            "error: there is no {}: name the package's INF with --inf",
            inf.display()
        )]));
    }
    let plan = state.install(&inf);
    change(&args.change, &state, &plan, "`apclab uninstall`", out)
}

/// `apclab uninstall`; gives the exit code.
///
/// # Errors
/// [`Failure`]: no Windows, no administrator, or a step that failed.
pub(crate) fn uninstall(args: &ChangeArgs, out: &mut Out) -> Result<u8, Failure> {
    let state = state(args, out)?;
    change(args, &state, &state.uninstall(), "`apclab install`", out)
}

/// `apclab verifier`; gives the exit code.
///
/// # Errors
/// [`Failure`]: no Windows, no administrator, other drivers that are verified, or a step that failed.
pub(crate) fn verifier(command: &VerifierCommand, out: &mut Out) -> Result<u8, Failure> {
    match command {
        VerifierCommand::On(args) => {
            let state = state(args, out)?;
            let plan = state.verifier_on()?;
            change(args, &state, &plan, "`apclab verifier off`", out)
        }
        VerifierCommand::Off(args) => {
            let state = state(args, out)?;
            let plan = state.verifier_off()?;
            change(args, &state, &plan, "`apclab verifier on`", out)
        }
        VerifierCommand::Status(args) => {
            let state = setup::observe()?;
            match args.format {
                Format::Text => {
                    verifier_lines(&state, out);
                    out.line("settings are in effect from the next start of Windows on");
                }
                Format::Json => {
                    let body = VerifierBody {
                        driver_verifier: state.verifier,
                    };
                    out.json(&Document::without_target(
                        "verifier status",
                        failure::OK,
                        body,
                    ));
                }
            }
            Ok(failure::OK)
        }
    }
}

/// `apclab status`; gives the exit code: 0 when the driver answers, 3 when it does not.
///
/// # Errors
/// [`Failure`]: no Windows, or Windows does not tell.
pub(crate) fn status(args: &StatusArgs, out: &mut Out) -> Result<u8, Failure> {
    let state = setup::observe()?;
    let answer = device::open()
        .and_then(|mut target| target.info())
        .map(|info| info.driver.map(|driver| driver.version));
    let code = match &answer {
        Ok(_) => failure::OK,
        Err(_) => failure::NOT_AVAILABLE,
    };
    match args.format {
        Format::Text => status_lines(&state, &answer, out),
        Format::Json => {
            let body = StatusBody::of(&state, &answer);
            out.json(&Document::without_target("status", code, body));
        }
    }
    Ok(code)
}

fn status_lines(state: &State, answer: &Result<Option<[u32; 3]>, TargetError>, out: &mut Out) {
    line(out, "elevated", switch(state.elevated));
    line(out, "test-signing", switch(state.test_signing));
    for package in &state.packages {
        let version = package.version.as_deref().unwrap_or("without a version");
        line(out, "package", &format!("{}, {version}", package.inf));
    }
    if state.packages.is_empty() {
        line(out, "package", "none in the driver store");
    }
    for device in &state.devices {
        line(
            out,
            "device",
            &format!("{}: {}", device.instance, device.state),
        );
    }
    if state.devices.is_empty() {
        line(out, "device", "none");
    }
    line(out, "service", service(state.service));
    verifier_lines(state, out);
    let said = match answer {
        Ok(version) => {
            let version = version.map_or_else(String::new, crate::info::version);
            format!("answers, version {version}")
        }
        Err(error) => format!("does not answer: {error}"),
    };
    line(out, "driver", &said);
}

fn verifier_lines(state: &State, out: &mut Out) {
    line(out, "Driver Verifier", &state.verifier.text());
    line(out, "KMDF Verifier", state.verifier.kmdf_text());
}

fn line(out: &mut Out, key: &str, value: &str) {
    out.line(&format!("{key:<22}{value}"));
}

const fn switch(answer: Option<bool>) -> &'static str {
    match answer {
        Some(true) => "on",
        Some(false) => "off",
        None => "unknown",
    }
}

/// The full path of the INF.
fn inf(given: Option<&Path>) -> Result<PathBuf, Failure> {
    let unknown = |why: std::io::Error| {
        Failure::Input(vec![format!(
            "error: the path of the INF cannot be found out: {why}; name it with --inf"
        )])
    };
    let path = match given {
        Some(path) => path.to_owned(),
        None => std::env::current_exe()
            .map_err(unknown)?
            .with_file_name(INF),
    };
    std::path::absolute(path).map_err(unknown)
}

/// What is installed here. A dry run elsewhere than on Windows supposes a machine where nothing is.
fn state(args: &ChangeArgs, out: &mut Out) -> Result<State, Failure> {
    if args.dry_run && !cfg!(windows) {
        out.line("this is not Windows: this is for a machine on which nothing is installed");
        return Ok(State::default());
    }
    Ok(setup::observe()?)
}

/// Tells the plan, and carries it out unless it is a dry run.
fn change(
    args: &ChangeArgs,
    state: &State,
    plan: &Plan,
    undo: &str,
    out: &mut Out,
) -> Result<u8, Failure> {
    for note in &plan.notes {
        out.line(&format!("note: {note}"));
    }
    if args.dry_run {
        for action in &plan.actions {
            out.line(&format!("would {action}"));
        }
        out.line("nothing was changed");
        return Ok(failure::OK);
    }
    if plan.actions.is_empty() {
        return Ok(failure::OK);
    }
    state.may_change()?;
    let mut system = setup::this_system()?;
    let done = carry_out(plan, system.as_mut(), &mut |action| {
        out.line(&action.to_string());
        out.flush();
    });
    let restart = done.map_err(|stopped| failed(&stopped))?;
    if restart {
        out.line("done; restart Windows for it to be in effect");
    } else {
        out.line("done");
    }
    out.line(&format!("to undo it: {undo}"));
    Ok(failure::OK)
}

/// A step that failed, and what has become of the others.
fn failed(stopped: &Stopped) -> TargetError {
    let mut parts = vec![format!("could not {}: {}", stopped.action, stopped.why)];
    if !stopped.undone.is_empty() {
        parts.push("what was done before it has been undone".to_owned());
    }
    let left = stopped.not_undone.iter();
    parts.extend(left.map(|(action, why)| format!("left to do by hand: {action} ({why})")));
    TargetError::Failed(parts.join("; "))
}
