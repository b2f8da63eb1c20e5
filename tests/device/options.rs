//! Everything that can be built around a rule, against the f64 twin: outer steps, adaptive alpha, averages,
//! accumulation, centralisation, trust ratios.

use std::sync::Arc;

use crate::common::{
    alphas, download, largest_error, noise, read_slice_async, runs_here, spared, submit, widen,
    write_gradient,
};
use lookahead_wgpu::{
    Accumulation, AdaptiveAlpha, Average, Clip, Field, Lookahead, Optimizer, Options, Outer, Rule,
    StatePolicy,
    alpha::{Curvature, GradientAt, Scope},
    gpu::Gpu,
    outer::{HeavyBall, Interpolation, Nesterov, SlowMo},
    rules::{Adagrad, Adam, AdamW, Lamb, Lars, RAdam, Ranger, Sgd},
    twin::Twin,
};

on_devices!(
    outer_steps_agree_with_the_twin,
    outer_steps_without_momentum_are_lookahead,
    adaptive_alphas_agree_with_the_twin,
    on_a_quadratic_the_adaptive_alpha_is_that_of_proposition_1,
    an_alpha_that_is_no_number_falls_back_to_the_fixed_one,
    averages_agree_with_the_twin,
    the_average_is_exchanged_without_losing_a_bit,
    accumulation_and_centralisation_agree_with_the_twin,
    long_rows_are_centralised,
    vectors_alone_are_not_centralised,
    ranger_whole_is_its_parts,
    trust_ratios_and_ranger_agree_with_the_twin,
);

/// Tensors of one to four dimensions, of one block and more, with rows that do not fit vec4s.
fn shapes() -> Vec<Vec<usize>> {
    vec![vec![5, 7], vec![130], vec![3, 4, 5], vec![1], vec![2, 3, 3, 9], vec![6, 1]]
}

fn name(tensor: usize) -> String {
    format!("t{tensor}")
}

/// Builds an optimizer over [`shapes`] with these options.
async fn build(
    gpu: &Gpu,
    rule: impl Rule + 'static,
    lookahead: Option<Lookahead>,
    options: &Options,
) -> Optimizer {
    let mut builder = Optimizer::builder(rule).options(options.clone());
    if let Some(lookahead) = lookahead {
        builder = builder.lookahead(lookahead);
    }
    for (tensor, shape) in shapes().iter().enumerate() {
        builder = builder.tensor(&name(tensor), shape);
    }
    let mut optimizer = builder.pipelines(&gpu.pipelines).build(&gpu.device, &gpu.queue).await.unwrap();
    for (tensor, values) in start().iter().enumerate() {
        optimizer.upload(&name(tensor), values).unwrap();
    }
    optimizer
}

fn len(shape: &[usize]) -> usize {
    shape.iter().product()
}

fn start() -> Vec<Vec<f32>> {
    shapes().iter().zip(0..).map(|(shape, seed)| noise(len(shape), seed)).collect()
}

fn gradients(step: u64) -> Vec<Vec<f32>> {
    shapes().iter().zip(0..).map(|(shape, tensor)| noise(len(shape), 100 * (step + 1) + tensor)).collect()
}

fn write(gpu: &Gpu, optimizer: &Optimizer, gradients: &[Vec<f32>]) {
    for (tensor, values) in gradients.iter().enumerate() {
        write_gradient(gpu, optimizer, &name(tensor), values);
    }
}

/// Weights of size 1 over a dozen steps, each rounded to 6e-8; sums of 162 products to a few times that.
const TOLERANCE: f64 = 1e-5;

