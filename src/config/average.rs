//! Averages of the weights, which training never reads.
//!
//! | average | formula after step t, from 0 | as |
//! |---|---|---|
//! | [`Average::Ema`] | `mean <- decay mean + (1 - decay) w` | `torch.optim.swa_utils.get_ema_multi_avg_fn` |
//! | [`Average::Polyak`] | the mean of w after steps from, from + 1, ... | Polyak-Ruppert; `torch.optim.ASGD` with `t0 = from - 1` |
//! | [`Average::Swa`] | the mean of w after steps from, from + every, ... | SWA (Izmailov et al., 2018) |
//!
//! With or without Lookahead. The average is one more buffer of the weights' size, and is written by the step itself,
//! after the sync where there is one (8 bytes a parameter more in a step that averages). Until it begins it is a copy
//! of the weights. Its values are bound as [`Optimizer::average`](crate::Optimizer::average), or evaluated in the
//! weights' own place, as slow weights are:
//!
//! ```
//! # fn main() -> Result<(), lookahead_wgpu::Error> {
//! use lookahead_wgpu::{Average, Field, Lookahead, Optimizer, gpu::Gpu, rules::Adam};
//! # let gpu = Gpu::open_blocking(None)?;
//! let mut optimizer = Optimizer::builder(Adam::default())
//!     .lookahead(Lookahead::default())
//!     .average(Average::Polyak { from: 1000 })
//!     .tensor("w", &[64])
//!     .build_blocking(&gpu.device, &gpu.queue)?;
//! let mut encoder = gpu.device.create_command_encoder(&Default::default());
//! optimizer.swap_average(&mut encoder)?; // the weights' buffers hold the average
//! // ... record the evaluation ...
//! optimizer.swap_average(&mut encoder)?; // and the weights again, to the last bit
//! gpu.queue.submit([encoder.finish()]);
//! let mean = optimizer.download_blocking(Field::Average, "w")?;
//! # Ok(())
//! # }
//! ```
//!
//! Steps that a guard skips do not count. Steps are counted from 0, or from the last
//! [`init_synced`](crate::Optimizer::init_synced), which begins the average anew: call it after weights were loaded in mid-training,
//! or the average remembers the old ones. Of a frozen group the average goes on, towards the weights as they stay.
//!
//! # An average whose beginning is not known beforehand
//!
//! [`begin_average`](crate::Optimizer::begin_average) begins the average anew, and leaves all else as it is: the next step
//! is its step 0, from which `from` and `every` are counted, and until then it is a copy of the weights. When that is to be
//! may be found from the losses, as NT-ASGD does: [`NonMonotone`] is its trigger. What averages over steps 0 to the trigger
//! is forgotten then; [`with_slow`](crate::Optimizer::with_slow) or the weights themselves are evaluated before.

mod non_monotone;

pub use non_monotone::NonMonotone;
use serde::{Deserialize, Serialize};

use crate::{
    config::form::bare,
    error::{Error, check_hyperparameter},
};

/// An average of the weights after each step (after the sync, where a step ends a cycle), kept in one more
/// buffer and never written back. Until it begins it is a copy of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Average {
    /// Exponential moving average: `mean <- decay mean + (1 - decay) w`, begun as a copy of the weights after the
    /// first step (`torch.optim.swa_utils.get_ema_multi_avg_fn`).
    #[serde(with = "bare")]
    Ema {
        /// How much of the mean stays at each step, in [0, 1).
        decay: f64,
    },
    /// Polyak-Ruppert: the mean of the weights after every step from step `from` on, counted from 0
    /// (`torch.optim.ASGD` with `t0 = from - 1`, `lambd = 0` and `alpha = 0`).
    Polyak {
        /// The first step whose weights count.
        #[serde(default)]
        from: u64,
    },
    /// Stochastic weight averaging (Izmailov et al., 2018): the mean of the weights after steps `from`,
    /// `from + every`, `from + 2 every`, ..., counted from 0. With `from = k - 1` and `every = k` it is the mean
    /// of the slow weights.
    Swa {
        /// Steps from one that counts to the next, at least 1.
        every: u64,
        /// The first step whose weights count.
        #[serde(default)]
        from: u64,
    },
}

impl Average {
    /// What the weights after this step, counted from 0, weigh in the mean; none where the step leaves it alone.
    pub fn weight(&self, step: u64) -> Option<f64> {
        let mean_of = |count: u64| (count as f64).recip();
        match *self {
            Self::Ema { .. } if step == 0 => Some(1.0),
            Self::Ema { decay } => Some(1.0 - decay),
            Self::Polyak { from } => Some(mean_of(step.saturating_sub(from) + 1)),
            Self::Swa { from, .. } if step < from => Some(1.0),
            Self::Swa { every, from } => {
                let every = every.max(1);
                (step - from).is_multiple_of(every).then(|| mean_of((step - from) / every + 1))
            }
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        match *self {
            Self::Ema { decay } => check_hyperparameter(
                "the average's decay",
                decay,
                |decay| (0.0..1.0).contains(&decay),
                "in [0, 1)",
            ),
            Self::Polyak { .. } => Ok(()),
            Self::Swa { every, .. } => {
                check_hyperparameter("the average's period", every as f64, |every| every >= 1.0, "at least 1")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weights_of_a_mean() {
        let weights = |average: Average| (0..6).map(|step| average.weight(step)).collect::<Vec<_>>();
        let some = |values: [f64; 6]| values.map(Some).to_vec();
        let rest = 1.0 - 0.9;
        assert_eq!(weights(Average::Ema { decay: 0.9 }), some([1.0, rest, rest, rest, rest, rest]));
        assert_eq!(weights(Average::Polyak { from: 3 }), some([1.0, 1.0, 1.0, 1.0, 0.5, 1.0 / 3.0]));
        let swa = weights(Average::Swa { every: 2, from: 1 });
        assert_eq!(swa, [Some(1.0), Some(1.0), None, Some(0.5), None, Some(1.0 / 3.0)]);
    }
}
