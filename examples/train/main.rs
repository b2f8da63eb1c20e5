//! Trains a multi-layer perceptron on images, all on the GPU: alone with an optimizer, or with Lookahead
//! around it, or both for comparison.
//!
//! ```text
//! cargo run --release --example train -- --compare --plot compare.png
//! ```

mod batches;
mod data;
mod device;
mod folder;
mod history;
mod meter;
mod model;
mod output;
mod plot;
mod report;
mod settings;
mod train;

use clap::Parser;
use clap::builder::RangedU64ValueParser;
use data::Dataset;
use history::History;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use lookahead_wgpu::gpu::Gpu;
use output::Output;
use settings::{PolicyName, RuleName, Settings};
use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use train::{Progress, Workbench};

const EXAMPLES: &str = "\
Examples:
  Digits that come with the example, a few seconds:
    cargo run --release --example train
  Adam alone and Lookahead(Adam), with a plot:
    cargo run --release --example train -- --compare --plot compare.png
  Fashion-MNIST (Debian, Ubuntu: apt-get install dataset-fashion-mnist):
    cargo run --release --example train -- --data /usr/share/datasets/fashion-mnist
  SGD with momentum, k = 10, on the adapter whose name holds `llvmpipe`:
    cargo run --release --example train -- --rule heavy-ball --k 10 --adapter llvmpipe

RUST_LOG=debug shows what wgpu does.";

/// Trains a multi-layer perceptron on images with Lookahead, on the GPU.
#[derive(Debug, Parser)]
#[command(name = "train", after_help = EXAMPLES)]
struct Arguments {
    /// `digits` (part of the example), or a folder of MNIST-style IDX files, plain or .gz
    #[arg(long, default_value = "digits", value_name = "digits|DIR")]
    data: PathBuf,
    /// The inner optimizer
    #[arg(long, value_enum, default_value_t = RuleName::Adam)]
    rule: RuleName,
    /// Steps of the inner optimizer between two syncs
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    k: u32,
    /// Slow step size, above 0 and at most 1
    #[arg(long, default_value_t = 0.5, value_parser = alpha, allow_negative_numbers = true)]
    alpha: f64,
    /// What a sync does to the inner optimizer's state
    #[arg(long, value_enum, default_value_t = PolicyName::Maintain)]
    policy: PolicyName,
    /// Learning rate of the inner optimizer
    ///
    /// [default: sgd 0.5; heavy-ball and nesterov 0.1; adam and adamw 0.003]
    #[arg(long, value_parser = learning_rate, allow_negative_numbers = true)]
    lr: Option<f64>,
    /// Passes over the training images
    ///
    /// [default: 20 for digits, 5 for a folder]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    epochs: Option<u32>,
    /// Images of a step
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_535))]
    batch: u32,
    /// Units of each hidden layer, from the first on
    #[arg(
        long,
        default_value = "128",
        value_delimiter = ',',
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=65_536)
    )]
    hidden: Vec<usize>,
    /// Chooses the first weights and the order of the images
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How often in an epoch the test images are classified
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1000))]
    tests: u32,
    /// Also train with the inner optimizer alone, from the same weights, with the same images
    #[arg(long)]
    compare: bool,
    /// The GPU, by a part of its name, driver or backend
    #[arg(long, value_name = "NAME")]
    adapter: Option<String>,
    /// Draw training loss and test accuracy
    #[arg(long, value_name = "FILE.png")]
    plot: Option<PathBuf>,
    /// Write the results as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn alpha(text: &str) -> Result<f64, String> {
    let is_allowed = |alpha: &f64| *alpha > 0.0 && *alpha <= 1.0;
    text.parse().ok().filter(is_allowed).ok_or_else(|| "it must be above 0 and at most 1".to_owned())
}

fn learning_rate(text: &str) -> Result<f64, String> {
    let is_allowed = |lr: &f64| *lr > 0.0 && lr.is_finite();
    text.parse().ok().filter(is_allowed).ok_or_else(|| "it must be a number above 0".to_owned())
}

