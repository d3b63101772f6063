//! Places in a source text.

use std::fmt;

/// Bytes of the source, from `start` up to and without `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    pub(crate) const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The empty span where this one ends.
    pub(crate) const fn after(self) -> Self {
        Self::new(self.end, self.end)
    }

    /// From the start of this one to the end of the other.
    pub(crate) fn to(self, last: Self) -> Self {
        Self::new(self.start, self.end.max(last.end))
    }

    pub(crate) fn text(self, source: &str) -> &str {
        source.get(self.start..self.end).unwrap_or_default()
    }
}

/// A line and a column of a file, both counted from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The lines of a source.
#[derive(Debug)]
pub(crate) struct Lines<'s> {
    source: &'s str,
    /// Where each line begins.
    starts: Vec<usize>,
}

impl<'s> Lines<'s> {
    pub(crate) fn new(source: &'s str) -> Self {
        let newlines = source.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            source,
            starts: std::iter::once(0).chain(newlines).collect(),
        }
    }

    /// The line of a byte offset, counted from 0, and the nearest character boundary at or before the
    /// offset, which may lie beyond the source.
    fn find(&self, offset: usize) -> (usize, usize) {
        let offset = self.source.floor_char_boundary(offset);
        let line = self.starts.partition_point(|start| *start <= offset) - 1;
        (line, offset)
    }

    /// The place of a byte offset. Inside the end of a line, it is where that begins.
    pub(crate) fn place(&self, offset: usize) -> Place {
        let (line, offset) = self.find(offset);
        let span = self.line(offset);
        let before = Span::new(span.start, offset.min(span.end));
        Place {
            line: line + 1,
            column: before.text(self.source).chars().count() + 1,
        }
    }

    /// The bytes of the line of a byte offset, without its end of line.
    pub(crate) fn line(&self, offset: usize) -> Span {
        let (line, _) = self.find(offset);
        let start = self.starts[line];
        let end = self
            .starts
            .get(line + 1)
            .map_or(self.source.len(), |next| next - 1);
        let text = &self.source[start..end];
        Span::new(start, start + text.strip_suffix('\r').unwrap_or(text).len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_end_at_newlines() {
        let source = "ä\r\n\tβx\n";
        let lines = Lines::new(source);
        let at = |offset| lines.place(offset).to_string();
        assert_eq!(at(0), "1:1");
        assert_eq!(at(1), "1:1", "inside a character");
        assert_eq!(at(2), "1:2");
        assert_eq!(at(3), "1:2", "between CR and LF");
        assert_eq!(at(4), "2:1");
        assert_eq!(at(7), "2:3");
        assert_eq!(at(9), "3:1");
        assert_eq!(at(999), "3:1");
        assert_eq!(lines.line(3).text(source), "ä");
        assert_eq!(lines.line(7).text(source), "\tβx");
        assert_eq!(lines.line(9).text(source), "");
    }
}
