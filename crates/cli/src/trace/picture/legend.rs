//! What the marks mean: those that occur in the picture.

use std::collections::BTreeSet;

use apclab_litmus::Test;
use svg::node::element::{Group, Rectangle};

use super::shapes::{dot, label, line, number, polygon, sized};
use super::style::{self, BAR, CHAR, INK, MARGIN, PAD, ROW, WAIT};
use crate::trace::timeline::{RoutineKind, ScopeKind, Timeline};

/// A mark that needs a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Item {
    Scope(ScopeKind),
    Raised,
    Wait,
    TimedOut,
    Queued { special: bool },
    Routine { special: bool, normal: bool },
}

impl Item {
    fn text(self) -> String {
        match self {
            Self::Scope(kind) => style::scope_name(kind).to_owned(),
            Self::Raised => "IRQL APC_LEVEL".to_owned(),
            Self::Wait => "waits".to_owned(),
            Self::TimedOut => "timed out".to_owned(),
            Self::Queued { special } => format!("{} APC arrives and is queued", kind(special)),
            Self::Routine { special, normal } => {
                let which = if normal { "normal" } else { "kernel" };
                format!("{which} routine of a {} APC", kind(special))
            }
        }
    }

    /// The mark, around a point.
    fn mark(self, x: f64, y: f64) -> Group {
        let square = |width: f64, height: f64| {
            Rectangle::new()
                .set("x", x - width / 2.0)
                .set("y", y - height / 2.0)
                .set("width", width)
                .set("height", height)
        };
        match self {
            Self::Scope(kind) => {
                let letter = sized(style::scope_letter(kind), x, y, style::SMALL);
                let letter = letter.set("text-anchor", "middle").set("fill", "#ffffff");
                Group::new()
                    .add(
                        square(BAR - 2.0, 16.0)
                            .set("rx", 2)
                            .set("fill", style::scope_colour(kind)),
                    )
                    .add(letter.set("font-weight", "bold"))
            }
            Self::Raised => Group::new().add(square(16.0, 14.0).set("fill", style::RAISED)),
            Self::Wait => {
                let wait = square(WAIT, 16.0).set("fill", "url(#wait)");
                Group::new().add(wait.set("stroke", style::QUIET).set("stroke-width", 0.8))
            }
            Self::TimedOut => Group::new()
                .add(line(
                    (x - 5.0, y - 5.0),
                    (x + 5.0, y + 5.0),
                    style::ALARM,
                    2.4,
                ))
                .add(line(
                    (x - 5.0, y + 5.0),
                    (x + 5.0, y - 5.0),
                    style::ALARM,
                    2.4,
                )),
            Self::Queued { special } => {
                let diamond = [
                    (x, y - 8.0),
                    (x + 5.0, y - 3.0),
                    (x, y + 2.0),
                    (x - 5.0, y - 3.0),
                ];
                let queue = line((x, y + 2.0), (x, y + 10.0), colour(special), 1.4);
                Group::new().add(queue.set("stroke-dasharray", "3 3")).add(
                    polygon(&diamond)
                        .set("fill", "#ffffff")
                        .set("stroke", colour(special))
                        .set("stroke-width", 1.4),
                )
            }
            Self::Routine { special, normal } if normal => {
                Group::new().add(dot(x, y, 4.6, colour(special)))
            }
            Self::Routine { special, .. } => {
                Group::new().add(square(9.0, 9.0).set("fill", colour(special)))
            }
        }
    }
}

const fn kind(special: bool) -> &'static str {
    if special { "special" } else { "normal" }
}

const fn colour(special: bool) -> &'static str {
    if special {
        style::SPECIAL
    } else {
        style::NORMAL
    }
}

/// The marks that a picture of this timeline has.
pub(super) fn items(test: &Test, timeline: &Timeline) -> BTreeSet<Item> {
    let special = |apc: u8| {
        let apc = test.program.apcs.get(usize::from(apc));
        style::apc_colour(apc) == style::SPECIAL
    };
    let mut items = BTreeSet::new();
    for track in &timeline.lanes {
        items.extend(track.scopes.iter().map(|scope| Item::Scope(scope.kind)));
        items.extend(track.raised.first().map(|_| Item::Raised));
        items.extend(track.timed_out.map(|_| Item::TimedOut));
        let waits = |step: &crate::trace::timeline::Executed| {
            step.waits && step.span.to != Some(step.span.from)
        };
        items.extend(
            track
                .steps
                .iter()
                .find(|step| waits(step))
                .map(|_| Item::Wait),
        );
        items.extend(track.routines.iter().map(|routine| Item::Routine {
            special: special(routine.apc),
            normal: routine.kind == RoutineKind::Normal,
        }));
    }
    items.extend(timeline.flights.iter().map(|flight| Item::Queued {
        special: special(flight.apc),
    }));
    items
}

/// Draws the legend from a height on; gives it and the height at which it ends.
pub(super) fn draw(items: &BTreeSet<Item>, top: f64, width: f64) -> (Group, f64) {
    let mut group = Group::new();
    let (mut x, mut y) = (MARGIN, top + ROW / 2.0);
    for item in items {
        let text = item.text();
        let needs = 20.0 + number(text.chars().count()) * CHAR + 2.0 * PAD;
        if x > MARGIN && x + needs > width {
            (x, y) = (MARGIN, y + ROW);
        }
        group = group
            .add(item.mark(x + 8.0, y))
            .add(label(&text, x + 22.0, y).set("fill", INK));
        x += needs;
    }
    (group, y + ROW)
}
