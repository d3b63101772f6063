//! The steps that are about locks.

use apclab_protocol::program::LockKind;
use apclab_protocol::step::{Mode, Step};

use super::Parser;
use super::cursor::{Word, alternatives, shortened};
use super::symbols::Kind;
use crate::place::Span;
use crate::report::Reported;
use crate::token::TokenKind;
use crate::words::{self, lock_word, mode_named, mode_word};

/// What is entered and left.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entered {
    Critical,
    Guarded,
    /// A critical section.
    Section(u8),
}

/// The modes of the combined routines, which enter a critical region and acquire.
const COMBINED: [Mode; 3] = [Mode::Exclusive, Mode::Shared, Mode::SharedWaitForExclusive];

/// A lock that a step names.
#[derive(Clone, Copy, Debug)]
struct Lock<'s> {
    index: u8,
    kind: LockKind,
    word: Word<'s>,
}

const fn with_article(kind: LockKind) -> &'static str {
    match kind {
        LockKind::FastMutex => "a fast mutex",
        LockKind::GuardedMutex => "a guarded mutex",
        LockKind::Mutex => "a mutex",
        LockKind::Resource => "a resource",
        LockKind::PushLock => "a push lock",
        LockKind::CriticalSection => "a critical section",
    }
}

impl<'s> Parser<'s> {
    /// The name of a lock. One that was not declared would likely be of kind `likely`.
    fn lock_named(&mut self, likely: LockKind) -> Result<Lock<'s>, Reported> {
        let word = self.word("the name of a lock")?;
        let has_mode =
            self.peek().kind == TokenKind::Word && mode_named(self.here().text).is_some();
        let likely = if has_mode { LockKind::Resource } else { likely };
        let name = shortened(word.text);
        let declaration = format!("{} {name}", lock_word(likely));
        let index = self.lookup_or(Kind::Lock, word, &declaration)?;
        let kind = self.draft.program.locks.get(usize::from(index));
        kind.map(|&kind| Lock { index, kind, word }).ok_or(Reported)
    }

    /// The name of a lock that has to be a resource.
    fn resource_named(&mut self) -> Result<u8, Reported> {
        let lock = self.lock_named(LockKind::Resource)?;
        if lock.kind == LockKind::Resource {
            return Ok(lock.index);
        }
        let message = format!("`{}` is {}", lock.word.text, with_article(lock.kind));
        Err(self.error(lock.word.span, message, "expected a resource", None))
    }

    /// One of a few modes, which has to stand there.
    fn mode(&mut self, lock: Word<'s>, choices: &[Mode]) -> Result<Mode, Reported> {
        let words: Vec<&'static str> = choices.iter().map(|mode| mode_word(*mode)).collect();
        let word = self.here();
        if mode_named(word.text).is_some_and(|mode| !choices.contains(&mode)) {
            let message = format!("`{}` cannot be acquired `{}` here", lock.text, word.text);
            let label = format!("expected {}", alternatives(&words));
            return Err(self.error(word.span, message, label, None));
        }
        let word = self.keyword(&words)?;
        mode_named(word).ok_or(Reported)
    }

    /// The mode in which a lock is acquired: one of its kind's, if it has more than one.
    fn mode_for(&mut self, lock: Lock<'s>) -> Result<Mode, Reported> {
        let modes = Mode::ALL.into_iter().filter(|mode| lock.kind.has(*mode));
        let modes: Vec<Mode> = modes.collect();
        if modes.len() > 1 {
            return self.mode(lock.word, &modes);
        }
        let word = self.here();
        if self.peek().kind == TokenKind::Word && mode_named(word.text).is_some() {
            let message = format!("`{}` is acquired without a mode", lock.word.text);
            let label = format!("{} is always exclusive", with_article(lock.kind));
            self.error(word.span, message, label, None);
            self.bump();
        }
        Ok(Mode::Exclusive)
    }

    /// A critical section is not acquired and released, but entered and left.
    fn check_no_section(&mut self, lock: Lock<'s>, word: &str) {
        if lock.kind == LockKind::CriticalSection {
            let name = lock.word.text;
            let message = format!("`{name}` is a critical section");
            let help = format!("write `{word} {name}`");
            self.error(lock.word.span, message, "expected another lock", Some(help));
        }
    }

    /// What `enter` or `leave` is about: a kind of region, or a critical section.
    pub(super) fn entered(&mut self) -> Result<Entered, Reported> {
        let regions = ["critical", "guarded"];
        let word = self.here();
        let is_word = self.peek().kind == TokenKind::Word;
        let region = words::nearest(word.text, regions);
        // In a caller lane, what is no misspelt region is likelier the name of a critical section.
        let section = self.is_known(word.text) || region.is_none() && self.draft.in_caller();
        if is_word && section {
            let lock = self.lock_named(LockKind::CriticalSection)?;
            if lock.kind == LockKind::CriticalSection {
                return Ok(Entered::Section(lock.index));
            }
            let message = format!("`{}` is {}", word.text, with_article(lock.kind));
            let label = "expected a region, or a critical section";
            return Err(self.error(word.span, message, label, None));
        }
        Ok(match self.keyword(&regions)? {
            "critical" => Entered::Critical,
            _ => Entered::Guarded,
        })
    }

    /// `acquire LOCK [MODE]`, whose first word has been read.
    pub(super) fn acquire(&mut self) -> Result<Step, Reported> {
        let lock = self.lock_named(LockKind::FastMutex)?;
        self.check_no_section(lock, "enter");
        Ok(Step::Acquire {
            lock: lock.index,
            mode: self.mode_for(lock)?,
        })
    }

    /// `release LOCK`, or `release LOCK of LANE -> REGISTER` for what that lane has handed over.
    pub(super) fn release(&mut self) -> Result<Step, Reported> {
        let of = |parser: &Self| parser.here().text == "of";
        let lock = self.lock_named(LockKind::FastMutex)?;
        if !of(self) {
            self.check_no_section(lock, "leave");
            return Ok(Step::Release { lock: lock.index });
        }
        let keyword = self.bump().span;
        if lock.kind != LockKind::Resource {
            let message = format!("`{}` is {}", lock.word.text, with_article(lock.kind));
            let label = "only a resource is released for another lane";
            self.error(lock.word.span.to(keyword), message, label, None);
        }
        let lane = self.word("the name of a lane")?;
        // The lane may come later in the text: `aim_steps` sets the right one.
        self.draft.name_lane(lane, false);
        Ok(Step::ReleaseFor {
            lock: lock.index,
            lane: 0,
            to: self.result()?,
        })
    }

    /// `enter-acquire RESOURCE MODE`
    pub(super) fn enter_acquire(&mut self) -> Result<Step, Reported> {
        let word = self.here();
        Ok(Step::EnterAcquire {
            lock: self.resource_named()?,
            mode: self.mode(word, &COMBINED)?,
        })
    }

    /// A step that names a resource and no more.
    pub(super) fn resource_step(&mut self, keyword: &str) -> Result<Step, Reported> {
        let lock = self.resource_named()?;
        Ok(match keyword {
            "release-leave" => Step::ReleaseLeave { lock },
            "convert" => Step::Convert { lock },
            "reinitialize" => Step::Reinitialize { lock },
            _ => Step::HandOver { lock },
        })
    }

    /// A question about a resource.
    pub(super) fn resource_query(&mut self, keyword: &str) -> Result<Step, Reported> {
        let lock = self.resource_named()?;
        let to = self.result()?;
        Ok(match keyword {
            "acquired-exclusive" => Step::AcquiredExclusive { lock, to },
            "acquired-shared" => Step::AcquiredShared { lock, to },
            "exclusive-waiters" => Step::ExclusiveWaiters { lock, to },
            _ => Step::SharedWaiters { lock, to },
        })
    }

    /// `try LOCK [MODE] [for NUMBERms] -> REGISTER`, whose first word has been read. The length of the
    /// block is known at its end.
    pub(super) fn attempt(&mut self) -> Result<Step, Reported> {
        let lock = self.lock_named(LockKind::FastMutex)?;
        if lock.kind == LockKind::PushLock {
            let message = format!("`{}` is a push lock, which cannot be tried", lock.word.text);
            self.error(lock.word.span, message, "expected another lock", None);
        }
        let mode = self.mode_for(lock)?;
        let mut milliseconds = 0;
        let word = self.here();
        if self.take_keyword("for") {
            milliseconds = self.milliseconds()?;
            self.check_time_out(lock, word.span.to(self.last_span()));
        }
        Ok(Step::Try {
            lock: lock.index,
            mode,
            to: self.result()?,
            milliseconds,
            length: 0,
        })
    }

    fn check_time_out(&mut self, lock: Lock<'s>, span: Span) {
        if lock.kind != LockKind::Mutex {
            let label = "only a `mutex` can be waited for with a time-out";
            self.error(span, "this lock has no time-out", label, None);
        }
    }
}
