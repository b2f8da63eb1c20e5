//! The results as a picture: training loss, test accuracy and, where it is adaptive, alpha by batch.

use crate::canvas::{self, FONT, GRID, OVERSAMPLING, WIDTH, number, round_unit, ticks};
use crate::history::{History, Sample};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;

/// With two panels.
const HEIGHT: u32 = 1240;
/// What a third panel adds.
const THIRD_HEIGHT: u32 = 500;
/// The drawing library centres text this much too high.
const TEXT_DROP: i32 = 6 * OVERSAMPLING as i32;

/// Colours that differ for every kind of sight (Okabe and Ito 2008), and in grey.
const ALONE: RGBColor = RGBColor(213, 94, 0);
const SLOW: RGBColor = RGBColor(0, 72, 132);
const FAST: RGBColor = RGBColor(86, 180, 233);
const AVERAGE: RGBColor = RGBColor(0, 158, 115);

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

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// A curve of both panels' legend.
struct Curve {
    name: String,
    colour: RGBColor,
    is_dashed: bool,
    points: Vec<(f64, f64)>,
}

/// Draws the runs as a PNG.
pub fn png(runs: &[History]) -> Result<Vec<u8>, PlotError> {
    let is_adaptive = runs.iter().any(|run| !run.alphas.is_empty());
    let height = HEIGHT + if is_adaptive { THIRD_HEIGHT } else { 0 };
    let size = (WIDTH * OVERSAMPLING, height * OVERSAMPLING);
    let mut pixels = vec![0; 3 * size.0 as usize * size.1 as usize];
    draw(runs, &mut pixels, size)?;

    Ok(canvas::encode(&pixels, height)?)
}

fn draw(runs: &[History], pixels: &mut [u8], size: (u32, u32)) -> Result<(), PlotError> {
    let (losses, window) = loss_curves(runs);
    let accuracies = accuracy_curves(runs);
    let ends = losses.iter().chain(&accuracies).filter_map(|curve| curve.points.last());
    let end = ends.map(|&(step, _)| step).fold(0.0, f64::max);
    let (Some((lowest, highest)), Some(shares)) = (range(&losses), accuracy_range(&accuracies, end)) else {
        return Err(PlotError::Empty);
    };

    canvas::register_font().map_err(|problem| PlotError::Draw(problem.to_owned()))?;
    let root = BitMapBackend::with_buffer(pixels, size).into_drawing_area();
    root.fill(&WHITE).map_err(failed)?;
    let legend = (12 + 44 * accuracies.len() as u32) * OVERSAMPLING;
    let (top, rest) = root.split_vertically(legend);
    let alphas = alpha_curves(runs);
    let third = if alphas.is_empty() { 0 } else { THIRD_HEIGHT * OVERSAMPLING };
    // The lowest panel has the description of the steps beneath it.
    let panel = (size.1 - legend - third) / 2 - if third == 0 { 24 * OVERSAMPLING } else { 0 };
    let (upper, rest) = rest.split_vertically(panel);
    let (lower, lowest_area) = match third {
        0 => (rest, None),
        _ => {
            let (lower, lowest) = rest.split_vertically(panel);
            (lower, Some(lowest))
        }
    };
    draw_legend(&top, &accuracies)?;

    let mean = if window > 1 { format!(" (mean of {window} steps)") } else { String::new() };
    let loss_range = lowest / 1.1..highest * 1.1;
    let loss_ticks = ticks(&loss_range);
    let loss_axis = loss_range.log_scale().with_key_points(loss_ticks);
    draw_panel(&upper, 0.0..end, loss_axis, &losses, &format!("training loss{mean}"), "")?;
    let accuracies = clip(accuracies, shares.start);
    let step = if lowest_area.is_some() { "" } else { "step" };
    draw_panel(&lower, 0.0..end, shares, &accuracies, "test accuracy in %", step)?;
    if let Some(area) = lowest_area {
        draw_panel(&area, 0.0..end, 0.0..1.05, &alphas, "adaptive alpha", "step")?;
    }
    root.present().map_err(failed)
}

