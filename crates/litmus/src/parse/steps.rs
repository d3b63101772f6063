//! The steps of a lane or an APC's body.

use apclab_protocol::limits;
use apclab_protocol::program::Place;
use apclab_protocol::step::{Mode, Step};

use super::cursor::{Word, shortened};
use super::draft::{Deferred, LaneSort, StepsDraft};
use super::locks::Entered;
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
                self.draft.begin_lane("", word.span, LaneSort::Plain);
                self.add_step(keyword, word)
            }
        }
    }

    /// Reads the steps of the bodies, once everything that they may name has been declared.
    pub(super) fn bodies(&mut self) {
        let (at, current) = (self.at, self.draft.current);
        let mut bodiless = None;
        for deferred in std::mem::take(&mut self.draft.deferred) {
            if self.report.is_full() {
                break;
            }
            if !self.has_body(deferred.apc) {
                // Its first step stands for all.
                if bodiless.replace(deferred.apc) != Some(deferred.apc) {
                    self.no_body(deferred.apc, deferred.word);
                }
                continue;
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
            "enter" => match self.entered()? {
                Entered::Critical => Step::EnterCritical,
                Entered::Guarded => Step::EnterGuarded,
                Entered::Section(lock) => Step::Acquire {
                    lock,
                    mode: Mode::Exclusive,
                },
            },
            "leave" => match self.entered()? {
                Entered::Critical => Step::LeaveCritical,
                Entered::Guarded => Step::LeaveGuarded,
                Entered::Section(lock) => Step::Release { lock },
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
            "queue" => Step::Queue {
                apc: self.named(Kind::Apc)?,
                to: self.result_if_wanted()?,
            },
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
            "wait" => self.wait()?,
            "call" => Step::Call { length: 0 },
            "sleep" => self.sleep()?,
            "start" => self.start()?,
            "suspend" | "resume" => self.suspension(keyword)?,
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
        self.time("time-out", limits::WAIT_DEADLINE_MS)
    }

    /// A time, as the number of milliseconds; `what` says for what.
    pub(super) fn time(&mut self, what: &str, most: u32) -> Result<u32, Reported> {
        let expected = format!("a {what}, 0ms to {most}ms");
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
            Some(digits) if decimal(digits) => (format!("this {what} is too long"), None),
            _ => {
                let help = decimal(word.text).then(|| format!("in milliseconds it is `{text}ms`"));
                (format!("`{text}` is no {what}"), help)
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
