//! Gradients at the ends of f32's range, and beyond: norms do not overflow or vanish with their squares, and what
//! is not finite reaches the weights.

use crate::common::{Shared, counters, download, export, noise, spared, submit, widen, write_gradient};
use lookahead_wgpu::{
    Accumulation, AdaptiveAlpha, Average, Clip, Field, Guard, Lookahead, LossScale, Optimizer, Options, Rule,
    StatePolicy,
    gpu::Gpu,
    outer::{HeavyBall, Nesterov, SlowMo},
    rules::{
        AdaBelief, AdaFactor, Adadelta, Adagrad, Adam, AdamW, Adamax, Lamb, Lars, Lion, NAdam, RAdam, Ranger,
        RmsProp, Sgd,
    },
    twin::Twin,
};

on_devices!(
    clipping_by_norm_whatever_the_size,
    clipping_one_large_among_small_ones,
    a_loss_scale_counts_in_the_norm,
    a_call_between_steps_leaves_the_norm,
    trust_ratios_whatever_the_size,
    row_means_whatever_the_size,
    a_gradient_that_is_not_finite_reaches_the_weights,
    so_it_does_through_lookahead,
    gradient_norms_are_read_without_clipping,
    gradient_norms_of_any_size_while_steps_go_on,
);

async fn build(gpu: &Gpu, rule: impl Rule + 'static, options: &Options, shapes: &[&[usize]]) -> Optimizer {
    let mut builder = Optimizer::builder(rule).options(options.clone());
    for (name, shape) in NAMES.iter().zip(shapes) {
        builder = builder.tensor(name, shape);
    }
    builder.pipelines(&gpu.pipelines).build(&gpu.device, &gpu.queue).await.unwrap()
}

const NAMES: [&str; 2] = ["a", "b"];

async fn step(gpu: &Gpu, optimizer: &mut Optimizer, gradients: &[Vec<f32>]) {
    for (name, gradient) in NAMES.iter().zip(gradients) {
        write_gradient(gpu, optimizer, name, gradient);
    }
    submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
}

/// The largest error relative to the expected value itself.
fn relative(found: &[f32], expected: impl Fn(usize) -> f64) -> f64 {
    let error = |(index, found): (usize, &f32)| (f64::from(*found) / expected(index) - 1.0).abs();
    found.iter().enumerate().map(error).fold(0.0, |a, b| if a.is_nan() || a > b { a } else { b })
}

async fn clipping_by_norm_whatever_the_size(gpu: &Gpu) {
    for size in [1e38f32, 1e36, 1e19, 1e10, 1.0, 1e-4, 1e-12, 1e-25, 1e-36] {
        // Long enough for several spans, too.
        for len in [128, 40_000].into_iter().filter(|len| *len == 128 || [1e38, 1e19, 1e-25].contains(&size))
        {
            let norm = f64::from(size) * (len as f64).sqrt();
            for max_norm in [1.0, norm.min(1e38) / 8.0] {
                let factor = (max_norm / (norm + 1e-6)).min(1.0);
                let expected = -f64::from(size) * factor;
                if expected.abs() < 1e-37 {
                    continue;
                }
                let clips = [
                    (Clip::GlobalNorm(max_norm), None),
                    (Clip::TensorNorm(max_norm), Some(Guard::default())),
                ];
                for (clip, guard) in clips {
                    if spared(gpu) {
                        continue;
                    }
                    let options = Options::default().clip(clip).guard(guard);
                    let mut optimizer = build(gpu, Sgd::new(1.0), &options, &[&[len]]).await;
                    step(gpu, &mut optimizer, &[vec![size; len]]).await;
                    let w = download(&optimizer, Field::Weights, "a").await;
                    let error = relative(&w, |_| expected);
                    assert!(error < 3e-6, "{len} of {size:e}, {options:?}: {} for {expected:e}", w[0]);
                    let counters = counters(&optimizer).await;
                    assert_eq!((counters.steps, counters.skipped), (1, 0));
                }
            }
        }
    }
}

