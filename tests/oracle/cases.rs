//! The configurations: every rule, and everything that can be had around one.

use lookahead_wgpu::{
    Accumulation, AdaptiveAlpha, Average, Builder, Clip, Group, Guard, Half, Lookahead, LossScale, Optimizer,
    Rule, Schedule, StatePolicy,
    alpha::{Curvature, GradientAt, Scope},
    outer::{HeavyBall, Nesterov, SlowMo},
    rules::{
        AdaBelief, AdaFactor, Adadelta, Adagrad, Adam, AdamW, Adamax, Lamb, Lars, Lion, NAdam, RAdam, Ranger,
        RmsProp, Sgd,
    },
    wgpu,
};

/// Where weights and gradients lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// In the optimizer's buffers.
    Owned,
    /// In two buffers of the caller's.
    Apart,
    /// In one, weights and gradients in turn.
    Near,
    /// In one, all weights and then all gradients.
    Far,
}

/// What the device lets a buffer and a binding have, in bytes, and a dispatch, in workgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Small {
    pub buffer: u64,
    pub binding: u64,
    pub workgroups: u32,
}

impl Small {
    /// A device's limits, made so small.
    pub fn limits(self, limits: wgpu::Limits) -> wgpu::Limits {
        wgpu::Limits {
            max_buffer_size: self.buffer,
            max_storage_buffer_binding_size: self.binding,
            max_compute_workgroups_per_dimension: self.workgroups,
            ..limits
        }
    }
}

type Make = fn() -> Box<dyn Rule>;
type With = fn(Builder) -> Builder;

/// One configuration, and what it is trained on.
pub struct Case {
    pub name: String,
    rule: Make,
    /// The same rule with other hyperparameters.
    pub changed: Option<Make>,
    lookahead: Option<Lookahead>,
    with: With,
    pub half_gradients: Option<Half>,
    /// Tensors go to these in turn.
    pub groups: &'static [&'static str],
    pub home: Home,
    pub small: Option<Small>,
    /// More steps than the control ring has slots.
    pub is_long: bool,
    /// Trained on adapters, too, where pipelines take long to make.
    pub is_trained: bool,
}

impl Case {
    fn new(name: &str, rule: Make) -> Self {
        Self {
            name: name.to_owned(),
            rule,
            changed: None,
            lookahead: None,
            with: |builder| builder,
            half_gradients: None,
            groups: &["default"],
            home: Home::Owned,
            small: None,
            is_long: false,
            is_trained: true,
        }
    }

    fn around(self, policy: StatePolicy) -> Self {
        Self { lookahead: Some(Lookahead::new(2, 0.4).policy(policy)), ..self }
    }

    fn with(self, with: With) -> Self {
        Self { with, ..self }
    }

    /// Names and shapes of the tensors: of one to four dimensions, of one block and more, with rows that do not fit
    /// vec4s; larger ones where the device is small.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let shapes: &[&[usize]] = match self.small {
            None => &[&[5, 7], &[130], &[3, 4, 5], &[1], &[2, 3, 3, 9], &[6, 1]],
            // A guard's tables take a binding of 192 KiB a group.
            Some(small) if small.binding > 300 << 10 => &[&[50, 100], &[150_001], &[1], &[300, 16]],
            Some(_) => &[&[50, 100], &[3001], &[1], &[16, 16, 16], &[20_001], &[7, 11]],
        };
        shapes.iter().zip(0..).map(|(shape, index)| (format!("t{index}"), shape.to_vec())).collect()
    }

    /// The group of a tensor.
    pub fn group(&self, tensor: usize) -> &'static str {
        self.groups[tensor % self.groups.len()]
    }

    /// The builder without tensors.
    pub fn builder(&self) -> Builder {
        let mut builder = Optimizer::builder((self.rule)());
        if let Some(lookahead) = self.lookahead {
            builder = builder.lookahead(lookahead);
        }
        if let Some(half) = self.half_gradients {
            builder = builder.half_gradients(half);
        }
        (self.with)(builder)
    }
}

