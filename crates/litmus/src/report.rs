//! Collects the errors of one source while it is read.

use crate::diagnostics::Diagnostic;
use crate::place::Span;

/// Errors that are kept; a file with more is likely no litmus test at all.
const MAX_ERRORS: usize = 20;

/// Says that an error has been reported, so that the caller recovers instead of reporting another.
#[derive(Debug)]
pub(crate) struct Reported;

/// The errors so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    errors: Vec<Diagnostic>,
    left_out: usize,
}

impl Report {
    /// Adds an error: what is wrong, and at the caret what is expected instead.
    pub(crate) fn error(
        &mut self,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
        help: Option<String>,
    ) -> Reported {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(Diagnostic {
                message: message.into(),
                label: label.into(),
                help,
                span,
            });
        } else {
            self.left_out += 1;
        }
        Reported
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// Whether further errors would not be shown, so that it is of no use to look for them.
    pub(crate) fn is_full(&self) -> bool {
        self.left_out > 0
    }

    /// The errors in the order of the text, and whether there were more.
    pub(crate) fn into_errors(mut self) -> (Vec<Diagnostic>, bool) {
        let more = self.is_full();
        self.errors.sort_by_key(|error| error.span.start);
        (self.errors, more)
    }
}
