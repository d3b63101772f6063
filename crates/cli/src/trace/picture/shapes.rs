//! Shapes and lengths.

use svg::node::element::{Circle, Definitions, Line, Path, Pattern, Polygon, Rectangle, Text};

use super::style::{self, HEAD, ROW};

/// The middle of a row.
pub(super) fn middle(row: usize) -> f64 {
    HEAD + number(row) * ROW + ROW / 2.0
}

/// A count as a length. No trace has so many rows that a double could not count them.
#[allow(clippy::cast_precision_loss, reason = "see above")]
pub(super) fn number(count: usize) -> f64 {
    count as f64
}

/// A text of the usual size whose middle is at that height.
pub(super) fn label(text: &str, x: f64, y: f64) -> Text {
    sized(text, x, y, style::SIZE)
}

/// A text whose middle is at that height. Not every program that shows pictures knows
/// `dominant-baseline`, so the baseline is put where half a capital letter is above it.
pub(super) fn sized(text: &str, x: f64, y: f64, size: f64) -> Text {
    Text::new(text)
        .set("x", x)
        .set("y", y + size * 0.36)
        .set("font-size", size)
        .set("xml:space", "preserve")
}

pub(super) fn line(from: (f64, f64), to: (f64, f64), colour: &str, width: f64) -> Line {
    Line::new()
        .set("x1", from.0)
        .set("y1", from.1)
        .set("x2", to.0)
        .set("y2", to.1)
        .set("stroke", colour)
        .set("stroke-width", width)
}

pub(super) fn dot(x: f64, y: f64, radius: f64, colour: &str) -> Circle {
    Circle::new()
        .set("cx", x)
        .set("cy", y)
        .set("r", radius)
        .set("fill", colour)
}

pub(super) fn polygon(corners: &[(f64, f64)]) -> Polygon {
    let corners: Vec<String> = corners.iter().map(|(x, y)| format!("{x},{y}")).collect();
    Polygon::new().set("points", corners.join(" "))
}

/// The pattern of waits.
pub(super) fn hatching() -> Definitions {
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
