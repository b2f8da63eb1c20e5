//! The picture: losses by workers, and time and waiting by workers.

use lookahead_mpi::Wire;
use plotters::prelude::*;
use train::{
    canvas::{self, FONT, OVERSAMPLING, WIDTH, number, ticks},
    panel::{ALONE, AVERAGE, Area, Curve, FAST, Panel, PlotError, SLOW, draw_legend, failed},
};

use crate::{
    findings::{are_alike, streaming},
    report::{Loss, MOST, PERIODS, Report, short},
    schedule::{Round, Schedule},
};

const FONT_SIZE: u32 = 22;
const LINE: u32 = 30;
const LEGEND: u32 = 2 * LINE + 14;
const TITLE: u32 = 40;
const PANEL: u32 = 370;
/// Of the periods, and of the formats.
const COLOURS: [RGBColor; 5] = [ALONE, AVERAGE, FAST, SLOW, RGBColor(204, 121, 167)];
const GREY: RGBColor = RGBColor(90, 90, 90);
/// Where the axis of workers has numbers.
const TICKS: [f64; 5] = [1.0, 8.0, 64.0, 512.0, 4096.0];

/// Draws a report.
pub fn png(report: &Report) -> Result<Vec<u8>, PlotError> {
    let height = 2 * (TITLE + LEGEND + PANEL);
    let size = (WIDTH * OVERSAMPLING, height * OVERSAMPLING);
    let mut pixels = vec![0; 3 * size.0 as usize * size.1 as usize];
    {
        canvas::register_font().map_err(|problem| PlotError::Draw(problem.to_owned()))?;
        let root = BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area();
        root.fill(&WHITE).map_err(failed)?;
        let (upper, lower) = root.split_vertically(size.1 / 2);
        draw_losses(&upper, report)?;
        draw_times(&lower, report)?;
        root.present().map_err(failed)?;
    }
    Ok(canvas::encode(&pixels, height)?)
}

/// A title and a legend in columns above; what is below is split into as many panels.
fn head<'a>(
    area: &Area<'a>,
    title: &str,
    legend: &[Curve],
    columns: usize,
    panels: usize,
) -> Result<Vec<Area<'a>>, PlotError> {
    let (top, rest) = area.split_vertically((TITLE + LEGEND) * OVERSAMPLING);
    let style = TextStyle::from((FONT, FONT_SIZE * OVERSAMPLING).into_font());
    let at = (24 * OVERSAMPLING as i32, 14 * OVERSAMPLING as i32);
    top.draw_text(title, &style, at).map_err(failed)?;
    let (_, names) = top.split_vertically((TITLE - 8) * OVERSAMPLING);
    let lines = legend.len().div_ceil(columns);
    for (column, curves) in names.split_evenly((1, columns)).iter().zip(legend.chunks(lines)) {
        draw_legend(column, curves, FONT_SIZE, LINE, 24)?;
    }
    Ok(rest.split_evenly((1, panels)))
}

fn draw_losses(area: &Area<'_>, report: &Report) -> Result<(), PlotError> {
    let of = |losses: &[Loss]| -> Vec<Curve> {
        let curve = |(period, colour): (u32, RGBColor)| {
            let points = losses.iter().filter(|loss| loss.cell.period == period);
            let points = points.map(|loss| (f64::from(loss.cell.workers), loss.loss));
            let points = points.filter(|(_, loss)| loss.is_finite() && *loss > 0.0).collect();
            Curve { name: format!("H = {period}"), colour, points, has_dots: true, ..Curve::default() }
        };
        PERIODS.into_iter().zip(COLOURS).map(curve).collect()
    };
    let mut quadratic = of(&report.quadratic);
    let mut legend = quadratic.clone();
    if are_alike(&report.quadratic) {
        quadratic.truncate(1);
        (quadratic[0].name, quadratic[0].colour) = ("every H alike".to_owned(), GREY);
        legend.extend(quadratic.clone());
    }
    let panels = [("quadratic: loss", quadratic), ("logistic: loss - least", of(&report.logistic))];
    let panels: Vec<_> =
        panels.iter().filter(|(_, curves)| curves.iter().any(|curve| !curve.points.is_empty())).collect();
    let steps = report.settings.schedule.steps;
    let title = format!("Loss after {steps} local steps of each worker, with an outer step once in H");
    let areas = head(area, &title, &legend, 3, panels.len().max(1))?;
    for (area, (description, curves)) in areas.iter().zip(panels) {
        draw(area, description, curves)?;
    }
    Ok(())
}

fn draw_times(area: &Area<'_>, report: &Report) -> Result<(), PlotError> {
    let settings = &report.settings;
    let plain = Schedule { fragments: 1, overlap: 0, ..settings.schedule };
    let streaming = streaming(&settings.schedule);
    let curves = |value: fn(&Round) -> f64| -> Vec<Curve> {
        let curve = |(wire, colour): (Wire, RGBColor), schedule: Schedule, is_dashed: bool| {
            let at = |power: u32| schedule.round(&settings.network, 1u32 << power);
            let points = (0..=MOST.ilog2()).map(at).map(|round| (f64::from(round.workers), value(&round)));
            let name = if wire == Wire::Bf16 && !is_dashed { "bf16, f16" } else { wire.name() };
            let name = if is_dashed { format!("{name}, streamed") } else { name.to_owned() };
            Curve { name, colour, is_dashed, points: points.collect(), ..Curve::default() }
        };
        let wires = [Wire::F32, Wire::Bf16, Wire::Int8].into_iter().zip([ALONE, AVERAGE, SLOW]);
        let each = wires.flat_map(|wire| {
            let of = |schedule: Schedule| Schedule { wire: wire.0, ..schedule };
            let streamed = streaming.map(|schedule| curve(wire, of(schedule), true));
            [Some(curve(wire, of(plain), false)), streamed].into_iter().flatten()
        });
        each.collect()
    };
    let mut title = format!("{} weights, H = {}", short(plain.weights as f64), plain.period);
    if let Some(Schedule { fragments, overlap, .. }) = streaming {
        title += &format!("; streamed: in {fragments} fragments, each behind {overlap} steps");
    }
    let description = format!("{} steps: seconds", plain.steps);
    let panels = [
        (description.as_str(), curves(|round| round.total)),
        ("waiting in %", curves(|round| 100.0 * round.share())),
    ];
    let areas = head(area, &title, &panels[0].1, 3, panels.len())?;
    for (area, (description, curves)) in areas.iter().zip(&panels) {
        draw(area, description, curves)?;
    }
    Ok(())
}

/// A panel by workers. Shares go from 0 to 100, all else is logarithmic.
fn draw(area: &Area<'_>, description: &str, curves: &[Curve]) -> Result<(), PlotError> {
    let x_axis = (0.85..1.18 * f64::from(MOST)).log_scale().with_key_points(TICKS.to_vec());
    let panel = Panel {
        description,
        x_description: "workers",
        font: FONT_SIZE,
        x_labels: TICKS.len(),
        x_label: &|x| number(*x),
    };
    if description.ends_with('%') {
        return panel.draw(area, x_axis, 0.0..100.0, curves);
    }
    let values = || curves.iter().flat_map(|curve| &curve.points).map(|point| point.1);
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
    let range = low / 1.3..high * 1.3;
    let y_axis = range.clone().log_scale().with_key_points(ticks(&range));
    panel.draw(area, x_axis, y_axis, curves)
}
