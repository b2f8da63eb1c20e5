//! What `Optimizer.create` is given.

use lookahead_wgpu::{Builder, Group, Half, ImportOptions, Lookahead, Optimizer, Rule, Schedule};
use serde::{Deserialize, de::DeserializeOwned};
use wasm_bindgen::JsValue;

use crate::{given::Given, problem::Problem, rules};

/// What an optimizer is made of besides the library's own options.
const PARTS: [&str; 5] = ["rule", "tensors", "lookahead", "groups", "schedule"];

/// What of a group is about its rule.
const RULE: [&str; 2] = ["rule", "hyperparameters"];

/// All else of a group.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupOptions {
    name: String,
    learning_rate: Option<f64>,
    learning_rate_factor: Option<f64>,
    weight_decay: Option<f64>,
    k: Option<u32>,
    alpha: Option<f64>,
    #[serde(default)]
    frozen: bool,
    maximize: Option<bool>,
}

impl GroupOptions {
    fn group(&self) -> Group {
        type Number = fn(Group, f64) -> Group;
        let numbers: [(Option<f64>, Number); 4] = [
            (self.learning_rate, Group::learning_rate),
            (self.learning_rate_factor, Group::learning_rate_factor),
            (self.weight_decay, Group::weight_decay),
            (self.alpha, Group::alpha),
        ];
        let given = numbers.into_iter().filter_map(|(number, set)| Some((number?, set)));
        let mut group = given.fold(Group::new(&self.name), |group, (number, set)| set(group, number));
        if let Some(k) = self.k {
            group = group.k(k);
        }
        if let Some(maximize) = self.maximize {
            group = group.maximize(maximize);
        }
        if self.frozen { group.frozen() } else { group }
    }
}

pub struct Options {
    rule: JsValue,
    tensors: Vec<Tensor>,
    lookahead: Option<Lookahead>,
    groups: Vec<JsValue>,
    schedule: Option<Schedule>,
    options: lookahead_wgpu::Options,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tensor {
    name: String,
    shape: Vec<usize>,
    group: Option<String>,
}

/// Something that a call takes.
fn read<T: DeserializeOwned>(what: &str, place: &str, value: JsValue) -> Result<T, Problem> {
    T::deserialize(Given(value)).map_err(|wrong| {
        let wrong = if place.is_empty() { wrong } else { wrong.within(place) };
        Problem::argument(format!("{what}: {wrong}"))
    })
}

/// The rule that `setRule` is given.
pub fn rule(value: JsValue) -> Result<Box<dyn Rule>, Problem> {
    rules::read(value)
}

/// The schedule that `setSchedule` is given; the constant one where it is left out.
pub fn schedule(value: JsValue) -> Result<Schedule, Problem> {
    Ok(read::<Option<Schedule>>("the schedule", "", value)?.unwrap_or_default())
}

/// The options that `load` is given, if any.
pub fn load(value: JsValue) -> Result<ImportOptions, Problem> {
    Ok(read::<Option<ImportOptions>>("the options of `load`", "", value)?.unwrap_or_default())
}

const OPTIONS: &str = "the optimizer's options";

impl Options {
    /// What `Optimizer.create` is given.
    pub fn read(options: JsValue) -> Result<Self, Problem> {
        let given = Given(options);
        let options = read(OPTIONS, "", given.without(&PARTS))?;
        let needed = |name: &str| {
            let missing = || Problem::argument(format!("{OPTIONS}: missing field `{name}`"));
            given.field(name).ok_or_else(missing)
        };
        let field = |name: &str| given.field(name).unwrap_or(JsValue::NULL);
        Ok(Self {
            rule: needed("rule")?,
            tensors: read(OPTIONS, "tensors", needed("tensors")?)?,
            lookahead: read(OPTIONS, "lookahead", field("lookahead"))?,
            groups: given
                .items("groups")
                .map_err(|wrong| Problem::argument(format!("{OPTIONS}: {wrong}")))?,
            schedule: read(OPTIONS, "schedule", field("schedule"))?,
            options,
        })
    }

    /// An optimizer to be. It may be built more than once: on a device with more limits.
    pub fn builder(&self) -> Result<Builder, Problem> {
        let mut builder = Optimizer::builder(rules::read(self.rule.clone())?).options(self.options.clone());
        if let Some(lookahead) = self.lookahead {
            builder = builder.lookahead(lookahead);
        }
        if let Some(schedule) = &self.schedule {
            builder = builder.schedule(schedule.clone());
        }
        for (index, group) in self.groups.iter().enumerate() {
            builder = builder.group(self.group(index, Given(group.clone()))?);
        }
        for tensor in &self.tensors {
            builder = match &tensor.group {
                None => builder.tensor(&tensor.name, &tensor.shape),
                Some(group) => builder.tensor_in(group, &tensor.name, &tensor.shape),
            };
        }
        Ok(builder)
    }

    /// A group's own rule is the one that it names, or the optimizer's, with the hyperparameters that it names.
    fn group(&self, index: usize, given: Given) -> Result<Group, Problem> {
        let group: GroupOptions = read(OPTIONS, &format!("groups[{index}]"), given.without(&RULE))?;
        let group = group.group();
        let [rule, over] = RULE.map(|name| given.field(name).filter(|field| !field.is_null()));
        let rule = match (rule, over) {
            (None, None) => return Ok(group),
            (rule, None) => rule.unwrap_or_default(),
            (rule, Some(over)) => Given(rule.unwrap_or_else(|| self.rule.clone())).with(&over),
        };
        Ok(group.rule(rules::read(rule)?))
    }

    /// In what the gradients are.
    pub fn half_gradients(&self) -> Option<Half> {
        self.options.half_gradients
    }
}