/// Trains both and compares all that both keep.
async fn compare(
    gpu: &Gpu,
    rule: impl Rule + Clone + 'static,
    lookahead: Option<Lookahead>,
    options: &Options,
) {
    if spared(gpu) {
        return;
    }
    let what = format!("{} {lookahead:?} {options:?}", rule.name());
    let lr = rule.learning_rate();
    let outer = options.outer.slots();
    let slots = rule.slots();
    let mut optimizer = build(gpu, rule.clone(), lookahead, options).await;
    let mut twin = Twin::new(rule, start().iter().map(|values| widen(values)).collect())
        .shapes(&shapes())
        .options(options.clone());
    if let Some(lookahead) = lookahead {
        twin = twin.lookahead(lookahead);
    }
    let given = options.adaptive.is_some_and(|adaptive| adaptive.curvature == Curvature::Given);
    for (tensor, shape) in shapes().iter().enumerate().filter(|_| given) {
        let values: Vec<f32> = noise(len(shape), 77).iter().map(|value| value.abs() + 0.1).collect();
        let slice = optimizer.curvature(&name(tensor)).unwrap();
        gpu.queue.write_buffer(&slice.buffer, slice.offset, bytemuck::cast_slice(&values));
        twin.curvature[tensor] = widen(&values);
    }
    let calls = 2 * twin.calls_in_a_cycle() + 1;
    for step in 0..u64::from(calls) {
        let gradients = gradients(step);
        write(gpu, &optimizer, &gradients);
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        twin.step(&gradients.iter().map(|values| widen(values)).collect::<Vec<_>>(), lr);
    }
    // alpha^ is 1 less a quotient of sums that may be much larger than it: their rounding comes through so much
    // larger. SlowMo's buffer is in units of the learning rate.
    let tolerance = if options.adaptive.is_some() { 20.0 * TOLERANCE } else { TOLERANCE };
    let slow_mo = if options.outer.name() == "slow_mo" { lr } else { 1.0 };
    let close = async |field: Field<'_>, tensor: usize, expected: &[f64]| {
        let error = largest_error(&download(&optimizer, field, &name(tensor)).await, expected);
        let error = if matches!(field, Field::Outer(_)) { slow_mo * error } else { error };
        assert!(error < tolerance, "{what}: {field} of tensor {tensor} is off by {error:e}");
    };
    let pick = |slots: &Vec<Vec<f64>>, slot: usize| slots.iter().map(|it| it[slot]).collect::<Vec<_>>();
    for tensor in 0..shapes().len() {
        close(Field::Weights, tensor, &twin.weights[tensor]).await;
        for (index, slot) in slots.iter().enumerate() {
            close(Field::State(slot.name), tensor, &pick(&twin.state[tensor], index)).await;
        }
        if lookahead.is_some() {
            close(Field::SlowWeights, tensor, &twin.slow_weights[tensor]).await;
            for (index, slot) in outer.iter().enumerate() {
                close(Field::Outer(slot.name), tensor, &pick(&twin.outer[tensor], index)).await;
            }
        }
        if options.average.is_some() {
            close(Field::Average, tensor, &twin.average[tensor]).await;
        }
    }
    if let Some(adaptive) = options.adaptive {
        // v is 1000 times smaller than v^ at the start: |g'd| is 1e4 times d'vd, whose rounding is 6e-8.
        let tolerance = if adaptive.curvature == Curvature::Raw { 5e-3 } else { 5e-4 };
        let found = alphas(&optimizer).await;
        assert_eq!(found.len(), twin.alphas.len());
        for (found, expected) in found.iter().zip(&twin.alphas) {
            let (found, expected) = (found.unwrap_or(-1.0), expected.unwrap_or(-1.0));
            assert!((f64::from(found) - expected).abs() < tolerance, "{what}: alpha {found}, not {expected}");
        }
    }
}

fn policies() -> [Option<Lookahead>; 4] {
    let with = |policy| Some(Lookahead::new(3, 0.4).policy(policy));
    [None, with(StatePolicy::Maintain), with(StatePolicy::Interpolate), with(StatePolicy::Reset)]
}

async fn outer_steps_agree_with_the_twin(gpu: &Gpu) {
    let outers: [Arc<dyn Outer>; 3] = [
        Arc::new(HeavyBall { momentum: 0.8 }),
        Arc::new(Nesterov { momentum: 0.9 }),
        Arc::new(SlowMo { momentum: 0.7 }),
    ];
    for outer in &outers {
        let options = Options::default().outer(outer.clone());
        for lookahead in policies().into_iter().flatten() {
            compare(gpu, AdamW::new(0.01).eps(1e-4), Some(lookahead), &options).await;
            compare(gpu, Sgd::new(0.05).momentum(0.9), Some(lookahead), &options).await;
        }
    }
}

