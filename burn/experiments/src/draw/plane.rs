//! Scores on a plane of weights, with the fast weights' path and the slow ones' step on it.

use super::axis::Axis;
use super::colour::{self, INK, PAPER, SLOW_ON_MAP};
use super::colour_bar;
use super::contour::Surface;
use super::error::DrawError;
use super::frame::Frame;
use super::legend::{Entry, sample};
use super::measure::{Measure, Scale};
use super::picture::{Picture, Place, Side, Stroke, Text};
use crate::run::record::{Plane, Record};

const HEIGHT: u32 = 600;
const LEVELS: usize = 14;
/// The side of what has one colour.
const GRAIN: f64 = 1.0;

/// Draws a run's plane.
pub fn draw(record: &Record, measure: &Measure) -> Result<Picture, DrawError> {
    let method = record.run.method.to_string();
    let Some(probe) = &record.probe else { return Err(DrawError::NoProbe(method)) };
    let plane = &probe.plane;
    let surface = surface(plane, measure)?;
    let values = surface.values.iter().flatten();
    let values =
        values.filter(|value| value.is_finite() && (measure.scale == Scale::Linear || **value > 0.0));
    let extremes = values
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)));
    let (Some((x_from, x_to)), Some((y_from, y_to)), true) =
        (ends(&plane.x), ends(&plane.y), extremes.0 <= extremes.1)
    else {
        return Err(DrawError::NothingFinite { what: method, quantity: measure.label.clone() });
    };
    let [low, high] = measure.range.unwrap_or([extremes.0, extremes.1]);
    let scale = Axis::new(low, high, measure.scale);

    // Both axes have the same unit of length, and the whole must not be too narrow or too wide.
    let (left, top) = (100.0, 56.0);
    let height = f64::from(HEIGHT) - top - 94.0;
    let width = (height * (x_to - x_from) / (y_to - y_from)).clamp(360.0, 1000.0);
    let height = (width * (y_to - y_from) / (x_to - x_from)).clamp(160.0, height);
    let frame = Frame {
        left,
        right: (left + width).round(),
        top,
        bottom: (top + height).round(),
        x: Axis::new(x_from, x_to, Scale::Linear),
        y: Axis::new(y_from, y_to, Scale::Linear),
    };
    let whole = ((frame.right + 165.0) as u32, (frame.bottom + 94.0) as u32);
    let mut picture = Picture::new(whole.0, whole.1);
    frame.axes(&mut picture, "along the cycle", "across")?;
    fill(&mut picture, &frame, &surface, &scale);
    draw_contours(&mut picture, &frame, &surface, &scale);
    draw_paths(&mut picture, &frame, plane);
    frame.border(&mut picture);
    colour_bar::draw(&mut picture, &scale, &measure.label, [frame.right + 30.0, frame.top, frame.bottom])?;
    draw_legend(&mut picture, (left, 28.0));
    let style = Text::new(15.0, Side::Right).colour(colour::FAINT);
    let words = "unit: distance from the first to the last fast weights";
    picture.text((frame.right + 130.0, frame.bottom + 76.0), words, style);
    Ok(picture)
}

fn surface<'a>(plane: &'a Plane, measure: &Measure) -> Result<Surface<'a>, DrawError> {
    let (rows, columns) = (plane.y.len(), plane.x.len());
    let fits = plane.scores.len() == rows && plane.scores.iter().all(|row| row.len() == columns);
    if !fits || rows < 2 || columns < 2 {
        return Err(DrawError::PlaneSize { rows, columns });
    }
    let value = |scores| measure.quantity.of_scores(scores).unwrap_or(f64::NAN);
    let values = plane.scores.iter().map(|row| row.iter().map(|&scores| value(scores)).collect());
    Ok(Surface { x: &plane.x, y: &plane.y, values: values.collect() })
}

/// The first and the last, if they rise.
fn ends(coordinates: &[f64]) -> Option<(f64, f64)> {
    let (first, last) = (*coordinates.first()?, *coordinates.last()?);
    (first < last && (last - first).is_finite()).then_some((first, last))
}

/// A level's share of the colours, so that there are as many as contours.
fn step(share: f64) -> f64 {
    let level = (share.clamp(0.0, 1.0) * LEVELS as f64).floor().min(LEVELS as f64 - 1.0);
    (level + 0.5) / LEVELS as f64
}

