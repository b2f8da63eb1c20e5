//! Figure 3: the expected loss after 1000 updates over the learning rate.

use crate::plot::{Axis, Colour, Figure, Mark, Series};
use crate::simulate::{Ensemble, Measure, Run, SimulationError, Simulator};
use lookahead_wgpu::Lookahead;
use lookahead_wgpu::analysis::{Descent, Moments, NoisyQuadratic};
use serde::Serialize;

/// Coordinates: a_i = 1/i and sigma_i^2 = NOISE/a_i, so that the gradient's covariance is NOISE A.
pub const DIMENSION: usize = 50;
pub const NOISE: f64 = 0.01;
pub const UPDATES: u64 = 1000;
pub const K: u32 = 5;
pub const REPEATS: u32 = 1024;
const LEAST: f64 = 0.01;
const MOST: f64 = 1.96;
const POINTS: u32 = 60;
/// More of them where the loss grows steeply.
const STEEP: [f64; 5] = [1.75, 1.8, 1.85, 1.93, 1.95];
/// Numbers of the runs, which no other subject has.
const FIRST_RUN: u32 = 10_000;
/// Learning rates at which the GPU is asked too.
const MEASURED: [f64; 6] = [0.02, 0.05, 0.15, 0.5, 1.2, 1.9];
/// Slow step sizes; none is SGD alone.
pub const METHODS: [(Option<f64>, Colour); 4] = [
    (None, Colour::Alone),
    (Some(0.8), Colour::Third),
    (Some(0.5), Colour::Lookahead),
    (Some(0.2), Colour::Second),
];

/// What one learning rate comes to.
#[derive(Debug, Clone, Serialize)]
pub struct Point {
    pub method: &'static str,
    /// None for SGD.
    pub k: Option<u32>,
    pub alpha: Option<f64>,
    pub gamma: f64,
    /// The expected loss, exact.
    pub loss: f64,
    /// The same without what no iterate can avoid, 1/2 sum a sigma^2.
    pub excess: f64,
    /// The excess, over the repeats of the GPU, and its standard error.
    pub measured: Option<f64>,
    pub stderr: Option<f64>,
}

pub fn model() -> Result<(NoisyQuadratic, Vec<f64>), SimulationError> {
    let curvatures: Vec<_> = (1..=DIMENSION).map(|i| 1.0 / i as f64).collect();
    let deviations: Vec<_> = curvatures.iter().map(|a| (NOISE / a).sqrt()).collect();
    Ok((NoisyQuadratic::new(&curvatures, &deviations)?, vec![1.0; DIMENSION]))
}

fn floor(model: &NoisyQuadratic) -> f64 {
    let zero = vec![0.0; model.curvatures().len()];
    model.loss(&Moments { mean: zero.clone(), variance: zero })
}

fn rates() -> Vec<f64> {
    let grid = (0..=POINTS).map(|i| LEAST * (MOST / LEAST).powf(f64::from(i) / f64::from(POINTS)));
    let mut rates: Vec<_> = grid.chain(STEEP).chain(MEASURED).collect();
    rates.sort_by(f64::total_cmp);
    rates
}

/// How often `compute` calls `done`.
pub fn work() -> u64 {
    (METHODS.len() * rates().len()) as u64
}

/// Computes all points, and measures some.
pub fn compute(
    simulator: &Simulator<'_>,
    seed: u32,
    done: &mut dyn FnMut(),
) -> Result<Vec<Point>, SimulationError> {
    let (model, start) = model()?;
    let mut points = Vec::new();
    for (alpha, _) in METHODS {
        let lookahead = alpha.map(|alpha| Lookahead::new(K, alpha));
        for gamma in rates() {
            let descent = Descent::sgd(gamma);
            let mut exact = model.recursion(descent, lookahead, &start)?;
            (0..UPDATES).for_each(|_| exact.step());
            let loss = model.loss(&exact.fast());
            let measured = if MEASURED.contains(&gamma) {
                let ensemble = Ensemble { model: &model, start: &start, repeats: REPEATS };
                let run = Run {
                    descent,
                    lookahead,
                    steps: UPDATES,
                    measure: Measure::Last,
                    splits_sync: false,
                    seed,
                    number: FIRST_RUN + points.len() as u32,
                };
                let samples = simulator.measure(&ensemble, &run)?;
                samples.last().map(|sample| excess(&model, &sample.moments))
            } else {
                None
            };
            points.push(Point {
                method: if alpha.is_some() { "lookahead" } else { "sgd" },
                k: alpha.map(|_| K),
                alpha,
                gamma,
                loss,
                excess: loss - floor(&model),
                measured,
                stderr: measured.map(|_| excess_error(&model, &exact.fast())),
            });
            done();
        }
    }
    Ok(points)
}

