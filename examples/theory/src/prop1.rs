//! Proposition 1: the best slow step, and the estimate of it that the optimizer finds on the GPU.

use crate::plot::{Axis, Colour, Figure, Mark, Series};
use crate::simulate::SimulationError;
use lookahead_wgpu::alpha::Curvature;
use lookahead_wgpu::analysis::Quadratic;
use lookahead_wgpu::gpu::Gpu;
use lookahead_wgpu::rules::Sgd;
use lookahead_wgpu::{AdaptiveAlpha, Field, Lookahead, Optimizer};
use serde::Serialize;

/// Row by row.
const A: [f64; 4] = [1.0, 0.3, 0.3, 0.4];
const B: [f64; 2] = [1.0, 0.5];
const START: [f64; 2] = [3.0, 3.0];
const K: u32 = 5;
const ALPHA_LOW: f64 = 0.1;
/// Up to this alpha the loss is drawn.
const MOST: f64 = 2.0;
const POINTS: u32 = 80;
const THETA: &str = "theta";

/// Learning rate and momentum of each inner loop: one that stops short, and one that overshoots.
const LOOPS: [(&str, f64, f64, Colour); 2] =
    [("sgd", 0.2, 0.0, Colour::Alone), ("heavy_ball", 0.3, 0.9, Colour::Lookahead)];

/// An inner loop and the step after it.
#[derive(Debug, Clone, Serialize)]
pub struct Loop {
    pub inner: &'static str,
    pub learning_rate: f64,
    pub momentum: f64,
    pub k: u32,
    pub theta_0: Vec<f64>,
    pub theta_k: Vec<f64>,
    /// Where the loss along theta_0 -> theta_k is least.
    pub alpha_star: f64,
    /// The clipped estimate with the diagonal of A, exact, and as the GPU found it.
    pub alpha_hat: f64,
    pub measured: f64,
    pub losses: Vec<Loss>,
}

/// The loss of `theta_0 + alpha (theta_k - theta_0)`, above its minimum.
#[derive(Debug, Clone, Serialize)]
pub struct Loss {
    pub alpha: f64,
    pub loss: f64,
}

/// How often `compute` calls `done`.
pub fn work() -> u64 {
    LOOPS.len() as u64
}

/// Runs the inner loops on the GPU.
pub fn compute(gpu: &Gpu, done: &mut dyn FnMut()) -> Result<Vec<Loop>, SimulationError> {
    let quadratic = Quadratic::new(&A, &B)?;
    let mut loops = Vec::new();
    for (inner, learning_rate, momentum, _) in LOOPS {
        let (theta_k, measured) = run(gpu, &quadratic, Sgd::new(learning_rate).momentum(momentum))?;
        let along = |alpha: f64| -> Vec<f64> {
            START.iter().zip(&theta_k).map(|(from, to)| from + alpha * (to - from)).collect()
        };
        let least = quadratic.loss(&minimum())?;
        let losses = (0..=POINTS).map(|i| {
            let alpha = MOST * f64::from(i) / f64::from(POINTS);
            Ok(Loss { alpha, loss: quadratic.loss(&along(alpha))? - least })
        });
        loops.push(Loop {
            inner,
            learning_rate,
            momentum,
            k: K,
            theta_0: START.to_vec(),
            alpha_star: quadratic.best_alpha(&START, &theta_k)?,
            alpha_hat: quadratic.estimated_alpha(&START, &theta_k, &diagonal(), ALPHA_LOW)?,
            measured,
            losses: losses.collect::<Result<_, SimulationError>>()?,
            theta_k,
        });
        done();
    }
    Ok(loops)
}

fn diagonal() -> [f64; 2] {
    [A[0], A[3]]
}

/// Where `Ax = b`.
fn minimum() -> [f64; 2] {
    let determinant = A[0] * A[3] - A[1] * A[2];
    [(A[3] * B[0] - A[1] * B[1]) / determinant, (A[0] * B[1] - A[2] * B[0]) / determinant]
}

