//! What a rule is, and what the driver asks of it.

use std::any::Any;

use crate::error::{Error, check_hyperparameter};

/// What the f64 twin of a rule is told of the step it takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// t, counted from 1 since the state was last initialised: what bias corrections need.
    pub count: u64,
    /// The learning rate of this step, with schedule and group factor in it; `control.lr` in WGSL.
    pub learning_rate: f64,
    /// The weight decay that is the rule's own to apply ([`WeightDecay::Direction`]); `control.decay`.
    pub decay: f64,
    /// The tensor's trust ratio, where the rule has a [`Trust`], else 1; `trust` in WGSL.
    pub trust: f64,
    /// The slow weight, of a rule that is [anchored](Rule::anchored); `la_anchor` in WGSL.
    pub anchor: f64,
}

/// The trust ratio of a tensor (LARS, LAMB), with `w` its weights and `u` what the rule's `measure` gives for
/// them: `coefficient ||w|| / (||u|| + eps)`, and 1 where either norm is zero. Norms of any size are right, and a NaN
/// in either makes the ratio NaN. A ratio beyond f32's largest number counts as that.
///
/// The rule's WGSL then holds `fn measure(w: vec4f, g: vec4f) -> vec4f` too, which is called for all weights of
/// the tensor before any `update`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trust {
    /// The coefficient.
    pub coefficient: f64,
    /// Added to the norm of `u`.
    pub eps: f64,
    /// `measure` changes the state, and `update` sees it changed.
    pub measure_stores: bool,
}

/// Where a rule keeps its second moment: a running mean of squared gradients, which is a diagonal estimate of
/// the curvature (the empirical Fisher) for the adaptive slow step size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SecondMoment {
    /// The index of the slot.
    pub slot: usize,
    /// What divides the slot to give the bias-corrected moment, `1 - beta2^t`; 1 where it has no bias.
    pub bias_correction: f64,
    /// What the rule adds to the square root.
    pub eps: f64,
}

/// A second moment that the driver keeps (AdaFactor): of a tensor with two dimensions that are large enough,
/// its means by row and by column, and of any other the whole. The rule's `update` is given the gradient over the
/// root of it, clipped and scaled.
///
/// The first two members of the rule's `Hyper` are then `decay` and `1 - decay`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Factored {
    /// How much of the moment stays at the step, in [0, 1]; 0 at the first.
    pub decay: f64,
    /// Added to squared gradients, above 0.
    pub eps: f64,
    /// The least size of the two dimensions that are factored, at least 1.
    pub least_dimension: usize,
    /// Bounds the root mean square of each tensor's gradient over the root of its moment; above 0.
    pub clipping_threshold: Option<f64>,
    /// What the rule is given is multiplied with the root mean square of the tensor's weights, of 1e-3 at
    /// least.
    pub scales_by_weights: bool,
}

impl Factored {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let is_normal = |eps| eps >= f64::from(f32::MIN_POSITIVE);
        check_hyperparameter("eps", self.eps, is_normal, "at least 1.2e-38")?;
        let size = self.least_dimension as f64;
        check_hyperparameter("min_dim_size_to_factor", size, |size| size >= 1.0, "at least 1")?;
        let threshold = self.clipping_threshold.unwrap_or(1.0);
        check_hyperparameter(
            "clipping_threshold",
            threshold,
            |threshold| threshold > 0.0,
            "finite and above 0",
        )
    }
}

/// One state slot of a rule: as many values as there are weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    /// The name, PyTorch's where PyTorch has it (`exp_avg`).
    pub name: &'static str,
    /// The value at the start and after a reset.
    pub initial: f32,
}

impl Slot {
    /// A slot that starts at zero.
    pub const fn zero(name: &'static str) -> Self {
        Self { name, initial: 0.0 }
    }
}

