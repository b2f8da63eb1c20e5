//! A panel of a picture: axes with descriptions, and curves with bands.

use crate::canvas::{FONT, GRID, OVERSAMPLING, number};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Colours that differ for every kind of sight (Okabe and Ito 2008), and in grey. The inner optimizer alone.
pub const ALONE: RGBColor = RGBColor(213, 94, 0);
/// Lookahead's slow weights.
pub const SLOW: RGBColor = RGBColor(0, 72, 132);
/// Its fast weights.
pub const FAST: RGBColor = RGBColor(86, 180, 233);
/// An average.
pub const AVERAGE: RGBColor = RGBColor(0, 158, 115);

/// A picture cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// No run has taken a step.
    #[error("there is nothing to plot: no run has a finite loss and an accuracy")]
    Empty,
    /// The plotting library failed.
    #[error("the plot could not be drawn: {0}")]
    Draw(String),
    /// The picture could not be encoded.
    #[error("the plot could not be encoded: {0}")]
    Encode(#[from] png::EncodingError),
}

/// Ticks of an axis beneath a panel.
pub const X_LABELS: usize = 6;

/// A panel's place in a picture.
pub type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// A curve of a panel, and its line in the legend.
#[derive(Debug, Clone, Default)]
pub struct Curve {
    /// In the legend.
    pub name: String,
    /// Of line, dots and band.
    pub colour: RGBColor,
    /// Whether the line is dashed.
    pub is_dashed: bool,
    /// Where the line goes.
    pub points: Vec<(f64, f64)>,
    /// Whether each point is a dot, too.
    pub has_dots: bool,
    /// Where the band goes: x, its lower and its upper end.
    pub band: Vec<(f64, f64, f64)>,
    /// Crosses with a number: where they are, and the number.
    pub crosses: Vec<((f64, f64), usize)>,
}

/// What is written beside a panel.
pub struct Panel<'a> {
    /// Beside the upright axis.
    pub description: &'a str,
    /// Beneath the other one.
    pub x_description: &'a str,
    /// The size of letters.
    pub font: u32,
    /// Ticks of that one at most, where it is not told which.
    pub x_labels: usize,
    /// How a place on it is written.
    pub x_label: &'a dyn Fn(&f64) -> String,
}

impl Panel<'_> {
    /// Draws axes and curves.
    pub fn draw<X, Y>(&self, area: &Area<'_>, x_axis: X, y_axis: Y, curves: &[Curve]) -> Result<(), PlotError>
    where
        X: AsRangedCoord<Value = f64>,
        X::CoordDescType: ValueFormatter<f64> + Ranged<ValueType = f64>,
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: ValueFormatter<f64> + Ranged<ValueType = f64>,
    {
        let size = self.font * OVERSAMPLING;
        let below = if self.x_description.is_empty() { size * 33 / 20 } else { size * 141 / 50 };
        let mut chart = ChartBuilder::on(area)
            .margin_top(18 * OVERSAMPLING)
            .margin_right(size * 6 / 5)
            .margin_left(14 * OVERSAMPLING)
            .x_label_area_size(below)
            .y_label_area_size(size * 43 / 10)
            .build_cartesian_2d::<X, Y>(x_axis, y_axis)
            .map_err(failed)?;
        let font = (FONT, size);
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID.stroke_width(OVERSAMPLING))
            .axis_style(BLACK.stroke_width(2 * OVERSAMPLING))
            .label_style(font)
            .axis_desc_style(font)
            .set_all_tick_mark_size(8 * OVERSAMPLING)
            .y_label_offset(text_drop(size))
            .x_desc(self.x_description)
            .y_desc(self.description)
            .x_labels(self.x_labels)
            .y_labels(6)
            .x_label_formatter(self.x_label)
            .y_label_formatter(&|value| number(*value))
            .draw()
            .map_err(failed)?;
        // Bands lie beneath every line.
        for curve in curves.iter().filter(|curve| curve.band.len() > 1) {
            let upper = curve.band.iter().map(|&(x, _, high)| (x, high));
            let lower = curve.band.iter().rev().map(|&(x, low, _)| (x, low));
            let outline: Vec<_> = upper.chain(lower).collect();
            let band = Polygon::new(outline, curve.colour.mix(0.18).filled());
            chart.draw_series([band]).map_err(failed)?;
        }
        for curve in curves {
            let points = curve.points.iter().copied();
            if curve.is_dashed {
                let (dash, gap) = dashes();
                chart.draw_series(DashedLineSeries::new(points, dash, gap, style(curve))).map_err(failed)?;
            } else {
                chart.draw_series(LineSeries::new(points, style(curve))).map_err(failed)?;
            }
            if curve.has_dots {
                let dot = |&point| Circle::new(point, 7 * OVERSAMPLING, curve.colour.filled());
                chart.draw_series(curve.points.iter().map(dot)).map_err(failed)?;
            }
        }
        let text = font.into_font();
        for (row, curve) in curves.iter().enumerate() {
            // Crosses of several curves at one place stand one beneath the other.
            let y = (self.font * OVERSAMPLING * (row as u32 + 1)) as i32;
            let arm = 6 * OVERSAMPLING as i32;
            for &(place, number) in &curve.crosses {
                let words =
                    Text::new(number.to_string(), (2 * arm, y - arm - arm / 2), text.color(&curve.colour));
                let cross = Cross::new((0, y), arm, curve.colour.stroke_width(3 * OVERSAMPLING));
                chart.draw_series([EmptyElement::at(place) + cross + words]).map_err(failed)?;
            }
        }
        Ok(())
    }
}

/// Draws a line of words for each curve, the lines `line` apart and `left` from the edge.
pub fn draw_legend(
    area: &Area<'_>,
    curves: &[Curve],
    font: u32,
    line: u32,
    left: i32,
) -> Result<(), PlotError> {
    let scale = OVERSAMPLING as i32;
    let size = font * OVERSAMPLING;
    let text = TextStyle::from((FONT, size).into_font()).pos(Pos::new(HPos::Left, VPos::Center));
    for (curve, y) in curves.iter().zip((34 * scale..).step_by(line as usize * scale as usize)) {
        let sample = [(left * scale, y), ((left + 120) * scale, y)];
        if curve.is_dashed {
            let (dash, gap) = dashes();
            for element in DashedLineSeries::new(sample, dash, gap, style(curve)) {
                area.draw(&element).map_err(failed)?;
            }
        } else {
            area.draw(&PathElement::new(sample, style(curve))).map_err(failed)?;
        }
        if curve.has_dots {
            let dot = Circle::new(((left + 60) * scale, y), 7 * OVERSAMPLING, curve.colour.filled());
            area.draw(&dot).map_err(failed)?;
        }
        let at = ((left + 140) * scale, y + text_drop(size));
        area.draw_text(&curve.name, &text, at).map_err(failed)?;
    }
    Ok(())
}

/// The drawing library centres text this much too high.
fn text_drop(size: u32) -> i32 {
    (size * 6 / 34) as i32
}

fn dashes() -> (u32, u32) {
    (18 * OVERSAMPLING, 9 * OVERSAMPLING)
}

fn style(curve: &Curve) -> ShapeStyle {
    curve.colour.stroke_width(5 * OVERSAMPLING)
}

/// What the drawing library said.
pub fn failed<E: std::error::Error + Send + Sync>(problem: DrawingAreaErrorKind<E>) -> PlotError {
    PlotError::Draw(problem.to_string())
}
