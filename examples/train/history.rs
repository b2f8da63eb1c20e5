//! What training a network came to.

use lookahead_wgpu::Memory;
use serde::{Deserialize, Deserializer, Serialize};

/// One training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The optimizer, as in `lookahead(adam)`.
    pub name: String,
    /// The inner rule.
    pub rule: String,
    /// How Lookahead was set, or `None` for the rule alone.
    pub lookahead: Option<Setting>,
    /// The mean loss of each batch.
    #[serde(deserialize_with = "numbers_or_nan")]
    pub losses: Vec<f64>,
    /// The accuracy as it changed.
    pub samples: Vec<Sample>,
    /// The adaptive alphas as they changed.
    pub alphas: Vec<Alphas>,
    /// A summary of every epoch.
    pub epochs: Vec<Epoch>,
    /// What the optimizer's buffers take on the device.
    #[serde(skip)]
    pub memory: Memory,
    /// What a guard came to, where there is one.
    #[serde(skip)]
    pub guard: Option<Guarded>,
}

/// The hyperparameters of Lookahead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// Inner steps of a cycle.
    pub k: u32,
    /// Slow step size.
    pub alpha: f64,
    /// What happens to the rule's state at a sync.
    pub policy: String,
}

/// Test accuracy at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Batches so far.
    pub step: u32,
    /// The share of test images that the fast weights classify rightly.
    pub fast: f64,
    /// The same for the slow weights, where there are some.
    pub slow: Option<f64>,
    /// The same for their average, where one is kept.
    pub average: Option<f64>,
}

/// The adaptive alphas of one sync.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alphas {
    /// Batches so far.
    pub step: u32,
    /// One for the network, each group or each tensor.
    pub values: Vec<f64>,
}

/// What a guard came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Guarded {
    /// Steps that were skipped.
    pub skipped: u64,
    /// The loss scale at the end.
    pub loss_scale: f32,
}

/// What an epoch came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Its number, from 1.
    pub epoch: u32,
    /// The mean loss over its batches, each at the weights of its step.
    #[serde(deserialize_with = "number_or_nan")]
    pub train_loss: f64,
    /// The mean loss over the test images: at the slow weights, or those of the rule alone.
    #[serde(deserialize_with = "number_or_nan")]
    pub test_loss: f64,
    /// The share of test images that the fast weights classify rightly.
    pub fast_accuracy: f64,
    /// The same for the slow weights, where there are some.
    pub slow_accuracy: Option<f64>,
    /// The same for their average, where one is kept.
    pub average_accuracy: Option<f64>,
    /// Time since the run began, evaluation included.
    pub seconds: f64,
}

impl Epoch {
    /// The accuracy that counts: of the slow weights, or those of the rule alone.
    pub fn accuracy(&self) -> f64 {
        self.slow_accuracy.unwrap_or(self.fast_accuracy)
    }
}

impl Alphas {
    /// Their mean.
    pub fn mean(&self) -> f64 {
        self.values.iter().sum::<f64>() / self.values.len() as f64
    }
}

impl History {
    /// The last adaptive alphas up to the end of an epoch.
    pub fn alphas_of(&self, epoch: &Epoch) -> Option<&[f64]> {
        let batches = self.losses.len() * epoch.epoch as usize / self.epochs.len().max(1);
        let earlier = self.alphas.iter().rev().find(|alphas| alphas.step as usize <= batches);
        earlier.map(|alphas| alphas.values.as_slice())
    }

    /// Forgets what came after so many batches.
    pub fn truncate(&mut self, batches: u32, batches_each_epoch: u32) {
        self.losses.truncate(batches as usize);
        self.samples.retain(|sample| sample.step <= batches);
        self.alphas.retain(|alphas| alphas.step <= batches);
        self.epochs.truncate((batches / batches_each_epoch) as usize);
    }
}

/// JSON has no number for what is not finite.
fn number_or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

fn numbers_or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let numbers = Vec::<Option<f64>>::deserialize(deserializer)?;
    Ok(numbers.into_iter().map(|number| number.unwrap_or(f64::NAN)).collect())
}
