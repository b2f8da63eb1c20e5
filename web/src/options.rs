//! What `Optimizer.create` is given.

use std::{collections::BTreeMap, fmt};

use js_sys::Error;
use lookahead_wgpu::{
    Accumulation, AdaptiveAlpha, Average, Builder, Clip, Group, Guard, Lookahead, Optimizer, Rule, Schedule,
    StatePolicy,
    alpha::{Curvature, GradientAt, Scope},
    outer::{HeavyBall, Nesterov, SlowMo},
};
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
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
    Steps(Vec<(u64, f64)>),
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

/// What an object has beyond the fields that are known: nothing. serde's own `deny_unknown_fields` does not see it, since
/// of JavaScript's objects only the fields that are asked for are read.
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

impl Options {
    /// `options` are plain objects and arrays, without anything `undefined`: the package's JavaScript sees to it.
    pub fn read(options: JsValue) -> Result<Self, Problem> {
        serde_wasm_bindgen::from_value(options).map_err(|error| {
            let text = error.to_string();
            let message = JsValue::from(error).dyn_into().map_or(text, |error: Error| error.message().into());
            Problem::argument(format!("the optimizer's options: {message}"))
        })
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
        builder = match &self.schedule {
            None => builder,
            Some(ScheduleOptions::Steps(decays)) => builder.schedule(Schedule::steps(decays.iter().copied())),
            Some(ScheduleOptions::Cosine { warmup, total, floor, .. }) => {
                builder.schedule(Schedule::cosine(*warmup, *total, *floor))
            }
            Some(ScheduleOptions::Transformer { width, warmup, .. }) => {
                builder.schedule(Schedule::transformer(*width, *warmup))
            }
        };
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