async fn clipping_one_large_among_small_ones(gpu: &Gpu) {
    for (large, small) in
        [(1e19f32, 1.0), (3e38, 2e37), (1e13, 3e11), (1e-11, 4e-14), (2e-12, 1e-14), (5.0, 0.1)]
    {
        for places in [vec![0], vec![77, 20_001], (0..30_000).step_by(3).collect()] {
            let mut gradient = vec![small; 30_000];
            places.iter().for_each(|place: &usize| gradient[*place] = large);
            let norm = widen(&gradient).iter().map(|g| g * g).sum::<f64>().sqrt();
            let max_norm = norm.min(1e38) / 3.0;
            let options = Options::default().clip(Clip::GlobalNorm(max_norm));
            let mut optimizer = build(gpu, Sgd::new(1.0), &options, &[&[30_000]]).await;
            step(gpu, &mut optimizer, std::slice::from_ref(&gradient)).await;
            let w = download(&optimizer, Field::Weights, "a").await;
            let factor = (max_norm / (norm + 1e-6)).min(1.0);
            let error = relative(&w, |index| -f64::from(gradient[index]) * factor);
            assert!(error < 3e-6, "{} of {large:e} among {small:e}: off by {error:e}", places.len());
        }
    }
}

/// The norm is the gradient's after the loss scale is divided out.
async fn a_loss_scale_counts_in_the_norm(gpu: &Gpu) {
    for scale in [1.0, 65536.0, 1e20, 1e-10] {
        let loss_scale = LossScale::default().initial(scale);
        let guard = Some(Guard::loss_scale(loss_scale));
        let options = Options::default().guard(guard).clip(Clip::GlobalNorm(0.5));
        let mut optimizer = build(gpu, Sgd::new(1.0), &options, &[&[128]]).await;
        step(gpu, &mut optimizer, &[vec![scale as f32; 128]]).await;
        let w = download(&optimizer, Field::Weights, "a").await;
        let error = relative(&w, |_| -0.5 / 128f64.sqrt());
        assert!(error < 3e-6, "loss scale {scale:e}: {}", w[0]);
    }
}

/// A norm is of the step that measured it, though the loss scale has grown since.
async fn a_call_between_steps_leaves_the_norm(gpu: &Gpu) {
    for checks in [false, true] {
        let guard = Guard::loss_scale(LossScale::default().initial(4.0).interval(1));
        let guard = if checks { guard.check_updates() } else { guard };
        let builder = Optimizer::builder(Sgd::new(0.1)).lookahead(Lookahead::default()).guard(guard);
        let builder = builder.tensor("a", &[100]);
        let mut optimizer = builder.build(&gpu.device, &gpu.queue).await.unwrap();
        step(gpu, &mut optimizer, &[vec![4.0; 100]]).await;
        assert_eq!(gradient_norms(&optimizer).await, [10.0], "updates checked: {checks}");
        submit(gpu, |encoder| optimizer.sync_now(encoder)).unwrap();
        assert_eq!(gradient_norms(&optimizer).await, [10.0], "updates checked: {checks}");
    }
}

async fn trust_ratios_whatever_the_size(gpu: &Gpu) {
    for (weight, gradient) in
        [(1.0f32, 1.0f32), (1.0, 1e19), (1.0, 1e38), (1e20, 1e-3), (1e-25, 1e-25), (0.1, 1e-30)]
    {
        let mut optimizer = build(gpu, Lars::new(0.1).momentum(0.0), &Options::default(), &[&[40_000]]).await;
        optimizer.upload("a", &vec![weight; 40_000]).unwrap();
        step(gpu, &mut optimizer, &[vec![gradient; 40_000]]).await;
        let state = download(&optimizer, Field::State("momentum_buffer"), "a").await;
        // lr trust g is lr coefficient ||w|| along g.
        let expected = 0.1 * 1e-3 * f64::from(weight);
        let error = relative(&state, |_| expected);
        assert!(error < 1e-5, "w {weight:e}, g {gradient:e}: {} for {expected:e}", state[0]);
    }
    // LAMB's direction is of size 1 whatever the gradient's.
    for weight in [1e-25f32, 1.0, 1e25] {
        let mut optimizer = build(gpu, Lamb::new(0.1).eps(1e-30), &Options::default(), &[&[128]]).await;
        optimizer.upload("a", &[weight; 128]).unwrap();
        step(gpu, &mut optimizer, &[vec![0.5; 128]]).await;
        let w = download(&optimizer, Field::Weights, "a").await;
        let error = relative(&w, |_| 0.9 * f64::from(weight));
        assert!(error < 1e-5, "{weight:e}: {}", w[0]);
    }
}

