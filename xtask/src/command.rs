//! Running other programs, with errors that say which and how.

use std::ffi::OsStr;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

/// The command as one would type it, for messages.
pub(crate) fn line(command: &Command) -> String {
    let program = command.get_program();
    let mut line = match program.to_str() {
        // By its full path it is the cargo that runs this program, which is what `cargo` means here.
        Some(path) if path == cargo_path() => "cargo".to_owned(),
        _ => program.to_string_lossy().into_owned(),
    };
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

/// Runs the command with this process's input and output, and says how it ended.
///
/// # Errors
///
/// When it can't be started.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    let line = line(command);
    command
        .status()
        .with_context(|| format!("can't start `{line}`"))
}

/// Runs the command with this process's input and output.
///
/// # Errors
///
/// When it can't be started or fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("`{}` failed: {status}", line(command));
    }
    Ok(())
}

/// Runs the command and returns what it wrote to its standard output.
///
/// # Errors
///
/// When it can't be started or fails, with what it wrote to its standard error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = line(command);
    let output = command
        .output()
        .with_context(|| format!("can't start `{line}`"))?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        bail!("`{line}` failed: {}\n{}", output.status, told.trim_end());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` wrote no UTF-8"))
}

/// Runs the command and returns what it wrote to its standard output; its standard error is this
/// process's.
///
/// # Errors
///
/// When it can't be started or fails.
pub(crate) fn answer(command: &mut Command) -> Result<String> {
    command.stderr(Stdio::inherit());
    output(command)
}

fn cargo_path() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// The cargo that runs this program.
pub(crate) fn cargo() -> Command {
    Command::new(cargo_path())
}

/// A command that sees nothing of what cargo and rustup set for this process: of the environment it has
/// the search path, the home folder and the folder of temporary files.
pub(crate) fn clean(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    for name in ["PATH", "HOME", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}
