//! Gradient accumulation: several micro-batches a step.

use serde::{Deserialize, Serialize};

use crate::error::{Error, check_hyperparameter};

/// A step takes the gradients of several micro-batches: the first calls of
/// [`Optimizer::step`](crate::Optimizer::step) only add theirs to a buffer, and the last one takes the inner step.
///
/// Where an epoch ends with fewer, [`Optimizer::flush`](crate::Optimizer::flush) takes the step with those that are
/// there, and [`Optimizer::discard`](crate::Optimizer::discard) forgets them; else the next epoch's are added to them.
/// Micro-batches of different sizes weigh the same here: to weigh them by size, take the [`sum`](Self::sum), and divide
/// each micro-batch's gradient by the number of samples of the whole step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Accumulation {
    /// Calls that make one inner step, at least 1.
    pub micro_batches: u32,
    /// The mean of their gradients is taken, not the sum; of a [flushed](crate::Optimizer::flush) step the mean over
    /// those that were there.
    #[serde(default = "Accumulation::default_mean")]
    pub mean: bool,
}

impl Accumulation {
    fn default_mean() -> bool {
        true
    }

    /// The mean of this many micro-batches' gradients.
    pub fn mean(micro_batches: u32) -> Self {
        Self { micro_batches, mean: true }
    }

    /// The sum of this many micro-batches' gradients.
    pub fn sum(micro_batches: u32) -> Self {
        Self { micro_batches, mean: false }
    }

    pub(crate) fn check(self) -> Result<(), Error> {
        let value = f64::from(self.micro_batches);
        check_hyperparameter("micro-batches", value, |count| count >= 1.0, "at least 1")
    }

    /// What the sum of so many gradients is multiplied with.
    pub(crate) fn gradient_scale(self, micro_batches: u32) -> f64 {
        if self.mean { f64::from(micro_batches).recip() } else { 1.0 }
    }
}
