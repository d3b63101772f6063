//! The steps of a lane.

use apclab_protocol::limits;
use apclab_protocol::step::Step;

use super::cursor::Word;
use super::symbols::Kind;
use super::{Parser, Part};
use crate::report::Reported;
use crate::token::TokenKind;

impl<'s> Parser<'s> {
    /// A step, whose first word has been read as `keyword`.
    pub(super) fn step(&mut self, keyword: &str, word: Word<'s>) -> Result<(), Reported> {
        if self.part > Part::Lanes {
            let message = format!("the step `{}` comes too late", word.text);
            return Err(self.error(word.span, message, Part::Lanes.expected(), None));
        }
        if self.part < Part::Lanes {
            let message = format!("the step `{}` is outside of a lane", word.text);
            self.error(word.span, message, "expected `lane NAME` before it", None);
            // The steps that follow are no further mistakes.
            self.part = Part::Lanes;
            self.draft.begin_lane("", word.span);
        }
        let step = self.step_of(keyword)?;
        let span = word.span.to(self.last_span());
        let steps = self.draft.program.lanes.last_mut().ok_or(Reported)?;
        if steps.len() == limits::STEPS_PER_LANE {
            let label = format!("a lane has at most {}", limits::STEPS_PER_LANE);
            self.error(span, "too many steps", label, None);
            self.skip_file();
            return Err(Reported);
        }
        steps.push(step);
        let lane = self.draft.lanes.last_mut().ok_or(Reported)?;
        lane.steps.push(span);
        lane.end = span.after();
        Ok(())
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
            "wait" => Step::Wait {
                event: self.named(Kind::Event)?,
            },
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
        let lane = self.draft.lanes.len().saturating_sub(1);
        if self.report.is_empty() && !self.draft.has_written(lane, register) {
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
