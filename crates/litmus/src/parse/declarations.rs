//! The declarations: APCs, events, variables, locks, and the heads of the lanes.

use apclab_protocol::limits;
use apclab_protocol::program::{Apc, ApcKind, Event, EventKind, LockKind};

use super::cursor::Word;
use super::symbols::Kind;
use super::{Parser, Part};
use crate::report::Reported;
use crate::token::TokenKind;

impl<'s> Parser<'s> {
    /// `apc NAME special|normal to LANE`; the steps that follow are its body
    pub(super) fn apc(&mut self, keyword: Word<'s>) -> Result<(), Reported> {
        self.begin(Part::Declarations, keyword);
        let name = self.new_name()?;
        let kind = match self.keyword(&["special", "normal"])? {
            "special" => ApcKind::Special,
            _ => ApcKind::Normal,
        };
        self.keyword(&["to"])?;
        let target = self.word("the name of a lane")?;
        let count = self.draft.program.apcs.len();
        self.declare(Kind::Apc, name, count, limits::APCS);
        self.draft.names.apcs.push(name.text.to_owned());
        // The lanes come later in the text: `aim_apcs` sets the right one.
        self.draft.program.apcs.push(Apc { kind, lane: 0 });
        self.draft.targets.push(target);
        self.draft.begin_body(target.span.after());
        Ok(())
    }

    /// Looks up the lanes that the APCs are queued to.
    pub(super) fn aim_apcs(&mut self) {
        for index in 0..self.draft.targets.len() {
            let target = self.draft.targets[index];
            if let Ok(lane) = self.lookup(Kind::Lane, target) {
                self.draft.program.apcs[index].lane = lane;
            }
        }
    }

    /// Looks up the lanes for which resources are released.
    pub(super) fn aim_releases(&mut self) {
        for release in std::mem::take(&mut self.draft.releases) {
            if let Ok(lane) = self.lookup(Kind::Lane, release.lane) {
                self.draft.aim(release, lane);
            }
        }
    }

    /// `event NAME [notification|synchronization] [signaled]`
    pub(super) fn event(&mut self, keyword: Word<'s>) -> Result<(), Reported> {
        self.begin(Part::Declarations, keyword);
        let name = self.new_name()?;
        let mut event = Event {
            kind: EventKind::Notification,
            signaled: false,
        };
        if self.peek().kind == TokenKind::Word {
            match self.keyword(&["notification", "synchronization", "signaled"])? {
                "synchronization" => event.kind = EventKind::Synchronization,
                "signaled" => event.signaled = true,
                _ => {}
            }
            if !event.signaled && self.peek().kind == TokenKind::Word {
                self.keyword(&["signaled"])?;
                event.signaled = true;
            }
        }
        let count = self.draft.program.events.len();
        self.declare(Kind::Event, name, count, limits::EVENTS);
        self.draft.names.events.push(name.text.to_owned());
        self.draft.program.events.push(event);
        Ok(())
    }

    /// `var NAME [= NUMBER]`
    pub(super) fn variable(&mut self, keyword: Word<'s>) -> Result<(), Reported> {
        self.begin(Part::Declarations, keyword);
        let name = self.new_name()?;
        let initial = if self.take(TokenKind::Equal) {
            self.signed("a number")?
        } else {
            0
        };
        let count = self.draft.program.variables.len();
        self.declare(Kind::Variable, name, count, limits::VARIABLES);
        self.draft.names.variables.push(name.text.to_owned());
        self.draft.program.variables.push(initial);
        Ok(())
    }

    /// `fast-mutex NAME`, or a lock of another kind with its word
    pub(super) fn lock(&mut self, kind: LockKind, keyword: Word<'s>) -> Result<(), Reported> {
        self.begin(Part::Declarations, keyword);
        let name = self.new_name()?;
        let count = self.draft.program.locks.len();
        self.declare(Kind::Lock, name, count, limits::LOCKS);
        self.draft.names.locks.push(name.text.to_owned());
        self.draft.program.locks.push(kind);
        Ok(())
    }

    /// `lane NAME [raw]`
    pub(super) fn lane(&mut self, keyword: Word<'s>) -> Result<(), Reported> {
        self.begin(Part::Lanes, keyword);
        let name = self.new_name();
        // Also without a good name the steps that follow are this lane's.
        let (text, end) = match &name {
            Ok(name) => (name.text, name.span.after()),
            Err(_) => ("", keyword.span.after()),
        };
        let raw = name.is_ok() && self.peek().kind == TokenKind::Word;
        let raw_read = if raw {
            self.keyword(&["raw"]).map(|_| self.last_span().after())
        } else {
            Ok(end)
        };
        let count = self.draft.lanes.len();
        self.draft
            .begin_lane(text, *raw_read.as_ref().unwrap_or(&end), raw);
        self.declare(Kind::Lane, name?, count, limits::LANES);
        raw_read.map(drop)
    }
}
