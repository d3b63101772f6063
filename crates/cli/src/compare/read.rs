//! Reads reports of `matrix`, by the very types that write them.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::report::{
    Identity, MatrixBody, Origin, RowReport, SCHEMA, SCHEMA_VERSION, TargetReport,
};

/// The command whose reports are compared.
const COMMAND: &str = "matrix";

/// A report of `matrix`.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) apclab_version: String,
    pub(super) target: TargetReport,
    pub(super) rows: Vec<RowReport>,
}

/// Reads all files.
///
/// # Errors
/// Everything that is wrong with any of them: each message names the file and the place in it.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<Source>, Vec<String>> {
    let mut seen = HashSet::new();
    let twice = paths.iter().filter(|path| !seen.insert(*path));
    let mut errors: Vec<_> = twice.map(|path| about(path, "it is named twice")).collect();
    let mut files = Vec::new();
    for path in paths {
        match identify(path) {
            Ok(file) => files.push(file),
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    same_version(&files)?;
    let mut sources = Vec::new();
    for (path, text, identity) in files {
        match parse(path, &text, identity) {
            Ok(source) => sources.push(source),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(sources)
    } else {
        Err(errors)
    }
}

/// A file, its text, and what that says it is.
type Identified<'a> = (&'a Path, String, Identity);

/// Reads a file as far as to know whether it is a report of `matrix`.
fn identify(path: &Path) -> Result<Identified<'_>, String> {
    let bytes =
        fs::read(path).map_err(|error| about(path, &format!("it cannot be read: {error}")))?;
    let text = decode(&bytes).map_err(|why| about(path, why))?;
    let identity: Identity = from_json(&text).map_err(|wrong| match wrong {
        Wrong::NotJson(why) => about(path, &format!("it is not JSON: {why}")),
        Wrong::NotSo(why) => about(path, &format!("it is not a report of apclab: {why}")),
    })?;
    let other = |what: &str| {
        about(
            path,
            &format!("{what}; what `apclab matrix --format json` writes can be compared"),
        )
    };
    if identity.schema != SCHEMA {
        return Err(other(&format!(
            "it is not a report of apclab: `schema` is {:?}",
            identity.schema
        )));
    }
    if identity.command != COMMAND {
        return Err(other(&format!(
            "it is a report of `apclab {}`",
            identity.command
        )));
    }
    Ok((path, text, identity))
}

/// Whether all reports have the version that this program reads.
fn same_version(files: &[Identified<'_>]) -> Result<(), Vec<String>> {
    let said = |(path, _, identity): &Identified<'_>| {
        about(
            path,
            &format!(
                "it has version {} of the report's format, of apclab {}",
                identity.schema_version, identity.apclab_version
            ),
        )
    };
    let versions: HashSet<_> = files.iter().map(|file| file.2.schema_version).collect();
    let others = |file: &&Identified<'_>| file.2.schema_version != SCHEMA_VERSION;
    let mut errors: Vec<_> = if versions.len() > 1 {
        files.iter().map(said).collect()
    } else {
        files.iter().filter(others).map(said).collect()
    };
    if errors.is_empty() {
        return Ok(());
    }
    errors.push(format!(
        "error: apclab {} compares reports of version {SCHEMA_VERSION} only: measure the others again",
        env!("CARGO_PKG_VERSION")
    ));
    Err(errors)
}

/// Reads the rest of a report.
fn parse(path: &Path, text: &str, identity: Identity) -> Result<Source, String> {
    let wrong = |wrong| match wrong {
        Wrong::NotJson(why) | Wrong::NotSo(why) => about(path, &why),
    };
    let origin: Origin = from_json(text).map_err(wrong)?;
    let body: MatrixBody = from_json(text).map_err(wrong)?;
    let mut names = HashSet::new();
    for row in &body.matrix {
        for cell in &row.cells {
            if !names.insert((&row.context, &cell.question)) {
                let why = format!("it has two cells {}: {}", row.context, cell.question);
                return Err(about(path, &why));
            }
        }
    }
    Ok(Source {
        path: path.to_owned(),
        apclab_version: identity.apclab_version,
        target: origin.target,
        rows: body.matrix,
    })
}

/// Why a text does not give a value.
enum Wrong {
    NotJson(String),
    /// It is JSON with something else in it, or something missing.
    NotSo(String),
}

/// Reads a document as far as one type knows it; an error says where it is.
fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, Wrong> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let why = error.into_inner();
        match (why.is_data(), path.as_str()) {
            (false, _) => Wrong::NotJson(why.to_string()),
            // The document itself.
            (true, ".") => Wrong::NotSo(why.to_string()),
            (true, path) => Wrong::NotSo(format!("{path}: {why}")),
        }
    })?;
    json.end().map_err(|why| Wrong::NotJson(why.to_string()))?;
    Ok(value)
}

/// The text of a file. Windows PowerShell redirects to UTF-16.
fn decode(bytes: &[u8]) -> Result<String, &'static str> {
    match bytes {
        [0xFF, 0xFE, rest @ ..] => {
            let (units, odd) = rest.as_chunks::<2>();
            let units: Vec<_> = units.iter().copied().map(u16::from_le_bytes).collect();
            let text = String::from_utf16(&units).ok();
            text.filter(|_| odd.is_empty())
                .ok_or("it is not JSON: it begins as UTF-16 and is none")
        }
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest),
        _ => utf8(bytes),
    }
}

fn utf8(bytes: &[u8]) -> Result<String, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not JSON: it is not UTF-8")?;
    Ok(text.to_owned())
}

fn about(path: &Path, what: &str) -> String {
    format!("error: {}: {what}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_windows_writes_is_text() {
        let wide: Vec<u8> = "\u{feff}{\"é\": 1}"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(decode(&wide).as_deref(), Ok("{\"é\": 1}"));
        assert_eq!(decode("\u{feff}{}".as_bytes()).as_deref(), Ok("{}"));
        assert_eq!(decode(b"{}").as_deref(), Ok("{}"));
        assert!(decode(&wide[..wide.len() - 1]).is_err());
        assert!(decode(b"\xC3").is_err());
    }
}