/// Weight decay, which the driver applies before the rule sees weight and gradient.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum WeightDecay {
    /// None.
    #[default]
    None,
    /// `g <- g + decay * w` (L2 regularisation).
    L2(f64),
    /// `w <- w - lr * decay * w` (AdamW).
    Decoupled(f64),
    /// `control.decay`, which the rule adds to its direction itself (LAMB: before the trust ratio).
    Direction(f64),
}

impl WeightDecay {
    /// The factor, 0 for none.
    pub fn factor(self) -> f64 {
        match self {
            Self::None => 0.0,
            Self::L2(factor) | Self::Decoupled(factor) | Self::Direction(factor) => factor,
        }
    }

    /// The same kind with another factor; none becomes L2.
    pub fn with_factor(self, factor: f64) -> Self {
        match self {
            Self::None | Self::L2(_) => Self::L2(factor),
            Self::Decoupled(_) => Self::Decoupled(factor),
            Self::Direction(_) => Self::Direction(factor),
        }
    }

    pub(crate) fn check(self) -> Result<(), Error> {
        let factor = self.factor();
        check_hyperparameter("weight_decay", factor, |factor| factor >= 0.0, "finite and at least 0")
    }
}

/// An inner optimizer; the [module's page](crate::rules) says what its WGSL must hold.
pub trait Rule: Any + std::fmt::Debug + Send + Sync {
    /// The name, for messages and snapshots.
    fn name(&self) -> &str;

    /// `struct Hyper` (left out where [`Rule::hyper`] pushes nothing) and `fn update`.
    fn wgsl(&self) -> &str;

    /// The state slots, in the order of `state[0]`, `state[1]`, ...; at most [`MAX_SLOTS`].
    fn slots(&self) -> Vec<Slot>;

    /// The learning rate, before schedule and group factor.
    fn learning_rate(&self) -> f64;

    /// The weight decay.
    fn weight_decay(&self) -> WeightDecay {
        WeightDecay::None
    }

    /// The hyperparameters besides learning rate and weight decay, by name: what a
    /// [`Snapshot`](crate::Snapshot) keeps of the rule, so that those that [`set_rule`](crate::Optimizer::set_rule)
    /// changed come back. Truth values are 0 and 1. None by default: after an import they are as built then.
    fn hyperparameters(&self) -> Vec<(&'static str, f64)> {
        vec![]
    }

    /// The same rule with other values of all that [`hyperparameters`](Self::hyperparameters) names; none where one is
    /// missing or cannot be taken. [`check`](Self::check) sees to their ranges.
    fn with_hyperparameters(&self, value: &dyn Fn(&str) -> Option<f64>) -> Option<Box<dyn Rule>> {
        let _ = value;
        None
    }

    /// Pushes the members of `Hyper`, in their order, for the step with this count (t, from 1). What depends
    /// on the count alone (bias corrections) is computed here, in f64, not once per weight. They must be finite
    /// and as many at every count: a step at which they are not is refused.
    fn hyper(&self, count: u64, out: &mut Vec<f32>);

    /// The f64 twin of the WGSL `update`, for one weight.
    fn update(&self, step: &Step, weight: f64, gradient: f64, state: &mut [f64]) -> f64;

    /// The second moment after the step with this count, if the rule keeps one.
    fn second_moment(&self, count: u64) -> Option<SecondMoment> {
        let _ = count;
        None
    }

    /// The trust ratio, if the rule scales each tensor's step by one.
    fn trust(&self) -> Option<Trust> {
        None
    }

    /// The second moment that the driver keeps, at the step with this count, if the rule wants it.
    fn factored(&self, count: u64) -> Option<Factored> {
        let _ = count;
        None
    }

    /// The f64 twin of the WGSL `measure`, for one weight; what it does where the rule has a [`Trust`].
    fn measure(&self, step: &Step, weight: f64, gradient: f64, state: &mut [f64]) -> f64 {
        let _ = (step, weight, state);
        gradient
    }

    /// The rule wants its gradients centralised (Ranger).
    fn centralises(&self) -> bool {
        false
    }

