//! What people see: progress, and what came of it.

use std::path::Path;

use experiments::presets::{Measure, Preset};
use experiments::run::record::{Record, Run, Scores};
use experiments::runner::Standing;
use experiments::studies::Study;
use experiments::train::report::Event;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// A run's progress.
pub struct Bar {
    preset: Preset,
    bar: ProgressBar,
}

fn style(template: &str) -> ProgressStyle {
    // The templates are ours, and right.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Bar {
    pub fn new(preset: Preset, run: &Run) -> Self {
        let bar = ProgressBar::new(0).with_style(style("{bar:30} {pos}/{len} steps, {eta} left{msg}"));
        bar.println(format!("{}: {}, {} epochs, seed {}", run.preset, run.method, run.epochs, run.seed));
        Self { preset, bar }
    }

    pub fn tell(&mut self, event: Event) {
        match event {
            Event::Begin { step, steps } => {
                self.bar.set_length(steps);
                self.bar.set_position(step);
                self.bar.reset_eta();
            }
            Event::Step { step, loss, rate } => {
                self.bar.set_position(step);
                self.bar.set_message(format!(", loss {loss:.4}, rate {rate:.2e}"));
            }
            Event::Epoch(point) => {
                let valid = scores(self.preset, point.valid);
                let of = if point.is_average { " (of the average)" } else { "" };
                self.bar.println(format!(
                    "epoch {:>3}  train loss {:.4}  valid {valid}{of}",
                    point.epoch, point.train_loss
                ));
            }
            Event::Probed => self.bar.println("looked into the inner loop"),
        }
    }
}

fn scores(preset: Preset, scores: Scores) -> String {
    let loss = format!("loss {:.4}", scores.loss);
    match (preset.measure, scores.score) {
        (Measure::Perplexity, _) => format!("{loss}, perplexity {:.2}", scores.perplexity()),
        (Measure::Accuracy, Some(score)) => format!("{loss}, accuracy {score:.2} %"),
        (Measure::Bleu, Some(score)) => format!("{loss}, BLEU {score:.2}"),
        (_, None) => loss,
    }
}

/// A run's result in a few lines.
pub fn summary(preset: Preset, record: &Record, path: &Path) -> String {
    format!(
        "test {}\n{:.0} s, {}\n{}",
        scores(preset, record.test),
        record.seconds,
        record.device,
        path.display()
    )
}

/// The progress of several runs.
pub struct Bars {
    name: String,
    done: usize,
    all: ProgressBar,
    each: Vec<ProgressBar>,
}

impl Bars {
    pub fn new(study: Study, jobs: usize) -> Self {
        let bars = MultiProgress::new();
        let all = bars.add(ProgressBar::new(0));
        all.set_style(style("{msg} {bar:30} {pos}/{len} runs, {elapsed}"));
        all.set_message(study.names().join(", "));
        let each = (0..jobs.max(1)).map(|_| {
            let bar = bars.add(ProgressBar::new(1000));
            bar.set_style(style("  {bar:20} {percent:>3} % {msg}"));
            bar
        });
        Self { name: study.names().join(", "), done: 0, all, each: each.collect() }
    }

    pub fn tell(&mut self, standing: &Standing) {
        if self.all.is_hidden() && standing.done > self.done {
            eprintln!("{}: {} of {} runs", self.name, standing.done, standing.runs);
        }
        self.done = standing.done;
        self.all.set_length(standing.runs as u64);
        self.all.set_position(standing.done as u64);
        for (index, bar) in self.each.iter().enumerate() {
            let (name, part) = standing.under_way.get(index).cloned().unwrap_or_default();
            bar.set_position((1000.0 * part) as u64);
            bar.set_message(name);
        }
    }

    pub fn end(self) {
        self.each.iter().for_each(ProgressBar::finish_and_clear);
        self.all.finish();
    }
}
