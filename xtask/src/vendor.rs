//! The crates of `Cargo.lock` in a folder of the cross build's own, with a wdk-build that compiles on
//! this system.
//!
//! wdk-build supports Windows hosts only. The few places that stop it are changed in the copy that cargo
//! fetched, whose checksum file is brought up to date: for cargo it stays the crate of `Cargo.lock`, so
//! that a build on Windows, from crates.io, has the same lock file.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::command;
use crate::setup::Tools;
use crate::workspace::{Workspace, symlink};

/// The crate that is patched, as its folder is called. Its version is pinned in `Cargo.toml`.
const PATCHED: &str = "wdk-build-0.6.0";

/// A piece of text that stands `count` times in a file, and what replaces it.
struct Edit {
    file: &'static str,
    find: &'static str,
    count: usize,
    replace: &'static str,
}

const EDITS: &[Edit] = &[
    // The `windows` crate compiles for Windows only; it looks up the WDK in the registry.
    Edit {
        file: "Cargo.toml",
        find: "[dependencies.windows]",
        count: 1,
        replace: "[target.'cfg(windows)'.dependencies.windows]",
    },
    Edit {
        file: "src/utils.rs",
        find: "\nuse windows::{",
        count: 1,
        replace: "\n#[cfg(windows)]\nuse windows::{",
    },
    Edit {
        file: "src/utils.rs",
        find: "\nfn read_registry_key_string_value(",
        count: 1,
        replace: "\n#[cfg(windows)]\nfn read_registry_key_string_value(",
    },
    Edit {
        file: "src/utils.rs",
        find: "if let Some(path) = read_registry_key_string_value(",
        count: 2,
        replace: "#[cfg(windows)]\n    if let Some(path) = read_registry_key_string_value(",
    },
    // Two functions have a body for Windows and a `compile_error!` for the rest: the first is for all, the
    // second for none. The attribute also stands on a module of unit tests, which no build here compiles.
    Edit {
        file: "src/utils.rs",
        find: "#[cfg(target_os = \"windows\")]",
        count: 3,
        replace: "#[cfg(all())]",
    },
    Edit {
        file: "src/utils.rs",
        find: "#[cfg(not(target_os = \"windows\"))]",
        count: 2,
        replace: "#[cfg(any())]",
    },
    // The part for cargo-make runs the WDK's programs.
    Edit {
        file: "src/lib.rs",
        find: "\npub mod cargo_make;",
        count: 1,
        replace: "\n#[cfg(windows)]\npub mod cargo_make;",
    },
];

/// What the vendored folder is made from: when it differs, the folder is brought up to date.
fn inputs(workspace: &Workspace, tools: &Tools) -> Result<String> {
    let lock = workspace.root().join("Cargo.lock");
    let mut hash = Sha256::new();
    hash.update(fs::read(&lock).with_context(|| format!("can't read {}", lock.display()))?);
    hash.update(format!("{:?}", tools.rust.library_sources));
    for edit in EDITS {
        for text in [edit.file, edit.find, edit.replace] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
    }
    Ok(hex(&hash.finalize()))
}

/// Makes the folder of crates, or brings it up to date.
///
/// # Errors
///
/// When cargo can't fetch the crates, or the text that a patch is for is not there; names the place.
pub(crate) fn prepare(workspace: &Workspace, tools: &Tools) -> Result<()> {
    let folder = workspace.vendored_crates();
    let stamp = workspace.cross().join("vendor.stamp");
    let inputs = inputs(workspace, tools)?;
    if fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == inputs) {
        return Ok(());
    }
    println!(
        "driver: copying the crates of Cargo.lock to {}",
        folder.display()
    );
    if folder.exists() {
        unlink_library_crates(&folder)?;
    }
    // Cargo keeps the copy of a version that is there already. The patched crate is copied afresh.
    let patched = folder.join(PATCHED);
    if patched.exists() {
        fs::remove_dir_all(&patched)?;
    }
    command::output(
        command::cargo()
            .current_dir(workspace.root())
            .args(["vendor", "--locked", "--versioned-dirs"])
            .arg(&folder),
    )?;
    ensure!(
        patched.is_dir(),
        "Cargo.lock has no {PATCHED}: the patch in {} is for that version",
        file!()
    );
    patch(&patched, EDITS)?;
    if let Some(library) = &tools.rust.library_sources {
        link_library_crates(library, &folder)?;
    }
    fs::write(&stamp, inputs)?;
    Ok(())
}

