//! Logistic regression with an L2 term on scikit-learn's breast-cancer data, and trajectories on it in f64 of which
//! `reduced.py` says what they are.

use lookahead_wgpu::{
    Builder, Lookahead, Optimizer,
    rules::{Katyusha, Sgd},
};
use rand::{RngExt, SeedableRng};
use serde::Deserialize;

/// Samples of a mini-batch.
pub const BATCH: usize = 8;

/// The L2 term's weight.
const LAMBDA: f64 = 0.1;

/// `f(w) = 1/n sum_i log(1 + exp(-y_i x_i w)) + lambda/2 |w|^2`.
pub struct Problem {
    x: Vec<Vec<f64>>,
    /// 1 or -1.
    y: Vec<f64>,
}

impl Problem {
    /// Each feature has mean 0 and variance 1, and the last is 1.
    pub fn read() -> Self {
        let rows = include_str!("../../../examples/logistic/data/breast_cancer.csv").lines().skip(1);
        let row = |line: &str| line.split(',').map(|value| value.trim().parse().unwrap()).collect();
        let mut x: Vec<Vec<f64>> = rows.map(row).collect();
        let y = x.iter_mut().map(|row| 2.0 * row.pop().unwrap() - 1.0).collect();
        let n = x.len() as f64;
        for feature in 0..x[0].len() {
            let mean = x.iter().map(|row| row[feature]).sum::<f64>() / n;
            let variance = x.iter().map(|row| (row[feature] - mean).powi(2)).sum::<f64>() / n;
            x.iter_mut().for_each(|row| row[feature] = (row[feature] - mean) / variance.sqrt());
        }
        x.iter_mut().for_each(|row| row.push(1.0));
        Self { x, y }
    }

    /// How many samples there are.
    pub fn samples(&self) -> usize {
        self.x.len()
    }

    /// How many weights.
    pub fn features(&self) -> usize {
        self.x[0].len()
    }

    /// The gradient of some samples.
    pub fn gradient(&self, w: &[f64], batch: &[usize]) -> Vec<f64> {
        let mut gradient: Vec<f64> = w.iter().map(|w| LAMBDA * w).collect();
        for &sample in batch {
            let (x, y) = (&self.x[sample], self.y[sample]);
            let margin = y * x.iter().zip(w).map(|(x, w)| x * w).sum::<f64>();
            let slope = -y / (1.0 + margin.exp()) / batch.len() as f64;
            gradient.iter_mut().zip(x).for_each(|(g, x)| *g += slope * x);
        }
        gradient
    }

    /// The gradient of all of them.
    pub fn full_gradient(&self, w: &[f64]) -> Vec<f64> {
        self.gradient(w, &(0..self.samples()).collect::<Vec<_>>())
    }

    /// A mini-batch, the same for a seed in every run.
    pub fn draw(&self, seed: u64) -> Vec<usize> {
        let mut rng = rand::rngs::SmallRng::seed_from_u64(seed);
        (0..BATCH).map(|_| rng.random_range(0..self.samples())).collect()
    }
}

/// The file.
#[derive(Deserialize)]
pub struct Recorded {
    rate: f64,
    k: u32,
    pub minimum: Vec<f64>,
    /// The samples of each step.
    pub batches: Vec<Vec<usize>>,
    pub runs: Vec<Run>,
}

/// An optimizer, and its trajectory.
#[derive(Deserialize)]
pub struct Run {
    pub name: String,
    /// None for plain descent.
    alpha: Option<f64>,
    /// tau1, tau2 and sigma; plain descent within the cycles where it is not there.
    katyusha: Option<[f64; 3]>,
    /// The weights after so many steps.
    pub x: Vec<(usize, Vec<f64>)>,
}

impl Recorded {
    pub fn read() -> Self {
        serde_json::from_str(include_str!("reduced.json")).unwrap()
    }
}

impl Run {
    /// The optimizer of a run.
    pub fn builder(&self, recorded: &Recorded) -> Builder {
        let builder = match self.katyusha {
            Some([tau1, tau2, sigma]) => {
                Optimizer::builder(Katyusha::new(recorded.rate).tau1(tau1).tau2(tau2).sigma(sigma))
            }
            None => Optimizer::builder(Sgd::new(recorded.rate)),
        };
        match self.alpha {
            Some(alpha) => builder.lookahead(Lookahead::new(recorded.k, alpha)).variance_reduced(),
            None => builder,
        }
    }
}
