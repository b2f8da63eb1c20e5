//! When a step is skipped, and dynamic loss scaling.

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
