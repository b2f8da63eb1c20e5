//! The loss on a small real problem, run in f64 with every worker there is.
//!
//! Logistic regression on `examples/logistic`'s breast-cancer data, 569 samples of 30 features, with an L2 term:
//!
//! ```text
//! f(w) = 1/569 sum_i log(1 + exp(-y_i x_i w)) + lambda/2 |w|^2
//! ```
//!
//! Each worker draws mini-batches of its own from all data, and takes local steps of SGD from phi; the outer step takes their
//! mean. What is told is `f(phi) - f(w*)` after equally many local steps. The minimum w* is Newton's.

use logistic::{
    data::{Data, DataError, FEATURES},
    minimum::minimum,
};
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};
use rayon::prelude::*;
use serde::Serialize;

use crate::outer::OuterStep;

/// The weight of the L2 term.
pub const LAMBDA: f64 = 0.1;
/// Workers of which a mean is made at least, over several runs where one has fewer.
const DRAWN: u32 = 4096;
/// Runs at most.
const RUNS: u32 = 64;

type Weights = [f64; FEATURES];

/// Local steps.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Sgd {
    pub learning_rate: f64,
    /// Samples of a mini-batch.
    pub batch: u32,
    /// Steps of each worker.
    pub steps: u32,
    pub seed: u64,
}

/// So many workers with a period.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Cell {
    pub workers: u32,
    pub period: u32,
}

/// The problem with its minimum.
pub struct Regression {
    data: Data,
    least: f64,
}

impl Regression {
    pub fn new() -> Result<Self, DataError> {
        let mut regression = Self { data: Data::read()?, least: 0.0 };
        regression.least = regression.loss(&minimum(&regression.data, LAMBDA));
        Ok(regression)
    }

    /// f.
    fn loss(&self, w: &Weights) -> f64 {
        let samples = self.data.features.iter().zip(&self.data.labels);
        // log(1 + exp(-m)) without overflow.
        let each = samples.map(|(x, y)| {
            let margin = y * dot(x, w);
            (-margin.abs()).exp().ln_1p() + (-margin).max(0.0)
        });
        each.sum::<f64>() / self.data.samples() as f64 + LAMBDA / 2.0 * dot(w, w)
    }

    /// The loss of each cell above the minimum's, the mean of some runs where workers are few. `done` is told how many steps
    /// were taken.
    pub fn excess(
        &self,
        cells: &[Cell],
        sgd: &Sgd,
        outer: &OuterStep,
        done: impl Fn(u64) + Sync,
    ) -> Vec<f64> {
        let excess = |cell: &Cell| {
            let run = |run: u32| {
                let loss = self.loss(&self.train(*cell, run, sgd, outer)) - self.least;
                done(u64::from(cell.workers) * u64::from(sgd.steps));
                loss
            };
            (0..runs(cell.workers)).map(run).sum::<f64>() / f64::from(runs(cell.workers))
        };
        // With one thread a cell the result is the same whatever their number; the longest begin first.
        let mut order: Vec<usize> = (0..cells.len()).collect();
        order.sort_by_key(|index| std::cmp::Reverse(cells[*index].workers));
        let mut found: Vec<_> =
            order.into_par_iter().with_max_len(1).map(|index| (index, excess(&cells[index]))).collect();
        found.sort_by_key(|(index, _)| *index);
        found.into_iter().map(|(_, excess)| excess).collect()
    }

