//! The standard output, for a reader who may be a terminal, a file, or gone.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::verdict::Verdict;

/// Whether the console understands the sequences for colours: on Windows, it has to be told that they
/// come, and old ones do not know them. Everywhere else terminals do.
fn console_has_colours() -> bool {
    anstyle_query::windows::enable_ansi_colors() != Some(false)
}

/// Writes to the standard output. A reader who has gone (`apclab run | head`) is no error: what is
/// left is not written, and the exit code still says how the tests ended.
pub(crate) struct Out {
    stream: BufWriter<Stdout>,
    error: Option<io::Error>,
    terminal: bool,
    colour: bool,
}

impl Out {
    pub(crate) fn new() -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        Self {
            stream: BufWriter::new(stdout),
            error: None,
            terminal,
            colour: terminal && !anstyle_query::no_color() && console_has_colours(),
        }
    }

    /// Whether a person reads along.
    pub(crate) const fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Writes text as it is.
    pub(crate) fn text(&mut self, text: &str) {
        if self.error.is_none() {
            self.error = self.stream.write_all(text.as_bytes()).err();
        }
    }

    /// Writes text and ends the line.
    pub(crate) fn line(&mut self, text: &str) {
        self.text(text);
        self.text("\n");
    }

    /// Writes a document as JSON.
    pub(crate) fn json(&mut self, document: &impl Serialize) {
        if self.error.is_none() {
            let written = serde_json::to_writer_pretty(&mut self.stream, document);
            self.error = written.map_err(io::Error::from).err();
        }
        self.text("\n");
    }

    /// Shows what has been written so far.
    pub(crate) fn flush(&mut self) {
        if self.error.is_none() {
            self.error = self.stream.flush().err();
        }
    }

    /// A verdict's name in its colour.
    pub(crate) fn verdict(&self, verdict: Verdict) -> String {
        let colour = match verdict {
            Verdict::Ok => AnsiColor::Green,
            Verdict::NotObserved | Verdict::NotRunnable => AnsiColor::Yellow,
            Verdict::Failed => AnsiColor::Red,
        };
        let style = if self.colour {
            colour.on_default().bold()
        } else {
            Style::new()
        };
        format!("{style}{}{style:#}", verdict.name())
    }

    /// Ends the output.
    ///
    /// # Errors
    /// Why something was not written, unless the reader has gone.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.flush();
        match self.error {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }
}
