//! NAdam, as `torch.optim.NAdam`.

use serde::{Deserialize, Serialize};

use super::{
    adam::{bias_corrections, check_betas, check_eps},
    entry::{Entry, Kind, Listed},
    rule::{Rule, SecondMoment, Slot, Step, WeightDecay, check_learning_rate, truth},
};
use crate::error::{Error, check_hyperparameter};

/// NAdam (Dozat, 2016) as `torch.optim.NAdam`, with L2 weight decay:
///
/// ```text
/// mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2);   P_t = mu_1 mu_2 ... mu_t
/// g <- g + weight_decay w
/// m <- beta1 m + (1 - beta1) g;   v <- beta2 v + (1 - beta2) g^2
/// d  = (1 - mu_t) g / (1 - P_t) + mu_t+1 m / (1 - P_t+1)
/// w <- w - lr d / (sqrt(v / (1 - beta2^t)) + eps)
/// ```
///
/// PyTorch before 2.0 took `P_t mu_t mu_t+1` for `P_t+1`; [`NAdam::before_torch_2`] does so too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct NAdam {
    /// Learning rate, at least 0.
    pub lr: f64,
    /// Decay of the first and of the second moment, each in [0, 1).
    pub betas: (f64, f64),
    /// Added to the denominator, at least 0.
    pub eps: f64,
    /// Decay of the momentum's schedule, at least 0.
    pub momentum_decay: f64,
    /// L2 weight decay, at least 0.
    pub weight_decay: f64,
    /// The products of momenta as PyTorch before 2.0 had them.
    pub before_torch_2: bool,
}

impl NAdam {
    /// PyTorch's defaults: betas (0.9, 0.999), eps 1e-8, momentum decay 0.004, no weight decay.
    pub fn new(lr: f64) -> Self {
        Self {
            lr,
            betas: (0.9, 0.999),
            eps: 1e-8,
            momentum_decay: 4e-3,
            weight_decay: 0.0,
            before_torch_2: false,
        }
    }

    /// With these decays of the moments.
    pub fn betas(self, beta1: f64, beta2: f64) -> Self {
        Self { betas: (beta1, beta2), ..self }
    }

    /// With this eps.
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// With this decay of the momentum's schedule.
    pub fn momentum_decay(self, momentum_decay: f64) -> Self {
        Self { momentum_decay, ..self }
    }

    /// With this L2 weight decay.
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }

    /// With the products of momenta as PyTorch before 2.0 had them, or as it has them now.
    pub fn before_torch_2(self, before_torch_2: bool) -> Self {
        Self { before_torch_2, ..self }
    }

    /// What the gradient and the first moment weigh in the direction.
    fn weights(&self, count: u64) -> (f64, f64) {
        let mu = |t: u64| self.betas.0 * (1.0 - 0.5 * 0.96f64.powf(t as f64 * self.momentum_decay));
        // Below 2^-60 it is lost in 1 - product: after 60 steps by default, at most 42 / (1 - beta1).
        let mut product = 1.0;
        for t in 1..=count {
            product *= mu(t);
            if product < 2f64.powi(-60) {
                break;
            }
        }
        let (now, next) = (mu(count), mu(count + 1));
        let again = if self.before_torch_2 { now } else { 1.0 };
        ((1.0 - now) / (1.0 - product), next / (1.0 - product * again * next))
    }
}

impl Default for NAdam {
    /// PyTorch's: lr 0.002.
    fn default() -> Self {
        Self::new(2e-3)
    }
}

impl Listed for NAdam {
    const ENTRY: Entry = Entry {
        name: "nadam",
        title: "NAdam",
        kinds: &[Kind::new("nadam", "Adam with Nesterov momentum", 0.01, |lr| Box::new(Self::new(lr)))],
        asks_count: true,
    };
}

impl Rule for NAdam {
    fn name(&self) -> &str {
        "nadam"
    }

    fn wgsl(&self) -> &str {
        include_str!("../../shaders/rules/nadam.wgsl")
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
        let (beta1, beta2) = self.betas;
        vec![
            ("beta1", beta1),
            ("beta2", beta2),
            ("eps", self.eps),
            ("momentum_decay", self.momentum_decay),
            ("before_torch_2", f64::from(u8::from(self.before_torch_2))),
        ]
    }

    fn with_hyperparameters(&self, value: &dyn Fn(&str) -> Option<f64>) -> Option<Box<dyn Rule>> {
        let (betas, eps) = ((value("beta1")?, value("beta2")?), value("eps")?);
        let before_torch_2 = truth(value("before_torch_2")?)?;
        let momentum_decay = value("momentum_decay")?;
        Some(Box::new(Self { betas, eps, momentum_decay, before_torch_2, ..self.clone() }))
    }

    fn hyper(&self, count: u64, out: &mut Vec<f32>) {
        let (_, bias2) = bias_corrections(self.betas, count);
        let (beta1, beta2) = self.betas;
        let (own, past) = self.weights(count);
        out.extend(
            [beta1, 1.0 - beta1, beta2, 1.0 - beta2, own, past, bias2.sqrt().recip(), self.eps]
                .map(|value| value as f32),
        );
    }

    fn update(&self, step: &Step, weight: f64, gradient: f64, state: &mut [f64]) -> f64 {
        let (_, bias2) = bias_corrections(self.betas, step.count);
        let (beta1, beta2) = self.betas;
        let (own, past) = self.weights(step.count);
        state[0] = beta1 * state[0] + (1.0 - beta1) * gradient;
        state[1] = beta2 * state[1] + (1.0 - beta2) * gradient * gradient;
        let direction = own * gradient + past * state[0];
        weight - step.learning_rate * direction / ((state[1] / bias2).sqrt() + self.eps)
    }

    fn second_moment(&self, count: u64) -> Option<SecondMoment> {
        let (_, bias_correction) = bias_corrections(self.betas, count);
        Some(SecondMoment { slot: 1, bias_correction, eps: self.eps })
    }

    fn check(&self) -> Result<(), Error> {
        check_learning_rate(self.lr)?;
        check_betas(self.betas)?;
        check_eps(self.eps)?;
        let decay = self.momentum_decay;
        check_hyperparameter("momentum_decay", decay, |decay| decay >= 0.0, "finite and at least 0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_of_momenta_is_cut_where_it_no_longer_counts() {
        let rule = NAdam::default();
        let mu = |t: f64| 0.9 * (1.0 - 0.5 * 0.96f64.powf(t * 0.004));
        let (own, past) = rule.weights(3);
        let product = mu(1.0) * mu(2.0) * mu(3.0);
        assert!((own - (1.0 - mu(3.0)) / (1.0 - product)).abs() < 1e-15);
        assert!((past - mu(4.0) / (1.0 - product * mu(4.0))).abs() < 1e-15);
        let count = u64::MAX - 1;
        assert_eq!(rule.weights(count), (1.0 - mu(count as f64), mu(count as f64)));
    }
}
