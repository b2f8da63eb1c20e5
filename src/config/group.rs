//! Groups of tensors with settings of their own.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    error::{Error, check_hyperparameter, list},
    rules::{self, Rule, Settings},
};

/// The group of every tensor that names none.
pub const DEFAULT_GROUP: &str = "default";

/// A group of tensors with settings of its own; what is left out is the optimizer's.
///
/// ```
/// use lookahead_wgpu::{Group, rules::Sgd};
/// let slow_start = Group::new("embedding").learning_rate_factor(0.1).weight_decay(0.0);
/// let another_rule = Group::new("head").rule(Sgd::new(0.1)).k(10).alpha(0.8);
/// let other_betas = Group::new("norms").hyperparameter("betas", (0.9, 0.95)).hyperparameter("amsgrad", true);
/// ```
///
/// As a parameter group of PyTorch may override any hyperparameter, so may a group here: the learning rate
/// ([`learning_rate`](Self::learning_rate)), [`weight_decay`](Self::weight_decay), [`maximize`](Self::maximize), and by
/// [`hyperparameter`](Self::hyperparameter) all others, those that need other kernels or other state among them. What such
/// a group does not override is the optimizer's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) rule: Option<Box<dyn Rule>>,
    #[serde(default, skip_serializing_if = "Overrides::is_empty")]
    pub(crate) hyperparameters: Overrides,
    #[serde(default)]
    pub(crate) learning_rate: Option<f64>,
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
    #[serde(default)]
    pub(crate) maximize: Option<bool>,
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
            hyperparameters: Overrides::default(),
            learning_rate: None,
            factor: 1.0,
            weight_decay: None,
            k: None,
            alpha: None,
            frozen: false,
            maximize: None,
        }
    }

    /// With this rule, of the same kind as the optimizer's or another.
    pub fn rule(self, rule: impl Rule + 'static) -> Self {
        Self { rule: Some(Box::new(rule)), ..self }
    }

    /// With this hyperparameter over the rule's, be it the group's own or the optimizer's. It is named as the field of the
    /// rule's type (`betas`, `eps`, `momentum`, `nesterov`, `amsgrad`, ...), or as [`Rule::hyperparameters`] has it
    /// (`beta2`), as those of a rule of one's own are.
    ///
    /// Building is an error where the rule has no such hyperparameter, or it is of another kind.
    pub fn hyperparameter(mut self, name: &str, value: impl Into<Hyperparameter>) -> Self {
        self.hyperparameters.values.insert(name.to_owned(), value.into());
        self.hyperparameters.over = Some(Hyperparameter::over);
        self
    }

    /// With this learning rate, at least 0, instead of the rule's. [`learning_rate_factor`](Self::learning_rate_factor)
    /// multiplies it.
    pub fn learning_rate(self, lr: f64) -> Self {
        Self { learning_rate: Some(lr), ..self }
    }

    /// With the objective maximised for these tensors, or not, whatever the optimizer does
    /// ([`Builder::maximize`](crate::Builder::maximize)).
    pub fn maximize(self, maximize: bool) -> Self {
        Self { maximize: Some(maximize), ..self }
    }

    /// The group's rule: its own or the optimizer's, with the group's hyperparameters.
    pub(crate) fn rule_over(&mut self, rule: &Arc<dyn Rule>) -> Result<Arc<dyn Rule>, Error> {
        let rule = self.rule.take().map_or_else(|| rule.clone(), Arc::from);
        let Overrides { values, over: Some(over) } = &self.hyperparameters else { return Ok(rule) };
        values.iter().try_fold(rule, |rule, (name, value)| over(*value, rule.as_ref(), name))
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

/// Puts a hyperparameter over that of a rule, in the group of this name.
type Override = fn(Hyperparameter, &dyn Rule, &str) -> Result<Arc<dyn Rule>, Error>;

/// Hyperparameters over those of a rule.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, Hyperparameter>", into = "BTreeMap<String, Hyperparameter>")]
pub(crate) struct Overrides {
    values: BTreeMap<String, Hyperparameter>,
    /// What puts them over a rule's; none where there are none. It reads the settings of every rule, which a program that
    /// never asks for it (a page) need not have in it.
    over: Option<Override>,
}

impl Overrides {
    fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

impl From<BTreeMap<String, Hyperparameter>> for Overrides {
    fn from(values: BTreeMap<String, Hyperparameter>) -> Self {
        Self { values, over: Some(Hyperparameter::over) }
    }
}

impl From<Overrides> for BTreeMap<String, Hyperparameter> {
    fn from(overrides: Overrides) -> Self {
        overrides.values
    }
}

impl std::fmt::Debug for Overrides {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.values.fmt(f)
    }
}

/// A hyperparameter of a rule: a number, a truth value, a pair (`betas`) or none (`clipping_threshold`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Hyperparameter {
    /// `true` or `false`.
    Flag(bool),
    /// A number.
    Number(f64),
    /// Two numbers.
    Pair(f64, f64),
    /// What is none.
    None,
}

