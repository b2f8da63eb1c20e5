//! The command line.

use crate::checkpoint::journal;
use crate::options::{
    Adaptive, AverageKind, CurvatureName, GradientName, HalfName, Options, OuterName, ScopeName,
};
use crate::paths::Claim;
use crate::rule::RuleName;
use crate::settings::{PolicyName, Settings};
use crate::sweep::Sweep;
use crate::sweep::axes::Axes;
use clap::builder::RangedU64ValueParser;
use clap::{Parser, ValueEnum};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  Digits that come with the example, a few seconds:
    cargo run --release -p train
  Adam alone and Lookahead(Adam), with a plot:
    cargo run --release -p train -- --compare --plot compare.png
  Fashion-MNIST (Debian, Ubuntu: apt-get install dataset-fashion-mnist):
    cargo run --release -p train -- --data /usr/share/datasets/fashion-mnist
  SGD with momentum, k = 10, on the adapter whose name holds `llvmpipe`:
    cargo run --release -p train -- --rule heavy-ball --k 10 --adapter llvmpipe
  The adaptive alpha, never below 0.3, and an average of the weights, plotted:
    cargo run --release -p train -- --adaptive --alpha-low 0.3 --average ema --plot a.png
  Anderson acceleration over five of ten steps:
    cargo run --release -p train -- --rule sgd --k 10 --alpha 1 --anderson 5
  Outer momentum, as DiLoCo:
    cargo run --release -p train -- --outer nesterov --outer-momentum 0.5
  Half-width weights and gradients, with dynamic loss scaling:
    cargo run --release -p train -- --half f16
  Where a training step's time goes:
    cargo run --release -p train -- --profile
  A run that survives being killed, at any time; give the same line again:
    cargo run --release -p train -- --checkpoint run.ckpt --resume
  What Lookahead changes: every learning rate, three seeds, Adam and Lookahead(Adam):
    cargo run --release -p train -- --sweep lr=0.001:0.3 --plot lr.png --csv lr.csv
  SGD with momentum, four values of k by three of alpha, with five seeds:
    cargo run --release -p train -- --rule heavy-ball --sweep k=2,5,10,20,alpha=0.2:0.8:3 --seeds 5

RUST_LOG=debug shows what wgpu does.";

/// k where none is given.
const K: u32 = 5;
/// alpha where none is given.
const ALPHA: f64 = 0.5;
/// Regularisation of Anderson acceleration where none is given.
const LAMBDA: f64 = 1e-8;
/// Seeds of a sweep where none are given.
const SEEDS: u32 = 3;
/// Outer momentum where none is given.
const OUTER_MOMENTUM: f64 = 0.5;
/// The least adaptive alpha where none is given.
const ALPHA_LOW: f64 = 0.2;
/// The first loss scale where none is given.
const LOSS_SCALE: f64 = 65536.0;

