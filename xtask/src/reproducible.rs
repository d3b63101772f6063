//! The driver built in two folders has to have the same bytes.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command;
use crate::driver;
use crate::setup::Tools;
use crate::workspace::Workspace;

/// Builds the tracked files once more in a folder below `target/`, and compares the image with that of
/// `workspace`, which is built already.
///
/// # Errors
///
/// When the second build fails, or its image differs; says from which byte on.
pub(crate) fn check(workspace: &Workspace, tools: &Tools) -> Result<()> {
    let copy = Workspace::at(&workspace.cross().join("copy"));
    copy_tracked_files(workspace, &copy)?;
    println!("driver: building once more in {}", copy.root().display());
    driver::build(&copy, tools)?;
    let first = fs::read(workspace.driver_image())?;
    let second = fs::read(copy.driver_image())?;
    let different = first
        .iter()
        .zip(&second)
        .position(|(one, other)| one != other);
    ensure!(
        first == second,
        "{} and {} differ, from byte {} on ({} and {} bytes long)",
        workspace.driver_image().display(),
        copy.driver_image().display(),
        different.unwrap_or_else(|| first.len().min(second.len())),
        first.len(),
        second.len()
    );
    println!("driver: the build in another folder has the same bytes");
    Ok(())
}

/// Copies what git tracks, as it stands in the work tree, and removes what an earlier copy had besides.
fn copy_tracked_files(from: &Workspace, to: &Workspace) -> Result<()> {
    if to.root().exists() {
        for entry in fs::read_dir(to.root())? {
            let path = entry?.path();
            // The builds of an earlier copy are kept: they make the next one quick.
            if path.ends_with("target") {
                continue;
            }
            if path.is_dir() {
                fs::remove_dir_all(&path)?;
            } else {
                fs::remove_file(&path)?;
            }
        }
    }
    let files = command::output(
        Command::new("git")
            .current_dir(from.root())
            .args(["ls-files", "-z"]),
    )
    .context("a copy is made of what git tracks")?;
    for file in files.split_terminator('\0') {
        let source = from.root().join(file);
        if !source.is_file() {
            continue;
        }
        let copy = to.root().join(file);
        if let Some(folder) = copy.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::copy(&source, &copy).with_context(|| format!("can't copy {}", source.display()))?;
    }
    Ok(())
}
