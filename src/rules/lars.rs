//! LARS, as `optax.lars`.

use serde::{Deserialize, Serialize};

use super::{
    adam::check_eps,
    entry::{Entry, Kind, Listed},
    rule::{Rule, Slot, Step, Trust, WeightDecay, check_learning_rate, truth},
};
use crate::error::{Error, check_hyperparameter};

/// LARS (You et al., 2017) as `optax.lars`, with L2 weight decay and a trust ratio for each tensor:
///
/// ```text
/// g <- g + weight_decay w
/// trust = trust_coefficient ||w|| / (||g|| + eps)      (1 where a norm is 0)
/// b <- momentum b + lr trust g
/// w <- w - b (heavy ball), w - (lr trust g + momentum b) (Nesterov)
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Lars {
    /// Learning rate, at least 0.
    pub lr: f64,
    /// Momentum, at least 0.
    #[serde(default = "Lars::default_momentum")]
    pub momentum: f64,
    /// Nesterov's momentum instead of the heavy ball; needs momentum.
    #[serde(default)]
    pub nesterov: bool,
    /// The trust ratio's coefficient, at least 0.
    #[serde(default = "Lars::default_trust_coefficient")]
    pub trust_coefficient: f64,
    /// Added to the gradient's norm, at least 0.
    #[serde(default)]
    pub eps: f64,
    /// L2 weight decay, at least 0.
    #[serde(default)]
    pub weight_decay: f64,
}

impl Lars {
    fn default_momentum() -> f64 {
        Self::new(0.0).momentum
    }

    fn default_trust_coefficient() -> f64 {
        Self::new(0.0).trust_coefficient
    }

    /// optax's defaults: momentum 0.9, heavy ball, trust coefficient 0.001, eps 0, no weight decay.
    pub fn new(lr: f64) -> Self {
        Self { lr, momentum: 0.9, nesterov: false, trust_coefficient: 1e-3, eps: 0.0, weight_decay: 0.0 }
    }

    /// With this momentum.
    pub fn momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// With Nesterov's momentum, or the heavy ball's.
    pub fn nesterov(self, nesterov: bool) -> Self {
        Self { nesterov, ..self }
    }

    /// With this coefficient of the trust ratio.
    pub fn trust_coefficient(self, trust_coefficient: f64) -> Self {
        Self { trust_coefficient, ..self }
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

impl Listed for Lars {
    const ENTRY: Entry = Entry {
        name: "lars",
        title: "LARS",
        kinds: &[Kind::new("lars", "SGD with momentum 0.9 and a trust ratio for each tensor", 1.0, |lr| {
            Box::new(Self::new(lr))
        })],
        asks_count: false,
    };
}

impl Rule for Lars {
    fn name(&self) -> &str {
        "lars"
    }

    fn wgsl(&self) -> &str {
        include_str!("../../shaders/rules/lars.wgsl")
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zero("momentum_buffer")]
    }

    fn learning_rate(&self) -> f64 {
        self.lr
    }

    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::L2(self.weight_decay)
    }

    fn hyperparameters(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("momentum", self.momentum),
            ("nesterov", f64::from(u8::from(self.nesterov))),
            ("trust_coefficient", self.trust_coefficient),
            ("eps", self.eps),
        ]
    }

    fn with_hyperparameters(&self, value: &dyn Fn(&str) -> Option<f64>) -> Option<Box<dyn Rule>> {
        let (momentum, nesterov) = (value("momentum")?, truth(value("nesterov")?)?);
        let (trust_coefficient, eps) = (value("trust_coefficient")?, value("eps")?);
        Some(Box::new(Self { momentum, nesterov, trust_coefficient, eps, ..self.clone() }))
    }

    fn hyper(&self, _count: u64, out: &mut Vec<f32>) {
        let (own, past) = if self.nesterov { (1.0, self.momentum) } else { (0.0, 1.0) };
        out.extend([self.momentum, own, past].map(|value| value as f32));
    }

    fn update(&self, step: &Step, weight: f64, gradient: f64, state: &mut [f64]) -> f64 {
        let scaled = step.learning_rate * step.trust * gradient;
        state[0] = self.momentum * state[0] + scaled;
        weight - if self.nesterov { scaled + self.momentum * state[0] } else { state[0] }
    }

    fn trust(&self) -> Option<Trust> {
        Some(Trust { coefficient: self.trust_coefficient, eps: self.eps, measure_stores: false })
    }

    fn check(&self) -> Result<(), Error> {
        check_learning_rate(self.lr)?;
        let momentum = self.momentum;
        check_hyperparameter("momentum", momentum, |momentum| momentum >= 0.0, "finite and at least 0")?;
        if self.nesterov {
            check_hyperparameter("momentum", momentum, |momentum| momentum > 0.0, "positive for Nesterov")?;
        }
        let coefficient = self.trust_coefficient;
        check_hyperparameter(
            "trust_coefficient",
            coefficient,
            |coefficient| coefficient >= 0.0,
            "finite and at least 0",
        )?;
        check_eps(self.eps)
    }
}