/// Adds the crates that the standard library depends on, which lie next to its sources: cargo looks for
/// all crates of a registry in one folder.
fn link_library_crates(library: &Path, folder: &Path) -> Result<()> {
    let crates = library.join("vendor");
    let entries =
        fs::read_dir(&crates).with_context(|| format!("can't list {}", crates.display()))?;
    for entry in entries {
        let entry = entry?;
        let link = folder.join(entry.file_name());
        if !link.exists() {
            symlink(entry.path(), link)?;
        }
    }
    Ok(())
}

/// Removes what [`link_library_crates`] added, ahead of cargo, which removes what it does not know.
fn unlink_library_crates(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_symlink() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Makes the edits in the crate's folder and writes the changed files' checksums.
fn patch(folder: &Path, edits: &[Edit]) -> Result<()> {
    let checksums = folder.join(".cargo-checksum.json");
    let mut record: Value = serde_json::from_str(&fs::read_to_string(&checksums)?)
        .with_context(|| format!("{} is not JSON", checksums.display()))?;
    for edit in edits {
        let path = folder.join(edit.file);
        let text =
            fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
        let text =
            replace(&text, edit).with_context(|| format!("can't patch {}", path.display()))?;
        fs::write(&path, &text)?;
        let Some(checksum) = record
            .get_mut("files")
            .and_then(|files| files.get_mut(edit.file))
        else {
            bail!("{} has no checksum for {}", checksums.display(), edit.file);
        };
        *checksum = hex(&Sha256::digest(&text)).into();
    }
    fs::write(&checksums, record.to_string())?;
    Ok(())
}

fn replace(text: &str, edit: &Edit) -> Result<String> {
    let found = text.matches(edit.find).count();
    ensure!(
        found == edit.count,
        "`{}` stands there {found} times, not {}: this is not the text that the patch is for",
        edit.find.trim(),
        edit.count
    );
    Ok(text.replace(edit.find, edit.replace))
}

/// The bytes in hexadecimal, as checksum files have them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDIT: Edit = Edit {
        file: "a",
        find: "one",
        count: 2,
        replace: "two",
    };

    #[test]
    fn an_edit_replaces_every_occurrence() {
        assert_eq!(replace("one, one.", &EDIT).unwrap(), "two, two.");
    }

    #[test]
    fn text_that_is_not_as_expected_is_refused_by_name() {
        let refused = replace("one.", &EDIT).unwrap_err().to_string();
        assert!(
            refused.contains("`one` stands there 1 times, not 2"),
            "{refused}"
        );
    }

    #[test]
    fn a_patched_file_has_its_new_checksum() {
        let folder = std::env::temp_dir().join(format!("apclab-patch-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("a"), "one one").unwrap();
        fs::write(
            folder.join(".cargo-checksum.json"),
            r#"{"files":{"a":"old","b":"kept"},"package":"kept"}"#,
        )
        .unwrap();
        let patched = patch(&folder, &[EDIT]);
        let text = fs::read_to_string(folder.join("a")).unwrap();
        let record: Value =
            serde_json::from_str(&fs::read_to_string(folder.join(".cargo-checksum.json")).unwrap())
                .unwrap();
        fs::remove_dir_all(&folder).unwrap();
        patched.unwrap();
        assert_eq!(text, "two two");
        assert_eq!(record["files"]["a"], hex(&Sha256::digest("two two")));
        assert_eq!(record["files"]["b"], "kept");
        assert_eq!(record["package"], "kept");
    }
}
