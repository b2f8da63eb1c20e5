//! Lion, as `optax.lion`.

use serde::{Deserialize, Serialize};

use super::{
    adam::check_betas,
    entry::{Entry, Kind, Listed},
    rule::{Rule, Slot, Step, WeightDecay, check_learning_rate},
};
use crate::error::Error;

/// Lion (Chen et al., 2023) as `optax.lion`, with decoupled weight decay:
///
/// ```text
/// w <- w - lr weight_decay w
/// w <- w - lr sign(beta1 m + (1 - beta1) g)
/// m <- beta2 m + (1 - beta2) g
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Lion {
    /// Learning rate, at least 0: how far every weight moves.
    pub lr: f64,
    /// What the moment weighs in the direction, and its decay, each in [0, 1).
    pub betas: (f64, f64),
    /// Decoupled weight decay, at least 0.
    pub weight_decay: f64,
}

impl Lion {
    /// optax's defaults: betas (0.9, 0.99), weight decay 0.001.
    pub fn new(lr: f64) -> Self {
        Self { lr, betas: (0.9, 0.99), weight_decay: 1e-3 }
    }

    /// With the moment weighing `beta1` in the direction, and decaying by `beta2`.
    pub fn betas(self, beta1: f64, beta2: f64) -> Self {
        Self { betas: (beta1, beta2), ..self }
    }

    /// With this decoupled weight decay.
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }
}

impl Default for Lion {
    /// The authors': lr 0.0001.
    fn default() -> Self {
        Self::new(1e-4)
    }
}

impl Listed for Lion {
    const ENTRY: Entry = Entry {
        name: "lion",
        title: "Lion",
        kinds: &[Kind::new("lion", "Lion", 0.002, |lr| Box::new(Self::new(lr)))],
        asks_count: false,
    };
}

impl Rule for Lion {
    fn name(&self) -> &str {
        "lion"
    }

    fn wgsl(&self) -> &str {
        include_str!("../../shaders/rules/lion.wgsl")
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zero("exp_avg")]
    }

    fn learning_rate(&self) -> f64 {
        self.lr
    }

    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::Decoupled(self.weight_decay)
    }

    fn hyperparameters(&self) -> Vec<(&'static str, f64)> {
        vec![("beta1", self.betas.0), ("beta2", self.betas.1)]
    }

    fn with_hyperparameters(&self, value: &dyn Fn(&str) -> Option<f64>) -> Option<Box<dyn Rule>> {
        Some(Box::new(Self { betas: (value("beta1")?, value("beta2")?), ..self.clone() }))
    }

    fn hyper(&self, _count: u64, out: &mut Vec<f32>) {
        let (beta1, beta2) = self.betas;
        out.extend([beta1, 1.0 - beta1, beta2, 1.0 - beta2].map(|value| value as f32));
    }

    fn update(&self, step: &Step, weight: f64, gradient: f64, state: &mut [f64]) -> f64 {
        let (beta1, beta2) = self.betas;
        let direction = beta1 * state[0] + (1.0 - beta1) * gradient;
        state[0] = beta2 * state[0] + (1.0 - beta2) * gradient;
        // The sign of 0 is 0, which `signum` has as 1.
        let sign = if direction == 0.0 { 0.0 } else { direction.signum() };
        weight - step.learning_rate * sign
    }

    fn check(&self) -> Result<(), Error> {
        check_learning_rate(self.lr)?;
        check_betas(self.betas)
    }
}
