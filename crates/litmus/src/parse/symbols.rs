//! The names that a test declares. All share one space, so that a name means one thing in a file.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::Parser;
use super::cursor::{Word, shortened};
use crate::place::{Lines, Span};
use crate::report::Reported;
use crate::words;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Apc,
    Event,
    Variable,
    Lock,
    Lane,
}

impl Kind {
    const fn with_article(self) -> &'static str {
        match self {
            Self::Apc => "an APC",
            Self::Event => "an event",
            Self::Variable => "a variable",
            Self::Lock => "a lock",
            Self::Lane => "a lane",
        }
    }

    /// How one is declared.
    fn declaration(self, name: &str) -> String {
        match self {
            Self::Apc => format!("apc {name} normal to LANE"),
            Self::Event => format!("event {name}"),
            Self::Variable => format!("var {name}"),
            Self::Lock => format!("fast-mutex {name}"),
            Self::Lane => format!("lane {name}"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Apc => "APC",
            Self::Event => "event",
            Self::Variable => "variable",
            Self::Lock => "lock",
            Self::Lane => "lane",
        })
    }
}

#[derive(Debug)]
struct Symbol {
    kind: Kind,
    index: u8,
    span: Span,
    used: bool,
}

/// Every name that was declared so far.
#[derive(Debug, Default)]
pub(super) struct Symbols<'s> {
    known: HashMap<&'s str, Symbol>,
    /// Names that stood on lines that were reported: using them is not reported again.
    forgiven: HashSet<&'s str>,
}

impl<'s> Symbols<'s> {
    pub(super) fn forgive(&mut self, name: &'s str) {
        self.forgiven.insert(name);
    }

    /// Everything but lanes that was declared and not used, in the order of the text.
    pub(super) fn unused(&self) -> Vec<(&'s str, Kind, Span)> {
        let mut unused: Vec<_> = self
            .known
            .iter()
            .filter(|(_, symbol)| !symbol.used && symbol.kind != Kind::Lane)
            .map(|(name, symbol)| (*name, symbol.kind, symbol.span))
            .collect();
        unused.sort_by_key(|(_, _, span)| span.start);
        unused
    }
}

impl<'s> Parser<'s> {
    /// Declares a name. What is declared is as many as `count` so far, and may be `limit`.
    pub(super) fn declare(&mut self, kind: Kind, word: Word<'s>, count: usize, limit: usize) {
        if let Some(earlier) = self.symbols.known.get(word.text) {
            let place = Lines::new(self.source).place(earlier.span.start);
            let message = format!("`{}` is declared twice", word.text);
            let label = format!("the first, {}, is at {place}", earlier.kind.with_article());
            self.error(word.span, message, label, None);
            return;
        }
        if count >= limit {
            let message = format!("too many {kind}s");
            self.error(
                word.span,
                message,
                format!("a test has at most {limit}"),
                None,
            );
        }
        let symbol = Symbol {
            kind,
            index: u8::try_from(count).unwrap_or(u8::MAX),
            span: word.span,
            used: false,
        };
        self.symbols.known.insert(word.text, symbol);
    }

    /// Whether a name was declared.
    pub(super) fn is_known(&self, text: &str) -> bool {
        self.symbols.known.contains_key(text)
    }

    /// What a name stands for, if it was declared, or one that it is a misspelling of.
    pub(super) fn kind_of(&self, text: &str) -> Option<Kind> {
        let mut known: Vec<(&str, &Symbol)> = self
            .symbols
            .known
            .iter()
            .map(|(name, symbol)| (*name, symbol))
            .collect();
        known.sort_by_key(|(_, symbol)| symbol.span.start);
        let meant = match self.symbols.known.get_key_value(text) {
            Some((name, _)) => Some(*name),
            None => words::nearest(text, known.iter().map(|(name, _)| *name)),
        };
        meant.and_then(|name| Some(self.symbols.known.get(name)?.kind))
    }

    /// The index of what a word names. A misspelt name is reported and taken for what it was meant
    /// to be.
    pub(super) fn lookup(&mut self, kind: Kind, word: Word<'s>) -> Result<u8, Reported> {
        self.lookup_or(kind, word, &kind.declaration(&shortened(word.text)))
    }

    /// As [`Self::lookup`]; the declaration is what a name of its own would need.
    pub(super) fn lookup_or(
        &mut self,
        kind: Kind,
        word: Word<'s>,
        declaration: &str,
    ) -> Result<u8, Reported> {
        let text = word.text;
        if let Some(symbol) = self.symbols.known.get_mut(text) {
            symbol.used = true;
            if symbol.kind == kind {
                return Ok(symbol.index);
            }
            let message = format!("`{text}` is {}", symbol.kind.with_article());
            let label = format!("expected {}", kind.with_article());
            return Err(self.error(word.span, message, label, None));
        }
        if self.symbols.forgiven.contains(text) {
            return Err(Reported);
        }
        let mut names: Vec<(&str, u8)> = self
            .symbols
            .known
            .iter()
            .filter(|(_, symbol)| symbol.kind == kind)
            .map(|(name, symbol)| (*name, symbol.index))
            .collect();
        // By index, so that of two names equally near the first declared is named, always.
        names.sort_by_key(|(_, index)| *index);
        let meant = words::nearest(text, names.iter().map(|(name, _)| *name));
        let help = match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("it would be declared by `{declaration}`"),
        };
        let message = format!("unknown {kind} `{}`", shortened(text));
        let label = format!("expected the name of {}", kind.with_article());
        let error = self.error(word.span, message, label, Some(help));
        self.symbols.forgive(text);
        let index = names.iter().find(|(name, _)| Some(*name) == meant);
        index.map(|(_, index)| *index).ok_or(error)
    }

    /// Reads a name and looks it up.
    pub(super) fn named(&mut self, kind: Kind) -> Result<u8, Reported> {
        let word = self.word(&format!("the name of {}", kind.with_article()))?;
        self.lookup(kind, word)
    }
}