impl From<f64> for Hyperparameter {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Hyperparameter {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<(f64, f64)> for Hyperparameter {
    fn from((first, second): (f64, f64)) -> Self {
        Self::Pair(first, second)
    }
}

impl From<Option<f64>> for Hyperparameter {
    fn from(number: Option<f64>) -> Self {
        number.map_or(Self::None, Self::Number)
    }
}

impl Hyperparameter {
    /// The rule with this for the hyperparameter of this name.
    fn over(self, rule: &dyn Rule, name: &str) -> Result<Arc<dyn Rule>, Error> {
        self.numbers()
            .into_iter()
            .try_for_each(|number| check_hyperparameter(name, number, |_| true, "finite"))?;
        let settings = rules::settings(rule).filter(|settings| settings.fields.contains_key(name));
        match settings {
            Some(settings) => self.over_settings(settings, rule, name),
            None => self.over_named(rule, name),
        }
    }

    /// By the rule's settings, which have the name.
    fn over_settings(self, settings: Settings, rule: &dyn Rule, name: &str) -> Result<Arc<dyn Rule>, Error> {
        let Settings { name: kind, mut fields } = settings;
        let is_whole = fields.get(name).is_some_and(Value::is_u64);
        fields.insert(name.to_owned(), self.value(is_whole));
        let wrong = |problem| Error::Rule {
            rule: rule.name().to_owned(),
            problem: format!("cannot have {self} for its hyperparameter `{name}`: {problem}"),
        };
        rules::read(&kind, fields).map(Arc::from).map_err(|problem: serde_json::Error| wrong(problem))
    }

    /// By the names that the rule itself gives.
    fn over_named(self, rule: &dyn Rule, name: &str) -> Result<Arc<dyn Rule>, Error> {
        let here = rule.hyperparameters();
        let number = match self {
            Self::Number(number) => Some(number),
            Self::Flag(flag) => Some(f64::from(u8::from(flag))),
            Self::Pair(..) | Self::None => None,
        };
        let value = |asked: &str| {
            let own = here.iter().find(|(own, _)| *own == asked).map(|(_, value)| *value);
            if asked == name { number } else { own }
        };
        if !here.iter().any(|(own, _)| *own == name) {
            let fields = rules::settings(rule).map(|settings| settings.fields).unwrap_or_default();
            let known = fields.keys().map(String::as_str).chain(here.iter().map(|(own, _)| *own));
            let (what, name) = ("hyperparameter of the rule", name.to_owned());
            return Err(Error::UnknownName { what, name, known: list(known) });
        }
        rule.with_hyperparameters(&value).map(Arc::from).ok_or_else(|| Error::Rule {
            rule: rule.name().to_owned(),
            problem: format!("cannot have {self} for its hyperparameter `{name}`"),
        })
    }

    fn numbers(self) -> Vec<f64> {
        match self {
            Self::Number(number) => vec![number],
            Self::Pair(first, second) => vec![first, second],
            Self::Flag(_) | Self::None => vec![],
        }
    }

    /// As serde has it, a whole number where the hyperparameter is one.
    fn value(self, is_whole: bool) -> Value {
        match self {
            Self::Number(number) if is_whole && number >= 0.0 && number.fract() == 0.0 => {
                Value::from(number as u64)
            }
            Self::Number(number) => Value::from(number),
            Self::Flag(flag) => Value::from(flag),
            Self::Pair(first, second) => Value::from(vec![first, second]),
            Self::None => Value::Null,
        }
    }
}

impl std::fmt::Display for Hyperparameter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Pair(first, second) => write!(f, "({first}, {second})"),
            Self::None => f.write_str("none"),
        }
    }
}

pub(crate) fn check_factor(factor: f64) -> Result<(), Error> {
    check_hyperparameter("learning rate factor", factor, |factor| factor >= 0.0, "finite and at least 0")
}
