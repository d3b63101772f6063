//! What the build needs from the system, and how it is installed.
//!
//! Debian's cargo and rustc, where they are used, are called by their full paths, so that the user's own
//! stay what `cargo` means.

mod apt;
pub(crate) mod packaging;
mod rust;
mod tools;
mod windows;

use std::process::{Command, ExitCode};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::command;
use crate::workspace::Workspace;

pub(crate) use tools::Tools;
pub(crate) use windows::WindowsTools;

/// What the driver is compiled for.
pub(crate) const TARGET: &str = "x86_64-pc-windows-msvc";

/// Which Rust compiler builds the driver, and the programs for Windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Toolchain {
    /// The user's own if it has what is needed for Windows, or rustup can add it, else Debian's.
    #[default]
    Auto,
    /// The user's own.
    Own,
    /// Debian's rustc-web, with the standard library built from rust-web-src.
    Debian,
}

#[derive(Args, Clone, Copy, Debug, Default)]
#[group(skip)]
pub(crate) struct Options {
    /// Which Rust compiler builds the driver, and the programs for Windows.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) toolchain: Toolchain,
}

/// One thing that was not found.
#[derive(Debug)]
struct Missing {
    what: &'static str,
    /// The packages of Debian 12 that have it.
    packages: &'static [&'static str],
}

/// Installs what is missing.
pub(crate) fn run(options: Options) -> Result<ExitCode> {
    let workspace = Workspace::current()?;
    let tools = install(&workspace, options.toolchain)?;
    let windows = install_windows(&workspace, options.toolchain)?;
    packaging::install()?;
    install_linters()?;
    println!("setup: all is there; the driver is built by {}", tools.rust);
    println!("setup: programs for Windows are built by {}", windows.rust);
    Ok(ExitCode::SUCCESS)
}

/// Installs what the driver's build lacks, and returns where everything is.
///
/// # Errors
///
/// When something is missing that can't be installed here; names it.
pub(crate) fn install(workspace: &Workspace, toolchain: Toolchain) -> Result<Tools> {
    rust::add_target(workspace, toolchain);
    obtain(|| tools::find(toolchain))
}

/// Installs what the programs for Windows' user mode need to be built and run, and returns where it is.
///
/// # Errors
///
/// When something is missing that can't be installed here; names it.
pub(crate) fn install_windows(workspace: &Workspace, toolchain: Toolchain) -> Result<WindowsTools> {
    rust::add_library_sources(workspace, toolchain);
    obtain(|| windows::find(toolchain))
}

/// Where what the programs for Windows' user mode need is.
///
/// # Errors
///
/// When something is missing; names it and the command that installs it.
pub(crate) fn require_windows(workspace: &Workspace, toolchain: Toolchain) -> Result<WindowsTools> {
    rust::add_library_sources(workspace, toolchain);
    windows::find(toolchain).map_err(|missing| advise(&missing))
}

/// What `find` finds, after installing what it misses.
fn obtain<T>(find: impl Fn() -> Result<T, Vec<Missing>>) -> Result<T> {
    let missing = match find() {
        Ok(found) => return Ok(found),
        Err(missing) => missing,
    };
    if cfg!(windows) {
        bail!(
            "Windows has the WDK, which this build stands in for: run `cargo make` in its prompt"
        );
    }
    let packages = packages(&missing);
    if !apt::is_debian_12() {
        bail!(
            "missing: {}. Only on Debian 12 can this program install that; its packages there are {}",
            names(&missing),
            packages.join(", ")
        );
    }
    println!("setup: missing: {}", names(&missing));
    apt::install(&packages)?;
    find().map_err(|missing| {
        anyhow::anyhow!(
            "apt-get installed {}, but still missing: {}",
            packages.join(" "),
            names(&missing)
        )
    })
}

/// Where everything is.
///
/// # Errors
///
/// When something is missing; names it and the command that installs it.
pub(crate) fn require(workspace: &Workspace, toolchain: Toolchain) -> Result<Tools> {
    rust::add_target(workspace, toolchain);
    tools::find(toolchain).map_err(|missing| advise(&missing))
}

fn advise(missing: &[Missing]) -> anyhow::Error {
    anyhow::anyhow!(
        "missing: {}. `cargo xtask setup` installs that where it can; Debian's packages: {}",
        names(missing),
        packages(missing).join(", ")
    )
}

/// Lets rustup add rustfmt and clippy, which its minimal profile leaves out, where they are missing.
///
/// # Errors
///
/// When one is missing that can't be installed; names it.
pub(crate) fn install_linters() -> Result<()> {
    for (component, subcommand) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        let works = || {
            let mut version = command::cargo();
            command::output(version.args([subcommand, "--version"])).is_ok()
        };
        if works() {
            continue;
        }
        println!("setup: missing: {component}");
        let mut add = Command::new("rustup");
        let added = command::run(add.args(["component", "add", component]));
        if !works() {
            added?;
            bail!("rustup added {component}, but `cargo {subcommand}` still does not work");
        }
    }
    Ok(())
}

fn names(missing: &[Missing]) -> String {
    missing
        .iter()
        .map(|one| one.what)
        .collect::<Vec<_>>()
        .join(", ")
}

fn packages(missing: &[Missing]) -> Vec<&'static str> {
    let mut packages: Vec<_> = missing
        .iter()
        .flat_map(|one| one.packages)
        .copied()
        .collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_that_several_things_come_from_is_installed_once() {
        let missing = [
            Missing {
                what: "llvm-dlltool",
                packages: &["llvm-19"],
            },
            Missing {
                what: "clang",
                packages: &["clang-19"],
            },
            Missing {
                what: "llvm-ar",
                packages: &["llvm-19"],
            },
        ];
        assert_eq!(packages(&missing), ["clang-19", "llvm-19"]);
        assert_eq!(names(&missing), "llvm-dlltool, clang, llvm-ar");
    }
}
