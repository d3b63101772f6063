//! The steps of caller lanes: user mode, and waits that a user APC may end.

use apclab_protocol::limits;
use apclab_protocol::program::{ApcKind, Place};
use apclab_protocol::step::{Step, WaitMode};

use super::Parser;
use super::cursor::Word;
use super::symbols::Kind;
use crate::report::Reported;
use crate::token::TokenKind;
use crate::words::apc_word;

impl<'s> Parser<'s> {
    /// `wait EVENT [[user] [alertable] for TIME -> REGISTER]`, whose first word has been read.
    pub(super) fn wait(&mut self) -> Result<Step, Reported> {
        let event = self.named(Kind::Event)?;
        if self.peek().kind != TokenKind::Word {
            return Ok(Step::Wait { event });
        }
        let mut word = self.keyword(&["for", "user", "alertable"])?;
        let user = word == "user";
        if user {
            word = self.keyword(&["for", "alertable"])?;
        }
        let alertable = word == "alertable";
        if alertable {
            self.keyword(&["for"])?;
        }
        let milliseconds = self.milliseconds()?;
        let to = self.result()?;
        let mode = match (user, alertable) {
            (false, false) => {
                return Ok(Step::WaitFor {
                    event,
                    to,
                    milliseconds,
                });
            }
            (true, false) => WaitMode::User,
            (false, true) => WaitMode::KernelAlertable,
            (true, true) => WaitMode::UserAlertable,
        };
        Ok(Step::WaitAs {
            event,
            to,
            milliseconds,
            mode,
        })
    }

    /// `sleep TIME [alertable] -> REGISTER`, whose first word has been read.
    pub(super) fn sleep(&mut self) -> Result<Step, Reported> {
        let milliseconds = self.time("sleep", limits::SLEEP_MS)?;
        let alertable = self.peek().kind == TokenKind::Word;
        if alertable {
            self.keyword(&["alertable"])?;
        }
        Ok(Step::Sleep {
            milliseconds,
            alertable,
            to: self.result()?,
        })
    }

    /// `start COMPLETION`, whose first word has been read.
    pub(super) fn start(&mut self) -> Result<Step, Reported> {
        let word = self.here();
        let apc = self.named(Kind::Apc)?;
        match self.draft.apc_kind(apc) {
            Some(ApcKind::Completion) => Ok(Step::Start { apc }),
            Some(kind) => {
                let message = format!("`{}` is a `{}` APC", word.text, apc_word(kind));
                let label = "expected a completion: what is started is its request";
                Err(self.error(word.span, message, label, None))
            }
            None => Err(Reported),
        }
    }

    /// `suspend LANE [-> REGISTER]` or `resume LANE [-> REGISTER]`, whose first word has been read.
    pub(super) fn suspension(&mut self, keyword: &str) -> Result<Step, Reported> {
        let word = self.word("the name of a caller lane")?;
        // The lane may come later in the text: `aim_steps` sets the right one.
        self.draft.name_lane(word, true);
        let (lane, to) = (0, self.result_if_wanted()?);
        Ok(match keyword {
            "suspend" => Step::Suspend { lane, to },
            _ => Step::Resume { lane, to },
        })
    }

    /// Whether an APC may have a body. One that could not be read is given the benefit of the doubt.
    pub(super) fn has_body(&self, apc: u8) -> bool {
        self.draft.apc_kind(apc).is_none_or(ApcKind::of_driver)
    }

    /// Reports the first step of a body that cannot be one.
    pub(super) fn no_body(&mut self, apc: u8, step: Word<'s>) {
        let name = self.draft.names.of_place(Place::Body(apc));
        let kind = self.draft.apc_kind(apc).map_or("", apc_word);
        let message = format!("`{name}` is a `{kind}` APC, which has no body");
        let label = "expected another declaration, or a `lane`";
        self.error(step.span, message, label, None);
    }
}
