//! Groups of tensors with settings of their own.

use crate::{
    error::{Error, check_hyperparameter},
    lookahead::{Clock, Lookahead},
    rules::{Rule, WeightDecay},
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
#[derive(Debug)]
pub struct Group {
    pub(crate) name: String,
    pub(crate) rule: Option<Box<dyn Rule>>,
    pub(crate) factor: f64,
    pub(crate) weight_decay: Option<f64>,
    pub(crate) k: Option<u32>,
    pub(crate) alpha: Option<f64>,
    pub(crate) frozen: bool,
}

impl Group {
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

/// A group at work: its settings, whole, and where it stands.
#[derive(Debug)]
pub(crate) struct GroupState {
    pub name: String,
    pub rule: std::sync::Arc<dyn Rule>,
    pub learning_rate: f64,
    pub factor: f64,
    pub weight_decay: WeightDecay,
    pub lookahead: Option<Lookahead>,
    pub frozen: bool,
    pub clock: Clock,
    /// How many members the rule's `Hyper` has.
    pub hypers: u32,
}

impl GroupState {
    /// The group's settings over the optimizer's.
    pub fn new(
        group: Group,
        rule: &std::sync::Arc<dyn Rule>,
        lookahead: Option<Lookahead>,
    ) -> Result<Self, Error> {
        let rule = group.rule.map_or_else(|| rule.clone(), std::sync::Arc::from);
        let weight_decay = match group.weight_decay {
            Some(factor) => rule.weight_decay().with_factor(factor),
            None => rule.weight_decay(),
        };
        if lookahead.is_none() && (group.k.is_some() || group.alpha.is_some()) {
            return Err(Error::NoLookahead { of: format!("the group `{}`", group.name) });
        }
        let lookahead = lookahead.map(|lookahead| Lookahead {
            k: group.k.unwrap_or(lookahead.k),
            alpha: group.alpha.unwrap_or(lookahead.alpha),
            ..lookahead
        });
        check_factor(group.factor)?;
        weight_decay.check()?;
        crate::kernels::check(rule.as_ref())?;
        lookahead.map_or(Ok(()), |lookahead| lookahead.check())?;
        let mut hyper = Vec::new();
        rule.hyper(1, &mut hyper);
        Ok(Self {
            name: group.name,
            hypers: hyper.len() as u32,
            learning_rate: rule.learning_rate(),
            rule,
            factor: group.factor,
            weight_decay,
            lookahead,
            frozen: group.frozen,
            clock: Clock::new(),
        })
    }
}

impl GroupState {
    /// Pushes the rule's `Hyper` for the step with this count, if it is as many finite members as there are.
    pub fn hyper(&self, count: u64, out: &mut Vec<f32>) -> Result<(), Error> {
        self.rule.hyper(count, out);
        crate::kernels::check_hyper(self.rule.as_ref(), count, self.hypers as usize, out)
    }

    /// The learning rate of a step at which the schedule gives `factor`.
    pub fn learning_rate_at(&self, factor: f64) -> f64 {
        self.learning_rate * self.factor * factor
    }
}

pub(crate) fn check_factor(factor: f64) -> Result<(), Error> {
    check_hyperparameter("learning rate factor", factor, |factor| factor >= 0.0, "finite and at least 0")
}
