//! The command line.

use clap::{Parser, ValueEnum};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  All figures and tables, as PNG, SVG and CSV in `theory`:
    cargo run --release -p theory -- all
  Figure 4 alone, elsewhere:
    cargo run --release -p theory -- fig4 --out figures
  Everything that was found as JSON, on the adapter whose name holds `llvmpipe`:
    cargo run --release -p theory -- all --json theory.json --adapter llvmpipe

Settings:
  fig3   50 coordinates, a = 1/i, noise variance 0.01/a, start 1; k = 5,
         alpha 0.2, 0.5, 0.8; 1000 updates; 1024 repeats on the GPU
  fig4   momentum 0.99, k = 20, alpha = 0.5; 41 curvatures, log-spaced in
         [1/kappa, 1]; the best learning rate for each kappa
  prop1  a dense quadratic of 2 coordinates, k = 5
  prop2  5 coordinates, 10 settings of k, alpha and learning rate; 262144
         repeats of each on the GPU; the figure: k = 10, alpha = 0.5

RUST_LOG=debug shows what wgpu does.";

/// Section 3 of the Lookahead paper: exact, and measured on the GPU with the optimizer itself.
#[derive(Debug, Parser)]
#[command(name = "theory", after_help = EXAMPLES)]
pub struct Arguments {
    /// What to compute
    #[arg(value_enum)]
    pub subject: Subject,
    /// The folder for figures and tables; it is made where it is not there
    #[arg(long, default_value = "theory", value_name = "DIR")]
    pub out: PathBuf,
    /// Write the results as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// The GPU, by a part of its name, driver or backend
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
    /// Chooses the noise
    #[arg(long, default_value_t = 1)]
    pub seed: u32,
}

/// A figure or proposition of the paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    /// Expected loss after 1000 updates over the learning rate
    Fig3,
    /// Convergence rate over the condition number
    Fig4,
    /// The best slow step, and its estimate
    Prop1,
    /// Variances by step, and their fixed points
    Prop2,
    /// All of them
    All,
}

impl Subject {
    pub fn includes(self, other: Self) -> bool {
        self == other || self == Self::All
    }
}
