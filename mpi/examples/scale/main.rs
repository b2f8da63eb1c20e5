//! What more workers bring, from 1 to 4096, without any: a noisy quadratic in closed form, and a network with a latency and
//! a bandwidth.
//!
//! In a coordinate of curvature h, SGD with learning rate lr goes from phi to `theta = r phi + noise` in H local steps, with
//! `r = (1 - lr h)^H`. The noise of a step has the variance of a gradient, h (as where the data's noise is the Hessian's),
//! and that of theta's mean over n workers is n times smaller. An outer step is linear in phi and its momentum b, so that
//! means and covariances follow exactly, round by round; the loss is `sum h E[phi^2] / 2`. The paper analyses Lookahead
//! so (section 3.1), with one worker.

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use lookahead_mpi::Wire;

const EXAMPLES: &str = "\
Examples:
  cargo run --release --example scale
  DiLoCo's outer step, once in 50 steps, with eight bits a value, over a slow network:
    cargo run --release --example scale -- --period 50 --outer nesterov --momentum 0.9 --alpha 0.7 --wire int8 --bandwidth 1e7
  Every step a round of plain averaging, which is data parallel training:
    cargo run --release --example scale -- --period 1 --alpha 1";

/// Tells loss and time by the number of workers, from 1 to 4096.
#[derive(Debug, Parser)]
#[command(name = "scale", after_help = EXAMPLES)]
struct Arguments {
    /// Local steps of a round
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    period: u32,
    /// Steps of each worker
    #[arg(long, default_value_t = 1600, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    steps: u32,
    /// The inner learning rate, below 2: the largest curvature is 1
    #[arg(long, default_value_t = 0.5)]
    lr: f64,
    /// The slow step size
    #[arg(long, default_value_t = 1.0)]
    alpha: f64,
    /// The outer step
    #[arg(long, value_enum, default_value_t = Outer::Interpolation)]
    outer: Outer,
    /// Its momentum
    #[arg(long, default_value_t = 0.5)]
    momentum: f64,
    /// Weights of the model that is sent
    #[arg(long, default_value_t = 1e8)]
    weights: f64,
    /// Its format: f32, bf16, f16 or int8
    #[arg(long, default_value = "f32", value_parser = wire)]
    wire: Wire,
    /// Seconds of a local step
    #[arg(long, default_value_t = 0.1)]
    step: f64,
    /// Bytes that a worker sends in a second
    #[arg(long, default_value_t = 1e9)]
    bandwidth: f64,
    /// Seconds of a message
    #[arg(long, default_value_t = 1e-4)]
    latency: f64,
}

/// The outer step.
#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Outer {
    Interpolation,
    HeavyBall,
    Nesterov,
}

fn wire(text: &str) -> Result<Wire, String> {
    let found = Wire::ALL.into_iter().find(|wire| wire.name() == text);
    found.ok_or_else(|| "give f32, bf16, f16 or int8".to_owned())
}

/// Coordinates, whose curvatures are spread evenly in the logarithm from 0.001 to 1.
const COORDINATES: u32 = 200;

fn curvatures() -> impl Iterator<Item = f64> {
    (0..COORDINATES).map(|index| 10f64.powf(-3.0 * f64::from(index) / f64::from(COORDINATES - 1)))
}

/// Mean and covariance of phi and b in one coordinate.
struct Coordinate {
    mean: [f64; 2],
    covariance: [[f64; 2]; 2],
}

impl Coordinate {
    /// A round: `[phi, b] <- matrix [phi, b] + noise (variance)`.
    fn round(&mut self, matrix: [[f64; 2]; 2], noise: [f64; 2], variance: f64) {
        let (m, c) = (matrix, self.covariance);
        self.mean = [0, 1].map(|i| m[i][0] * self.mean[0] + m[i][1] * self.mean[1]);
        let entry = |i: usize, j: usize| {
            let product = |a: usize, b: usize| m[i][a] * c[a][b] * m[j][b];
            product(0, 0) + product(0, 1) + product(1, 0) + product(1, 1) + noise[i] * noise[j] * variance
        };
        self.covariance = [0, 1].map(|i| [0, 1].map(|j| entry(i, j)));
    }
}

/// A round as a matrix over phi and b, and what noise of theta adds to each. d = phi - theta = (1 - r) phi - noise.
fn outer(arguments: &Arguments, r: f64) -> ([[f64; 2]; 2], [f64; 2]) {
    let (alpha, mu, d) = (arguments.alpha, arguments.momentum, 1.0 - r);
    match arguments.outer {
        Outer::Interpolation => ([[1.0 - alpha * d, 0.0], [0.0, 0.0]], [alpha, 0.0]),
        Outer::HeavyBall => ([[1.0 - alpha * d, -alpha * mu], [d, mu]], [alpha, -1.0]),
        Outer::Nesterov => {
            let gain = alpha * (1.0 + mu);
            ([[1.0 - gain * d, -alpha * mu * mu], [d, mu]], [gain, -1.0])
        }
    }
}

