//! The noisy quadratic model of section 3: `L(x) = 1/2 sum a_i x_i^2`, with the gradient `a (x - c)`, `c ~ N(0, sigma^2)`.

use std::error::Error;

use lookahead_wgpu::{
    Field, Optimizer, analysis::log_spaced_curvatures, gpu::Gpu, rules::Sgd, wgpu::CommandEncoder,
};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use serde::Serialize;

use crate::method::Method;

/// Coordinates, and the condition number of their curvatures, of which the largest is 1.
pub const COORDINATES: usize = 64;
pub const CONDITION: f64 = 1000.0;
pub const LEARNING_RATE: f64 = 1.0;
pub const STEPS: u64 = 600;
/// The minima of a step are so far from 0, as a standard deviation.
pub const NOISE: [f64; 2] = [0.0, 0.1];
/// Runs of which the mean is taken where there is noise.
pub const SEEDS: u64 = 4;
const W: &str = "w";

/// How the loss goes down by steps.
#[derive(Debug, Clone, Serialize)]
pub struct Descent {
    pub method: &'static str,
    pub noise: f64,
    /// The loss at the start and after each step, at the slow weights where there are some, the mean over seeds.
    pub losses: Vec<f64>,
}

impl Descent {
    /// Runs it.
    pub fn run(gpu: &Gpu, method: &Method, noise: f64) -> Result<Self, Box<dyn Error>> {
        let seeds = if noise == 0.0 { 1 } else { SEEDS };
        let mut losses = vec![0.0; STEPS as usize + 1];
        for seed in 0..seeds {
            for (sum, loss) in losses.iter_mut().zip(descend(gpu, method, noise, seed)?) {
                *sum += loss / seeds as f64;
            }
        }
        Ok(Self { method: method.name, noise, losses })
    }

    /// The mean loss of the last fifth of the steps.
    pub fn last(&self) -> f64 {
        let last = &self.losses[self.losses.len() * 4 / 5..];
        last.iter().sum::<f64>() / last.len() as f64
    }

    /// The steps after which the loss is below this share of the first for good.
    pub fn steps_to(&self, share: f64) -> Option<usize> {
        let above = self.losses.iter().rposition(|loss| *loss > share * self.losses[0]);
        let steps = above.map_or(0, |step| step + 1);
        (steps < self.losses.len()).then_some(steps)
    }
}

fn descend(gpu: &Gpu, method: &Method, noise: f64, seed: u64) -> Result<Vec<f64>, Box<dyn Error>> {
    let curvatures = log_spaced_curvatures(CONDITION, COORDINATES)?;
    let builder = Optimizer::builder(Sgd::new(LEARNING_RATE)).tensor(W, &[COORDINATES]);
    let builder = method.apply(builder).pipelines(&gpu.pipelines);
    let mut optimizer = builder.build_blocking(&gpu.device, &gpu.queue)?;
    let mut random = SmallRng::seed_from_u64(seed);
    let mut x = vec![1f32; COORDINATES];
    optimizer.upload(W, &x)?;
    let loss = |x: &[f32]| {
        let terms = x.iter().zip(&curvatures).map(|(x, a)| a * f64::from(*x) * f64::from(*x));
        terms.sum::<f64>() / 2.0
    };
    let mut losses = vec![loss(&x)];
    let k = method.lookahead.map_or(1, |lookahead| u64::from(lookahead.k));
    for step in 1..=STEPS {
        let gradient = x.iter().zip(&curvatures).map(|(x, a)| {
            let minimum = if noise == 0.0 { 0.0 } else { noise * normal(&mut random) };
            (a * (f64::from(*x) - minimum)) as f32
        });
        let gradient: Vec<f32> = gradient.collect();
        let place = optimizer.gradients(W)?;
        gpu.queue.write_buffer(&place.buffer, place.offset, bytemuck::cast_slice(&gradient));
        submit(gpu, |encoder| optimizer.step(encoder))?;
        x = optimizer.download_blocking(Field::Weights, W)?;
        // After a sync they are the slow weights.
        let at_slow = if step % k == 0 { loss(&x) } else { losses[losses.len() - 1] };
        losses.push(at_slow);
    }
    Ok(losses)
}

/// A standard normal variable, by Box and Muller's transform.
fn normal(random: &mut SmallRng) -> f64 {
    let [radius, angle] = [random.random_range(f64::MIN_POSITIVE..1.0), random.random_range(0.0..1.0)];
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// Records and submits.
pub fn submit<T>(gpu: &Gpu, record: impl FnOnce(&mut CommandEncoder) -> T) -> T {
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    let result = record(&mut encoder);
    gpu.queue.submit([encoder.finish()]);
    result
}
