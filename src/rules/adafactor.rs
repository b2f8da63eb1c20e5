//! AdaFactor, as `optax.adafactor`.

use serde::{Deserialize, Serialize};

use super::{
    entry::{Entry, Kind, Listed},
    rule::{Factored, Rule, Slot, Step, WeightDecay, check_learning_rate, truth},
};
use crate::error::{Error, check_hyperparameter};

/// AdaFactor (Shazeer and Stern, 2018) as `optax.adafactor`:
///
/// ```text
/// r <- b r + (1 - b) mean of (g^2 + eps) by row;   c the same by column;   b = 1 - t^-decay_rate
/// u  = g / sqrt(r c / mean(r))                         (a tensor that is not factored: g / sqrt(v))
/// w <- w - lr max(rms(w), 1e-3) u / max(1, rms(u) / clipping_threshold)
/// ```
///
/// A tensor whose two largest dimensions are of `min_dim_size_to_factor` or more is taken as matrices of these
/// dimensions, and only r and c are kept; of all others, v is, the mean of each squared gradient. Momentum keeps
/// a mean of the steps, one more value a weight. Weight decay is `lr weight_decay w`, as of
/// `torch.optim.Adafactor`; optax's `weight_decay_rate` is the product of both.
///
/// The second moments of all tensors lie in one binding (128 MiB by wgpu's default limits).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AdaFactor {
    /// Learning rate, at least 0.
    pub lr: f64,
    /// How fast the decay of the second moment goes towards 1, above 0.
    #[serde(default = "AdaFactor::default_decay_rate")]
    pub decay_rate: f64,
    /// Added to squared gradients, above 0.
    #[serde(default = "AdaFactor::default_eps")]
    pub eps: f64,
    /// The least size of the two dimensions that are factored, at least 1.
    #[serde(default = "AdaFactor::default_min_dim_size_to_factor")]
    pub min_dim_size_to_factor: usize,
    /// Bounds the root mean square of each tensor's u; above 0.
    #[serde(default = "AdaFactor::default_clipping_threshold")]
    pub clipping_threshold: Option<f64>,
    /// Steps are relative to the root mean square of each tensor's weights.
    #[serde(default = "AdaFactor::default_multiply_by_parameter_scale")]
    pub multiply_by_parameter_scale: bool,
    /// The learning rate is `1 / sqrt(t)` at most.
    #[serde(default)]
    pub relative_step: bool,
    /// Decay of the mean of the steps, in [0, 1); 0 for none.
    #[serde(default)]
    pub momentum: f64,
    /// Decoupled weight decay, at least 0.
    #[serde(default)]
    pub weight_decay: f64,
}

impl AdaFactor {
    fn default_decay_rate() -> f64 {
        Self::new(0.0).decay_rate
    }

    fn default_eps() -> f64 {
        Self::new(0.0).eps
    }

    fn default_min_dim_size_to_factor() -> usize {
        Self::new(0.0).min_dim_size_to_factor
    }

    fn default_clipping_threshold() -> Option<f64> {
        Self::new(0.0).clipping_threshold
    }

    fn default_multiply_by_parameter_scale() -> bool {
        Self::new(0.0).multiply_by_parameter_scale
    }

    /// optax's defaults: decay rate 0.8, eps 1e-30, dimensions of 128 and more factored, clipping at 1, steps
    /// relative to the weights, no momentum, no weight decay.
    pub fn new(lr: f64) -> Self {
        Self {
            lr,
            decay_rate: 0.8,
            eps: 1e-30,
            min_dim_size_to_factor: 128,
            clipping_threshold: Some(1.0),
            multiply_by_parameter_scale: true,
            relative_step: false,
            momentum: 0.0,
            weight_decay: 0.0,
        }
    }

    /// With the decay `1 - t^-decay_rate` of the second moment.
    pub fn decay_rate(self, decay_rate: f64) -> Self {
        Self { decay_rate, ..self }
    }

    /// With this eps.
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// With tensors factored whose two largest dimensions are of this size or more.
    pub fn min_dim_size_to_factor(self, size: usize) -> Self {
        Self { min_dim_size_to_factor: size, ..self }
    }

    /// With this bound of each tensor's u, or none.
    pub fn clipping_threshold(self, threshold: Option<f64>) -> Self {
        Self { clipping_threshold: threshold, ..self }
    }

    /// With steps relative to the weights, or not.
    pub fn multiply_by_parameter_scale(self, multiply: bool) -> Self {
        Self { multiply_by_parameter_scale: multiply, ..self }
    }

