//! INF files as sections of lines, with the lines' numbers.

use std::collections::BTreeMap;
use std::fmt;

/// Something that is wrong, and the line where it is; 0 is the whole file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    pub(crate) line: usize,
    pub(crate) text: String,
}

impl Problem {
    pub(super) fn new(line: usize, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { line, text }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.text)
    }
}

/// A line of a section.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) line: usize,
    /// What is left of the first `=`, or nothing.
    pub(super) key: String,
    /// What is right of it, or the whole line.
    pub(super) fields: Vec<String>,
}

/// A section.
#[derive(Clone, Debug, Default)]
pub(super) struct Section {
    /// Where its name stands.
    pub(super) line: usize,
    pub(super) entries: Vec<Entry>,
}

/// Sections by their names in lower case: INF files have no case.
pub(super) type Sections = BTreeMap<String, Section>;

/// The reference page "General Syntax Rules for INF Files" has these limits.
const LONGEST_LINE: usize = 4096;
const LONGEST_NAME: usize = 255;

pub(super) fn parse(text: &str) -> Result<Sections, Problem> {
    let mut sections = Sections::new();
    let mut current: Option<String> = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let fail = |text: &str| Err(Problem::new(number, text));
        if line.len() > LONGEST_LINE {
            return fail("the line is longer than 4096 characters");
        }
        if !line.is_ascii() {
            return fail(
                "a character is not ASCII: a file without a byte order mark is in the system's code page",
            );
        }
        let line = without_comment(line).trim();
        if line.is_empty() {
            continue;
        }
        if line.ends_with('\\') {
            return fail("the line goes on in the next one, which nothing here needs");
        }
        if !line.matches('"').count().is_multiple_of(2) {
            return fail("a quote is not closed");
        }
        if let Some(name) = line.strip_prefix('[') {
            let Some(name) = name.strip_suffix(']') else {
                return fail("no closing bracket");
            };
            if name.is_empty() || name.len() > LONGEST_NAME || name.contains(['[', ']', '"', ' ']) {
                return fail("this is no name of a section");
            }
            let name = name.to_ascii_lowercase();
            let section = Section {
                line: number,
                entries: Vec::new(),
            };
            if sections.insert(name.clone(), section).is_some() {
                return fail(&format!("section [{name}] stands there twice"));
            }
            current = Some(name);
            continue;
        }
        let Some(section) = current.as_ref().and_then(|name| sections.get_mut(name)) else {
            return fail("it is in no section");
        };
        let (key, value) = match split(line, '=').as_slice() {
            [key, rest @ ..] if !rest.is_empty() => (key.clone(), rest.join("=")),
            _ => (String::new(), line.to_owned()),
        };
        section.entries.push(Entry {
            line: number,
            key,
            fields: split(&value, ','),
        });
    }
    Ok(sections)
}

/// The line up to a semicolon that is in no quotes.
pub(super) fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    for (at, character) in line.char_indices() {
        match character {
            '"' => quoted = !quoted,
            ';' if !quoted => return &line[..at],
            _ => {}
        }
    }
    line
}

/// The pieces between separators that are in no quotes.
pub(super) fn split(text: &str, separator: char) -> Vec<String> {
    let mut quoted = false;
    let pieces = text.split(|character| {
        if character == '"' {
            quoted = !quoted;
        }
        character == separator && !quoted
    });
    pieces.map(|piece| piece.trim().to_owned()).collect()
}
