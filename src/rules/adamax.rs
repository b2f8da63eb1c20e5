//! Adamax, as `torch.optim.Adamax`.

use serde::{Deserialize, Serialize};

use super::{
    adam::{bias_corrections, check_betas, check_eps},
    entry::{Entry, Kind, Listed},
    rule::{Rule, Slot, Step, WeightDecay, check_learning_rate, maximum},
};
use crate::error::Error;

/// Adamax (Kingma and Ba, 2015) as `torch.optim.Adamax`, with L2 weight decay:
///
/// ```text
/// g <- g + weight_decay w
/// m <- beta1 m + (1 - beta1) g;   u <- max(beta2 u, |g| + eps)
/// w <- w - lr m / (1 - beta1^t) / u
/// ```
///
/// `u` is a maximum and no mean, so that [`Rule::second_moment`] is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Adamax {
    /// Learning rate, at least 0.
    pub lr: f64,
    /// Decay of the first moment and of the infinity norm, each in [0, 1).
    pub betas: (f64, f64),
    /// Added to each gradient's size, at least 0.
    pub eps: f64,
    /// L2 weight decay, at least 0.
    pub weight_decay: f64,
}

impl Adamax {
    /// PyTorch's defaults: betas (0.9, 0.999), eps 1e-8, no weight decay.
    pub fn new(lr: f64) -> Self {
        Self { lr, betas: (0.9, 0.999), eps: 1e-8, weight_decay: 0.0 }
    }

    /// With these decays of the first moment and of the infinity norm.
    pub fn betas(self, beta1: f64, beta2: f64) -> Self {
        Self { betas: (beta1, beta2), ..self }
    }

    /// With this eps.
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// With this L2 weight decay.
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }
}

impl Default for Adamax {
    /// PyTorch's: lr 0.002.
    fn default() -> Self {
        Self::new(2e-3)
    }
}

impl Listed for Adamax {
    const ENTRY: Entry = Entry {
        name: "adamax",
        title: "AdaMax",
        kinds: &[Kind::new("adamax", "Adam with the infinity norm", 0.02, |lr| Box::new(Self::new(lr)))],
        asks_count: true,
    };
}

impl Rule for Adamax {
    fn name(&self) -> &str {
        "adamax"
    }

    fn wgsl(&self) -> &str {
        include_str!("../../shaders/rules/adamax.wgsl")
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zero("exp_avg"), Slot::zero("exp_inf")]
    }

    fn learning_rate(&self) -> f64 {
        self.lr
    }

    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::L2(self.weight_decay)
    }

    fn hyperparameters(&self) -> Vec<(&'static str, f64)> {
        vec![("beta1", self.betas.0), ("beta2", self.betas.1), ("eps", self.eps)]
    }

    fn with_hyperparameters(&self, value: &dyn Fn(&str) -> Option<f64>) -> Option<Box<dyn Rule>> {
        Some(Box::new(Self { betas: (value("beta1")?, value("beta2")?), eps: value("eps")?, ..self.clone() }))
    }

    fn hyper(&self, count: u64, out: &mut Vec<f32>) {
        let (bias1, _) = bias_corrections(self.betas, count);
        let (beta1, beta2) = self.betas;
        out.extend([bias1.recip(), beta1, 1.0 - beta1, beta2, self.eps].map(|value| value as f32));
    }

    fn update(&self, step: &Step, weight: f64, gradient: f64, state: &mut [f64]) -> f64 {
        let (bias1, _) = bias_corrections(self.betas, step.count);
        let (beta1, beta2) = self.betas;
        state[0] = beta1 * state[0] + (1.0 - beta1) * gradient;
        state[1] = maximum(beta2 * state[1], gradient.abs() + self.eps);
        weight - step.learning_rate * state[0] / bias1 / state[1]
    }

    fn check(&self) -> Result<(), Error> {
        check_learning_rate(self.lr)?;
        check_betas(self.betas)?;
        check_eps(self.eps)
    }
}