    /// The rule's steps read the slow weights (Katyusha): its WGSL knows them as `la_anchor`, and holds two functions more,
    /// which the driver calls at a sync. `fn snapshot() -> vec4f` gives from the state what is taken for the fast weights
    /// there, and may change the state; `fn shifted(w: vec4f, before: vec4f, after: vec4f) -> vec4f` gives the weights that go
    /// on, of w as the slow weights move. Such a rule needs Lookahead around it, with the policy maintain.
    fn anchored(&self) -> bool {
        false
    }

    /// The f64 twin of the WGSL `snapshot`, for one weight.
    fn snapshot(&self, weight: f64, state: &mut [f64]) -> f64 {
        let _ = state;
        weight
    }

    /// The f64 twin of the WGSL `shifted`, for one weight.
    fn shifted(&self, weight: f64, before: f64, after: f64) -> f64 {
        let _ = (weight, before);
        after
    }

    /// Refuses hyperparameters outside their ranges.
    ///
    /// # Errors
    ///
    /// [`Error::Hyperparameter`]; [`check_hyperparameter`] makes one.
    fn check(&self) -> Result<(), Error>;
}

impl Rule for Box<dyn Rule> {
    fn name(&self) -> &str {
        (**self).name()
    }
    fn wgsl(&self) -> &str {
        (**self).wgsl()
    }
    fn slots(&self) -> Vec<Slot> {
        (**self).slots()
    }
    fn learning_rate(&self) -> f64 {
        (**self).learning_rate()
    }
    fn weight_decay(&self) -> WeightDecay {
        (**self).weight_decay()
    }
    fn hyperparameters(&self) -> Vec<(&'static str, f64)> {
        (**self).hyperparameters()
    }
    fn with_hyperparameters(&self, value: &dyn Fn(&str) -> Option<f64>) -> Option<Box<dyn Rule>> {
        (**self).with_hyperparameters(value)
    }
    fn hyper(&self, count: u64, out: &mut Vec<f32>) {
        (**self).hyper(count, out);
    }
    fn update(&self, step: &Step, weight: f64, gradient: f64, state: &mut [f64]) -> f64 {
        (**self).update(step, weight, gradient, state)
    }
    fn second_moment(&self, count: u64) -> Option<SecondMoment> {
        (**self).second_moment(count)
    }
    fn trust(&self) -> Option<Trust> {
        (**self).trust()
    }
    fn factored(&self, count: u64) -> Option<Factored> {
        (**self).factored(count)
    }
    fn measure(&self, step: &Step, weight: f64, gradient: f64, state: &mut [f64]) -> f64 {
        (**self).measure(step, weight, gradient, state)
    }
    fn centralises(&self) -> bool {
        (**self).centralises()
    }
    fn anchored(&self) -> bool {
        (**self).anchored()
    }
    fn snapshot(&self, weight: f64, state: &mut [f64]) -> f64 {
        (**self).snapshot(weight, state)
    }
    fn shifted(&self, weight: f64, before: f64, after: f64) -> f64 {
        (**self).shifted(weight, before, after)
    }
    fn check(&self) -> Result<(), Error> {
        (**self).check()
    }
}

/// The most state slots that a rule may have.
pub const MAX_SLOTS: usize = 8;

/// The most members that a rule's `Hyper` may have.
pub const MAX_HYPER: usize = 64;

/// The larger of two numbers, and NaN where one is; `f64::max` would give the other.
pub(crate) fn maximum(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

/// The smaller of two numbers, and NaN where one is.
pub(crate) fn minimum(a: f64, b: f64) -> f64 {
    -maximum(-a, -b)
}

pub(crate) fn check_learning_rate(lr: f64) -> Result<(), Error> {
    check_hyperparameter("lr", lr, |lr| lr >= 0.0, "finite and at least 0")
}

/// A truth value as [`Rule::hyperparameters`] gives it.
pub(super) fn truth(value: f64) -> Option<bool> {
    match value {
        0.0 => Some(false),
        1.0 => Some(true),
        _ => None,
    }
}
