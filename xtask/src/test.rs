//! Everything that has to hold ahead of a commit, stage by stage.

use std::env;
use std::fmt;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::{Args, ValueEnum};

use crate::cli::Cli;
use crate::command;
use crate::driver;
use crate::header;
use crate::package;
use crate::reproducible;
use crate::run::ITERATIONS;
use crate::scripts;
use crate::setup::{self, Toolchain, Tools};
use crate::windows;
use crate::workspace::Workspace;

#[derive(Args, Clone, Debug)]
#[group(skip)]
pub(crate) struct Options {
    #[command(flatten)]
    setup: setup::Options,
    /// Only these stages, in this order [default: all].
    #[arg(value_enum)]
    stages: Vec<Stage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// Install what is missing
    Setup,
    /// Build the driver and check its image
    Driver,
    /// include/apclab.h is that of the protocol, and its example compiles
    Header,
    /// The shell scripts
    Scripts,
    /// Formatting
    Format,
    /// Lints of all packages but the driver
    Lint,
    /// Lints of the driver and of what it is built from, for Windows
    LintDriver,
    /// Unit tests, property tests, and the IOCTL tests on the driver in the host
    Test,
    /// Documentation of all packages but the driver
    Document,
    /// Documentation of the driver
    DocumentDriver,
    /// Lints, compile-fail cases and tests for Windows' user mode, under Wine
    Windows,
    /// The package for a Windows test machine: its files, its signatures, its INF in Wine
    Package,
    /// The litmus tests on the model
    LitmusModel,
    /// The litmus tests on the driver in the host
    LitmusHost,
    /// The driver built in another folder has the same bytes
    Reproducible,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every variant is a possible value, so it has a name.
        f.write_str(
            self.to_possible_value()
                .as_ref()
                .map_or("", |value| value.get_name()),
        )
    }
}

/// Runs the stages, up to the first that fails.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let workspace = Workspace::current()?;
    let runner = Runner {
        workspace: &workspace,
        toolchain: options.setup.toolchain,
    };
    let stages = if options.stages.is_empty() {
        Stage::value_variants()
    } else {
        &options.stages
    };
    let before = changes(&workspace)?;
    let mut times = Vec::new();
    let mut beside = None;
    for &stage in stages {
        println!("\n== {stage}");
        let start = Instant::now();
        let ended = match (stage, beside.take()) {
            (Stage::Reproducible, Some(begun)) => Beside::end(begun),
            (_, begun) => {
                beside = begun;
                runner.run(stage)
            }
        };
        if stage == Stage::Driver && ended.is_ok() && stages.contains(&Stage::Reproducible) {
            beside = Some(Beside::begin(&runner, Stage::Reproducible)?);
        }
        ended.with_context(|| {
            format!(
                "stage {stage} failed after {}; to repeat it: {}",
                seconds(start.elapsed()),
                runner.repeat(stage)
            )
        })?;
        times.push((stage, start.elapsed()));
        println!("== {stage}: passed in {}", seconds(start.elapsed()));
    }
    if before.is_empty() {
        let after = changes(&workspace)?;
        ensure!(
            after.is_empty(),
            "the work tree was clean, and now `git status` has:\n{after}"
        );
    }
    println!();
    for (stage, time) in &times {
        println!("{:16} {:>8}", stage.to_string(), seconds(*time));
    }
    let total = times.iter().map(|(_, time)| *time).sum();
    println!("{:16} {:>8}  all passed", "together", seconds(total));
    Ok(ExitCode::SUCCESS)
}

/// A stage that runs beside those that follow: the second build of the driver has a folder of its own,
/// and most stages leave a processor to it.
struct Beside {
    child: Child,
    log: PathBuf,
}

impl Beside {
    fn begin(runner: &Runner<'_>, stage: Stage) -> Result<Self> {
        let log = runner
            .workspace
            .root()
            .join("target")
            .join(format!("{stage}.log"));
        let output =
            File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(env::current_exe()?);
        command.args(["test", "--toolchain"]);
        let toolchain = runner.toolchain.to_possible_value();
        command.arg(toolchain.as_ref().map_or("", |value| value.get_name()));
        command.arg(stage.to_string()).stdin(Stdio::null());
        command.stdout(output.try_clone()?).stderr(output);
        let child = command
            .spawn()
            .context("cannot start a stage beside others")?;
        Ok(Self { child, log })
    }

