//! What `Optimizer.create` is given.

use std::{collections::BTreeMap, fmt};

use js_sys::Error;
use lookahead_wgpu::{
    Accumulation, AdaptiveAlpha, Average, Builder, Clip, Group, Guard, ImportOptions, Lookahead, Optimizer,
    Rule, Schedule, StatePolicy, Weights,
    alpha::{Curvature, GradientAt, Scope},
    outer::{HeavyBall, Nesterov, SlowMo},
};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, MapAccess, Visitor},
};
use wasm_bindgen::{JsCast, JsValue};

use crate::{
    problem::Problem,
    rules::{self, Value},
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    rule: BTreeMap<String, Value>,
    tensors: Vec<Tensor>,
    lookahead: Option<LookaheadOptions>,
    #[serde(default)]
    groups: Vec<GroupOptions>,
    schedule: Option<ScheduleOptions>,
    clip: Option<ClipOptions>,
    adaptive_alpha: Option<AdaptiveOptions>,
    outer: Option<OuterOptions>,
    average: Option<AverageOptions>,
    accumulate: Option<AccumulateOptions>,
    #[serde(default)]
    centralise: bool,
    #[serde(default)]
    maximize: bool,
    #[serde(default)]
    gradient_norms: bool,
    guard: Option<GuardOptions>,
    #[serde(flatten)]
    _rest: Rest,
}

#[derive(Deserialize)]
struct Tensor {
    name: String,
    shape: Vec<usize>,
    group: Option<String>,
    #[serde(flatten)]
    _rest: Rest,
}

