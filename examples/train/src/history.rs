//! What training a network came to.

use lookahead_wgpu::{Memory, Snapshot};
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
    /// Batches of an epoch.
    #[serde(skip)]
    pub batches: u32,
    /// What the optimizer's buffers take on the device.
    #[serde(skip)]
    pub memory: Memory,
    /// What a guard came to, where there is one.
    #[serde(skip)]
    pub guard: Option<Guarded>,
    /// Steps that were taken.
    #[serde(skip)]
    pub steps: u64,
    /// How the run diverged and ended, if it did.
    #[serde(skip)]
    pub divergence: Option<Divergence>,
    /// Where the time went, if that was asked for.
    #[cfg(not(target_arch = "wasm32"))]
    #[serde(skip)]
    pub profile: Option<crate::profile::Profile>,
}

/// A run's loss or weights became infinite or no number.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Divergence {
    /// Batches up to where it was noticed.
    pub batch: u64,
    /// What is not finite, in words: `the loss`.
    pub what: String,
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
    pub step: u64,
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
    pub step: u64,
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
    pub epoch: u64,
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
    /// Time since the run began, up to the epoch's end, evaluation included.
    pub seconds: f64,
}

impl Epoch {
    /// The accuracy that counts: of the slow weights, or those of the rule alone.
    pub fn accuracy(&self) -> f64 {
        self.slow_accuracy.unwrap_or(self.fast_accuracy)
    }
}

impl Divergence {
    /// The first loss that is not finite, of those after so many batches.
    pub fn of_losses(losses: &[f64], first: usize) -> Option<Self> {
        let new = losses.iter().enumerate().skip(first);
        let (index, loss) = new.into_iter().find(|(_, loss)| !loss.is_finite())?;
        Some(Self { batch: index as u64 + 1, what: format!("the batch's loss is {loss}") })
    }

    /// What is not finite of all that a run would go on from after so many batches: losses at its weights as they
    /// are, and the weights and the state themselves, since a ReLU may make a zero of what is no number. A sum over
    /// micro-batches may be infinite: a guard skips the step that it ends in.
    pub fn of_state(snapshot: &Snapshot, losses: &[f64], batch: u64) -> Option<Self> {
        let fields = snapshot.tensors.iter().flat_map(|tensor| {
            let fields = tensor.fields.iter().filter(|(field, _)| field != "accumulated");
            fields.map(move |(field, values)| (&tensor.name, field, values))
        });
        let mut infinite = fields.filter_map(|(tensor, field, values)| {
            let value = values.iter().find(|value| !value.is_finite())?;
            Some(format!("{} of `{tensor}` hold {value}", field.replace('_', " ")))
        });
        let loss = losses.iter().find(|loss| !loss.is_finite());
        let what =
            infinite.next().or_else(|| loss.map(|loss| format!("the loss over test images is {loss}")));
        Some(Self { batch, what: what? })
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
        let end = u64::from(self.batches).saturating_mul(epoch.epoch);
        let earlier = self.alphas.iter().rev().find(|alphas| alphas.step <= end);
        earlier.map(|alphas| alphas.values.as_slice())
    }

    /// Forgets what came after so many batches.
    pub fn truncate(&mut self, batches: u64) {
        let length = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        self.losses.truncate(length(batches));
        self.samples.retain(|sample| sample.step <= batches);
        self.alphas.retain(|alphas| alphas.step <= batches);
        self.epochs.truncate(length(batches / u64::from(self.batches.max(1))));
    }

    /// How long an epoch took by itself, counted from 0.
    pub fn seconds_of(&self, index: usize) -> f64 {
        let before = index.checked_sub(1).and_then(|before| self.epochs.get(before));
        self.epochs.get(index).map_or(0.0, |epoch| epoch.seconds) - before.map_or(0.0, |epoch| epoch.seconds)
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
