//! Adam and AdamW, as `torch.optim.Adam` and `torch.optim.AdamW`.

use super::{Rule, SecondMoment, Slot, Step, WeightDecay, check_learning_rate};
use crate::error::{Error, check_hyperparameter};

/// Adam (Kingma and Ba, 2015) as `torch.optim.Adam`, with L2 weight decay:
///
/// ```text
/// g <- g + weight_decay w
/// m <- beta1 m + (1 - beta1) g;   v <- beta2 v + (1 - beta2) g^2
/// w <- w - lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Adam {
    /// Learning rate, at least 0.
    pub lr: f64,
    /// Decay of the first and of the second moment, each in [0, 1).
    pub betas: (f64, f64),
    /// Added to the denominator, at least 0.
    pub eps: f64,
    /// L2 weight decay, at least 0.
    pub weight_decay: f64,
}

impl Adam {
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

    /// 1 - beta1^t and 1 - beta2^t.
    fn bias_corrections(&self, count: u64) -> (f64, f64) {
        let t = count as f64;
        (1.0 - self.betas.0.powf(t), 1.0 - self.betas.1.powf(t))
    }
}

impl Default for Adam {
    /// PyTorch's: lr 0.001.
    fn default() -> Self {
        Self::new(1e-3)
    }
}

impl Rule for Adam {
    fn name(&self) -> &str {
        "adam"
    }

    fn wgsl(&self) -> &str {
        include_str!("../../shaders/rules/adam.wgsl")
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

    fn hyper(&self, count: u64, out: &mut Vec<f32>) {
        let (bias1, bias2) = self.bias_corrections(count);
        let (beta1, beta2) = self.betas;
        out.extend(
            [bias1.recip(), beta1, 1.0 - beta1, beta2, 1.0 - beta2, bias2.sqrt().recip(), self.eps]
                .map(|value| value as f32),
        );
    }

    fn update(&self, step: &Step, weight: f64, gradient: f64, state: &mut [f64]) -> f64 {
        let (bias1, bias2) = self.bias_corrections(step.count);
        let (beta1, beta2) = self.betas;
        state[0] = beta1 * state[0] + (1.0 - beta1) * gradient;
        state[1] = beta2 * state[1] + (1.0 - beta2) * gradient * gradient;
        let (m, v) = (state[0] / bias1, state[1] / bias2);
        weight - step.learning_rate * m / (v.sqrt() + self.eps)
    }

    fn second_moment(&self, count: u64) -> Option<SecondMoment> {
        let (_, bias_correction) = self.bias_corrections(count);
        Some(SecondMoment { slot: 1, bias_correction, eps: self.eps })
    }

    fn check(&self) -> Result<(), Error> {
        check_learning_rate(self.lr)?;
        for (name, beta) in [("beta1", self.betas.0), ("beta2", self.betas.1)] {
            check_hyperparameter(name, beta, (0.0..1.0).contains(&beta), "in [0, 1)")?;
        }
        check_hyperparameter("eps", self.eps, self.eps >= 0.0, "finite and at least 0")
    }
}

/// AdamW (Loshchilov and Hutter, 2019) as `torch.optim.AdamW`: [`Adam`] with the weight decay
/// decoupled from the gradient, `w <- w - lr weight_decay w`.
#[derive(Debug, Clone, PartialEq)]
pub struct AdamW(Adam);

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
}

impl Default for AdamW {
    /// PyTorch's: lr 0.001.
    fn default() -> Self {
        Self::new(1e-3)
    }
}

impl Rule for AdamW {
    fn name(&self) -> &str {
        "adamw"
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
