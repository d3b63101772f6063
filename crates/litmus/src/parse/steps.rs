//! The steps of a lane or an APC's body.

use apclab_protocol::limits;
use apclab_protocol::program::Place;
use apclab_protocol::step::Step;

use super::cursor::{Word, shortened};
use super::draft::{Deferred, StepsDraft};
use super::symbols::Kind;
use super::{Parser, Part};
use crate::report::Reported;
use crate::token::TokenKind;

impl<'s> Parser<'s> {
    /// A step, whose first word has been read as `keyword`.
    pub(super) fn step(&mut self, keyword: &'static str, word: Word<'s>) -> Result<(), Reported> {
        if self.part > Part::Lanes {
            let message = format!("the step `{}` comes too late", word.text);
            return Err(self.error(word.span, message, Part::Lanes.expected(), None));
        }
        match self.draft.current {
            Some(Place::Lane(_)) => self.add_step(keyword, word),
            Some(Place::Body(apc)) => {
                let at = self.at;
                self.draft.deferred.push(Deferred {
                    apc,
                    keyword,
                    word,
                    at,
                });
                self.pass_line();
                Ok(())
            }
            None => {
                let message = format!("the step `{}` is outside of a lane", word.text);
                let label = "expected `lane NAME` before it, or `apc NAME …`";
                self.error(word.span, message, label, None);
                // The steps that follow are no further mistakes.
                self.part = Part::Lanes;
                self.draft.begin_lane("", word.span, false);
                self.add_step(keyword, word)
            }
        }
    }

    /// Reads the steps of the bodies, once everything that they may name has been declared.
    pub(super) fn bodies(&mut self) {
        let (at, current) = (self.at, self.draft.current);
        for deferred in std::mem::take(&mut self.draft.deferred) {
            if self.report.is_full() {
                break;
            }
            self.at = deferred.at;
            self.draft.current = Some(Place::Body(deferred.apc));
            let step = self.add_step(deferred.keyword, deferred.word);
            if step.and_then(|()| self.end_of_line()).is_err() {
                self.skip_line(deferred.at);
            }
        }
        (self.at, self.draft.current) = (at, current);
    }

    fn add_step(&mut self, keyword: &str, word: Word<'s>) -> Result<(), Reported> {
        let step = self.step_of(keyword)?;
        let span = word.span.to(self.last_span());
        let (whose, limit) = match self.draft.current {
            Some(Place::Body(_)) => ("an APC's body", limits::STEPS_PER_BODY),
            _ => ("a lane", limits::STEPS_PER_LANE),
        };
        let steps = self.draft.current_steps().ok_or(Reported)?;
        if steps.len() < limit {
            steps.push(step, span);
            return Ok(());
        }
        // Reported once: the steps that follow are too many as well.
        if steps.len() == limit {
            steps.push(step, span);
            let label = format!("{whose} has at most {limit}");
            self.error(span, "too many steps", label, None);
        }
        Ok(())
    }

    /// Every block has its end: without it the program could not even be written down.
    pub(super) fn check_blocks(&mut self) {
        // A line that could not be read may have been an end.
        if !self.report.is_empty() {
            return;
        }
        let drafts = self.draft.lanes.iter().chain(&self.draft.bodies);
        for span in drafts.flat_map(StepsDraft::open_blocks).collect::<Vec<_>>() {
            let help = "close the block with `end`".to_owned();
            self.error(span, "this block does not end", "", Some(help));
        }
    }

