//! Safe steps: a step whose gradient is not finite is skipped, and the GPU decides.
//!
//! A single infinite or NaN gradient ruins weights, state and slow weights for good. With a [`Guard`] each step first
//! looks at the gradients (the sum of the micro-batches, where there are several): if a value of a group that is not
//! frozen is not finite, the step changes **no bit** of weights, state, slow weights, averages, step count or position
//! in the cycle, and the learning-rate schedule does not advance. The run is bit-equal to one in which that step
//! never was. Nothing is read back for it, and a thousand steps in one encoder decide a thousand times.
//!
//! ```
//! # fn main() -> Result<(), lookahead_wgpu::Error> {
//! use lookahead_wgpu::{Guard, Half, Lookahead, LossScale, Optimizer, gpu::Gpu, rules::Adam};
//! # let gpu = Gpu::open_blocking(None)?;
//! let optimizer = Optimizer::builder(Adam::default())
//!     .lookahead(Lookahead::default())
//!     .half_gradients(Half::F16)
//!     .guard(Guard::loss_scale(LossScale::default()))
//!     .tensor("w", &[64])
//!     .build_blocking(&gpu.device, &gpu.queue)?;
//! let scale = optimizer.loss_scale(); // one f32 to bind: multiply the loss, or its gradient, with it
//! // ... steps ...
//! let counters = optimizer.counters_blocking()?; // whenever you want to know
//! println!("{} steps taken, {} skipped, loss scale {}", counters.steps, counters.skipped, counters.loss_scale);
//! # Ok(())
//! # }
//! ```
//!
//! **Loss scaling** ([`LossScale`], as `torch.amp.GradScaler`) keeps small half-width gradients from vanishing: the loss
//! is multiplied by a scale, the optimizer divides the gradient by it (so that clipping, decay and rules see the true
//! one), a step that overflows is skipped and lowers the scale, a row of steps that do not raises it.
//!
//! **What passes**: the guard looks at the gradient. A finite one may still make weights or state that are not finite:
//! Adam with `eps = 0` divides 0 by 0 where a gradient is 0, a gradient of 1e20 has a square beyond f32, and so may a large
//! learning rate have its product. [`Guard::check_updates`] skips such a step, too: the rule is run first without
//! anything being stored, and what it gives, weights and state, is looked at. The loss scale is left alone then. Rules that
//! move what they keep before the update (LAMB, AdaFactor) cannot be tried: building with them is
//! [`Error::Rule`]. Syncs are not tried: they interpolate between what has been. Weights that are not finite
//! already, uploaded so, make every step one to be skipped.
//!
//! **What it costs**: one more reading of the gradient, and one small dispatch for each group. Where a gradient norm is
//! taken for clipping, the same pass tells both. With `check_updates` one more reading of weights, gradient and state,
//! and the rule's arithmetic, twice in all; [`Optimizer::traffic`](crate::Optimizer::traffic) counts the bytes.
//! `cargo bench` has the figures of both: on a CPU (lavapipe) 1.6 and 2.4 times the time of Lookahead(Adam), for 1.14 and
//! 1.68 times its bytes.
//!
//! **Limits**: it is the scaled gradient that is looked at, as by PyTorch's scaler: where a loss scale below 1 makes a true
//! gradient of it that f32 does not hold, the step is taken (`check_updates` sees it). What only the GPU knows cannot be asked of the host: [`Optimizer::step_count`] and
//! [`Optimizer::position`] are errors, [`Optimizer::counters`] tells. `set_k` and `set_alpha` take effect at the next
//! cycle, whenever that is; all other settings at the next step, however many were skipped. Tables hold what a step needs that is late by up to 4096 skipped ones; after so many no
//! more are taken, until the state is exported and imported.
//!
//! [`Optimizer::step_count`]: crate::Optimizer::step_count
//! [`Optimizer::position`]: crate::Optimizer::position
//! [`Optimizer::counters`]: crate::Optimizer::counters

