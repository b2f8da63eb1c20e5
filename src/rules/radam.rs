//! RAdam, as `torch.optim.RAdam`, and Ranger's inner optimizer.

use serde::{Deserialize, Serialize};

use super::{
    adam::{bias_corrections, check_betas, check_eps},
    entry::{Entry, Kind, Listed},
    rule::{Rule, SecondMoment, Slot, Step, WeightDecay, check_learning_rate},
};
use crate::error::Error;

/// RAdam (Liu et al., 2020) as `torch.optim.RAdam`, with L2 weight decay:
///
/// ```text
/// g <- g + weight_decay w
/// m <- beta1 m + (1 - beta1) g;   v <- beta2 v + (1 - beta2) g^2
/// rho_inf = 2 / (1 - beta2) - 1;   rho_t = rho_inf - 2 t beta2^t / (1 - beta2^t)
/// r_t = sqrt((rho_t - 4) (rho_t - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho_t))
/// d  = r_t sqrt(1 - beta2^t) / (sqrt(v) + eps) where rho_t > 5, else 1
/// w <- w - lr m / (1 - beta1^t) d
/// ```
///
/// eps is added before the bias correction of `v`, as PyTorch does; the paper has none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RAdam {
    /// Learning rate, at least 0.
    pub lr: f64,
    /// Decay of the first and of the second moment, each in [0, 1).
    pub betas: (f64, f64),
    /// Added to the denominator, at least 0.
    pub eps: f64,
    /// L2 weight decay, at least 0.
    pub weight_decay: f64,
}

impl RAdam {
    /// PyTorch's defaults: betas (0.9, 0.999), eps 1e-8, no weight decay.
    pub fn new(lr: f64) -> Self {
        Self { lr, betas: (0.9, 0.999), eps: 1e-8, weight_decay: 0.0 }
    }

    /// With these decays of the moments.
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

    /// r_t, or none while rho_t is at most 5.
    fn rectification(&self, count: u64) -> Option<f64> {
        let (_, bias2) = bias_corrections(self.betas, count);
        let full = 2.0 / (1.0 - self.betas.1) - 1.0;
        let rho = full - 2.0 * count as f64 * (1.0 - bias2) / bias2;
        let square = (rho - 4.0) * (rho - 2.0) * full / ((full - 4.0) * (full - 2.0) * rho);
        (rho > 5.0).then(|| square.sqrt())
    }
}

impl Default for RAdam {
    /// PyTorch's: lr 0.001.
    fn default() -> Self {
        Self::new(1e-3)
    }
}

impl Listed for RAdam {
    const ENTRY: Entry = Entry {
        name: "radam",
        title: "RAdam",
        kinds: &[Kind::new("radam", "Rectified Adam", 0.03, |lr| Box::new(Self::new(lr)))],
        asks_count: true,
    };
}

impl Rule for RAdam {
    fn name(&self) -> &str {
        "radam"
    }

    fn wgsl(&self) -> &str {
        include_str!("../../shaders/rules/radam.wgsl")
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zero("exp_avg"), Slot::zero("exp_avg_sq")]
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
        let (bias1, bias2) = bias_corrections(self.betas, count);
        let (beta1, beta2) = self.betas;
        // One of the two is 0, so that the kernel needs no branch.
        let (plain, adaptive) = match self.rectification(count) {
            None => (1.0, 0.0),
            Some(r) => (0.0, r * bias2.sqrt()),
        };
        out.extend(
            [beta1, 1.0 - beta1, beta2, 1.0 - beta2, plain / bias1, adaptive / bias1, self.eps]
                .map(|value| value as f32),
        );
    }

    fn update(&self, step: &Step, weight: f64, gradient: f64, state: &mut [f64]) -> f64 {
        let (bias1, bias2) = bias_corrections(self.betas, step.count);
        let (beta1, beta2) = self.betas;
        state[0] = beta1 * state[0] + (1.0 - beta1) * gradient;
        state[1] = beta2 * state[1] + (1.0 - beta2) * gradient * gradient;
        let direction = match self.rectification(step.count) {
            None => 1.0,
            Some(r) => r * bias2.sqrt() / (state[1].sqrt() + self.eps),
        };
        weight - step.learning_rate * state[0] / bias1 * direction
    }

    fn second_moment(&self, count: u64) -> Option<SecondMoment> {
        let (_, bias_correction) = bias_corrections(self.betas, count);
        Some(SecondMoment { slot: 1, bias_correction, eps: self.eps })
    }

    fn check(&self) -> Result<(), Error> {
        check_learning_rate(self.lr)?;
        check_betas(self.betas)?;
        check_eps(self.eps)
    }
}

