//! The programs that make and check the package for Windows.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::tools::on_path;
use super::{Missing, apt, names, packages};

/// The programs of the package, each where it was found.
#[derive(Debug)]
pub(crate) struct Packaging {
    /// Compiles the C example.
    pub(crate) mingw_gcc: PathBuf,
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
        mingw_gcc: need(
            on_path("x86_64-w64-mingw32-gcc-win32").or_else(|| on_path("x86_64-w64-mingw32-gcc")),
            "mingw-w64's gcc",
            &["gcc-mingw-w64-x86-64-win32"],
        ),
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
    let missing = match find() {
        Ok(found) => return Ok(found),
        Err(missing) => missing,
    };
    let packages = packages(&missing);
    if !apt::is_debian_12() {
        bail!(
            "missing: {}. Debian's packages with that are {}",
            names(&missing),
            packages.join(", ")
        );
    }
    println!("setup: missing: {}", names(&missing));
    apt::install(&packages)?;
    require()
}

/// Where everything is.
///
/// # Errors
///
/// When something is missing; names it and the command that installs it.
pub(crate) fn require() -> Result<Packaging> {
    find().map_err(|missing| {
        anyhow::anyhow!(
            "missing: {}. `cargo xtask setup` installs that",
            names(&missing)
        )
    })
}
