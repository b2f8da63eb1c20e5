//! What is shown of a run.

use serde::{Deserialize, Serialize};

use crate::run::record::{Point, Scores};

/// What is shown of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// The mean loss over an epoch's batches.
    TrainLoss,
    /// The loss on the data that settings are chosen by.
    ValidLoss,
    /// Its exponential.
    ValidPerplexity,
    /// The score on the data that settings are chosen by.
    ValidScore,
}

impl Quantity {
    /// After an epoch, if it was measured.
    pub fn of(self, point: &Point) -> Option<f64> {
        match self {
            Self::TrainLoss => Some(point.train_loss),
            _ => self.of_scores(point.valid),
        }
    }

    /// Of scores, if they have it.
    pub fn of_scores(self, scores: Scores) -> Option<f64> {
        match self {
            Self::TrainLoss => None,
            Self::ValidLoss => Some(scores.loss),
            Self::ValidPerplexity => Some(scores.perplexity()),
            Self::ValidScore => scores.score,
        }
    }

    /// Whether a model is the better the more there is of it.
    pub fn is_gain(self) -> bool {
        self == Self::ValidScore
    }
}

/// A quantity as it is shown: in words, and on which scale.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// Of a run.
    pub quantity: Quantity,
    /// Beside its axis, with the unit: "validation accuracy (%)".
    pub label: String,
    /// Of its axis or its colours.
    pub scale: Scale,
    /// What its axis or its colours show, where it is not found from the values.
    pub range: Option<[f64; 2]>,
}

/// How values are spread on an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Evenly.
    Linear,
    /// Evenly by their logarithms. What is not positive is not shown.
    Log,
}

impl Measure {
    /// On a linear scale.
    pub fn new(quantity: Quantity, label: impl Into<String>) -> Self {
        Self { quantity, label: label.into(), scale: Scale::Linear, range: None }
    }

    /// On a logarithmic scale.
    pub fn log(self) -> Self {
        Self { scale: Scale::Log, ..self }
    }

    /// From one value to another; curves are cut off there.
    pub fn range(self, from: f64, to: f64) -> Self {
        Self { range: Some([from, to]), ..self }
    }
}
