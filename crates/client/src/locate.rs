//! Where the built driver is.

use std::path::{Path, PathBuf};

use crate::TargetError;

/// The variable that names the driver's file.
pub const VARIABLE: &str = "APCLAB_DRIVER";

/// Where a build puts the driver, from the root of the workspace.
const BUILT: &str = "target/driver/apclab.sys";

/// Finds the driver: the file given, else the one that [`VARIABLE`] names, else
/// `target/driver/apclab.sys` in the current folder or the nearest folder above it.
///
/// # Errors
/// [`TargetError::NotAvailable`]: there is no such file; the sentence says how to build it.
pub fn driver(given: Option<&Path>) -> Result<PathBuf, TargetError> {
    let here = std::env::current_dir().map_err(|error| {
        TargetError::NotAvailable(format!("the current folder cannot be read: {error}"))
    })?;
    let named = std::env::var_os(VARIABLE).map(PathBuf::from);
    search(given, named.as_deref(), &here)
}

fn search(given: Option<&Path>, named: Option<&Path>, here: &Path) -> Result<PathBuf, TargetError> {
    let exact = given
        .map(|path| (path, "--driver"))
        .or(named.map(|path| (path, VARIABLE)));
    if let Some((path, origin)) = exact {
        return if path.is_file() {
            Ok(path.to_owned())
        } else {
            Err(TargetError::NotAvailable(format!(
                "{origin} names {}, and there is no such file",
                path.display()
            )))
        };
    }
    here.ancestors()
        .map(|folder| folder.join(BUILT))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            TargetError::NotAvailable(format!(
                "there is no {BUILT} in {} or above it: run `cargo xtask driver`, or name the file \
                 with --driver or {VARIABLE}",
                here.display()
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A folder of its own, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("apclab-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("a folder to test in");
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            // What is left behind in the folder for temporary files does no harm.
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_nearest_built_driver_is_found_from_below() {
        let folder = Folder::new("locate");
        let deep = folder.0.join("a/b");
        fs::create_dir_all(&deep).expect("folders");
        let missing = search(None, None, &deep).expect_err("nothing is built");
        assert!(missing.is_unavailable());
        assert!(missing.to_string().contains("cargo xtask driver"));

        let built = folder.0.join(BUILT);
        fs::create_dir_all(built.parent().expect("a parent")).expect("folders");
        fs::write(&built, b"MZ").expect("a file");
        assert_eq!(search(None, None, &deep), Ok(built.clone()));
        assert_eq!(
            search(None, Some(&built), Path::new("/")),
            Ok(built.clone())
        );
        let wrong = search(Some(&deep), Some(&built), &deep).expect_err("a folder is no driver");
        assert!(wrong.to_string().starts_with("--driver names"));
    }
}
