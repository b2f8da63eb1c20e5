//! Figures as PNG and SVG, as wide as a paper's column.

use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;
use train::canvas::{self, FONT, GRID, OVERSAMPLING, WIDTH, number, ticks};

const SCALE: i32 = OVERSAMPLING as i32;
/// Of the panel with its descriptions.
const PANEL_HEIGHT: u32 = 640;
const LEGEND_LINE: u32 = 42;
const CAPTION_LINE: u32 = 34;
/// The bitmap backend centres text this much too high.
const TEXT_DROP: i32 = 6 * SCALE;

/// A figure cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// Nothing to draw.
    #[error("figure {0} has no finite point")]
    Empty(&'static str),
    /// The plotting library failed.
    #[error("the plot could not be drawn: {0}")]
    Draw(String),
    /// The picture could not be encoded.
    #[error("the plot could not be encoded: {0}")]
    Encode(#[from] png::EncodingError),
}

/// Colours that differ for every kind of sight (Okabe and Ito 2008). Each stands for the same in every figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// The inner optimizer alone.
    Alone,
    /// Lookahead as the paper has it: alpha = 0.5, the state maintained.
    Lookahead,
    /// Its fast weights.
    Fast,
    /// Lookahead otherwise.
    Second,
    /// Lookahead yet otherwise.
    Third,
    /// Neither.
    Plain,
}

impl Colour {
    fn rgb(self) -> RGBColor {
        match self {
            Self::Alone => RGBColor(213, 94, 0),
            Self::Lookahead => RGBColor(0, 72, 132),
            Self::Fast => RGBColor(86, 180, 233),
            Self::Second => RGBColor(0, 158, 115),
            Self::Third => RGBColor(204, 121, 167),
            Self::Plain => RGBColor(90, 90, 90),
        }
    }
}

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Line,
    Dashed,
    Dots,
    Squares,
}

/// Points of one kind.
#[derive(Debug, Clone)]
pub struct Series {
    /// In the legend, if it has one.
    pub name: Option<String>,
    pub colour: Colour,
    pub mark: Mark,
    pub points: Vec<(f64, f64)>,
}

/// An axis.
#[derive(Debug, Clone)]
pub struct Axis {
    pub description: &'static str,
    pub range: Range<f64>,
    pub is_logarithmic: bool,
}

impl Axis {
    /// Where a value lies on it.
    fn place(&self, value: f64) -> f64 {
        if self.is_logarithmic { value.log10() } else { value }
    }

    fn value(&self, place: f64) -> f64 {
        if self.is_logarithmic { 10f64.powf(place) } else { place }
    }

    fn ticks(&self) -> Vec<f64> {
        let ticks = match self.is_logarithmic {
            true => ticks(&self.range),
            false => linear_ticks(&self.range),
        };
        ticks.into_iter().map(|tick| self.place(tick)).collect()
    }
}

/// An axis as the plotting library knows it.
struct Places {
    range: Range<f64>,
    ticks: Vec<f64>,
}

impl Ranged for Places {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (low, high): (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        low + (f64::from(high - low) * share).round() as i32
    }

    fn key_points<H: KeyPointHint>(&self, _: H) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// A vertical line and what is on its two sides.
#[derive(Debug, Clone)]
pub struct Border {
    pub x: f64,
    pub left: &'static str,
    pub right: &'static str,
}

/// A figure.
#[derive(Debug, Clone)]
pub struct Figure {
    /// The name of its files.
    pub name: &'static str,
    pub x: Axis,
    pub y: Axis,
    pub series: Vec<Series>,
    pub border: Option<Border>,
    pub caption: Vec<String>,
}

impl Figure {
    fn height(&self) -> u32 {
        self.legend_height() + PANEL_HEIGHT + CAPTION_LINE * self.caption.len() as u32 + 14
    }

    fn legend_height(&self) -> u32 {
        12 + LEGEND_LINE * (self.legend().count() as u32).div_ceil(2)
    }

    fn legend(&self) -> impl Iterator<Item = (&str, &Series)> {
        self.series.iter().filter_map(|series| Some((series.name.as_deref()?, series)))
    }