fn draw_legend(area: &Area<'_>, curves: &[Curve]) -> Result<(), PlotError> {
    let scale = OVERSAMPLING as i32;
    let text = TextStyle::from((FONT, 36 * OVERSAMPLING).into_font()).pos(Pos::new(HPos::Left, VPos::Center));
    for (curve, y) in curves.iter().zip((34 * scale..).step_by(44 * scale as usize)) {
        let line = [(170 * scale, y), (290 * scale, y)];
        if curve.is_dashed {
            let (dash, gap) = dashes();
            for element in DashedLineSeries::new(line, dash, gap, style(curve)) {
                area.draw(&element).map_err(failed)?;
            }
        } else {
            area.draw(&PathElement::new(line, style(curve))).map_err(failed)?;
        }
        area.draw_text(&curve.name, &text, (310 * scale, y + TEXT_DROP)).map_err(failed)?;
    }
    Ok(())
}

fn draw_panel<Y>(
    area: &Area<'_>,
    steps: Range<f64>,
    y_axis: Y,
    curves: &[Curve],
    description: &str,
    step_description: &str,
) -> Result<(), PlotError>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: ValueFormatter<f64> + Ranged<ValueType = f64>,
{
    let mut chart = ChartBuilder::on(area)
        .margin_top(18 * OVERSAMPLING)
        .margin_right(40 * OVERSAMPLING)
        .margin_left(14 * OVERSAMPLING)
        .x_label_area_size(if step_description.is_empty() { 56 } else { 96 } * OVERSAMPLING)
        .y_label_area_size(146 * OVERSAMPLING)
        .build_cartesian_2d::<Range<f64>, Y>(steps, y_axis)
        .map_err(failed)?;
    let font = (FONT, 34 * OVERSAMPLING);
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID.stroke_width(OVERSAMPLING))
        .axis_style(BLACK.stroke_width(2 * OVERSAMPLING))
        .label_style(font)
        .axis_desc_style(font)
        .set_all_tick_mark_size(8 * OVERSAMPLING)
        .y_label_offset(TEXT_DROP)
        .x_desc(step_description)
        .y_desc(description)
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&|step| format!("{step}"))
        .y_label_formatter(&|value| number(*value))
        .draw()
        .map_err(failed)?;
    for curve in curves {
        let points = curve.points.iter().copied();
        if curve.is_dashed {
            let (dash, gap) = dashes();
            chart.draw_series(DashedLineSeries::new(points, dash, gap, style(curve))).map_err(failed)?;
        } else {
            chart.draw_series(LineSeries::new(points, style(curve))).map_err(failed)?;
        }
    }
    Ok(())
}

fn dashes() -> (u32, u32) {
    (18 * OVERSAMPLING, 9 * OVERSAMPLING)
}

fn style(curve: &Curve) -> ShapeStyle {
    curve.colour.stroke_width(5 * OVERSAMPLING)
}

fn failed<E: std::error::Error + Send + Sync>(problem: DrawingAreaErrorKind<E>) -> PlotError {
    PlotError::Draw(problem.to_string())
}

/// The training loss of each run, and how many steps a point is the mean of.
fn loss_curves(runs: &[History]) -> (Vec<Curve>, usize) {
    const POINTS: usize = 80;
    let longest = runs.iter().map(|run| run.losses.len()).max().unwrap_or(0);
    let window = longest.div_ceil(POINTS).max(1);
    let curves = runs.iter().map(|run| {
        let means = run.losses.chunks(window).enumerate().map(|(i, losses)| {
            let step = i * window + losses.len();
            (step as f64, losses.iter().sum::<f64>() / losses.len() as f64)
        });
        // A logarithmic axis has no place for zero.
        let points = means.filter(|(_, loss)| loss.is_finite() && *loss > 0.0).collect();
        // Losses are those of the fast weights.
        let (colour, is_dashed) = if run.lookahead.is_some() { (FAST, true) } else { (ALONE, false) };
        Curve { name: run.name.clone(), colour, is_dashed, points }
    });
    (curves.collect(), window)
}

