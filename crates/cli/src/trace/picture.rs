//! A timeline as a picture: a lane is a column, time runs from the top down.

mod legend;
mod style;

use apclab_litmus::Test;
use apclab_protocol::program::Place;
use svg::Document;
use svg::node::element::{
    Circle, Definitions, Group, Line, Path, Pattern, Polygon, Rectangle, Text,
};

use self::style::{
    BAR, CHAR, HEAD, INK, LANE, MARGIN, PAD, QUIET, ROW, SLOT, TIME, WAIT, apc_colour,
    scope_colour, scope_letter,
};
use super::text;
use super::timeline::{Executed, Flight, Span, Timeline, Track};
use crate::input::StepTexts;

/// What is drawn.
pub(crate) struct Scene<'a> {
    pub(crate) test: &'a Test,
    pub(crate) timeline: &'a Timeline,
    /// The text of each step.
    pub(crate) texts: &'a StepTexts,
    /// What is said beneath the test's name.
    pub(crate) subtitle: &'a str,
    /// Ticks of the trace's clock in a second; 0 when there is no clock.
    pub(crate) frequency: u64,
}

/// Where the parts of a lane's column are, from the left edge of the picture.
struct Column {
    left: f64,
    width: f64,
    bars: f64,
    /// How many bars are drawn side by side.
    depth: usize,
    line: f64,
    flights: f64,
    text: f64,
}

impl Column {
    fn right(&self) -> f64 {
        self.left + self.width
    }

    fn slot(&self, slot: usize) -> f64 {
        self.flights + number(slot) * SLOT
    }
}

/// Bars of nested regions that are drawn side by side; deeper ones share the last.
const DEEPEST: usize = 8;