/// With zero momentum every outer step is Lookahead, bit for bit.
async fn outer_steps_without_momentum_are_lookahead(gpu: &Gpu) {
    let run = async |outer: Arc<dyn Outer>| {
        let options = Options::default().outer(outer);
        let mut optimizer = build(gpu, Adam::new(0.01), Some(Lookahead::new(3, 0.3)), &options).await;
        for step in 0..10 {
            write(gpu, &optimizer, &gradients(step));
            submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        }
        let mut found = Vec::new();
        for tensor in 0..shapes().len() {
            for field in [Field::Weights, Field::SlowWeights] {
                found.push(bits(&optimizer, field, tensor).await);
            }
        }
        found
    };
    let lookahead = run(Arc::new(Interpolation)).await;
    assert_eq!(run(Arc::new(HeavyBall { momentum: 0.0 })).await, lookahead);
    assert_eq!(run(Arc::new(Nesterov { momentum: 0.0 })).await, lookahead);
    assert_eq!(run(Arc::new(SlowMo { momentum: 0.0 })).await, lookahead);
}

async fn bits(optimizer: &Optimizer, field: Field<'_>, tensor: usize) -> Vec<u32> {
    let values = download(optimizer, field, &name(tensor)).await;
    values.into_iter().map(f32::to_bits).collect()
}

async fn adaptive_alphas_agree_with_the_twin(gpu: &Gpu) {
    for (s, scope) in (0..).zip([Scope::Model, Scope::Group, Scope::Tensor]) {
        for (g, gradient) in (0..).zip([GradientAt::Synchronised, GradientAt::LastStep]) {
            let adaptive = AdaptiveAlpha::new(0.1).scope(scope).gradient(gradient);
            for (c, curvature) in (0..).zip([
                Curvature::Corrected,
                Curvature::Raw,
                Curvature::Root,
                Curvature::Given,
                Curvature::Fisher { decay: 0.9 },
            ]) {
                if !runs_here(&[s, g, c]) {
                    continue;
                }
                let adaptive = Some(adaptive.curvature(curvature));
                let options = Options::default().adaptive(adaptive);
                let adam = Adam::new(0.02).eps(1e-4).weight_decay(0.01);
                let lookahead = Lookahead::new(3, 0.4);
                compare(gpu, adam.clone(), Some(lookahead), &options).await;
                let needs_moment = matches!(curvature, Curvature::Raw | Curvature::Root);
                if scope == Scope::Model && !needs_moment {
                    compare(gpu, Sgd::new(0.05), Some(lookahead), &options).await;
                    compare(gpu, adam, Some(lookahead.policy(StatePolicy::Interpolate)), &options).await;
                    compare(gpu, Sgd::new(0.05), Some(lookahead.policy(StatePolicy::Reset)), &options).await;
                }
            }
        }
    }
}

/// On a quadratic with Â = A the adaptive alpha is the exact alpha* of Proposition 1.
async fn on_a_quadratic_the_adaptive_alpha_is_that_of_proposition_1(gpu: &Gpu) {
    let dimension = 37;
    // A learning rate of 0.5 overshoots along all of these.
    let a: Vec<f64> = (0..dimension).map(|i| 2.1 + 0.045 * f64::from(i)).collect();
    let b: Vec<f64> = widen(&noise(dimension as usize, 5));
    let alpha_low = 0.01;
    let adaptive = AdaptiveAlpha::new(alpha_low).curvature(Curvature::Given);
    let k = 3;
    let mut optimizer = Optimizer::builder(Sgd::new(0.5))
        .lookahead(Lookahead::new(k, 0.5))
        .adaptive(adaptive)
        .tensor("x", &[dimension as usize])
        .pipelines(&gpu.pipelines)
        .build(&gpu.device, &gpu.queue)
        .await
        .unwrap();
    optimizer.upload("x", &noise(dimension as usize, 9)).unwrap();
    let slice = optimizer.curvature("x").unwrap();
    let given: Vec<f32> = a.iter().map(|value| *value as f32).collect();
    gpu.queue.write_buffer(&slice.buffer, slice.offset, bytemuck::cast_slice(&given));
    for cycle in 0..3 {
        let theta_0 = widen(&download(&optimizer, Field::Weights, "x").await);
        let mut theta_k = theta_0.clone();
        for call in 0..=k {
            let x = widen(&download(&optimizer, Field::Weights, "x").await);
            if call == k {
                theta_k.clone_from(&x);
            }
            let gradient: Vec<f32> = x.iter().zip(&a).zip(&b).map(|((x, a), b)| (a * x - b) as f32).collect();
            write_gradient(gpu, &optimizer, "x", &gradient);
            submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        }
        let (mut above, mut below) = (0.0, 0.0);
        for i in 0..dimension as usize {
            let step = theta_0[i] - theta_k[i];
            above += (theta_0[i] - b[i] / a[i]) * a[i] * step;
            below += step * a[i] * step;
        }
        let expected = (above / below).clamp(alpha_low, 1.0);
        let found = alphas(&optimizer).await[0].unwrap();
        assert!((f64::from(found) - expected).abs() < 1e-4, "cycle {cycle}: {found}, not {expected}");
        assert!(expected > alpha_low && expected < 1.0, "cycle {cycle}: {expected} is clipped");
        let synced = widen(&download(&optimizer, Field::Weights, "x").await);
        for i in 0..dimension as usize {
            let due = theta_0[i] + expected * (theta_k[i] - theta_0[i]);
            assert!((synced[i] - due).abs() < 1e-4, "cycle {cycle}, {i}: {} is not {due}", synced[i]);
        }
    }
}

