//! The command line.

use std::path::PathBuf;

use clap::{Parser, builder::RangedU64ValueParser};
use lookahead_mpi::Wire;

use crate::{
    error::ScaleError,
    network::{Messages, Network},
    outer::{OuterName, OuterStep},
    quadratic::Quadratic,
    regression::Sgd,
    schedule::{Packing, Schedule},
};

const EXAMPLES: &str = "\
Examples:
  100 million weights over 10 Gbit/s, exchanged once in 16 steps:
    cargo run --release --example scale
  DiLoCo's outer step, once in 64 steps, eight bits a value, in four fragments behind eight
  steps each, over a slow network, with a picture:
    cargo run --release --example scale -- --period 64 --outer nesterov --momentum 0.9 \\
      --alpha 0.7 --wire int8 --fragments 4 --overlap 8 --bandwidth 1e7 --latency 0.01 --plot slow.png
  Data parallel training, which is plain averaging after every step:
    cargo run --release --example scale -- --period 1
  What a step and an exchange cost here, as arguments for the next call:
    cargo build --release --example scale
    mpirun -n 2 target/release/examples/scale --measure --weights 1e6

Losses are those of exchanges that are not overlapped: what a fragment that comes late costs is not in them.";

/// Tells time, waiting and loss by the number of workers, from 1 to 4096, without any.
#[derive(Debug, Parser)]
#[command(name = "scale", after_help = EXAMPLES)]
pub struct Arguments {
    /// Local steps of a round: Lookahead's k, DiLoCo's H
    #[arg(long, default_value_t = 16, value_parser = RangedU64ValueParser::<u32>::new().range(1..=1_000_000))]
    pub period: u32,
    /// Steps of each worker
    #[arg(long, default_value_t = 1024, value_parser = RangedU64ValueParser::<u32>::new().range(1..=1_000_000))]
    pub steps: u32,
    /// The slow step size, above 0 and at most 1
    #[arg(long, default_value_t = 1.0)]
    pub alpha: f64,
    /// The outer step
    #[arg(long, value_enum, default_value_t = OuterName::Interpolation)]
    pub outer: OuterName,
    /// Its momentum
    #[arg(long, default_value_t = 0.5)]
    pub momentum: f64,
    /// The quadratic's learning rate, below 2: the largest curvature is 1
    #[arg(long, default_value_t = 0.5)]
    pub lr: f64,
    /// Its condition number, 1 or more
    #[arg(long, default_value_t = 100.0, value_parser = condition)]
    pub condition: f64,
    /// The logistic regression's learning rate
    #[arg(long, default_value_t = 0.05, value_parser = positive)]
    pub logistic_lr: f64,
    /// Samples of its mini-batches
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=569))]
    pub batch: u32,
    /// Chooses its mini-batches
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Leave the logistic regression out, which takes longest
    #[arg(long)]
    pub no_logistic: bool,
    /// Weights of the model [default: 1e8, and 1e6 where costs are measured]
    #[arg(long, value_parser = count)]
    weights: Option<u64>,
    /// The format of what is sent: f32, bf16, f16 or int8
    #[arg(long, default_value = "f32", value_parser = wire)]
    pub wire: Wire,
    /// Parts of the model that are exchanged one after the other, evenly within a period
    #[arg(long, default_value_t = 1, value_parser = RangedU64ValueParser::<u32>::new().range(1..=1_000_000))]
    pub fragments: u32,
    /// Local steps that are taken while a part is exchanged; 0: none
    #[arg(long, default_value_t = 0)]
    pub overlap: u32,
    /// Seconds of a local step
    #[arg(long, default_value_t = 0.1, value_parser = positive)]
    pub step: f64,
    /// Seconds that packing, unpacking and summing take a packed byte: one number, or f32,bf16,f16,int8
    #[arg(long, default_value = "0")]
    pub pack: Packing,
    /// Bytes that a worker sends in a second
    #[arg(long, default_value_t = 1.25e9, value_parser = positive)]
    pub bandwidth: f64,
    /// Seconds of a message
    #[arg(long, default_value_t = 1e-4, value_parser = not_negative)]
    pub latency: f64,
    /// Whom a worker sends messages to
    #[arg(long, value_enum, default_value_t = Messages::All)]
    pub messages: Messages,
    /// Measure what a step, packing and, under mpirun, an exchange cost here, and do nothing else
    #[arg(long, conflicts_with = "plot")]
    pub measure: bool,
    /// Measure on the adapter whose name, driver or backend contains TEXT, in any case
    #[arg(long, value_name = "TEXT")]
    pub adapter: Option<String>,
    /// Draw loss, time and waiting as a PNG
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Print JSON instead of tables
    #[arg(long)]
    pub json: bool,
}