    fn step_of(&mut self, keyword: &str) -> Result<Step, Reported> {
        Ok(match keyword {
            "enter" => match self.keyword(&["critical", "guarded"])? {
                "critical" => Step::EnterCritical,
                _ => Step::EnterGuarded,
            },
            "leave" => match self.keyword(&["critical", "guarded"])? {
                "critical" => Step::LeaveCritical,
                _ => Step::LeaveGuarded,
            },
            "raise" => {
                self.keyword(&["apc"])?;
                Step::RaiseApc
            }
            "lower" => Step::Lower,
            "barrier" => Step::Barrier,
            "apcs-disabled" => Step::ApcsDisabled { to: self.result()? },
            "all-apcs-disabled" => Step::AllApcsDisabled { to: self.result()? },
            "irql" => Step::Irql { to: self.result()? },
            "queue" => {
                let apc = self.named(Kind::Apc)?;
                let asked = self.peek().kind == TokenKind::Arrow;
                let to = if asked { Some(self.result()?) } else { None };
                Step::Queue { apc, to }
            }
            "ran" => Step::Ran {
                apc: self.named(Kind::Apc)?,
                to: self.result()?,
            },
            "set" => Step::Set {
                event: self.named(Kind::Event)?,
            },
            "reset" => Step::Reset {
                event: self.named(Kind::Event)?,
            },
            "wait" => {
                let event = self.named(Kind::Event)?;
                if self.take_keyword("for") {
                    Step::WaitFor {
                        event,
                        milliseconds: self.milliseconds()?,
                        to: self.result()?,
                    }
                } else {
                    Step::Wait { event }
                }
            }
            "acquire" => self.acquire()?,
            "release" => self.release()?,
            "enter-acquire" => self.enter_acquire()?,
            "release-leave" | "convert" | "reinitialize" | "hand-over" => {
                self.resource_step(keyword)?
            }
            "acquired-exclusive" | "acquired-shared" | "exclusive-waiters" | "shared-waiters" => {
                self.resource_query(keyword)?
            }
            "try" => self.attempt()?,
            "repeat" => Step::Repeat {
                count: self.count()?,
                length: 0,
            },
            "end" => Step::End,
            "store" => {
                let variable = self.named(Kind::Variable)?;
                self.stored(variable)?
            }
            // Every other step has been told apart.
            _ => Step::Load {
                variable: self.named(Kind::Variable)?,
                to: self.result()?,
            },
        })
    }

    /// A time-out: a decimal number with `ms` behind it.
    pub(super) fn milliseconds(&mut self) -> Result<u32, Reported> {
        let most = limits::WAIT_DEADLINE_MS;
        let expected = format!("a time-out, 0ms to {most}ms");
        if self.peek().kind != TokenKind::Number {
            return Err(self.unexpected(&expected));
        }
        let word = self.here();
        self.bump();
        let digits = word.text.strip_suffix("ms");
        let number = digits.and_then(|digits| digits.parse().ok());
        if let Some(number) = number.filter(|number| *number <= most) {
            return Ok(number);
        }
        let text = shortened(word.text);
        let decimal = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let (message, help) = match digits {
            Some(digits) if decimal(digits) => ("this time-out is too long".to_owned(), None),
            _ => {
                let help = decimal(word.text).then(|| format!("in milliseconds it is `{text}ms`"));
                (format!("`{text}` is no time-out"), help)
            }
        };
        Err(self.error(word.span, message, format!("expected {expected}"), help))
    }

    /// How often a block is repeated.
    fn count(&mut self) -> Result<u32, Reported> {
        let expected = format!("how many times, 1 to {}", limits::ROUNDS);
        let span = self.peek().span;
        let count = self.magnitude(&expected)?;
        match u32::try_from(count) {
            Ok(count) if (1..=limits::ROUNDS).contains(&count) => Ok(count),
            _ => {
                let label = format!("expected {expected}");
                Err(self.error(span, "a block cannot be repeated so often", label, None))
            }
        }
    }

    /// What is stored: a number, or a register and a number that is added to it or taken from it.
    fn stored(&mut self, variable: u8) -> Result<Step, Reported> {
        if self.peek().kind != TokenKind::Word {
            let constant = self.signed("a number or a register")?;
            return Ok(Step::Store {
                variable,
                from: None,
                constant,
            });
        }
        let word = self.here();
        let register = self.register()?;
        let written = |place| self.draft.has_written(place, register);
        if self.report.is_empty() && !self.draft.current.is_some_and(written) {
            let message = format!("r{register} has no value yet");
            self.error(
                word.span,
                message,
                "expected a register that a step above writes",
                None,
            );
        }
        let start = self.peek().span;
        let constant = if self.take(TokenKind::Plus) {
            self.signed("a number")?
        } else if self.take(TokenKind::Minus) {
            let magnitude = self.magnitude("a number")?;
            self.with_sign(true, magnitude, start)?
        } else {
            0
        };
        Ok(Step::Store {
            variable,
            from: Some(register),
            constant,
        })
    }
}
