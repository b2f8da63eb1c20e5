//! Many runs at once: every learning rate, k and alpha of a list, with several seeds, for the inner optimizer alone and
//! for Lookahead around it.

pub mod axes;
pub mod outcome;
pub mod plot;
pub mod report;
pub mod words;

use crate::data::Dataset;
use crate::driver::{Progress, Workbench};
use crate::settings::Settings;
use axes::Axis;
use indicatif::{ProgressBar, ProgressStyle};
use outcome::Cell;
use std::error::Error;
use std::io::{self, Write};

/// What to run.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// Along what pictures and tables go.
    pub axis: Axis,
    /// Seeds of each setting.
    pub seeds: Vec<u64>,
    /// Every setting: by learning rate, the rule alone first.
    pub settings: Vec<Settings>,
}

impl Sweep {
    /// Runs all of it, with a progress bar and a table that grows.
    pub fn run(&self, bench: &Workbench, dataset: &Dataset) -> Result<Vec<Cell>, Box<dyn Error>> {
        let mut out = io::stdout();
        let total = self.settings.len() * self.seeds.len();
        writeln!(out, "\n{}\n\n{}", report::description(self), report::head(self))?;
        let images = |settings: &Settings| dataset.train.len() as u64 * u64::from(settings.epochs);
        let each = self.settings.iter().map(|settings| images(settings) * self.seeds.len() as u64);
        let bar = ProgressBar::new(each.sum());
        bar.set_style(ProgressStyle::with_template("{wide_bar} {msg}  {eta} left")?);
        let (mut cells, mut passed) = (Vec::new(), 0);
        for settings in &self.settings {
            let mut runs = Vec::new();
            for (&seed, number) in self.seeds.iter().zip(cells.len() * self.seeds.len() + 1..) {
                bar.set_message(format!("run {number} of {total}"));
                let settings = Settings { seed, ..settings.clone() };
                let mut watch = |progress: Progress<'_>| {
                    if let Progress::Images { count, .. } = progress {
                        bar.inc(count);
                    }
                };
                runs.push((seed, bench.train(&settings, &mut watch)?));
                // A run that diverged ends early.
                passed += images(&settings);
                bar.set_position(passed);
            }
            let cell = Cell { settings: settings.clone(), runs };
            bar.suspend(|| writeln!(out, "{}", report::row(self, &cell, &cells)))?;
            cells.push(cell);
        }
        bar.finish_and_clear();
        Ok(cells)
    }

    /// Whether Lookahead runs with several settings besides those along the axis.
    fn has_many_series(&self) -> bool {
        let mut series = self
            .settings
            .iter()
            .filter_map(|settings| Cell { settings: settings.clone(), runs: Vec::new() }.series(self.axis));
        let first = series.next();
        series.any(|other| Some(other) != first)
    }

    /// What a cell's series is called in tables and pictures.
    fn label(&self, cell: &Cell) -> String {
        outcome::label(cell, self.axis, self.has_many_series())
    }
}