async fn row_means_whatever_the_size(gpu: &Gpu) {
    for size in [1e38f32, f32::MAX / 2.0, 1e30, 1e27, 1.0, 1e-20, 1e-30] {
        // The mean of three at `size` and one at 0, many times.
        let gradient: Vec<f32> = (0..2000).map(|index| if index % 4 == 1 { 0.0 } else { size }).collect();
        let options = Options::default().centralise(true);
        let mut optimizer = build(gpu, Sgd::new(0.5), &options, &[&[2, 1000]]).await;
        step(gpu, &mut optimizer, std::slice::from_ref(&gradient)).await;
        let w = download(&optimizer, Field::Weights, "a").await;
        let share = |index: usize| if index % 4 == 1 { 0.375 } else { -0.125 };
        let error = relative(&w, |index| share(index) * f64::from(size));
        assert!(error < 1e-5, "{size:e}: {:?}", &w[..4]);
    }
    // All the largest: the mean is the same, and nothing is left.
    let options = Options::default().centralise(true).guard(Guard::default());
    let mut optimizer = build(gpu, Sgd::new(1e-30), &options, &[&[3, 777]]).await;
    step(gpu, &mut optimizer, &[vec![f32::MAX; 3 * 777]]).await;
    let w = download(&optimizer, Field::Weights, "a").await;
    assert!(w.iter().all(|w| w.abs() < 1e3), "{}", w[0]);
    assert_eq!(counters(&optimizer).await.skipped, 0);
}

fn rules() -> Vec<std::sync::Arc<dyn Rule>> {
    vec![
        std::sync::Arc::new(Sgd::new(0.1)),
        std::sync::Arc::new(Sgd::new(0.1).momentum(0.9).nesterov(true)),
        std::sync::Arc::new(Adagrad::new(0.1)),
        std::sync::Arc::new(RmsProp::new(0.1)),
        std::sync::Arc::new(RmsProp::new(0.1).centered(true)),
        std::sync::Arc::new(RmsProp::new(0.1).centered(true).momentum(0.9)),
        std::sync::Arc::new(Adadelta::new(0.1)),
        std::sync::Arc::new(Adam::new(0.1)),
        std::sync::Arc::new(AdamW::new(0.1)),
        std::sync::Arc::new(Adam::new(0.1).amsgrad(true)),
        std::sync::Arc::new(Adamax::new(0.1)),
        std::sync::Arc::new(NAdam::new(0.1)),
        std::sync::Arc::new(RAdam::new(0.1)),
        std::sync::Arc::new(Ranger::new(0.1)),
        std::sync::Arc::new(AdaBelief::new(0.1)),
        std::sync::Arc::new(Lion::new(0.1)),
        std::sync::Arc::new(Lars::new(0.1)),
        std::sync::Arc::new(Lamb::new(0.1)),
        std::sync::Arc::new(AdaFactor::new(0.1).min_dim_size_to_factor(2)),
        std::sync::Arc::new(AdaFactor::new(0.1).momentum(0.9)),
    ]
}

const SHAPES: [&[usize]; 2] = [&[3, 5], &[6]];

/// Two steps, of which the first has one bad value in one gradient: each weight and state is finite, or not, as the
/// twin's, and near it; under the bad value of a NaN is a NaN.
async fn agrees(
    gpu: &Gpu,
    rule: &std::sync::Arc<dyn Rule>,
    lookahead: Option<Lookahead>,
    options: &Options,
    bads: &[f32],
) {
    if spared(gpu) {
        return;
    }
    let start: Vec<Vec<f32>> = (0..).zip([15, 6]).map(|(seed, len)| noise(len, seed)).collect();
    let boxed: Box<dyn Rule> = Box::new(Shared(rule.clone()));
    let mut builder = Optimizer::builder(boxed).options(options.clone());
    let shapes: Vec<_> = SHAPES.iter().map(|shape| shape.to_vec()).collect();
    let mut twin = Twin::new(Shared(rule.clone()), start.iter().map(|values| widen(values)).collect())
        .options(options.clone())
        .shapes(&shapes);
    if let Some(lookahead) = lookahead {
        builder = builder.lookahead(lookahead);
        twin = twin.lookahead(lookahead);
    }
    for (name, shape) in NAMES.iter().zip(SHAPES) {
        builder = builder.tensor(name, shape);
    }
    let mut optimizer = builder.pipelines(&gpu.pipelines).build(&gpu.device, &gpu.queue).await.unwrap();
    for (name, values) in NAMES.iter().zip(&start) {
        optimizer.upload(name, values).unwrap();
    }
    let beginning = export(&optimizer).await;
    for &bad in bads {
        optimizer.import(&beginning).unwrap();
        let what = format!("{} {bad} {lookahead:?} {options:?}", rule.name());
        run(gpu, &mut optimizer, twin.clone(), rule.as_ref(), bad, &what).await;
    }
}