/// The loss after all rounds, from phi = 1 / sqrt(h), where it is 1/2 a coordinate.
fn loss(arguments: &Arguments, workers: u32) -> f64 {
    let steps = arguments.period as i32;
    let each = curvatures().map(|h| {
        let once = 1.0 - arguments.lr * h;
        let r = once.powi(steps);
        let sum: f64 = if once * once == 1.0 {
            f64::from(steps)
        } else {
            (1.0 - once.powi(2 * steps)) / (1.0 - once * once)
        };
        let variance = arguments.lr * arguments.lr * h * sum / f64::from(workers);
        let (matrix, noise) = outer(arguments, r);
        let mut coordinate = Coordinate { mean: [h.sqrt().recip(), 0.0], covariance: [[0.0; 2]; 2] };
        for _ in 0..arguments.steps.div_ceil(arguments.period) {
            coordinate.round(matrix, noise, variance);
        }
        h * (coordinate.mean[0] * coordinate.mean[0] + coordinate.covariance[0][0]) / 2.0
    });
    each.sum()
}

/// Seconds of a round, and how many of them go to the exchange.
fn seconds(arguments: &Arguments, workers: u32) -> (f64, f64, f64) {
    let n = f64::from(workers);
    let packed = arguments.weights * arguments.wire.block_bytes() as f64 / lookahead_mpi::BLOCK as f64;
    let sent = 2.0 * packed * (n - 1.0) / n;
    let exchange = sent / arguments.bandwidth + 2.0 * n.log2().ceil() * arguments.latency;
    (f64::from(arguments.period) * arguments.step + exchange, exchange, sent)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !(arguments.lr > 0.0 && arguments.lr < 2.0) {
        eprintln!("error: --lr {} does not converge: give one above 0 and below 2", arguments.lr);
        return ExitCode::FAILURE;
    }
    let rounds = f64::from(arguments.steps.div_ceil(arguments.period));
    println!(
        "{:>7} {:>12} {:>14} {:>10} {:>12}",
        "workers", "loss", "bytes a round", "seconds", "exchanging"
    );
    for workers in (0..=12).map(|power| 1u32 << power) {
        let (round, exchange, sent) = seconds(&arguments, workers);
        let share = 100.0 * exchange / round;
        let loss = loss(&arguments, workers);
        println!("{workers:>7} {loss:>12.5} {sent:>14.3e} {:>10.1} {share:>10.1} %", rounds * round);
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(words: &[&str]) -> Arguments {
        Arguments::parse_from([&["scale"], words].concat())
    }

    /// The same, drawn at random: a mean over many runs.
    fn sampled(arguments: &Arguments, workers: u32, h: f64, runs: u32) -> f64 {
        let mut state = 1u64;
        let mut normal = || {
            let mut sum = 0.0;
            for _ in 0..12 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                sum += (state >> 11) as f64 / (1u64 << 53) as f64;
            }
            sum - 6.0
        };
        let mut total = 0.0;
        for _ in 0..runs {
            let (mut phi, mut b) = (h.sqrt().recip(), 0.0);
            for _ in 0..arguments.steps.div_ceil(arguments.period) {
                let mut mean = 0.0;
                for _ in 0..workers {
                    let mut theta = phi;
                    for _ in 0..arguments.period {
                        theta -= arguments.lr * (h * theta + h.sqrt() * normal());
                    }
                    mean += theta / f64::from(workers);
                }
                let d = phi - mean;
                b = arguments.momentum * b + d;
                phi -= arguments.alpha
                    * match arguments.outer {
                        Outer::Interpolation => d,
                        Outer::HeavyBall => b,
                        Outer::Nesterov => d + arguments.momentum * b,
                    };
            }
            total += h * phi * phi / 2.0;
        }
        total / f64::from(runs)
    }

    #[test]
    fn the_closed_form_is_what_samples_come_to() {
        for outer in ["interpolation", "heavy-ball", "nesterov"] {
            let words = ["--outer", outer, "--steps", "20", "--period", "4", "--alpha", "0.6", "--lr", "0.3"];
            let arguments = arguments(&words);
            let h = curvatures().nth(40).unwrap();
            let (steps, once) = (4, 1.0 - arguments.lr * h);
            let variance =
                arguments.lr.powi(2) * h * (1.0 - once.powi(2 * steps)) / (1.0 - once * once) / 3.0;
            let (matrix, noise) = super::outer(&arguments, once.powi(steps));
            let mut coordinate = Coordinate { mean: [h.sqrt().recip(), 0.0], covariance: [[0.0; 2]; 2] };
            (0..5).for_each(|_| coordinate.round(matrix, noise, variance));
            let expected = h * (coordinate.mean[0].powi(2) + coordinate.covariance[0][0]) / 2.0;
            let found = sampled(&arguments, 3, h, 20_000);
            assert!((found / expected - 1.0).abs() < 0.03, "{outer}: {found} and {expected}");
        }
    }

    #[test]
    fn more_workers_are_never_worse_and_wait_for_the_network() {
        let arguments = arguments(&["--steps", "160"]);
        let losses: Vec<f64> = (0..=12).map(|power| loss(&arguments, 1 << power)).collect();
        assert!(losses.windows(2).all(|pair| pair[1] <= pair[0]), "{losses:?}");
        assert_eq!(seconds(&arguments, 1).1, 0.0);
        assert!(seconds(&arguments, 4096).1 > seconds(&arguments, 2).1);
    }
}
