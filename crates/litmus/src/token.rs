//! The tokens of the language.

use crate::place::Span;

/// What a token is. Its text, where it has any of its own, is found through its span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A keyword or a name: letters, digits, `_`, and `-` between them.
    Word,
    /// A number without its sign.
    Number,
    /// Text in quotes, on one line.
    Text,
    /// `->`
    Arrow,
    /// `:`
    Colon,
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// `[`
    OpenBracket,
    /// `]`
    CloseBracket,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `/\`
    And,
    /// `\/`
    Or,
    /// `~`
    Not,
    /// `=`
    Equal,
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// The end of a line.
    Newline,
    /// Something that is no token and was reported as such: what stands around it is not judged.
    Bad,
    /// The end of the file.
    End,
}

/// A token and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) span: Span,
}
