//! SGD, heavy ball and Nesterov, as `torch.optim.SGD`.

use serde::{Deserialize, Serialize};

use super::{
    entry::{Entry, Kind, Listed},
    rule::{Rule, Slot, Step, WeightDecay, check_learning_rate},
};
use crate::error::{Error, check_hyperparameter};

/// Stochastic gradient descent, with heavy-ball or Nesterov momentum, as `torch.optim.SGD`:
///
/// ```text
/// g <- g + weight_decay w
/// b <- momentum b + (1 - dampening) g        (b <- g at the first step)
/// d  = g (no momentum), b (heavy ball), g + momentum b (Nesterov)
/// w <- w - lr d
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Sgd {
    /// Learning rate, at least 0.
    pub lr: f64,
    /// Momentum, at least 0; 0 needs no state.
    #[serde(default)]
    pub momentum: f64,
    /// Dampening of the momentum.
    #[serde(default)]
    pub dampening: f64,
    /// L2 weight decay, at least 0.
    #[serde(default)]
    pub weight_decay: f64,
    /// Nesterov's momentum instead of the heavy ball; needs momentum and no dampening.
    #[serde(default)]
    pub nesterov: bool,
}

impl Sgd {
    /// Plain SGD, the rest at PyTorch's defaults (all zero).
    pub fn new(lr: f64) -> Self {
        Self { lr, momentum: 0.0, dampening: 0.0, weight_decay: 0.0, nesterov: false }
    }

    /// With this momentum.
    pub fn momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// With this dampening.
    pub fn dampening(self, dampening: f64) -> Self {
        Self { dampening, ..self }
    }

    /// With this L2 weight decay.
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }

    /// With Nesterov's momentum, or the heavy ball's.
    pub fn nesterov(self, nesterov: bool) -> Self {
        Self { nesterov, ..self }
    }

    /// What the gradient weighs in the momentum buffer.
    fn gain(&self, count: u64) -> f64 {
        if count == 1 { 1.0 } else { 1.0 - self.dampening }
    }
}

impl Listed for Sgd {
    const ENTRY: Entry = Entry {
        name: "sgd",
        title: "SGD",
        kinds: &[
            Kind::new("sgd", "Stochastic gradient descent", 0.5, |lr| Box::new(Self::new(lr))),
            Kind::new("heavy_ball", "SGD with momentum 0.9 (Polyak's heavy ball)", 0.1, |lr| {
                Box::new(Self::new(lr).momentum(0.9))
            }),
            Kind::new("nesterov", "SGD with Nesterov momentum 0.9", 0.1, |lr| {
                Box::new(Self::new(lr).momentum(0.9).nesterov(true))
            }),
        ],
        asks_count: false,
    };
}

impl Rule for Sgd {
    fn name(&self) -> &str {
        match (self.momentum == 0.0, self.nesterov) {
            (true, _) => "sgd",
            (false, false) => "heavy_ball",
            (false, true) => "nesterov",
        }
    }

    fn wgsl(&self) -> &str {
        if self.momentum == 0.0 {
            include_str!("../../shaders/rules/sgd.wgsl")
        } else {
            include_str!("../../shaders/rules/momentum.wgsl")
        }
    }

    fn slots(&self) -> Vec<Slot> {
        if self.momentum == 0.0 { vec![] } else { vec![Slot::zero("momentum_buffer")] }
    }

    fn learning_rate(&self) -> f64 {
        self.lr
    }

    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::L2(self.weight_decay)
    }

    fn hyperparameters(&self) -> Vec<(&'static str, f64)> {
        if self.momentum == 0.0 {
            return vec![];
        }
        vec![("momentum", self.momentum), ("dampening", self.dampening)]
    }

    fn with_hyperparameters(&self, value: &dyn Fn(&str) -> Option<f64>) -> Option<Box<dyn Rule>> {
        if self.momentum == 0.0 {
            return Some(Box::new(self.clone()));
        }
        let (momentum, dampening) = (value("momentum")?, value("dampening")?);
        Some(Box::new(Self { momentum, dampening, ..self.clone() }))
    }

    fn hyper(&self, count: u64, out: &mut Vec<f32>) {
        if self.momentum == 0.0 {
            return;
        }
        let (own, past) = if self.nesterov { (1.0, self.momentum) } else { (0.0, 1.0) };
        out.extend([self.momentum, self.gain(count), own, past].map(|value| value as f32));
    }

    fn update(&self, step: &Step, weight: f64, gradient: f64, state: &mut [f64]) -> f64 {
        if self.momentum == 0.0 {
            return weight - step.learning_rate * gradient;
        }
        state[0] = self.momentum * state[0] + self.gain(step.count) * gradient;
        let direction = if self.nesterov { gradient + self.momentum * state[0] } else { state[0] };
        weight - step.learning_rate * direction
    }

    fn check(&self) -> Result<(), Error> {
        check_learning_rate(self.lr)?;
        check_hyperparameter("momentum", self.momentum, |momentum| momentum >= 0.0, "finite and at least 0")?;
        check_hyperparameter("dampening", self.dampening, |_| true, "finite")?;
        if self.nesterov {
            check_hyperparameter(
                "momentum",
                self.momentum,
                |momentum| momentum > 0.0,
                "positive for Nesterov",
            )?;
            check_hyperparameter(
                "dampening",
                self.dampening,
                |dampening| dampening == 0.0,
                "0 for Nesterov",
            )?;
        }
        Ok(())
    }
}