fn adam() -> Box<dyn Rule> {
    Box::new(Adam::new(0.01).eps(1e-4).weight_decay(0.01))
}

fn heavy_ball() -> Box<dyn Rule> {
    Box::new(Sgd::new(0.05).momentum(0.9))
}

fn lamb() -> Box<dyn Rule> {
    Box::new(Lamb::new(0.02).weight_decay(0.01))
}

fn factored() -> Box<dyn Rule> {
    Box::new(AdaFactor::new(0.05).min_dim_size_to_factor(4).momentum(0.9))
}

const RULES: [(&str, Make); 23] = [
    ("sgd", || Box::new(Sgd::new(0.05).weight_decay(0.01))),
    ("sgd momentum", heavy_ball),
    ("sgd dampened", || Box::new(Sgd::new(0.05).momentum(0.9).dampening(0.1))),
    ("sgd nesterov", || Box::new(Sgd::new(0.05).momentum(0.9).nesterov(true))),
    ("adagrad", || Box::new(Adagrad::new(0.1).lr_decay(0.01).initial_accumulator_value(0.1))),
    ("rmsprop", || Box::new(RmsProp::new(0.01).eps(1e-4))),
    ("rmsprop centered", || Box::new(RmsProp::new(0.01).eps(1e-4).centered(true).momentum(0.9))),
    ("adadelta", || Box::new(Adadelta::new(1.0))),
    ("adam", adam),
    ("amsgrad", || Box::new(Adam::new(0.01).eps(1e-4).amsgrad(true))),
    ("adamw", || Box::new(AdamW::new(0.01).eps(1e-4))),
    ("adamax", || Box::new(Adamax::new(0.01))),
    ("nadam", || Box::new(NAdam::new(0.01).eps(1e-4))),
    ("radam", || Box::new(RAdam::new(0.01))),
    ("ranger", || Box::new(Ranger::new(0.01))),
    ("adabelief", || Box::new(AdaBelief::new(0.01))),
    ("lion", || Box::new(Lion::new(0.01).weight_decay(0.1))),
    ("adafactor", || Box::new(AdaFactor::new(0.05))),
    ("adafactor factored", factored),
    ("adafactor relative", || Box::new(AdaFactor::new(0.05).relative_step(true).clipping_threshold(None))),
    ("lars", || Box::new(Lars::new(0.5).weight_decay(0.01))),
    ("lars nesterov", || Box::new(Lars::new(0.5).nesterov(true))),
    ("lamb", lamb),
];

/// Every rule with slow copies of its state, and some of each kind with everything else that a sync may do to it.
fn rules() -> Vec<Case> {
    let mut cases: Vec<_> = RULES
        .into_iter()
        .map(|(name, rule)| Case::new(&format!("{name} interpolate"), rule).around(StatePolicy::Interpolate))
        .collect();
    for (name, rule) in RULES {
        if ["sgd momentum", "adam", "adafactor factored", "lamb"].contains(&name) {
            cases.push(Case::new(&format!("{name} alone"), rule));
            cases.push(Case::new(&format!("{name} maintain"), rule).around(StatePolicy::Maintain));
            cases.push(Case::new(&format!("{name} reset"), rule).around(StatePolicy::Reset));
        }
    }
    cases
}

