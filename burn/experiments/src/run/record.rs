//! What came of a run.

use lookahead_wgpu::Schedule;
use serde::{Deserialize, Serialize};

use super::finite;
use super::method::Method;

/// What is trained, how, and how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The preset's name.
    pub preset: String,
    /// The optimizer.
    pub method: Method,
    /// What becomes of the learning rate.
    pub pace: Pace,
    /// How often the data are gone through.
    pub epochs: u32,
    /// Of weights, of the batches' order, of dropout.
    pub seed: u64,
    /// After which epoch the inner loop is looked into, if at all.
    pub probe: Option<u32>,
}

/// What becomes of the learning rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// Nothing.
    Constant,
    /// It is divided by `by` after each of these epochs.
    Divided {
        /// The epochs.
        after: Vec<u32>,
        /// The divisor.
        by: u32,
    },
    /// It is multiplied by `width^-0.5 min(n^-0.5, n steps^-1.5)` in the n-th step (Vaswani et al., 2017).
    Warmup {
        /// The model's width.
        width: u32,
        /// Steps of the warm-up.
        steps: u64,
    },
}

impl Pace {
    /// The optimizer's schedule, with so many steps an epoch.
    pub fn schedule(&self, epoch_steps: u64) -> Schedule {
        match self {
            Self::Constant => Schedule::constant(),
            Self::Divided { after, by } => {
                let factor = f64::from(*by).recip();
                Schedule::steps(after.iter().map(|&epoch| (u64::from(epoch) * epoch_steps, factor)))
            }
            Self::Warmup { width, steps } => Schedule::transformer(*width, *steps),
        }
    }
}

/// A run that is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What was run.
    pub run: Run,
    /// Inner steps of an epoch.
    pub epoch_steps: u64,
    /// After each epoch, to the one in which the loss was no number any more.
    pub history: Vec<Point>,
    /// On what was held out, after the last epoch.
    pub test: Scores,
    /// What a look into the inner loop showed.
    pub probe: Option<Probe>,
    /// What it ran on.
    pub device: String,
    /// Seconds that training and evaluation took.
    pub seconds: f64,
}

/// After an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// How many epochs are over.
    pub epoch: u32,
    /// The learning rate of the epoch's last step.
    pub rate: f64,
    /// The mean of the loss over the epoch's batches.
    #[serde(with = "finite")]
    pub train_loss: f64,
    /// On what settings are chosen by: of the average of the weights where there is one, of the slow weights with
    /// Lookahead.
    pub valid: Scores,
    /// Whether an average of the weights is what was evaluated.
    pub is_average: bool,
    /// Seconds that training and evaluation took so far.
    pub seconds: f64,
}

/// How good a model is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// The mean loss: nats an image, or a word.
    #[serde(with = "finite")]
    pub loss: f64,
    /// What the preset measures: accuracy in %, BLEU; none where it measures nothing but the loss, or not here.
    pub score: Option<f64>,
}

impl Scores {
    /// Perplexity, where the loss is of words.
    pub fn perplexity(self) -> f64 {
        self.loss.exp()
    }
}

/// A look into the inner loop, after an epoch, on the data that settings are chosen by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// After which epoch.
    pub epoch: u32,
    /// Step after step, of a few cycles.
    pub steps: Vec<Inside>,
    /// The plane through the first, the middle and the last fast weights of the first of these cycles.
    pub plane: Plane,
}

/// Weights within the inner loop.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Inside {
    /// Inner steps from the look's start.
    pub step: u32,
    /// Whether these are the slow weights, after the sync that came with this step; else the fast ones before it.
    pub is_slow: bool,
    /// How good they are.
    pub scores: Scores,
}

/// Scores on a plane in the space of weights, and paths on it. Coordinates are in distances from the first to the last
/// fast weights: the first axis goes from the first to the last, the second is at right angles to it, in the direction
/// of the middle ones, and as long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plane {
    /// Coordinates of the columns.
    pub x: Vec<f64>,
    /// Coordinates of the rows.
    pub y: Vec<f64>,
    /// Row after row.
    pub scores: Vec<Vec<Scores>>,
    /// The fast weights of the cycle, from where it starts on, projected.
    pub fast: Vec<[f64; 2]>,
    /// The slow weights before and after the cycle's sync, projected.
    pub slow: Vec<[f64; 2]>,
}
