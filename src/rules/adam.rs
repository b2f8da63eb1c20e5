//! Adam and AdamW, as `torch.optim.Adam` and `torch.optim.AdamW`.

use serde::{Deserialize, Serialize};

use super::{
    entry::{Entry, Kind, Listed},
    rule::{Rule, SecondMoment, Slot, Step, WeightDecay, check_learning_rate, maximum},
};
use crate::error::{Error, check_hyperparameter};

/// Adam (Kingma and Ba, 2015) as `torch.optim.Adam`, with L2 weight decay:
///
/// ```text
/// g <- g + weight_decay w
/// m <- beta1 m + (1 - beta1) g;   v <- beta2 v + (1 - beta2) g^2
/// w <- w - lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)
/// ```
///
/// With [`Adam::amsgrad`], AMSGrad (Reddi et al., 2018) as `torch.optim.Adam(amsgrad=True)`: the largest `v`
/// so far, before its bias correction, stands for `v` in the denominator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Adam {
    /// Learning rate, at least 0.
    pub lr: f64,
    /// Decay of the first and of the second moment, each in [0, 1).
    pub betas: (f64, f64),
    /// Added to the denominator, at least 0.
    pub eps: f64,
    /// L2 weight decay, at least 0.
    pub weight_decay: f64,
    /// AMSGrad; needs a third slot.
    pub amsgrad: bool,
}

impl Adam {
    /// PyTorch's defaults: betas (0.9, 0.999), eps 1e-8, no weight decay.
    pub fn new(lr: f64) -> Self {
        Self { lr, betas: (0.9, 0.999), eps: 1e-8, weight_decay: 0.0, amsgrad: false }
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

    /// With the largest second moment so far (AMSGrad), or the present one.
    pub fn amsgrad(self, amsgrad: bool) -> Self {
        Self { amsgrad, ..self }
    }
}

impl Default for Adam {
    /// PyTorch's: lr 0.001.
    fn default() -> Self {
        Self::new(1e-3)
    }
}

impl Listed for Adam {
    const ENTRY: Entry = Entry {
        name: "adam",
        title: "Adam",
        kinds: &[
            Kind::new("adam", "Adam", 0.003, |lr| Box::new(Self::new(lr))),
            Kind::new("amsgrad", "Adam that divides by the largest second moment so far", 0.003, |lr| {
                Box::new(Self::new(lr).amsgrad(true))
            }),
        ],
        asks_count: true,
    };
}

impl Rule for Adam {
    fn name(&self) -> &str {
        if self.amsgrad { "amsgrad" } else { "adam" }
    }

    fn wgsl(&self) -> &str {
        if self.amsgrad {
            include_str!("../../shaders/rules/amsgrad.wgsl")
        } else {
            include_str!("../../shaders/rules/adam.wgsl")
        }
    }

    fn slots(&self) -> Vec<Slot> {
        let mut slots = vec![Slot::zero("exp_avg"), Slot::zero("exp_avg_sq")];
        slots.extend(self.amsgrad.then(|| Slot::zero("max_exp_avg_sq")));
        slots
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
        out.extend(
            [bias1.recip(), beta1, 1.0 - beta1, beta2, 1.0 - beta2, bias2.sqrt().recip(), self.eps]
                .map(|value| value as f32),
        );
    }

    fn update(&self, step: &Step, weight: f64, gradient: f64, state: &mut [f64]) -> f64 {
        let (bias1, bias2) = bias_corrections(self.betas, step.count);
        let (beta1, beta2) = self.betas;
        state[0] = beta1 * state[0] + (1.0 - beta1) * gradient;
        state[1] = beta2 * state[1] + (1.0 - beta2) * gradient * gradient;
        let mut v = state[1];
        if self.amsgrad {
            state[2] = maximum(state[2], v);
            v = state[2];
        }
        let (m, v) = (state[0] / bias1, v / bias2);
        weight - step.learning_rate * m / (v.sqrt() + self.eps)
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

/// 1 - beta1^t and 1 - beta2^t.
pub(super) fn bias_corrections(betas: (f64, f64), count: u64) -> (f64, f64) {
    let t = count as f64;
    (1.0 - betas.0.powf(t), 1.0 - betas.1.powf(t))
}

pub(super) fn check_betas(betas: (f64, f64)) -> Result<(), Error> {
    for (name, beta) in [("beta1", betas.0), ("beta2", betas.1)] {
        check_hyperparameter(name, beta, |beta| (0.0..1.0).contains(&beta), "in [0, 1)")?;
    }
    Ok(())
}

pub(super) fn check_eps(eps: f64) -> Result<(), Error> {
    check_hyperparameter("eps", eps, |eps| eps >= 0.0, "finite and at least 0")
}

/// AdamW's settings: Adam's, with another default.
#[derive(Deserialize)]
#[serde(remote = "Adam", default = "AdamWSettings::default", deny_unknown_fields)]
struct AdamWSettings {
    lr: f64,
    betas: (f64, f64),
    eps: f64,
    weight_decay: f64,
    amsgrad: bool,
}

impl AdamWSettings {
    fn default() -> Adam {
        AdamW::default().0
    }
}

/// AdamW (Loshchilov and Hutter, 2019) as `torch.optim.AdamW`: [`Adam`] with the weight decay
/// decoupled from the gradient, `w <- w - lr weight_decay w`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AdamW(#[serde(deserialize_with = "AdamWSettings::deserialize")] Adam);

impl AdamW {
    /// PyTorch's defaults: betas (0.9, 0.999), eps 1e-8, weight decay 0.01.
    pub fn new(lr: f64) -> Self {
        Self(Adam::new(lr).weight_decay(0.01))
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

    /// With the largest second moment so far (AMSGrad), or the present one.
    pub fn amsgrad(self, amsgrad: bool) -> Self {
        Self(self.0.amsgrad(amsgrad))
    }
}

impl Default for AdamW {
    /// PyTorch's: lr 0.001.
    fn default() -> Self {
        Self::new(1e-3)
    }
}

impl Listed for AdamW {
    const ENTRY: Entry = Entry {
        name: "adamw",
        title: "AdamW",
        kinds: &[
            Kind::new("adamw", "Adam with decoupled weight decay 0.01", 0.003, |lr| Box::new(Self::new(lr))),
            Kind::new("amsgradw", "AdamW that divides by the largest second moment so far", 0.003, |lr| {
                Box::new(Self::new(lr).amsgrad(true))
            }),
        ],
        asks_count: true,
    };
}

impl Rule for AdamW {
    fn name(&self) -> &str {
        if self.0.amsgrad { "amsgradw" } else { "adamw" }
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

    fn second_moment(&self, count: u64) -> Option<SecondMoment> {
        self.0.second_moment(count)
    }

    fn update(&self, step: &Step, weight: f64, gradient: f64, state: &mut [f64]) -> f64 {
        self.0.update(step, weight, gradient, state)
    }

    fn check(&self) -> Result<(), Error> {
        self.0.check()
    }
}
