//! The Rust compilers that build for Windows: the driver, and the programs of its user mode.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::tools::on_path;
use super::{TARGET, Toolchain};
use crate::command;
use crate::workspace::Workspace;

/// The programs of one toolchain: their versions have to agree.
#[derive(Debug)]
pub(crate) struct Rust {
    pub(crate) cargo: PathBuf,
    pub(crate) rustc: PathBuf,
    /// The sources of the standard library, where it is built from them.
    pub(crate) library_sources: Option<PathBuf>,
}

impl Rust {
    /// Another program of this toolchain: it lies beside rustc.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.rustc.with_file_name(name)
    }
}

impl fmt::Display for Rust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.rustc.display())?;
        if let Some(sources) = &self.library_sources {
            write!(f, ", with the library from {}", sources.display())?;
        }
        Ok(())
    }
}

pub(crate) fn find(toolchain: Toolchain) -> Option<Rust> {
    match toolchain {
        Toolchain::Auto => own().or_else(debian),
        Toolchain::Own => own(),
        Toolchain::Debian => debian(),
    }
}

/// The user's cargo and rustc, if they have the target's library.
fn own() -> Option<Rust> {
    let rustc = own_program("rustc")?;
    let mut print = Command::new(&rustc);
    let library =
        command::output(print.args(["--print", "target-libdir", "--target", TARGET])).ok()?;
    let has_core = fs::read_dir(library.trim())
        .ok()?
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"));
    if !has_core {
        return None;
    }
    Some(Rust {
        cargo: own_program("cargo")?,
        rustc,
        library_sources: None,
    })
}

/// A toolchain with the sources of its standard library: the target of the programs for Windows' user mode
/// has no compiled one anywhere.
pub(crate) fn find_with_sources(toolchain: Toolchain) -> Option<Rust> {
    match toolchain {
        Toolchain::Auto => own_with_sources().or_else(debian),
        Toolchain::Own => own_with_sources(),
        Toolchain::Debian => debian(),
    }
}

fn own_with_sources() -> Option<Rust> {
    let rustc = own_program("rustc")?;
    let root = command::output(Command::new(&rustc).args(["--print", "sysroot"])).ok()?;
    let library = Path::new(root.trim()).join("lib/rustlib/src/rust/library");
    if !library.join("std/src/lib.rs").is_file() {
        return None;
    }
    Some(Rust {
        cargo: own_program("cargo")?,
        rustc,
        library_sources: Some(library),
    })
}

/// A program of the user's Rust by its full path: below rustup, the program itself and not rustup's proxy.
fn own_program(name: &str) -> Option<PathBuf> {
    command::output(Command::new("rustup").args(["which", name]))
        .ok()
        .map(|path| PathBuf::from(path.trim()))
        .or_else(|| on_path(name))
}

fn debian() -> Option<Rust> {
    let bin = Path::new("/usr/bin");
    let found = Rust {
        cargo: bin.join("cargo"),
        rustc: bin.join("rustc"),
        library_sources: Some(PathBuf::from("/usr/lib/rustlib/src/rust/library")),
    };
    let complete = found.cargo.is_file()
        && found.rustc.is_file()
        && found.program("cargo-clippy").is_file()
        && found
            .library_sources
            .as_ref()
            .is_some_and(|library| library.join("core/src/lib.rs").is_file());
    complete.then_some(found)
}

/// Lets rustup add the driver's target, if the user's own toolchain lacks it.
pub(crate) fn add_target(workspace: &Workspace, toolchain: Toolchain) {
    if own().is_none() {
        ask_rustup(
            workspace,
            toolchain,
            "rustup-tried",
            &["target", "add", TARGET],
        );
    }
}

/// Lets rustup add the sources of the standard library, if the user's own toolchain lacks them.
pub(crate) fn add_library_sources(workspace: &Workspace, toolchain: Toolchain) {
    if own_with_sources().is_none() {
        ask_rustup(
            workspace,
            toolchain,
            "rustup-tried-sources",
            &["component", "add", "rust-src"],
        );
    }
}

/// Asks rustup, once in a checkout: a machine without a network falls back to Debian's compiler without
/// trying again each time.
fn ask_rustup(workspace: &Workspace, toolchain: Toolchain, mark: &str, request: &[&str]) {
    if toolchain == Toolchain::Debian {
        return;
    }
    let tried = workspace.cross().join(mark);
    if toolchain == Toolchain::Auto && tried.exists() {
        return;
    }
    println!("setup: asking rustup to {}", request.join(" "));
    // Without rustup, or without its server, the answer is an error: Debian's compiler is the fallback,
    // and what is missing for that is reported.
    if let Err(error) = command::output(Command::new("rustup").args(request)) {
        println!("setup: it does not: {error:#}");
    }
    let _ = fs::create_dir_all(workspace.cross()).and_then(|()| fs::write(tried, ""));
}