#[derive(Deserialize)]
struct LookaheadOptions {
    k: Option<u32>,
    alpha: Option<f64>,
    policy: Option<Policy>,
    #[serde(flatten)]
    _rest: Rest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Policy {
    Maintain,
    Interpolate,
    Reset,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupOptions {
    name: String,
    rule: Option<BTreeMap<String, Value>>,
    learning_rate_factor: Option<f64>,
    weight_decay: Option<f64>,
    k: Option<u32>,
    alpha: Option<f64>,
    #[serde(default)]
    frozen: bool,
    #[serde(flatten)]
    _rest: Rest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum ScheduleOptions {
    /// Pairs. Of an array that JavaScript gives for a tuple, serde reads what is due and no more.
    Steps(Vec<Vec<f64>>),
    Cosine {
        #[serde(default)]
        warmup: u64,
        total: u64,
        #[serde(default)]
        floor: f64,
        #[serde(flatten)]
        _rest: Rest,
    },
    Transformer {
        width: u32,
        warmup: u64,
        #[serde(flatten)]
        _rest: Rest,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum ClipOptions {
    Value(f64),
    GlobalNorm(f64),
    TensorNorm(f64),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AdaptiveOptions {
    alpha_low: f64,
    curvature: Option<CurvatureOptions>,
    scope: Option<ScopeOptions>,
    gradient: Option<GradientOptions>,
    #[serde(flatten)]
    _rest: Rest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum CurvatureOptions {
    Corrected,
    Raw,
    Root,
    Fisher(f64),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum ScopeOptions {
    Model,
    Group,
    Tensor,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum GradientOptions {
    Synchronised,
    LastStep,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum OuterOptions {
    HeavyBall(f64),
    Nesterov(f64),
    SlowMo(f64),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum AverageOptions {
    Ema(f64),
    Polyak {
        #[serde(default)]
        from: u64,
        #[serde(flatten)]
        _rest: Rest,
    },
    Swa {
        every: u64,
        #[serde(default)]
        from: u64,
        #[serde(flatten)]
        _rest: Rest,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccumulateOptions {
    micro_batches: u32,
    mean: Option<bool>,
    #[serde(flatten)]
    _rest: Rest,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum GuardOptions {
    Wanted(bool),
    With(GuardSettings),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GuardSettings {
    #[serde(default)]
    check_updates: bool,
    #[serde(flatten)]
    _rest: Rest,
}

/// Whole numbers of JavaScript's below it are exact: 2^53.
const MOST_STEPS: f64 = 9_007_199_254_740_992.0;

/// What an object has beyond the fields that are known: nothing. serde's own `deny_unknown_fields` does not see it, since
/// of JavaScript's objects only the fields that are asked for are read.
#[derive(Default)]
struct Rest;

impl<'de> Deserialize<'de> for Rest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NoField)
    }
}

struct NoField;

impl<'de> Visitor<'de> for NoField {
    type Value = Rest;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("no other field")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Rest, A::Error> {
        match map.next_key::<String>()? {
            None => Ok(Rest),
            Some(name) => Err(de::Error::custom(format!("there is no option `{name}`"))),
        }
    }
}

/// What `load` may begin or give up.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct LoadOptions {
    begin_lookahead: bool,
    end_lookahead: Option<WeightsOption>,
    change_policy: bool,
    begin_outer: bool,
    end_outer: bool,
    begin_average: bool,
    end_average: bool,
    begin_curvature: bool,
    end_curvature: bool,
    end_loss_scale: bool,
    keep_settings: bool,
    #[serde(flatten)]
    _rest: Rest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum WeightsOption {
    Slow,
    Fast,
}

/// An object that a call takes. It has plain objects and arrays alone, without anything `undefined`: the package's
/// JavaScript sees to it.
fn object<T: DeserializeOwned>(what: &str, value: JsValue) -> Result<T, Problem> {
    serde_wasm_bindgen::from_value(value).map_err(|error| {
        let text = error.to_string();
        let message = JsValue::from(error).dyn_into().map_or(text, |error: Error| error.message().into());
        Problem::argument(format!("{what}: {message}"))
    })
}

/// The rule that `setRule` is given.
pub fn rule(value: JsValue) -> Result<Box<dyn Rule>, Problem> {
    rules::read(&object("the rule", value)?)
}

/// The schedule that `setSchedule` is given; the constant one where it is left out.
pub fn schedule(value: JsValue) -> Result<Schedule, Problem> {
    let options: Option<ScheduleOptions> = object("the schedule", value)?;
    options.map_or_else(|| Ok(Schedule::constant()), |options| options.schedule())
}

/// The options that `load` is given, if any.
pub fn load(value: JsValue) -> Result<ImportOptions, Problem> {
    let given: Option<LoadOptions> = object("the options of `load`", value)?;
    let given = given.unwrap_or_default();
    type Switch = fn(ImportOptions) -> ImportOptions;
    let switches: [(bool, Switch); 10] = [
        (given.begin_lookahead, ImportOptions::begin_lookahead),
        (given.change_policy, ImportOptions::change_policy),
        (given.begin_outer, ImportOptions::begin_outer),
        (given.end_outer, ImportOptions::end_outer),
        (given.begin_average, ImportOptions::begin_average),
        (given.end_average, ImportOptions::end_average),
        (given.begin_curvature, ImportOptions::begin_curvature),
        (given.end_curvature, ImportOptions::end_curvature),
        (given.end_loss_scale, ImportOptions::end_loss_scale),
        (given.keep_settings, ImportOptions::keep_settings),
    ];
    let on = switches.into_iter().filter(|(is_on, _)| *is_on);
    let options = on.fold(ImportOptions::new(), |options, (_, switch)| switch(options));
    Ok(match given.end_lookahead {
        None => options,
        Some(WeightsOption::Slow) => options.end_lookahead(Weights::Slow),
        Some(WeightsOption::Fast) => options.end_lookahead(Weights::Fast),
    })
}

impl ScheduleOptions {
    fn schedule(&self) -> Result<Schedule, Problem> {
        let decay = |decay: &Vec<f64>| match *decay.as_slice() {
            [step, factor] if step >= 0.0 && step.fract() == 0.0 && step < MOST_STEPS => {
                Ok((step as u64, factor))
            }
            _ => Err(Problem::argument(format!(
                "the schedule: each of `steps` is a whole number and a factor, as [100, 0.1], and {decay:?} is not"
            ))),
        };
        Ok(match self {
            Self::Steps(decays) => Schedule::steps(decays.iter().map(decay).collect::<Result<Vec<_>, _>>()?),
            Self::Cosine { warmup, total, floor, .. } => Schedule::cosine(*warmup, *total, *floor),
            Self::Transformer { width, warmup, .. } => Schedule::transformer(*width, *warmup),
        })
    }
}

impl Options {
    /// What `Optimizer.create` is given.
    pub fn read(options: JsValue) -> Result<Self, Problem> {
        object("the optimizer's options", options)
    }

    /// An optimizer to be. It may be built more than once: on a device with more limits.
    pub fn builder(&self) -> Result<Builder, Problem> {
        let rule: Box<dyn Rule> = rules::read(&self.rule)?;
        let mut builder = Optimizer::builder(rule);
        if let Some(options) = &self.lookahead {
            let default = Lookahead::default();
            let lookahead =
                Lookahead::new(options.k.unwrap_or(default.k), options.alpha.unwrap_or(default.alpha));
            builder = builder.lookahead(lookahead.policy(match options.policy {
                None | Some(Policy::Maintain) => StatePolicy::Maintain,
                Some(Policy::Interpolate) => StatePolicy::Interpolate,
                Some(Policy::Reset) => StatePolicy::Reset,
            }));
        }
        for options in &self.groups {
            builder = builder.group(options.group()?);
        }
        for tensor in &self.tensors {
            builder = match &tensor.group {
                None => builder.tensor(&tensor.name, &tensor.shape),
                Some(group) => builder.tensor_in(group, &tensor.name, &tensor.shape),
            };
        }
        if let Some(schedule) = &self.schedule {
            builder = builder.schedule(schedule.schedule()?);
        }
        builder = match self.clip {
            None => builder,
            Some(ClipOptions::Value(bound)) => builder.clip(Clip::Value(bound)),
            Some(ClipOptions::GlobalNorm(max)) => builder.clip(Clip::GlobalNorm(max)),
            Some(ClipOptions::TensorNorm(max)) => builder.clip(Clip::TensorNorm(max)),
        };
        if let Some(options) = &self.adaptive_alpha {
            builder = builder.adaptive(options.adaptive());
        }
        builder = match self.outer {
            None => builder,
            Some(OuterOptions::HeavyBall(momentum)) => builder.outer(HeavyBall { momentum }),
            Some(OuterOptions::Nesterov(momentum)) => builder.outer(Nesterov { momentum }),
            Some(OuterOptions::SlowMo(momentum)) => builder.outer(SlowMo { momentum }),
        };
        builder = match &self.average {
            None => builder,
            Some(AverageOptions::Ema(decay)) => builder.average(Average::Ema { decay: *decay }),
            Some(AverageOptions::Polyak { from, .. }) => builder.average(Average::Polyak { from: *from }),
            Some(AverageOptions::Swa { every, from, .. }) => {
                builder.average(Average::Swa { every: *every, from: *from })
            }
        };
        if let Some(&AccumulateOptions { micro_batches, mean, .. }) = self.accumulate.as_ref() {
            builder = builder.accumulate(Accumulation { micro_batches, mean: mean.unwrap_or(true) });
        }
        if self.centralise {
            builder = builder.centralise();
        }
        if self.maximize {
            builder = builder.maximize();
        }
        if self.gradient_norms {
            builder = builder.gradient_norms();
        }
        builder = match &self.guard {
            None | Some(GuardOptions::Wanted(false)) => builder,
            Some(GuardOptions::Wanted(true)) => builder.guard(Guard::default()),
            Some(GuardOptions::With(settings)) => {
                let guard = Guard { checks_updates: settings.check_updates, ..Guard::default() };
                builder.guard(guard)
            }
        };
        Ok(builder)
    }
}

impl GroupOptions {
    fn group(&self) -> Result<Group, Problem> {
        let mut group = Group::new(&self.name);
        if let Some(rule) = &self.rule {
            group = group.rule(rules::read(rule)?);
        }
        if let Some(factor) = self.learning_rate_factor {
            group = group.learning_rate_factor(factor);
        }
        if let Some(decay) = self.weight_decay {
            group = group.weight_decay(decay);
        }
        if let Some(k) = self.k {
            group = group.k(k);
        }
        if let Some(alpha) = self.alpha {
            group = group.alpha(alpha);
        }
        Ok(if self.frozen { group.frozen() } else { group })
    }
}

impl AdaptiveOptions {
    fn adaptive(&self) -> AdaptiveAlpha {
        let mut adaptive = AdaptiveAlpha::new(self.alpha_low);
        if let Some(curvature) = &self.curvature {
            adaptive = adaptive.curvature(match *curvature {
                CurvatureOptions::Corrected => Curvature::Corrected,
                CurvatureOptions::Raw => Curvature::Raw,
                CurvatureOptions::Root => Curvature::Root,
                CurvatureOptions::Fisher(decay) => Curvature::Fisher { decay },
            });
        }
        if let Some(scope) = &self.scope {
            adaptive = adaptive.scope(match scope {
                ScopeOptions::Model => Scope::Model,
                ScopeOptions::Group => Scope::Group,
                ScopeOptions::Tensor => Scope::Tensor,
            });
        }
        if let Some(gradient) = &self.gradient {
            adaptive = adaptive.gradient(match gradient {
                GradientOptions::Synchronised => GradientAt::Synchronised,
                GradientOptions::LastStep => GradientAt::LastStep,
            });
        }
        adaptive
    }
}