impl Scene<'_> {
    /// Draws the picture.
    pub(crate) fn draw(&self) -> Document {
        let columns = self.columns();
        let legend = legend::items(self.test, self.timeline);
        let right = columns.last().map_or(MARGIN, Column::right) + MARGIN;
        let width = right.max(self.title_width()).max(style::WIDTH);
        let bottom = middle(self.timeline.rows.len()) + PAD;
        let (key, height) = legend::draw(&legend, bottom + PAD, width);
        let mut drawing = Group::new().set("font-family", "DejaVu Sans Mono, Consolas, monospace");
        drawing = drawing.set("fill", INK);
        let background = Rectangle::new().set("width", width).set("height", height);
        drawing = drawing
            .add(background.set("fill", "#ffffff"))
            .add(self.title());
        for (lane, column) in columns.iter().enumerate() {
            drawing = drawing.add(self.backdrop(lane, column, bottom));
        }
        drawing = drawing.add(self.grid(right - MARGIN));
        for (column, track) in columns.iter().zip(&self.timeline.lanes) {
            drawing = drawing.add(self.scopes(column, track));
            drawing = drawing.add(self.lifeline(column, track));
        }
        for flight in &self.timeline.flights {
            drawing = drawing.add(self.flight(flight, &columns));
        }
        for (column, track) in columns.iter().zip(&self.timeline.lanes) {
            drawing = drawing.add(self.texts(column, track));
        }
        Document::new()
            .set("viewBox", (0, 0, width.ceil(), height.ceil()))
            .set("width", width.ceil())
            .set("height", height.ceil())
            .set("role", "img")
            .add(svg::node::element::Title::new(self.test.name.as_str()))
            .add(hatching())
            .add(drawing.add(key))
    }

    /// The end of a span, or of the picture for one that does not end.
    fn end(&self, span: Span) -> f64 {
        middle(span.to.unwrap_or(self.timeline.rows.len()))
    }

    fn columns(&self) -> Vec<Column> {
        let mut left = MARGIN + if self.frequency > 0 { TIME } else { 0.0 };
        let mut columns = Vec::new();
        for (lane, track) in self.timeline.lanes.iter().enumerate() {
            let depths = track.scopes.iter().map(|scope| scope.depth + 1);
            let depth = depths.max().unwrap_or(0).min(DEEPEST);
            let here = self.timeline.flights.iter().filter(|f| f.to_lane == lane);
            let slots = here.map(|flight| flight.slot + 1).max().unwrap_or(0);
            let bars = left + PAD;
            let line = bars + number(depth) * BAR + PAD;
            let flights = line + SLOT;
            let text = flights + number(slots) * SLOT + if slots > 0 { 2.0 } else { 0.0 };
            let longest = self.longest(lane, track);
            let level = if track.raised.is_empty() {
                0
            } else {
                LEVEL.len()
            };
            let text_width = longest + number(level) * CHAR + PAD;
            let width = (text + text_width - left).max(LANE);
            columns.push(Column {
                left,
                width,
                bars,
                depth,
                line,
                flights,
                text,
            });
            left += width + PAD;
        }
        columns
    }

    /// Width of the longest text in a lane.
    fn longest(&self, lane: usize, track: &Track) -> f64 {
        let steps = track.steps.iter().map(|step| self.text_width(step));
        let width = |text: &str| number(text.chars().count()) * CHAR;
        let routines = track.routines.iter();
        let routines = routines.map(|routine| width(&text::routine(self.test, routine)));
        let name = width("lane ") + width(text::lane_name(self.test, lane));
        steps.chain(routines).fold(name, f64::max)
    }

    fn apc_colour(&self, apc: u8) -> &'static str {
        apc_colour(self.test.program.apcs.get(usize::from(apc)))
    }

    fn step_text(&self, step: &Executed) -> String {
        text::step(self.texts, step)
    }

    /// Width of a step's text with its indentation.
    fn text_width(&self, step: &Executed) -> f64 {
        indent(step) + number(self.step_text(step).chars().count()) * CHAR
    }

    fn title_width(&self) -> f64 {
        let name = number(self.test.name.chars().count()) * CHAR * 1.35;
        let subtitle = number(self.subtitle.chars().count()) * CHAR;
        name.max(subtitle) + 2.0 * MARGIN
    }

    fn title(&self) -> Group {
        let name = sized(&self.test.name, MARGIN, MARGIN + 12.0, 16.0);
        Group::new()
            .add(name.set("font-weight", "bold"))
            .add(label(self.subtitle, MARGIN, MARGIN + 32.0).set("fill", QUIET))
    }

    /// The column itself, its name, and the rows at APC_LEVEL.
    fn backdrop(&self, lane: usize, column: &Column, bottom: f64) -> Group {
        let top = HEAD - ROW - PAD;
        let field = |y: f64, height: f64, colour: &str| {
            Rectangle::new()
                .set("x", column.left)
                .set("y", y)
                .set("width", column.width)
                .set("height", height)
                .set("fill", colour)
        };
        let mut group = Group::new()
            .add(field(top, bottom - top, "#f6f8fa").set("rx", 6))
            .add(field(top, ROW, "#dde3ea").set("rx", 6))
            .add(
                label(
                    &format!("lane {}", text::lane_name(self.test, lane)),
                    column.left + PAD,
                    top + ROW / 2.0,
                )
                .set("font-weight", "bold"),
            );
        for span in &self.timeline.lanes[lane].raised {
            let (from, to) = (middle(span.from), self.end(*span));
            group = group.add(field(from, to - from, style::RAISED)).add(
                sized(LEVEL, column.right() - 4.0, from + 7.0, style::SMALL)
                    .set("text-anchor", "end")
                    .set("fill", style::RAISED_INK),
            );
        }
        group
    }

    /// A faint line under each row, and the time of each where there is a clock.
    fn grid(&self, right: f64) -> Group {
        let mut group = Group::new();
        let first = self.timeline.rows.first().copied().unwrap_or(0);
        for (row, time) in self.timeline.rows.iter().enumerate() {
            let y = middle(row);
            let beneath = y + ROW / 2.0;
            group = group.add(line((MARGIN, beneath), (right, beneath), "#e6eaef", 0.6));
            if self.frequency > 0 {
                let time = self.time(time.saturating_sub(first));
                let at = sized(&time, MARGIN + TIME - PAD, y, style::SMALL);
                group = group.add(at.set("text-anchor", "end").set("fill", QUIET));
            }
        }
        group
    }

    /// A time since the first record in microseconds. What a double cannot hold exactly is far below
    /// what is shown.
    #[allow(clippy::cast_precision_loss, reason = "see above")]
    fn time(&self, ticks: u64) -> String {
        format!("{:.1} µs", ticks as f64 * 1e6 / self.frequency as f64)
    }

    /// Regions as bars, the inner ones to the right of the outer ones.
    fn scopes(&self, column: &Column, track: &Track) -> Group {
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
    fn lifeline(&self, column: &Column, track: &Track) -> Group {
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

    /// An APC from its insertion to its routines.
    fn flight(&self, flight: &Flight, columns: &[Column]) -> Group {
        let colour = self.apc_colour(flight.apc);
        let (Some(from), Some(to)) = (columns.get(flight.from_lane), columns.get(flight.to_lane))
        else {
            return Group::new();
        };
        let x = to.slot(flight.slot);
        let top = middle(flight.span.from);
        let bottom = self.end(flight.span);
        let queue = line((x, top), (x, bottom), colour, 1.4).set("stroke-dasharray", "3 3");
        let mut group = Group::new().add(queue);
        if flight.from_lane == flight.to_lane {
            group = group.add(line((to.line, top), (x, top), colour, 1.4));
        } else {
            group = group.add(self.arrow(flight, from, x, top));
        }
        let diamond = [
            (x, top - 5.0),
            (x + 5.0, top),
            (x, top + 5.0),
            (x - 5.0, top),
        ];
        group = group.add(
            polygon(&diamond)
                .set("fill", "#ffffff")
                .set("stroke", colour)
                .set("stroke-width", 1.4),
        );
        if let Some(row) = flight.span.to {
            let y = middle(row);
            if let Some(normal) = flight.normal {
                let end = middle(normal);
                group = group
                    .add(line((x, y), (x, end), colour, 1.4))
                    .add(dot(x, end, 4.6, colour));
            }
            let square = Rectangle::new().set("width", 9).set("height", 9);
            let square = square.set("x", x - 4.5).set("y", y - 4.5);
            group = group.add(square.set("fill", colour));
        }
        group
    }

    /// From the step that queues an APC to the queue of another lane, whose line is at `x`.
    fn arrow(&self, flight: &Flight, from: &Column, x: f64, y: f64) -> Group {
        let colour = self.apc_colour(flight.apc);
        let to_the_right = flight.from_lane < flight.to_lane;
        let steps = &self.timeline.lanes[flight.from_lane].steps;
        let mut earlier = steps.iter().rev();
        let queues = earlier.find(|step| step.span.from <= flight.span.from);
        let text = queues
            .filter(|step| step.span.from == flight.span.from)
            .map_or(0.0, |step| self.text_width(step));
        // To the right it begins behind the text of the step, if that is in this row.
        let (start, tip, back, anchor) = if to_the_right && text > 0.0 {
            (from.text + text + 10.0, x - 6.0, -7.0, "end")
        } else if to_the_right {
            (from.line + 4.0, x - 6.0, -7.0, "end")
        } else {
            (from.line - 6.0, x + 6.0, 7.0, "start")
        };
        let head = [(tip, y), (tip + back, y - 3.5), (tip + back, y + 3.5)];
        let name = text::apc_name(self.test, flight.apc);
        let name = sized(name, tip + 2.0 * back, y - 6.0, style::SMALL)
            .set("text-anchor", anchor)
            .set("fill", colour);
        Group::new()
            .add(line((start, y), (tip + back, y), "#ffffff", 4.0))
            .add(line((start, y), (tip + back, y), colour, 1.4))
            .add(polygon(&head).set("fill", colour))
            .add(name)
    }

    /// What each row says.
    fn texts(&self, column: &Column, track: &Track) -> Group {
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

/// What is written where a lane is at APC_LEVEL.
const LEVEL: &str = "APC_LEVEL";

/// Steps of an APC's body stand apart from those of the lane.
fn indent(step: &Executed) -> f64 {
    match step.place {
        Place::Lane(_) => 0.0,
        Place::Body(_) => 2.0 * CHAR,
    }
}

/// The middle of a row.
fn middle(row: usize) -> f64 {
    HEAD + number(row) * ROW + ROW / 2.0
}

/// A count as a length. No trace has so many rows that a double could not count them.
#[allow(clippy::cast_precision_loss, reason = "see above")]
fn number(count: usize) -> f64 {
    count as f64
}

/// A text of the usual size whose middle is at that height.
fn label(text: &str, x: f64, y: f64) -> Text {
    sized(text, x, y, style::SIZE)
}

/// A text whose middle is at that height. Not every program that shows pictures knows
/// `dominant-baseline`, so the baseline is put where half a capital letter is above it.
fn sized(text: &str, x: f64, y: f64, size: f64) -> Text {
    Text::new(text)
        .set("x", x)
        .set("y", y + size * 0.36)
        .set("font-size", size)
        .set("xml:space", "preserve")
}

fn line(from: (f64, f64), to: (f64, f64), colour: &str, width: f64) -> Line {
    Line::new()
        .set("x1", from.0)
        .set("y1", from.1)
        .set("x2", to.0)
        .set("y2", to.1)
        .set("stroke", colour)
        .set("stroke-width", width)
}

fn dot(x: f64, y: f64, radius: f64, colour: &str) -> Circle {
    Circle::new()
        .set("cx", x)
        .set("cy", y)
        .set("r", radius)
        .set("fill", colour)
}

fn polygon(corners: &[(f64, f64)]) -> Polygon {
    let corners: Vec<String> = corners.iter().map(|(x, y)| format!("{x},{y}")).collect();
    Polygon::new().set("points", corners.join(" "))
}

/// The pattern of waits.
fn hatching() -> Definitions {
    let ground = Rectangle::new()
        .set("width", 6)
        .set("height", 6)
        .set("fill", "#ffffff");
    let stroke = Path::new().set("d", "M-1,1 l2,-2 M0,6 l6,-6 M5,7 l2,-2");
    Definitions::new().add(
        Pattern::new()
            .set("id", "wait")
            .set("width", 6)
            .set("height", 6)
            .set("patternUnits", "userSpaceOnUse")
            .add(ground)
            .add(stroke.set("stroke", "#57606a").set("stroke-width", 1.2)),
    )
}
