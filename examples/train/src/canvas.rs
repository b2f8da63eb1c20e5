//! What pictures of the examples have in common: size, font, ticks and the encoding.

use plotters::style::{FontStyle, RGBColor};
use std::ops::Range;

/// As wide as a paper's column (85 mm) at 300 dots an inch.
pub const WIDTH: u32 = 1000;
const PIXELS_PER_METER: u32 = 11_811;
/// Drawn larger by this factor and averaged: smooth lines.
pub const OVERSAMPLING: u32 = 3;
pub const FONT: &str = "sans-serif";
pub const GRID: RGBColor = RGBColor(225, 225, 225);

/// Makes [`FONT`] known, the same on every machine.
pub fn register_font() -> Result<(), &'static str> {
    plotters::style::register_font(FONT, FontStyle::Normal, dejavu::sans::regular())
        .map_err(|_| "its font cannot be read")
}

/// A PNG of RGB pixels, which are averaged; `height` is what remains.
pub fn encode(pixels: &[u8], height: u32) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, WIDTH, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_pixel_dims(Some(png::PixelDimensions {
        xppu: PIXELS_PER_METER,
        yppu: PIXELS_PER_METER,
        unit: png::Unit::Meter,
    }));
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&average(pixels))?;
    writer.finish()?;
    Ok(bytes)
}

/// The mean of each square of pixels.
fn average(pixels: &[u8]) -> Vec<u8> {
    let factor = OVERSAMPLING as usize;
    let width = WIDTH as usize;
    let mut averaged = Vec::with_capacity(pixels.len() / (factor * factor));
    for rows in pixels.chunks_exact(3 * factor * factor * width) {
        for x in 0..width {
            for channel in 0..3 {
                let square = rows
                    .chunks_exact(3 * factor * width)
                    .flat_map(|row| row[3 * factor * x..][..3 * factor].iter().skip(channel).step_by(3));
                let sum: u32 = square.map(|&value| u32::from(value)).sum();
                averaged.push((sum / (factor * factor) as u32) as u8);
            }
        }
    }
    averaged
}

/// Short for every size.
pub fn number(value: f64) -> String {
    let is_plain = value == 0.0 || (1e-3..1e5).contains(&value.abs());
    // What f64 adds to a tick's value beyond f32 is rounding.
    if is_plain { format!("{}", value as f32) } else { format!("{:e}", value as f32) }
}

/// Round numbers in a range, spread evenly on a logarithmic axis; in a narrow range on a linear one.
pub fn ticks(range: &Range<f64>) -> Vec<f64> {
    const MOST: usize = 8;
    let decades = range.start.log10().floor() as i32..=range.end.log10().floor() as i32;
    let stride = decades.clone().count().div_ceil(MOST);
    let logarithmic = |factors: &[f64]| -> Vec<f64> {
        let decades = decades.clone().step_by(stride);
        let all = decades.flat_map(|decade| factors.iter().map(move |factor| factor * 10f64.powi(decade)));
        all.filter(|tick| range.contains(tick)).collect()
    };
    let factors: [&[f64]; 3] = [&[1.0, 2.0, 3.0, 5.0, 7.0], &[1.0, 2.0, 5.0], &[1.0]];
    let found = factors.iter().map(|factors| logarithmic(factors)).find(|ticks| ticks.len() <= MOST);
    let ticks = found.unwrap_or_default();
    if ticks.len() >= 3 {
        return ticks;
    }
    let unit = round_unit((range.end - range.start) / 5.0);
    let first = (range.start / unit).ceil();
    (0..MOST).map(|i| (first + i as f64) * unit).filter(|tick| range.contains(tick)).collect()
}

/// The least of 1, 2 and 5 times a power of ten that is not below a positive number.
pub fn round_unit(least: f64) -> f64 {
    let decade = 10f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * decade >= least).unwrap_or(10.0);
    factor * decade
}
