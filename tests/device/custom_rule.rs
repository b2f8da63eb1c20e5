//! The rule of `examples/custom_rule` against its own twin in f64.

#[path = "../../examples/custom_rule/signum.rs"]
mod signum;

use crate::common::{largest_error, noise, on_every_adapter, submit, widen, write_gradient};
use lookahead_wgpu::{Field, Lookahead, Optimizer, StatePolicy, twin::Twin};
use signum::Signum;

/// Tensors that end within a vec4 and beyond one block of the layout.
const LENS: [usize; 3] = [1, 70, 257];

const NAMES: [&str; 3] = ["a", "b", "c"];

/// WGSL's `sign` of a NaN may be any number; the rule's is a NaN.
#[test]
fn a_gradient_that_is_nan_reaches_the_weight() {
    on_every_adapter(|gpu| {
        let builder = Optimizer::builder(Signum { lr: 0.05, beta: 0.8 }).tensor("a", &[4]);
        let mut optimizer =
            builder.pipelines(&gpu.pipelines).build_blocking(&gpu.device, &gpu.queue).unwrap();
        write_gradient(gpu, &optimizer, "a", &[f32::NAN, 1.0, f32::INFINITY, -1.0]);
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        let w = optimizer.download_blocking(Field::Weights, "a").unwrap();
        assert!(w[0].is_nan() && w[1..] == [-0.05, -0.05, 0.05], "{w:?}");
    });
}

#[test]
fn the_kernel_is_the_twin_alone_and_with_every_policy() {
    use StatePolicy::{Interpolate, Maintain, Reset};
    let with = |policy| Some(Lookahead::new(4, 0.5).policy(policy));
    for lookahead in [None, with(Maintain), with(Interpolate), with(Reset)] {
        on_every_adapter(|gpu| {
            let rule = Signum { lr: 0.05, beta: 0.8 };
            let start: Vec<Vec<f32>> = LENS.iter().zip(0..).map(|(len, seed)| noise(*len, seed)).collect();
            let mut builder = Optimizer::builder(rule.clone());
            let mut twin = Twin::new(rule.clone(), start.iter().map(|values| widen(values)).collect());
            if let Some(lookahead) = lookahead {
                builder = builder.lookahead(lookahead);
                twin = twin.lookahead(lookahead);
            }
            let builder =
                NAMES.iter().zip(LENS).fold(builder, |builder, (name, len)| builder.tensor(name, &[len]));
            let mut optimizer =
                builder.pipelines(&gpu.pipelines).build_blocking(&gpu.device, &gpu.queue).unwrap();
            for (name, values) in NAMES.iter().zip(&start) {
                optimizer.upload(name, values).unwrap();
            }
            for step in 0..18 {
                let gradients: Vec<Vec<f32>> =
                    LENS.iter().zip(0..).map(|(len, tensor)| noise(*len, 100 * step + tensor)).collect();
                for (name, values) in NAMES.iter().zip(&gradients) {
                    write_gradient(gpu, &optimizer, name, values);
                }
                submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
                let gradients: Vec<_> = gradients.iter().map(|values| widen(values)).collect();
                twin.step(&gradients, rule.lr);
                compare(&optimizer, &twin, lookahead.is_some(), &format!("{lookahead:?}, step {step}"));
            }
        });
    }
}

fn compare(optimizer: &Optimizer, twin: &Twin, slow: bool, what: &str) {
    for (tensor, name) in NAMES.iter().enumerate() {
        let momentum: Vec<f64> = twin.state[tensor].iter().map(|state| state[0]).collect();
        let closest =
            momentum.iter().copied().filter(|m| *m != 0.0).fold(f64::INFINITY, |a, m| a.min(m.abs()));
        assert!(closest > 1e-6, "{what}: rounding may decide the sign of {closest:e}; take another seed");
        let near = |field: Field<'_>, expected: &[f64]| {
            let error = largest_error(&optimizer.download_blocking(field, name).unwrap(), expected);
            assert!(error < 2e-6, "{what}: {field:?} of `{name}` is off by {error:e}");
        };
        near(Field::Weights, &twin.weights[tensor]);
        near(Field::State("momentum"), &momentum);
        if slow {
            near(Field::SlowWeights, &twin.slow_weights[tensor]);
        }
    }
}
