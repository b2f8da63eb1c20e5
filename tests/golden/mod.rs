//! The files of trajectories, and the rules that their runs name.

use std::collections::BTreeMap;

use lookahead_wgpu::{
    Builder, Lookahead, Optimizer, Rule, StatePolicy,
    rules::{
        AdaBelief, AdaFactor, Adadelta, Adagrad, Adam, AdamW, Adamax, Lamb, Lars, Lion, NAdam, RAdam,
        RmsProp, Sgd,
    },
};
use serde::Deserialize;
use serde_json::Value;

/// A file.
#[derive(Deserialize)]
pub struct File {
    pub problem: Problem,
    runs: Vec<Run>,
}

/// The gradient's: `A x - b`, with noise at each step.
#[derive(Deserialize)]
pub struct Problem {
    shapes: Vec<Vec<usize>>,
    #[serde(rename = "A")]
    a: Vec<Vec<f64>>,
    b: Vec<f64>,
    pub x0: Vec<f64>,
    noise: Vec<Vec<f64>>,
    pub steps: usize,
}

/// A rule, its settings, and the trajectory.
#[derive(Deserialize)]
pub struct Run {
    pub rule: String,
    torch: Option<String>,
    optax: Option<String>,
    pub hyper: BTreeMap<String, Value>,
    pub k: Option<u32>,
    pub alpha: Option<f64>,
    pub policy: Option<String>,
    pub x: Vec<Vec<f64>>,
}

/// The names in the files of the rules that the crate has. A run of one of them that cannot be built is a
/// failure; runs of other rules are left out.
const SUPPORTED: [&str; 24] = [
    "sgd",
    "sgd_weight_decay",
    "heavy_ball",
    "heavy_ball_optax",
    "nesterov",
    "adagrad",
    "adagrad_decay",
    "rmsprop",
    "rmsprop_centered_momentum",
    "adadelta",
    "adam",
    "adam_optax",
    "adam_l2",
    "adamw",
    "amsgrad",
    "adamax",
    "nadam",
    "radam",
    "adabelief",
    "adafactor",
    "adafactor_scaled",
    "lion",
    "lars",
    "lamb",
];

/// Reads a file.
pub fn parse(name: &str, text: &str) -> File {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

impl File {
    /// Its runs of rules that the crate has.
    pub fn supported(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| SUPPORTED.contains(&run.rule.as_str()))
    }
}

impl Problem {
    /// The tensors' names.
    pub fn names(&self) -> Vec<String> {
        (0..self.shapes.len()).map(|index| format!("t{index}")).collect()
    }

    /// The values of each tensor.
    pub fn split(&self, values: &[f64]) -> Vec<Vec<f32>> {
        let mut rest = values.iter().map(|value| *value as f32);
        let lens = self.shapes.iter().map(|shape| shape.iter().product());
        lens.map(|len| rest.by_ref().take(len).collect()).collect()
    }

    /// The gradient of a step at these weights.
    pub fn gradient(&self, step: usize, x: &[f64]) -> Vec<f64> {
        let row = |i: usize| {
            let product: f64 = self.a[i].iter().zip(x).map(|(a, x)| a * x).sum();
            product - self.b[i] + self.noise[step][i]
        };
        (0..x.len()).map(row).collect()
    }
}

impl Run {
    /// The optimizer of a run.
    pub fn builder(&self, problem: &Problem) -> Builder {
        let mut builder = Optimizer::builder(rule(self));
        if let (Some(k), Some(alpha)) = (self.k, self.alpha) {
            builder = builder.lookahead(Lookahead::new(k, alpha).policy(policy(self)));
        }
        for (name, shape) in problem.names().iter().zip(&problem.shapes) {
            builder = builder.tensor(name, shape);
        }
        builder
    }
}

fn policy(run: &Run) -> StatePolicy {
    match run.policy.as_deref() {
        Some("maintain") => StatePolicy::Maintain,
        Some("interpolate") => StatePolicy::Interpolate,
        Some("reset") => StatePolicy::Reset,
        other => panic!("{}: unknown policy {other:?}", run.rule),
    }
}

