//! AdaBelief, as `optax.adabelief`.

use serde::{Deserialize, Serialize};

use super::{
    adam::{bias_corrections, check_betas, check_eps},
    entry::{Entry, Kind, Listed},
    rule::{Rule, Slot, Step, WeightDecay, check_learning_rate},
};
use crate::error::{Error, check_hyperparameter};

/// AdaBelief (Zhuang et al., 2020) as `optax.adabelief`, with the authors' decoupled weight decay:
///
/// ```text
/// w <- w - lr weight_decay w
/// m <- beta1 m + (1 - beta1) g;   s <- beta2 s + (1 - beta2) (g - m)^2 + eps_root
/// w <- w - lr m / (1 - beta1^t) / (sqrt(s / (1 - beta2^t)) + eps)
/// ```
///
/// `s` is the variance of the gradient about its mean and not its second moment, so that
/// [`Rule::second_moment`] is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AdaBelief {
    /// Learning rate, at least 0.
    pub lr: f64,
    /// Decay of the first moment and of the variance, each in [0, 1).
    pub betas: (f64, f64),
    /// Added to the denominator, at least 0.
    pub eps: f64,
    /// Added to the variance at every step, at least 0.
    pub eps_root: f64,
    /// Decoupled weight decay, at least 0.
    pub weight_decay: f64,
}

impl AdaBelief {
    /// optax's defaults: betas (0.9, 0.999), eps 1e-16, eps_root 1e-16, no weight decay.
    pub fn new(lr: f64) -> Self {
        Self { lr, betas: (0.9, 0.999), eps: 1e-16, eps_root: 1e-16, weight_decay: 0.0 }
    }

    /// With these decays of the first moment and of the variance.
    pub fn betas(self, beta1: f64, beta2: f64) -> Self {
        Self { betas: (beta1, beta2), ..self }
    }

    /// With this eps.
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// With this eps_root.
    pub fn eps_root(self, eps_root: f64) -> Self {
        Self { eps_root, ..self }
    }

    /// With this decoupled weight decay.
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }
}

impl Default for AdaBelief {
    /// The authors': lr 0.001.
    fn default() -> Self {
        Self::new(1e-3)
    }
}

impl Listed for AdaBelief {
    const ENTRY: Entry = Entry {
        name: "adabelief",
        title: "AdaBelief",
        kinds: &[Kind::new("adabelief", "AdaBelief", 0.01, |lr| Box::new(Self::new(lr)))],
        asks_count: true,
    };
}

impl Rule for AdaBelief {
    fn name(&self) -> &str {
        "adabelief"
    }

    fn wgsl(&self) -> &str {
        include_str!("../../shaders/rules/adabelief.wgsl")
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zero("exp_avg"), Slot::zero("exp_avg_var")]
    }

    fn learning_rate(&self) -> f64 {
        self.lr
    }

    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::Decoupled(self.weight_decay)
    }

    fn hyperparameters(&self) -> Vec<(&'static str, f64)> {
        let (beta1, beta2) = self.betas;
        vec![("beta1", beta1), ("beta2", beta2), ("eps", self.eps), ("eps_root", self.eps_root)]
    }

    fn with_hyperparameters(&self, value: &dyn Fn(&str) -> Option<f64>) -> Option<Box<dyn Rule>> {
        let (betas, eps) = ((value("beta1")?, value("beta2")?), value("eps")?);
        Some(Box::new(Self { betas, eps, eps_root: value("eps_root")?, ..self.clone() }))
    }

    fn hyper(&self, count: u64, out: &mut Vec<f32>) {
        let (bias1, bias2) = bias_corrections(self.betas, count);
        let (beta1, beta2) = self.betas;
        let (bias1, bias2) = (bias1.recip(), bias2.sqrt().recip());
        out.extend(
            [bias1, beta1, 1.0 - beta1, beta2, 1.0 - beta2, bias2, self.eps, self.eps_root]
                .map(|value| value as f32),
        );
    }

    fn update(&self, step: &Step, weight: f64, gradient: f64, state: &mut [f64]) -> f64 {
        let (bias1, bias2) = bias_corrections(self.betas, step.count);
        let (beta1, beta2) = self.betas;
        state[0] = beta1 * state[0] + (1.0 - beta1) * gradient;
        let error = gradient - state[0];
        state[1] = beta2 * state[1] + (1.0 - beta2) * error * error + self.eps_root;
        let (m, s) = (state[0] / bias1, state[1] / bias2);
        weight - step.learning_rate * m / (s.sqrt() + self.eps)
    }

    fn check(&self) -> Result<(), Error> {
        check_learning_rate(self.lr)?;
        check_betas(self.betas)?;
        check_eps(self.eps)?;
        check_hyperparameter("eps_root", self.eps_root, |eps| eps >= 0.0, "finite and at least 0")
    }
}
