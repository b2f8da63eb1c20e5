//! What came of a run.

use serde::{Deserialize, Serialize};

use super::method::Method;

/// What is trained, how, and how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The preset's name.
    pub preset: String,
    /// The optimizer.
    pub method: Method,
    /// How often the data are gone through.
    pub epochs: u32,
    /// Of weights, of the batches' order, of dropout.
    pub seed: u64,
    /// After which epoch the inner loop is looked into, if at all.
    pub probe: Option<u32>,
}

/// A run that is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What was run.
    pub run: Run,
    /// Inner steps of an epoch.
    pub epoch_steps: u64,
    /// After each epoch.
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
