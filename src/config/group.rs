//! Groups of tensors with settings of their own.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, check_hyperparameter},
    rules::Rule,
};

/// The group of every tensor that names none.
pub const DEFAULT_GROUP: &str = "default";

/// A group of tensors with settings of its own; what is left out is the optimizer's.
///
/// ```
/// use lookahead_wgpu::{Group, rules::Sgd};
/// let slow_start = Group::new("embedding").learning_rate_factor(0.1).weight_decay(0.0);
/// let another_rule = Group::new("head").rule(Sgd::new(0.1)).k(10).alpha(0.8);
/// ```
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) rule: Option<Box<dyn Rule>>,
    #[serde(rename = "learning_rate_factor", default = "Group::default_factor")]
    pub(crate) factor: f64,
    #[serde(default)]
    pub(crate) weight_decay: Option<f64>,
    #[serde(default)]
    pub(crate) k: Option<u32>,
    #[serde(default)]
    pub(crate) alpha: Option<f64>,
    #[serde(default)]
    pub(crate) frozen: bool,
}

impl Group {
    fn default_factor() -> f64 {
        1.0
    }

    /// A group with this name.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            rule: None,
            factor: 1.0,
            weight_decay: None,
            k: None,
            alpha: None,
            frozen: false,
        }
    }

    /// With this rule, of the same kind as the optimizer's or another.
    pub fn rule(self, rule: impl Rule + 'static) -> Self {
        Self { rule: Some(Box::new(rule)), ..self }
    }

    /// With the learning rate multiplied by this factor, at least 0.
    pub fn learning_rate_factor(self, factor: f64) -> Self {
        Self { factor, ..self }
    }

    /// With this weight decay, of the rule's kind (L2 or decoupled).
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay: Some(weight_decay), ..self }
    }

    /// With this synchronisation period.
    pub fn k(self, k: u32) -> Self {
        Self { k: Some(k), ..self }
    }

    /// With this slow step size.
    pub fn alpha(self, alpha: f64) -> Self {
        Self { alpha: Some(alpha), ..self }
    }

    /// Frozen: no inner steps. A group that is frozen within a cycle ends it with its sync (at once with
    /// [`sync_now`](crate::Optimizer::sync_now)), so that fast and slow weights are equal; from then on no bit of its
    /// weights, slow weights, state and outer step's buffers changes, and unfrozen it begins a new cycle. Its gradients
    /// are not looked at. An [average](crate::average) of its weights goes on, towards the weights as they stay.
    pub fn frozen(self) -> Self {
        Self { frozen: true, ..self }
    }
}

pub(crate) fn check_factor(factor: f64) -> Result<(), Error> {
    check_hyperparameter("learning rate factor", factor, |factor| factor >= 0.0, "finite and at least 0")
}
