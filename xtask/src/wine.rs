//! Programs for Windows, run under Wine: no display, no network, no windows that ask something, and a
//! limit to the time.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::command;
use crate::setup::WindowsTools;
use crate::workspace::Workspace;

/// How long Wine may take to make its installation; it takes seconds.
const BOOT_LIMIT: Duration = Duration::from_mins(3);
/// How often a running program is looked at.
const POLL: Duration = Duration::from_millis(10);

/// A private installation of Windows by Wine, below `target/`.
pub(crate) struct Wine<'a> {
    workspace: &'a Workspace,
    tools: &'a WindowsTools,
}

impl<'a> Wine<'a> {
    /// Makes the installation where there is none, or another version of Wine made it.
    ///
    /// # Errors
    ///
    /// When Wine fails, or takes longer than three minutes.
    pub(crate) fn prepare(workspace: &'a Workspace, tools: &'a WindowsTools) -> Result<Self> {
        let wine = Self { workspace, tools };
        let version = command::output(wine.plain().arg("--version"))?;
        let mark = workspace.wine_prefix().join("made-by");
        if fs::read_to_string(&mark).is_ok_and(|made_by| made_by == version) {
            return Ok(wine);
        }
        println!("making an installation of {}", version.trim());
        fs::create_dir_all(workspace.wine_prefix())?;
        // It complains about the programs that Debian has in packages of their own.
        let log = workspace.wine_prefix().join("wineboot.log");
        let mut boot = wine.plain();
        boot.args(["wineboot", "--init"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?);
        wine.run(&mut boot, BOOT_LIMIT)
            .with_context(|| format!("Wine can't make its installation; see {}", log.display()))?;
        // Its registry is written when the server ends; what is half written is made anew.
        command::run(wine.server().arg("--wait"))?;
        fs::write(mark, version)?;
        Ok(wine)
    }

    /// The program `exe` under Wine, to be given arguments and to be run with [`Wine::run`].
    pub(crate) fn command(&self, exe: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut wine = self.plain();
        wine.arg(exe).stdin(Stdio::null());
        wine
    }

    /// Runs a command of this installation.
    ///
    /// # Errors
    ///
    /// When it can't be started, fails, or has not ended after `limit`: then it is killed, with everything
    /// else that runs in the installation.
    pub(crate) fn run(&self, program: &mut Command, limit: Duration) -> Result<()> {
        let line = command::line(program);
        let mut child = program
            .spawn()
            .with_context(|| format!("can't start `{line}`"))?;
        let start = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                ensure!(status.success(), "`{line}` failed: {status}");
                return Ok(());
            }
            if start.elapsed() > limit {
                child.kill()?;
                child.wait()?;
                // What it has started hangs as well, perhaps.
                command::run(self.server().arg("--kill"))?;
                bail!(
                    "`{line}` has not ended after {} s, and was killed",
                    limit.as_secs()
                );
            }
            thread::sleep(POLL);
        }
    }

    /// Has `command`, of cargo or another program that starts Wine by itself, use this installation.
    pub(crate) fn surround(&self, command: &mut Command) {
        command
            .env("WINEPREFIX", self.workspace.wine_prefix())
            .env("WINEDEBUG", "-all")
            .env("WINESERVER", &self.tools.wineserver)
            // No offers to download .NET and a browser, and no menu entries for the user's desktop.
            .env("WINEDLLOVERRIDES", "mscoree,mshtml=;winemenubuilder.exe=d");
    }

    fn plain(&self) -> Command {
        self.clean(&self.tools.wine)
    }

    fn server(&self) -> Command {
        self.clean(&self.tools.wineserver)
    }

    /// The environment has no display and nothing else of this process's own.
    fn clean(&self, program: &Path) -> Command {
        let mut command = command::clean(program);
        // The folders of the Windows user are links into the home folder.
        command.env("HOME", self.workspace.wine_prefix());
        self.surround(&mut command);
        command
    }
}
