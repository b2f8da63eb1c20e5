//! The command line.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use clap::{Parser, ValueEnum, builder::RangedU64ValueParser};
use lookahead_mpi::{Mode, Streaming, Wire};
use train::rule::RuleName;

const EXAMPLES: &str = "\
Examples:
  One worker, which is Lookahead on one machine:
    cargo run --release --example train_workers
  Four, with local steps and a mean once in 16 of them:
    mpirun -n 4 target/release/examples/train_workers --period 16
  Fashion-MNIST (Debian, Ubuntu: apt-get install dataset-fashion-mnist), a quarter of it on each:
    mpirun -n 4 target/release/examples/train_workers --data /usr/share/datasets/fashion-mnist
  DiLoCo: AdamW inside, Nesterov outside, eight bits a value on the wire:
    mpirun -n 4 target/release/examples/train_workers --outer nesterov --alpha 0.7 --wire int8
  Streaming DiLoCo: layer after layer is exchanged, while the next two steps are taken:
    mpirun -n 4 target/release/examples/train_workers --outer nesterov --alpha 0.7 --overlap 2
  Plain data parallel training, gradients exchanged in each step:
    mpirun -n 4 target/release/examples/train_workers --mode gradients
  A run that survives being killed; give the same line again:
    mpirun -n 4 target/release/examples/train_workers --checkpoint run

As root mpirun wants --allow-run-as-root, and with more ranks than cores --oversubscribe.";

/// Trains a multi-layer perceptron on images, on several workers.
///
/// Each rank has a share of the images and a device of its own. The same seed and number of ranks give the same run.
#[derive(Debug, Parser)]
#[command(name = "train_workers", after_help = EXAMPLES)]
pub struct Arguments {
    /// `digits` (part of the example), or a folder of MNIST-style IDX files, plain or .gz, there on all machines
    ///
    /// torchvision's folders (`DIR/MNIST/raw`) are found; DIR/emnist-digits is one of several.
    #[arg(long, default_value = "digits", value_name = "digits|DIR")]
    pub data: PathBuf,
    /// Passes of each rank over its share of the images
    ///
    /// [default: 20 for digits, 5 for a folder]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    epochs: Option<u32>,
    /// Images of a rank's batch
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub batch: u32,
    /// Units of each hidden layer, from the first on
    ///
    /// [default: 64 for digits, 128 for a folder]
    #[arg(long, value_delimiter = ',', value_parser = RangedU64ValueParser::<usize>::new().range(1..=65_536))]
    hidden: Option<Vec<usize>>,
    /// What is exchanged
    #[arg(long, value_enum, default_value_t = ModeName::Local)]
    pub mode: ModeName,
    /// Steps of a round, at least 1: Lookahead's k, DiLoCo's H
    #[arg(long, default_value_t = 8, value_parser = RangedU64ValueParser::<u32>::new().range(1..=1_000_000))]
    pub period: u32,
    /// Exchange one layer after the other within a period, each while so many steps are taken; 0: between two steps
    #[arg(long, value_name = "STEPS", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub overlap: Option<u32>,
    /// How much of what a layer has learned meanwhile stays, from 0 and below 1 [default: 0.5]
    #[arg(long, value_name = "FRACTION", requires = "overlap")]
    pub mixing: Option<f64>,
    /// The slow step size: DiLoCo's outer learning rate
    #[arg(long, default_value_t = 1.0)]
    pub alpha: f64,
    /// The outer step
    #[arg(long, value_enum, default_value_t = OuterName::Interpolation)]
    pub outer: OuterName,
    /// The outer step's momentum
    #[arg(long, default_value_t = 0.5)]
    pub momentum: f64,
    /// The format of what is sent
    #[arg(long, value_enum, default_value_t = WireName::F32)]
    pub wire: WireName,
    /// The inner optimizer
    #[arg(long, value_enum, default_value = "adamw")]
    pub rule: RuleName,
    /// Its learning rate; its own default where none is given
    #[arg(long, value_name = "RATE")]
    pub lr: Option<f64>,
    /// Chooses the first weights and the order of the images
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Save rounds in DIR, which all ranks see, and go on from the last one there
    #[arg(long, value_name = "DIR")]
    pub checkpoint: Option<PathBuf>,
    /// Tell of (and save) every Nth round only
    ///
    /// [default: 1, where gradients are exchanged 20; for a folder ten times as many]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    every: Option<u64>,
    /// The adapter whose name, driver or backend contains TEXT, in any case
    #[arg(long, value_name = "TEXT")]
    pub adapter: Option<String>,
    /// Print one line of JSON instead of the table
    #[arg(long)]
    pub json: bool,
}

impl Arguments {
    /// Layers that are exchanged one after the other, if they are.
    pub fn streaming(&self) -> Option<Streaming> {
        let streaming = Streaming::new(self.overlap?);
        Some(self.mixing.map_or(streaming.clone(), |mixing| streaming.mixing(mixing)))
    }

    /// Whether the digits of the example are trained on.
    pub fn is_digits(&self) -> bool {
        self.data == Path::new("digits")
    }

    /// Passes over the images.
    pub fn epochs(&self) -> u32 {
        self.epochs.unwrap_or(if self.is_digits() { 20 } else { 5 })
    }

    /// Units of each hidden layer.
    pub fn hidden(&self) -> Vec<usize> {
        self.hidden.clone().unwrap_or_else(|| vec![if self.is_digits() { 64 } else { 128 }])
    }

    /// Whether a round has a row of its own.
    pub fn tells(&self, round: u64) -> bool {
        let by_default = if self.mode == ModeName::Gradients { 20 } else { 1 };
        let by_default = if self.is_digits() { by_default } else { 10 * by_default };
        round.is_multiple_of(self.every.unwrap_or(by_default))
    }
}

impl fmt::Display for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mode, period, overlap, outer, alpha, wire, rule, .. } = self;
        match mode {
            ModeName::Local => {
                write!(f, "{rule} for {period} steps a round, {} with alpha {alpha}, ", name(*outer))?;
                if let Some(overlap) = overlap {
                    write!(f, "layer after layer beside {overlap} steps, ")?;
                }
            }
            ModeName::Gradients => write!(f, "{rule} on the mean gradient, ")?,
        }
        write!(f, "{} on the wire", name(*wire))
    }
}

fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// What is exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModeName {
    /// Weights, at the end of each round
    Local,
    /// Gradients, in each step
    Gradients,
}

impl From<ModeName> for Mode {
    fn from(mode: ModeName) -> Self {
        match mode {
            ModeName::Local => Self::Local,
            ModeName::Gradients => Self::Gradients,
        }
    }
}

/// The outer step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OuterName {
    /// Lookahead's own; with alpha = 1 the mean itself (Local SGD)
    Interpolation,
    /// SGD with momentum
    HeavyBall,
    /// DiLoCo's
    Nesterov,
    /// SlowMo's
    SlowMo,
}

/// The format of what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WireName {
    F32,
    Bf16,
    F16,
    /// With a scale for 128 values, and what is lost kept and sent later
    Int8,
}

impl From<WireName> for Wire {
    fn from(wire: WireName) -> Self {
        match wire {
            WireName::F32 => Self::F32,
            WireName::Bf16 => Self::Bf16,
            WireName::F16 => Self::F16,
            WireName::Int8 => Self::Int8,
        }
    }
}
