//! A timeline as a picture: a lane is a column, time runs from the top down.

mod flights;
mod lanes;
mod legend;
mod shapes;
mod style;

use apclab_litmus::Test;
use apclab_protocol::program::Place;
use svg::Document;
use svg::node::element::{Group, Rectangle};

use self::shapes::{hatching, label, line, middle, number, sized};
use self::style::{BAR, CHAR, HEAD, INK, LANE, MARGIN, PAD, QUIET, ROW, SLOT, TIME, apc_colour};
use super::text;
use super::timeline::{Executed, Span, Timeline, Track};
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
