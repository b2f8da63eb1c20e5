//! What the command line takes.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use experiments::run::method::{Averaging, Inner, Method};
use experiments::run::record::{Pace, Run};

const EXAMPLES: &str = "\
Examples:
  experiments list                                  presets, figures and tables
  experiments study figure-5 table-1                in reduced size, on this CPU
  experiments study all                             everything in reduced size: about an hour on two cores
  experiments study figure-5 --full --device wgpu --data cifar-10-batches-bin
  experiments train fashion-mnist --inner sgd --rate 0.1 --k 5 --alpha 0.5";

/// The experiments of section 5 of the Lookahead paper, with Burn and the shipped optimizer
#[derive(Debug, Parser)]
#[command(name = "experiments", version, after_help = EXAMPLES, verbatim_doc_comment)]
pub struct Arguments {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the presets, figures and tables
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Train once, or go on where training was interrupted
    #[command(verbatim_doc_comment)]
    Train(Train),
    /// Make figures and tables: train what has not been trained yet, then draw
    ///
    /// Writes PNG, SVG, CSV, JSON and Markdown into the folder --out. What was interrupted goes on where it was.
    Study {
        /// figure-1 to figure-13, table-1 to table-4, or all; `experiments list` shows them
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// In the paper's size, which takes its data and a GPU
        #[arg(long)]
        full: bool,
        /// Seeds of each method, where methods are compared
        #[arg(long, value_name = "N", default_value_t = 3)]
        seeds: u64,
        /// Runs beside each other
        #[arg(long, value_name = "N", default_value_t = std::thread::available_parallelism().map_or(1, usize::from))]
        jobs: usize,
        #[command(flatten)]
        machine: Machine,
    },
}

/// Where things are, and on what it runs.
#[derive(Debug, Args)]
pub struct Machine {
    /// The data; `experiments list` says what each preset takes
    #[arg(long, value_name = "PATH")]
    pub data: Option<String>,
    /// The folder to write into
    #[arg(long, value_name = "DIR", default_value = "experiments-out")]
    pub out: PathBuf,
    /// Where the model is
    #[arg(long, value_enum, default_value_t = Device::Cpu)]
    pub device: Device,
    /// With --device cpu, the adapter that the optimizer runs on: its name, driver or backend contains TEXT
    #[arg(long, value_name = "TEXT")]
    pub adapter: Option<String>,
}

/// Where the model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Device {
    /// On the CPU, one core a run; the optimizer on wgpu
    Cpu,
    /// On wgpu, with the optimizer in the same memory
    Wgpu,
}

impl Machine {
    /// The command line of a run on this machine.
    pub fn arguments(&self) -> Vec<String> {
        let mut all = vec!["train".to_owned(), "--out".to_owned(), self.out.display().to_string()];
        let device = match self.device {
            Device::Cpu => "cpu",
            Device::Wgpu => "wgpu",
        };
        all.extend(["--device".to_owned(), device.to_owned()]);
        for (name, value) in [("--data", &self.data), ("--adapter", &self.adapter)] {
            all.extend(value.iter().flat_map(|value| [name.to_owned(), value.clone()]));
        }
        all
    }
}

/// A run.
#[derive(Debug, Args)]
pub struct Train {
    /// The preset; `experiments list` shows them
    #[arg(required_unless_present = "run", value_name = "PRESET")]
    preset: Option<String>,
    /// The inner optimizer
    #[arg(long, value_enum, default_value_t = Rule::Sgd)]
    inner: Rule,
    /// Its learning rate
    #[arg(long, default_value_t = 0.1)]
    rate: f64,
    /// SGD's momentum
    #[arg(long, default_value_t = 0.9)]
    momentum: f64,
    /// Weight decay
    #[arg(long, default_value_t = 0.0)]
    decay: f64,
    /// The largest norm of a step's gradients
    #[arg(long)]
    clip: Option<f64>,
    /// Lookahead's inner steps a cycle; none without it
    #[arg(long)]
    k: Option<u32>,
    /// Lookahead's slow step size, or the least where it is adaptive
    #[arg(long, default_value_t = 0.5)]
    alpha: f64,
    /// Find alpha anew at each sync
    #[arg(long, requires = "k")]
    adaptive: bool,
    /// Evaluate an average of the weights
    #[arg(long, value_enum)]
    average: Option<Average>,
    /// The decay of the average `ema`
    #[arg(long, default_value_t = 0.999)]
    ema_decay: f64,
    /// Divide the learning rate after these epochs
    #[arg(long, value_name = "EPOCH", value_delimiter = ',', conflicts_with = "warmup")]
    divide_after: Vec<u32>,
    /// By this
    #[arg(long, default_value_t = 5)]
    divide_by: u32,
    /// Steps of the Transformer's warm-up
    #[arg(long, value_name = "STEPS")]
    warmup: Option<u64>,
    /// The Transformer's width, for its warm-up
    #[arg(long, default_value_t = 512)]
    width: u32,
    /// How often the data are gone through
    #[arg(long, default_value_t = 10)]
    epochs: u32,
    /// Of weights, order and dropout
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Look into the inner loop after this epoch
    #[arg(long, value_name = "EPOCH", requires = "k")]
    probe: Option<u32>,
    /// All of the above as JSON, as records have it in `run`
    #[arg(long, value_name = "JSON", conflicts_with = "preset")]
    run: Option<String>,
    /// Print each step and epoch, and the record, a line of JSON each
    #[arg(long)]
    pub json: bool,
    /// Seconds between checkpoints, beside those after each epoch
    #[arg(long, value_name = "S", default_value_t = 60.0, value_parser = seconds)]
    pub every: f64,
    #[command(flatten)]
    pub machine: Machine,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Rule {
    Sgd,
    Adam,
    Adamw,
    Adafactor,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Average {
    /// Exponential
    Ema,
    /// From where the validation loss stops to fall (NT-ASGD)
    Triggered,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("`{text}` is no number of seconds"))?;
    match (0.0..=1e9).contains(&seconds) {
        true => Ok(seconds),
        false => Err(format!("{seconds} is not from 0 to 1e9 seconds")),
    }
}

impl Train {
    /// The run.
    pub fn run(&self) -> Result<Run, String> {
        if let Some(run) = &self.run {
            return serde_json::from_str(run).map_err(|problem| format!("--run is no run: {problem}"));
        }
        let inner = match self.inner {
            Rule::Sgd => Inner::Sgd { momentum: self.momentum },
            Rule::Adam => Inner::Adam { beta2: 0.999, eps: 1e-8 },
            Rule::Adamw => Inner::AdamW,
            Rule::Adafactor => Inner::AdaFactor,
        };
        let mut method = Method { clip: self.clip, ..Method::new(inner, self.rate).decay(self.decay) };
        method = match self.k {
            Some(k) if self.adaptive => method.adaptive(k, self.alpha),
            Some(k) => method.lookahead(k, self.alpha),
            None => method,
        };
        method.average = self.average.map(|average| match average {
            Average::Ema => Averaging::Ema { decay: self.ema_decay },
            Average::Triggered => Averaging::Triggered,
        });
        let pace = match (self.warmup, self.divide_after.is_empty()) {
            (Some(steps), _) => Pace::Warmup { width: self.width, steps },
            (None, true) => Pace::Constant,
            (None, false) => Pace::Divided { after: self.divide_after.clone(), by: self.divide_by },
        };
        let preset = self.preset.clone().unwrap_or_default();
        Ok(Run { preset, method, pace, epochs: self.epochs, seed: self.seed, probe: self.probe })
    }
}
