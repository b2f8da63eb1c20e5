//! The figures of a sweep: a table for people, CSV and JSON for programs.

use super::Sweep;
use super::axes::Axis;
use super::outcome::{Cell, Spread, alone, test_loss};
use crate::history::History;
use crate::report::{JsonRun, count, percent};
use serde::Serialize;

/// What is run, in words.
pub fn description(sweep: &Sweep) -> String {
    let Some(first) = sweep.settings.first() else { return String::new() };
    let seeds: Vec<_> = sweep.seeds.iter().map(ToString::to_string).collect();
    let mut text = format!(
        "{} of {}: {} and lookahead({}), each with {} {}",
        count(sweep.settings.len() as u64 * sweep.seeds.len() as u64, "run", "s"),
        count(first.epochs.into(), "epoch", "s"),
        first.rule,
        first.rule,
        if seeds.len() == 1 { "seed" } else { "seeds" },
        seeds.join(", "),
    );
    if let Some(with) = sweep.settings.iter().find(|settings| settings.lookahead.is_some()) {
        let is_fixed = |part: &dyn Fn(u32, f64) -> bool| {
            let mut all = sweep.settings.iter().filter_map(|settings| settings.lookahead);
            all.all(|(k, alpha, _)| part(k, alpha))
        };
        if let Some((k, alpha, policy)) = with.lookahead {
            text += &format!("\npolicy {policy}");
            if is_fixed(&|other, _| other == k) {
                text += &format!(", k = {k}");
            }
            if is_fixed(&|_, other| other == alpha) {
                text += &format!(", alpha = {alpha}");
            }
        }
        text += &with.options.to_string();
    }
    text
}

/// The head of the table.
pub fn head(sweep: &Sweep) -> String {
    let width = width(sweep);
    format!(
        "{:<13}  {:width$}  test loss                    test accuracy                  loss below\n\
         {:<13}  {:width$}  median (lowest to highest)   median (lowest to highest)     alone in",
        sweep.axis.to_string(),
        "",
        "",
        "",
    )
}

/// A cell's line of the table. The cell of the rule alone is among `earlier` ones.
pub fn row(sweep: &Sweep, cell: &Cell, earlier: &[Cell]) -> String {
    let place = cell.place(sweep.axis).map_or_else(|| "-".to_owned(), |place| place.to_string());
    let (loss, accuracy) = (cell.test_loss(), cell.accuracy());
    let range = |spread: Spread, write: fn(f64) -> String| {
        format!("({} to {})", write(spread.lowest), write(spread.highest))
    };
    let seeds = cell.runs.len();
    let lower = alone(earlier, cell).map(|alone| format!("{} of {seeds}", cell.lower_than(alone)));
    let mut text = format!(
        "{place:<13}  {:<width$}  {:>6} {:<20}  {:>7} {:<21}  {}",
        sweep.label(cell),
        loss_text(loss.median),
        range(loss, loss_text),
        percent(accuracy.median),
        range(accuracy, percent),
        lower.unwrap_or_else(|| "-".to_owned()),
        width = width(sweep),
    );
    match cell.diverged() {
        0 => {}
        diverged => text += &format!("  {diverged} of {seeds} diverged"),
    }
    text
}

fn width(sweep: &Sweep) -> usize {
    let cells = sweep.settings.iter().map(|settings| Cell { settings: settings.clone(), runs: Vec::new() });
    cells.map(|cell| sweep.label(&cell).len()).max().unwrap_or(0)
}

/// Short, for people.
pub fn loss_text(loss: f64) -> String {
    match loss {
        _ if loss.is_infinite() => "inf".to_owned(),
        _ if loss >= 100.0 => format!("{loss:.2e}"),
        _ if loss >= 10.0 => format!("{loss:.2}"),
        _ => format!("{loss:.4}"),
    }
}

