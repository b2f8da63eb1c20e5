//! What training a network came to.

use serde::Serialize;

/// One training run.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// The optimizer, as in `lookahead(adam)`.
    pub name: String,
    /// The inner rule.
    pub rule: String,
    /// How Lookahead was set, or `None` for the rule alone.
    pub lookahead: Option<Setting>,
    /// The mean loss of each step's batch.
    pub losses: Vec<f64>,
    /// The accuracy as it changed.
    pub samples: Vec<Sample>,
    /// A summary of every epoch.
    pub epochs: Vec<Epoch>,
}

/// The hyperparameters of Lookahead.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setting {
    /// Inner steps of a cycle.
    pub k: u32,
    /// Slow step size.
    pub alpha: f64,
    /// What happens to the rule's state at a sync.
    pub policy: String,
}

/// Test accuracy at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Steps taken so far.
    pub step: u32,
    /// The share of test images that the fast weights classify rightly.
    pub fast: f64,
    /// The same for the slow weights, where there are some.
    pub slow: Option<f64>,
}

/// What an epoch came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Epoch {
    /// Its number, from 1.
    pub epoch: u32,
    /// The mean loss over its batches, each at the weights of its step.
    pub train_loss: f64,
    /// The mean loss over the test images: at the slow weights, or those of the rule alone.
    pub test_loss: f64,
    /// The share of test images that the fast weights classify rightly.
    pub fast_accuracy: f64,
    /// The same for the slow weights, where there are some.
    pub slow_accuracy: Option<f64>,
    /// Time since the run began, evaluation included.
    pub seconds: f64,
}

impl Epoch {
    /// The accuracy that counts: of the slow weights, or those of the rule alone.
    pub fn accuracy(&self) -> f64 {
        self.slow_accuracy.unwrap_or(self.fast_accuracy)
    }
}