/// What can be had around a rule, one by one and some of it together.
const AROUND: [(&str, With); 34] = [
    ("clip value", |it| it.clip(Clip::Value(0.3))),
    ("clip global", |it| it.clip(Clip::GlobalNorm(0.7))),
    ("clip tensor", |it| it.clip(Clip::TensorNorm(0.5))),
    ("heavy ball", |it| it.outer(HeavyBall { momentum: 0.8 })),
    ("nesterov", |it| it.outer(Nesterov { momentum: 0.9 })),
    ("slow mo", |it| it.outer(SlowMo { momentum: 0.7 })),
    ("ema", |it| it.average(Average::Ema { decay: 0.8 })),
    ("polyak", |it| it.average(Average::Polyak { from: 3 })),
    ("swa", |it| it.average(Average::Swa { every: 2, from: 1 })),
    ("alpha model", |it| it.adaptive(AdaptiveAlpha::new(0.1))),
    ("alpha group raw", |it| {
        it.adaptive(AdaptiveAlpha::new(0.1).scope(Scope::Group).curvature(Curvature::Raw))
    }),
    ("alpha tensor root", |it| {
        it.adaptive(AdaptiveAlpha::new(0.1).scope(Scope::Tensor).curvature(Curvature::Root))
    }),
    ("alpha last step fisher", |it| {
        let curvature = Curvature::Fisher { decay: 0.9 };
        it.adaptive(AdaptiveAlpha::new(0.1).gradient(GradientAt::LastStep).curvature(curvature))
    }),
    ("alpha last step given", |it| {
        it.adaptive(AdaptiveAlpha::new(0.1).gradient(GradientAt::LastStep).curvature(Curvature::Given))
    }),
    ("accumulate mean", |it| it.accumulate(Accumulation::mean(3))),
    ("accumulate sum", |it| it.accumulate(Accumulation::sum(2)).clip(Clip::GlobalNorm(0.7))),
    ("centralise", Builder::centralise),
    ("maximize", Builder::maximize),
    ("norms", Builder::gradient_norms),
    ("guard", |it| it.guard(Guard::default())),
    ("guard clip", |it| it.guard(Guard::default()).clip(Clip::TensorNorm(0.5))),
    ("guard scale", |it| it.guard(Guard::loss_scale(scale()))),
    ("guard updates", |it| it.guard(Guard::default().check_updates())),
    ("guard alpha", |it| it.guard(Guard::default()).adaptive(AdaptiveAlpha::new(0.1))),
    ("guard average", |it| it.guard(Guard::default()).average(Average::Swa { every: 2, from: 1 })),
    ("guard accumulate", |it| it.guard(Guard::loss_scale(scale())).accumulate(Accumulation::mean(2))),
    ("half weights f16", |it| it.half_weights(Half::F16)),
    ("half weights bf16", |it| it.half_weights(Half::Bf16).average(Average::Ema { decay: 0.8 })),
    ("slow bf16", Builder::slow_bf16),
    ("slow bf16 nesterov", |it| it.slow_bf16().outer(Nesterov { momentum: 0.9 })),
    ("schedule steps", |it| it.schedule(Schedule::steps([(2, 0.5), (5, 0.1)]))),
    ("schedule transformer", |it| it.schedule(Schedule::transformer(64, 4))),
    ("guard schedule", |it| it.guard(Guard::default()).schedule(Schedule::cosine(2, 9, 0.1))),
    ("together", |it| {
        it.clip(Clip::TensorNorm(0.5))
            .accumulate(Accumulation::mean(2))
            .centralise()
            .average(Average::Ema { decay: 0.7 })
            .adaptive(AdaptiveAlpha::new(0.1).scope(Scope::Tensor))
            .outer(Nesterov { momentum: 0.6 })
            .guard(Guard::loss_scale(scale()).check_updates())
    }),
];

fn scale() -> LossScale {
    LossScale::default().initial(1024.0).growth(2.0).backoff(0.5).interval(3)
}