impl Arguments {
    /// Weights of the model.
    pub fn weights(&self) -> u64 {
        self.weights.unwrap_or(if self.measure { 1_000_000 } else { 100_000_000 })
    }

    /// When what is exchanged.
    pub fn schedule(&self) -> Schedule {
        Schedule {
            weights: self.weights(),
            wire: self.wire,
            step: self.step,
            steps: self.steps,
            period: self.period,
            fragments: self.fragments,
            overlap: self.overlap,
            packing: self.pack,
        }
    }

    /// What it is sent over.
    pub fn network(&self) -> Network {
        Network { bandwidth: self.bandwidth, latency: self.latency, messages: self.messages }
    }

    /// The outer step.
    pub fn outer(&self) -> OuterStep {
        OuterStep::new(self.outer, self.momentum, self.alpha)
    }

    /// The quadratic with its local steps.
    pub fn quadratic(&self) -> Quadratic {
        Quadratic { condition: self.condition, learning_rate: self.lr, steps: self.steps }
    }

    /// The logistic regression's local steps.
    pub fn sgd(&self) -> Sgd {
        Sgd { learning_rate: self.logistic_lr, batch: self.batch, steps: self.steps, seed: self.seed }
    }

    /// Refuses what cannot be.
    pub fn check(&self) -> Result<(), ScaleError> {
        if !(self.lr > 0.0 && self.lr < 2.0) {
            return Err(ScaleError::Rate(self.lr));
        }
        self.outer().check()?;
        self.schedule().check()
    }
}

fn wire(text: &str) -> Result<Wire, String> {
    let found = Wire::ALL.into_iter().find(|wire| wire.name() == text);
    found.ok_or_else(|| "give f32, bf16, f16 or int8".to_owned())
}

/// A number of things, which may be written as 1e8.
fn count(text: &str) -> Result<u64, String> {
    match text.parse::<f64>() {
        Ok(value) if (1.0..=1e15).contains(&value) && value.fract() == 0.0 => Ok(value as u64),
        _ => Err("must be a whole number from 1 to 1e15".to_owned()),
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value.is_finite() => Ok(value),
        _ => Err("must be a number above 0".to_owned()),
    }
}

fn condition(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (1.0..=1e9).contains(&value) => Ok(value),
        _ => Err("must be a number from 1 to 1e9".to_owned()),
    }
}

fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value >= 0.0 && value.is_finite() => Ok(value),
        _ => Err("must be a number that is not below 0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from([&["scale"], words].concat())
    }

    // Finds: a value that cannot be, taken all the same, and a message that does not say what to give.
    #[test]
    fn impossible_settings_are_refused_with_what_to_do() {
        for (words, expected) in [
            (&["--lr", "2"][..], "above 0 and below 2"),
            (&["--alpha", "0"], "above 0 and at most 1"),
            (&["--alpha", "1.5"], "above 0 and at most 1"),
            (&["--outer", "nesterov", "--momentum", "1"], "momentum"),
            (&["--fragments", "17"], "--fragments 16"),
            (&["--overlap", "16"], "--overlap 15"),
            (&["--fragments", "4", "--overlap", "4"], "--overlap 3"),
            (&["--fragments", "3", "--overlap", "6"], "--overlap 5"),
            (&["--fragments", "16", "--overlap", "1"], "--overlap 0"),
            (&["--weights", "200", "--fragments", "3"], "2 blocks"),
        ] {
            let message = parsed(words).unwrap().check().unwrap_err().to_string();
            assert!(message.contains(expected), "{words:?}: {message}");
        }
        let possible = ["--fragments", "3", "--overlap", "5", "--alpha", "0.7", "--outer", "slow-mo"];
        parsed(&possible).unwrap().check().unwrap();
    }

    #[test]
    fn values_are_read_or_refused() {
        assert_eq!(parsed(&[]).unwrap().weights(), 100_000_000);
        assert_eq!(parsed(&["--measure"]).unwrap().weights(), 1_000_000);
        assert_eq!(parsed(&["--weights", "2.5e3"]).unwrap().weights(), 2500);
        for words in [
            ["--weights", "0"],
            ["--weights", "1.5"],
            ["--step", "0"],
            ["--bandwidth", "inf"],
            ["--latency", "-1"],
            ["--wire", "f64"],
            ["--pack", "1,2"],
            ["--pack", "-1"],
            ["--batch", "570"],
            ["--condition", "0.5"],
        ] {
            assert!(parsed(&words).is_err(), "{words:?}");
        }
    }
}
