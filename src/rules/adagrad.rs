//! Adagrad, as `torch.optim.Adagrad`.

use serde::{Deserialize, Serialize};

use super::{
    adam::check_eps,
    entry::{Entry, Kind, Listed},
    rule::{Rule, Slot, Step, WeightDecay, check_learning_rate},
};
use crate::error::{Error, check_hyperparameter};

/// Adagrad (Duchi et al., 2011) as `torch.optim.Adagrad`, with L2 weight decay:
///
/// ```text
/// g <- g + weight_decay w
/// s <- s + g^2                               (from initial_accumulator_value)
/// w <- w - lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)
/// ```
///
/// `s` is a sum and no mean, so that [`Rule::second_moment`] is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Adagrad {
    /// Learning rate, at least 0.
    pub lr: f64,
    /// Decay of the learning rate, at least 0.
    pub lr_decay: f64,
    /// What the sum of squares starts at, at least 0.
    pub initial_accumulator_value: f64,
    /// Added to the denominator, at least 0.
    pub eps: f64,
    /// L2 weight decay, at least 0.
    pub weight_decay: f64,
}

impl Adagrad {
    /// PyTorch's defaults: eps 1e-10, the rest zero.
    pub fn new(lr: f64) -> Self {
        Self { lr, lr_decay: 0.0, initial_accumulator_value: 0.0, eps: 1e-10, weight_decay: 0.0 }
    }

    /// With this decay of the learning rate.
    pub fn lr_decay(self, lr_decay: f64) -> Self {
        Self { lr_decay, ..self }
    }

    /// With the sum of squares starting at this value.
    pub fn initial_accumulator_value(self, initial_accumulator_value: f64) -> Self {
        Self { initial_accumulator_value, ..self }
    }

    /// With this eps.
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// With this L2 weight decay.
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }

    /// What `lr_decay` makes of the learning rate.
    fn factor(&self, count: u64) -> f64 {
        let past = count.saturating_sub(1) as f64;
        (1.0 + past * self.lr_decay).recip()
    }
}

impl Default for Adagrad {
    /// PyTorch's: lr 0.01.
    fn default() -> Self {
        Self::new(1e-2)
    }
}

impl Listed for Adagrad {
    const ENTRY: Entry = Entry {
        name: "adagrad",
        title: "Adagrad",
        kinds: &[Kind::new("adagrad", "Adagrad", 0.1, |lr| Box::new(Self::new(lr)))],
        asks_count: true,
    };
}

impl Rule for Adagrad {
    fn name(&self) -> &str {
        "adagrad"
    }

    fn wgsl(&self) -> &str {
        include_str!("../../shaders/rules/adagrad.wgsl")
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot { name: "sum", initial: self.initial_accumulator_value as f32 }]
    }

    fn learning_rate(&self) -> f64 {
        self.lr
    }

    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::L2(self.weight_decay)
    }

    fn hyperparameters(&self) -> Vec<(&'static str, f64)> {
        let initial = self.initial_accumulator_value;
        vec![("lr_decay", self.lr_decay), ("initial_accumulator_value", initial), ("eps", self.eps)]
    }

    fn with_hyperparameters(&self, value: &dyn Fn(&str) -> Option<f64>) -> Option<Box<dyn Rule>> {
        let (lr_decay, eps) = (value("lr_decay")?, value("eps")?);
        let initial_accumulator_value = value("initial_accumulator_value")?;
        Some(Box::new(Self { lr_decay, initial_accumulator_value, eps, ..self.clone() }))
    }

    fn hyper(&self, count: u64, out: &mut Vec<f32>) {
        out.extend([self.factor(count), self.eps].map(|value| value as f32));
    }

    fn update(&self, step: &Step, weight: f64, gradient: f64, state: &mut [f64]) -> f64 {
        state[0] += gradient * gradient;
        weight - step.learning_rate * self.factor(step.count) * gradient / (state[0].sqrt() + self.eps)
    }

    fn check(&self) -> Result<(), Error> {
        check_learning_rate(self.lr)?;
        let initial = self.initial_accumulator_value;
        for (name, value) in [("lr_decay", self.lr_decay), ("initial_accumulator_value", initial)] {
            check_hyperparameter(name, value, |value| value >= 0.0, "finite and at least 0")?;
        }
        check_eps(self.eps)
    }
}
