//! Where things lie in the checkout.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A checkout of this repository. Everything that is generated lies below its `target/`, whatever
/// `CARGO_TARGET_DIR` says: wdk-build wants its build folder below that of `Cargo.lock`.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The checkout that this program was built from.
    pub(crate) fn current() -> Result<Self> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest
            .parent()
            .with_context(|| format!("{} has no parent folder", manifest.display()))?;
        Ok(Self::at(root))
    }

    /// The checkout at `root`.
    pub(crate) fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where a finished driver is put.
    pub(crate) fn driver_folder(&self) -> PathBuf {
        self.root.join("target/driver")
    }

    pub(crate) fn driver_image(&self) -> PathBuf {
        self.driver_folder().join("apclab.sys")
    }

    /// What the cross build generates for itself.
    pub(crate) fn cross(&self) -> PathBuf {
        self.root.join("target/cross")
    }

    /// The crates of `Cargo.lock`, with a wdk-build that compiles here.
    pub(crate) fn vendored_crates(&self) -> PathBuf {
        self.cross().join("vendor")
    }

    /// What the benchmarks generate for themselves.
    pub(crate) fn bench(&self) -> PathBuf {
        self.root.join("target/bench")
    }

    /// Where cargo builds the programs for Windows' user mode.
    pub(crate) fn windows(&self) -> PathBuf {
        self.root.join("target/windows")
    }

    /// The private Windows installation that Wine makes.
    pub(crate) fn wine_prefix(&self) -> PathBuf {
        self.root.join("target/wine")
    }

    /// The folder that `WDKContentRoot` names.
    pub(crate) fn wdk(&self) -> PathBuf {
        self.cross().join("wdk")
    }

    /// The repository's sources of that folder.
    pub(crate) fn cross_sources(&self) -> PathBuf {
        self.root.join("cross")
    }
}

/// Makes a symbolic link.
///
/// # Errors
///
/// When the file system refuses it. Windows has no use for the cross build: it has the WDK.
pub(crate) fn symlink(target: impl AsRef<Path>, link: impl AsRef<Path>) -> Result<()> {
    let (target, link) = (target.as_ref(), link.as_ref());
    #[cfg(unix)]
    let made = std::os::unix::fs::symlink(target, link);
    #[cfg(not(unix))]
    let made = Err(std::io::Error::from(std::io::ErrorKind::Unsupported));
    made.with_context(|| format!("can't link {} to {}", link.display(), target.display()))
}
