//! The files of trajectories, and the rules that their runs name.

use lookahead_wgpu::{Builder, Lookahead, Optimizer, Rule, StatePolicy, rules};
use serde::Deserialize;
use serde_json::{Map, Value};

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
    pub hyper: Map<String, Value>,
    pub k: Option<u32>,
    pub alpha: Option<f64>,
    pub policy: Option<String>,
    pub x: Vec<Vec<f64>>,
}

/// Reads a file.
pub fn parse(name: &str, text: &str) -> File {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

impl File {
    /// Its runs of rules that the crate has.
    pub fn supported(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| rules::ALL.iter().any(|entry| entry.name == run.name()))
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
