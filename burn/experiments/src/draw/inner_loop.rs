//! Within the inner loop: how good the fast weights are after each step, and the slow ones after each sync.

use super::axis::{Axis, round_out};
use super::colour::{FAINT, FAST, SLOW};
use super::error::DrawError;
use super::frame::Frame;
use super::legend::{self, Entry};
use super::measure::{Measure, Scale};
use super::picture::{Picture, Stroke};
use crate::run::record::{Inside, Record};

const HEIGHT: u32 = 600;
const WIDTHS: [u32; 2] = [1000, 1200];

/// Draws one or two panels side by side.
pub fn draw(record: &Record, measures: &[Measure]) -> Result<Picture, DrawError> {
    let Some(&width) = measures.len().checked_sub(1).and_then(|panels| WIDTHS.get(panels)) else {
        return Err(DrawError::Panels(measures.len()));
    };
    let method = record.run.method.to_string();
    let Some(probe) = &record.probe else { return Err(DrawError::NoProbe(method)) };
    let mut picture = Picture::new(width, HEIGHT);
    let entries = [
        Entry {
            label: "fast weights, after each step".to_owned(),
            stroke: Some(Stroke::new(FAST, 2.0)),
            dot: Some((FAST, 4.0)),
        },
        Entry {
            label: "slow weights, after each sync".to_owned(),
            stroke: Some(Stroke::new(SLOW, 3.2)),
            dot: Some((SLOW, 7.0)),
        },
    ];
    let top = 28.0 + legend::draw(&mut picture, 12.0, 96.0, &entries)?;
    let each = f64::from(width) / measures.len() as f64;
    for (i, measure) in measures.iter().enumerate() {
        let left = each * i as f64;
        let y = y_axis(&probe.steps, measure).ok_or_else(|| DrawError::NothingFinite {
            what: method.clone(),
            quantity: measure.label.clone(),
        })?;
        let steps = probe.steps.iter().map(|inside| f64::from(inside.step));
        let (first, last) = (steps.clone().fold(f64::INFINITY, f64::min), steps.fold(0.0, f64::max));
        let margin = (0.02 * (last - first)).max(0.5);
        let frame = Frame {
            left: left + 96.0,
            right: left + each - 24.0,
            top,
            bottom: f64::from(HEIGHT) - 76.0,
            x: Axis::whole(first - margin, last + margin),
            y,
        };
        frame.axes(&mut picture, &format!("inner step after epoch {}", probe.epoch), &measure.label)?;
        draw_steps(&mut picture, &frame, &probe.steps, measure);
        frame.border(&mut picture);
    }
    Ok(picture)
}

fn draw_steps(picture: &mut Picture, frame: &Frame, steps: &[Inside], measure: &Measure) {
    let value = |inside: &Inside| measure.quantity.of_scores(inside.scores).unwrap_or(f64::NAN);
    let at = |inside: &Inside| (f64::from(inside.step), value(inside));
    // Each step's weights come from those before it, whether these are fast or slow.
    for pair in steps.windows(2) {
        let line = [at(&pair[0]), at(&pair[1])];
        let stroke = match pair[1].is_slow {
            true => Stroke::new(FAINT, 1.5).dashed(4.0, 4.0),
            false => Stroke::new(FAST, 2.0),
        };
        frame.line(picture, &line, stroke);
    }
    let slow: Vec<_> = steps.iter().filter(|inside| inside.is_slow).map(at).collect();
    frame.line(picture, &slow, Stroke::new(SLOW, 3.2));
    for inside in steps.iter().filter(|inside| !inside.is_slow) {
        let (step, value) = at(inside);
        if frame.contains(step, value) {
            picture.dot(frame.at(step, value), 4.0, FAST);
        }
    }
    for (step, value) in slow {
        if frame.contains(step, value) {
            picture.dot(frame.at(step, value), 7.0, SLOW);
        }
    }
}

fn y_axis(steps: &[Inside], measure: &Measure) -> Option<Axis> {
    let values = steps.iter().filter_map(|inside| measure.quantity.of_scores(inside.scores));
    let values = values.filter(|value| value.is_finite() && (measure.scale == Scale::Linear || *value > 0.0));
    let (low, high) = values
        .map(|value| (value, value))
        .reduce(|(low, high), (value, _)| (low.min(value), high.max(value)))?;
    Some(match (measure.range, measure.scale) {
        (Some([from, to]), scale) => Axis::new(from, to, scale),
        (None, Scale::Log) => Axis::new(low / 1.05, high * 1.05, Scale::Log),
        (None, Scale::Linear) => {
            let margin = 0.05 * (high - low);
            let (from, to) = round_out(low - margin, high + margin);
            Axis::new(from, to, Scale::Linear)
        }
    })
}
