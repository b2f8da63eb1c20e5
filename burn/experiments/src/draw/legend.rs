//! Legends: what lines and dots are.

use plotters::style::RGBColor;

use super::error::DrawError;
use super::frame::MEDIUM;
use super::picture::{self, Picture, Place, Side, Stroke, Text};

/// A line of a legend.
pub struct Entry {
    pub label: String,
    pub stroke: Option<Stroke>,
    /// Its colour and radius.
    pub dot: Option<(RGBColor, f64)>,
}

const SAMPLE: f64 = 44.0;
const ROW: f64 = 28.0;

/// Draws entries side by side, in as many rows as it takes; returns how high they are.
pub fn draw(picture: &mut Picture, top: f64, left: f64, entries: &[Entry]) -> Result<f64, DrawError> {
    let right = f64::from(picture.size().0) - 20.0;
    let mut labels = Vec::new();
    let mut widest = 0.0f64;
    for entry in entries {
        let label = fit(&entry.label, right - left - SAMPLE - 10.0)?;
        widest = widest.max(picture::width(&label, MEDIUM)?);
        labels.push(label);
    }
    let column = SAMPLE + 10.0 + widest + 30.0;
    let columns = (((right - left + 30.0) / column) as usize).max(1);
    let rows = entries.len().div_ceil(columns);
    // As even as they can be.
    let columns = entries.len().div_ceil(rows.max(1)).max(1);
    for (i, (entry, label)) in entries.iter().zip(labels).enumerate() {
        let x = left + column * (i % columns) as f64;
        let y = top + ROW * ((i / columns) as f64 + 0.5);
        sample(picture, (x, y), &Entry { label, ..*entry });
    }
    Ok(ROW * rows as f64)
}

/// A label without the end that has no room.
fn fit(label: &str, room: f64) -> Result<String, DrawError> {
    let mut fitting = label.to_owned();
    let mut kept = label.chars().count();
    while kept > 1 && picture::width(&fitting, MEDIUM)? > room {
        kept -= 1;
        fitting = label.chars().take(kept).chain(['…']).collect();
    }
    Ok(fitting)
}

/// A line of a legend at a place.
pub fn sample(picture: &mut Picture, (x, y): Place, entry: &Entry) {
    if let Some(stroke) = entry.stroke {
        picture.line(vec![(x, y), (x + SAMPLE, y)], stroke);
    }
    if let Some((colour, radius)) = entry.dot {
        picture.dot((x + SAMPLE / 2.0, y), radius, colour);
    }
    picture.text((x + SAMPLE + 10.0, y), entry.label.clone(), Text::new(MEDIUM, Side::Left));
}
