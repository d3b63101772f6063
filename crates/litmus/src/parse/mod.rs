//! From tokens to a test, by recursive descent.
//!
//! A line that cannot be read is reported and skipped; a misspelt word is reported and read as what
//! it was meant to be. So one mistake brings one error, and several mistakes bring several.

mod condition;
mod cursor;
mod declarations;
mod draft;
mod estimates;
mod expectation;
mod header;
mod locks;
mod steps;
mod symbols;
mod user;

use apclab_protocol::program::{LockKind, Place};

use crate::condition::Quantifier;
use crate::diagnostics::Diagnostics;
use crate::lexer;
use crate::place::Span;
use crate::report::{Report, Reported};
use crate::test::Test;
use crate::token::{Token, TokenKind};
use crate::words;

use cursor::{Word, shortened};
use draft::Draft;
use symbols::Symbols;

/// Bytes of the largest file that is read. The largest program, commented, is far below it.
pub const MAX_BYTES: usize = 1 << 20;

/// How deep parentheses and negations may nest in a condition.
pub const MAX_DEPTH: usize = 64;

/// Reads a test. `file` is what the errors call its file.
///
/// # Errors
/// [`Diagnostics`]: everything that was found wrong, each with its place.
pub fn parse(file: &str, source: &str) -> Result<Test, Diagnostics> {
    let mut report = Report::default();
    if source.len() > MAX_BYTES {
        let message = format!(
            "the file has {} bytes; a test has at most {MAX_BYTES}",
            source.len()
        );
        report.error(Span::new(0, 0), message, "", None);
        return Err(Diagnostics::new(file, "", report));
    }
    let tokens = lexer::tokens(source, &mut report);
    let mut parser = Parser {
        source,
        tokens,
        at: 0,
        report,
        symbols: Symbols::default(),
        part: Part::Start,
        draft: Draft::default(),
    };
    parser.file();
    match parser.draft.expectation.take() {
        Some(expectation) if parser.report.is_empty() => {
            Ok(parser.draft.finish(file, source, expectation))
        }
        _ => Err(Diagnostics::new(file, source, parser.report)),
    }
}

/// Reads a test from the bytes of a file, which need not be text.
///
/// # Errors
/// As [`parse`], and when the bytes are not UTF-8.
pub fn parse_bytes(file: &str, bytes: &[u8]) -> Result<Test, Diagnostics> {
    let error = match std::str::from_utf8(bytes) {
        Ok(source) => return parse(file, source),
        Err(error) => error,
    };
    let bytes = &bytes[..bytes.len().min(MAX_BYTES)];
    let at = error.valid_up_to().min(bytes.len());
    let utf16 = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    let help = utf16.then(|| "this looks like UTF-16: save the file as UTF-8".to_owned());
    let mut report = Report::default();
    let span = Span::new(at, (at + 1).min(bytes.len()));
    report.error(span, "the file is not UTF-8 text", "", help);
    // Up to the first bad byte the lossy text is the file's own, so that the place is right.
    let source = String::from_utf8_lossy(bytes);
    Err(Diagnostics::new(file, &source, report))
}

/// The parts of a file, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Start,
    Name,
    Description,
    Facts,
    Tags,
    MayDeadlock,
    Declarations,
    Lanes,
    Locations,
    Expectation,
}

impl Part {
    /// Whether it is a single line.
    const fn once(self) -> bool {
        !matches!(self, Self::Declarations | Self::Lanes)
    }

    /// What a part that comes too late should have come before.
    const fn expected(self) -> &'static str {
        match self {
            Self::Start | Self::Name => "expected once, on the first line",
            Self::Description => "expected once, behind the test's name",
            Self::Facts | Self::Tags | Self::MayDeadlock => {
                "expected once, before the declarations and the lanes"
            }
            Self::Declarations => "expected before the first lane",
            Self::Lanes => "expected before `locations`",
            Self::Locations | Self::Expectation => "expected once, before the expectation",
        }
    }
}

struct Parser<'s> {
    source: &'s str,
    tokens: Vec<Token>,
    at: usize,
    report: Report,
    symbols: Symbols<'s>,
    /// The part that was begun last.
    part: Part,
    draft: Draft<'s>,
}

impl<'s> Parser<'s> {
    fn file(&mut self) {
        self.skip_newlines();
        if self.peek().kind == TokenKind::End {
            let span = self.peek().span;
            if self.report.is_empty() {
                self.report
                    .error(span, "the file holds no test", "expected `test NAME`", None);
            }
            return;
        }
        while !self.report.is_full() && self.peek().kind != TokenKind::End {
            let start = self.at;
            let line = self.line();
            if line.and_then(|()| self.end_of_line()).is_err() {
                self.skip_line(start);
            }
            self.skip_newlines();
        }
        self.check_whole();
    }

