//! The head of a file: the test's name, its description and the facts that it shows.

use super::cursor::Word;
use super::{Parser, Part};
use crate::report::Reported;
use crate::token::TokenKind;

impl<'s> Parser<'s> {
    /// `test NAME`
    pub(super) fn test_name(&mut self, keyword: Word<'s>) -> Result<(), Reported> {
        self.begin(Part::Name, keyword);
        let name = self.word("the test's name, which begins with a letter")?;
        name.text.clone_into(&mut self.draft.name);
        Ok(())
    }

    /// `"…"`
    pub(super) fn description(&mut self) {
        let word = self.here();
        self.begin(Part::Description, word);
        self.bump();
        let text = word.text.trim_start_matches('"');
        let mut description = String::new();
        let mut characters = text.strip_suffix('"').unwrap_or(text).chars();
        while let Some(c) = characters.next() {
            // The lexer has let only `\"` and `\\` pass.
            let c = if c == '\\' {
                characters.next()
            } else {
                Some(c)
            };
            description.extend(c);
        }
        self.draft.description = description;
    }

    /// `shows FACT, FACT…`
    pub(super) fn shows(&mut self, keyword: Word<'s>) -> Result<(), Reported> {
        self.begin(Part::Facts, keyword);
        loop {
            let fact = self.word("the id of a fact")?;
            let shows = &mut self.draft.shows;
            if shows.iter().any(|known| known == fact.text) {
                let message = format!("`{}` is named twice", fact.text);
                return Err(self.error(fact.span, message, "", None));
            }
            shows.push(fact.text.to_owned());
            if !self.take(TokenKind::Comma) {
                return Ok(());
            }
        }
    }
}