/// Trains a multi-layer perceptron on images with Lookahead, on the GPU.
#[derive(Debug, Parser)]
#[command(name = "train", after_help = EXAMPLES)]
pub struct Arguments {
    /// `digits` (part of the example), or a folder of MNIST-style IDX files, plain or .gz
    ///
    /// torchvision's folders (`DIR/MNIST/raw`) are found; DIR/emnist-digits is one of several.
    #[arg(long, default_value = "digits", value_name = "digits|DIR")]
    pub data: PathBuf,
    /// Passes over the training images
    ///
    /// [default: 20 for digits, 5 for a folder]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    epochs: Option<u32>,
    /// Images of a batch
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_535))]
    batch: u32,
    /// Batches that make a step: the mean over their images; fewer at the end of an epoch
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    accumulate: Option<u32>,
    /// Units of each hidden layer, from the first on
    #[arg(
        long,
        default_value = "128",
        value_delimiter = ',',
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=65_536)
    )]
    pub hidden: Vec<usize>,
    /// Chooses the first weights and the order of the images
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The GPU, by a part of its name, driver or backend
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,

    /// The inner optimizer
    #[arg(long, value_enum, default_value = "adam", help_heading = "Inner optimizer")]
    rule: RuleName,
    /// Learning rate [default: one that suits the rule]
    #[arg(
        long,
        value_parser = learning_rate,
        allow_negative_numbers = true,
        help_heading = "Inner optimizer"
    )]
    lr: Option<f64>,
    /// Take the mean of each row away from the gradients
    #[arg(long, help_heading = "Inner optimizer")]
    centralise: bool,

    /// Steps of the inner optimizer between two syncs [default: 5]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Lookahead")]
    k: Option<u32>,
    /// Slow step size, above 0 and at most 1 [default: 0.5]
    #[arg(
        long,
        value_parser = alpha,
        allow_negative_numbers = true,
        help_heading = "Lookahead"
    )]
    alpha: Option<f64>,
    /// What a sync does to the inner optimizer's state
    #[arg(long, value_enum, default_value_t = PolicyName::Maintain, help_heading = "Lookahead")]
    policy: PolicyName,
    /// Also train with the inner optimizer alone, from the same weights, with the same images
    #[arg(long, help_heading = "Lookahead")]
    compare: bool,
    /// Find alpha anew at every sync, from this estimate of the curvature [default: corrected]
    #[arg(
        long,
        value_enum,
        value_name = "CURVATURE",
        num_args = 0..=1,
        default_missing_value = "corrected",
        help_heading = "Lookahead"
    )]
    adaptive: Option<CurvatureName>,
    /// The least adaptive alpha [default: 0.2]
    #[arg(
        long,
        value_parser = alpha,
        allow_negative_numbers = true,
        requires = "adaptive",
        help_heading = "Lookahead"
    )]
    alpha_low: Option<f64>,
    /// What shares an adaptive alpha [default: model]
    #[arg(long, value_enum, requires = "adaptive", help_heading = "Lookahead")]
    alpha_scope: Option<ScopeName>,
    /// Where the gradient of an adaptive alpha is taken [default: synchronised]
    #[arg(long, value_enum, requires = "adaptive", help_heading = "Lookahead")]
    alpha_gradient: Option<GradientName>,
    /// Anderson acceleration: combine the last M residuals of each cycle, at most 8
    #[arg(
        long,
        value_name = "M",
        value_parser = clap::value_parser!(u32).range(1..=8),
        conflicts_with_all = ["adaptive", "outer_momentum"],
        help_heading = "Lookahead"
    )]
    anderson: Option<u32>,
    /// The regularisation of --anderson, at least 1e-12 [default: 1e-8]
    #[arg(long, value_name = "LAMBDA", requires = "anderson", help_heading = "Lookahead")]
    anderson_lambda: Option<f64>,
    /// How the slow weights move at a sync
    #[arg(long, value_enum, default_value_t = OuterName::Interpolation, help_heading = "Lookahead")]
    outer: OuterName,
    /// Momentum of the outer step, at least 0 and below 1 [default: 0.5]
    #[arg(long, allow_negative_numbers = true, value_name = "MU", help_heading = "Lookahead")]
    outer_momentum: Option<f64>,

    /// Keep an average of the weights, and test it too
    #[arg(long, value_enum, value_name = "KIND", help_heading = "Average")]
    average: Option<AverageName>,
    /// How much of an ema stays at each step, at least 0 and below 1 [default: 0.99]
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "DECAY",
        requires = "average",
        help_heading = "Average"
    )]
    average_decay: Option<f64>,
    /// First step whose weights count, from 0, of polyak and swa [default: 0; swa: k - 1]
    #[arg(long, value_name = "STEP", requires = "average", help_heading = "Average")]
    average_from: Option<u64>,
    /// Steps from one that counts to the next, of swa [default: k]
    #[arg(long, value_name = "STEPS", requires = "average", help_heading = "Average")]
    average_every: Option<u64>,

    /// Pass forward and backward with half-width weights and gradients
    ///
    /// The optimizer keeps its weights in f32, and tests read those.
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Half width")]
    half: Option<HalfName>,
    /// Skip steps whose gradient is not finite
    #[arg(long, help_heading = "Half width")]
    guard: bool,
    /// Scale the loss dynamically, from this scale on, and skip steps as --guard does; or `off`
    ///
    /// [default: 65536 with --half f16, otherwise off]
    #[arg(
        long,
        num_args = 0..=1,
        default_missing_value = "65536",
        value_name = "SCALE|off",
        help_heading = "Half width"
    )]
    loss_scale: Option<LossScaling>,

    /// Keep the state of the run in this file, and its history in FILE.json, for --resume
    ///
    /// Both are replaced whole, so that a run may be killed at any time.
    ///
    /// A run whose loss or weights become infinite or NaN fails, and leaves the last good one.
    #[arg(long, value_name = "FILE", conflicts_with = "compare", help_heading = "Checkpoints")]
    pub checkpoint: Option<PathBuf>,
    /// Batches from one checkpoint to the next
    #[arg(
        long,
        default_value_t = 500,
        value_name = "BATCHES",
        value_parser = clap::value_parser!(u64).range(1..),
        requires = "checkpoint",
        help_heading = "Checkpoints"
    )]
    pub checkpoint_every: u64,
    /// Go on from the checkpoint, if there is one, on the same curve; table and plot are whole
    ///
    /// The settings must be those of the checkpoint. --epochs and --tests may differ.
    #[arg(long, requires = "checkpoint", help_heading = "Checkpoints")]
    pub resume: bool,

    /// Train with every learning rate, k and alpha of these lists, with and without Lookahead
    ///
    /// AXES names those that vary: lr=..., k=... and alpha=..., with commas between them.
    ///
    /// The values of each are numbers and ranges, with commas between them, too.
    ///
    /// LOW:HIGH is LOW, HIGH, and 1 and 3 times every power of ten between them.
    ///
    /// LOW:HIGH:COUNT is so many values, evenly on a logarithmic axis.
    ///
    /// lr=0.001:0.3 is 0.001, 0.003, 0.01, 0.03, 0.1 and 0.3; lr=0.01,0.1,k=5,10 is two by two.
    ///
    /// Each setting runs with every seed; the rule alone runs at every learning rate, too.
    ///
    /// A run that diverges is counted, and counts as an infinite loss.
    ///
    /// --plot draws test loss and accuracy along the first axis that varies, and loss by epoch.
    #[arg(
        long,
        value_name = "AXES",
        conflicts_with_all = ["compare", "checkpoint", "memory", "profile"],
        help_heading = "Sweep"
    )]
    pub sweep: Option<Axes>,
    /// Seeds of each setting of a sweep: --seed and those after it [default: 3]
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = clap::value_parser!(u32).range(1..=1000),
        requires = "sweep",
        help_heading = "Sweep"
    )]
    seeds: Option<u32>,
    /// Write a line for every run of a sweep
    #[arg(long, value_name = "FILE", requires = "sweep", help_heading = "Sweep")]
    pub csv: Option<PathBuf>,

    /// How often in an epoch the test images are classified
    #[arg(
        long,
        default_value_t = 2,
        value_parser = clap::value_parser!(u32).range(1..=1000),
        help_heading = "Report"
    )]
    tests: u32,
    /// Say what the optimizer takes on the GPU, by kind
    #[arg(long, help_heading = "Report")]
    pub memory: bool,
    /// Time the parts of a step: forward, backward, optimizer, and what the host adds
    ///
    /// By the GPU's timestamps, or, without these, by the host's clock, waiting after each part.
    ///
    /// Tests are left out. The device waits for the host every few batches, unlike otherwise.
    ///
    /// --json has the medians, too, in seconds a batch.
    #[arg(long, help_heading = "Report")]
    pub profile: bool,
    /// Draw training loss, test accuracy and adaptive alpha; of a sweep, what --sweep says
    #[arg(long, value_name = "FILE.png", help_heading = "Report")]
    pub plot: Option<PathBuf>,
    /// Write the results as JSON
    ///
    /// `seconds_since_start` is the time from the run's start to an epoch's end, tests included.
    ///
    /// `seconds_of_epoch` is that of the epoch alone.
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub json: Option<PathBuf>,
}