/// Without a direction (d = 0) there is no alpha^: the fixed one is taken, and nothing becomes NaN.
async fn an_alpha_that_is_no_number_falls_back_to_the_fixed_one(gpu: &Gpu) {
    for (value, finds) in [(0.0f32, false), (1e30, false), (0.1, true)] {
        let adaptive = Some(AdaptiveAlpha::new(0.2).gradient(GradientAt::LastStep));
        let options = Options::default().adaptive(adaptive);
        let mut optimizer = build(gpu, Sgd::new(0.1), Some(Lookahead::new(2, 0.25)), &options).await;
        let constant: Vec<Vec<f32>> = start().iter().map(|values| vec![value; values.len()]).collect();
        for _ in 0..2 {
            write(gpu, &optimizer, &constant);
            submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        }
        assert_eq!(alphas(&optimizer).await[0].is_some(), finds, "{value}");
        let weights = download(&optimizer, Field::Weights, "t0").await;
        for (weight, start) in weights.iter().zip(&start()[0]) {
            let due = start - 0.25 * 2.0 * 0.1 * value;
            assert!(finds || (weight - due).abs() <= 1e-6 * due.abs().max(1.0), "{weight} is not {due}");
        }
    }
}

async fn averages_agree_with_the_twin(gpu: &Gpu) {
    let averages = [
        Average::Ema { decay: 0.8 },
        Average::Polyak { from: 0 },
        Average::Polyak { from: 4 },
        Average::Swa { every: 3, from: 2 },
    ];
    for average in averages {
        let options = Options::default().average(average);
        for lookahead in policies() {
            compare(gpu, AdamW::new(0.01).eps(1e-4), lookahead, &options).await;
        }
        let adaptive = Some(AdaptiveAlpha::new(0.1).gradient(GradientAt::LastStep));
        compare(gpu, Adam::new(0.01).eps(1e-4), policies()[1], &options.adaptive(adaptive)).await;
    }
}

/// The average is evaluated in the weights' place, and training goes on as if it had not been.
async fn the_average_is_exchanged_without_losing_a_bit(gpu: &Gpu) {
    let options = Options::default().average(Average::Ema { decay: 0.5 });
    let run = async |swaps: bool| {
        let mut optimizer = build(gpu, Adam::new(0.01), Some(Lookahead::new(3, 0.5)), &options).await;
        for step in 0..5 {
            if swaps {
                let average = bits(&optimizer, Field::Average, 0).await;
                submit(gpu, |encoder| optimizer.swap_average(encoder)).unwrap();
                let slice = optimizer.weights("t0").unwrap();
                let seen: Vec<u32> =
                    read_slice_async(gpu, &slice).await.into_iter().map(f32::to_bits).collect();
                assert_eq!(seen, average, "step {step}");
                submit(gpu, |encoder| optimizer.swap_average(encoder)).unwrap();
            }
            write(gpu, &optimizer, &gradients(step));
            submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        }
        let mut found = Vec::new();
        for field in [Field::Weights, Field::SlowWeights, Field::Average] {
            found.push(bits(&optimizer, field, 0).await);
        }
        found
    };
    assert_eq!(run(true).await, run(false).await);
}