    /// phi after all steps. A worker's mini-batches are the same with any period.
    fn train(&self, cell: Cell, run: u32, sgd: &Sgd, outer: &OuterStep) -> Weights {
        let random = |worker: u32| {
            let mix = sgd.seed ^ (u64::from(worker) << 20) ^ (u64::from(run) << 44);
            Xoshiro256PlusPlus::seed_from_u64(mix)
        };
        let mut randoms: Vec<_> = (0..cell.workers).map(random).collect();
        let (mut phi, mut b, mut taken) = ([0.0; FEATURES], [0.0; FEATURES], 0);
        while taken < sgd.steps {
            let local = cell.period.min(sgd.steps - taken);
            let mut sum = [0.0; FEATURES];
            for random in &mut randoms {
                let mut theta = phi;
                (0..local).for_each(|_| self.step(&mut theta, sgd, random));
                sum.iter_mut().zip(theta).for_each(|(sum, theta)| *sum += theta);
            }
            for ((phi, b), sum) in phi.iter_mut().zip(&mut b).zip(sum) {
                *phi = outer.step(*phi, sum / f64::from(cell.workers), sgd.learning_rate, b);
            }
            taken += local;
        }
        phi
    }

    /// A local step.
    fn step(&self, w: &mut Weights, sgd: &Sgd, random: &mut Xoshiro256PlusPlus) {
        let mut gradient = w.map(|w| LAMBDA * w);
        for _ in 0..sgd.batch {
            let sample = random.random_range(0..self.data.samples() as u32) as usize;
            let (x, y) = (&self.data.features[sample], self.data.labels[sample]);
            let slope = -y / (1.0 + (y * dot(x, w)).exp()) / f64::from(sgd.batch);
            gradient.iter_mut().zip(x).for_each(|(g, x)| *g += slope * x);
        }
        w.iter_mut().zip(gradient).for_each(|(w, g)| *w -= sgd.learning_rate * g);
    }
}

/// Steps of all workers in all runs.
pub fn work(cells: &[Cell], sgd: &Sgd) -> u64 {
    let steps = |cell: &Cell| u64::from(cell.workers) * u64::from(runs(cell.workers)) * u64::from(sgd.steps);
    cells.iter().map(steps).sum()
}

fn runs(workers: u32) -> u32 {
    DRAWN.div_ceil(workers).clamp(1, RUNS)
}

