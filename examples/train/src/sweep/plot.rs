//! A sweep as a picture: test loss and test accuracy along its axis, and the test loss by epoch.

use super::Sweep;
use super::axes::Axis;
use super::outcome::{Cell, Spread, best, by_series};
use crate::canvas::{self, FONT, OVERSAMPLING, WIDTH, number, ticks};
use crate::panel::{
    ALONE, AVERAGE, Area, Curve, FAST, Panel, PlotError, SLOW, X_LABELS, draw_legend, failed,
};
use plotters::prelude::*;
use std::ops::Range;

const FONT_SIZE: u32 = 24;
const LEGEND_LINE: u32 = 32;
/// Of the two panels along the axis.
const UPPER_HEIGHT: u32 = 430;
/// Of the one by epoch.
const LOWER_HEIGHT: u32 = 360;
/// Of series with Lookahead, in turn.
const COLOURS: [RGBColor; 5] = [SLOW, AVERAGE, FAST, RGBColor(204, 121, 167), RGBColor(90, 90, 90)];
/// Ticks of an axis at most that are its values.
const MOST_TICKS: usize = 8;

/// The series with their colours and names.
struct Series<'a> {
    cells: Vec<&'a Cell>,
    name: String,
    colour: RGBColor,
}

/// Draws a sweep as a PNG.
pub fn png(sweep: &Sweep, cells: &[Cell]) -> Result<Vec<u8>, PlotError> {
    let series = series(sweep, cells);
    let has_divergence = cells.iter().any(|cell| cell.diverged() > 0);
    let lines = series.len() as u32 + 1 + u32::from(has_divergence);
    let legend = 28 + LEGEND_LINE * lines;
    let height = legend + UPPER_HEIGHT + LOWER_HEIGHT;
    let size = (WIDTH * OVERSAMPLING, height * OVERSAMPLING);
    let mut pixels = vec![0; 3 * size.0 as usize * size.1 as usize];
    {
        canvas::register_font().map_err(|problem| PlotError::Draw(problem.to_owned()))?;
        let root = BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area();
        root.fill(&WHITE).map_err(failed)?;
        let (top, rest) = root.split_vertically(legend * OVERSAMPLING);
        let (upper, lower) = rest.split_vertically(UPPER_HEIGHT * OVERSAMPLING);
        let (left, right) = upper.split_horizontally(size.0 / 2);
        draw_words(&top, sweep, &series, has_divergence)?;
        draw_along(&left, sweep, &series, "test loss", Cell::test_loss)?;
        draw_along(&right, sweep, &series, "test accuracy in %", |cell| percent(cell.accuracy()))?;
        draw_by_epoch(&lower, sweep, &series)?;
        root.present().map_err(failed)?;
    }
    Ok(canvas::encode(&pixels, height)?)
}

fn series<'a>(sweep: &Sweep, cells: &'a [Cell]) -> Vec<Series<'a>> {
    let mut colours = COLOURS.into_iter().cycle();
    let all = by_series(cells, sweep.axis).into_iter().map(|cells| {
        let is_alone = cells[0].settings.lookahead.is_none();
        let colour = if is_alone { ALONE } else { colours.next().unwrap_or(SLOW) };
        Series { name: sweep.label(cells[0]), cells, colour }
    });
    all.collect()
}

fn percent(share: Spread) -> Spread {
    let Spread { median, lowest, highest } = share;
    Spread { median: 100.0 * median, lowest: 100.0 * lowest, highest: 100.0 * highest }
}

/// The legend, and what lines and bands are.
fn draw_words(
    area: &Area<'_>,
    sweep: &Sweep,
    series: &[Series<'_>],
    has_divergence: bool,
) -> Result<(), PlotError> {
    let curve = |series: &Series<'_>| Curve {
        name: series.name.clone(),
        colour: series.colour,
        has_dots: true,
        ..Curve::default()
    };
    let curves: Vec<_> = series.iter().map(curve).collect();
    draw_legend(area, &curves, FONT_SIZE, LEGEND_LINE, 110)?;
    let seeds = sweep.seeds.len();
    let words = match seeds {
        1 => "One seed.".to_owned(),
        _ => format!("Line: median of {seeds} seeds. Band: from the lowest to the highest."),
    };
    let note = has_divergence.then(|| format!("Crosses: how many runs of {seeds} diverged."));
    let style = TextStyle::from((FONT, FONT_SIZE * OVERSAMPLING).into_font());
    for (line, index) in [words].into_iter().chain(note).zip(series.len()..) {
        let y = (26 + LEGEND_LINE as usize * index) * OVERSAMPLING as usize;
        area.draw_text(&line, &style, (110 * OVERSAMPLING as i32, y as i32)).map_err(failed)?;
    }
    Ok(())
}