/// An average of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AverageName {
    /// Exponential moving average
    Ema,
    /// Mean over every step (Polyak and Ruppert)
    Polyak,
    /// Mean over every so many steps (stochastic weight averaging)
    Swa,
}

/// A loss scale, or none.
#[derive(Debug, Clone, Copy, PartialEq)]
struct LossScaling(Option<f64>);

impl std::str::FromStr for LossScaling {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self(None)),
            _ => match text.parse() {
                Ok(scale) => Ok(Self(Some(scale))),
                Err(_) => Err("it must be a number or `off`".to_owned()),
            },
        }
    }
}

/// Options that say nothing together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{option}` is for {needs}; add that, or leave it out")]
pub struct Unused {
    option: &'static str,
    needs: &'static str,
}

fn alpha(text: &str) -> Result<f64, String> {
    check_alpha(text.parse().unwrap_or(f64::NAN))
}

fn learning_rate(text: &str) -> Result<f64, String> {
    check_learning_rate(text.parse().unwrap_or(f64::NAN))
}

/// A slow step size as it was, if it is one.
pub fn check_alpha(alpha: f64) -> Result<f64, String> {
    let is_allowed = alpha > 0.0 && alpha <= 1.0;
    is_allowed
        .then_some(alpha)
        .ok_or_else(|| "it must be above 0 and at most 1".to_owned())
        .and_then(as_on_the_gpu)
}

