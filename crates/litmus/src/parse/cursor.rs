//! Walks along the tokens: words, numbers and registers, and what is said when something else stands
//! there.

use apclab_protocol::limits;
use apclab_protocol::step::Register;

use super::Parser;
use crate::place::Span;
use crate::report::Reported;
use crate::token::{Token, TokenKind};
use crate::words;

/// A word of the source and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<'s> {
    pub(super) text: &'s str,
    pub(super) span: Span,
}

impl<'s> Parser<'s> {
    /// The token that is read next. The last token, the end, is never passed.
    pub(super) fn peek(&self) -> Token {
        self.tokens[self.at]
    }

    pub(super) fn bump(&mut self) -> Token {
        let token = self.peek();
        if token.kind != TokenKind::End {
            self.at += 1;
        }
        token
    }

    /// The token that is read next, as a word.
    pub(super) fn here(&self) -> Word<'s> {
        let span = self.peek().span;
        let text = span.text(self.source);
        Word { text, span }
    }

    /// The span of what was read last.
    pub(super) fn last_span(&self) -> Span {
        self.tokens[self.at.saturating_sub(1)].span
    }

    /// Just behind the last token that is no end of a line: where something is missing.
    pub(super) fn behind(&self) -> Span {
        let read = self.tokens[..self.at].iter().rev();
        let last = read.map(|token| (token.kind, token.span));
        let mut last = last.skip_while(|(kind, _)| *kind == TokenKind::Newline);
        last.next()
            .map_or(self.peek().span, |(_, span)| span.after())
    }

    pub(super) fn take(&mut self, kind: TokenKind) -> bool {
        let found = self.peek().kind == kind;
        if found {
            self.bump();
        }
        found
    }

    pub(super) fn expect(&mut self, kind: TokenKind, expected: &str) -> Result<Token, Reported> {
        if self.peek().kind == kind {
            Ok(self.bump())
        } else {
            Err(self.unexpected(expected))
        }
    }

    pub(super) fn skip_newlines(&mut self) {
        while self.take(TokenKind::Newline) {}
    }

    pub(super) fn end_of_line(&mut self) -> Result<(), Reported> {
        match self.peek().kind {
            TokenKind::Newline | TokenKind::End => Ok(()),
            _ => Err(self.unexpected("the end of the line")),
        }
    }

    /// Passes over what is left of a line.
    pub(super) fn pass_line(&mut self) {
        while !matches!(self.peek().kind, TokenKind::Newline | TokenKind::End) {
            self.bump();
        }
    }

    /// Skips what is left of a line. Names on it that would have been declared count as known from
    /// here on: their declaration has been reported, their uses are not at fault.
    pub(super) fn skip_line(&mut self, start: usize) {
        self.pass_line();
        for index in start..self.at {
            let token = self.tokens[index];
            if token.kind == TokenKind::Word {
                self.symbols.forgive(token.span.text(self.source));
            }
        }
    }

    pub(super) fn skip_file(&mut self) {
        self.at = self.tokens.len() - 1;
    }

    pub(super) fn error(
        &mut self,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
        help: Option<String>,
    ) -> Reported {
        self.report.error(span, message, label, help)
    }

    /// Reports that the next token is not what is expected.
    pub(super) fn unexpected(&mut self, expected: &str) -> Reported {
        let token = self.peek();
        let (message, span) = match token.kind {
            TokenKind::Bad => return Reported,
            TokenKind::End => ("unexpected end of the file".to_owned(), self.behind()),
            TokenKind::Newline => ("unexpected end of the line".to_owned(), self.behind()),
            TokenKind::Text => ("unexpected text in quotes".to_owned(), token.span),
            _ => (
                format!("unexpected `{}`", shortened(self.here().text)),
                token.span,
            ),
        };
        self.error(span, message, format!("expected {expected}"), None)
    }

    /// One of a few keywords. A misspelt one is reported and taken for what it was meant to be.
    pub(super) fn keyword(&mut self, choices: &[&'static str]) -> Result<&'static str, Reported> {
        let expected = alternatives(choices);
        if self.peek().kind != TokenKind::Word {
            return Err(self.unexpected(&expected));
        }
        let word = self.here();
        if let Some(choice) = choices.iter().find(|choice| **choice == word.text) {
            self.bump();
            return Ok(choice);
        }
        let Some(meant) = words::nearest(word.text, choices.iter().copied()) else {
            return Err(self.unexpected(&expected));
        };
        let message = format!("unexpected `{}`", word.text);
        let help = format!("did you mean `{meant}`?");
        self.error(
            word.span,
            message,
            format!("expected {expected}"),
            Some(help),
        );
        self.bump();
        // `nearest` hands back one of the choices, which live as long as the program.
        choices
            .iter()
            .copied()
            .find(|choice| *choice == meant)
            .ok_or(Reported)
    }

    /// A keyword, if it stands there.
    pub(super) fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.peek().kind == TokenKind::Word && self.here().text == keyword;
        if found {
            self.bump();
        }
        found
    }

    /// A word that is no keyword.
    pub(super) fn word(&mut self, expected: &str) -> Result<Word<'s>, Reported> {
        if self.peek().kind != TokenKind::Word {
            return Err(self.unexpected(expected));
        }
        let word = self.here();
        self.bump();
        Ok(word)
    }

    /// A name that is declared here.
    pub(super) fn new_name(&mut self) -> Result<Word<'s>, Reported> {
        let word = self.word("a name")?;
        let problem = if words::is_register(word.text) {
            "this is how registers are called"
        } else if words::is_reserved(word.text) {
            "this word has a meaning in the language"
        } else {
            return Ok(word);
        };
        let message = format!("`{}` cannot be a name", word.text);
        Err(self.error(word.span, message, problem, None))
    }

    /// A number with its sign, as far as `i64` goes.
    pub(super) fn signed(&mut self, expected: &str) -> Result<i64, Reported> {
        let start = self.peek().span;
        let negative = self.take(TokenKind::Minus);
        let magnitude = self.magnitude(expected)?;
        self.with_sign(negative, magnitude, start)
    }

    pub(super) fn with_sign(
        &mut self,
        negative: bool,
        magnitude: u64,
        start: Span,
    ) -> Result<i64, Reported> {
        let value = if negative {
            0_i64.checked_sub_unsigned(magnitude)
        } else {
            i64::try_from(magnitude).ok()
        };
        value.ok_or_else(|| {
            let span = start.to(self.last_span());
            self.error(
                span,
                "this number does not fit",
                "expected -9223372036854775808 to 9223372036854775807",
                None,
            )
        })
    }

    /// A number without a sign, decimal or after `0x`.
    pub(super) fn magnitude(&mut self, expected: &str) -> Result<u64, Reported> {
        if self.peek().kind != TokenKind::Number {
            return Err(self.unexpected(expected));
        }
        let word = self.here();
        self.bump();
        let (digits, radix) = match word.text.strip_prefix("0x") {
            Some(digits) => (digits, 16),
            None => (word.text, 10),
        };
        let valid = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
        match u64::from_str_radix(digits, radix) {
            Ok(value) => Ok(value),
            Err(_) if valid => Err(self.error(
                word.span,
                "this number does not fit",
                "expected -9223372036854775808 to 9223372036854775807",
                None,
            )),
            Err(_) => {
                let message = format!("`{}` is not a number", shortened(word.text));
                Err(self.error(word.span, message, format!("expected {expected}"), None))
            }
        }
    }

    /// A register.
    pub(super) fn register(&mut self) -> Result<Register, Reported> {
        let expected = format!("a register, r0 to r{}", limits::REGISTERS - 1);
        let word = self.word(&expected)?;
        if let Some(register) = register_number(word.text) {
            return Ok(register);
        }
        let lower = word.text.to_ascii_lowercase();
        let help = if register_number(&lower).is_some() {
            Some(format!("did you mean `{lower}`?"))
        } else if let Some((first, rest)) = word.text.split_once('-')
            && register_number(first).is_some()
        {
            Some(format!(
                "with spaces it is a difference: `{first} - {rest}`"
            ))
        } else {
            None
        };
        let message = if words::is_register(word.text) {
            format!("there is no register `{}`", shortened(word.text))
        } else {
            format!("`{}` is no register", shortened(word.text))
        };
        Err(self.error(word.span, message, format!("expected {expected}"), help))
    }

    /// `->` and a register, for a result that nobody needs to want.
    pub(super) fn result_if_wanted(&mut self) -> Result<Option<Register>, Reported> {
        if self.peek().kind == TokenKind::Arrow {
            self.result().map(Some)
        } else {
            Ok(None)
        }
    }

    /// `->` and a register.
    pub(super) fn result(&mut self) -> Result<Register, Reported> {
        self.expect(TokenKind::Arrow, "`->` and a register")?;
        let register = self.register()?;
        self.draft.writes(register);
        Ok(register)
    }
}

fn register_number(text: &str) -> Option<Register> {
    let number: Register = text.strip_prefix('r')?.parse().ok()?;
    // Compared with the canonical spelling: `r01` and `r+1` are none.
    (usize::from(number) < limits::REGISTERS && format!("r{number}") == text).then_some(number)
}

/// The start of a word, if it is too long to be repeated.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Keywords as a choice in a sentence.
pub(super) fn alternatives(choices: &[&str]) -> String {
    let quoted: Vec<String> = choices.iter().map(|choice| format!("`{choice}`")).collect();
    match quoted.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => quoted.concat(),
    }
}