/// theta_k, and alpha^ as the optimizer finds it at the sync.
fn run(gpu: &Gpu, quadratic: &Quadratic, rule: Sgd) -> Result<(Vec<f64>, f64), SimulationError> {
    let mut optimizer = Optimizer::builder(rule)
        .lookahead(Lookahead::new(K, 0.5))
        .adaptive(AdaptiveAlpha::new(ALPHA_LOW).curvature(Curvature::Given))
        .tensor(THETA, &[START.len()])
        .build_blocking(&gpu.device, &gpu.queue)?;
    optimizer.upload(THETA, &START.map(|value| value as f32))?;
    let (gradients, curvature) = (optimizer.gradients(THETA)?, optimizer.curvature(THETA)?);
    let diagonal = diagonal().map(|value| value as f32);
    gpu.queue.write_buffer(&curvature.buffer, curvature.offset, bytemuck::cast_slice(&diagonal));
    let mut theta = START.to_vec();
    // The last step finds alpha at theta_k and synchronises.
    for step in 0..=K {
        let gradient: Vec<_> = quadratic.gradient(&theta)?.into_iter().map(|value| value as f32).collect();
        gpu.queue.write_buffer(&gradients.buffer, gradients.offset, bytemuck::cast_slice(&gradient));
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        optimizer.step(&mut encoder)?;
        gpu.queue.submit([encoder.finish()]);
        if step < K {
            let weights = optimizer.download_blocking(Field::Weights, THETA)?;
            theta = weights.into_iter().map(f64::from).collect();
        }
    }
    let alpha = optimizer.download_alphas_blocking()?.into_iter().flatten().next();
    Ok((theta, alpha.map_or(f64::NAN, f64::from)))
}

/// A table for the terminal.
pub fn table(loops: &[Loop]) -> String {
    let mut table = format!(
        "The best slow step after {K} inner steps, and its estimate with the diagonal of A, in [{ALPHA_LOW}, 1]\n\
         {:>10} {:>5} {:>8}  {:>9} {:>9} {:>9}",
        "inner", "gamma", "momentum", "alpha*", "alpha^", "GPU"
    );
    for found in loops {
        table += &format!(
            "\n{:>10} {:>5} {:>8}  {:>9.5} {:>9.5} {:>9.5}",
            found.inner,
            found.learning_rate,
            found.momentum,
            found.alpha_star,
            found.alpha_hat,
            found.measured
        );
    }
    table
}

/// The figure.
pub fn figure(loops: &[Loop]) -> Figure {
    // A little above where they begin; beyond alpha = 1 a loop that overshot rises far.
    let starts = loops.iter().filter_map(|found| found.losses.first());
    let top = 1.2 * starts.map(|point| point.loss).fold(0.0, f64::max);
    let mut series = Vec::new();
    for (found, (_, learning_rate, momentum, colour)) in loops.iter().zip(LOOPS) {
        let at = |alpha: f64| {
            // The loss is a parabola in alpha: three points of it are all of it.
            let nearest = |x: f64| {
                found.losses.iter().min_by(|p, q| (p.alpha - x).abs().total_cmp(&(q.alpha - x).abs()))
            };
            let losses = [0.0, 1.0, 2.0].map(|x| nearest(x).map_or(f64::NAN, |point| point.loss));
            let second = losses[2] - 2.0 * losses[1] + losses[0];
            (alpha, losses[0] + alpha * (losses[1] - losses[0]) + 0.5 * alpha * (alpha - 1.0) * second)
        };
        let name = if momentum == 0.0 { "SGD" } else { "heavy ball" };
        let name = format!("{name}, rate {learning_rate}");
        let low = found.losses.iter().filter(|point| point.loss <= top);
        let line = low.map(|point| (point.alpha, point.loss)).collect();
        series.push(Series { name: Some(name), colour, mark: Mark::Line, points: line });
        series.push(Series { name: None, colour, mark: Mark::Squares, points: vec![at(found.alpha_star)] });
        series.push(Series { name: None, colour, mark: Mark::Dots, points: vec![at(found.measured)] });
    }
    let named = |name: &str, mark| Series {
        name: Some(name.to_owned()),
        colour: Colour::Plain,
        mark,
        points: vec![],
    };
    series.push(named("alpha*, the best", Mark::Squares));
    series.push(named("clipped estimate (GPU)", Mark::Dots));
    Figure {
        name: "prop1",
        x: Axis { description: "alpha", range: 0.0..MOST, is_logarithmic: false },
        y: Axis { description: "loss above minimum", range: 0.0..top, is_logarithmic: false },
        series,
        border: None,
        caption: vec![
            format!(
                "A = [{} {}; {} {}], b = ({}, {}), from ({}, {}); k = {K}.",
                A[0], A[1], A[2], A[3], B[0], B[1], START[0], START[1]
            ),
            format!("Estimate: curvature diag(A), clipped to [{ALPHA_LOW}, 1]."),
        ],
    }
}
