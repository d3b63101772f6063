//! What else stands at the end of a file: `locations`, and the expectation of a refused program.

use apclab_protocol::limits;
use apclab_protocol::program::Observed;
use apclab_protocol::verify::Reason;

use super::cursor::{Word, shortened};
use super::symbols::Kind;
use super::{Parser, Part};
use crate::place::Span;
use crate::report::Reported;
use crate::test::Expectation;
use crate::token::TokenKind;
use crate::words;

impl<'s> Parser<'s> {
    /// `LANE:REGISTER` or `VARIABLE`
    pub(super) fn location(&mut self) -> Result<(Observed, Span), Reported> {
        let word = self.word("`LANE:REGISTER` or a variable")?;
        if self.peek().kind == TokenKind::Colon {
            let lane = self.lookup(Kind::Lane, word)?;
            self.bump();
            let register = self.register()?;
            let span = word.span.to(self.last_span());
            if self.report.is_empty() && !self.draft.has_written(lane.into(), register) {
                let message = format!("no step of lane `{}` writes r{register}", word.text);
                self.error(span, message, "expected a register that has a value", None);
            }
            return Ok((Observed::Register { lane, register }, span));
        }
        if words::is_register(word.text) {
            let message = format!("`{}` of which lane?", shortened(word.text));
            let lane = self.draft.names.lanes.first().map_or("A", String::as_str);
            let help = format!(
                "registers are written with their lane: `{lane}:{}`",
                word.text
            );
            let label = "expected `LANE:REGISTER` or a variable";
            return Err(self.error(word.span, message, label, Some(help)));
        }
        let variable = self.lookup(Kind::Variable, word)?;
        Ok((Observed::Variable(variable), word.span))
    }

    /// `locations [A:r1; x;]`, which may take several lines
    pub(super) fn locations(&mut self, keyword: Word<'s>) -> Result<(), Reported> {
        self.begin(Part::Locations, keyword);
        self.expect(TokenKind::OpenBracket, "`[`")?;
        loop {
            self.skip_newlines();
            if self.take(TokenKind::CloseBracket) {
                return Ok(());
            }
            let location = self.location()?;
            self.draft.locations.push(location);
            self.skip_newlines();
            if !self.take(TokenKind::Semicolon) {
                self.expect(TokenKind::CloseBracket, "`;` or `]`")?;
                return Ok(());
            }
        }
    }

    /// Adds the locations to what the condition mentions, behind it.
    pub(super) fn observe_locations(&mut self) {
        for (observed, span) in std::mem::take(&mut self.draft.locations) {
            if self.draft.observe(observed).is_none() {
                self.too_many_values(span);
                return;
            }
        }
    }

    pub(super) fn too_many_values(&mut self, span: Span) -> Reported {
        let label = format!("an outcome has at most {}", limits::OBSERVED);
        self.error(span, "too many observed values", label, None)
    }

    /// `refused REASON at LANE step NUMBER` or `refused REASON at LANE end`
    pub(super) fn refused(&mut self, keyword: Word<'s>) -> Result<(), Reported> {
        self.begin(Part::Expectation, keyword);
        let reason = self.reason()?;
        self.keyword(&["at"])?;
        let lane = usize::from(self.named(Kind::Lane)?);
        let steps = self.draft.program.lanes.get(lane).map_or(0, Vec::len);
        let step = if self.keyword(&["step", "end"])? == "end" {
            steps
        } else {
            self.step_number(steps)?
        };
        self.draft.expectation = Some(Expectation::Refused { reason, lane, step });
        Ok(())
    }

    fn reason(&mut self) -> Result<Reason, Reported> {
        let expected = "the reason of a refusal, such as `left-open`";
        let word = self.word(expected)?;
        if let Some(reason) = Reason::from_name(word.text) {
            return Ok(reason);
        }
        let meant = words::nearest(word.text, Reason::ALL.iter().map(|reason| reason.name()));
        let help = if let Some(meant) = meant {
            format!("did you mean `{meant}`?")
        } else {
            let names: Vec<&str> = Reason::ALL.iter().map(|reason| reason.name()).collect();
            format!("the reasons are {}", names.join(", "))
        };
        let message = format!("unknown reason `{}`", shortened(word.text));
        let error = self.error(
            word.span,
            message,
            format!("expected {expected}"),
            Some(help),
        );
        meant.and_then(Reason::from_name).ok_or(error)
    }

    /// A step's number, which the text counts from 1; the end of the lane is one more than its steps.
    fn step_number(&mut self, steps: usize) -> Result<usize, Reported> {
        let token = self.peek();
        let number = self.magnitude("the number of a step, counted from 1")?;
        let step = usize::try_from(number)
            .ok()
            .and_then(|number| number.checked_sub(1));
        match step {
            Some(step) if step <= steps => Ok(step),
            // With an earlier error, a step may be missing from the count.
            _ if !self.report.is_empty() => Err(Reported),
            _ => {
                let label = format!("expected 1 to {steps}, or {} for the lane's end", steps + 1);
                Err(self.error(token.span, "the lane has no such step", label, None))
            }
        }
    }
}
