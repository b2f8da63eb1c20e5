//! Every rule against trajectories of independent libraries: torch.optim and optax in f64.
//!
//! `LOOKAHEAD_GOLDEN` names another folder of files of the same form; `tests/golden/README.md` says which.

mod common;

use std::collections::BTreeMap;
#[cfg(not(target_arch = "wasm32"))]
use std::path::PathBuf;

use lookahead_wgpu::{Field, Lookahead, Optimizer, Rule, StatePolicy, gpu::Gpu, rules};
use serde::Deserialize;
use serde_json::{Map, Value};

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
    hyper: Map<String, Value>,
    k: Option<u32>,
    alpha: Option<f64>,
    policy: Option<String>,
    x: Vec<Vec<f64>>,
}

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
        [("torch", include_str!("golden/torch.json")), ("optax", include_str!("golden/optax.json"))]
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
    /// Runs of rules that the crate has. One that cannot be built is a failure.
    fn supported(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| rules::ALL.iter().any(|entry| entry.name == run.name()))
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

impl Run {
    /// The rule's name here: torch's classes have it in capitals.
    fn name(&self) -> String {
        self.torch.as_deref().or(self.optax.as_deref()).unwrap_or_default().to_lowercase()
    }
}

/// The rule that a run names by its torch class or optax function, with that library's names and defaults.
fn rule(run: &Run) -> Box<dyn Rule> {
    let name = run.name();
    let mut hyper = run.hyper.clone();
    // None is a default in these libraries.
    hyper.retain(|_, value| !value.is_null());
    for (optax, here) in [("learning_rate", "lr"), ("weight_decay_rate", "weight_decay")] {
        if let Some(value) = hyper.remove(optax) {
            hyper.insert(here.to_owned(), value);
        }
    }
    if let (Some(b1), Some(b2)) = (hyper.remove("b1"), hyper.remove("b2")) {
        hyper.insert("betas".to_owned(), Value::Array(vec![b1, b2]));
    }
    match (name.as_str(), &run.torch) {
        // The files are of torch 1.13.
        ("nadam", Some(_)) => hyper.insert("before_torch_2".to_owned(), true.into()),
        ("adamw", None) => {
            let decay = hyper.remove("weight_decay").unwrap_or_else(|| 1e-4.into());
            hyper.insert("weight_decay".to_owned(), decay)
        }
        _ => None,
    };
    rules::read(&name, hyper).unwrap_or_else(|error| panic!("{}: {error}", run.rule))
}
