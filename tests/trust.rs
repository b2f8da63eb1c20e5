//! The f64 twins of the rules with a trust ratio against trajectories of optax, the ratios taken here.

use lookahead_wgpu::{
    Rule,
    rules::{Lamb, Lars, Step},
};
use serde_json::Value;

#[test]
fn lars_and_lamb_agree_with_optax() {
    let text = include_str!("golden/optax.json");
    let file: Value = serde_json::from_str(text).unwrap();
    let problem = &file["problem"];
    for run in file["runs"].as_array().unwrap().iter().filter(|run| run["k"].is_null()) {
        let hyper = |name: &str| run["hyper"][name].as_f64().unwrap();
        let rule: Box<dyn Rule> = match run["rule"].as_str().unwrap() {
            "lars" => Box::new(
                Lars::new(hyper("learning_rate"))
                    .momentum(hyper("momentum"))
                    .trust_coefficient(hyper("trust_coefficient"))
                    .weight_decay(hyper("weight_decay")),
            ),
            "lamb" => Box::new(
                Lamb::new(hyper("learning_rate"))
                    .betas(hyper("b1"), hyper("b2"))
                    .eps(hyper("eps"))
                    .weight_decay(hyper("weight_decay")),
            ),
            _ => continue,
        };
        rule.check().unwrap();
        let expected = rows(&run["x"]);
        let mut x = values(&problem["x0"]);
        let mut state = vec![vec![0.0; rule.slots().len()]; x.len()];
        for (step, expected) in expected.iter().enumerate() {
            let gradient = gradient(problem, &x, step);
            let mut first = 0;
            for shape in problem["shapes"].as_array().unwrap() {
                let len = values(shape).iter().product::<f64>() as usize;
                let tensor = first..first + len;
                first += len;
                let (x, state) = (&mut x[tensor.clone()], &mut state[tensor.clone()]);
                update(rule.as_ref(), step as u64 + 1, x, &gradient[tensor], state);
            }
            for (found, expected) in x.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-12, "{}: {found} at step {step}", rule.name());
            }
        }
    }
}

/// One step of one tensor.
fn update(rule: &dyn Rule, count: u64, weights: &mut [f64], gradients: &[f64], state: &mut [Vec<f64>]) {
    use lookahead_wgpu::rules::WeightDecay::{Direction, L2};
    let (l2, decay) = match rule.weight_decay() {
        L2(factor) => (factor, 0.0),
        Direction(factor) => (0.0, factor),
        other => panic!("{other:?}"),
    };
    let mut step = Step { count, learning_rate: rule.learning_rate(), decay, trust: 1.0 };
    let gradients: Vec<f64> = gradients.iter().zip(&*weights).map(|(g, w)| g + l2 * w).collect();
    let of_all = weights.iter().zip(&gradients).zip(&mut *state);
    let measured: Vec<f64> = of_all.map(|((w, g), state)| rule.measure(&step, *w, *g, state)).collect();
    let norm = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
    let (trust, size, direction) = (rule.trust().unwrap(), norm(weights), norm(&measured));
    if size > 0.0 && direction > 0.0 {
        step.trust = trust.coefficient * size / (direction + trust.eps);
    }
    for ((w, g), state) in weights.iter_mut().zip(&gradients).zip(state) {
        *w = rule.update(&step, *w, *g, state);
    }
}

fn gradient(problem: &Value, x: &[f64], step: usize) -> Vec<f64> {
    let (b, noise) = (values(&problem["b"]), values(&problem["noise"][step]));
    let product = |row: &Vec<f64>| row.iter().zip(x).map(|(a, x)| a * x).sum::<f64>();
    rows(&problem["A"])
        .iter()
        .zip(b.iter().zip(noise))
        .map(|(row, (b, noise))| product(row) - b + noise)
        .collect()
}

fn values(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

fn rows(list: &Value) -> Vec<Vec<f64>> {
    list.as_array().unwrap().iter().map(values).collect()
}