/// A panel along the sweep's axis.
fn draw_along(
    area: &Area<'_>,
    sweep: &Sweep,
    series: &[Series<'_>],
    description: &str,
    figure: fn(&Cell) -> Spread,
) -> Result<(), PlotError> {
    let places: Vec<f64> = {
        let all = series.iter().flat_map(|series| &series.cells);
        let mut places: Vec<_> = all.filter_map(|cell| cell.place(sweep.axis)).collect();
        places.sort_unstable_by(f64::total_cmp);
        places.dedup();
        places
    };
    let (Some(first), Some(last)) = (places.first(), places.last()) else { return Err(PlotError::Empty) };
    let range = if first < last { first / 1.15..last * 1.15 } else { first / 2.0..last * 2.0 };
    let curves = series.iter().map(|series| {
        let spreads = series.cells.iter().flat_map(|cell| {
            let spread = figure(cell);
            // The rule alone is the same for every k and alpha.
            let here = cell.place(sweep.axis).map_or_else(|| vec![*first, *last], |place| vec![place]);
            here.into_iter().map(move |place| (place, spread))
        });
        curve(series, spreads, !matches!(sweep.axis, Axis::K | Axis::Alpha) || series.colour != ALONE)
    });
    let mut curves: Vec<_> = curves.collect();
    let x_ticks = if places.len() <= MOST_TICKS { places.clone() } else { ticks(&range) };
    let x_axis = range.log_scale().with_key_points(x_ticks);
    let axis = sweep.axis.to_string();
    let panel = Panel {
        description,
        x_description: &axis,
        font: FONT_SIZE,
        x_labels: X_LABELS,
        x_label: &|x| number(*x),
    };
    if description.ends_with('%') {
        let y_range = share_range(&curves).ok_or(PlotError::Empty)?;
        limit(&mut curves, &y_range);
        return panel.draw(area, x_axis, y_range, &curves);
    }
    let y_range = loss_range(&curves).ok_or(PlotError::Empty)?;
    limit(&mut curves, &y_range);
    for (curve, series) in curves.iter_mut().zip(series) {
        let diverged = series.cells.iter().filter(|cell| cell.diverged() > 0);
        let cross = |cell: &&Cell| ((cell.place(sweep.axis).unwrap_or(*first), y_range.end), cell.diverged());
        curve.crosses = diverged.map(cross).collect();
    }
    let y_axis = y_range.clone().log_scale().with_key_points(ticks(&y_range));
    panel.draw(area, x_axis, y_axis, &curves)
}

/// The test loss by epoch, each series at its best place.
fn draw_by_epoch(area: &Area<'_>, sweep: &Sweep, series: &[Series<'_>]) -> Result<(), PlotError> {
    let bests = series.iter().filter_map(|series| Some((series, best(&series.cells)?)));
    let bests: Vec<_> = bests.collect();
    let mut curves: Vec<_> =
        bests.iter().map(|(series, cell)| curve(series, cell.curve().into_iter(), false)).collect();
    let ends = curves.iter().flat_map(|curve| &curve.points).map(|point| point.0);
    let end = ends.fold(2.0, f64::max);
    let y_range = loss_range(&curves).ok_or(PlotError::Empty)?;
    limit(&mut curves, &y_range);
    let y_axis = y_range.clone().log_scale().with_key_points(ticks(&y_range));
    let places = bests.iter().filter_map(|(series, cell)| {
        let place = number(cell.place(sweep.axis)?);
        // The names of many would not fit.
        Some(if bests.len() == 2 { format!("{} {place}", series.name) } else { place })
    });
    let places: Vec<_> = places.collect();
    let axis = sweep.axis;
    let below = format!("epoch, each at its best {axis} ({})", places.join(", "));
    let panel = Panel {
        description: "test loss",
        x_description: &below,
        font: FONT_SIZE,
        // There is no epoch between two.
        x_labels: (end as usize).min(X_LABELS),
        x_label: &|x| number(*x),
    };
    panel.draw(area, 1.0..end, y_axis, &curves)
}

/// A series as a curve with its band. Where the median is infinite, the line ends.
fn curve(series: &Series<'_>, spreads: impl Iterator<Item = (f64, Spread)>, has_dots: bool) -> Curve {
    let mut curve = Curve { name: series.name.clone(), colour: series.colour, has_dots, ..Curve::default() };
    for (x, spread) in spreads {
        if spread.median.is_finite() {
            curve.points.push((x, spread.median));
        }
        if spread.lowest.is_finite() {
            curve.band.push((x, spread.lowest, spread.highest));
        }
    }
    curve
}

/// From the lowest finite figure to the highest one, on a logarithmic axis.
fn loss_range(curves: &[Curve]) -> Option<Range<f64>> {
    let bands = curves.iter().flat_map(|curve| &curve.band).flat_map(|&(_, low, high)| [low, high]);
    let figures = bands.filter(|figure| figure.is_finite() && *figure > 0.0);
    let (low, high) = figures
        .map(|figure| (figure, figure))
        .reduce(|(low, high), (figure, _)| (low.min(figure), high.max(figure)))?;
    Some(low / 1.15..high * 1.15)
}

/// Of accuracies in percent: from the lowest one up, to 100 at most.
fn share_range(curves: &[Curve]) -> Option<Range<f64>> {
    let bands = curves.iter().flat_map(|curve| &curve.band);
    let lowest = bands.map(|&(_, low, _)| low).reduce(f64::min)?;
    let unit = canvas::round_unit(((100.0 - lowest) / 5.0).max(0.2));
    Some(((lowest / unit).floor() * unit).max(0.0)..100.0)
}

/// Cuts bands and lines off at the edges of a panel.
fn limit(curves: &mut [Curve], range: &Range<f64>) {
    for curve in curves {
        curve.points.iter_mut().for_each(|(_, y)| *y = y.clamp(range.start, range.end));
        for (_, low, high) in &mut curve.band {
            (*low, *high) = (low.clamp(range.start, range.end), high.clamp(range.start, range.end));
        }
    }
}