/// A learning rate as it was, if it is one.
pub fn check_learning_rate(lr: f64) -> Result<f64, String> {
    let is_allowed = lr > 0.0 && lr.is_finite();
    is_allowed.then_some(lr).ok_or_else(|| "it must be a number above 0".to_owned()).and_then(as_on_the_gpu)
}

/// Refuses a positive number that is none as a GPU computes: in f32, where what is below its normal numbers may count
/// as 0.
fn as_on_the_gpu(number: f64) -> Result<f64, String> {
    let (least, most) = (f32::MIN_POSITIVE, f32::MAX);
    match number as f32 {
        small if small < least => {
            Err(format!("it is 0 on the GPU, which computes in f32: from {least:e} on"))
        }
        large if large > most => {
            Err(format!("it is infinite on the GPU, which computes in f32: up to {most:e}"))
        }
        _ => Ok(number),
    }
}

/// The same with the inner optimizer alone.
fn without_lookahead(settings: &Settings) -> Settings {
    Settings { lookahead: None, options: settings.options.clone().without_lookahead(), ..settings.clone() }
}

impl Arguments {
    /// The runs to make: the rule alone comes first.
    pub fn settings(&self) -> Result<Vec<Settings>, Unused> {
        let lookahead = self.settings_with(self.learning_rate(), self.k(), self.alpha())?;
        let alone = self.compare.then(|| without_lookahead(&lookahead));
        Ok(alone.into_iter().chain([lookahead]).collect())
    }

    /// The sweep to make, if one is asked for.
    pub fn sweep(&self) -> Result<Option<Sweep>, Unused> {
        let Some(axes) = &self.sweep else { return Ok(None) };
        let twice = [
            ("--lr", self.lr.is_some() && !axes.lr.is_empty()),
            ("--k", self.k.is_some() && !axes.k.is_empty()),
            ("--alpha", self.alpha.is_some() && !axes.alpha.is_empty()),
        ];
        if let Some((option, _)) = twice.into_iter().find(|(_, is_twice)| *is_twice) {
            return Err(Unused { option, needs: "a --sweep that does not vary it" });
        }
        let axes = Axes {
            lr: if axes.lr.is_empty() { vec![self.learning_rate()] } else { axes.lr.clone() },
            k: if axes.k.is_empty() { vec![self.k()] } else { axes.k.clone() },
            alpha: if axes.alpha.is_empty() { vec![self.alpha()] } else { axes.alpha.clone() },
        };
        let mut settings = Vec::new();
        for &lr in &axes.lr {
            for (index, &k) in axes.k.iter().enumerate() {
                for (other, &alpha) in axes.alpha.iter().enumerate() {
                    let lookahead = self.settings_with(lr, k, alpha)?;
                    // What the rule alone does depends on neither.
                    settings.extend((index == 0 && other == 0).then(|| without_lookahead(&lookahead)));
                    settings.push(lookahead);
                }
            }
        }
        let seeds = (0..u64::from(self.seeds.unwrap_or(SEEDS))).map(|index| self.seed.wrapping_add(index));
        Ok(Some(Sweep { axis: axes.main(), seeds: seeds.collect(), settings }))
    }

