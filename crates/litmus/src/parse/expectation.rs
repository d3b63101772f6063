//! What else stands at the end of a file: `locations`, and the expectation of a refused program.

use apclab_protocol::limits;
use apclab_protocol::program::{Observed, Place};
use apclab_protocol::verify::Reason;

use super::cursor::{Word, shortened};
use super::draft::StepsDraft;
use super::symbols::Kind;
use super::{Parser, Part};
use crate::place::Span;
use crate::report::Reported;
use crate::test::Expectation;
use crate::token::TokenKind;
use crate::words;

const fn owner_kind(place: Place) -> &'static str {
    match place {
        Place::Lane(_) => "lane",
        Place::Body(_) => "APC",
    }
}

impl<'s> Parser<'s> {
    /// `LANE:REGISTER`, `APC:REGISTER` or `VARIABLE`
    pub(super) fn location(&mut self) -> Result<(Observed, Span), Reported> {
        let word = self.word("`LANE:REGISTER` or a variable")?;
        if self.peek().kind == TokenKind::Colon {
            let place = self.owner(word)?;
            self.bump();
            let register = self.register()?;
            let span = word.span.to(self.last_span());
            if self.report.is_empty() && !self.draft.has_written(place, register) {
                let whose = owner_kind(place);
                let message = format!("no step of {whose} `{}` writes r{register}", word.text);
                self.error(span, message, "expected a register that has a value", None);
            }
            let observed = match place {
                Place::Lane(lane) => Observed::Register { lane, register },
                Place::Body(apc) => Observed::ApcRegister { apc, register },
            };
            self.draft.mentioned.push((observed, span));
            return Ok((observed, span));
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
        let observed = Observed::Variable(self.lookup(Kind::Variable, word)?);
        self.draft.mentioned.push((observed, word.span));
        Ok((observed, word.span))
    }

    /// What a word names, a lane or an APC, as the place of its steps.
    fn owner(&mut self, word: Word<'s>) -> Result<Place, Reported> {
        if self.kind_of(word.text) == Some(Kind::Apc) {
            self.lookup(Kind::Apc, word).map(Place::Body)
        } else {
            self.lookup(Kind::Lane, word).map(Place::Lane)
        }
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

    /// `refused REASON at NAME step NUMBER` or `refused REASON at NAME end`; the name is a lane's or an
    /// APC's
    pub(super) fn refused(&mut self, keyword: Word<'s>) -> Result<(), Reported> {
        self.begin(Part::Expectation, keyword);
        let reason = self.reason()?;
        self.keyword(&["at"])?;
        let word = self.word("the name of a lane or an APC")?;
        let place = self.owner(word)?;
        let steps = self.draft.steps(place).map_or(0, StepsDraft::len);
        let step = if self.keyword(&["step", "end"])? == "end" {
            steps
        } else {
            self.step_number(place, steps)?
        };
        self.draft.expectation = Some(Expectation::Refused {
            reason,
            place,
            step,
        });
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

    /// A step's number, which the text counts from 1; the end of the lane or body is one more
    /// than its steps.
    fn step_number(&mut self, place: Place, steps: usize) -> Result<usize, Reported> {
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
                let label = format!("expected 1 to {steps}, or {} for the end", steps + 1);
                let message = format!("the {} has no such step", owner_kind(place));
                Err(self.error(token.span, message, label, None))
            }
        }
    }
}