/// The mean of 1/2 sum a theta^2 over the repeats.
fn excess(model: &NoisyQuadratic, measured: &Moments) -> f64 {
    let repeats = f64::from(REPEATS);
    // The mean square has the variance with its bias in it.
    let squares = measured.mean.iter().zip(&measured.variance);
    let squares = squares.map(|(mean, variance)| mean * mean + variance * (repeats - 1.0) / repeats);
    0.5 * model.curvatures().iter().zip(squares).map(|(a, square)| a * square).sum::<f64>()
}

/// Its standard error: theta is normal, and so V[theta^2] = 2 V^2 + 4 E^2 V.
fn excess_error(model: &NoisyQuadratic, exact: &Moments) -> f64 {
    let moments = exact.mean.iter().zip(&exact.variance);
    let terms = model.curvatures().iter().zip(moments).map(|(a, (mean, variance))| {
        0.25 * a * a * (2.0 * variance * variance + 4.0 * mean * mean * variance)
    });
    (terms.sum::<f64>() / f64::from(REPEATS)).sqrt()
}

/// Distances from the exact loss, in standard errors.
pub fn deviations(points: &[Point]) -> Vec<f64> {
    points.iter().filter_map(|point| Some((point.measured? - point.excess) / point.stderr?)).collect()
}

/// A table for the terminal.
pub fn table(points: &[Point]) -> String {
    let mut table = format!(
        "Expected loss above its minimum after {UPDATES} updates, k = {K} (GPU: {REPEATS} repeats)\n{:>6}",
        "gamma"
    );
    for (alpha, _) in METHODS {
        let name = alpha.map_or("SGD".to_owned(), |alpha| format!("alpha {alpha}"));
        table += &format!("  {name:>9} {:>8}", "GPU");
    }
    for gamma in MEASURED {
        table += &format!("\n{gamma:>6}");
        for point in points.iter().filter(|point| point.gamma == gamma) {
            table += &format!("  {:>9.5} {:>8.5}", point.excess, point.measured.unwrap_or(f64::NAN));
        }
    }
    let furthest = deviations(points).into_iter().map(f64::abs).fold(0.0, f64::max);
    table + &format!("\nfurthest from the exact loss: {furthest:.2} standard errors")
}

/// The figure.
pub fn figure(points: &[Point]) -> Figure {
    let mut series = Vec::new();
    for (alpha, colour) in METHODS {
        let own = || points.iter().filter(move |point| point.alpha == alpha);
        let name = alpha.map_or("SGD alone".to_owned(), |alpha| format!("Lookahead, alpha = {alpha}"));
        let line = own().map(|point| (point.gamma, point.excess)).collect();
        series.push(Series { name: Some(name), colour, mark: Mark::Line, points: line });
        let dots = own().filter_map(|point| Some((point.gamma, point.measured?))).collect();
        series.push(Series { name: None, colour, mark: Mark::Dots, points: dots });
    }
    let least = points.iter().map(|point| point.excess).fold(f64::INFINITY, f64::min);
    let most = points.iter().map(|point| point.excess).fold(0.0, f64::max);
    Figure {
        name: "fig3",
        x: Axis { description: "learning rate", range: LEAST..2.0, is_logarithmic: true },
        y: Axis {
            description: "expected loss above minimum",
            range: 0.8 * least..1.2 * most,
            is_logarithmic: true,
        },
        series,
        border: None,
        caption: vec![
            format!("Noisy quadratic after {UPDATES} updates, k = {K}; {DIMENSION} coordinates, a = 1/i,"),
            format!("noise variance {NOISE}/a, start 1. Lines: exact. Dots: GPU, {REPEATS} repeats."),
        ],
    }
}