fn main() -> ExitCode {
    env_logger::init();
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let open = |path: &Option<PathBuf>| path.as_deref().map(Output::open).transpose();
    let (plot, json) = (open(&arguments.plot)?, open(&arguments.json)?);
    let gpu = Gpu::open_blocking(arguments.adapter.as_deref())?;
    let is_digits = arguments.data == Path::new("digits");
    let dataset = if is_digits { Dataset::digits()? } else { folder::read(&arguments.data)? };
    let adapter = gpu.info.clone();
    let mut out = io::stdout();
    writeln!(out, "{}\n{}", describe(&dataset, &arguments.hidden), gpu.label())?;

    let bench = Workbench::new(gpu, &dataset)?;
    let runs = settings(arguments, is_digits);
    let mut histories = Vec::new();
    for settings in &runs {
        histories.push(train(&bench, settings, dataset.train.len())?);
    }
    if histories.len() > 1 {
        writeln!(out, "\n{}", report::comparison(&histories))?;
    }
    if let Some(file) = json {
        let backend = adapter.backend.to_str();
        file.write(report::json(&adapter.name, backend, &dataset.name, &histories)?.as_bytes())?;
    }
    if let Some(file) = plot {
        file.write(&plot::png(&histories)?)?;
    }
    Ok(())
}

fn describe(dataset: &Dataset, hidden: &[usize]) -> String {
    let layers: Vec<_> =
        [dataset.pixels()].iter().chain(hidden).chain(&[data::CLASSES]).map(ToString::to_string).collect();
    format!(
        "{}: {} images of {} x {} to train on, {} to test on\nlayers of {} units",
        dataset.name,
        dataset.train.len(),
        dataset.height,
        dataset.width,
        dataset.test.len(),
        layers.join("-"),
    )
}

/// The runs to make: the rule alone comes first.
fn settings(arguments: &Arguments, is_digits: bool) -> Vec<Settings> {
    let lookahead = Settings {
        rule: arguments.rule,
        learning_rate: arguments.lr.unwrap_or(arguments.rule.default_learning_rate()),
        lookahead: Some((arguments.k, arguments.alpha, arguments.policy)),
        hidden: arguments.hidden.clone(),
        epochs: arguments.epochs.unwrap_or(if is_digits { 20 } else { 5 }),
        batch: arguments.batch,
        seed: arguments.seed,
        tests_each_epoch: arguments.tests,
    };
    let alone = arguments.compare.then(|| Settings { lookahead: None, ..lookahead.clone() });
    alone.into_iter().chain([lookahead]).collect()
}

/// Trains once, with a progress bar and a table.
fn train(bench: &Workbench, settings: &Settings, images: usize) -> Result<History, Box<dyn Error>> {
    let mut out = io::stdout();
    write!(out, "\n{}: learning rate {}", settings.name(), settings.learning_rate)?;
    if let Some((k, alpha, policy)) = settings.lookahead {
        write!(out, ", k = {k}, alpha = {alpha}, policy {policy}")?;
    }
    writeln!(out, "\n{}", report::HEAD)?;

    let bar = ProgressBar::new(images as u64 * u64::from(settings.epochs));
    let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
        // A bar without its rate is still a bar.
        let _ = write!(out, "{:.0} images/s", state.per_sec());
    };
    let style = ProgressStyle::with_template("{wide_bar} loss {msg}  {rate}  {eta} left")?;
    bar.set_style(style.with_key("rate", rate));
    let mut printed = Ok(());
    let history = bench.train(settings, &mut |progress| match progress {
        Progress::Images { count, loss } => {
            bar.set_message(format!("{loss:.4}"));
            bar.inc(u64::from(count));
        }
        Progress::Epoch(epoch) => {
            let line = bar.suspend(|| writeln!(out, "{}", report::row(epoch)));
            if printed.is_ok() {
                printed = line;
            }
        }
    })?;
    bar.finish_and_clear();
    printed?;
    Ok(history)
}
