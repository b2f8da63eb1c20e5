//! Adadelta, as `torch.optim.Adadelta`.

use serde::{Deserialize, Serialize};

use super::{
    entry::{Entry, Kind, Listed},
    rule::{Rule, SecondMoment, Slot, Step, WeightDecay, check_learning_rate},
};
use crate::error::{Error, check_hyperparameter};

/// Adadelta (Zeiler, 2012) as `torch.optim.Adadelta`, with L2 weight decay:
///
/// ```text
/// g <- g + weight_decay w
/// v <- rho v + (1 - rho) g^2
/// d  = sqrt(a + eps) / sqrt(v + eps) g
/// a <- rho a + (1 - rho) d^2
/// w <- w - lr d
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Adadelta {
    /// Learning rate, at least 0.
    pub lr: f64,
    /// Decay of both means, in [0, 1).
    pub rho: f64,
    /// Added inside both square roots, positive: at 0 no weight would ever move.
    pub eps: f64,
    /// L2 weight decay, at least 0.
    pub weight_decay: f64,
}

impl Adadelta {
    /// PyTorch's defaults: rho 0.9, eps 1e-6, no weight decay.
    pub fn new(lr: f64) -> Self {
        Self { lr, rho: 0.9, eps: 1e-6, weight_decay: 0.0 }
    }

    /// With this decay of the means.
    pub fn rho(self, rho: f64) -> Self {
        Self { rho, ..self }
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

impl Default for Adadelta {
    /// PyTorch's: lr 1.
    fn default() -> Self {
        Self::new(1.0)
    }
}

impl Listed for Adadelta {
    const ENTRY: Entry = Entry {
        name: "adadelta",
        title: "Adadelta",
        kinds: &[Kind::new("adadelta", "Adadelta", 3.0, |lr| Box::new(Self::new(lr)))],
        asks_count: false,
    };
}

impl Rule for Adadelta {
    fn name(&self) -> &str {
        "adadelta"
    }

    fn wgsl(&self) -> &str {
        include_str!("../../shaders/rules/adadelta.wgsl")
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zero("square_avg"), Slot::zero("acc_delta")]
    }

    fn learning_rate(&self) -> f64 {
        self.lr
    }

    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::L2(self.weight_decay)
    }

    fn hyperparameters(&self) -> Vec<(&'static str, f64)> {
        vec![("rho", self.rho), ("eps", self.eps)]
    }

    fn with_hyperparameters(&self, value: &dyn Fn(&str) -> Option<f64>) -> Option<Box<dyn Rule>> {
        Some(Box::new(Self { rho: value("rho")?, eps: value("eps")?, ..self.clone() }))
    }

    fn hyper(&self, _count: u64, out: &mut Vec<f32>) {
        out.extend([self.rho, 1.0 - self.rho, self.eps].map(|value| value as f32));
    }

    fn update(&self, step: &Step, weight: f64, gradient: f64, state: &mut [f64]) -> f64 {
        let mean = |past: f64, new: f64| self.rho * past + (1.0 - self.rho) * new;
        state[0] = mean(state[0], gradient * gradient);
        let delta = (state[1] + self.eps).sqrt() / (state[0] + self.eps).sqrt() * gradient;
        state[1] = mean(state[1], delta * delta);
        weight - step.learning_rate * delta
    }

    /// Its eps is what the mean itself is added to, so that the root has `sqrt(eps)` at a mean of 0.
    fn second_moment(&self, _count: u64) -> Option<SecondMoment> {
        Some(SecondMoment { slot: 0, bias_correction: 1.0, eps: self.eps.sqrt() })
    }

    fn check(&self) -> Result<(), Error> {
        check_learning_rate(self.lr)?;
        check_hyperparameter("rho", self.rho, |rho| (0.0..1.0).contains(&rho), "in [0, 1)")?;
        check_hyperparameter("eps", self.eps, |eps| eps > 0.0, "positive")
    }
}
