//! The loss on a noisy quadratic, in closed form.
//!
//! In a coordinate of curvature h, SGD with learning rate lr goes from phi to `theta = r phi + noise` in H local steps, with
//! `r = (1 - lr h)^H`. The noise of a step has the variance of a gradient, h (as where the data's noise is the Hessian's),
//! and that of theta's mean over n workers is n times smaller. An outer step is linear in phi and its momentum b, so that
//! means and covariances follow exactly, round by round; the loss is `sum h E[phi^2] / 2`, which is `bias + variance / n`.
//! The paper analyses Lookahead so (section 3.1), with one worker.

use serde::Serialize;

use crate::outer::{Linear, OuterStep};

/// Coordinates, whose curvatures are spread evenly in the logarithm from 1 to that over the condition number.
const COORDINATES: u32 = 200;

fn curvatures(condition: f64) -> impl Iterator<Item = f64> {
    (0..COORDINATES).map(move |index| condition.powf(-f64::from(index) / f64::from(COORDINATES - 1)))
}

/// Inner steps on it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Quadratic {
    pub condition: f64,
    pub learning_rate: f64,
    /// Steps of each worker.
    pub steps: u32,
}

/// The loss by the number of workers.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Loss {
    /// What the start leaves, which workers change nothing of.
    pub bias: f64,
    /// What noise adds with one worker.
    pub variance: f64,
}

impl Loss {
    pub fn of(&self, workers: u32) -> f64 {
        self.bias + self.variance / f64::from(workers)
    }
}

/// Mean and covariance of phi and b in one coordinate.
struct Coordinate {
    mean: [f64; 2],
    covariance: [[f64; 2]; 2],
}

impl Coordinate {
    /// A round: `[phi, b] <- matrix [phi, b] + noise (variance)`.
    fn round(&mut self, Linear { matrix: m, noise }: Linear, variance: f64) {
        let c = self.covariance;
        self.mean = [0, 1].map(|i| m[i][0] * self.mean[0] + m[i][1] * self.mean[1]);
        let entry = |i: usize, j: usize| {
            let product = |a: usize, b: usize| m[i][a] * c[a][b] * m[j][b];
            product(0, 0) + product(0, 1) + product(1, 0) + product(1, 1) + noise[i] * noise[j] * variance
        };
        self.covariance = [0, 1].map(|i| [0, 1].map(|j| entry(i, j)));
    }
}

impl Quadratic {
    /// The loss after all steps, from phi = 1 / sqrt(h), where it is 1/2 a coordinate. The last round may be shorter.
    pub fn loss(&self, outer: &OuterStep, period: u32) -> Loss {
        let each = curvatures(self.condition).map(|h| self.of_coordinate(outer, period, h));
        each.fold(Loss::default(), |sum, each| Loss {
            bias: sum.bias + each.bias,
            variance: sum.variance + each.variance,
        })
    }

    fn of_coordinate(&self, outer: &OuterStep, period: u32, h: f64) -> Loss {
        let mut coordinate = Coordinate { mean: [h.sqrt().recip(), 0.0], covariance: [[0.0; 2]; 2] };
        let round = |steps: u32| {
            let (r, variance) = local(self.learning_rate, steps, h);
            (outer.linear(r, self.learning_rate), variance)
        };
        let (linear, variance) = round(period);
        (0..self.steps / period).for_each(|_| coordinate.round(linear, variance));
        if !self.steps.is_multiple_of(period) {
            let (linear, variance) = round(self.steps % period);
            coordinate.round(linear, variance);
        }
        let mean = coordinate.mean[0];
        Loss { bias: h * mean * mean / 2.0, variance: h * coordinate.covariance[0][0] / 2.0 }
    }
}