async fn run(gpu: &Gpu, optimizer: &mut Optimizer, mut twin: Twin, rule: &dyn Rule, bad: f32, what: &str) {
    for number in 0..2 {
        let mut gradients: Vec<Vec<f32>> =
            (10 * number + 2..).zip([15, 6]).map(|(seed, len)| noise(len, seed)).collect();
        if number == 0 {
            gradients[0][7] = bad;
        }
        step(gpu, optimizer, &gradients).await;
        let gradients: Vec<_> = gradients.iter().map(|values| widen(values)).collect();
        twin.step(&gradients, rule.learning_rate());
        for (tensor, name) in NAMES.iter().enumerate() {
            let mut fields = vec![(Field::Weights, twin.weights[tensor].clone())];
            for (slot, known) in rule.slots().iter().enumerate() {
                let values = twin.state[tensor].iter().map(|state| state[slot]).collect();
                fields.push((Field::State(known.name), values));
            }
            for (field, expected) in fields {
                let found = download(optimizer, field, name).await;
                for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    let at =
                        format!("{what}: step {number}, {field} of {name}[{index}]: {found} for {expected}");
                    // RAdam's first steps add 0 times what has no value to an infinity.
                    assert_eq!(found.is_finite(), expected.is_finite(), "{at}");
                    assert!(!expected.is_nan() || found.is_nan(), "{at}");
                    let error = (f64::from(*found) - expected).abs() / expected.abs().max(1.0);
                    assert!(!expected.is_finite() || error < 1e-4, "{at}");
                }
            }
        }
    }
    if bad.is_nan() {
        assert!(download(optimizer, Field::Weights, "a").await[7].is_nan(), "{what}");
    }
}

const BAD: [f32; 3] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];

async fn a_gradient_that_is_not_finite_reaches_the_weights(gpu: &Gpu) {
    let clips = [Clip::None, Clip::Value(0.5), Clip::GlobalNorm(0.7), Clip::TensorNorm(0.7)];
    for (r, rule) in rules().iter().enumerate() {
        let minds = ["sgd", "adamax", "lion", "lars", "lamb", "adafactor"].contains(&rule.name());
        for (c, clip) in clips.into_iter().enumerate() {
            // Pipelines take their time: each rule with none and some other.
            if c == 0 || minds || (r + c) % 3 == 0 {
                agrees(gpu, rule, None, &Options::default().clip(clip), &BAD).await;
            }
        }
    }
    for rule in [&rules()[0], &rules()[15]] {
        agrees(gpu, rule, None, &Options::default().centralise(true), &BAD).await;
    }
}

async fn so_it_does_through_lookahead(gpu: &Gpu) {
    let outers: [std::sync::Arc<dyn lookahead_wgpu::Outer>; 4] = [
        std::sync::Arc::new(lookahead_wgpu::outer::Interpolation),
        std::sync::Arc::new(HeavyBall { momentum: 0.5 }),
        std::sync::Arc::new(Nesterov::default()),
        std::sync::Arc::new(SlowMo { momentum: 0.5 }),
    ];
    for outer in outers {
        for policy in [StatePolicy::Maintain, StatePolicy::Interpolate, StatePolicy::Reset] {
            let average = Some(Average::Ema { decay: 0.9 });
            let options = Options::default().outer(outer.clone()).average(average);
            for rule in [&rules()[7], &rules()[15]] {
                let lookahead = Some(Lookahead::new(1, 0.5).policy(policy));
                agrees(gpu, rule, lookahead, &options, &[f32::NAN]).await;
            }
        }
    }
    let options = Options::default().adaptive(AdaptiveAlpha::new(0.1));
    agrees(gpu, &rules()[7], Some(Lookahead::new(1, 0.5)), &options, &[f32::NAN]).await;
}