/// Ranger's settings: RAdam's, with other defaults.
#[derive(Deserialize)]
#[serde(remote = "RAdam", default = "RangerSettings::default", deny_unknown_fields)]
struct RangerSettings {
    lr: f64,
    betas: (f64, f64),
    eps: f64,
    weight_decay: f64,
}

impl RangerSettings {
    fn default() -> RAdam {
        Ranger::default().0
    }
}

/// Ranger's inner optimizer (Wright, 2019): [`RAdam`] on gradients that the driver centralises (Yong et al.,
/// 2020), with the weight decay decoupled, `w <- w - lr weight_decay w`.
///
/// Ranger is this with [`Lookahead`](crate::Lookahead) around it, k = 6 and alpha = 0.5.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ranger(#[serde(deserialize_with = "RangerSettings::deserialize")] RAdam);

impl Ranger {
    /// Ranger's defaults: betas (0.95, 0.999), eps 1e-5, no weight decay.
    pub fn new(lr: f64) -> Self {
        Self(RAdam::new(lr).betas(0.95, 0.999).eps(1e-5))
    }

    /// With these decays of the moments.
    pub fn betas(self, beta1: f64, beta2: f64) -> Self {
        Self(self.0.betas(beta1, beta2))
    }

    /// With this eps.
    pub fn eps(self, eps: f64) -> Self {
        Self(self.0.eps(eps))
    }

    /// With this decoupled weight decay.
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Self(self.0.weight_decay(weight_decay))
    }
}

impl Default for Ranger {
    /// Ranger's: lr 0.001.
    fn default() -> Self {
        Self::new(1e-3)
    }
}

impl Listed for Ranger {
    const ENTRY: Entry = Entry {
        name: "ranger",
        title: "Ranger",
        kinds: &[Kind::new(
            "ranger",
            "RAdam on centralised gradients (with Lookahead: Ranger)",
            0.03,
            |lr| Box::new(Self::new(lr)),
        )],
        asks_count: true,
    };
}

impl Rule for Ranger {
    fn name(&self) -> &str {
        "ranger"
    }

    fn wgsl(&self) -> &str {
        self.0.wgsl()
    }

    fn slots(&self) -> Vec<Slot> {
        self.0.slots()
    }

    fn learning_rate(&self) -> f64 {
        self.0.lr
    }

    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::Decoupled(self.0.weight_decay)
    }

    fn hyperparameters(&self) -> Vec<(&'static str, f64)> {
        self.0.hyperparameters()
    }

    fn with_hyperparameters(&self, value: &dyn Fn(&str) -> Option<f64>) -> Option<Box<dyn Rule>> {
        let eps = value("eps")?;
        Some(Box::new(self.clone().betas(value("beta1")?, value("beta2")?).eps(eps)))
    }

    fn hyper(&self, count: u64, out: &mut Vec<f32>) {
        self.0.hyper(count, out);
    }

    fn update(&self, step: &Step, weight: f64, gradient: f64, state: &mut [f64]) -> f64 {
        self.0.update(step, weight, gradient, state)
    }

    fn second_moment(&self, count: u64) -> Option<SecondMoment> {
        self.0.second_moment(count)
    }

    fn centralises(&self) -> bool {
        true
    }

    fn check(&self) -> Result<(), Error> {
        self.0.check()
    }
}
