//! Means and spreads over seeds, by method.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::DrawError;
use super::group::{Group, is_diverged};
use super::measure::Quantity;
use super::spread::Spread;
use crate::run::record::Record;

/// A method's results over its runs. Runs that diverged are in none of the spreads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The method.
    pub label: String,
    /// The preset.
    pub preset: String,
    /// Of each run.
    pub epochs: u32,
    /// How many runs there are.
    pub runs: usize,
    /// How many of them ended before their last epoch, or with a loss that is not finite.
    pub diverged: usize,
    /// The loss on what was held out.
    pub test_loss: Option<Spread>,
    /// Its exponential.
    pub test_perplexity: Option<Spread>,
    /// The score on what was held out.
    pub test_score: Option<Spread>,
    /// Each run's least validation loss.
    pub best_loss: Option<Spread>,
    /// Each run's least validation perplexity.
    pub best_perplexity: Option<Spread>,
    /// Each run's greatest validation score.
    pub best_score: Option<Spread>,
}

/// A column of a table, beside the method and the number of its runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Column {
    /// The loss on what was held out.
    TestLoss,
    /// Its exponential.
    TestPerplexity,
    /// Correctly classified images of those held out, in %.
    TestAccuracy,
    /// BLEU on what was held out.
    TestBleu,
    /// The least validation loss.
    BestLoss,
    /// The least validation perplexity.
    BestPerplexity,
    /// The greatest validation score.
    BestScore,
}

impl Column {
    fn title(self) -> &'static str {
        match self {
            Self::TestLoss => "test loss",
            Self::TestPerplexity => "test perplexity",
            Self::TestAccuracy => "test accuracy (%)",
            Self::TestBleu => "test BLEU",
            Self::BestLoss => "best valid. loss",
            Self::BestPerplexity => "best valid. perplexity",
            Self::BestScore => "best valid. score",
        }
    }

    fn of(self, row: &Row) -> Option<Spread> {
        match self {
            Self::TestLoss => row.test_loss,
            Self::TestPerplexity => row.test_perplexity,
            Self::TestAccuracy | Self::TestBleu => row.test_score,
            Self::BestLoss => row.best_loss,
            Self::BestPerplexity => row.best_perplexity,
            Self::BestScore => row.best_score,
        }
    }

    /// Decimal places.
    fn digits(self) -> usize {
        match self {
            Self::TestLoss | Self::BestLoss => 4,
            _ => 2,
        }
    }
}

/// A row for each group.
pub fn rows(groups: &[Group<'_>]) -> Result<Vec<Row>, DrawError> {
    let rows = groups.iter().map(|group| {
        let Some(first) = group.records.first() else { return Err(DrawError::NoRuns(group.label.clone())) };
        let over: Vec<&Record> =
            group.records.iter().copied().filter(|record| !is_diverged(record)).collect();
        let spread = |value: &dyn Fn(&Record) -> Option<f64>| {
            let values = over.iter().map(|record| value(record)).collect::<Option<Vec<_>>>();
            values.and_then(|values| Spread::of(&values))
        };
        Ok(Row {
            label: group.label.clone(),
            preset: first.run.preset.clone(),
            epochs: first.run.epochs,
            runs: group.records.len(),
            diverged: group.records.len() - over.len(),
            test_loss: spread(&|record| Some(record.test.loss)),
            test_perplexity: spread(&|record| Some(record.test.perplexity())),
            test_score: spread(&|record| record.test.score),
            best_loss: spread(&|record| best(record, Quantity::ValidLoss)),
            best_perplexity: spread(&|record| best(record, Quantity::ValidPerplexity)),
            best_score: spread(&|record| best(record, Quantity::ValidScore)),
        })
    });
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    if rows.is_empty() { Err(DrawError::NoRuns("a table".to_owned())) } else { Ok(rows) }
}

fn best(record: &Record, quantity: Quantity) -> Option<f64> {
    let values =
        record.history.iter().filter_map(|point| quantity.of(point)).filter(|value| value.is_finite());
    values.reduce(if quantity.is_gain() { f64::max } else { f64::min })
}

/// As Markdown.
pub fn markdown(rows: &[Row], columns: &[Column]) -> String {
    let mut lines = cells(rows, columns).into_iter().map(|cells| {
        let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} |\n", cells.join(" | "))
    });
    let title = lines.next().unwrap_or_default();
    let rule = format!("|---|---:|{}\n", "---:|".repeat(columns.len()));
    [title, rule].into_iter().chain(lines).collect()
}

