//! Rules by name, with their hyperparameters.

use std::collections::BTreeMap;

use lookahead_wgpu::{
    Rule,
    rules::{
        AdaBelief, AdaFactor, Adadelta, Adagrad, Adam, AdamW, Adamax, Lamb, Lars, Lion, NAdam, RAdam, Ranger,
        RmsProp, Sgd,
    },
};
use serde::{Deserialize, de::IgnoredAny};

use crate::problem::Problem;

/// A hyperparameter, or the rule's name.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Value {
    Flag(bool),
    Number(f64),
    Pair(f64, f64),
    Text(String),
    /// `null`
    None,
    /// What no hyperparameter is.
    Other(IgnoredAny),
}

/// The rule that an object as `{ name: "adam", lr: 0.001 }` describes. What it leaves out is at the rule's
/// default.
pub fn read(options: &BTreeMap<String, Value>) -> Result<Box<dyn Rule>, Problem> {
    let mut left = options.clone();
    let name = match left.remove("name") {
        Some(Value::Text(name)) => name,
        _ => return Err(Problem::argument("a rule needs a name, as in { name: \"adam\", lr: 0.001 }")),
    };
    let mut hyper = Hyper { rule: name.clone(), left, known: vec![] };
    let rule: Box<dyn Rule> = match name.as_str() {
        "sgd" => Box::new(Sgd {
            lr: hyper.learning_rate(None)?,
            momentum: hyper.number("momentum", 0.0)?,
            dampening: hyper.number("dampening", 0.0)?,
            weight_decay: hyper.number("weightDecay", 0.0)?,
            nesterov: hyper.flag("nesterov", false)?,
        }),
        "adagrad" => {
            let default = Adagrad::default();
            Box::new(Adagrad {
                lr: hyper.learning_rate(Some(default.lr))?,
                lr_decay: hyper.number("lrDecay", default.lr_decay)?,
                initial_accumulator_value: hyper
                    .number("initialAccumulatorValue", default.initial_accumulator_value)?,
                eps: hyper.number("eps", default.eps)?,
                weight_decay: hyper.number("weightDecay", default.weight_decay)?,
            })
        }
        "rmsprop" => {
            let default = RmsProp::default();
            Box::new(RmsProp {
                lr: hyper.learning_rate(Some(default.lr))?,
                alpha: hyper.number("alpha", default.alpha)?,
                eps: hyper.number("eps", default.eps)?,
                momentum: hyper.number("momentum", default.momentum)?,
                centered: hyper.flag("centered", default.centered)?,
                weight_decay: hyper.number("weightDecay", default.weight_decay)?,
            })
        }
        "adadelta" => {
            let default = Adadelta::default();
            Box::new(Adadelta {
                lr: hyper.learning_rate(Some(default.lr))?,
                rho: hyper.number("rho", default.rho)?,
                eps: hyper.number("eps", default.eps)?,
                weight_decay: hyper.number("weightDecay", default.weight_decay)?,
            })
        }
        "adam" => {
            let default = Adam::default();
            Box::new(Adam {
                lr: hyper.learning_rate(Some(default.lr))?,
                betas: hyper.pair("betas", default.betas)?,
                eps: hyper.number("eps", default.eps)?,
                weight_decay: hyper.number("weightDecay", default.weight_decay)?,
                amsgrad: hyper.flag("amsgrad", default.amsgrad)?,
            })
        }
        "adamw" => {
            let rule = AdamW::new(hyper.learning_rate(Some(1e-3))?);
            let (beta1, beta2) = hyper.pair("betas", (0.9, 0.999))?;
            Box::new(
                rule.betas(beta1, beta2)
                    .eps(hyper.number("eps", 1e-8)?)
                    .weight_decay(hyper.number("weightDecay", 1e-2)?)
                    .amsgrad(hyper.flag("amsgrad", false)?),
            )
        }
        "adamax" => {
            let default = Adamax::default();
            Box::new(Adamax {
                lr: hyper.learning_rate(Some(default.lr))?,
                betas: hyper.pair("betas", default.betas)?,
                eps: hyper.number("eps", default.eps)?,
                weight_decay: hyper.number("weightDecay", default.weight_decay)?,
            })
        }
        "nadam" => {
            let default = NAdam::default();
            Box::new(NAdam {
                lr: hyper.learning_rate(Some(default.lr))?,
                betas: hyper.pair("betas", default.betas)?,
                eps: hyper.number("eps", default.eps)?,
                momentum_decay: hyper.number("momentumDecay", default.momentum_decay)?,
                weight_decay: hyper.number("weightDecay", default.weight_decay)?,
                before_torch_2: hyper.flag("beforeTorch2", default.before_torch_2)?,
            })
        }
        "radam" => {
            let default = RAdam::default();
            Box::new(RAdam {
                lr: hyper.learning_rate(Some(default.lr))?,
                betas: hyper.pair("betas", default.betas)?,
                eps: hyper.number("eps", default.eps)?,
                weight_decay: hyper.number("weightDecay", default.weight_decay)?,
            })
        }
        "ranger" => {
            let rule = Ranger::new(hyper.learning_rate(Some(1e-3))?);
            let (beta1, beta2) = hyper.pair("betas", (0.95, 0.999))?;
            let rule = rule.betas(beta1, beta2).eps(hyper.number("eps", 1e-5)?);
            Box::new(rule.weight_decay(hyper.number("weightDecay", 0.0)?))
        }
        "adabelief" => {
            let default = AdaBelief::default();
            Box::new(AdaBelief {
                lr: hyper.learning_rate(Some(default.lr))?,
                betas: hyper.pair("betas", default.betas)?,
                eps: hyper.number("eps", default.eps)?,
                eps_root: hyper.number("epsRoot", default.eps_root)?,
                weight_decay: hyper.number("weightDecay", default.weight_decay)?,
            })
        }
        "lion" => {
            let default = Lion::default();
            Box::new(Lion {
                lr: hyper.learning_rate(Some(default.lr))?,
                betas: hyper.pair("betas", default.betas)?,
                weight_decay: hyper.number("weightDecay", default.weight_decay)?,
            })
        }
        "lars" => {
            let default = Lars::new(hyper.learning_rate(None)?);
            Box::new(Lars {
                lr: default.lr,
                momentum: hyper.number("momentum", default.momentum)?,
                nesterov: hyper.flag("nesterov", default.nesterov)?,
                trust_coefficient: hyper.number("trustCoefficient", default.trust_coefficient)?,
                eps: hyper.number("eps", default.eps)?,
                weight_decay: hyper.number("weightDecay", default.weight_decay)?,
            })
        }
        "lamb" => {
            let default = Lamb::new(hyper.learning_rate(None)?);
            Box::new(Lamb {
                lr: default.lr,
                betas: hyper.pair("betas", default.betas)?,
                eps: hyper.number("eps", default.eps)?,
                weight_decay: hyper.number("weightDecay", default.weight_decay)?,
            })
        }
        "adafactor" => {
            let default = AdaFactor::new(hyper.learning_rate(None)?);
            Box::new(AdaFactor {
                lr: default.lr,
                decay_rate: hyper.number("decayRate", default.decay_rate)?,
                eps: hyper.number("eps", default.eps)?,
                min_dim_size_to_factor: hyper.whole("minDimSizeToFactor", default.min_dim_size_to_factor)?,
                clipping_threshold: hyper.optional("clippingThreshold", default.clipping_threshold)?,
                multiply_by_parameter_scale: hyper
                    .flag("multiplyByParameterScale", default.multiply_by_parameter_scale)?,
                relative_step: hyper.flag("relativeStep", default.relative_step)?,
                momentum: hyper.number("momentum", default.momentum)?,
                weight_decay: hyper.number("weightDecay", default.weight_decay)?,
            })
        }
        _ => {
            return Err(Problem::argument(format!(
                "there is no rule `{name}`; there are: {}",
                NAMES.map(|name| format!("`{name}`")).join(", ")
            )));
        }
    };
    hyper.end()?;
    Ok(rule)
}

