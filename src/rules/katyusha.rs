//! Katyusha, whose steps pull back towards the slow weights.

use serde::{Deserialize, Serialize};

use super::{
    entry::{Entry, Kind, Listed},
    rule::{Rule, Slot, Step, WeightDecay, check_learning_rate},
};
use crate::error::{Error, check_hyperparameter};

/// Katyusha (Allen-Zhu, 2017, Algorithm 1): accelerated SVRG. Nesterov's momentum would gather the gradients' noise; a
/// pull-back towards the snapshot x~ at every step keeps it at bay. With the gradient g that
/// [variance reduction](crate::variance_reduction) has corrected, taken at x:
///
/// ```text
/// z <- z - lr/tau1 g
/// y <- x - lr g
/// x <- tau1 z + tau2 x~ + (1 - tau1 - tau2) y
/// ```
///
/// and at the sync, after k steps, with `theta = 1 + sigma lr/tau1`:
///
/// ```text
/// x~ <- (sum_j theta^j y_(j+1)) / (sum_j theta^j),   j = 0, ..., k - 1
/// ```
///
/// x is the weights, at which the caller takes gradients; x~ the slow weights, at which it takes those of the snapshot, and
/// which are the result. At the first step z and y are x. Neither is touched by a sync; x moves by `tau2` times the way that
/// x~ does, which is what its formula makes of it. In the paper's words this is the algorithm with `psi = 0`, for which its
/// options I and II are one and the same, and with `lr = 1/(3L)`, L the largest of the `f_i`'s Lipschitz constants:
/// [`Katyusha::of`] has its constants. An L2 term is a part of the gradient: the caller's, or `weight_decay`.
///
/// ```
/// use lookahead_wgpu::{Lookahead, Optimizer, rules::Katyusha};
/// let m = 2 * 569; // steps of a cycle: the paper's are twice the number of samples
/// let builder = Optimizer::builder(Katyusha::of(20.0, 0.05, m))
///     .lookahead(Lookahead::new(m, 1.0))
///     .variance_reduced();
/// ```
///
/// It goes with [`Lookahead`](crate::Lookahead) alone, of the policy maintain: with `alpha = 1` it is the paper's, with a smaller
/// one x~ goes but a part of the way. Building it otherwise, or with an adaptive alpha, is an error. Of weights that are loaded
/// in mid-training z knows nothing: build anew, or import.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Katyusha {
    /// Learning rate, 1/(3L); at least 0.
    pub lr: f64,
    /// How much of x is z, above 0: the smaller, the more momentum.
    #[serde(default = "Katyusha::default_tau1")]
    pub tau1: f64,
    /// How much of x is the snapshot, at least 0; with tau1 at most 1.
    #[serde(default = "Katyusha::default_tau2")]
    pub tau2: f64,
    /// Strong convexity, at least 0, for the weights of the snapshot's mean.
    #[serde(default)]
    pub sigma: f64,
    /// L2 weight decay, at least 0.
    #[serde(default)]
    pub weight_decay: f64,
}

impl Katyusha {
    fn default_tau1() -> f64 {
        Self::new(0.0).tau1
    }

    fn default_tau2() -> f64 {
        Self::new(0.0).tau2
    }

    /// With tau1 = tau2 = 1/2 and sigma = 0: what the paper has where strong convexity is large, and a plain mean.
    pub fn new(lr: f64) -> Self {
        Self { lr, tau1: 0.5, tau2: 0.5, sigma: 0.0, weight_decay: 0.0 }
    }

    /// With the paper's constants for samples whose gradients have the Lipschitz constant `smoothness` (L) at most, a loss of
    /// the strong convexity `sigma` and cycles of m steps: `lr = 1/(3L)`, `tau1 = min(sqrt(m sigma / (3L)), 1/2)`,
    /// `tau2 = 1/2`.
    pub fn of(smoothness: f64, sigma: f64, m: u32) -> Self {
        let tau1 = (f64::from(m) * sigma / (3.0 * smoothness)).sqrt().min(0.5);
        Self { lr: (3.0 * smoothness).recip(), tau1, tau2: 0.5, sigma, weight_decay: 0.0 }
    }

