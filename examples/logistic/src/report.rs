//! What was found, as a table and as a figure.

use crate::{
    method::Method,
    run::{Point, Settings},
};
use theory::plot::{Axis, Figure, Mark, Series};

/// The name of the files.
pub const NAME: &str = "logistic";

/// Passes between two rows of the table.
const ROWS: u32 = 10;

/// A table for the terminal: the distance after so many passes at most.
pub fn table(points: &[Point], settings: &Settings) -> String {
    let mut table = "Relative distance to the minimum, |w - w*| / |w*|\npasses".to_owned();
    Method::ALL.iter().for_each(|method| table += &format!(" {:>16}", method.name()));
    for passes in (0..=settings.passes).step_by(settings.passes.div_ceil(ROWS) as usize) {
        table += &format!("\n{passes:>6}");
        for method in Method::ALL {
            let before = |point: &&Point| point.method == method.name() && point.passes <= f64::from(passes);
            let last = points.iter().rfind(before);
            table += &format!(" {:>16.1e}", last.map_or(f64::NAN, |point| point.distance));
        }
    }
    table
}

/// The figure.
pub fn figure(points: &[Point], settings: &Settings) -> Figure {
    let series = Method::ALL.map(|method| Series {
        name: Some(method.name().to_owned()),
        colour: method.colour(),
        mark: Mark::Line,
        points: points
            .iter()
            .filter(|point| point.method == method.name())
            .map(|point| (point.passes, point.distance))
            .collect(),
    });
    Figure {
        name: NAME,
        x: Axis {
            description: "passes over the data",
            range: 0.0..f64::from(settings.passes),
            is_logarithmic: false,
        },
        y: Axis { description: "distance to the minimum", range: 1e-7..2.0, is_logarithmic: true },
        series: series.to_vec(),
        border: None,
        caption: vec![
            format!(
                "Logistic regression, 569 samples; mini-batches of {}, rate {},",
                settings.batch, settings.rate
            ),
            format!("lambda {}. Distance: |w - w*| / |w*|.", settings.lambda),
        ],
    }
}