/// The norms that are read are those before clipping, and after the mean over micro-batches and the loss scale.
async fn gradient_norms_are_read_without_clipping(gpu: &Gpu) {
    let (a, b) = (noise(15, 1), noise(6, 2));
    let norm = |values: &[&[f32]], gain: f64| {
        values.iter().flat_map(|values| widen(values)).map(|g| (gain * g).powi(2)).sum::<f64>().sqrt()
    };
    let near = |found: &[f64], expected: &[f64], what: &str| {
        assert_eq!(found.len(), expected.len(), "{what}: {found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!((found / expected - 1.0).abs() < 1e-5, "{what}: {found:e} for {expected:e}");
        }
    };
    let whole = [norm(&[&a, &b], 1.0)];
    let each = [norm(&[&a], 1.0), norm(&[&b], 1.0)];
    let scaled = Some(Guard::loss_scale(LossScale::default().initial(1024.0)));
    let plain = Options::default().gradient_norms(true);
    for (options, expected) in [
        (plain.clone(), whole.to_vec()),
        (plain.clone().clip(Clip::Value(0.01)), whole.to_vec()),
        (Options::default().clip(Clip::GlobalNorm(0.1)), whole.to_vec()),
        (plain.clone().clip(Clip::TensorNorm(0.1)), each.to_vec()),
        (Options::default().guard(Guard::default()), whole.to_vec()),
        (plain.clone().guard(scaled), vec![whole[0] / 1024.0]),
        (Options::default().clip(Clip::Value(1.0)), vec![]),
    ] {
        let mut optimizer = build(gpu, Adam::new(0.1), &options, &SHAPES).await;
        let mut twin = build(gpu, Adam::new(0.1), &options.clone().gradient_norms(false), &SHAPES).await;
        let before = gradient_norms(&optimizer).await;
        assert_eq!(before, vec![0.0; expected.len()], "{options:?}");
        step(gpu, &mut optimizer, &[a.clone(), b.clone()]).await;
        step(gpu, &mut twin, &[a.clone(), b.clone()]).await;
        near(&gradient_norms(&optimizer).await, &expected, &format!("{options:?}"));
        // Looking changes nothing.
        let (found, due) =
            (download(&optimizer, Field::Weights, "a").await, download(&twin, Field::Weights, "a").await);
        assert_eq!(found, due, "{options:?}");
    }
}

/// Of what f32 cannot hold, and of what is not finite; of micro-batches; and while steps go on.
async fn gradient_norms_of_any_size_while_steps_go_on(gpu: &Gpu) {
    for guard in [None, Some(Guard::default())] {
        let options = Options::default().gradient_norms(true).guard(guard);
        let mut optimizer = build(gpu, Sgd::new(0.0), &options, &[&[128]]).await;
        let mut under_way = Vec::new();
        for size in [1e38f32, 1e19, 1.0, 1e-25, 1e-37, f32::INFINITY, f32::NAN, 0.0] {
            step(gpu, &mut optimizer, &[vec![size; 128]]).await;
            under_way.push((size, optimizer.download_gradient_norms()));
        }
        for (size, norms) in under_way {
            let norms = norms.await.unwrap();
            let due = f64::from(size) * 128f64.sqrt();
            let is_near =
                norms[0].is_nan() && due.is_nan() || norms[0] == due || (norms[0] / due - 1.0).abs() < 1e-6;
            assert!(norms.len() == 1 && is_near, "{size:e}: {norms:?} for {due:e}");
        }
    }
    let accumulate = Some(Accumulation::mean(2));
    let options = Options::default().gradient_norms(true).accumulate(accumulate);
    let mut optimizer = build(gpu, Sgd::new(0.1), &options, &[&[4]]).await;
    for size in [1.0f32, 3.0] {
        step(gpu, &mut optimizer, &[vec![size; 4]]).await;
    }
    assert_eq!(gradient_norms(&optimizer).await, [4.0], "the norm of the mean");
}

async fn gradient_norms(optimizer: &Optimizer) -> Vec<f64> {
    optimizer.download_gradient_norms().await.unwrap()
}