async fn accumulation_and_centralisation_agree_with_the_twin(gpu: &Gpu) {
    let accumulations = [None, Some(Accumulation::mean(3)), Some(Accumulation::sum(2))];
    let clips = [Clip::None, Clip::Value(0.3), Clip::GlobalNorm(0.7), Clip::TensorNorm(0.5)];
    for (a, accumulate) in (0..).zip(accumulations) {
        for centralise in [false, true] {
            for (c, clip) in (0..).zip(clips) {
                if !runs_here(&[a, usize::from(centralise), c]) {
                    continue;
                }
                let options = Options::default().accumulate(accumulate).centralise(centralise).clip(clip);
                compare(gpu, Adam::new(0.01).eps(1e-3), policies()[1], &options).await;
            }
        }
    }
    let adaptive = Some(AdaptiveAlpha::new(0.1));
    let accumulate = Some(Accumulation::mean(2));
    compare(
        gpu,
        Adam::new(0.01).eps(1e-3),
        policies()[2],
        &Options::default().accumulate(accumulate).adaptive(adaptive),
    )
    .await;
}

/// Rows longer than a workgroup's span, and more rows than one dimension of a small grid has workgroups.
async fn long_rows_are_centralised(gpu: &Gpu) {
    let shape = [3, 40_001];
    let mut optimizer = Optimizer::builder(Sgd::new(1.0))
        .centralise()
        .tensor("w", &shape)
        .pipelines(&gpu.pipelines)
        .build(&gpu.device, &gpu.queue)
        .await
        .unwrap();
    let gradient = noise(shape[0] * shape[1], 3);
    write_gradient(gpu, &optimizer, "w", &gradient);
    submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
    let found = download(&optimizer, Field::Weights, "w").await;
    let expected: Vec<f64> = gradient
        .chunks(shape[1])
        .flat_map(|row| {
            let mean = widen(row).iter().sum::<f64>() / row.len() as f64;
            row.iter().map(move |value| mean - f64::from(*value))
        })
        .collect();
    let error = largest_error(&found, &expected);
    assert!(error < 1e-6, "off by {error:e}");
}

/// A model of vectors alone has no row whose mean could be taken.
async fn vectors_alone_are_not_centralised(gpu: &Gpu) {
    let builder = Optimizer::builder(Sgd::new(1.0)).centralise().tensor("w", &[5]);
    let mut optimizer = builder.pipelines(&gpu.pipelines).build(&gpu.device, &gpu.queue).await.unwrap();
    write_gradient(gpu, &optimizer, "w", &[1.0; 5]);
    submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
    assert_eq!(download(&optimizer, Field::Weights, "w").await, [-1.0; 5]);
}

async fn ranger_whole_is_its_parts(gpu: &Gpu) {
    let run = async |builder: lookahead_wgpu::Builder| {
        let builder = builder.tensor("w", &[4, 6]);
        let mut optimizer = builder.pipelines(&gpu.pipelines).build(&gpu.device, &gpu.queue).await.unwrap();
        for step in 0..7 {
            write_gradient(gpu, &optimizer, "w", &noise(24, step));
            submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        }
        download(&optimizer, Field::Weights, "w").await
    };
    let parts = Optimizer::builder(Ranger::new(0.01)).lookahead(Lookahead::new(6, 0.5));
    assert_eq!(run(Optimizer::ranger(0.01)).await, run(parts).await);
}

async fn trust_ratios_and_ranger_agree_with_the_twin(gpu: &Gpu) {
    for (l, lookahead) in (0..).zip(policies()) {
        for (c, clip) in (0..).zip([Clip::None, Clip::GlobalNorm(0.7)]) {
            if !runs_here(&[l, c]) {
                continue;
            }
            let options = Options::default().clip(clip);
            compare(gpu, Lars::new(0.5).weight_decay(0.01), lookahead, &options).await;
            compare(gpu, Lamb::new(0.02).weight_decay(0.01), lookahead, &options).await;
            compare(gpu, Ranger::new(0.01), lookahead, &options).await;
            compare(gpu, RAdam::new(0.01), lookahead, &options).await;
            compare(gpu, Adagrad::new(0.1), lookahead, &options).await;
        }
    }
    let all = Options::default()
        .clip(Clip::TensorNorm(0.5))
        .accumulate(Accumulation::mean(2))
        .centralise(true)
        .average(Average::Ema { decay: 0.7 })
        .adaptive(AdaptiveAlpha::new(0.1).scope(Scope::Tensor))
        .outer(Nesterov { momentum: 0.6 });
    compare(gpu, Lamb::new(0.02).weight_decay(0.01), policies()[2], &all).await;
    compare(gpu, Lars::new(0.5).weight_decay(0.01), policies()[1], &all).await;
}
