//! What is wrong with a source text, and how that is shown.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};

use crate::place::{Lines, Place, Span};
use crate::report::Report;

/// Lines longer than this are shown in part, around the place of the error.
const WIDEST: usize = 400;
/// Bytes of such a line that are shown before the error.
const BEFORE: usize = 60;
/// Bytes of such a line that are shown in all.
const SHOWN: usize = 160;

/// One error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub(crate) message: String,
    pub(crate) label: String,
    pub(crate) help: Option<String>,
    pub(crate) span: Span,
}

impl Diagnostic {
    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What is expected at the place of the error; may be empty.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// How it could be put right, where that can be guessed.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// The bytes of the file that are at fault.
    pub fn span(&self) -> Range<usize> {
        self.span.start..self.span.end
    }
}

/// Everything that is wrong with one file, in the order of its text. There is at least one error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    file: String,
    source: String,
    errors: Vec<Diagnostic>,
    more: bool,
}

impl Diagnostics {
    pub(crate) fn new(file: &str, source: &str, report: Report) -> Self {
        let (errors, more) = report.into_errors();
        Self {
            file: file.to_owned(),
            source: source.to_owned(),
            errors,
            more,
        }
    }

    /// The errors.
    pub fn errors(&self) -> &[Diagnostic] {
        &self.errors
    }

    /// The file, as it was named to the parser.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Where an error begins.
    pub fn place(&self, error: &Diagnostic) -> Place {
        Lines::new(&self.source).place(error.span.start)
    }

    /// The errors as text for people, each with its file, line, column, source line and caret;
    /// `styled` adds the terminal's colours. [`fmt::Display`] gives the plain form.
    pub fn render(&self, styled: bool) -> String {
        let mut text: Vec<String> = self
            .errors
            .iter()
            .map(|error| render(&self.file, &self.source, error, styled))
            .collect();
        if self.more {
            text.push(format!(
                "error: {}: further errors are not shown",
                self.file
            ));
        }
        text.join("\n\n")
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

/// Shows one error at its line.
pub(crate) fn render(file: &str, source: &str, error: &Diagnostic, styled: bool) -> String {
    let lines = Lines::new(source);
    let at = lines.place(error.span.start);
    let whole = lines.line(error.span.start);
    let (line, span) = excerpt(source, whole, error.span);
    let mut annotation = AnnotationKind::Primary.span(span);
    if !error.label.is_empty() {
        annotation = annotation.label(error.label.as_str());
    }
    let snippet = Snippet::source(line)
        .line_start(at.line)
        .annotation(annotation);
    let title = Level::ERROR.primary_title(error.message.as_str());
    let mut group = if line.len() == whole.end - whole.start {
        title.element(snippet.path(file))
    } else {
        // A part of a line would be shown with the column in that part.
        let origin = Origin::path(file).line(at.line).char_column(at.column);
        title.element(origin).element(snippet)
    };
    if let Some(help) = &error.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    let renderer = if styled {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    renderer.render(&[group])
}

/// What is shown of a line, and where a span that begins in it lies in that. A span over several
/// lines is shown on its first.
fn excerpt(source: &str, line: Span, span: Span) -> (&str, Range<usize>) {
    let (mut from, mut to) = (line.start, line.end);
    if to - from > WIDEST {
        from = from.max(source.floor_char_boundary(span.start.saturating_sub(BEFORE)));
        to = to.min(source.floor_char_boundary(from + SHOWN));
    }
    let start = source.floor_char_boundary(span.start.clamp(from, to));
    let end = source.floor_char_boundary(span.end.clamp(start, to));
    (&source[from..to], start - from..end - from)
}
