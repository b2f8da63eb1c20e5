//! The command line.

use clap::Parser;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  The figure as PNG and SVG, the points as CSV, in `logistic`:
    cargo run --release -p logistic
  Another rate, elsewhere, all points as JSON:
    cargo run --release -p logistic -- --rate 0.02 --out figures --json points.json

The data are scikit-learn's breast-cancer data, 569 samples of 30 features, each
with mean 0 and variance 1. A mini-batch's gradient at the weights or at the
snapshot counts as many samples as it has, a full gradient 569; a cycle of SVRG
is one pass over the mini-batches.

RUST_LOG=debug shows what wgpu does.";

/// Distance to the minimum of a logistic regression by passes over the data: SGD, Lookahead, SVRG, Lookahead over
/// SVRG, and Katyusha.
#[derive(Debug, Clone, Parser)]
#[command(name = "logistic", after_help = EXAMPLES)]
pub struct Arguments {
    /// Passes over the data
    #[arg(long, default_value_t = 150, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub passes: u32,
    /// Samples of a mini-batch
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=569))]
    pub batch: u32,
    /// The learning rate of all methods
    #[arg(long, default_value_t = 0.05)]
    pub rate: f64,
    /// The weight of the L2 term
    #[arg(long, default_value_t = 0.05, value_parser = positive)]
    pub lambda: f64,
    /// Chooses the mini-batches
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The folder for figure and table; it is made where it is not there
    #[arg(long, default_value = "logistic", value_name = "DIR")]
    pub out: PathBuf,
    /// Write the points as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// The GPU, by a part of its name, driver or backend
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
}

/// The minimum is one only where the L2 term is there.
fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value.is_finite() => Ok(value),
        _ => Err("must be a number above 0".to_owned()),
    }
}
