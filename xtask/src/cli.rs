//! The command line `apclab`, built and called.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::command;
use crate::workspace::Workspace;

/// The built program.
pub(crate) struct Cli {
    program: PathBuf,
    workspace: Workspace,
}

impl Cli {
    /// Builds it, optimised.
    ///
    /// # Errors
    ///
    /// When it does not compile.
    pub(crate) fn build(workspace: &Workspace) -> Result<Self> {
        let mut build = command::cargo();
        build
            .current_dir(workspace.root())
            .args(["build", "--release", "--locked", "--package", "apclab-cli"])
            .arg("--message-format=json-render-diagnostics");
        let messages = command::answer(&mut build)?;
        let program = executable(&messages, "apclab")
            .context("the package apclab-cli has no program called apclab")?;
        Ok(Self {
            program,
            workspace: workspace.clone(),
        })
    }

    /// The program with these arguments, at the repository's root and with the driver built there.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .current_dir(self.workspace.root())
            .env("APCLAB_DRIVER", self.workspace.driver_image())
            .args(arguments);
        command
    }
}

/// Where cargo says that it put the program `name`.
pub(crate) fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|message| {
            message["reason"] == "compiler-artifact"
                && message["target"]["name"] == name
                && message["executable"].is_string()
        })
        .and_then(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::executable;

    #[test]
    fn the_program_is_found_among_cargos_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"apclab"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"other"},"executable":"/t/other"}"#,
            "\nwhat a build script says\n",
            r#"{"reason":"compiler-artifact","target":{"name":"apclab"},"executable":"/t/apclab"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(executable(messages, "apclab"), Some("/t/apclab".into()));
        assert_eq!(executable(messages, "missing"), None);
    }
}
