//! A frame with two axes: what is drawn in it is cut off at its sides.

use plotters::style::{Color, RGBColor};

use super::axis::Axis;
use super::colour;
use super::error::DrawError;
use super::picture::{self, Picture, Place, Side, Stroke, Text};

/// Of the letters at axes.
pub const SMALL: f64 = 17.0;
/// Of what axes are called, and of legends.
pub const MEDIUM: f64 = 19.0;
const TICK: f64 = 6.0;

/// A place for curves.
#[derive(Debug, Clone)]
pub struct Frame {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    pub x: Axis,
    pub y: Axis,
}

impl Frame {
    /// Where values are in the picture.
    pub fn at(&self, x: f64, y: f64) -> Place {
        (
            self.left + (self.right - self.left) * self.x.share(x),
            self.bottom - (self.bottom - self.top) * self.y.share(y),
        )
    }

    /// Rules, axes and words. What lies within goes on top, and [`Frame::border`] last.
    pub fn axes(&self, picture: &mut Picture, x_label: &str, y_label: &str) -> Result<(), DrawError> {
        let rule = Stroke::new(colour::RULE, 1.0);
        let most = |length: f64, each: f64| ((length / each) as usize).clamp(3, 9);
        for (tick, text) in self.x.ticks(most(self.right - self.left, 70.0)) {
            let x = self.at(tick, self.y.from).0;
            picture.line(vec![(x, self.top), (x, self.bottom)], rule);
            picture.line(vec![(x, self.bottom), (x, self.bottom + TICK)], Stroke::new(colour::INK, 1.3));
            picture.text((x, self.bottom + TICK + 12.0), text, Text::new(SMALL, Side::Middle));
        }
        let mut widest = 0.0f64;
        for (tick, text) in self.y.ticks(most(self.bottom - self.top, 50.0)) {
            let y = self.at(self.x.from, tick).1;
            picture.line(vec![(self.left, y), (self.right, y)], rule);
            picture.line(vec![(self.left - TICK, y), (self.left, y)], Stroke::new(colour::INK, 1.3));
            widest = widest.max(picture::width(&text, SMALL)?);
            picture.text((self.left - TICK - 4.0, y), text, Text::new(SMALL, Side::Right));
        }
        let middle = ((self.left + self.right) / 2.0, (self.top + self.bottom) / 2.0);
        picture.text((middle.0, self.bottom + 48.0), x_label, Text::new(MEDIUM, Side::Middle));
        let upright = Text { is_upright: true, ..Text::new(MEDIUM, Side::Middle) };
        // Not beyond what is left beside a frame.
        let x = self.left - (widest + 30.0).min(84.0);
        picture.text((x, middle.1), y_label, upright);
        Ok(())
    }

    /// The frame itself.
    pub fn border(&self, picture: &mut Picture) {
        let (left, right, top, bottom) = (self.left, self.right, self.top, self.bottom);
        let around = vec![(left, top), (left, bottom), (right, bottom), (right, top), (left, top)];
        picture.line(around, Stroke::new(colour::INK, 1.3));
    }

    /// A line through values, with gaps where one has no place.
    pub fn line(&self, picture: &mut Picture, values: &[(f64, f64)], stroke: Stroke) {
        let mut open: Vec<Place> = Vec::new();
        for pair in values.windows(2) {
            let [from, to] = [self.at(pair[0].0, pair[0].1), self.at(pair[1].0, pair[1].1)];
            match self.cut(from, to) {
                Some([start, end]) => {
                    if open.last() != Some(&start) {
                        picture.line(std::mem::take(&mut open), stroke);
                        open.push(start);
                    }
                    open.push(end);
                }
                None => picture.line(std::mem::take(&mut open), stroke),
            }
        }
        picture.line(open, stroke);
    }

    /// The part of a straight line that is within (Liang and Barsky, 1984).
    fn cut(&self, from: Place, to: Place) -> Option<[Place; 2]> {
        if ![from.0, from.1, to.0, to.1].iter().all(|place| place.is_finite()) {
            return None;
        }
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let sides = [
            (-dx, from.0 - self.left),
            (dx, self.right - from.0),
            (-dy, from.1 - self.top),
            (dy, self.bottom - from.1),
        ];
        let (mut first, mut last) = (0.0f64, 1.0f64);
        for (slope, room) in sides {
            // What rounding puts outside is inside.
            let room = room + 1e-6;
            if slope == 0.0 && room < 0.0 {
                return None;
            }
            if slope < 0.0 {
                first = first.max(room / slope);
            }
            if slope > 0.0 {
                last = last.min(room / slope);
            }
        }
        let at = |share: f64| match share {
            0.0 => from,
            1.0 => to,
            _ => (from.0 + dx * share, from.1 + dy * share),
        };
        (first <= last).then(|| [at(first), at(last)])
    }

    /// What lies between two lines: x, and the two values there, which are finite.
    pub fn band(&self, picture: &mut Picture, values: &[(f64, f64, f64)], colour: RGBColor) {
        let upper = values.iter().map(|&(x, _, high)| self.at(x, high));
        let lower = values.iter().rev().map(|&(x, low, _)| self.at(x, low));
        let around: Vec<Place> =
            upper.chain(lower).filter(|at| at.0.is_finite() && at.1.is_finite()).collect();
        let around = half(&around, |y| y - self.top);
        let around = half(&around, |y| self.bottom - y);
        picture.area(around, colour.mix(0.2));
    }

    /// Whether values have a place in it.
    pub fn contains(&self, x: f64, y: f64) -> bool {
        let within = |share: f64| (-1e-9..=1.0 + 1e-9).contains(&share);
        within(self.x.share(x)) && within(self.y.share(y))
    }
}

/// The part of a polygon where this is not negative (Sutherland and Hodgman, 1974).
fn half(places: &[Place], room: impl Fn(f64) -> f64) -> Vec<Place> {
    let mut kept = Vec::new();
    for (i, &to) in places.iter().enumerate() {
        let from = places[(i + places.len() - 1) % places.len()];
        let (before, after) = (room(from.1), room(to.1));
        if (before < 0.0) != (after < 0.0) {
            let share = before / (before - after);
            kept.push((from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share));
        }
        if after >= 0.0 {
            kept.push(to);
        }
    }
    kept
}
