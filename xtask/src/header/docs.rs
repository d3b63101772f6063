//! What the sources of the protocol say of its constants and enumerators, for the comments in the header.

use std::collections::BTreeMap;

/// The types of constants that C can have as a macro.
const NUMBERS: &[&str] = &["u8", "u16", "u32", "u64", "i64", "usize", "NtStatus"];

/// What one source file declares: each item by its name, `module::NAME` where it is in a module of the
/// file, with its documentation in one line.
#[derive(Debug, Default)]
pub(super) struct Declared {
    /// Public constants that are numbers.
    pub(super) constants: BTreeMap<String, String>,
    /// The variants of public enumerations, as `Enum::Variant`.
    pub(super) variants: BTreeMap<String, String>,
}

/// Reads a source file that rustfmt has formatted.
pub(super) fn read(source: &str) -> Declared {
    let mut declared = Declared::default();
    let mut comment = String::new();
    // The module or enumeration that is open, with whether it is an enumeration.
    let mut open: Option<(&str, bool)> = None;
    for line in source.lines() {
        let indent = line.len() - line.trim_start().len();
        let line = line.trim();
        if let Some(text) = line.strip_prefix("///") {
            comment.push(' ');
            comment.push_str(text.trim());
            continue;
        }
        if line.starts_with("#[") {
            continue;
        }
        let text = plain(comment.trim());
        comment.clear();
        if indent == 0 {
            if line == "mod tests {" {
                break;
            }
            if let Some(name) = named(line, "pub enum ", " {") {
                open = Some((name, true));
            } else if let Some(name) = named(line, "pub mod ", " {") {
                open = Some((name, false));
            } else if line == "}" {
                open = None;
            } else if let Some(name) = constant(line) {
                declared.constants.insert(name.to_owned(), text);
            }
            continue;
        }
        match open {
            Some((module, false)) if indent == 4 => {
                if let Some(name) = constant(line) {
                    declared.constants.insert(format!("{module}::{name}"), text);
                }
            }
            Some((name, true)) if indent == 4 && line.starts_with(char::is_uppercase) => {
                let end = line
                    .find(|c: char| !c.is_alphanumeric())
                    .unwrap_or(line.len());
                declared
                    .variants
                    .insert(format!("{name}::{}", &line[..end]), text);
            }
            _ => {}
        }
    }
    declared
}

fn named<'a>(line: &'a str, start: &str, end: &str) -> Option<&'a str> {
    line.strip_prefix(start)?.strip_suffix(end)
}

fn constant(line: &str) -> Option<&str> {
    let (name, rest) = line.strip_prefix("pub const ")?.split_once(": ")?;
    let (kind, _) = rest.split_once(" = ")?;
    NUMBERS.contains(&kind).then_some(name)
}

/// Documentation without what only rustdoc understands: a link becomes the name that the header has.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once("[`") {
        plain.push_str(before);
        let Some((path, after)) = link.split_once("`]") else {
            break;
        };
        plain.push_str(&c_name(path));
        // The target of a link that has one.
        rest = match after.strip_prefix('(').and_then(|r| r.split_once(')')) {
            Some((_, after)) => after,
            None => after,
        };
    }
    plain.push_str(rest);
    plain.replace('`', "").replace("*/", "* /")
}

/// What a path of Rust is called in C: messages are structures, their fields members.
fn c_name(path: &str) -> String {
    let mut parts = path.rsplit("::");
    let last = parts.next().unwrap_or(path);
    if last.ends_with("Reply") || last.ends_with("Request") {
        let mut name = "apclab".to_owned();
        for character in last.chars() {
            if character.is_uppercase() {
                name.push('_');
            }
            name.push(character.to_ascii_lowercase());
        }
        return name;
    }
    match parts.next() {
        Some("Record") => format!("apclab_trace_record.{last}"),
        Some("status") => format!("APCLAB_STATUS_{last}"),
        Some("limits") => format!("APCLAB_MAX_{last}"),
        Some("crate") => format!("APCLAB_{last}"),
        _ => last.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_and_variants_have_their_documentation() {
        let declared = read(concat!(
            "/// The first:\n/// [`crate::a::OneReply`].\npub const ONE: u32 = 1;\n",
            "pub const TEXT: &str = \"\";\nconst HIDDEN: u32 = 2;\n",
            "pub mod bits {\n    /// Set by [`x`](y::z) at once.\n    pub const SET: u8 = 1;\n}\n",
            "pub enum Kind {\n    /// Begins.\n    Begin = 1,\n    Pair {\n        /// No.\n        Inner: u8,\n    },\n}\n",
            "impl Kind {\n    /// No.\n    pub const SIZE: usize = 3;\n}\n",
            "mod tests {\n}\npub const LATE: u32 = 3;\n",
        ));
        let constants: Vec<_> = declared
            .constants
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        let expected = [
            ("ONE", "The first: apclab_one_reply."),
            ("bits::SET", "Set by x at once."),
        ];
        assert_eq!(constants, expected);
        let variants: Vec<_> = declared.variants.keys().collect();
        assert_eq!(variants, ["Kind::Begin", "Kind::Pair"]);
        assert_eq!(declared.variants["Kind::Begin"], "Begins.");
    }
}
