//! The programs that make and check the package for Windows.

use std::path::PathBuf;

use anyhow::Result;

use super::tools::on_path;
use super::{Missing, advise, obtain, windows};

/// The programs of the package, each where it was found.
#[derive(Debug)]
pub(crate) struct Packaging {
    /// Makes the certificate.
    pub(crate) openssl: PathBuf,
    /// Signs images and catalogs, and checks their signatures.
    pub(crate) osslsigncode: PathBuf,
    /// Compiles the C example.
    pub(crate) gcc: PathBuf,
    /// Checks the shell scripts.
    pub(crate) shellcheck: PathBuf,
}

fn find() -> Result<Packaging, Vec<Missing>> {
    let mut missing = Vec::new();
    let mut need = |found: Option<PathBuf>, what, packages| {
        found.unwrap_or_else(|| {
            missing.push(Missing { what, packages });
            PathBuf::new()
        })
    };
    let found = Packaging {
        openssl: need(on_path("openssl"), "openssl", &["openssl"]),
        osslsigncode: need(on_path("osslsigncode"), "osslsigncode", &["osslsigncode"]),
        gcc: need(
            windows::gcc(),
            "GCC for mingw-w64",
            &["gcc-mingw-w64-x86-64-win32"],
        ),
        shellcheck: need(on_path("shellcheck"), "shellcheck", &["shellcheck"]),
    };
    if missing.is_empty() {
        Ok(found)
    } else {
        Err(missing)
    }
}

/// Installs what is missing, and returns where everything is.
///
/// # Errors
///
/// When something is missing that can't be installed here; names it.
pub(crate) fn install() -> Result<Packaging> {
    obtain(find)
}

/// Where everything is.
///
/// # Errors
///
/// When something is missing; names it and the command that installs it.
pub(crate) fn require() -> Result<Packaging> {
    find().map_err(|missing| advise(&missing))
}