    /// With a learning rate of `1 / sqrt(t)` at most, as the paper's and `torch.optim.Adafactor`'s.
    pub fn relative_step(self, relative: bool) -> Self {
        Self { relative_step: relative, ..self }
    }

    /// With this momentum.
    pub fn momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// With this decoupled weight decay.
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }

    /// The largest learning rate of the step with this count.
    fn most(&self, count: u64) -> f64 {
        if self.relative_step { (count.max(1) as f64).sqrt().recip() } else { f64::from(f32::MAX) }
    }

    /// 1 - the decay of the second moment.
    fn fresh(&self, count: u64) -> f64 {
        (count.max(1) as f64).powf(-self.decay_rate)
    }
}

impl Listed for AdaFactor {
    const ENTRY: Entry = Entry {
        name: "adafactor",
        title: "AdaFactor",
        kinds: &[
            Kind::new("adafactor", "AdaFactor", 0.03, |lr| Box::new(Self::new(lr))),
            Kind::new("adafactor_momentum", "AdaFactor with momentum 0.9", 0.03, |lr| {
                Box::new(Self::new(lr).momentum(0.9))
            }),
        ],
        asks_count: true,
    };
}

impl Rule for AdaFactor {
    fn name(&self) -> &str {
        "adafactor"
    }

    fn wgsl(&self) -> &str {
        if self.momentum > 0.0 {
            include_str!("../../shaders/rules/adafactor_momentum.wgsl")
        } else {
            include_str!("../../shaders/rules/adafactor.wgsl")
        }
    }

    fn slots(&self) -> Vec<Slot> {
        (self.momentum > 0.0).then(|| Slot::zero("exp_avg")).into_iter().collect()
    }

    fn learning_rate(&self) -> f64 {
        self.lr
    }

    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::Decoupled(self.weight_decay)
    }

    fn hyperparameters(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("decay_rate", self.decay_rate),
            ("eps", self.eps),
            ("min_dim_size_to_factor", self.min_dim_size_to_factor as f64),
            // None bounds nothing.
            ("clipping_threshold", self.clipping_threshold.unwrap_or(f64::INFINITY)),
            ("multiply_by_parameter_scale", f64::from(u8::from(self.multiply_by_parameter_scale))),
            ("relative_step", f64::from(u8::from(self.relative_step))),
            ("momentum", self.momentum),
        ]
    }

    fn with_hyperparameters(&self, value: &dyn Fn(&str) -> Option<f64>) -> Option<Box<dyn Rule>> {
        Some(Box::new(Self {
            decay_rate: value("decay_rate")?,
            eps: value("eps")?,
            min_dim_size_to_factor: value("min_dim_size_to_factor")? as usize,
            clipping_threshold: Some(value("clipping_threshold")?).filter(|bound| *bound != f64::INFINITY),
            multiply_by_parameter_scale: truth(value("multiply_by_parameter_scale")?)?,
            relative_step: truth(value("relative_step")?)?,
            momentum: value("momentum")?,
            ..self.clone()
        }))
    }

    fn hyper(&self, count: u64, out: &mut Vec<f32>) {
        let fresh = self.fresh(count);
        out.extend([1.0 - fresh, fresh, self.most(count)].map(|value| value as f32));
        if self.momentum > 0.0 {
            out.extend([self.momentum, 1.0 - self.momentum].map(|value| value as f32));
        }
    }

    fn update(&self, step: &Step, weight: f64, gradient: f64, state: &mut [f64]) -> f64 {
        let moved = step.learning_rate.min(self.most(step.count)) * gradient;
        let Some(mean) = state.first_mut() else { return weight - moved };
        *mean = self.momentum * *mean + (1.0 - self.momentum) * moved;
        weight - *mean
    }

    fn factored(&self, count: u64) -> Option<Factored> {
        Some(Factored {
            decay: 1.0 - self.fresh(count),
            eps: self.eps,
            least_dimension: self.min_dim_size_to_factor,
            clipping_threshold: self.clipping_threshold,
            scales_by_weights: self.multiply_by_parameter_scale,
        })
    }

    fn check(&self) -> Result<(), Error> {
        check_learning_rate(self.lr)?;
        check_hyperparameter("decay_rate", self.decay_rate, |rate| rate > 0.0, "finite and above 0")?;
        check_hyperparameter(
            "momentum",
            self.momentum,
            |momentum| (0.0..1.0).contains(&momentum),
            "in [0, 1)",
        )
    }
}
