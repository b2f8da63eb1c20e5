//! Proposition 2: the variances that SGD and Lookahead converge to, and how they get there.

use crate::moments::variance_error;
use crate::plot::{Axis, Colour, Figure, Mark, Series};
use crate::simulate::{Ensemble, Measure, Run, Sample, SimulationError, Simulator};
use lookahead_wgpu::Lookahead;
use lookahead_wgpu::analysis::{Descent, NoisyQuadratic};
use serde::Serialize;

pub const CURVATURES: [f64; 5] = [0.25, 0.5, 1.0, 2.0, 3.0];
pub const DEVIATIONS: [f64; 5] = [1.0, 0.5, 2.0, 1.0, 1.5];
pub const START: [f64; 5] = [1.0; 5];
/// Of each coordinate, for each of the settings.
pub const REPEATS: u32 = 1 << 18;
/// k, alpha and gamma; k = 1 and alpha = 1 is SGD alone.
pub const SETTINGS: [(u32, f64, f64); 10] = [
    (1, 1.0, 0.5),
    (1, 1.0, 0.2),
    (2, 0.5, 0.5),
    (5, 0.2, 0.5),
    (5, 0.5, 0.5),
    (5, 0.5, 0.2),
    (5, 0.8, 0.5),
    (10, 0.5, 0.5),
    (20, 0.5, 0.5),
    (20, 0.8, 0.5),
];
/// A run ends where no variance is further than this from its fixed point, relative to it.
const STATIONARY: f64 = 1e-4;

/// The setting of the figure, and its coordinate.
const FIGURE: (u32, f64, f64) = (10, 0.5, 0.5);
const FIGURE_COORDINATE: usize = 0;
const FIGURE_STEPS: u64 = 80;
const FIGURE_REPEATS: u32 = 1 << 14;
/// Numbers of its runs, which no setting has.
const FIGURE_RUN: u32 = 1000;

/// A coordinate at its fixed point.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub k: u32,
    pub alpha: f64,
    pub gamma: f64,
    pub a: f64,
    pub sigma: f64,
    /// The fixed points of SGD, and of Lookahead after a sync.
    pub v_sgd: f64,
    pub v_la: f64,
    /// On the GPU after so many steps, the last of which is a sync.
    pub measured: f64,
    pub stderr: f64,
    pub steps: u64,
    pub repeats: u32,
}

/// The variance at a step, exact and measured.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    pub method: &'static str,
    pub step: u64,
    /// Of the fast weights where a sync comes next.
    pub is_before_sync: bool,
    pub variance: f64,
    pub measured: f64,
    pub stderr: f64,
}

/// What there is to show.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub rows: Vec<Row>,
    pub steps: Vec<Step>,
}

fn model() -> Result<NoisyQuadratic, SimulationError> {
    Ok(NoisyQuadratic::new(&CURVATURES, &DEVIATIONS)?)
}

/// None where it is SGD alone.
fn lookahead(k: u32, alpha: f64) -> Option<Lookahead> {
    (alpha < 1.0).then(|| Lookahead::new(k, alpha))
}

/// How often `compute` calls `done`.
pub fn work() -> u64 {
    SETTINGS.len() as u64 + 2
}

/// Runs all settings.
pub fn compute(
    simulator: &Simulator<'_>,
    seed: u32,
    done: &mut dyn FnMut(),
) -> Result<Outcome, SimulationError> {
    let mut rows = Vec::new();
    for (i, setting) in (0..).zip(SETTINGS) {
        rows.extend(fixed_point(simulator, setting, seed, i)?);
        done();
    }
    let mut steps = Vec::new();
    let (k, alpha, _) = FIGURE;
    let methods = [("sgd", None), ("lookahead", lookahead(k, alpha))];
    for (i, (method, lookahead)) in (FIGURE_RUN..).zip(methods) {
        steps.extend(by_step(simulator, method, lookahead, seed, i)?);
        done();
    }
    Ok(Outcome { rows, steps })
}

fn fixed_point(
    simulator: &Simulator<'_>,
    (k, alpha, gamma): (u32, f64, f64),
    seed: u32,
    number: u32,
) -> Result<Vec<Row>, SimulationError> {
    let model = model()?;
    let (descent, lookahead) = (Descent::sgd(gamma), lookahead(k, alpha));
    let v_sgd = model.sgd_variance(gamma)?;
    let v_la = model.lookahead_variance(gamma, &Lookahead::new(k, alpha))?;
    let mut exact = model.recursion(descent, lookahead, &START)?;
    let is_far = |(v, end): (&f64, &f64)| (v / end - 1.0).abs() > STATIONARY;
    while exact.steps() == 0 || exact.slow().variance.iter().zip(&v_la).any(is_far) {
        // Whole cycles: a run ends with a sync.
        (0..k).for_each(|_| exact.step());
    }
    let steps = exact.steps();
    let ensemble = Ensemble { model: &model, start: &START, repeats: REPEATS };
    let run = Run { descent, lookahead, steps, measure: Measure::Last, splits_sync: false, seed, number };
    let samples = simulator.measure(&ensemble, &run)?;
    let row = |i: usize, measured: f64| Row {
        k,
        alpha,
        gamma,
        a: CURVATURES[i],
        sigma: DEVIATIONS[i],
        v_sgd: v_sgd[i],
        v_la: v_la[i],
        measured,
        stderr: variance_error(v_la[i], f64::from(REPEATS)),
        steps,
        repeats: REPEATS,
    };
    let measured = samples.iter().flat_map(|sample| sample.moments.variance.iter().enumerate());
    Ok(measured.map(|(i, measured)| row(i, *measured)).collect())
}

