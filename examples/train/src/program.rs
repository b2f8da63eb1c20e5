//! The program: from the command line to the reports.

use crate::arguments::Arguments;
use crate::checkpoint::Checkpoint;
use crate::data::{self, Dataset};
use crate::driver::{Checkpoints, Progress, Workbench};
use crate::folder;
use crate::history::History;
use crate::output::Output;
use crate::paths;
use crate::plot::{self, PlotError};
use crate::report;
use crate::settings::Settings;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use lookahead_wgpu::gpu::Gpu;
use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

/// Does what the command line asks for. A run that diverged, or took no step, is an error, after the reports were
/// written.
pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let runs = arguments.settings()?;
    let files = if arguments.is_digits() { None } else { Some(folder::find(&arguments.data)?) };
    paths::check(&arguments.claims(files.as_ref().map_or(&[][..], |files| &files.paths)))?;
    let open = |path: &Option<PathBuf>| path.as_deref().map(Output::open).transpose();
    let (plot, json) = (open(&arguments.plot)?, open(&arguments.json)?);
    let gpu = Gpu::open_blocking(arguments.adapter.as_deref())?;
    let dataset = files.map_or_else(Dataset::digits, |files| files.read())?;
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
    let problem = histories.iter().find_map(|history| failed(history, arguments));
    if let Some(file) = plot {
        match plot::png(&histories) {
            // A run that diverged at once; that is said below.
            Err(PlotError::Empty) if problem.is_some() => {}
            picture => file.write(&picture?)?,
        }
    }
    problem.map_or(Ok(()), |problem| Err(problem.into()))
}

/// Why a run came to nothing, if it did.
fn failed(history: &History, arguments: &Arguments) -> Option<String> {
    let name = &history.name;
    let Some(divergence) = &history.divergence else {
        return report::idle(history)
            .filter(|_| history.steps == 0)
            .map(|problem| format!("{name}: {problem}"));
    };
    let kept = match &arguments.checkpoint {
        Some(path) if path.exists() => format!("; `{}` is still the checkpoint of before", path.display()),
        Some(path) => format!("; it had not come to a first checkpoint in `{}`", path.display()),
        None => String::new(),
    };
    let (batch, what) = (divergence.batch, &divergence.what);
    Some(format!("{name} diverged: {what} after batch {batch}; try a lower --lr{kept}"))
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
    if let Some(steps) = report::accumulated(dataset.train.len(), settings) {
        writeln!(out, "{steps}")?;
    }
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
            bar.inc(count);
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
    if let Some(words) = report::idle(&history).filter(|_| history.divergence.is_none() && history.steps > 0)
    {
        writeln!(out, "{words}")?;
    }
    if arguments.memory {
        writeln!(out, "\nThe optimizer's memory on the GPU:\n{}", history.memory)?;
    }
    Ok(history)
}
