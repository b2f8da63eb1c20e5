//! The times, the lines and the plots.

use serde::Serialize;
use theory::plot::{Axis, Colour, Figure, Mark, Series};

use crate::{
    fit::Line,
    measure::{Point, WHAT},
    start_up::StartUp,
};

#[derive(Serialize)]
pub struct Report {
    adapter: String,
    /// Seconds.
    start_up: StartUp,
    points: Vec<Point>,
    /// Of each of [`WHAT`].
    lines: Vec<Line>,
}

impl Report {
    pub fn new(adapter: String, start_up: StartUp, points: Vec<Point>) -> Self {
        let line = |what: usize| {
            let size = |point: &Point| [point.size.parameters() as f64, point.size.tensors as f64];
            Line::fit(&points.iter().map(|point| (size(point), point.seconds[what])).collect::<Vec<_>>())
        };
        let lines = (0..WHAT.len()).map(line).collect();
        Self { adapter, start_up, points, lines }
    }

    /// Tables that fit a terminal.
    pub fn text(&self) -> String {
        let mut text =
            format!("Lookahead(Adam) on {}\n\n{:>8} {:>12}", self.adapter, "tensors", "parameters");
        WHAT.iter().for_each(|what| text += &format!(" {what:>14}"));
        text += "\n";
        for point in &self.points {
            text += &format!("{:>8} {:>12}", point.size.tensors, point.size.parameters());
            point.seconds.iter().for_each(|seconds| text += &format!(" {:>14}", time(*seconds)));
            text += "\n";
        }
        text += &format!(
            "\nThe line that fits: what is fixed, what each parameter and each tensor adds.\n{:>14} {:>12} {:>12} \
             {:>12} {:>13}\n",
            "", "fixed", "a parameter", "a tensor", "worst misfit"
        );
        for (what, line) in WHAT.iter().zip(&self.lines) {
            let [fixed, parameter, tensor] = [line.fixed, line.parameter, line.tensor].map(time);
            let misfit = format!("{:.0} %", 100.0 * line.misfit);
            text += &format!("{what:>14} {fixed:>12} {parameter:>12} {tensor:>12} {misfit:>13}\n");
        }
        let StartUp { plan, shaders, buffers, step } = self.start_up;
        let [all, plan, shaders, buffers, step] =
            [self.start_up.seconds(), plan, shaders, buffers, step].map(time);
        text += &format!(
            "\nFrom a builder to the end of the first step, every pipeline made anew: {all}\n\
             (plan {plan}, shaders and pipelines {shaders}, buffers {buffers}, step {step})\n"
        );
        text
    }

    /// By parameters of one tensor, and by tensors of 256 values.
    pub fn figures(&self) -> Vec<Figure> {
        let by_parameters = self.figure("parameters", "parameters of one tensor", false);
        vec![by_parameters, self.figure("tensors", "tensors of 256 values", true)]
    }

    fn figure(&self, name: &'static str, description: &'static str, many: bool) -> Figure {
        let size = |point: &Point| if many { point.size.tensors } else { point.size.parameters() } as f64;
        let points = || self.points.iter().filter(|point| point.size.is_many() == many);
        let colours = [Colour::Plain, Colour::Lookahead, Colour::Fast, Colour::Second, Colour::Alone];
        let series = WHAT.iter().zip(colours).enumerate().map(|(at, (what, colour))| Series {
            name: Some((*what).to_owned()),
            colour,
            mark: Mark::Line,
            points: points().map(|point| (size(point), 1e3 * point.seconds[at])).collect(),
        });
        let times = || points().flat_map(|point| point.seconds.map(|seconds| 1e3 * seconds));
        let (least, most) = (times().fold(f64::INFINITY, f64::min), times().fold(0.0, f64::max));
        let sizes = || points().map(size);
        let range = sizes().fold(f64::INFINITY, f64::min) / 1.1..1.1 * sizes().fold(0.0, f64::max);
        Figure {
            name,
            x: Axis { description, range, is_logarithmic: true },
            y: Axis { description: "milliseconds", range: least / 1.5..most * 1.5, is_logarithmic: true },
            series: series.collect(),
            border: None,
            caption: vec!["Lookahead(Adam); pipelines made before. On".to_owned(), self.adapter.clone()],
        }
    }
}

/// A time in the unit in which it has one to three digits before the point.
fn time(seconds: f64) -> String {
    let units = [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"), (1e-12, "ps")];
    let found = units.into_iter().find(|(unit, _)| seconds >= 0.9995 * unit);
    found.map_or_else(|| "0".to_owned(), |(unit, name)| format!("{:.3} {name}", seconds / unit))
}