/// A run's line of the CSV.
#[derive(Serialize)]
struct CsvRun<'a> {
    optimizer: &'a str,
    rule: &'a str,
    learning_rate: f64,
    k: Option<u32>,
    alpha: Option<f64>,
    policy: Option<&'a str>,
    seed: u64,
    epochs: usize,
    steps: u64,
    train_loss: Option<f64>,
    test_loss: Option<f64>,
    test_accuracy: Option<f64>,
    fast_accuracy: Option<f64>,
    average_accuracy: Option<f64>,
    /// Batches after which it diverged, if it did.
    diverged_after: Option<u64>,
    seconds: Option<f64>,
}

/// Every run as a line of CSV. What a run that diverged has not come to is empty.
pub fn csv(cells: &[Cell]) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for cell in cells {
        for (seed, run) in &cell.runs {
            writer.serialize(line(cell, *seed, run))?;
        }
    }
    Ok(writer.into_inner()?)
}

fn line<'a>(cell: &Cell, seed: u64, run: &'a History) -> CsvRun<'a> {
    let setting = run.lookahead.as_ref();
    let last = run.epochs.last().filter(|_| test_loss(run).is_finite());
    CsvRun {
        optimizer: &run.name,
        rule: &run.rule,
        learning_rate: cell.settings.learning_rate,
        k: setting.map(|setting| setting.k),
        alpha: setting.map(|setting| setting.alpha),
        policy: setting.map(|setting| setting.policy.as_str()),
        seed,
        epochs: run.epochs.len(),
        steps: run.steps,
        train_loss: last.map(|epoch| epoch.train_loss),
        test_loss: last.map(|epoch| epoch.test_loss),
        test_accuracy: last.map(|epoch| epoch.accuracy()),
        fast_accuracy: last.map(|epoch| epoch.fast_accuracy),
        average_accuracy: last.and_then(|epoch| epoch.average_accuracy),
        diverged_after: run.divergence.as_ref().map(|divergence| divergence.batch),
        seconds: last.map(|epoch| epoch.seconds),
    }
}

#[derive(Serialize)]
struct JsonSweep<'a> {
    adapter: &'a str,
    backend: &'a str,
    data: &'a str,
    axis: String,
    seeds: &'a [u64],
    points: Vec<JsonPoint<'a>>,
}

#[derive(Serialize)]
struct JsonPoint<'a> {
    optimizer: String,
    learning_rate: f64,
    k: Option<u32>,
    alpha: Option<f64>,
    /// At the end; `null` is infinite: a run that diverged.
    test_loss: Spread,
    test_accuracy: Spread,
    diverged: usize,
    /// Seeds with a lower test loss than the rule alone has at this learning rate.
    lower_than_alone: Option<usize>,
    runs: Vec<JsonSeed<'a>>,
}

#[derive(Serialize)]
struct JsonSeed<'a> {
    seed: u64,
    #[serde(flatten)]
    run: JsonRun<'a>,
}

/// All points with their runs, as JSON.
pub fn json(
    sweep: &Sweep,
    adapter: &str,
    backend: &str,
    data: &str,
    cells: &[Cell],
) -> serde_json::Result<String> {
    let axis = match sweep.axis {
        Axis::LearningRate => "learning_rate".to_owned(),
        axis => axis.to_string(),
    };
    let points = cells.iter().map(|cell| JsonPoint::new(cell, cells)).collect();
    let whole = JsonSweep { adapter, backend, data, axis, seeds: &sweep.seeds, points };
    Ok(serde_json::to_string_pretty(&whole)? + "\n")
}

impl<'a> JsonPoint<'a> {
    fn new(cell: &'a Cell, cells: &[Cell]) -> Self {
        let run = |(seed, run): &'a (u64, History)| JsonSeed { seed: *seed, run: JsonRun::new(run) };
        Self {
            optimizer: cell.settings.name(),
            learning_rate: cell.settings.learning_rate,
            k: cell.settings.lookahead.map(|(k, ..)| k),
            alpha: cell.settings.lookahead.map(|(_, alpha, _)| alpha),
            test_loss: cell.test_loss(),
            test_accuracy: cell.accuracy(),
            diverged: cell.diverged(),
            lower_than_alone: alone(cells, cell).map(|alone| cell.lower_than(alone)),
            runs: cell.runs.iter().map(run).collect(),
        }
    }
}
