//! One method on the data, step by step on the GPU.

use crate::{
    data::{Data, FEATURES},
    gradients::Gradients,
    method::Method,
};
use lookahead_wgpu::{Error, Field, Optimizer, gpu::Gpu};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use serde::Serialize;

/// What a run is of.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub passes: u32,
    pub batch: u32,
    pub rate: f64,
    pub lambda: f64,
    pub seed: u64,
}

impl Settings {
    /// Mini-batches of a pass over the data.
    pub fn steps(&self, data: &Data) -> u32 {
        (data.samples() as u32).div_ceil(self.batch)
    }

    /// The samples of as many mini-batches as the passes have at most.
    pub fn batches(&self, data: &Data) -> Vec<u32> {
        let (mut rng, samples) = (SmallRng::seed_from_u64(self.seed), data.samples() as u32);
        let count = self.passes * self.steps(data) * self.batch;
        (0..count).map(|_| rng.random_range(0..samples)).collect()
    }
}

/// Where a method was.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    pub method: &'static str,
    /// Gradients of single samples so far, over the number of samples.
    pub passes: f64,
    /// |w - w*| / |w*|.
    pub distance: f64,
}

const TENSOR: &str = "w";

/// Runs a method from 0, and measures it after each cycle of at least a pass.
pub fn run(
    gpu: &Gpu,
    data: &Data,
    minimum: &[f64; FEATURES],
    settings: &Settings,
    method: Method,
) -> Result<Vec<Point>, Error> {
    let Settings { passes, batch, rate, lambda, .. } = *settings;
    let gradients = Gradients::new(gpu, data, &settings.batches(data), batch, lambda);
    let (steps, samples) = (settings.steps(data), data.samples() as f64);
    let builder = method.builder(rate, lambda, method.k(steps)).tensor(TENSOR, &[FEATURES]);
    let mut optimizer = builder.pipelines(&gpu.pipelines).build_blocking(&gpu.device, &gpu.queue)?;
    let weights = optimizer.weights(TENSOR)?;
    let mut each = vec![gradients.at(gpu, false, &weights, &optimizer.gradients(TENSOR)?)];
    let mut full = None;
    if method.is_reduced() {
        let snapshot = optimizer.slow_weights(TENSOR)?;
        each.push(gradients.at(gpu, false, &snapshot, &optimizer.snapshot_gradients(TENSOR)?));
        full = Some(gradients.at(gpu, true, &snapshot, &optimizer.full_gradients(TENSOR)?));
    }
    let mut points = vec![point(method, 0.0, &optimizer, minimum)?];
    // Gradients of single samples.
    let (mut taken, mut step) = (0.0, 0);
    while taken < f64::from(passes) * samples {
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        if let Some(full) = full.as_ref().filter(|_| optimizer.full_gradients_due() == Ok(true)) {
            gradients.record(&mut encoder, [full]);
            taken += samples;
        }
        gradients.record(&mut encoder, &each);
        optimizer.step(&mut encoder)?;
        gradients.draw(gpu, step);
        gpu.queue.submit([encoder.finish()]);
        taken += each.len() as f64 * f64::from(batch);
        step += 1;
        if step.is_multiple_of(steps.next_multiple_of(method.k(steps))) {
            points.push(point(method, taken / samples, &optimizer, minimum)?);
        }
    }
    Ok(points)
}

fn point(
    method: Method,
    passes: f64,
    optimizer: &Optimizer,
    minimum: &[f64; FEATURES],
) -> Result<Point, Error> {
    // Katyusha's result are the slow weights, which others' are, too, at the end of a cycle.
    let field = if method == Method::Sgd { Field::Weights } else { Field::SlowWeights };
    let weights = optimizer.download_blocking(field, TENSOR)?;
    let squares = weights.iter().zip(minimum).map(|(w, least)| (f64::from(*w) - least).powi(2));
    let least: f64 = minimum.iter().map(|value| value * value).sum();
    Ok(Point { method: method.name(), passes, distance: (squares.sum::<f64>() / least).sqrt() })
}
