//! APCs on their way.

use svg::node::element::{Group, Rectangle};

use super::shapes::{dot, line, middle, polygon, sized};
use super::style;
use super::{Column, Scene};
use crate::trace::text;
use crate::trace::timeline::Flight;

impl Scene<'_> {
    /// An APC from its insertion to its routines.
    pub(super) fn flight(&self, flight: &Flight, columns: &[Column]) -> Group {
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
}
