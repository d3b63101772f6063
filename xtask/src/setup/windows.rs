//! Where the tools are that build and run programs for Windows' user mode.

use std::path::{Path, PathBuf};

use super::rust::{self, Rust};
use super::tools::on_path;
use super::{Missing, Toolchain};

/// The tools that build and run programs for Windows' user mode.
#[derive(Debug)]
pub(crate) struct WindowsTools {
    pub(crate) rust: Rust,
    /// GCC for mingw-w64, which links.
    pub(crate) gcc: PathBuf,
    /// Wine for 64-bit programs.
    pub(crate) wine: PathBuf,
    /// The process that all programs of one installation of Wine share.
    pub(crate) wineserver: PathBuf,
}

/// Finds everything, or says all that is missing.
pub(crate) fn find(toolchain: Toolchain) -> Result<WindowsTools, Vec<Missing>> {
    let mut missing = Vec::new();
    let mut need = |found: Option<PathBuf>, what, packages| {
        found.unwrap_or_else(|| {
            missing.push(Missing { what, packages });
            PathBuf::new()
        })
    };
    let gcc = need(gcc(), "GCC for mingw-w64", &["gcc-mingw-w64-x86-64-win32"]);
    let wine = need(
        debian_wine("wine64")
            .or_else(|| on_path("wine64"))
            .or_else(|| on_path("wine")),
        "Wine",
        &["wine64"],
    );
    let wineserver = need(
        debian_wine("wineserver64")
            .or_else(|| on_path("wineserver64"))
            .or_else(|| on_path("wineserver")),
        "Wine's server",
        &["wine64"],
    );
    let Some(rust) = rust::find_with_sources(toolchain) else {
        missing.push(Missing {
            what: "a Rust compiler with the sources of its standard library (rustup's component rust-src)",
            packages: &["cargo-web", "rust-web-clippy", "rust-web-src", "rustc-web"],
        });
        return Err(missing);
    };
    if !missing.is_empty() {
        return Err(missing);
    }
    Ok(WindowsTools {
        rust,
        gcc,
        wine,
        wineserver,
    })
}

/// The flavour with Windows' own threads comes first: the other one's programs can need a DLL of it.
pub(super) fn gcc() -> Option<PathBuf> {
    on_path("x86_64-w64-mingw32-gcc-win32").or_else(|| on_path("x86_64-w64-mingw32-gcc"))
}

/// A program of Debian's package wine64, which puts none on the search path.
fn debian_wine(name: &str) -> Option<PathBuf> {
    let path = Path::new("/usr/lib/wine").join(name);
    path.is_file().then_some(path)
}