    /// With this share of z.
    pub fn tau1(self, tau1: f64) -> Self {
        Self { tau1, ..self }
    }

    /// With this share of the snapshot.
    pub fn tau2(self, tau2: f64) -> Self {
        Self { tau2, ..self }
    }

    /// With this strong convexity.
    pub fn sigma(self, sigma: f64) -> Self {
        Self { sigma, ..self }
    }

    /// With this L2 weight decay.
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }
}

impl Listed for Katyusha {
    const ENTRY: Entry = Entry {
        name: "katyusha",
        title: "Katyusha",
        kinds: &[Kind::new("katyusha", "Accelerated SVRG, pulled back at every step", 0.05, |lr| {
            Box::new(Self::new(lr))
        })],
        asks_count: false,
    };
}

impl Rule for Katyusha {
    fn name(&self) -> &str {
        "katyusha"
    }

    fn wgsl(&self) -> &str {
        include_str!("../../shaders/rules/katyusha.wgsl")
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zero("z"), Slot::zero("mean"), Slot::zero("mean_weight")]
    }

    fn learning_rate(&self) -> f64 {
        self.lr
    }

    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::L2(self.weight_decay)
    }

    fn hyperparameters(&self) -> Vec<(&'static str, f64)> {
        vec![("tau1", self.tau1), ("tau2", self.tau2), ("sigma", self.sigma)]
    }

    fn with_hyperparameters(&self, value: &dyn Fn(&str) -> Option<f64>) -> Option<Box<dyn Rule>> {
        let (tau1, tau2, sigma) = (value("tau1")?, value("tau2")?, value("sigma")?);
        Some(Box::new(Self { tau1, tau2, sigma, ..self.clone() }))
    }

    fn hyper(&self, count: u64, out: &mut Vec<f32>) {
        let begun = if count == 1 { 0.0 } else { 1.0 };
        let (tau1, tau2) = (self.tau1, self.tau2);
        out.extend(
            [tau1, tau2, 1.0 - tau1 - tau2, tau1.recip(), self.sigma, begun].map(|value| value as f32),
        );
    }

    fn update(&self, step: &Step, weight: f64, gradient: f64, state: &mut [f64]) -> f64 {
        let alpha = step.learning_rate / self.tau1;
        let z = if step.count == 1 { weight } else { state[0] } - alpha * gradient;
        let y = weight - step.learning_rate * gradient;
        let sum = state[2] / (1.0 + alpha * self.sigma) + 1.0;
        state[0] = z;
        state[1] += (y - state[1]) / sum;
        state[2] = sum;
        self.tau1 * z + self.tau2 * step.anchor + (1.0 - self.tau1 - self.tau2) * y
    }

    fn anchored(&self) -> bool {
        true
    }

    fn snapshot(&self, _weight: f64, state: &mut [f64]) -> f64 {
        state[2] = 0.0;
        state[1]
    }

    fn shifted(&self, weight: f64, before: f64, after: f64) -> f64 {
        weight + self.tau2 * (after - before)
    }

    fn check(&self) -> Result<(), Error> {
        check_learning_rate(self.lr)?;
        check_hyperparameter("tau1", self.tau1, |tau1| (1e-6..=1.0).contains(&tau1), "in [1e-6, 1]")?;
        let fits = |tau2: f64| tau2 >= 0.0 && self.tau1 + tau2 <= 1.0;
        check_hyperparameter("tau2", self.tau2, fits, "in [0, 1 - tau1]")?;
        check_hyperparameter("sigma", self.sigma, |sigma| sigma >= 0.0, "finite and at least 0")
    }
}
