//! RMSprop, centred or not, with or without momentum, as `torch.optim.RMSprop`.

use serde::{Deserialize, Serialize};

use super::{
    adam::check_eps,
    entry::{Entry, Kind, Listed},
    rule::{Rule, SecondMoment, Slot, Step, WeightDecay, check_learning_rate, maximum},
};
use crate::error::{Error, check_hyperparameter};

/// RMSprop (Tieleman and Hinton, 2012; centred: Graves, 2013) as `torch.optim.RMSprop`, with L2 weight decay:
///
/// ```text
/// g <- g + weight_decay w
/// v <- alpha v + (1 - alpha) g^2
/// a <- alpha a + (1 - alpha) g               (centred; a = 0 otherwise)
/// b <- momentum b + g / (sqrt(v - a^2) + eps)
/// w <- w - lr b
/// ```
///
/// The slots `grad_avg` (a) and `momentum_buffer` (b) are there only where they are needed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RmsProp {
    /// Learning rate, at least 0.
    pub lr: f64,
    /// Decay of the means, in [0, 1).
    pub alpha: f64,
    /// Added to the denominator, outside the square root, at least 0.
    pub eps: f64,
    /// Momentum, at least 0; 0 needs no buffer.
    pub momentum: f64,
    /// Divides by the gradient's standard deviation instead of its root mean square.
    pub centered: bool,
    /// L2 weight decay, at least 0.
    pub weight_decay: f64,
}

impl RmsProp {
    /// PyTorch's defaults: alpha 0.99, eps 1e-8, not centred, no momentum, no weight decay.
    pub fn new(lr: f64) -> Self {
        Self { lr, alpha: 0.99, eps: 1e-8, momentum: 0.0, centered: false, weight_decay: 0.0 }
    }

    /// With this decay of the means.
    pub fn alpha(self, alpha: f64) -> Self {
        Self { alpha, ..self }
    }

    /// With this eps.
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// With this momentum.
    pub fn momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// Centred, or not.
    pub fn centered(self, centered: bool) -> Self {
        Self { centered, ..self }
    }

    /// With this L2 weight decay.
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }

    fn has_momentum(&self) -> bool {
        self.momentum != 0.0
    }
}

impl Default for RmsProp {
    /// PyTorch's: lr 0.01.
    fn default() -> Self {
        Self::new(1e-2)
    }
}

impl Listed for RmsProp {
    const ENTRY: Entry = Entry {
        name: "rmsprop",
        title: "RMSprop",
        kinds: &[
            Kind::new("rmsprop", "RMSprop", 0.003, |lr| Box::new(Self::new(lr))),
            Kind::new("rmsprop_momentum", "RMSprop with momentum 0.9", 0.0003, |lr| {
                Box::new(Self::new(lr).momentum(0.9))
            }),
            Kind::new("rmsprop_centered", "Centred RMSprop", 0.003, |lr| {
                Box::new(Self::new(lr).centered(true))
            }),
            Kind::new("rmsprop_centered_momentum", "Centred RMSprop with momentum 0.9", 0.0003, |lr| {
                Box::new(Self::new(lr).centered(true).momentum(0.9))
            }),
        ],
        asks_count: false,
    };
}

impl Rule for RmsProp {
    fn name(&self) -> &str {
        match (self.centered, self.has_momentum()) {
            (false, false) => "rmsprop",
            (false, true) => "rmsprop_momentum",
            (true, false) => "rmsprop_centered",
            (true, true) => "rmsprop_centered_momentum",
        }
    }

    fn wgsl(&self) -> &str {
        match (self.centered, self.has_momentum()) {
            (false, false) => include_str!("../../shaders/rules/rmsprop.wgsl"),
            (false, true) => include_str!("../../shaders/rules/rmsprop_momentum.wgsl"),
            (true, false) => include_str!("../../shaders/rules/rmsprop_centered.wgsl"),
            (true, true) => include_str!("../../shaders/rules/rmsprop_centered_momentum.wgsl"),
        }
    }

    fn slots(&self) -> Vec<Slot> {
        let mut slots = vec![Slot::zero("square_avg")];
        slots.extend(self.centered.then(|| Slot::zero("grad_avg")));
        slots.extend(self.has_momentum().then(|| Slot::zero("momentum_buffer")));
        slots
    }

    fn learning_rate(&self) -> f64 {
        self.lr
    }

    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::L2(self.weight_decay)
    }

    fn hyperparameters(&self) -> Vec<(&'static str, f64)> {
        let mut all = vec![("alpha", self.alpha), ("eps", self.eps)];
        all.extend(self.has_momentum().then_some(("momentum", self.momentum)));
        all
    }

    fn with_hyperparameters(&self, value: &dyn Fn(&str) -> Option<f64>) -> Option<Box<dyn Rule>> {
        let momentum = if self.has_momentum() { value("momentum")? } else { 0.0 };
        Some(Box::new(Self { alpha: value("alpha")?, eps: value("eps")?, momentum, ..self.clone() }))
    }

    fn hyper(&self, _count: u64, out: &mut Vec<f32>) {
        out.extend([self.alpha, 1.0 - self.alpha, self.eps].map(|value| value as f32));
        out.extend(self.has_momentum().then_some(self.momentum as f32));
    }

    fn update(&self, step: &Step, weight: f64, gradient: f64, state: &mut [f64]) -> f64 {
        let mean = |past: f64, new: f64| self.alpha * past + (1.0 - self.alpha) * new;
        state[0] = mean(state[0], gradient * gradient);
        let mut variance = state[0];
        if self.centered {
            state[1] = mean(state[1], gradient);
            variance = maximum(variance - state[1] * state[1], 0.0);
        }
        let mut direction = gradient / (variance.sqrt() + self.eps);
        if let (true, Some(buffer)) = (self.has_momentum(), state.last_mut()) {
            *buffer = self.momentum * *buffer + direction;
            direction = *buffer;
        }
        weight - step.learning_rate * direction
    }

    fn second_moment(&self, _count: u64) -> Option<SecondMoment> {
        Some(SecondMoment { slot: 0, bias_correction: 1.0, eps: self.eps })
    }

    fn check(&self) -> Result<(), Error> {
        check_learning_rate(self.lr)?;
        check_hyperparameter("alpha", self.alpha, |alpha| (0.0..1.0).contains(&alpha), "in [0, 1)")?;
        check_eps(self.eps)?;
        check_hyperparameter("momentum", self.momentum, |momentum| momentum >= 0.0, "finite and at least 0")
    }
}