fn around() -> Vec<Case> {
    let with = |(name, with)| Case::new(name, adam).around(StatePolicy::Maintain).with(with);
    let mut cases: Vec<_> = AROUND.into_iter().map(with).collect();
    let changed: Make = || Box::new(Adam::new(0.02).betas(0.8, 0.99).eps(1e-3));
    for case in cases.iter_mut().filter(|case| ["guard", "polyak", "maximize"].contains(&case.name.as_str()))
    {
        case.changed = Some(changed);
    }
    let half = |name: &str, half_gradients| Case {
        half_gradients: Some(half_gradients),
        ..Case::new(name, adam).around(StatePolicy::Interpolate)
    };
    cases.push(half("half gradients f16", Half::F16).with(|it| it.guard(Guard::loss_scale(scale()))));
    cases.push(half("half gradients bf16", Half::Bf16).with(|it| it.half_weights(Half::Bf16).centralise()));
    let lamb = |name: &str| Case::new(name, lamb).around(StatePolicy::Interpolate);
    cases.push(lamb("lamb guard clip").with(|it| it.guard(Guard::default()).clip(Clip::GlobalNorm(0.7))));
    cases.push(lamb("lamb slow mo").with(|it| it.outer(SlowMo { momentum: 0.7 }).maximize()));
    let factored = |name: &str| Case::new(name, factored).around(StatePolicy::Interpolate);
    cases.push(factored("adafactor guard").with(|it| it.guard(Guard::default())));
    cases.push(factored("adafactor alpha").with(|it| it.adaptive(AdaptiveAlpha::new(0.1))));
    cases
}

/// Groups of their own rules, rates and periods; one that begins frozen.
fn groups() -> Vec<Case> {
    let two = |name: &str| Case {
        groups: &["default", "other"],
        ..Case::new(name, adam).around(StatePolicy::Interpolate)
    };
    let mut cases = vec![
        two("groups rates").with(|it| {
            it.group(Group::new("other").learning_rate_factor(0.5).weight_decay(0.0).k(3).alpha(0.8))
        }),
        two("groups rules").with(|it| it.group(Group::new("other").rule(Lamb::new(0.02)))),
        two("groups frozen").with(|it| it.group(Group::new("other").frozen()).clip(Clip::GlobalNorm(0.7))),
        two("groups alpha").with(|it| {
            let group = Group::new("other").rule(Sgd::new(0.1)).k(3);
            it.group(group).adaptive(AdaptiveAlpha::new(0.1).scope(Scope::Group))
        }),
        two("groups guard").with(|it| {
            let group = Group::new("other").rule(AdaFactor::new(0.05)).k(3);
            it.group(group).guard(Guard::default()).clip(Clip::GlobalNorm(0.7))
        }),
        two("groups guard frozen").with(|it| {
            it.group(Group::new("other").frozen()).guard(Guard::loss_scale(scale()).check_updates())
        }),
    ];
    cases.push(Case {
        groups: &["default", "embedding", "head"],
        ..two("groups three").with(|it| {
            let head = Group::new("head").rule(Lion::new(0.01)).k(1);
            it.group(Group::new("embedding").rule(Lars::new(0.5))).group(head).centralise()
        })
    });
    cases
}

/// Weights and gradients in buffers of the caller's.
fn borrowed() -> Vec<Case> {
    let mut cases = Vec::new();
    for (home, name) in [(Home::Apart, "apart"), (Home::Near, "near"), (Home::Far, "far")] {
        let case = |what: &str| Case {
            home,
            ..Case::new(&format!("borrowed {name} {what}"), adam).around(StatePolicy::Interpolate)
        };
        cases.push(case("plain"));
        cases.push(
            case("clip").with(|it| it.clip(Clip::GlobalNorm(0.7)).average(Average::Ema { decay: 0.8 })),
        );
        cases.push(case("guard").with(|it| it.guard(Guard::default()).centralise()));
        let groups = case("groups").with(|it| it.group(Group::new("other").rule(Lamb::new(0.02)).k(3)));
        cases.push(Case { groups: &["default", "other"], half_gradients: Some(Half::Bf16), ..groups });
        let factored = Case { rule: factored, ..case("adafactor") };
        cases.push(factored.with(|it| it.adaptive(AdaptiveAlpha::new(0.1).scope(Scope::Tensor))));
    }
    cases
}

