//! Trains a multi-layer perceptron on images, all on the GPU: alone with an optimizer, or with Lookahead
//! around it, or both for comparison.
//!
//! ```text
//! cargo run --release --example train -- --compare --plot compare.png
//! ```

mod arguments;
mod batches;
mod canvas;
mod checkpoint;
mod data;
mod device;
mod folder;
mod history;
mod kernels;
mod meter;
mod model;
mod options;
mod output;
mod plot;
mod reading;
mod report;
mod rule;
mod run;
mod settings;
mod train;

use arguments::Arguments;
use checkpoint::Checkpoint;
use clap::Parser;
use data::Dataset;
use history::History;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use lookahead_wgpu::gpu::Gpu;
use output::Output;
use settings::Settings;
use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use train::{Checkpoints, Progress, Workbench};

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
    let is_digits = arguments.data == Path::new("digits");
    let runs = arguments.settings(is_digits)?;
    let open = |path: &Option<PathBuf>| path.as_deref().map(Output::open).transpose();
    let (plot, json) = (open(&arguments.plot)?, open(&arguments.json)?);
    let gpu = Gpu::open_blocking(arguments.adapter.as_deref())?;
    let dataset = if is_digits { Dataset::digits()? } else { folder::read(&arguments.data)? };
    let adapter = gpu.info.clone();
    let mut out = io::stdout();
    writeln!(out, "{}\n{}", describe(&dataset, &arguments.hidden), gpu.label())?;

    let bench = Workbench::new(gpu, &dataset)?;
    let mut histories = Vec::new();
    for settings in &runs {
        histories.push(train(&bench, settings, &dataset, arguments)?);
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

/// Trains once, with a progress bar and a table.
fn train(
    bench: &Workbench,
    settings: &Settings,
    dataset: &Dataset,
    arguments: &Arguments,
) -> Result<History, Box<dyn Error>> {
    let mut out = io::stdout();
    write!(out, "\n{}: learning rate {}", settings.name(), settings.learning_rate)?;
    if let Some((k, alpha, policy)) = settings.lookahead {
        write!(out, ", k = {k}, alpha = {alpha}, policy {policy}")?;
    }
    writeln!(out, "{}", settings.options)?;
    let path = arguments.checkpoint.as_deref();
    let checkpoint = path.map(|path| Checkpoint::new(path, &dataset.name, settings)).transpose()?;
    let start = match &checkpoint {
        Some(checkpoint) => checkpoint.start(arguments.resume)?,
        None => None,
    };
    match (&start, path) {
        (Some(_), Some(path)) => writeln!(out, "going on from `{}`", path.display())?,
        (None, Some(path)) if arguments.resume => {
            writeln!(out, "there is no `{}`: beginning anew", path.display())?;
        }
        _ => {}
    }
    writeln!(out, "{}", report::HEAD)?;

    let bar = ProgressBar::new(dataset.train.len() as u64 * u64::from(settings.epochs));
    let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
        // A bar without its rate is still a bar.
        let _ = write!(out, "{:.0} images/s", state.per_sec());
    };
    let style = ProgressStyle::with_template("{wide_bar} loss {msg}  {rate}  {eta} left")?;
    bar.set_style(style.with_key("rate", rate));
    let mut printed = Ok(());
    let mut watch = |progress: Progress<'_>| match progress {
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
    };
    let outcome = match &checkpoint {
        None => bench.train(settings, &mut watch),
        Some(checkpoint) => {
            let every = arguments.checkpoint_every;
            let mut keep = |snapshot: &_, history: &_| checkpoint.keep(snapshot, history);
            bench.train_with(settings, Checkpoints { start, every, keep: &mut keep }, &mut watch)
        }
    };
    bar.finish_and_clear();
    let history = outcome?;
    printed?;
    if let Some(guard) = &history.guard {
        writeln!(out, "{}", report::guarded(guard))?;
    }
    if arguments.memory {
        writeln!(out, "\nThe optimizer's memory on the GPU:\n{}", history.memory)?;
    }
    Ok(history)
}
