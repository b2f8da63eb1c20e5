//! Lookahead's settings: k, alpha, and what becomes of the rule's state at a sync.

use serde::{Deserialize, Serialize};

use crate::error::{Error, check_hyperparameter};

/// Lookahead (Zhang, Lucas, Hinton, Ba, 2019, Algorithm 1) around a rule: after every `k` inner steps
/// the slow weights phi move the fraction `alpha` towards the fast weights theta, which restart there:
///
/// ```text
/// phi <- phi + alpha (theta - phi);   theta <- phi
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Lookahead {
    /// k, the synchronisation period in inner steps; at least 1.
    pub k: u32,
    /// alpha, the slow step size, in (0, 1]; 1 gives the rule alone.
    pub alpha: f64,
    /// What becomes of the rule's state at a sync.
    pub policy: StatePolicy,
}

impl Lookahead {
    /// With this k and alpha, and the state maintained.
    pub fn new(k: u32, alpha: f64) -> Self {
        Self { k, alpha, policy: StatePolicy::Maintain }
    }

    /// With this synchronisation period.
    pub fn k(self, k: u32) -> Self {
        Self { k, ..self }
    }

    /// With this slow step size.
    pub fn alpha(self, alpha: f64) -> Self {
        Self { alpha, ..self }
    }

    /// With this policy for the rule's state.
    pub fn policy(self, policy: StatePolicy) -> Self {
        Self { policy, ..self }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        check_hyperparameter("k", f64::from(self.k), |k| k >= 1.0, "at least 1")?;
        check_alpha("alpha", self.alpha)
    }
}

impl Default for Lookahead {
    /// The paper's defaults: k = 5, alpha = 0.5, the state maintained.
    fn default() -> Self {
        Self::new(5, 0.5)
    }
}

/// Refuses a slow step size with which slow weights would not move: the GPU is told `1 - alpha`, which f32 has as 1
/// where alpha is below 2^-25.
pub(crate) fn check_alpha(name: &str, alpha: f64) -> Result<(), Error> {
    check_hyperparameter(name, alpha, |alpha| alpha > 0.0 && alpha <= 1.0, "in (0, 1]")?;
    check_hyperparameter(name, alpha, |alpha| (1.0 - alpha) as f32 != 1.0, "at least 3e-8")
}

/// What becomes of the rule's state (every slot of it) at a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatePolicy {
    /// It goes on as it is.
    #[default]
    Maintain,
    /// A slow copy of every slot, starting at the slot's initial value, moves towards it by alpha, and
    /// the slot restarts there. The step count goes on.
    Interpolate,
    /// Every slot returns to its initial value, and the step count to 0.
    Reset,
}

impl StatePolicy {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Maintain, Self::Interpolate, Self::Reset];

    /// Whether a slow copy of every slot is kept.
    pub fn keeps_slow_state(self) -> bool {
        matches!(self, Self::Interpolate)
    }

    /// Whether a sync ends what the state has gathered: every slot begins anew, and the step count at 0.
    pub fn resets(self) -> bool {
        matches!(self, Self::Reset)
    }
}