fn accuracy_curves(runs: &[History]) -> Vec<Curve> {
    let curves = runs.iter().flat_map(|run| {
        let fast = run.samples.iter().map(|sample| (sample.step as f64, 100.0 * sample.fast)).collect();
        let points = |share: fn(&Sample) -> Option<f64>| -> Vec<_> {
            let samples = run.samples.iter();
            samples.filter_map(|sample| Some((sample.step as f64, 100.0 * share(sample)?))).collect()
        };
        let name = |weights| format!("{}, {weights}", run.name);
        // The slow ones are drawn first: the dashes of the fast ones show on top of them.
        let mut curves = match run.lookahead {
            None => vec![Curve { name: run.name.clone(), colour: ALONE, is_dashed: false, points: fast }],
            Some(_) => vec![
                Curve {
                    name: name("slow weights"),
                    colour: SLOW,
                    is_dashed: false,
                    points: points(|sample| sample.slow),
                },
                Curve { name: name("fast weights"), colour: FAST, is_dashed: true, points: fast },
            ],
        };
        let average = points(|sample| sample.average);
        if !average.is_empty() {
            // Two runs may have one each.
            let is_dashed = run.lookahead.is_none();
            curves.push(Curve { name: name("average"), colour: AVERAGE, is_dashed, points: average });
        }
        curves
    });
    curves.collect()
}

/// The mean of the adaptive alphas of each run that has some.
fn alpha_curves(runs: &[History]) -> Vec<Curve> {
    let adaptive = runs.iter().filter(|run| !run.alphas.is_empty());
    let curve = |run: &History| {
        let points = run.alphas.iter().map(|alphas| (alphas.step as f64, alphas.mean())).collect();
        Curve { name: run.name.clone(), colour: SLOW, is_dashed: false, points }
    };
    adaptive.map(curve).collect()
}

/// The least and the greatest value of all curves.
fn range(curves: &[Curve]) -> Option<(f64, f64)> {
    let values = curves.iter().flat_map(|curve| &curve.points).map(|&(_, value)| (value, value));
    values.reduce(|(low, high), (value, _)| (low.min(value), high.max(value)))
}

/// The accuracy axis, in percent: what is reached after a tenth of the run, so that the first steep
/// steps do not flatten the rest, up to round numbers.
fn accuracy_range(curves: &[Curve], end: f64) -> Option<Range<f64>> {
    let points = curves.iter().flat_map(|curve| &curve.points);
    let late = points.filter(|&&(step, _)| step >= end / 10.0).map(|&(_, accuracy)| (accuracy, accuracy));
    let (lowest, highest) = late.reduce(|(low, high), (x, _)| (low.min(x), high.max(x)))?;
    let unit = round_unit(((highest - lowest) / 5.0).max(0.2));
    let bottom = (((lowest / unit).ceil() - 1.0) * unit).max(0.0);
    let top = ((highest / unit).floor() + 1.0) * unit;
    Some(bottom..top.min(100.0).max(bottom + unit))
}

/// Cuts curves off at the bottom of the panel.
fn clip(curves: Vec<Curve>, floor: f64) -> Vec<Curve> {
    let cut = |curve: Curve| {
        let mut points: Vec<(f64, f64)> = Vec::new();
        for (i, &(x, y)) in curve.points.iter().enumerate() {
            if y < floor {
                continue;
            }
            if let Some(&(below_x, below_y)) = i.checked_sub(1).and_then(|before| curve.points.get(before))
                && below_y < floor
            {
                points.push((below_x + (x - below_x) * (floor - below_y) / (y - below_y), floor));
            }
            points.push((x, y));
        }
        Curve { points, ..curve }
    };
    curves.into_iter().map(cut).collect()
}