use serde::{Deserialize, Serialize};

use crate::{
    config::form::switch,
    error::{Error, check_hyperparameter},
};

/// Skips steps whose gradient has a value that is not finite (and with [`check_updates`](Self::check_updates) those
/// whose update has one): no bit of weights, state, slow weights, step count
/// or position in the cycle changes, and the learning-rate schedule does not advance. The GPU decides, without
/// a readback; [`Optimizer::counters`](crate::Optimizer::counters) tells how many were skipped.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Guard {
    /// Dynamic loss scaling, for half-width gradients.
    #[serde(deserialize_with = "switch")]
    pub loss_scale: Option<LossScale>,
    /// Every update is tried first, and a step is skipped, too, whose weights or state would not be finite.
    #[serde(rename = "check_updates")]
    pub checks_updates: bool,
}

impl Guard {
    /// With dynamic loss scaling.
    pub fn loss_scale(loss_scale: LossScale) -> Self {
        Self { loss_scale: Some(loss_scale), ..Self::default() }
    }

    /// Tries every update first, and skips a step, too, whose weights or state would not be finite: what the
    /// rule makes of a finite gradient may overflow, or have no value. [The module's page](crate::guard) has its cost.
    pub fn check_updates(self) -> Self {
        Self { checks_updates: true, ..self }
    }

    /// The loss scale; without one it stays at 1.
    pub(crate) fn scale(&self) -> LossScale {
        let none = LossScale { initial: 1.0, growth: 1.0, backoff: 1.0, interval: u32::MAX };
        self.loss_scale.unwrap_or(none)
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        self.loss_scale.map_or(Ok(()), |scale| scale.check())
    }
}

/// Dynamic loss scaling, as `torch.amp.GradScaler`: the loss is multiplied by a scale (by the caller's kernels,
/// which read it from [`Optimizer::loss_scale`](crate::Optimizer::loss_scale)), gradients are divided by it, a
/// step that is not finite is skipped and lowers it, and steps that are finite raise it now and then.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LossScale {
    /// The scale at the start.
    pub initial: f64,
    /// What multiplies it after `interval` steps in a row that were finite; at least 1.
    pub growth: f64,
    /// What multiplies it after a step that was not; in (0, 1].
    pub backoff: f64,
    /// How many finite steps in a row raise it.
    pub interval: u32,
}

impl Default for LossScale {
    /// PyTorch's: 65536, doubled after 2000 steps, halved at a skipped one.
    fn default() -> Self {
        Self { initial: 65536.0, growth: 2.0, backoff: 0.5, interval: 2000 }
    }
}

impl LossScale {
    /// With this scale at the start.
    pub fn initial(self, initial: f64) -> Self {
        Self { initial, ..self }
    }

    /// With this factor after a row of finite steps.
    pub fn growth(self, growth: f64) -> Self {
        Self { growth, ..self }
    }

    /// With this factor after a step that was not finite.
    pub fn backoff(self, backoff: f64) -> Self {
        Self { backoff, ..self }
    }

    /// With so many finite steps in a row that raise it.
    pub fn interval(self, interval: u32) -> Self {
        Self { interval, ..self }
    }

    fn check(&self) -> Result<(), Error> {
        let in_range = (1e-30..=1e30).contains(&self.initial);
        check_hyperparameter("initial loss scale", self.initial, |_| in_range, "in [1e-30, 1e30]")?;
        let growth = (1.0..=1e6).contains(&self.growth);
        check_hyperparameter("loss scale growth", self.growth, |_| growth, "in [1, 1e6]")?;
        let backoff = (1e-6..=1.0).contains(&self.backoff);
        check_hyperparameter("loss scale backoff", self.backoff, |_| backoff, "in [1e-6, 1]")?;
        let interval = f64::from(self.interval);
        check_hyperparameter("loss scale interval", interval, |interval| interval >= 1.0, "at least 1")
    }
}
