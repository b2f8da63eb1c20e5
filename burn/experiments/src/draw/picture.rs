//! A picture: marks at places in pixels, and how they become PNG and SVG.

use std::io::Cursor;

use image::{ImageFormat, RgbImage};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::FontTransform;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::colour;
use super::error::DrawError;

/// From the left, from the top.
pub type Place = (f64, f64);

const FONT: &str = "sans-serif";
/// Drawn larger by this factor: bitmaps are averaged, so that lines are smooth, and vector graphics have
/// finer places.
const SCALE: u32 = 3;

/// A drawn figure.
#[derive(Debug, Clone)]
pub struct Picture {
    width: u32,
    height: u32,
    marks: Vec<Mark>,
}

#[derive(Debug, Clone)]
enum Mark {
    Line { places: Vec<Place>, stroke: Stroke },
    Area { places: Vec<Place>, colour: RGBAColor },
    Block { corners: [Place; 2], colour: RGBColor },
    Dot { at: Place, radius: f64, colour: RGBColor },
    Text { at: Place, text: String, style: Text },
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stroke {
    pub colour: RGBColor,
    pub width: f64,
    /// Lengths of a dash and of a gap.
    pub dash: Option<[f64; 2]>,
}

impl Stroke {
    pub const fn new(colour: RGBColor, width: f64) -> Self {
        Self { colour, width, dash: None }
    }

    pub const fn dashed(self, dash: f64, gap: f64) -> Self {
        Self { dash: Some([dash, gap]), ..self }
    }
}

/// How text is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Text {
    pub size: f64,
    pub colour: RGBColor,
    /// The part that is at the place.
    pub side: Side,
    /// Whether it is read from below.
    pub is_upright: bool,
}

/// The part of a text that is at its place, half way up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Left,
    Middle,
    Right,
}

impl Text {
    pub const fn new(size: f64, side: Side) -> Self {
        Self { size, colour: colour::INK, side, is_upright: false }
    }

    pub const fn colour(self, colour: RGBColor) -> Self {
        Self { colour, ..self }
    }
}

impl Picture {
    pub(super) fn new(width: u32, height: u32) -> Self {
        Self { width, height, marks: Vec::new() }
    }

    /// Adds room at the bottom.
    pub(super) fn grow(&mut self, height: f64) {
        self.height += height.max(0.0).ceil() as u32;
    }

    /// Its width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    pub(super) fn line(&mut self, places: Vec<Place>, stroke: Stroke) {
        if places.len() > 1 {
            self.marks.push(Mark::Line { places, stroke });
        }
    }

    pub(super) fn area(&mut self, places: Vec<Place>, colour: RGBAColor) {
        if places.len() > 2 {
            self.marks.push(Mark::Area { places, colour });
        }
    }

    pub(super) fn block(&mut self, from: Place, to: Place, colour: RGBColor) {
        self.marks.push(Mark::Block { corners: [from, to], colour });
    }

    pub(super) fn dot(&mut self, at: Place, radius: f64, colour: RGBColor) {
        self.marks.push(Mark::Dot { at, radius, colour });
    }

    pub(super) fn text(&mut self, at: Place, text: impl Into<String>, style: Text) {
        self.marks.push(Mark::Text { at, text: text.into(), style });
    }

    /// As an SVG.
    pub fn svg(&self) -> Result<String, DrawError> {
        let size = (self.width * SCALE, self.height * SCALE);
        let mut text = String::new();
        self.draw(&SVGBackend::with_string(&mut text, size).into_drawing_area(), 0.0)?;
        let drawn = format!("width=\"{}\" height=\"{}\"", size.0, size.1);
        let shown = format!("width=\"{}\" height=\"{}\"", self.width, self.height);
        Ok(text.replacen(&drawn, &shown, 1))
    }

    /// As a PNG.
    pub fn png(&self) -> Result<Vec<u8>, DrawError> {
        // The bitmap backend centres text this much of its size too high.
        const DROP: f64 = 6.0 / 34.0;
        let size = (self.width * SCALE, self.height * SCALE);
        let mut pixels = vec![0; 3 * size.0 as usize * size.1 as usize];
        self.draw(&BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area(), DROP)?;
        let averaged = RgbImage::from_fn(self.width, self.height, |x, y| {
            let mut sums = [0u32; 3];
            for row in 0..SCALE {
                let start = 3 * ((y * SCALE + row) * size.0 + x * SCALE) as usize;
                for pixel in pixels[start..][..3 * SCALE as usize].chunks_exact(3) {
                    sums.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += u32::from(value));
                }
            }
            image::Rgb(sums.map(|sum| (sum / (SCALE * SCALE)) as u8))
        });
        let mut bytes = Cursor::new(Vec::new());
        averaged.write_to(&mut bytes, ImageFormat::Png)?;
        Ok(bytes.into_inner())
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, drop: f64) -> Result<(), DrawError> {
        register_font()?;
        area.fill(&WHITE).map_err(failed)?;
        for mark in &self.marks {
            mark.draw(area, drop).map_err(failed)?;
        }
        area.present().map_err(failed)
    }
}

