//! From the paths of the command line to parsed tests.

use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use apclab_litmus::Test;

use crate::failure::Failure;

/// What litmus tests end with.
const EXTENSION: &str = "litmus";

/// A test and the text that it was parsed from.
pub(crate) struct Input {
    pub(crate) test: Test,
    pub(crate) source: String,
}

/// Reads all tests that the paths name: files as they are, folders with all `*.litmus` files in them
/// in sorted order.
///
/// # Errors
/// [`Failure::Input`] with everything that is wrong with any of them.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Vec<Input>, Failure> {
    let mut files = Vec::new();
    let mut errors = Vec::new();
    for path in paths {
        if let Err(error) = collect(path, &mut files) {
            errors.push(error);
        }
    }
    let mut inputs = Vec::new();
    for file in files {
        match parse(&file) {
            Ok(input) => inputs.push(input),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(inputs)
    } else {
        Err(Failure::Input(errors))
    }
}

fn parse(file: &Path) -> Result<Input, String> {
    let bytes = fs::read(file).map_err(|error| cannot_read(file, &error))?;
    let name = file.display().to_string();
    let test = apclab_litmus::parse_bytes(&name, &bytes)
        .map_err(|diagnostics| diagnostics.render(std::io::stderr().is_terminal()))?;
    Ok(Input {
        test,
        source: String::from_utf8_lossy(&bytes).into_owned(),
    })
}

fn cannot_read(path: &Path, error: &std::io::Error) -> String {
    format!("error: {} cannot be read: {error}", path.display())
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let metadata = fs::metadata(path).map_err(|error| {
        format!(
            "{}; name a litmus test or a folder with *.{EXTENSION} files",
            cannot_read(path, &error)
        )
    })?;
    if !metadata.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let before = files.len();
    walk(path, files)?;
    if files.len() == before {
        return Err(format!(
            "error: there is no *.{EXTENSION} file in {}",
            path.display()
        ));
    }
    Ok(())
}

/// Adds the tests of a folder, those of its sub-folders among them in the order of the names.
/// Folders behind symbolic links are left out, so that the walk ends.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let read = || fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>();
    let mut entries = read().map_err(|error| cannot_read(folder, &error))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let kind = entry.file_type().map_err(|e| cannot_read(&path, &e))?;
        if kind.is_dir() {
            walk(&path, files)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == EXTENSION)
        {
            files.push(path);
        }
    }
    Ok(())
}
