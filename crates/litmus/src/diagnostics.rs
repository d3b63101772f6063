//! What is wrong with a source text, and how that is shown.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::place::{Lines, Place, Span};
use crate::report::Report;

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

/// Shows one error at its line, or at the first of its lines. Of a very long line the renderer shows
/// the part around the error.
pub(crate) fn render(file: &str, source: &str, error: &Diagnostic, styled: bool) -> String {
    let lines = Lines::new(source);
    let whole = lines.line(error.span.start);
    let within = |offset: usize| {
        source.floor_char_boundary(offset.clamp(whole.start, whole.end)) - whole.start
    };
    let span = within(error.span.start)..within(error.span.end);
    let mut annotation = AnnotationKind::Primary.span(span);
    if !error.label.is_empty() {
        annotation = annotation.label(error.label.as_str());
    }
    let snippet = Snippet::source(whole.text(source))
        .path(file)
        .line_start(lines.place(error.span.start).line)
        .annotation(annotation);
    let mut group = Level::ERROR
        .primary_title(error.message.as_str())
        .element(snippet);
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
