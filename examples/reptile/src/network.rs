//! The network on the host: its first weights, and what it says. `gradient.wgsl` has the same layout.

use rand::{RngExt, rngs::SmallRng};

/// Units of each of the two hidden layers.
pub const UNITS: usize = 64;

/// Where the parts of the weights begin: of the first layer, the second and the last, each with its biases behind it.
const B1: usize = UNITS;
const W2: usize = B1 + UNITS;
const B2: usize = W2 + UNITS * UNITS;
const W3: usize = B2 + UNITS;
const B3: usize = W3 + UNITS;

/// All weights and biases.
pub const LEN: usize = B3 + 1;

/// Uniform in +- 1 / sqrt(inputs), as PyTorch's linear layers; the first layer's so that its units bend within the domain.
pub fn first_weights(random: &mut SmallRng) -> Vec<f32> {
    let hidden = (UNITS as f32).sqrt().recip();
    let bound = |at: usize| if at < W2 { 1.0 } else { hidden };
    (0..LEN).map(|at| random.random_range(-bound(at)..bound(at))).collect()
}

/// What the network says at x.
pub fn predict(weights: &[f32], x: f64) -> f64 {
    let w = |at: usize| f64::from(weights[at]);
    let first: Vec<f64> = (0..UNITS).map(|unit| (w(unit) * x + w(B1 + unit)).tanh()).collect();
    let second = (0..UNITS).map(|unit| {
        let row = W2 + UNITS * unit;
        let sum: f64 = first.iter().enumerate().map(|(from, value)| w(row + from) * value).sum();
        (sum + w(B2 + unit)).tanh()
    });
    second.enumerate().map(|(unit, value)| w(W3 + unit) * value).sum::<f64>() + w(B3)
}

/// The mean squared error at points.
pub fn loss(weights: &[f32], points: impl ExactSizeIterator<Item = (f64, f64)>) -> f64 {
    let count = points.len() as f64;
    points.map(|(x, y)| (predict(weights, x) - y).powi(2)).sum::<f64>() / count
}
