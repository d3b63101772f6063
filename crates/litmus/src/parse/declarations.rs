//! The declarations: APCs, events, variables, locks, and the heads of the lanes.

use apclab_protocol::limits;
use apclab_protocol::program::{Apc, ApcKind, Event, EventKind, LockKind, Place};

use super::cursor::Word;
use super::draft::LaneSort;
use super::symbols::Kind;
use super::{Parser, Part};
use crate::report::Reported;
use crate::token::TokenKind;
use crate::words::apc_word;

impl<'s> Parser<'s> {
    /// `apc NAME KIND to LANE`; the steps that follow are its body, if its kind has one
    pub(super) fn apc(&mut self, keyword: Word<'s>) -> Result<(), Reported> {
        self.begin(Part::Declarations, keyword);
        let name = self.new_name()?;
        let word = self.keyword(&ApcKind::ALL.map(apc_word))?;
        let kind = ApcKind::ALL
            .into_iter()
            .find(|kind| apc_word(*kind) == word);
        let kind = kind.ok_or(Reported)?;
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
                self.check_target(self.draft.program.apcs[index].kind, lane, target);
            }
        }
    }

    /// The driver's APCs run in its own threads, all others in threads of user mode.
    fn check_target(&mut self, kind: ApcKind, lane: u8, target: Word<'s>) {
        let word = apc_word(kind);
        if self.draft.is_caller(lane) != kind.of_driver() {
            return;
        }
        if kind.of_driver() {
            let message = format!("`{}` is a caller lane", target.text);
            let label = format!("a `{word}` APC is queued to a lane of the driver's own");
            self.error(target.span, message, label, None);
        } else {
            self.no_caller(target, &format!("a `{word}` APC is one of a caller lane"));
        }
    }

    fn no_caller(&mut self, lane: Word<'s>, label: &str) {
        let message = format!("`{}` is no caller lane", lane.text);
        let help = format!("it would be one with `lane {} caller`", lane.text);
        self.error(lane.span, message, label, Some(help));
    }

    /// Looks up the lanes that steps name.
    pub(super) fn aim_steps(&mut self) {
        for named in std::mem::take(&mut self.draft.named_lanes) {
            if let Ok(lane) = self.lookup(Kind::Lane, named.lane) {
                self.draft.aim(named, lane);
                if named.caller && !self.draft.is_caller(lane) {
                    let label = "only the thread of a caller lane is suspended and resumed";
                    self.no_caller(named.lane, label);
                }
            }
        }
    }

    /// A request is started only by the lane to which its completion is queued.
    pub(super) fn check_starts(&mut self) {
        // With an earlier error, the completion may be aimed at no lane yet.
        if !self.report.is_empty() {
            return;
        }
        for (apc, place, span) in self.draft.starts().collect::<Vec<_>>() {
            let Some(declared) = self.draft.program.apcs.get(usize::from(apc)) else {
                continue;
            };
            if place == Place::Lane(declared.lane) {
                continue;
            }
            let lane = self.draft.names.of_place(Place::Lane(declared.lane));
            let name = self.draft.names.of_place(Place::Body(apc));
            let message = format!("`{name}` is a completion of lane `{lane}`");
            let label = format!("only lane `{lane}` starts its request");
            self.error(span, message, label, None);
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

    /// What may stand behind a lane's name.
    fn lane_sort(&mut self) -> Result<LaneSort, Reported> {
        let start = self.peek().span;
        let first = self.keyword(&["raw", "caller"])?;
        if self.peek().kind == TokenKind::Word && matches!(self.here().text, "raw" | "caller") {
            self.bump();
            let span = start.to(self.last_span());
            let label = "expected one of the two words";
            self.error(span, "a caller lane cannot be raw", label, None);
        }
        Ok(if first == "raw" {
            LaneSort::Raw
        } else {
            LaneSort::Caller
        })
    }

    /// `lane NAME [raw|caller]`
    pub(super) fn lane(&mut self, keyword: Word<'s>) -> Result<(), Reported> {
        self.begin(Part::Lanes, keyword);
        let name = self.new_name();
        // Also without a good name the steps that follow are this lane's.
        let (text, end) = match &name {
            Ok(name) => (name.text, name.span.after()),
            Err(_) => ("", keyword.span.after()),
        };
        let (sort, end) = if name.is_ok() && self.peek().kind == TokenKind::Word {
            (self.lane_sort(), self.last_span().after())
        } else {
            (Ok(LaneSort::Plain), end)
        };
        let count = self.draft.lanes.len();
        let begun = *sort.as_ref().unwrap_or(&LaneSort::Plain);
        self.draft.begin_lane(text, end, begun);
        self.declare(Kind::Lane, name?, count, limits::LANES);
        sort.map(drop)
    }
}
