//! From text to tokens.

use crate::place::Span;
use crate::report::Report;
use crate::token::{Token, TokenKind};

/// Operators of two characters come first, since some begin like one of a single character.
const OPERATORS: [(&str, TokenKind); 14] = [
    ("->", TokenKind::Arrow),
    (r"/\", TokenKind::And),
    (r"\/", TokenKind::Or),
    (":", TokenKind::Colon),
    (",", TokenKind::Comma),
    (";", TokenKind::Semicolon),
    ("[", TokenKind::OpenBracket),
    ("]", TokenKind::CloseBracket),
    ("(", TokenKind::Open),
    (")", TokenKind::Close),
    ("~", TokenKind::Not),
    ("=", TokenKind::Equal),
    ("+", TokenKind::Plus),
    ("-", TokenKind::Minus),
];

/// What other languages write, and how it is written here.
const FOREIGN: [(&str, &str); 16] = [
    ("//", "comments are written `# …` or `(* … *)`"),
    ("/*", "comments are written `# …` or `(* … *)`"),
    ("==", "equality is written `=`"),
    ("=>", "the register that takes a result is written `-> r1`"),
    ("!=", r"inequality is written `~(… = …)`"),
    ("<>", r"inequality is written `~(… = …)`"),
    ("<-", "the register that takes a result is written `-> r1`"),
    ("&&", r"the conjunction is written `/\`"),
    ("||", r"the disjunction is written `\/`"),
    ("∧", r"the conjunction is written `/\`"),
    ("∨", r"the disjunction is written `\/`"),
    ("¬", "the negation is written `~`"),
    ("!", "the negation is written `~`"),
    ("“", "a description stands in plain quotes, `\"`"),
    ("”", "a description stands in plain quotes, `\"`"),
    ("'", "a description stands in plain quotes, `\"`"),
];

/// Whether a character may stand inside a word.
fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

struct Lexer<'s, 'r> {
    source: &'s str,
    at: usize,
    tokens: Vec<Token>,
    report: &'r mut Report,
}

/// Splits a source into tokens, the last of which is [`TokenKind::End`]. What is no token is
/// reported and leaves a [`TokenKind::Bad`].
pub(crate) fn tokens(source: &str, report: &mut Report) -> Vec<Token> {
    let mut lexer = Lexer {
        source,
        at: 0,
        tokens: Vec::new(),
        report,
    };
    // A byte order mark, which some editors of Windows write.
    lexer.take("\u{feff}");
    while !lexer.report.is_full() && lexer.token() {}
    let end = source.len();
    lexer.tokens.push(Token {
        kind: TokenKind::End,
        span: Span::new(end, end),
    });
    lexer.tokens
}

impl<'s> Lexer<'s, '_> {
    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    fn take(&mut self, prefix: &str) -> bool {
        let found = self.rest().starts_with(prefix);
        if found {
            self.at += prefix.len();
        }
        found
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !accept(c)).unwrap_or(rest.len());
    }

    fn push(&mut self, kind: TokenKind, start: usize) {
        let span = Span::new(start, self.at);
        self.tokens.push(Token { kind, span });
    }

    fn bad(&mut self, start: usize, message: impl Into<String>, help: Option<String>) {
        let span = Span::new(start, self.at);
        let _reported = self.report.error(span, message, "", help);
        self.push(TokenKind::Bad, start);
    }

    /// Reads the next token or what stands between tokens; false at the end of the file.
    fn token(&mut self) -> bool {
        self.take_while(|c| matches!(c, ' ' | '\t' | '\r'));
        let start = self.at;
        let Some(first) = self.rest().chars().next() else {
            return false;
        };
        if first == '\n' {
            self.at += 1;
            self.push(TokenKind::Newline, start);
        } else if first == '#' {
            self.take_while(|c| c != '\n');
        } else if self.take("(*") {
            self.comment(start);
        } else if first == '"' {
            self.text(start);
        } else if in_word(first) {
            self.word(start, first);
        } else {
            self.operator(start, first);
        }
        true
    }

    /// A comment in `(*` and `*)`, which may hold others.
    fn comment(&mut self, start: usize) {
        let mut open = 1_usize;
        while open > 0 {
            if self.take("(*") {
                open += 1;
            } else if self.take("*)") {
                open -= 1;
            } else if let Some(c) = self.rest().chars().next() {
                self.at += c.len_utf8();
            } else {
                let end = self.at;
                self.at = start + 2;
                self.bad(
                    start,
                    "this comment does not end",
                    Some("close it with `*)`".into()),
                );
                self.at = end;
                return;
            }
        }
    }

    /// Text in quotes. The text of a description is free, but for control characters.
    fn text(&mut self, start: usize) {
        self.at += 1;
        loop {
            let at = self.at;
            match self.rest().chars().next() {
                None | Some('\n') => {
                    let help = "a description ends with `\"` on the line where it begins";
                    self.bad(start, "this description does not end", Some(help.into()));
                    return;
                }
                Some('"') => {
                    self.at += 1;
                    self.push(TokenKind::Text, start);
                    return;
                }
                Some('\\') => {
                    self.at += 1;
                    if !(self.take("\"") || self.take("\\")) {
                        let help = "only `\\\"` and `\\\\` can be written with a backslash";
                        self.bad(at, "unknown escape in a description", Some(help.into()));
                        self.take_while(|c| c != '\n');
                        return;
                    }
                }
                Some(c) => {
                    self.at += c.len_utf8();
                    if c.is_control() && c != '\t' {
                        self.unexpected(at, c);
                        self.take_while(|c| c != '\n');
                        return;
                    }
                }
            }
        }
    }

    /// A keyword, a name or a number. A hyphen belongs to a word when the word goes on after it, so
    /// that `r1->` and `r1 -> r2` are read alike.
    fn word(&mut self, start: usize, first: char) {
        loop {
            self.take_while(in_word);
            let mut next = self.rest().chars();
            if next.next() == Some('-') && next.next().is_some_and(in_word) {
                self.at += 1;
            } else {
                break;
            }
        }
        let kind = if first.is_ascii_digit() {
            TokenKind::Number
        } else {
            TokenKind::Word
        };
        self.push(kind, start);
    }

    fn operator(&mut self, start: usize, first: char) {
        if let Some((wrong, help)) = FOREIGN.iter().find(|(wrong, _)| self.take(wrong)) {
            self.bad(start, format!("unexpected `{wrong}`"), Some((*help).into()));
        } else if let Some(&(_, kind)) = OPERATORS.iter().find(|(text, _)| self.take(text)) {
            self.push(kind, start);
        } else {
            self.at += first.len_utf8();
            self.unexpected(start, first);
        }
    }

    fn unexpected(&mut self, start: usize, c: char) {
        if c == '\0' {
            self.bad(start, "unexpected NUL byte: this is no text", None);
            // Whatever it is, one error is enough.
            self.at = self.source.len();
            return;
        }
        self.take_while(|next| next == c);
        let message = if c.is_control() || c.is_whitespace() {
            format!("unexpected character U+{:04X}", u32::from(c))
        } else {
            format!("unexpected character `{c}`")
        };
        self.bad(start, message, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &str) -> Vec<TokenKind> {
        let mut report = Report::default();
        let tokens = tokens(source, &mut report);
        assert!(report.is_empty(), "{report:?}");
        tokens.iter().map(|token| token.kind).collect()
    }

    #[test]
    fn spaces_between_tokens_do_not_matter() {
        use TokenKind::*;
        let expected = [Word, Word, Arrow, Word, End];
        assert_eq!(kinds("ran n -> r1"), expected);
        assert_eq!(kinds("ran n->r1"), expected);
        assert_eq!(kinds("\tran\r n ->\tr1 # comment"), expected);
        assert_eq!(kinds("\u{feff}ran (* a (* b *) \n *) n -> r1"), expected);
    }

    #[test]
    fn hyphens_belong_to_words_that_go_on() {
        use TokenKind::*;
        assert_eq!(kinds("all-apcs-disabled"), [Word, End]);
        assert_eq!(kinds("r1 - 1"), [Word, Minus, Number, End]);
        assert_eq!(kinds("= -5"), [Equal, Minus, Number, End]);
    }

    #[test]
    fn conditions_have_the_operators_of_herd() {
        use TokenKind::*;
        assert_eq!(
            kinds(r"~exists (A:r1=0/\~x=1\/true)"),
            [
                Not, Word, Open, Word, Colon, Word, Equal, Number, And, Not, Word, Equal, Number,
                Or, Word, Close, End
            ]
        );
    }

    #[test]
    fn what_is_no_token_is_reported_once_where_it_stands() {
        for (source, start, message) in [
            ("a && b", 2, "unexpected `&&`"),
            ("a \0 b", 2, "unexpected NUL byte: this is no text"),
            ("a \u{a0}b", 2, "unexpected character U+00A0"),
            ("é", 0, "unexpected character `é`"),
            ("ab (* (* *) ", 3, "this comment does not end"),
            ("ab \"cd\nef", 3, "this description does not end"),
            ("\"a\\n\"", 2, "unknown escape in a description"),
            ("\"a\u{1b}[0m\"", 2, "unexpected character U+001B"),
        ] {
            let mut report = Report::default();
            tokens(source, &mut report);
            let (errors, more) = report.into_errors();
            assert_eq!(errors.len(), 1, "{source:?}");
            assert_eq!(errors[0].message, message, "{source:?}");
            assert_eq!(errors[0].span.start, start, "{source:?}");
            assert!(!more);
        }
    }
}