/// Row after row, runs of one colour as one block: few marks, and no seams between them.
fn fill(picture: &mut Picture, frame: &Frame, surface: &Surface<'_>, scale: &Axis) {
    let width = frame.right - frame.left;
    let rows = ((frame.bottom - frame.top) / GRAIN).round() as usize;
    let columns = (width / GRAIN).round() as usize;
    let (x, y) = (frame.x, frame.y);
    for row in 0..rows {
        let top = frame.top + GRAIN * row as f64;
        let share = (row as f64 + 0.5) / rows as f64;
        let at = y.to + (y.from - y.to) * share;
        let colour_at = |column: usize| {
            let share = (column as f64 + 0.5) / columns as f64;
            let value = surface.at(x.from + (x.to - x.from) * share, at);
            let share = value.map(|value| scale.share(value)).filter(|share| share.is_finite());
            share.map_or(colour::NONE, |share| colour::map(step(share)))
        };
        let mut start = 0;
        for column in 1..=columns {
            let before = colour_at(column - 1);
            if column == columns || colour_at(column) != before {
                let place = |column: usize, y| (frame.left + GRAIN * column as f64, y);
                picture.block(place(start, top), place(column, top + GRAIN), before);
                start = column;
            }
        }
    }
}

fn draw_contours(picture: &mut Picture, frame: &Frame, surface: &Surface<'_>, scale: &Axis) {
    for i in 1..LEVELS {
        let share = i as f64 / LEVELS as f64;
        let level = match scale.scale {
            Scale::Linear => scale.from + (scale.to - scale.from) * share,
            Scale::Log => scale.from * (scale.to / scale.from).powf(share),
        };
        for [from, to] in surface.contour(level) {
            frame.line(picture, &[from, to], Stroke::new(colour::map(share - 0.12), 1.0));
        }
    }
}

const FAST_LINE: Stroke = Stroke::new(PAPER, 2.4);
const SLOW_LINE: Stroke = Stroke::new(SLOW_ON_MAP, 4.0);
const FAST_DOT: f64 = 4.5;
const SLOW_DOT: f64 = 7.0;

fn draw_paths(picture: &mut Picture, frame: &Frame, plane: &Plane) {
    let values = |path: &[[f64; 2]]| path.iter().map(|&[x, y]| (x, y)).collect::<Vec<_>>();
    let (fast, slow) = (values(&plane.fast), values(&plane.slow));
    // Dark edges: white can be seen on every colour.
    frame.line(picture, &fast, Stroke::new(INK, 4.4));
    frame.line(picture, &slow, Stroke::new(PAPER, 7.0));
    frame.line(picture, &slow, SLOW_LINE);
    frame.line(picture, &fast, FAST_LINE);
    for &(x, y) in fast.iter().filter(|&&(x, y)| frame.contains(x, y)) {
        fast_dot(picture, frame.at(x, y));
    }
    for &(x, y) in slow.iter().filter(|&&(x, y)| frame.contains(x, y)) {
        slow_dot(picture, frame.at(x, y));
    }
}

fn fast_dot(picture: &mut Picture, at: Place) {
    picture.dot(at, FAST_DOT + 1.2, INK);
    picture.dot(at, FAST_DOT, PAPER);
}

fn slow_dot(picture: &mut Picture, at: Place) {
    picture.dot(at, SLOW_DOT + 1.5, PAPER);
    picture.dot(at, SLOW_DOT, SLOW_ON_MAP);
}

fn draw_legend(picture: &mut Picture, (x, y): Place) {
    let entry = |label: &str| Entry { label: label.to_owned(), stroke: None, dot: None };
    picture.line(vec![(x, y), (x + 44.0, y)], Stroke::new(INK, 4.4));
    picture.line(vec![(x, y), (x + 44.0, y)], FAST_LINE);
    fast_dot(picture, (x + 22.0, y));
    sample(picture, (x, y), &entry("fast weights"));
    let x = x + 220.0;
    picture.line(vec![(x, y), (x + 44.0, y)], SLOW_LINE);
    slow_dot(picture, (x + 22.0, y));
    sample(picture, (x, y), &entry("slow weights"));
}
