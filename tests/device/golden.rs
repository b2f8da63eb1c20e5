//! Every rule against trajectories of independent libraries: torch.optim and optax in f64.
//!
//! `LOOKAHEAD_GOLDEN` names another folder of files of the same form; `tests/golden/README.md` says which.

use std::collections::BTreeMap;
#[cfg(not(target_arch = "wasm32"))]
use std::path::PathBuf;

use crate::common;
use lookahead_wgpu::{
    Field, Lookahead, Optimizer, Rule, StatePolicy,
    gpu::Gpu,
    rules::{
        AdaBelief, AdaFactor, Adadelta, Adagrad, Adam, AdamW, Adamax, Lamb, Lars, Lion, NAdam, RAdam,
        RmsProp, Sgd,
    },
};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct File {
    problem: Problem,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Problem {
    shapes: Vec<Vec<usize>>,
    #[serde(rename = "A")]
    a: Vec<Vec<f64>>,
    b: Vec<f64>,
    x0: Vec<f64>,
    noise: Vec<Vec<f64>>,
    steps: usize,
}

#[derive(Deserialize)]
struct Run {
    rule: String,
    torch: Option<String>,
    optax: Option<String>,
    hyper: BTreeMap<String, Value>,
    k: Option<u32>,
    alpha: Option<f64>,
    policy: Option<String>,
    x: Vec<Vec<f64>>,
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

/// f32 against f64: weights of size up to 4 are rounded to 2.4e-7 at each of 40 steps. Adam and its like divide
/// by sqrt(v), which passes a gradient's own rounding on undamped where it is small. The sign that Lion takes
/// is of 2e-5 at least in these runs, so that none flips.
const TOLERANCE: f64 = 1e-5;

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn trajectories_agree_with_torch_and_optax() {
    let folder = std::env::var_os("LOOKAHEAD_GOLDEN")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden"), PathBuf::from);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    let mut compared = 0;
    let worst = std::cell::RefCell::new(BTreeMap::new());
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let file = parse(&path.display().to_string(), &text);
        for run in file.supported() {
            common::on_every_adapter(|gpu| {
                let error = pollster::block_on(compare(gpu, &file.problem, run));
                let mut worst = worst.borrow_mut();
                let worst = worst.entry(run.rule.clone()).or_insert(0.0f64);
                *worst = worst.max(error);
            });
            compared += 1;
        }
    }
    assert!(compared > 0, "{} has no run of a rule that the crate has", folder.display());
    println!("{compared} trajectories on {} adapters, off at most by", common::gpus().len());
    for (rule, error) in worst.into_inner() {
        println!("{error:9.1e} {rule}");
    }
}

/// The same in a browser, which has no files: gives the number of runs and the largest error.
#[cfg(target_arch = "wasm32")]
pub async fn trajectories_agree_with_torch_and_optax(gpu: &Gpu) -> (usize, f64) {
    let (mut compared, mut worst) = (0, 0.0f64);
    for (name, text) in
        [("torch", include_str!("../golden/torch.json")), ("optax", include_str!("../golden/optax.json"))]
    {
        let file = parse(name, text);
        for run in file.supported() {
            worst = worst.max(compare(gpu, &file.problem, run).await);
            compared += 1;
        }
    }
    assert!(compared > 0, "no run of a rule that the crate has");
    (compared, worst)
}

fn parse(name: &str, text: &str) -> File {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

impl File {
    fn supported(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| SUPPORTED.contains(&run.rule.as_str()))
    }
}

/// The largest error of a run.
async fn compare(gpu: &Gpu, problem: &Problem, run: &Run) -> f64 {
    let mut worst = 0.0f64;
    let what = format!("{} {:?} k={:?} alpha={:?} {:?}", run.rule, run.hyper, run.k, run.alpha, run.policy);
    let names: Vec<_> = (0..problem.shapes.len()).map(|index| format!("t{index}")).collect();
    let mut builder = Optimizer::builder(rule(run));
    if let (Some(k), Some(alpha)) = (run.k, run.alpha) {
        builder = builder.lookahead(Lookahead::new(k, alpha).policy(policy(run)));
    }
    for (name, shape) in names.iter().zip(&problem.shapes) {
        builder = builder.tensor(name, shape);
    }
    let mut optimizer = builder.build(&gpu.device, &gpu.queue).await.unwrap();
    let lens: Vec<usize> = problem.shapes.iter().map(|shape| shape.iter().product()).collect();
    let split = |values: &[f64]| -> Vec<Vec<f32>> {
        let mut rest = values.iter().map(|value| *value as f32);
        lens.iter().map(|&len| rest.by_ref().take(len).collect()).collect()
    };
    for (name, values) in names.iter().zip(split(&problem.x0)) {
        optimizer.upload(name, &values).unwrap();
    }
    let mut x: Vec<f64> = problem.x0.iter().map(|value| f64::from(*value as f32)).collect();
    for step in 0..problem.steps {
        let gradient: Vec<f64> = (0..x.len())
            .map(|i| {
                let product: f64 = problem.a[i].iter().zip(&x).map(|(a, x)| a * x).sum();
                product - problem.b[i] + problem.noise[step][i]
            })
            .collect();
        for (name, values) in names.iter().zip(split(&gradient)) {
            common::write_gradient(gpu, &optimizer, name, &values);
        }
        common::submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        let mut found = Vec::new();
        for name in &names {
            found.extend(common::download(&optimizer, Field::Weights, name).await);
        }
        let error = common::largest_error(&found, &run.x[step]);
        assert!(error < TOLERANCE, "{what}: off by {error:e} after step {step}");
        worst = worst.max(error);
        x = common::widen(&found);
    }
    worst
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
