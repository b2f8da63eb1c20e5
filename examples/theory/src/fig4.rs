//! Figure 4: how fast heavy ball, and Lookahead around it, converge on quadratics of many condition numbers.

use crate::contraction::measured_rate;
use crate::plot::{Axis, Border, Colour, Figure, Mark, Series};
use crate::simulate::{SimulationError, Simulator};
use lookahead_wgpu::analysis::{
    Descent, best_learning_rate, critical_condition_number, log_spaced_curvatures,
};
use lookahead_wgpu::{Lookahead, StatePolicy};
use serde::Serialize;

pub const MOMENTUM: f64 = 0.99;
pub const K: u32 = 20;
pub const ALPHA: f64 = 0.5;
/// Curvatures, log-spaced in [1/kappa, 1].
pub const CURVATURES: usize = 41;
const LEAST: f64 = 2.0;
const MOST: f64 = 1e7;
const POINTS_A_DECADE: f64 = 8.0;
/// At these condition numbers the GPU is asked too.
pub const MEASURED: [f64; 4] = [1e1, 1e2, 1e3, 1e4];

/// What is compared.
pub const METHODS: [(&str, Option<StatePolicy>, Colour); 4] = [
    ("cm", None, Colour::Alone),
    ("maintain", Some(StatePolicy::Maintain), Colour::Lookahead),
    ("interpolate", Some(StatePolicy::Interpolate), Colour::Second),
    ("reset", Some(StatePolicy::Reset), Colour::Third),
];

/// The best that a method does.
#[derive(Debug, Clone, Serialize)]
pub struct Point {
    pub kappa: f64,
    pub method: &'static str,
    /// 1 minus the factor of an inner step, with the best learning rate.
    pub rate: f64,
    pub learning_rate: f64,
    /// The same, as the GPU's weights contract.
    pub measured: Option<f64>,
}

pub fn lookahead(policy: Option<StatePolicy>) -> Option<Lookahead> {
    policy.map(|policy| Lookahead::new(K, ALPHA).policy(policy))
}

fn point(
    simulator: &Simulator<'_>,
    kappa: f64,
    method: usize,
    measures: bool,
) -> Result<Point, SimulationError> {
    let (name, policy, _) = METHODS[method];
    let lookahead = lookahead(policy);
    let curvatures = log_spaced_curvatures(kappa, CURVATURES)?;
    let best = best_learning_rate(MOMENTUM, lookahead.as_ref(), &curvatures)?;
    let descent = Descent::heavy_ball(best.learning_rate, MOMENTUM);
    let measured = match measures {
        true => Some(1.0 - measured_rate(simulator, descent, lookahead, &curvatures, K)?),
        false => None,
    };
    Ok(Point { kappa, method: name, rate: 1.0 - best.rate, learning_rate: best.learning_rate, measured })
}

/// How often `compute` calls `done`.
pub fn work() -> u64 {
    kappas().len() as u64
}

fn kappas() -> Vec<f64> {
    let decades = (MOST / LEAST).log10();
    let count = (decades * POINTS_A_DECADE).ceil();
    let grid = (0..=count as u32).map(|i| LEAST * 10f64.powf(decades * f64::from(i) / count));
    let mut kappas: Vec<_> = grid.chain(MEASURED).collect();
    kappas.sort_by(f64::total_cmp);
    kappas
}

/// Computes all points, and measures some.
pub fn compute(simulator: &Simulator<'_>, done: &mut dyn FnMut()) -> Result<Vec<Point>, SimulationError> {
    let mut points = Vec::new();
    for kappa in kappas() {
        for method in 0..METHODS.len() {
            points.push(point(simulator, kappa, method, MEASURED.contains(&kappa))?);
        }
        done();
    }
    Ok(points)
}

/// The largest relative difference between a measured rate and the spectral radius'.
pub fn largest_error(points: &[Point]) -> f64 {
    let errors = points.iter().filter_map(|point| Some((point.measured? / point.rate - 1.0).abs()));
    errors.fold(0.0, f64::max)
}

/// A table for the terminal.
pub fn table(points: &[Point]) -> String {
    let mut table = format!(
        "1 - rate per inner step, best learning rate, momentum {MOMENTUM}, k = {K}, alpha = {ALPHA}\n{:>10}",
        "kappa"
    );
    for (method, ..) in METHODS {
        table += &format!("  {method:>11} {:>8}", "GPU");
    }
    for kappa in MEASURED {
        table += &format!("\n{kappa:>10}");
        for point in points.iter().filter(|point| point.kappa == kappa) {
            table += &format!("  {:>11.5} {:>8.5}", point.rate, point.measured.unwrap_or(f64::NAN));
        }
    }
    table + &format!("\nlargest relative difference: {:.1e}", largest_error(points))
}

/// The figure.
pub fn figure(points: &[Point]) -> Result<Figure, SimulationError> {
    let critical = critical_condition_number(MOMENTUM)?;
    let mut series = Vec::new();
    for (method, policy, colour) in METHODS {
        let own = || points.iter().filter(|point| point.method == method);
        let name = policy.map_or("CM (heavy ball) alone".to_owned(), |_| format!("Lookahead, {method}"));
        let line = own().map(|point| (point.kappa, point.rate)).collect();
        series.push(Series { name: Some(name), colour, mark: Mark::Line, points: line });
        let dots = own().filter_map(|point| Some((point.kappa, point.measured?))).collect();
        series.push(Series { name: None, colour, mark: Mark::Dots, points: dots });
    }
    Ok(Figure {
        name: "fig4",
        x: Axis { description: "condition number", range: LEAST..MOST, is_logarithmic: true },
        y: Axis {
            description: "1 - rate per inner step",
            range: bottom(points)..top(points),
            is_logarithmic: true,
        },
        series,
        border: Some(Border { x: critical, left: "under-damped", right: "over-damped" }),
        caption: vec![
            format!("Momentum {MOMENTUM}, k = {K}, alpha = {ALPHA}; {CURVATURES} curvatures, log-spaced;"),
            "the best learning rate at each point. Dots: measured on the GPU.".to_owned(),
        ],
    })
}

fn bottom(points: &[Point]) -> f64 {
    0.8 * points.iter().map(|point| point.rate).fold(f64::INFINITY, f64::min)
}

fn top(points: &[Point]) -> f64 {
    // Room for the words at the border.
    3.0 * points.iter().map(|point| point.rate).fold(0.0, f64::max)
}
