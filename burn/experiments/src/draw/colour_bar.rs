//! What the colours of a map mean.

use super::axis::Axis;
use super::colour;
use super::error::DrawError;
use super::frame::{MEDIUM, SMALL};
use super::picture::{self, Picture, Side, Stroke, Text};

/// Draws a scale's colours and ticks, from below.
pub fn draw(
    picture: &mut Picture,
    scale: &Axis,
    label: &str,
    [left, top, bottom]: [f64; 3],
) -> Result<(), DrawError> {
    const WIDTH: f64 = 22.0;
    const STEPS: usize = 64;
    let right = left + WIDTH;
    let step = (bottom - top) / STEPS as f64;
    // Each covers the lower part of those above it, so that there are no seams.
    for i in (0..STEPS).rev() {
        let top = bottom - step * (i + 1) as f64;
        picture.block((left, top), (right, bottom), colour::map((i as f64 + 0.5) / STEPS as f64));
    }
    let around = vec![(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
    picture.line(around, Stroke::new(colour::INK, 1.3));
    let mut widest = 0.0f64;
    for (tick, text) in scale.ticks((((bottom - top) / 45.0) as usize).clamp(3, 9)) {
        let y = bottom - (bottom - top) * scale.share(tick);
        picture.line(vec![(right, y), (right + 5.0, y)], Stroke::new(colour::INK, 1.3));
        widest = widest.max(picture::width(&text, SMALL)?);
        picture.text((right + 10.0, y), text, Text::new(SMALL, Side::Left));
    }
    let upright = Text { is_upright: true, ..Text::new(MEDIUM, Side::Middle) };
    picture.text((right + widest + 32.0, (top + bottom) / 2.0), label, upright);
    Ok(())
}