/// The rule that a run names by its torch class or optax function, with that library's defaults.
fn rule(run: &Run) -> Box<dyn Rule> {
    let mut hyper = Hyper { rule: &run.rule, left: run.hyper.clone() };
    let rule: Box<dyn Rule> = match (run.torch.as_deref(), run.optax.as_deref()) {
        (Some("SGD"), _) => Box::new(Sgd {
            lr: hyper.number("lr", 1e-3),
            momentum: hyper.number("momentum", 0.0),
            dampening: hyper.number("dampening", 0.0),
            weight_decay: hyper.number("weight_decay", 0.0),
            nesterov: hyper.flag("nesterov"),
        }),
        (Some("Adagrad"), _) => Box::new(Adagrad {
            lr: hyper.number("lr", 1e-2),
            lr_decay: hyper.number("lr_decay", 0.0),
            initial_accumulator_value: hyper.number("initial_accumulator_value", 0.0),
            eps: hyper.number("eps", 1e-10),
            weight_decay: hyper.number("weight_decay", 0.0),
        }),
        (Some("RMSprop"), _) => Box::new(RmsProp {
            lr: hyper.number("lr", 1e-2),
            alpha: hyper.number("alpha", 0.99),
            eps: hyper.number("eps", 1e-8),
            momentum: hyper.number("momentum", 0.0),
            centered: hyper.flag("centered"),
            weight_decay: hyper.number("weight_decay", 0.0),
        }),
        (Some("Adadelta"), _) => Box::new(Adadelta {
            lr: hyper.number("lr", 1.0),
            rho: hyper.number("rho", 0.9),
            eps: hyper.number("eps", 1e-6),
            weight_decay: hyper.number("weight_decay", 0.0),
        }),
        (Some("Adam"), _) => Box::new(Adam {
            lr: hyper.number("lr", 1e-3),
            betas: hyper.pair("betas", (0.9, 0.999)),
            eps: hyper.number("eps", 1e-8),
            weight_decay: hyper.number("weight_decay", 0.0),
            amsgrad: hyper.flag("amsgrad"),
        }),
        (Some("AdamW"), _) => {
            let (beta1, beta2) = hyper.pair("betas", (0.9, 0.999));
            let rule = AdamW::new(hyper.number("lr", 1e-3)).betas(beta1, beta2);
            let rule = rule.eps(hyper.number("eps", 1e-8)).amsgrad(hyper.flag("amsgrad"));
            Box::new(rule.weight_decay(hyper.number("weight_decay", 1e-2)))
        }
        (Some("Adamax"), _) => Box::new(Adamax {
            lr: hyper.number("lr", 2e-3),
            betas: hyper.pair("betas", (0.9, 0.999)),
            eps: hyper.number("eps", 1e-8),
            weight_decay: hyper.number("weight_decay", 0.0),
        }),
        (Some("NAdam"), _) => Box::new(NAdam {
            lr: hyper.number("lr", 2e-3),
            betas: hyper.pair("betas", (0.9, 0.999)),
            eps: hyper.number("eps", 1e-8),
            momentum_decay: hyper.number("momentum_decay", 4e-3),
            weight_decay: hyper.number("weight_decay", 0.0),
            // The files are of torch 1.13.
            before_torch_2: true,
        }),
        (Some("RAdam"), _) => Box::new(RAdam {
            lr: hyper.number("lr", 1e-3),
            betas: hyper.pair("betas", (0.9, 0.999)),
            eps: hyper.number("eps", 1e-8),
            weight_decay: hyper.number("weight_decay", 0.0),
        }),
        (_, Some("sgd")) => Box::new(
            Sgd::new(hyper.number("learning_rate", f64::NAN))
                .momentum(hyper.number("momentum", 0.0))
                .nesterov(hyper.flag("nesterov")),
        ),
        (_, Some(function @ ("adam" | "adamw"))) => {
            let lr = hyper.number("learning_rate", f64::NAN);
            let (beta1, beta2) = (hyper.number("b1", 0.9), hyper.number("b2", 0.999));
            let eps = hyper.number("eps", 1e-8);
            if function == "adam" {
                Box::new(Adam::new(lr).betas(beta1, beta2).eps(eps))
            } else {
                let decay = hyper.number("weight_decay", 1e-4);
                Box::new(AdamW::new(lr).betas(beta1, beta2).eps(eps).weight_decay(decay))
            }
        }
        (_, Some("adabelief")) => Box::new(AdaBelief {
            lr: hyper.number("learning_rate", f64::NAN),
            betas: (hyper.number("b1", 0.9), hyper.number("b2", 0.999)),
            eps: hyper.number("eps", 1e-16),
            eps_root: hyper.number("eps_root", 1e-16),
            weight_decay: 0.0,
        }),
        (_, Some("adafactor")) => Box::new(AdaFactor {
            lr: hyper.number("learning_rate", f64::NAN),
            decay_rate: hyper.number("decay_rate", 0.8),
            eps: hyper.number("eps", 1e-30),
            min_dim_size_to_factor: hyper.take("min_dim_size_to_factor", 128),
            clipping_threshold: hyper.take("clipping_threshold", Some(1.0)),
            multiply_by_parameter_scale: hyper.take("multiply_by_parameter_scale", true),
            relative_step: false,
            momentum: hyper.number("momentum", 0.0),
            weight_decay: hyper.number("weight_decay_rate", 0.0),
        }),
        (_, Some("lion")) => Box::new(Lion {
            lr: hyper.number("learning_rate", f64::NAN),
            betas: (hyper.number("b1", 0.9), hyper.number("b2", 0.99)),
            weight_decay: hyper.number("weight_decay", 1e-3),
        }),
        (_, Some("lars")) => Box::new(
            Lars::new(hyper.number("learning_rate", f64::NAN))
                .weight_decay(hyper.number("weight_decay", 0.0))
                .trust_coefficient(hyper.number("trust_coefficient", 0.001))
                .momentum(hyper.number("momentum", 0.9)),
        ),
        (_, Some("lamb")) => Box::new(
            Lamb::new(hyper.number("learning_rate", f64::NAN))
                .betas(hyper.number("b1", 0.9), hyper.number("b2", 0.999))
                .eps(hyper.number("eps", 1e-6))
                .weight_decay(hyper.number("weight_decay", 0.0)),
        ),
        other => panic!("{}: {other:?} is not supported", run.rule),
    };
    assert!(hyper.left.is_empty(), "{}: unknown hyperparameters {:?}", run.rule, hyper.left);
    rule
}

/// Hyperparameters, taken out one by one, so that none is overlooked.
struct Hyper<'a> {
    rule: &'a str,
    left: BTreeMap<String, Value>,
}

impl Hyper<'_> {
    fn take<T: serde::de::DeserializeOwned>(&mut self, name: &str, default: T) -> T {
        match self.left.remove(name) {
            None | Some(Value::Null) => default,
            Some(value) => {
                serde_json::from_value(value).unwrap_or_else(|error| panic!("{}: {name}: {error}", self.rule))
            }
        }
    }

    fn number(&mut self, name: &str, default: f64) -> f64 {
        self.take(name, default)
    }

    fn flag(&mut self, name: &str) -> bool {
        self.take(name, false)
    }

    fn pair(&mut self, name: &str, default: (f64, f64)) -> (f64, f64) {
        self.take(name, default)
    }
}