    /// Waits for the stage, and shows what it wrote.
    fn end(mut self) -> Result<()> {
        let status = self.child.wait()?;
        let written = fs::read_to_string(&self.log)
            .with_context(|| format!("cannot read {}", self.log.display()))?;
        print!("{written}");
        ensure!(
            status.success(),
            "it was run beside other stages, and failed"
        );
        Ok(())
    }
}

/// When an earlier stage fails, nobody wants it any more.
impl Drop for Beside {
    fn drop(&mut self) {
        // An error says that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// What git would call changed or untracked.
fn changes(workspace: &Workspace) -> Result<String> {
    command::output(
        Command::new("git")
            .current_dir(workspace.root())
            .args(["status", "--porcelain"]),
    )
}

struct Runner<'a> {
    workspace: &'a Workspace,
    toolchain: Toolchain,
}

impl Runner<'_> {
    /// The command that runs the stage alone.
    fn repeat(&self, stage: Stage) -> String {
        let toolchain = self.toolchain.to_possible_value();
        let toolchain = match &toolchain {
            Some(value) if self.toolchain != Toolchain::default() => {
                format!(" --toolchain {}", value.get_name())
            }
            _ => String::new(),
        };
        format!("cargo xtask test{toolchain} {stage}")
    }

    fn run(&self, stage: Stage) -> Result<()> {
        match stage {
            Stage::Setup => {
                let tools = setup::install(self.workspace, self.toolchain)?;
                println!("the driver is built by {}", tools.rust);
                setup::install_windows(self.workspace, self.toolchain)?;
                setup::packaging::install()?;
                setup::install_linters()
            }
            Stage::Driver => {
                let report = driver::build(self.workspace, &self.tools()?)?;
                println!("{}: {report}", self.workspace.driver_image().display());
                Ok(())
            }
            Stage::Header => header::check(self.workspace),
            Stage::Scripts => scripts::check(self.workspace),
            Stage::Format => self.cargo(&["fmt", "--all", "--check"], &[]),
            Stage::Lint => self.cargo(
                &[
                    "clippy",
                    "--locked",
                    "--all-targets",
                    "--",
                    "--deny",
                    "warnings",
                ],
                &[],
            ),
            Stage::LintDriver => driver::lint(self.workspace, &self.tools()?),
            Stage::Test => self.cargo(&["test", "--locked"], &[]),
            Stage::Document => self.cargo(
                &["doc", "--locked", "--no-deps"],
                &[("RUSTDOCFLAGS", "--deny warnings")],
            ),
            Stage::DocumentDriver => driver::document(self.workspace, &self.tools()?),
            Stage::Windows => {
                let tools = setup::require_windows(self.workspace, self.toolchain)?;
                windows::test(self.workspace, &tools)
            }
            Stage::Package => package::make(self.workspace, self.toolchain),
            Stage::LitmusModel => self.litmus("model", &[]),
            Stage::LitmusHost => self.litmus("host", &["--iterations", &ITERATIONS.to_string()]),
            Stage::Reproducible => reproducible::check(self.workspace, &self.tools()?),
        }
    }

    fn tools(&self) -> Result<Tools> {
        setup::require(self.workspace, self.toolchain)
    }

    /// Runs cargo on the workspace's default members, which are all but the driver.
    fn cargo(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Result<()> {
        let mut cargo = command::cargo();
        cargo
            .current_dir(self.workspace.root())
            .env("APCLAB_DRIVER", self.workspace.driver_image())
            .envs(environment.iter().copied())
            .args(arguments);
        println!("{}", command::line(&cargo));
        command::run(&mut cargo)
    }

    fn litmus(&self, target: &str, more: &[&str]) -> Result<()> {
        let cli = Cli::build(self.workspace)?;
        let mut suite = cli.command(&["run", "litmus", "--on", target]);
        suite.args(more);
        println!("{}", command::line(&suite));
        command::run(&mut suite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_stage_is_repeated_with_the_same_toolchain() {
        let workspace = Workspace::at("/somewhere".as_ref());
        let repeat = |toolchain| {
            let runner = Runner {
                workspace: &workspace,
                toolchain,
            };
            runner.repeat(Stage::LintDriver)
        };
        assert_eq!(repeat(Toolchain::Auto), "cargo xtask test lint-driver");
        assert_eq!(
            repeat(Toolchain::Debian),
            "cargo xtask test --toolchain debian lint-driver"
        );
    }
}
