//! The scripts of the repository: those for a shell are checked by shellcheck. There is no PowerShell here
//! that could check the others.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::command;
use crate::setup::packaging;
use crate::workspace::Workspace;

/// Checks every shell script that git tracks.
///
/// # Errors
///
/// When shellcheck has something to say, or there is no script at all.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let tools = packaging::require()?;
    let listed = command::output(
        Command::new("git")
            .current_dir(workspace.root())
            .args(["ls-files", "-z", "--", "*.sh", ".ci/run"]),
    )?;
    let scripts: Vec<_> = listed.split_terminator('\0').collect();
    ensure!(!scripts.is_empty(), "git tracks no shell script");
    let mut shellcheck = command::clean(&tools.shellcheck);
    shellcheck.current_dir(workspace.root()).args(&scripts);
    command::run(&mut shellcheck)?;
    println!("shellcheck: nothing to say of {}", scripts.join(", "));
    Ok(())
}