    /// One line, or the condition with the lines that it goes on for.
    fn line(&mut self) -> Result<(), Reported> {
        let token = self.peek();
        if self.part == Part::Expectation {
            let error = self.error(
                token.span,
                "nothing follows the expectation",
                "expected the end of the file",
                None,
            );
            self.skip_file();
            return Err(error);
        }
        match token.kind {
            TokenKind::Text => {
                self.description();
                Ok(())
            }
            TokenKind::Not => {
                let start = self.here();
                self.bump();
                self.keyword(&["exists"])?;
                self.condition(Quantifier::NotExists, start)
            }
            TokenKind::Word => self.line_of(self.here()),
            _ => Err(self.unexpected("a line that begins with a word of the language")),
        }
    }

    fn line_of(&mut self, word: Word<'s>) -> Result<(), Reported> {
        if self.line_for(word.text, word)? {
            return Ok(());
        }
        let in_body = matches!(self.draft.current, Some(Place::Body(_)));
        let (what, first) = if self.part == Part::Lanes {
            ("unknown step", &words::STEPS[..])
        } else {
            ("unknown word", &[][..])
        };
        // Inside a lane a step is likelier than a section, so steps are asked first.
        let steps = if in_body { &words::STEPS[..] } else { &[] };
        let meant = words::nearest(word.text, first.iter().copied())
            .or_else(|| words::nearest(word.text, words::SECTIONS.iter().chain(steps).copied()))
            .or_else(|| words::nearest(word.text, words::STEPS));
        let label = match self.part {
            Part::Start => "expected `test NAME`",
            Part::Declarations if in_body => "expected a step, another declaration, or a `lane`",
            Part::Name
            | Part::Description
            | Part::Facts
            | Part::Tags
            | Part::MayDeadlock
            | Part::Declarations => {
                "expected a declaration (`apc`, `event`, `var`, a lock) or a `lane`"
            }
            Part::Lanes => "expected a step, another `lane`, or the expectation",
            Part::Locations | Part::Expectation => "expected the expectation",
        };
        let help = meant.map(|meant| format!("did you mean `{meant}`?"));
        let error = self.error(
            word.span,
            format!("{what} `{}`", shortened(word.text)),
            label,
            help,
        );
        if let Some(meant) = meant {
            return self.line_for(meant, word).map(|_| ());
        }
        if self.part == Part::Start {
            // Something else than a test: one error says it all.
            self.skip_file();
        }
        Err(error)
    }

    /// Reads the line that a word begins; false when it begins none.
    fn line_for(&mut self, text: &str, word: Word<'s>) -> Result<bool, Reported> {
        let keywords = words::SECTIONS.iter().chain(&words::STEPS);
        let Some(keyword) = keywords.copied().find(|keyword| *keyword == text) else {
            return Ok(false);
        };
        self.bump();
        match keyword {
            "test" => self.test_name(word)?,
            "shows" => self.shows(word)?,
            "tags" => self.tags(word)?,
            "may" => self.may_deadlock(word)?,
            "apc" => self.apc(word)?,
            "event" => self.event(word)?,
            "var" => self.variable(word)?,
            "lane" => self.lane(word)?,
            "locations" => self.locations(word)?,
            "forall" => self.condition(Quantifier::Forall, word)?,
            "exists" => self.condition(Quantifier::Exists, word)?,
            "refused" => self.refused(word)?,
            other => {
                let kinds = LockKind::ALL.into_iter();
                match kinds
                    .into_iter()
                    .find(|kind| words::lock_word(*kind) == other)
                {
                    Some(kind) => self.lock(kind, word)?,
                    None => self.step(other, word)?,
                }
            }
        }
        Ok(true)
    }

    /// Begins a part of the file. A part that comes too late is reported and read all the same.
    fn begin(&mut self, part: Part, word: Word<'s>) {
        if self.part == Part::Start && part != Part::Name {
            self.error(
                word.span,
                "the test has no name",
                "expected `test NAME` before this",
                None,
            );
        } else if part.once() && self.part >= part || self.part > part {
            let message = format!("`{}` comes too late", shortened(word.text));
            self.error(word.span, message, part.expected(), None);
        }
        self.part = self.part.max(part);
        self.draft.current = None;
        if part > Part::Declarations {
            self.bodies();
        }
    }

    /// What only the whole file shows.
    fn check_whole(&mut self) {
        self.bodies();
        self.check_blocks();
        self.aim_apcs();
        self.aim_steps();
        self.check_starts();
        self.observe_locations();
        if !self.report.is_empty() {
            return;
        }
        let end = self.behind();
        if self.draft.expectation.is_none() {
            let label = "expected `forall`, `exists`, `~exists` or `refused`";
            self.error(end, "the file ends without an expectation", label, None);
        } else if self.draft.lanes.is_empty() {
            self.error(
                end,
                "the test has no lane",
                "expected `lane NAME` and its steps",
                None,
            );
        }
        self.check_estimates();
        for (name, kind, span) in self.symbols.unused() {
            let message = format!("{kind} `{name}` is declared and never used");
            self.error(span, message, "", None);
        }
    }
}
