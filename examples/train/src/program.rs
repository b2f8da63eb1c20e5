//! The program: from the command line to the reports.

use crate::arguments::Arguments;
use crate::checkpoint::Checkpoint;
use crate::data::{self, Dataset};
use crate::driver::{Checkpoints, Progress, Workbench};
use crate::folder;
use crate::history::History;
use crate::output::Output;
use crate::panel::PlotError;
use crate::paths;
use crate::plot;
use crate::profile;
use crate::report;
use crate::settings::Settings;
use crate::sweep::{self, Sweep};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use lookahead_wgpu::gpu::Gpu;
use lookahead_wgpu::wgpu::AdapterInfo;
use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

/// The files that results go to.
struct Outputs {
    plot: Option<Output>,
    json: Option<Output>,
    csv: Option<Output>,
}

/// Does what the command line asks for. A run that diverged, or took no step, is an error, after the reports were
/// written; in a sweep it is a finding.
pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let (runs, sweep) = (arguments.settings()?, arguments.sweep()?);
    let files = if arguments.is_digits() { None } else { Some(folder::find(&arguments.data)?) };
    paths::check(&arguments.claims(files.as_ref().map_or(&[][..], |files| &files.paths)))?;
    let open = |path: &Option<PathBuf>| path.as_deref().map(Output::open).transpose();
    let [plot, json, csv] = [open(&arguments.plot)?, open(&arguments.json)?, open(&arguments.csv)?];
    let mut gpu = Gpu::open_blocking(arguments.adapter.as_deref())?;
    if arguments.profile {
        gpu = profile::with_timestamps(gpu)?;
    }
    let dataset = files.map_or_else(Dataset::digits, |files| files.read())?;
    let adapter = gpu.info.clone();
    let mut out = io::stdout();
    writeln!(out, "{}\n{}", describe(&dataset, &arguments.hidden), gpu.label())?;

    let mut bench = Workbench::new(gpu, &dataset)?;
    if arguments.profile {
        bench = bench.profiled();
    }
    let outputs = Outputs { plot, json, csv };
    match sweep {
        Some(sweep) => run_sweep(&sweep, &bench, &adapter, &dataset, outputs),
        None => run_each(&runs, &bench, &adapter, &dataset, arguments, outputs),
    }
}

/// Trains with each setting, and reports.
fn run_each(
    runs: &[Settings],
    bench: &Workbench,
    adapter: &AdapterInfo,
    dataset: &Dataset,
    arguments: &Arguments,
    outputs: Outputs,
) -> Result<(), Box<dyn Error>> {
    let mut histories = Vec::new();
    for settings in runs {
        histories.push(train(bench, settings, dataset, arguments)?);
    }
    if histories.len() > 1 {
        writeln!(io::stdout(), "\n{}", report::comparison(&histories))?;
    }
    if let Some(file) = outputs.json {
        let backend = adapter.backend.to_str();
        file.write(report::json(&adapter.name, backend, &dataset.name, &histories)?.as_bytes())?;
    }
    let problem = histories.iter().find_map(|history| failed(history, arguments));
    if let Some(file) = outputs.plot {
        match plot::png(&histories) {
            // A run that diverged at once; that is said below.
            Err(PlotError::Empty) if problem.is_some() => {}
            picture => file.write(&picture?)?,
        }
    }
    problem.map_or(Ok(()), |problem| Err(problem.into()))
}

/// Trains with every setting and seed of a sweep, and reports.
fn run_sweep(
    sweep: &Sweep,
    bench: &Workbench,
    adapter: &AdapterInfo,
    dataset: &Dataset,
    outputs: Outputs,
) -> Result<(), Box<dyn Error>> {
    let cells = sweep.run(bench, dataset)?;
    writeln!(io::stdout(), "\n{}", sweep::words::words(sweep, &cells))?;
    if let Some(file) = outputs.json {
        let backend = adapter.backend.to_str();
        let text = sweep::report::json(sweep, &adapter.name, backend, &dataset.name, &cells)?;
        file.write(text.as_bytes())?;
    }
    if let Some(file) = outputs.csv {
        file.write(&sweep::report::csv(&cells)?)?;
    }
    if cells.iter().all(|cell| cell.diverged() == cell.runs.len()) {
        return Err("every run diverged; try lower learning rates".into());
    }
    if let Some(file) = outputs.plot {
        file.write(&sweep::plot::png(sweep, &cells)?)?;
    }
    Ok(())
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
    if let Some(profile) = &history.profile {
        writeln!(out, "\n{}", report::profile(profile))?;
    }
    Ok(history)
}