/// As text, with lines of this width at most: labels are cut short, and where that is not enough, columns go
/// below each other.
pub fn text(rows: &[Row], columns: &[Column], width: usize) -> String {
    /// Of a label, at least.
    const LABEL: usize = 16;
    let cells = cells(rows, columns);
    let widths: Vec<usize> = (0..columns.len() + 2)
        .map(|column| {
            cells.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    // Blocks of columns that fit beside a short label.
    let mut blocks: Vec<Vec<usize>> = Vec::new();
    let short = widths[0].min(LABEL);
    let mut used = usize::MAX;
    for (column, wide) in widths.iter().enumerate().skip(1) {
        if used.saturating_add(2 + wide) > width {
            blocks.push(Vec::new());
            used = short;
        }
        if let Some(block) = blocks.last_mut() {
            block.push(column);
            used += 2 + wide;
        }
    }
    let blocks = blocks.iter().map(|block| {
        let others: usize = block.iter().map(|&column| widths[column] + 2).sum();
        let label = widths[0].min(width.saturating_sub(others).max(short));
        let lines = cells.iter().map(|row| {
            let mut line = format!("{:<label$}", shorten(&row[0], label));
            for &column in block {
                line.push_str(&format!("  {:>width$}", row[column], width = widths[column]));
            }
            line.trim_end().to_owned() + "\n"
        });
        lines.collect::<String>()
    });
    blocks.collect::<Vec<_>>().join("\n")
}

fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// The title, and a row each.
fn cells(rows: &[Row], columns: &[Column]) -> Vec<Vec<String>> {
    let titles = ["method", "runs"].into_iter().chain(columns.iter().map(|column| column.title()));
    let titles: Vec<String> = titles.map(str::to_owned).collect();
    let rows = rows.iter().map(|row| {
        let runs = match row.diverged {
            0 => row.runs.to_string(),
            diverged => format!("{}, {diverged} diverged", row.runs),
        };
        let spreads = columns.iter().map(|column| match column.of(row) {
            None => "-".to_owned(),
            Some(Spread { mean, deviation, .. }) => {
                let digits = column.digits();
                let spread =
                    deviation.map(|deviation| format!(" ± {deviation:.digits$}")).unwrap_or_default();
                format!("{mean:.digits$}{spread}")
            }
        });
        [row.label.clone(), runs].into_iter().chain(spreads).collect()
    });
    [titles].into_iter().chain(rows).collect()
}

/// When a method gets somewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reach {
    /// The method.
    pub label: String,
    /// The first epoch after which the mean over seeds is at the level or better; none if there is none.
    pub epoch: Option<u32>,
    /// Of each run.
    pub epochs: u32,
}

/// The first epochs after which the means over seeds are at a level or better.
pub fn epochs_to_reach(
    groups: &[Group<'_>],
    quantity: Quantity,
    level: f64,
) -> Result<Vec<Reach>, DrawError> {
    if groups.is_empty() {
        return Err(DrawError::NoRuns("epochs to reach a level".to_owned()));
    }
    let reach = |group: &Group<'_>| {
        let first = group.records.first().ok_or_else(|| DrawError::NoRuns(group.label.clone()))?;
        let is_there = |mean: f64| if quantity.is_gain() { mean >= level } else { mean <= level };
        let curve = group.by_epoch(quantity);
        let epoch = curve.iter().find(|(_, spread)| is_there(spread.mean)).map(|&(epoch, _)| epoch);
        Ok(Reach { label: group.label.clone(), epoch, epochs: first.run.epochs })
    };
    groups.iter().map(reach).collect()
}

/// "12 of 90 epochs", "not in 90 epochs".
impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.epoch {
            Some(epoch) => write!(f, "{}: {epoch} of {} epochs", self.label, self.epochs),
            None => write!(f, "{}: not in {} epochs", self.label, self.epochs),
        }
    }
}