/// In four sums, which a processor adds to at one time.
fn dot(a: &Weights, b: &Weights) -> f64 {
    let (a, a_rest) = a.as_chunks::<4>();
    let (b, b_rest) = b.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for (a, b) in a.iter().zip(b) {
        (0..4).for_each(|lane| sums[lane] += a[lane] * b[lane]);
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use lookahead_wgpu::{Lookahead, Options, outer::Nesterov, rules, twin::Twin};
    use serde_json::Value;

    use super::*;
    use crate::outer::OuterName;

    const SGD: Sgd = Sgd { learning_rate: 0.05, batch: 8, steps: 64, seed: 1 };

    fn averaging() -> OuterStep {
        OuterStep::new(OuterName::Interpolation, 0.5, 1.0)
    }

    fn excess(cells: &[(u32, u32)], sgd: &Sgd, outer: &OuterStep) -> Vec<f64> {
        let cells: Vec<_> = cells.iter().map(|&(workers, period)| Cell { workers, period }).collect();
        Regression::new().unwrap().excess(&cells, sgd, outer, |_| ())
    }

    // Finds: another problem than `examples/logistic`'s, whose minimum NumPy found.
    #[test]
    fn the_minimum_is_the_one_that_numpy_found() {
        let regression = Regression::new().unwrap();
        let reduced: Value =
            serde_json::from_str(include_str!("../../../tests/golden/reduced/reduced.json")).unwrap();
        assert_eq!(reduced["lambda"], LAMBDA);
        let expected = reduced["minimum"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap());
        let found = minimum(&regression.data, LAMBDA);
        assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-12));
        for index in 0..FEATURES {
            let shifted = |by: f64| {
                let mut there = found;
                there[index] += by;
                regression.loss(&there)
            };
            let slope = (shifted(1e-4) - shifted(-1e-4)) / 2e-4;
            assert!(slope.abs() < 1e-8 && shifted(1e-3) > regression.least, "{index}: {slope}");
        }
    }

    // Finds: a gradient that is not the loss's.
    #[test]
    fn a_step_goes_along_the_losss_gradient() {
        let regression = Regression::new().unwrap();
        let (w, mut sum) = ([0.05; FEATURES], [0.0; FEATURES]);
        let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
        let sgd = Sgd { batch: 1, ..SGD };
        const STEPS: u32 = 40_000;
        for _ in 0..STEPS {
            let mut theta = w;
            regression.step(&mut theta, &sgd, &mut random);
            sum.iter_mut().zip(theta).zip(w).for_each(|((sum, theta), w)| *sum += w - theta);
        }
        for (index, sum) in sum.iter().enumerate() {
            let shifted = |by: f64| {
                let mut there = w;
                there[index] += by;
                regression.loss(&there)
            };
            let slope = (shifted(1e-5) - shifted(-1e-5)) / 2e-5;
            let found = sum / f64::from(STEPS) / sgd.learning_rate;
            assert!((found - slope).abs() < 0.02, "{index}: {found}, not {slope}");
        }
    }

    // Finds: an outer step, or local steps, that are not the library's twin's.
    #[test]
    fn one_worker_is_the_twin() {
        let regression = Regression::new().unwrap();
        let cell = Cell { workers: 1, period: 5 };
        let sgd = Sgd { steps: 30, ..SGD };
        let found = regression.train(cell, 0, &sgd, &OuterStep::new(OuterName::Nesterov, 0.6, 0.7));
        let mut options = Options::default();
        options.outer = std::sync::Arc::new(Nesterov { momentum: 0.6 });
        let mut twin = Twin::new(rules::Sgd::new(0.05), vec![vec![0.0; FEATURES]])
            .lookahead(Lookahead::new(5, 0.7))
            .options(options);
        let mut random = Xoshiro256PlusPlus::seed_from_u64(sgd.seed);
        for _ in 0..30 {
            let w: Weights = twin.weights[0].clone().try_into().unwrap();
            let mut there = w;
            regression.step(&mut there, &Sgd { learning_rate: 1.0, ..sgd }, &mut random);
            let gradient = w.iter().zip(there).map(|(w, there)| w - there).collect();
            twin.step(&[gradient], 0.05);
        }
        for (found, expected) in found.iter().zip(&twin.weights[0]) {
            assert!((found - expected).abs() < 1e-12, "{found}, not {expected}");
        }
    }

    // Finds: draws that hang on the order of the threads, or that no seed changes.
    #[test]
    fn equal_seeds_give_equal_numbers() {
        let cells = [(1, 4), (4, 1), (16, 64)];
        let first = excess(&cells, &SGD, &averaging());
        assert_eq!(first, excess(&cells, &SGD, &averaging()));
        let reversed: Vec<_> = cells.into_iter().rev().collect();
        let mut again = excess(&reversed, &SGD, &averaging());
        again.reverse();
        assert_eq!(first, again);
        assert!(
            first.iter().zip(excess(&cells, &Sgd { seed: 2, ..SGD }, &averaging())).all(|(a, b)| *a != b)
        );
    }

    // Finds: workers with the same mini-batches, whose mean is no better than one of them.
    #[test]
    fn more_workers_come_nearer_and_longer_runs_too() {
        let found = excess(&[(1, 4), (16, 4), (256, 4)], &Sgd { steps: 512, ..SGD }, &averaging());
        assert!(found[0] > 3.0 * found[1] && found[1] > found[2] && found[2] > 0.0, "{found:?}");
        let short = excess(&[(16, 4)], &Sgd { steps: 32, ..SGD }, &averaging());
        assert!(short[0] > found[1]);
    }

    #[test]
    fn plain_averaging_of_one_worker_does_not_depend_on_the_period() {
        let found = excess(&[(1, 1), (1, 64)], &SGD, &averaging());
        assert!((found[0] / found[1] - 1.0).abs() < 1e-9, "{found:?}");
    }
}
