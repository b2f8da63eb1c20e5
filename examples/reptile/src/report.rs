//! What was found: a figure, its curves, and numbers.

use crate::arguments::Arguments;
use crate::fit::{Errors, Sample, places};
use crate::network::predict;
use crate::waves::{DOMAIN, Wave};
use serde::Serialize;
use theory::plot::{Axis, Colour, Figure, Mark, Series};

/// Everything, as JSON has it. Errors are means of squares, in the square of the waves' unit.
#[derive(Debug, Serialize)]
pub struct Findings {
    pub adapter: String,
    pub steps: u32,
    pub rounds: u32,
    pub tasks: u32,
    pub k: u32,
    pub alpha: f64,
    pub learning_rate: f64,
    pub fit_steps: u32,
    pub seed: u64,
    pub seconds: f64,
    pub milliseconds_per_step: f64,
    /// Over so many new waves, from the weights before meta-training and from the slow weights after it.
    pub waves: u32,
    pub first: Errors,
    pub learned: Errors,
    /// What the figure shows.
    pub wave: Wave,
    pub points: Vec<[f32; 2]>,
}

/// The curves of the figure at one place: a row of its table.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Row {
    pub x: f64,
    pub wave: f64,
    pub before: f64,
    pub after: f64,
    pub after_from_first: f64,
}

/// The curves of three networks: the learned weights before and after fitting, and the first ones after it.
pub fn rows(wave: &Wave, [before, after, from_first]: [&[f32]; 3]) -> Vec<Row> {
    let row = |x| Row {
        x,
        wave: wave.at(x),
        before: predict(before, x),
        after: predict(after, x),
        after_from_first: predict(from_first, x),
    };
    places().map(row).collect()
}

/// The figure.
pub fn figure(arguments: &Arguments, sample: &Sample, rows: &[Row]) -> Figure {
    let line = |name: &str, colour, mark, y: fn(&Row) -> f64| Series {
        name: Some(name.to_owned()),
        colour,
        mark,
        points: rows.iter().map(|row| (row.x, y(row))).collect(),
    };
    let points = sample.points.iter().map(|[x, y]| (f64::from(*x), f64::from(*y))).collect();
    let all = rows.iter().flat_map(|row| [row.wave, row.before, row.after, row.after_from_first]);
    let most = all.fold(1.0f64, |most, y| most.max(y.abs())).min(1.5 * sample.wave.amplitude.max(1.0));
    Figure {
        name: "reptile",
        x: Axis { description: "x", range: DOMAIN, is_logarithmic: false },
        y: Axis { description: "y", range: -1.1 * most..1.1 * most, is_logarithmic: false },
        series: vec![
            line("the wave", Colour::Plain, Mark::Dashed, |row| row.wave),
            Series {
                name: Some("ten points of it".to_owned()),
                colour: Colour::Plain,
                mark: Mark::Dots,
                points,
            },
            line("learned weights, before", Colour::Fast, Mark::Line, |row| row.before),
            line("learned weights, fitted", Colour::Lookahead, Mark::Line, |row| row.after),
            line("first weights, fitted", Colour::Alone, Mark::Line, |row| row.after_from_first),
        ],
        border: None,
        caption: vec![
            format!("{} steps of SGD on ten points, from weights learned by Reptile:", arguments.fit),
            format!(
                "{} tasks a round, k = {}, alpha from {}, {} steps.",
                arguments.tasks, arguments.k, arguments.alpha, arguments.steps
            ),
        ],
    }
}
