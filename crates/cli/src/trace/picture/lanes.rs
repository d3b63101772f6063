//! What is in a lane's column: bars, the thread's line, and what each row says.

use svg::node::element::{Group, Rectangle};

use super::shapes::{dot, label, line, middle, number, sized};
use super::style::{self, BAR, INK, ROW, WAIT, scope_colour, scope_letter};
use super::{Column, Scene, indent};
use crate::trace::text;
use crate::trace::timeline::{Span, Track};

impl Scene<'_> {
    /// Regions as bars, the inner ones to the right of the outer ones.
    pub(super) fn scopes(&self, column: &Column, track: &Track) -> Group {
        let mut group = Group::new();
        for scope in &track.scopes {
            let place = scope.depth.min(column.depth.saturating_sub(1));
            let x = column.bars + number(place) * BAR;
            let (from, to) = (middle(scope.span.from), self.end(scope.span));
            let bar = Rectangle::new()
                .set("x", x)
                .set("y", from)
                .set("width", BAR - 2.0)
                .set("height", (to - from).max(2.0))
                .set("rx", 2)
                .set("fill", scope_colour(scope.kind));
            let centre = x + BAR / 2.0 - 1.0;
            let letter = sized(scope_letter(scope.kind), centre, from + 7.0, style::SMALL)
                .set("text-anchor", "middle")
                .set("font-weight", "bold")
                .set("fill", "#ffffff");
            group = group.add(bar).add(letter);
        }
        group
    }

    /// The thread, its steps and its waits.
    pub(super) fn lifeline(&self, column: &Column, track: &Track) -> Group {
        let x = column.line;
        let whole = Span {
            from: track.begin,
            to: track.end,
        };
        let (from, to) = (middle(whole.from), self.end(whole));
        let mut group = Group::new().add(line((x, from), (x, to), "#8a949e", 1.2));
        for step in &track.steps {
            let (from, to) = (middle(step.span.from), self.end(step.span));
            if step.waits && to > from {
                let wait = Rectangle::new()
                    .set("x", x - WAIT / 2.0)
                    .set("y", from)
                    .set("width", WAIT)
                    .set("height", to - from)
                    .set("fill", "url(#wait)")
                    .set("stroke", "#57606a")
                    .set("stroke-width", 0.8);
                group = group.add(wait);
            } else if to > from {
                group = group.add(line((x, from), (x, to), INK, 2.6));
            }
            group = group.add(dot(x, from, 2.6, INK));
        }
        for row in [Some(track.begin), track.end].into_iter().flatten() {
            let y = middle(row);
            group = group.add(line((x - 5.0, y), (x + 5.0, y), "#57606a", 1.6));
        }
        if let Some(row) = track.timed_out {
            let y = middle(row);
            group = group
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
                ));
        }
        group
    }

    /// What each row says.
    pub(super) fn texts(&self, column: &Column, track: &Track) -> Group {
        let mut group = Group::new();
        for step in &track.steps {
            let text = self.step_text(step);
            group = group.add(label(
                &text,
                column.text + indent(step),
                middle(step.span.from),
            ));
        }
        for routine in &track.routines {
            let text = text::routine(self.test, routine);
            let text = label(&text, column.text, middle(routine.row));
            group = group.add(text.set("fill", self.apc_colour(routine.apc)));
        }
        if let Some(row) = track.timed_out {
            let text = sized(
                "timed out",
                column.text,
                middle(row) + ROW / 2.0,
                style::SMALL,
            );
            group = group.add(text.set("fill", style::ALARM));
        }
        group
    }
}
