//! The command line.

use clap::{Parser, value_parser};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  With everything at its default; the figure as PNG and SVG and its curves as
  CSV in `reptile`:
    cargo run --release -p reptile
  One task a round, as in the paper's serial version, with longer tasks:
    cargo run --release -p reptile -- --tasks 1 --alpha 0.1 --k 10
  All that was found as JSON, on the adapter whose name holds `llvmpipe`:
    cargo run --release -p reptile -- --json reptile.json --adapter llvmpipe

A task is a sine wave of amplitude 0.1 to 5 and of any phase, over -5 to 5. The
network has two hidden layers of 64 tanh units; its gradient, of the mean
squared error at ten random points a step, is found by a kernel beside the
optimizer's. RUST_LOG=debug shows what wgpu does.";

/// Learns weights from which ten points and some steps fit a sine wave (Reptile)
#[derive(Debug, Clone, Parser)]
#[command(name = "reptile", after_help = EXAMPLES)]
pub struct Arguments {
    /// Inner steps of meta-training in all, to the end of a round
    #[arg(long, default_value_t = 75_000, value_parser = value_parser!(u32).range(1..))]
    pub steps: u32,
    /// Tasks of a round, to the mean of which the slow weights move
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..=1000))]
    pub tasks: u32,
    /// Inner steps of a task
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..=1000))]
    pub k: u32,
    /// The first outer step size, which goes down to zero in a straight line
    #[arg(long, default_value_t = 1.0)]
    pub alpha: f64,
    /// The learning rate of the inner steps, by SGD
    #[arg(long, default_value_t = 0.02)]
    pub lr: f64,
    /// Steps of fitting a new wave, with the same learning rate
    #[arg(long, default_value_t = 32, value_parser = value_parser!(u32).range(1..=1000))]
    pub fit: u32,
    /// New waves that are fitted to tell how well it went
    #[arg(long, default_value_t = 50, value_parser = value_parser!(u32).range(1..))]
    pub waves: u32,
    /// The folder for the figure and its curves; it is made where it is not there
    #[arg(long, default_value = "reptile", value_name = "DIR")]
    pub out: PathBuf,
    /// Write the results as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// The GPU, by a part of its name, driver or backend
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
    /// Chooses the first weights, the waves and their points
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}
