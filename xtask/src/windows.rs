//! Programs and tests for Windows' user mode, built on Linux.
//!
//! The target is the one for Windows 7, whose standard library imports nothing that is newer: it starts on
//! old and on partial implementations. No compiled library of it is published, so cargo builds it.

mod stage;
mod ui;

use std::process::Command;

use crate::command;
use crate::setup::WindowsTools;
use crate::workspace::Workspace;

pub(crate) use stage::test;

/// What programs for Windows' user mode are compiled for.
pub(crate) const TARGET: &str = "x86_64-win7-windows-gnu";

/// The library is built with its tests' part for all, so that it is built once.
const TARGET_ARGUMENTS: [&str; 3] = ["-Zbuild-std=std,panic_unwind,test", "--target", TARGET];

/// Cargo for Windows' user mode.
pub(crate) struct Windows<'a> {
    workspace: &'a Workspace,
    tools: &'a WindowsTools,
}

impl<'a> Windows<'a> {
    pub(crate) fn new(workspace: &'a Workspace, tools: &'a WindowsTools) -> Self {
        Self { workspace, tools }
    }

    /// `cargo <subcommand>`, to be given packages and a profile. Its target folder is `target/windows`.
    pub(crate) fn cargo(&self, subcommand: &str) -> Command {
        let mut cargo = self.elsewhere(subcommand);
        cargo.arg("--locked");
        cargo
    }

    /// `cargo <subcommand>` for a package outside this workspace, whose `Cargo.lock` may change.
    fn elsewhere(&self, subcommand: &str) -> Command {
        let mut cargo = self.with_environment(command::clean(&self.tools.rust.cargo));
        cargo.arg(subcommand).args(TARGET_ARGUMENTS);
        cargo
    }

    /// `cargo clippy` of the same toolchain, which need not be the user's own.
    pub(crate) fn clippy(&self) -> Command {
        let rust = &self.tools.rust;
        let mut clippy = self.with_environment(command::clean(rust.program("cargo-clippy")));
        clippy
            .env("CARGO", &rust.cargo)
            .arg("clippy")
            .args(TARGET_ARGUMENTS)
            .arg("--locked");
        clippy
    }

    fn with_environment(&self, mut cargo: Command) -> Command {
        for name in ["CARGO_HOME", "http_proxy", "https_proxy", "no_proxy"] {
            if let Some(value) = std::env::var_os(name) {
                cargo.env(name, value);
            }
        }
        let rust = &self.tools.rust;
        cargo
            .current_dir(self.workspace.root())
            .env("CARGO_TARGET_DIR", self.workspace.windows())
            .env("RUSTC", &rust.rustc)
            .env("RUSTDOC", rust.program("rustdoc"))
            // Building the standard library is an unstable feature of cargo.
            .env("RUSTC_BOOTSTRAP", "1")
            .env(
                "CARGO_TARGET_X86_64_WIN7_WINDOWS_GNU_LINKER",
                &self.tools.gcc,
            )
            .env("CC_x86_64_win7_windows_gnu", &self.tools.gcc);
        cargo
    }
}
