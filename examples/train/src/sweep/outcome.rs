//! What the runs of a sweep came to, over seeds.

use super::axes::Axis;
use crate::history::{Epoch, History};
use crate::settings::Settings;
use serde::Serialize;

/// One setting, run with every seed.
#[derive(Debug, Clone)]
pub struct Cell {
    /// How it trains; the seed is the first one.
    pub settings: Settings,
    /// The runs, with their seeds.
    pub runs: Vec<(u64, History)>,
}

/// Figures of several seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one; of an even number, the mean of the two in the middle.
    pub median: f64,
    /// The lowest one.
    pub lowest: f64,
    /// The highest one.
    pub highest: f64,
}

impl Spread {
    /// Of figures that are no NaN. There must be one.
    fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<_> = figures.collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let [low, high] = [(sorted.len() - 1) / 2, sorted.len() / 2].map(|index| sorted[index]);
        let median = if low == high { low } else { f64::midpoint(low, high) };
        Self { median, lowest: sorted[0], highest: sorted[sorted.len() - 1] }
    }

    /// Whether some figure of one lies between those of the other, or on them.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.lowest <= other.highest && other.lowest <= self.highest
    }
}

impl Cell {
    /// Where it lies along an axis; nowhere where that varies Lookahead and this is the rule alone.
    pub fn place(&self, axis: Axis) -> Option<f64> {
        let lookahead = self.settings.lookahead;
        match axis {
            Axis::LearningRate => Some(self.settings.learning_rate),
            Axis::K => lookahead.map(|(k, ..)| f64::from(k)),
            Axis::Alpha => lookahead.map(|(_, alpha, _)| alpha),
        }
    }

    /// What makes it one of a series along an axis: k and alpha as far as they do not vary along it; nothing for the
    /// rule alone.
    pub fn series(&self, axis: Axis) -> Option<(Option<u32>, Option<f64>)> {
        let (k, alpha, _) = self.settings.lookahead?;
        Some(((axis != Axis::K).then_some(k), (axis != Axis::Alpha).then_some(alpha)))
    }

    /// The test loss at the end. A run that diverged has an infinite one.
    pub fn test_loss(&self) -> Spread {
        Spread::of(self.runs.iter().map(|(_, run)| test_loss(run)))
    }

    /// The share of test images that are classified rightly at the end. A run that diverged has none.
    pub fn accuracy(&self) -> Spread {
        Spread::of(self.runs.iter().map(|(_, run)| last(run).map_or(0.0, Epoch::accuracy)))
    }

    /// How many runs diverged.
    pub fn diverged(&self) -> usize {
        self.runs.iter().filter(|(_, run)| !test_loss(run).is_finite()).count()
    }

    /// The test loss by epoch.
    pub fn curve(&self) -> Vec<(f64, Spread)> {
        let longest = self.runs.iter().map(|(_, run)| run.epochs.len()).max().unwrap_or(0);
        let at = |index: usize| {
            let loss =
                |run: &History| run.epochs.get(index).map_or(f64::INFINITY, |epoch| finite(epoch.test_loss));
            ((index + 1) as f64, Spread::of(self.runs.iter().map(|(_, run)| loss(run))))
        };
        (0..longest).map(at).collect()
    }

    /// In how many seeds the loss is lower than that of another cell.
    pub fn lower_than(&self, other: &Self) -> usize {
        let pairs = self.runs.iter().zip(&other.runs);
        pairs.filter(|((_, ours), (_, theirs))| test_loss(ours) < test_loss(theirs)).count()
    }
}

/// The last epoch of a run that did not diverge.
fn last(run: &History) -> Option<&Epoch> {
    run.epochs.last().filter(|epoch| run.divergence.is_none() && epoch.test_loss.is_finite())
}

/// The test loss at the end of a run.
pub fn test_loss(run: &History) -> f64 {
    last(run).map_or(f64::INFINITY, |epoch| epoch.test_loss)
}

fn finite(loss: f64) -> f64 {
    if loss.is_finite() { loss } else { f64::INFINITY }
}

/// The cells with the rule alone and those with Lookahead, series by series, in the order in which they came.
pub fn by_series(cells: &[Cell], axis: Axis) -> Vec<Vec<&Cell>> {
    let mut series: Vec<Vec<&Cell>> = Vec::new();
    for cell in cells {
        match series.iter_mut().find(|other| other[0].series(axis) == cell.series(axis)) {
            Some(cells) => cells.push(cell),
            None => series.push(vec![cell]),
        }
    }
    series
}

/// The cell of the rule alone that one with Lookahead is compared with: that of its learning rate.
pub fn alone<'a>(cells: &'a [Cell], cell: &Cell) -> Option<&'a Cell> {
    let is_it = |other: &&Cell| {
        other.settings.lookahead.is_none() && other.settings.learning_rate == cell.settings.learning_rate
    };
    cell.settings.lookahead.and_then(|_| cells.iter().find(is_it))
}

/// The cell of the lowest median loss.
pub fn best<'a>(cells: &[&'a Cell]) -> Option<&'a Cell> {
    cells.iter().copied().min_by(|one, other| one.test_loss().median.total_cmp(&other.test_loss().median))
}

/// What a series is called, along an axis: k and alpha only where there are several.
pub fn label(cell: &Cell, axis: Axis, is_one_of_many: bool) -> String {
    let name = cell.settings.name();
    match cell.series(axis).filter(|_| is_one_of_many) {
        None | Some((None, None)) => name,
        Some((Some(k), None)) => format!("{name}, k = {k}"),
        Some((None, Some(alpha))) => format!("{name}, alpha = {alpha}"),
        Some((Some(k), Some(alpha))) => format!("{name}, k = {k}, alpha = {alpha}"),
    }
}