    /// Draws it as a PNG of 300 dots an inch.
    pub fn png(&self) -> Result<Vec<u8>, PlotError> {
        let size = self.size();
        let mut pixels = vec![0; 3 * size.0 as usize * size.1 as usize];
        let root = BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area();
        self.draw(&root, TEXT_DROP)?;
        drop(root);
        Ok(canvas::encode(&pixels, self.height())?)
    }

    /// Draws it as an SVG that is 85 mm wide.
    pub fn svg(&self) -> Result<String, PlotError> {
        let (width, height) = self.size();
        let mut text = String::new();
        let root = SVGBackend::with_string(&mut text, (width, height)).into_drawing_area();
        self.draw(&root, 0)?;
        drop(root);
        let millimetres = |pixels: u32| f64::from(pixels) * 85.0 / f64::from(width);
        let physical =
            format!("width=\"{:.2}mm\" height=\"{:.2}mm\"", millimetres(width), millimetres(height));
        Ok(text.replacen(&format!("width=\"{width}\" height=\"{height}\""), &physical, 1))
    }

    fn size(&self) -> (u32, u32) {
        (WIDTH * OVERSAMPLING, self.height() * OVERSAMPLING)
    }

    fn draw<B: DrawingBackend>(&self, root: &DrawingArea<B, Shift>, drop: i32) -> Result<(), PlotError> {
        let mut points = self.series.iter().flat_map(|series| &series.points);
        if !points.any(|(x, y)| x.is_finite() && y.is_finite()) {
            return Err(PlotError::Empty(self.name));
        }
        canvas::register_font().map_err(|problem| PlotError::Draw(problem.to_owned()))?;
        root.fill(&WHITE).map_err(failed)?;
        let (legend, rest) = root.split_vertically(self.legend_height() * OVERSAMPLING);
        let (panel, caption) = rest.split_vertically(PANEL_HEIGHT * OVERSAMPLING);
        self.draw_legend(&legend, drop)?;
        self.draw_panel(&panel, drop)?;
        let text = style(28).pos(Pos::new(HPos::Left, VPos::Center)).color(&BLACK);
        for (line, y) in
            self.caption.iter().zip((18 * SCALE..).step_by((CAPTION_LINE * OVERSAMPLING) as usize))
        {
            caption.draw_text(line, &text, (24 * SCALE, y + drop)).map_err(failed)?;
        }
        root.present().map_err(failed)
    }

    fn draw_legend<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        drop: i32,
    ) -> Result<(), PlotError> {
        let text = style(32).pos(Pos::new(HPos::Left, VPos::Center));
        let rows = self.legend().count().div_ceil(2);
        for (i, (name, series)) in self.legend().enumerate() {
            let x = (24 + 500 * (i / rows) as i32) * SCALE;
            let y = (32 + LEGEND_LINE as i32 * (i % rows) as i32) * SCALE;
            let (start, middle, end) = ((x, y), (x + 35 * SCALE, y), (x + 70 * SCALE, y));
            match series.mark {
                Mark::Line => area.draw(&PathElement::new([start, end], stroke(series))).map_err(failed)?,
                Mark::Dashed => {
                    for element in DashedLineSeries::new([start, end], dash(), gap(), stroke(series)) {
                        area.draw(&element).map_err(failed)?;
                    }
                }
                Mark::Dots => area.draw(&Circle::new(middle, DOT, fill(series))).map_err(failed)?,
                Mark::Squares => area.draw(&square(middle, fill(series))).map_err(failed)?,
            }
            area.draw_text(name, &text, (x + 86 * SCALE, y + drop)).map_err(failed)?;
        }
        Ok(())
    }