fn by_step(
    simulator: &Simulator<'_>,
    method: &'static str,
    lookahead: Option<Lookahead>,
    seed: u32,
    number: u32,
) -> Result<Vec<Step>, SimulationError> {
    let model = model()?;
    let descent = Descent::sgd(FIGURE.2);
    let ensemble = Ensemble { model: &model, start: &START, repeats: FIGURE_REPEATS };
    let run = Run {
        descent,
        lookahead,
        steps: FIGURE_STEPS,
        measure: Measure::All,
        splits_sync: true,
        seed,
        number,
    };
    let mut exact = model.recursion(descent, lookahead, &START)?;
    let step = |Sample { step, is_before_sync, moments }: Sample| {
        while exact.steps() < step {
            exact.step();
        }
        let expected = if is_before_sync { exact.unsynchronised() } else { exact.fast() };
        let variance = expected.variance[FIGURE_COORDINATE];
        let stderr = variance_error(variance, f64::from(FIGURE_REPEATS));
        let measured = moments.variance[FIGURE_COORDINATE];
        Step { method, step, is_before_sync, variance, measured, stderr }
    };
    Ok(simulator.measure(&ensemble, &run)?.into_iter().map(step).collect())
}

/// Distances from the fixed points, in standard errors.
pub fn deviations(rows: &[Row]) -> Vec<f64> {
    rows.iter().map(|row| (row.measured - row.v_la) / row.stderr).collect()
}

/// A table for the terminal.
pub fn table(rows: &[Row]) -> String {
    let mut table = format!(
        "Variances at the fixed point (GPU: {REPEATS} repeats of each)\n\
         {:>3} {:>5} {:>5} {:>5} {:>5}  {:>9} {:>9}  {:>9} {:>9} {:>6}",
        "k", "alpha", "gamma", "a", "sigma", "V SGD", "V LA", "GPU", "std. err.", "sigmas"
    );
    for (row, deviation) in rows.iter().zip(deviations(rows)) {
        table += &format!(
            "\n{:>3} {:>5} {:>5} {:>5} {:>5}  {:>9.6} {:>9.6}  {:>9.6} {:>9.6} {:>6.2}",
            row.k,
            row.alpha,
            row.gamma,
            row.a,
            row.sigma,
            row.v_sgd,
            row.v_la,
            row.measured,
            row.stderr,
            deviation
        );
    }
    let count: u64 = rows.iter().map(|row| u64::from(row.repeats)).sum();
    table + &format!("\n{:.1} million coordinate-repeats", count as f64 / 1e6)
}

/// The figure: the variance of one coordinate by step.
pub fn figure(Outcome { rows, steps }: &Outcome) -> Figure {
    let (k, alpha, gamma) = FIGURE;
    let (a, sigma) = (CURVATURES[FIGURE_COORDINATE], DEVIATIONS[FIGURE_COORDINATE]);
    let of = |method: &'static str| steps.iter().filter(move |step| step.method == method);
    let exact = |step: &Step| (step.step as f64, step.variance);
    let measured = |step: &Step| (step.step as f64, step.measured);
    let is_sync =
        |step: &&Step| step.step > 0 && step.step.is_multiple_of(u64::from(k)) && !step.is_before_sync;
    let end = FIGURE_STEPS as f64;
    let own = rows.iter().find(|row| (row.k, row.alpha, row.gamma, row.a) == (k, alpha, gamma, a));
    let (v_sgd, v_la) = own.map_or((f64::NAN, f64::NAN), |row| (row.v_sgd, row.v_la));
    let level = |value: f64| vec![(0.0, value), (end, value)];
    let series = |name: Option<&str>, colour, mark, points| Series {
        name: name.map(ToOwned::to_owned),
        colour,
        mark,
        points,
    };
    let top = steps.iter().map(|step| step.variance.max(step.measured)).fold(0.0, f64::max);
    Figure {
        name: "prop2",
        x: Axis { description: "step", range: 0.0..end, is_logarithmic: false },
        y: Axis { description: "variance of a weight", range: 0.0..1.12 * top, is_logarithmic: false },
        series: vec![
            series(None, Colour::Alone, Mark::Dashed, level(v_sgd)),
            series(None, Colour::Lookahead, Mark::Dashed, level(v_la)),
            series(Some("SGD alone"), Colour::Alone, Mark::Line, of("sgd").map(exact).collect()),
            series(Some("Lookahead, fast"), Colour::Fast, Mark::Line, of("lookahead").map(exact).collect()),
            series(
                None,
                Colour::Alone,
                Mark::Dots,
                of("sgd").filter(|step| step.step.is_multiple_of(4)).map(measured).collect(),
            ),
            series(None, Colour::Fast, Mark::Dots, of("lookahead").map(measured).collect()),
            series(
                Some("Lookahead, slow"),
                Colour::Lookahead,
                Mark::Squares,
                of("lookahead").filter(is_sync).map(measured).collect(),
            ),
            series(Some("fixed points"), Colour::Plain, Mark::Dashed, vec![]),
        ],
        border: None,
        caption: vec![
            format!("k = {k}, alpha = {alpha}, learning rate {gamma}, a = {a}, sigma = {sigma}."),
            format!("Lines: exact. Marks: on the GPU, {FIGURE_REPEATS} repeats."),
        ],
    }
}