/// Every rule.
pub const NAMES: [&str; 15] = [
    "sgd",
    "adagrad",
    "rmsprop",
    "adadelta",
    "adam",
    "adamw",
    "adamax",
    "nadam",
    "radam",
    "ranger",
    "adabelief",
    "lion",
    "lars",
    "lamb",
    "adafactor",
];

/// A rule's hyperparameters, taken out one by one, so that none is overlooked.
struct Hyper {
    rule: String,
    left: BTreeMap<String, Value>,
    known: Vec<&'static str>,
}

impl Hyper {
    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.left.remove(name)
    }

    fn wrong<T>(&self, name: &str, expected: &str) -> Result<T, Problem> {
        Err(Problem::argument(format!("`{name}` of the rule `{}` must be {expected}", self.rule)))
    }

    fn learning_rate(&mut self, default: Option<f64>) -> Result<f64, Problem> {
        match (self.take("lr"), default) {
            (Some(Value::Number(lr)), _) => Ok(lr),
            (None | Some(Value::None), Some(lr)) => Ok(lr),
            _ => self.wrong("lr", "a number, the learning rate"),
        }
    }

    fn number(&mut self, name: &'static str, default: f64) -> Result<f64, Problem> {
        match self.take(name) {
            None => Ok(default),
            Some(Value::Number(value)) => Ok(value),
            Some(_) => self.wrong(name, "a number"),
        }
    }

    fn whole(&mut self, name: &'static str, default: usize) -> Result<usize, Problem> {
        let value = self.number(name, default as f64)?;
        match value >= 0.0 && value.fract() == 0.0 {
            true => Ok(value as usize),
            false => self.wrong(name, "a whole number"),
        }
    }

    fn optional(&mut self, name: &'static str, default: Option<f64>) -> Result<Option<f64>, Problem> {
        match self.take(name) {
            None => Ok(default),
            Some(Value::None) => Ok(None),
            Some(Value::Number(value)) => Ok(Some(value)),
            Some(_) => self.wrong(name, "a number or null"),
        }
    }

    fn flag(&mut self, name: &'static str, default: bool) -> Result<bool, Problem> {
        match self.take(name) {
            None => Ok(default),
            Some(Value::Flag(value)) => Ok(value),
            Some(_) => self.wrong(name, "true or false"),
        }
    }

    fn pair(&mut self, name: &'static str, default: (f64, f64)) -> Result<(f64, f64), Problem> {
        match self.take(name) {
            None => Ok(default),
            Some(Value::Pair(first, second)) => Ok((first, second)),
            Some(_) => self.wrong(name, "two numbers, as in [0.9, 0.999]"),
        }
    }

    /// Refuses what no one took.
    fn end(self) -> Result<(), Problem> {
        let Some(unknown) = self.left.keys().next() else { return Ok(()) };
        let known: Vec<_> = self.known.iter().map(|name| format!("`{name}`")).collect();
        let (rule, known) = (&self.rule, known.join(", "));
        Err(Problem::argument(format!("the rule `{rule}` has no `{unknown}`; it has: {known}")))
    }
}
