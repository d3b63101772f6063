//! From the paths of the command line to parsed tests.

use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use apclab_litmus::Test;
use apclab_protocol::program::Place;

use crate::failure::Failure;

/// What litmus tests end with.
const EXTENSION: &str = "litmus";

/// A test and the text that it was parsed from.
pub(crate) struct Input {
    pub(crate) test: Test,
    pub(crate) source: String,
}

/// The text of every step of a test, as its file has it.
pub(crate) struct StepTexts {
    lanes: Vec<Vec<String>>,
    bodies: Vec<Vec<String>>,
}

impl StepTexts {
    /// The text of a step.
    pub(crate) fn get(&self, place: Place, step: usize) -> &str {
        let steps = match place {
            Place::Lane(lane) => self.lanes.get(usize::from(lane)),
            Place::Body(apc) => self.bodies.get(usize::from(apc)),
        };
        let text = steps.and_then(|steps| steps.get(step));
        text.map_or("?", String::as_str)
    }
}

impl Input {
    pub(crate) fn step_texts(&self) -> StepTexts {
        let program = &self.test.program;
        let lanes = (0_u8..).take(program.lanes.len()).map(Place::Lane);
        let bodies = (0_u8..).take(program.apcs.len()).map(Place::Body);
        let of_place = |place| {
            let steps = 0..self.test.steps(place).len();
            steps.map(|step| self.step_text(place, step)).collect()
        };
        StepTexts {
            lanes: lanes.map(of_place).collect(),
            bodies: bodies.map(of_place).collect(),
        }
    }

    fn step_text(&self, place: Place, step: usize) -> String {
        let place = self.test.place_of(place, step);
        let line = self.source.lines().nth(place.line - 1).unwrap_or_default();
        step_text(line, place.column)
    }
}

/// The step that begins in a column of a line, counted from 1: what is left of the line, its comment
/// and surplus blanks apart.
fn step_text(line: &str, column: usize) -> String {
    let rest: String = line.chars().skip(column.saturating_sub(1)).collect();
    let ends = [rest.find('#'), rest.find("(*")];
    let end = ends.into_iter().flatten().min().unwrap_or(rest.len());
    let words: Vec<&str> = rest[..end].split_whitespace().collect();
    words.join(" ")
}

/// Reads the one test that a path names.
///
/// # Errors
/// [`Failure::Input`] with what is wrong with it.
pub(crate) fn read_one(path: &Path) -> Result<Input, Failure> {
    parse(path).map_err(|error| Failure::Input(vec![error]))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_ends_with_its_line_or_its_comment() {
        assert_eq!(step_text("  enter critical", 3), "enter critical");
        assert_eq!(step_text("\tran  n -> r1 # why", 2), "ran n -> r1");
        assert_eq!(step_text("  load x->r1(* why *)", 3), "load x->r1");
        assert_eq!(step_text("", 1), "");
    }
}
