//! LAMB, as `optax.lamb`.

use serde::{Deserialize, Serialize};

use super::{
    adam::{bias_corrections, check_betas, check_eps},
    entry::{Entry, Kind, Listed},
    rule::{Rule, SecondMoment, Slot, Step, Trust, WeightDecay, check_learning_rate},
};
use crate::error::Error;

/// LAMB (You et al., 2020) as `optax.lamb`, with weight decay in the direction and a trust ratio for each
/// tensor:
///
/// ```text
/// m <- beta1 m + (1 - beta1) g;   v <- beta2 v + (1 - beta2) g^2
/// u  = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay w
/// trust = ||w|| / ||u||                                (1 where a norm is 0)
/// w <- w - lr trust u
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Lamb {
    /// Learning rate, at least 0.
    pub lr: f64,
    /// Decay of the first and of the second moment, each in [0, 1).
    #[serde(default = "Lamb::default_betas")]
    pub betas: (f64, f64),
    /// Added to the denominator, at least 0.
    #[serde(default = "Lamb::default_eps")]
    pub eps: f64,
    /// Weight decay, added to the direction before the trust ratio, at least 0.
    #[serde(default)]
    pub weight_decay: f64,
}

impl Lamb {
    fn default_betas() -> (f64, f64) {
        Self::new(0.0).betas
    }

    fn default_eps() -> f64 {
        Self::new(0.0).eps
    }

    /// optax's defaults: betas (0.9, 0.999), eps 1e-6, no weight decay.
    pub fn new(lr: f64) -> Self {
        Self { lr, betas: (0.9, 0.999), eps: 1e-6, weight_decay: 0.0 }
    }

    /// With these decays of the moments.
    pub fn betas(self, beta1: f64, beta2: f64) -> Self {
        Self { betas: (beta1, beta2), ..self }
    }

    /// With this eps.
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// With this weight decay.
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }

    /// u, from a state that `measure` has moved on.
    fn direction(&self, step: &Step, weight: f64, state: &[f64]) -> f64 {
        let (bias1, bias2) = bias_corrections(self.betas, step.count);
        let (m, v) = (state[0] / bias1, state[1] / bias2);
        m / (v.sqrt() + self.eps) + step.decay * weight
    }
}

impl Listed for Lamb {
    const ENTRY: Entry = Entry {
        name: "lamb",
        title: "LAMB",
        kinds: &[Kind::new("lamb", "Adam with a trust ratio for each tensor", 0.01, |lr| {
            Box::new(Self::new(lr))
        })],
        asks_count: true,
    };
}

impl Rule for Lamb {
    fn name(&self) -> &str {
        "lamb"
    }

    fn wgsl(&self) -> &str {
        include_str!("../../shaders/rules/lamb.wgsl")
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zero("exp_avg"), Slot::zero("exp_avg_sq")]
    }

    fn learning_rate(&self) -> f64 {
        self.lr
    }

    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::Direction(self.weight_decay)
    }

    fn hyperparameters(&self) -> Vec<(&'static str, f64)> {
        vec![("beta1", self.betas.0), ("beta2", self.betas.1), ("eps", self.eps)]
    }

    fn with_hyperparameters(&self, value: &dyn Fn(&str) -> Option<f64>) -> Option<Box<dyn Rule>> {
        Some(Box::new(Self { betas: (value("beta1")?, value("beta2")?), eps: value("eps")?, ..self.clone() }))
    }

    fn hyper(&self, count: u64, out: &mut Vec<f32>) {
        let (bias1, bias2) = bias_corrections(self.betas, count);
        let (beta1, beta2) = self.betas;
        out.extend(
            [bias1.recip(), beta1, 1.0 - beta1, beta2, 1.0 - beta2, bias2.sqrt().recip(), self.eps]
                .map(|value| value as f32),
        );
    }

    fn update(&self, step: &Step, weight: f64, _gradient: f64, state: &mut [f64]) -> f64 {
        weight - step.learning_rate * step.trust * self.direction(step, weight, state)
    }

    fn second_moment(&self, count: u64) -> Option<SecondMoment> {
        let (_, bias_correction) = bias_corrections(self.betas, count);
        Some(SecondMoment { slot: 1, bias_correction, eps: self.eps })
    }

    fn trust(&self) -> Option<Trust> {
        Some(Trust { coefficient: 1.0, eps: 0.0, measure_stores: true })
    }

    fn measure(&self, step: &Step, weight: f64, gradient: f64, state: &mut [f64]) -> f64 {
        let (beta1, beta2) = self.betas;
        state[0] = beta1 * state[0] + (1.0 - beta1) * gradient;
        state[1] = beta2 * state[1] + (1.0 - beta2) * gradient * gradient;
        self.direction(step, weight, state)
    }

    fn check(&self) -> Result<(), Error> {
        check_learning_rate(self.lr)?;
        check_betas(self.betas)?;
        check_eps(self.eps)
    }
}