impl Mark {
    fn draw<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        drop: f64,
    ) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        match self {
            Self::Line { places, stroke } => {
                let style = stroke.colour.stroke_width(scaled(stroke.width).max(1) as u32);
                let parts = match stroke.dash {
                    None => vec![places.clone()],
                    Some(lengths) => dashes(places, lengths),
                };
                for part in parts {
                    area.draw(&PathElement::new(part.iter().map(pixel).collect::<Vec<_>>(), style))?;
                }
            }
            Self::Area { places, colour } => {
                let places: Vec<_> = places.iter().map(pixel).collect();
                area.draw(&Polygon::new(places, colour.filled()))?;
            }
            Self::Block { corners, colour } => {
                area.draw(&Rectangle::new(corners.map(|corner| pixel(&corner)), colour.filled()))?;
            }
            Self::Dot { at, radius, colour } => {
                area.draw(&Circle::new(pixel(at), scaled(*radius), colour.filled()))?;
            }
            Self::Text { at, text, style } => {
                let side = match style.side {
                    Side::Left => HPos::Left,
                    Side::Middle => HPos::Center,
                    Side::Right => HPos::Right,
                };
                let shift = drop * style.size;
                let font = (FONT, style.size * f64::from(SCALE)).into_font();
                let (font, at) = match style.is_upright {
                    true => (font.transform(FontTransform::Rotate270), (at.0 + shift, at.1)),
                    false => (font, (at.0, at.1 + shift)),
                };
                let style = TextStyle::from(font).color(&style.colour).pos(Pos::new(side, VPos::Center));
                area.draw_text(text, &style, pixel(&at))?;
            }
        }
        Ok(())
    }
}

/// A line's dashes. (The drawing library's never end where two places are the same.)
fn dashes(places: &[Place], lengths: [f64; 2]) -> Vec<Vec<Place>> {
    let mut parts: Vec<Vec<Place>> = Vec::new();
    let mut part: Vec<Place> = places.iter().copied().take(1).collect();
    let (mut is_dash, mut left) = (true, lengths[0]);
    for pair in places.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        loop {
            let length = (to.0 - from.0).hypot(to.1 - from.1);
            // Not a number ends it, too.
            if length.is_nan() || length <= left {
                left -= length;
                break;
            }
            let share = left / length;
            from = (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share);
            part.push(from);
            if is_dash {
                parts.push(std::mem::take(&mut part));
            }
            is_dash = !is_dash;
            left = if is_dash { lengths[0] } else { lengths[1] };
            part = vec![from];
        }
        part.push(to);
    }
    if is_dash && part.len() > 1 {
        parts.push(part);
    }
    parts
}

/// How wide a text is, in pixels.
pub fn width(text: &str, size: f64) -> Result<f64, DrawError> {
    register_font()?;
    let font = (FONT, size * f64::from(SCALE)).into_font();
    let (width, _) = font.box_size(text).map_err(|problem| DrawError::Draw(problem.to_string()))?;
    Ok(f64::from(width) / f64::from(SCALE))
}

/// The same font on every machine.
fn register_font() -> Result<(), DrawError> {
    plotters::style::register_font(FONT, FontStyle::Normal, dejavu::sans::regular())
        .map_err(|_| DrawError::Draw("its font cannot be read".to_owned()))
}

fn scaled(length: f64) -> i32 {
    // The drawing library adds to places: what is far outside stays far from overflow.
    (length * f64::from(SCALE)).round().clamp(-1e6, 1e6) as i32
}

fn pixel(place: &Place) -> (i32, i32) {
    (scaled(place.0), scaled(place.1))
}

fn failed<E: std::error::Error + Send + Sync>(problem: DrawingAreaErrorKind<E>) -> DrawError {
    DrawError::Draw(problem.to_string())
}