/// Several buffers, windows and dispatches.
fn small() -> Vec<Case> {
    let chunks = Small { buffer: 16 << 10, binding: 64 << 10, workgroups: 65_535 };
    let windows = Small { buffer: 256 << 10, binding: 16 << 10, workgroups: 65_535 };
    let larger = Small { binding: 32 << 10, ..windows };
    let dispatches = Small { buffer: 256 << 10, binding: 256 << 10, workgroups: 64 };
    let pool = Small { buffer: 1 << 20, binding: 16 << 10, workgroups: 65_535 };
    let tables = Small { buffer: 400 << 10, binding: 400 << 10, workgroups: 65_535 };
    let case = |name: &str, small, rule| Case {
        small: Some(small),
        groups: &["default", "other"],
        ..Case::new(name, rule).around(StatePolicy::Interpolate)
    };
    let other = |it: Builder| it.group(Group::new("other").learning_rate_factor(0.5).k(3));
    let mut cases = vec![
        case("small chunks", chunks, adam).with(other),
        case("small windows", windows, adam).with(other),
        case("small dispatches", dispatches, adam).with(other),
        case("small windows clip", windows, adam).with(|it| {
            it.group(Group::new("other").rule(Lamb::new(0.02))).clip(Clip::TensorNorm(0.5)).centralise()
        }),
        case("small windows alpha", larger, adam).with(|it| {
            let group = Group::new("other").rule(AdaFactor::new(0.05).min_dim_size_to_factor(4));
            it.group(group).adaptive(AdaptiveAlpha::new(0.1)).half_weights(Half::F16)
        }),
        case("small windows guard", tables, adam).with(|it| {
            let guard = Guard::default().check_updates();
            it.group(Group::new("other")).guard(guard).average(Average::Polyak { from: 2 })
        }),
        case("small windows bf16", windows, heavy_ball).with(|it| it.group(Group::new("other")).slow_bf16()),
        case("small chunks together", chunks, adam).with(|it| {
            let it =
                it.group(Group::new("other")).clip(Clip::GlobalNorm(0.7)).accumulate(Accumulation::mean(2));
            it.average(Average::Ema { decay: 0.8 }).outer(Nesterov { momentum: 0.9 })
        }),
    ];
    for (home, name) in [(Home::Apart, "apart"), (Home::Near, "near"), (Home::Far, "far")] {
        let case = case(&format!("small borrowed {name}"), pool, adam);
        cases.push(Case { home, ..case.with(other) });
        cases.push(Case { home, ..borrowed_guard(name) });
    }
    cases
}

/// Borrowed tensors of several windows whose norm is taken, of each and for a guard.
fn borrowed_guard(name: &str) -> Case {
    let case = Case::new(&format!("small borrowed {name} guard"), adam).around(StatePolicy::Maintain);
    let small = Small { buffer: 4 << 20, binding: 400 << 10, workgroups: 65_535 };
    Case { small: Some(small), ..case.with(|it| it.clip(Clip::TensorNorm(0.5)).guard(Guard::default())) }
}

/// Those of rules, homes and small devices that are trained on adapters; the golden runs have the other rules.
const TRAINED: [&str; 13] = [
    "sgd dampened interpolate",
    "ranger interpolate",
    "adafactor factored interpolate",
    "lars nesterov interpolate",
    "adam alone",
    "lamb reset",
    "borrowed apart plain",
    "borrowed near plain",
    "borrowed near guard",
    "borrowed far clip",
    "small chunks",
    "small windows",
    "small borrowed far",
];

/// All of them.
pub fn all() -> Vec<Case> {
    let mut few: Vec<Case> = [rules(), borrowed(), small()].into_iter().flatten().collect();
    for case in &mut few {
        case.is_trained = TRAINED.contains(&case.name.as_str());
    }
    let mut cases: Vec<Case> = [few, around(), groups()].into_iter().flatten().collect();
    let long = |name: &str| Case {
        is_long: true,
        is_trained: false,
        ..Case::new(name, heavy_ball).around(StatePolicy::Maintain)
    };
    cases.push(long("many steps"));
    cases.push(long("many steps guard").with(|it| it.guard(Guard::default())));
    cases
}
