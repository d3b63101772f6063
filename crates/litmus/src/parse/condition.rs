//! The final condition.

use super::cursor::Word;
use super::{MAX_DEPTH, Parser, Part};
use crate::condition::{Condition, Formula, Quantifier};
use crate::report::Reported;
use crate::test::Expectation;
use crate::token::TokenKind;
use crate::words;

const OPERAND: &str =
    "`LANE:REGISTER = NUMBER`, `VARIABLE = NUMBER`, `true`, `false`, `deadlock`, `~` or `(`";

/// The words that are formulas by themselves.
const CONSTANTS: [&str; 3] = ["true", "false", "deadlock"];

impl<'s> Parser<'s> {
    /// A quantifier, which has been read, and its formula. It may take several lines, and nothing
    /// follows it.
    pub(super) fn condition(
        &mut self,
        quantifier: Quantifier,
        keyword: Word<'s>,
    ) -> Result<(), Reported> {
        self.begin(Part::Expectation, keyword);
        let formula = self.disjunction(0).and_then(|formula| {
            self.skip_newlines();
            self.expect(TokenKind::End, r"`/\`, `\/` or the end of the file")?;
            Ok(formula)
        });
        if formula.is_err() {
            self.skip_file();
        }
        let formula = formula?;
        let condition = Condition {
            quantifier,
            formula,
        };
        self.draft.expectation = Some(Expectation::Condition(condition));
        Ok(())
    }

    fn disjunction(&mut self, depth: usize) -> Result<Formula, Reported> {
        let mut parts = vec![self.conjunction(depth)?];
        while self.operator(TokenKind::Or) {
            parts.push(self.conjunction(depth)?);
        }
        Ok(joined(parts, Formula::Or))
    }

    fn conjunction(&mut self, depth: usize) -> Result<Formula, Reported> {
        let mut parts = vec![self.operand(depth)?];
        while self.operator(TokenKind::And) {
            parts.push(self.operand(depth)?);
        }
        Ok(joined(parts, Formula::And))
    }

    fn operator(&mut self, kind: TokenKind) -> bool {
        self.skip_newlines();
        self.take(kind)
    }

    fn operand(&mut self, depth: usize) -> Result<Formula, Reported> {
        self.skip_newlines();
        let token = self.peek();
        match token.kind {
            TokenKind::Not | TokenKind::Open if depth == MAX_DEPTH => {
                let label = format!("expected at most {MAX_DEPTH} inside one another");
                let message = "the condition has too many parentheses or negations here";
                Err(self.error(token.span, message, label, None))
            }
            TokenKind::Not => {
                self.bump();
                Ok(Formula::Not(Box::new(self.operand(depth + 1)?)))
            }
            TokenKind::Open => {
                self.bump();
                let inner = self.disjunction(depth + 1)?;
                self.expect(TokenKind::Close, r"`/\`, `\/` or `)`")?;
                Ok(inner)
            }
            TokenKind::Word if self.is_constant() => Ok(match self.keyword(&CONSTANTS)? {
                "true" => Formula::True,
                "false" => Formula::False,
                _ => Formula::Deadlock,
            }),
            TokenKind::Word => self.equation(),
            _ => Err(self.unexpected(OPERAND)),
        }
    }

    /// Whether a word is one that stands for a formula by itself, or a misspelling of one and no name.
    fn is_constant(&self) -> bool {
        let word = self.here().text;
        CONSTANTS.contains(&word)
            || words::nearest(word, CONSTANTS).is_some() && self.kind_of(word).is_none()
    }

    /// `LANE:REGISTER = NUMBER` or `VARIABLE = NUMBER`
    fn equation(&mut self) -> Result<Formula, Reported> {
        let (observed, span) = self.location()?;
        self.skip_newlines();
        self.expect(TokenKind::Equal, "`=` and a number")?;
        self.skip_newlines();
        let value = self.signed("a number")?;
        let Some(index) = self.draft.observe(observed) else {
            return Err(self.too_many_values(span));
        };
        let name = self.draft.names.of_observed(observed);
        Ok(Formula::Equal {
            observed: index,
            name,
            value,
        })
    }
}

/// A list as one formula: a single part stays what it is.
fn joined(mut parts: Vec<Formula>, operator: fn(Vec<Formula>) -> Formula) -> Formula {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            operator(parts)
        }
    }
}