/// What so many local steps make of phi: the factor r, and the variance of one worker's noise.
fn local(learning_rate: f64, steps: u32, h: f64) -> (f64, f64) {
    let once = 1.0 - learning_rate * h;
    let r = once.powf(f64::from(steps));
    let sum = if once * once == 1.0 { f64::from(steps) } else { (1.0 - r * r) / (1.0 - once * once) };
    (r, learning_rate * learning_rate * h * sum)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

    use super::*;
    use crate::outer::OuterName;

    const RATE: f64 = 0.3;
    const QUADRATIC: Quadratic = Quadratic { condition: 1000.0, learning_rate: RATE, steps: 256 };

    /// The same, drawn at random: mean and variance over many runs.
    fn sampled(outer: &OuterStep, steps: u32, period: u32, workers: u32, h: f64) -> Loss {
        const RUNS: u32 = 20_000;
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut normal = || (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..RUNS {
            let (mut phi, mut b, mut taken) = (h.sqrt().recip(), 0.0, 0);
            while taken < steps {
                let local = period.min(steps - taken);
                let mut mean = 0.0;
                for _ in 0..workers {
                    let mut theta = phi;
                    for _ in 0..local {
                        theta -= RATE * (h * theta + h.sqrt() * normal());
                    }
                    mean += theta / f64::from(workers);
                }
                phi = outer.step(phi, mean, RATE, &mut b);
                taken += local;
            }
            (sum, squares) = (sum + phi, squares + phi * phi);
        }
        let mean = sum / f64::from(RUNS);
        let variance = squares / f64::from(RUNS) - mean * mean;
        Loss { bias: h * mean * mean / 2.0, variance: h * variance / 2.0 }
    }

    // Finds: noise that does not fall with n, or adds up over a round wrongly; momentum lost; the last round left out.
    #[test]
    fn the_closed_form_is_what_samples_come_to() {
        let h = 0.25;
        for name in [OuterName::Interpolation, OuterName::HeavyBall, OuterName::Nesterov, OuterName::SlowMo] {
            let outer = OuterStep::new(name, 0.5, 0.6);
            for steps in [12, 10] {
                let expected = Quadratic { steps, ..QUADRATIC }.of_coordinate(&outer, 4, h);
                let found = sampled(&outer, steps, 4, 3, h);
                let noise = expected.of(3) - expected.bias;
                assert!((found.bias / expected.bias - 1.0).abs() < 0.03, "{name:?}: {found:?}, {expected:?}");
                assert!((found.variance / noise - 1.0).abs() < 0.03, "{name:?}: {found:?}, {expected:?}");
            }
        }
    }

    // Finds: a sign lost where steps overshoot.
    #[test]
    fn local_steps_are_one_after_the_other() {
        for rate in [0.3, 1.0, 1.7] {
            for steps in [1, 2, 5] {
                let (mut r, mut variance) = (1.0f64, 0.0);
                for _ in 0..steps {
                    let once = 1.0 - rate;
                    (r, variance) = (r * once, once * once * variance + rate * rate);
                }
                let found = local(rate, steps, 1.0);
                assert!((found.0 - r).abs() < 1e-12 && (found.1 - variance).abs() < 1e-12, "{rate} {steps}");
            }
        }
    }

    #[test]
    fn plain_averaging_with_one_worker_does_not_depend_on_the_period() {
        let outer = OuterStep::new(OuterName::Interpolation, 0.5, 1.0);
        let one = QUADRATIC.loss(&outer, 1).of(1);
        for period in [3, 16, 256] {
            assert!((QUADRATIC.loss(&outer, period).of(1) / one - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn more_workers_are_never_worse() {
        let outer = OuterStep::new(OuterName::Nesterov, 0.5, 0.7);
        let loss = QUADRATIC.loss(&outer, 16);
        assert!((0..12).all(|power| loss.of(2 << power) <= loss.of(1 << power)), "{loss:?}");
        assert!(loss.bias > 0.0 && loss.variance > 0.0);
    }

    // Finds: curvatures that are not spread over the condition number.
    #[test]
    fn a_larger_condition_number_leaves_more_of_the_start() {
        let outer = OuterStep::new(OuterName::Interpolation, 0.5, 1.0);
        let bias = |condition| Quadratic { condition, ..QUADRATIC }.loss(&outer, 16).bias;
        assert!(bias(1.0) < 1e-12 && bias(100.0) < bias(1000.0));
        let ends: Vec<_> = curvatures(1000.0).collect();
        assert!(ends[0] == 1.0 && (ends[199] - 1e-3).abs() < 1e-12);
    }
}