    fn draw_panel<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        drop: i32,
    ) -> Result<(), PlotError> {
        let axis = |axis: &Axis| Places {
            range: axis.place(axis.range.start)..axis.place(axis.range.end),
            ticks: axis.ticks(),
        };
        let (bottom, top) = (self.y.place(self.y.range.start), self.y.place(self.y.range.end));
        let mut chart = ChartBuilder::on(area)
            .margin_top(18 * OVERSAMPLING)
            .margin_right(44 * OVERSAMPLING)
            .margin_left(10 * OVERSAMPLING)
            .x_label_area_size(96 * OVERSAMPLING)
            .y_label_area_size(146 * OVERSAMPLING)
            .build_cartesian_2d(axis(&self.x), axis(&self.y))
            .map_err(failed)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID.stroke_width(OVERSAMPLING))
            .axis_style(BLACK.stroke_width(2 * OVERSAMPLING))
            .label_style(style(34))
            .axis_desc_style(style(34))
            .set_all_tick_mark_size(8 * OVERSAMPLING)
            .y_label_offset(drop)
            .x_desc(self.x.description)
            .y_desc(self.y.description)
            .x_label_formatter(&|place| number(self.x.value(*place)))
            .y_label_formatter(&|place| number(self.y.value(*place)))
            .draw()
            .map_err(failed)?;
        if let Some(border) = &self.border {
            let x = self.x.place(border.x);
            let thin = Colour::Plain.rgb().stroke_width(2 * OVERSAMPLING);
            let line = DashedLineSeries::new([(x, bottom), (x, top)], dash(), gap(), thin);
            chart.draw_series(line).map_err(failed)?;
            let colour = Colour::Plain.rgb();
            let text = style(30).color(&colour);
            let y = top - 0.04 * (top - bottom);
            for (label, side, shift) in [(border.left, HPos::Right, -12), (border.right, HPos::Left, 12)] {
                let text = text.clone().pos(Pos::new(side, VPos::Center));
                let label = EmptyElement::at((x, y)) + Text::new(label, (shift * SCALE, drop), text);
                chart.draw_series([label]).map_err(failed)?;
            }
        }
        for series in &self.series {
            let inside =
                |(x, y): &&(f64, f64)| self.x.range.contains(x) || *x == self.x.range.end && y.is_finite();
            let place = |(x, y): &(f64, f64)| (self.x.place(*x), self.y.place(*y).clamp(bottom, top));
            let all: Vec<_> = series.points.iter().filter(inside).map(place).collect();
            // Marks belong to where they are; lines may leave the panel.
            let is_shown = |(_, y): &&(f64, f64)| *y > bottom && *y < top;
            let shown: Vec<_> = all.iter().filter(is_shown).copied().collect();
            match series.mark {
                Mark::Line => {
                    chart.draw_series(LineSeries::new(all, stroke(series))).map_err(failed)?;
                }
                Mark::Dashed => {
                    let line = DashedLineSeries::new(all, dash(), gap(), stroke(series));
                    chart.draw_series(line).map_err(failed)?;
                }
                Mark::Dots => {
                    let marks = shown.into_iter().map(|at| Circle::new(at, DOT, fill(series)));
                    chart.draw_series(marks).map_err(failed)?;
                }
                Mark::Squares => {
                    let marks =
                        shown.into_iter().map(|at| EmptyElement::at(at) + square((0, 0), fill(series)));
                    chart.draw_series(marks).map_err(failed)?;
                }
            }
        }
        Ok(())
    }
}

const DOT: i32 = 8 * SCALE;

fn square((x, y): (i32, i32), fill: ShapeStyle) -> Rectangle<(i32, i32)> {
    let half = 9 * SCALE;
    Rectangle::new([(x - half, y - half), (x + half, y + half)], fill)
}

fn dash() -> u32 {
    14 * OVERSAMPLING
}

fn gap() -> u32 {
    8 * OVERSAMPLING
}

fn stroke(series: &Series) -> ShapeStyle {
    series.colour.rgb().stroke_width(4 * OVERSAMPLING)
}

fn fill(series: &Series) -> ShapeStyle {
    series.colour.rgb().filled()
}

fn style(size: u32) -> TextStyle<'static> {
    TextStyle::from((FONT, size * OVERSAMPLING).into_font())
}

/// Multiples of 1, 2 or 5 times a power of ten.
fn linear_ticks(range: &Range<f64>) -> Vec<f64> {
    let unit = canvas::round_unit((range.end - range.start) / 6.0);
    let first = (range.start / unit).ceil() as i64;
    (first..).map(|i| i as f64 * unit).take_while(|tick| *tick <= range.end * (1.0 + 1e-9)).collect()
}

fn failed<E: std::error::Error + Send + Sync>(problem: DrawingAreaErrorKind<E>) -> PlotError {
    PlotError::Draw(problem.to_string())
}
