//! The head of a file: the test's name, its description, the facts that it shows, its tags, and
//! whether it may deadlock.

use apclab_protocol::program::flags;

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
        self.draft.shows = self.list("the id of a fact")?;
        Ok(())
    }

    /// `tags TAG, TAG…`
    pub(super) fn tags(&mut self, keyword: Word<'s>) -> Result<(), Reported> {
        self.begin(Part::Tags, keyword);
        self.draft.tags = self.list("a tag")?;
        Ok(())
    }

    /// `may deadlock`
    pub(super) fn may_deadlock(&mut self, keyword: Word<'s>) -> Result<(), Reported> {
        self.begin(Part::MayDeadlock, keyword);
        self.keyword(&["deadlock"])?;
        self.draft.program.flags |= flags::MAY_DEADLOCK;
        Ok(())
    }

    /// Words with commas between them, each once.
    fn list(&mut self, expected: &str) -> Result<Vec<String>, Reported> {
        let mut list: Vec<String> = Vec::new();
        loop {
            let word = self.word(expected)?;
            if list.iter().any(|known| known == word.text) {
                let message = format!("`{}` is named twice", word.text);
                return Err(self.error(word.span, message, "", None));
            }
            list.push(word.text.to_owned());
            if !self.take(TokenKind::Comma) {
                return Ok(list);
            }
        }
    }
}
