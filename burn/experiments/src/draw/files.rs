//! Files: CSV, JSON, PNG and SVG. A file is there whole, or as it was before.

use std::path::Path;

use super::error::DrawError;
use super::picture::Picture;
use crate::replace::replace;
use crate::run::method::{Averaging, Inner};
use crate::run::record::{Record, Run, Scores};

/// What columns of settings are called.
const SETTINGS: [&str; 16] = [
    "preset", "method", "inner", "lr", "momentum", "beta2", "eps", "decay", "k", "alpha", "adaptive",
    "average", "clip", "epochs", "seed", "device",
];

/// Every point of every run: a row a run and epoch, as CSV.
pub fn points(records: &[Record]) -> Result<String, DrawError> {
    let titles = [
        "epoch",
        "epoch_lr",
        "train_loss",
        "valid_loss",
        "valid_perplexity",
        "valid_score",
        "is_average",
        "seconds",
    ];
    table(records, &titles, |record| {
        let rows = record.history.iter().map(|point| {
            let [loss, perplexity, score] = cells(point.valid);
            vec![
                point.epoch.to_string(),
                point.rate.to_string(),
                point.train_loss.to_string(),
                loss,
                perplexity,
                score,
                point.is_average.to_string(),
                point.seconds.to_string(),
            ]
        });
        rows.collect()
    })
}

/// Every run's results on what was held out: a row a run, as CSV.
pub fn tests(records: &[Record]) -> Result<String, DrawError> {
    table(records, &["test_loss", "test_perplexity", "test_score", "seconds"], |record| {
        let row = cells(record.test).into_iter().chain([record.seconds.to_string()]);
        vec![row.collect()]
    })
}

/// Every step within inner loops that were looked into: a row a step, as CSV.
pub fn steps(records: &[Record]) -> Result<String, DrawError> {
    let titles = ["after_epoch", "step", "is_slow", "loss", "perplexity", "score"];
    table(records, &titles, |record| {
        let steps =
            record.probe.iter().flat_map(|probe| probe.steps.iter().map(move |inside| (probe.epoch, inside)));
        let rows = steps.map(|(epoch, inside)| {
            let row = [epoch.to_string(), inside.step.to_string(), inside.is_slow.to_string()];
            row.into_iter().chain(cells(inside.scores)).collect()
        });
        rows.collect()
    })
}

/// Every place of planes, and the paths on them, as CSV: the column `what` says `plane`, `fast` or `slow`;
/// paths have no scores.
pub fn planes(records: &[Record]) -> Result<String, DrawError> {
    let titles = ["after_epoch", "what", "x", "y", "loss", "perplexity", "score"];
    table(records, &titles, |record| {
        let mut rows = Vec::new();
        if let Some(probe) = &record.probe {
            let plane = &probe.plane;
            let mut add = |what: &str, [x, y]: [f64; 2], scores: [String; 3]| {
                let row = [probe.epoch.to_string(), what.to_owned(), x.to_string(), y.to_string()];
                rows.push(row.into_iter().chain(scores).collect());
            };
            for (&y, scores) in plane.y.iter().zip(&plane.scores) {
                for (&x, &scores) in plane.x.iter().zip(scores) {
                    add("plane", [x, y], cells(scores));
                }
            }
            plane.fast.iter().for_each(|&at| add("fast", at, Default::default()));
            plane.slow.iter().for_each(|&at| add("slow", at, Default::default()));
        }
        rows
    })
}

/// The records as JSON. JSON has no number for what is not finite: `null` stands for it.
pub fn json(records: &[Record]) -> Result<String, DrawError> {
    Ok(serde_json::to_string_pretty(records)? + "\n")
}

/// Writes a figure as `STEM.png` and `STEM.svg`.
pub fn figure(stem: &Path, picture: &Picture) -> Result<(), DrawError> {
    let named = |ending: &str| {
        let mut name = stem.as_os_str().to_owned();
        name.push(ending);
        name
    };
    save(Path::new(&named(".png")), &picture.png()?)?;
    save(Path::new(&named(".svg")), picture.svg()?.as_bytes())
}

/// Writes a file, and makes its folder where there is none.
pub fn save(path: &Path, content: &[u8]) -> Result<(), DrawError> {
    replace(path, content).map_err(|problem| DrawError::Write { file: path.display().to_string(), problem })
}

fn table(
    records: &[Record],
    titles: &[&str],
    rows: impl Fn(&Record) -> Vec<Vec<String>>,
) -> Result<String, DrawError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(SETTINGS.iter().chain(titles))?;
    for record in records {
        let settings = settings(&record.run, &record.device);
        for row in rows(record) {
            writer.write_record(settings.iter().chain(&row))?;
        }
    }
    let bytes = writer.into_inner().map_err(|problem| csv::Error::from(problem.into_error()))?;
    // What is written is of strings.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Empty where a run has no such setting.
fn settings(run: &Run, device: &str) -> [String; SETTINGS.len()] {
    let method = &run.method;
    let some = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let (inner, momentum, beta2, eps) = match method.inner {
        Inner::Sgd { momentum } => ("sgd", Some(momentum), None, None),
        Inner::Adam { beta2, eps } => ("adam", None, Some(beta2), Some(eps)),
        Inner::AdamW => ("adam_w", None, None, None),
        Inner::AdaFactor => ("ada_factor", None, None, None),
    };
    let average = match method.average {
        Some(Averaging::Ema { .. }) => "ema",
        Some(Averaging::Triggered) => "triggered",
        None => "",
    };
    let slow = method.lookahead;
    [
        run.preset.clone(),
        method.name(),
        inner.to_owned(),
        method.rate.to_string(),
        some(momentum),
        some(beta2),
        some(eps),
        method.decay.to_string(),
        slow.map(|slow| slow.k.to_string()).unwrap_or_default(),
        some(slow.map(|slow| slow.alpha)),
        slow.map(|slow| slow.is_adaptive.to_string()).unwrap_or_default(),
        average.to_owned(),
        some(method.clip),
        run.epochs.to_string(),
        run.seed.to_string(),
        device.to_owned(),
    ]
}

/// The loss, its exponential and the score; empty where there is none.
fn cells(scores: Scores) -> [String; 3] {
    let score = scores.score.map(|score| score.to_string()).unwrap_or_default();
    [scores.loss.to_string(), scores.perplexity().to_string(), score]
}