    fn learning_rate(&self) -> f64 {
        self.lr.unwrap_or(self.rule.default_learning_rate())
    }

    fn k(&self) -> u32 {
        self.k.unwrap_or(K)
    }

    fn alpha(&self) -> f64 {
        self.alpha.unwrap_or(ALPHA)
    }

    fn settings_with(&self, learning_rate: f64, k: u32, alpha: f64) -> Result<Settings, Unused> {
        Ok(Settings {
            rule: self.rule,
            learning_rate,
            lookahead: Some((k, alpha, self.policy)),
            options: self.options(k)?,
            hidden: self.hidden.clone(),
            epochs: self.epochs.unwrap_or(if self.is_digits() { 20 } else { 5 }),
            batch: self.batch,
            seed: self.seed,
            tests_each_epoch: self.tests,
        })
    }

    /// Whether the digits of the example are trained on.
    pub fn is_digits(&self) -> bool {
        self.data == Path::new("digits")
    }

    /// Every file that the options name, and those that follow from them, with `files` as the data.
    pub fn claims(&self, files: &[PathBuf]) -> Vec<Claim> {
        let data = files.iter().map(|file| Claim::input("a file of --data", file));
        let checkpoint = self.checkpoint.iter().flat_map(|path| {
            let history = Claim::output("the history of --checkpoint", journal(path));
            [Claim::output("--checkpoint", path), history]
        });
        let json = self.json.iter().map(|path| Claim::output("--json", path));
        let plot = self.plot.iter().map(|path| Claim::output("--plot", path));
        let csv = self.csv.iter().map(|path| Claim::output("--csv", path));
        data.chain(checkpoint).chain(json).chain(plot).chain(csv).collect()
    }

    fn options(&self, k: u32) -> Result<Options, Unused> {
        let adaptive = self.adaptive.map(|curvature| Adaptive {
            curvature,
            alpha_low: self.alpha_low.unwrap_or(ALPHA_LOW),
            scope: self.alpha_scope.unwrap_or(ScopeName::Model),
            gradient: self.alpha_gradient.unwrap_or(GradientName::Synchronised),
        });
        let outer = match (self.outer, self.outer_momentum) {
            (OuterName::Interpolation, Some(_)) => {
                let needs = "--outer heavy-ball, nesterov or slow-mo";
                return Err(Unused { option: "--outer-momentum", needs });
            }
            (OuterName::Interpolation, None) => None,
            (outer, momentum) => Some((outer, momentum.unwrap_or(OUTER_MOMENTUM))),
        };
        let by_default = (self.half == Some(HalfName::F16)).then_some(LOSS_SCALE);
        Ok(Options {
            adaptive,
            anderson: self.anderson.map(|columns| (columns, self.anderson_lambda.unwrap_or(LAMBDA))),
            outer,
            average: self.average(k)?,
            half: self.half,
            guard: self.guard,
            loss_scale: self.loss_scale.map_or(by_default, |LossScaling(scale)| scale),
            accumulate: self.accumulate,
            centralise: self.centralise,
        })
    }

    fn average(&self, k: u32) -> Result<Option<AverageKind>, Unused> {
        let Some(name) = self.average else { return Ok(None) };
        let unused = [
            (self.average_decay.is_some() && name != AverageName::Ema, "--average-decay", "--average ema"),
            (
                self.average_from.is_some() && name == AverageName::Ema,
                "--average-from",
                "--average polyak or swa",
            ),
            (self.average_every.is_some() && name != AverageName::Swa, "--average-every", "--average swa"),
        ];
        if let Some((_, option, needs)) = unused.into_iter().find(|(is_unused, ..)| *is_unused) {
            return Err(Unused { option, needs });
        }
        let k = u64::from(k);
        Ok(Some(match name {
            AverageName::Ema => AverageKind::Ema(self.average_decay.unwrap_or(0.99)),
            AverageName::Polyak => AverageKind::Polyak(self.average_from.unwrap_or(0)),
            AverageName::Swa => {
                AverageKind::Swa(self.average_every.unwrap_or(k), self.average_from.unwrap_or(k - 1))
            }
        }))
    }
}
