//! Safe steps: a step that is skipped on the GPU is as if it had never been, bit for bit.

use std::sync::Arc;

#[cfg(not(target_arch = "wasm32"))]
use crate::common::gpu;
use crate::common::{
    Shared, counters, download, export, noise, read_slice_async, spared, submit, write_gradient,
};
use lookahead_wgpu::{
    Accumulation, AdaptiveAlpha, Average, Clip, Counters, Error, Field, Group, Guard, Half, Lookahead,
    LossScale, Optimizer, Options, Rule, Schedule, StatePolicy,
    alpha::{GradientAt, Scope},
    gpu::Gpu,
    rules::{AdaFactor, Adam, AdamW, Lamb, Lars, NAdam, RAdam, Sgd},
    wgpu,
};

on_devices!(
    skipped_steps_change_no_bit,
    so_it_is_with_everything_around_the_rule,
    a_guarded_run_is_an_unguarded_one,
    calls_between_steps_reach_a_guarded_schedule,
    frozen_groups_are_not_skipped,
    a_guard_needs_no_submit_of_its_own,
    the_loss_scale_follows_the_gradients,
    sums_and_half_widths_that_overflow_are_skipped,
    updates_that_are_not_finite_are_skipped,
    an_update_that_is_not_finite_passes_an_ordinary_guard,
);

const SHAPES: [(&str, &[usize]); 3] = [("a", &[5, 7]), ("b", &[130]), ("c", &[3])];

async fn build(
    gpu: &Gpu,
    rule: impl Rule + 'static,
    lookahead: Option<Lookahead>,
    options: &Options,
) -> Optimizer {
    let mut builder = Optimizer::builder(rule)
        .options(options.clone())
        .schedule(Schedule::steps([(2, 0.7), (5, 0.5), (9, 0.9)]))
        .group(Group::new("head").rule(Sgd::new(0.03).momentum(0.9)));
    if let Some(lookahead) = lookahead {
        builder = builder.lookahead(lookahead);
    }
    for (name, shape) in SHAPES {
        builder =
            if name == "b" { builder.tensor_in("head", name, shape) } else { builder.tensor(name, shape) };
    }
    let mut optimizer = builder.pipelines(&gpu.pipelines).build(&gpu.device, &gpu.queue).await.unwrap();
    for (seed, (name, shape)) in (0..).zip(SHAPES) {
        optimizer.upload(name, &noise(shape.iter().product(), seed)).unwrap();
    }
    optimizer
}

/// One call of `step`; `bad` puts a value that is not finite into one gradient.
fn step(gpu: &Gpu, optimizer: &mut Optimizer, number: u64, bad: Option<f32>) {
    for (seed, (name, shape)) in (0..).zip(SHAPES) {
        let mut gradient = noise(shape.iter().product(), 100 * (number + 1) + seed);
        if let Some(bad) = bad.filter(|_| name == "b") {
            gradient[77] = bad;
        }
        write_gradient(gpu, optimizer, name, &gradient);
    }
    submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
}

/// Everything that is kept, as bits.
async fn bits(optimizer: &Optimizer) -> Vec<(String, Vec<u32>)> {
    let snapshot = export(optimizer).await;
    let fields = snapshot.tensors.into_iter().flat_map(|tensor| {
        let named =
            move |(field, values): (String, Vec<f32>)| (format!("{field} of {}", tensor.name), values);
        tensor.fields.into_iter().map(named)
    });
    fields.map(|(name, values)| (name, values.into_iter().map(f32::to_bits).collect())).collect()
}

fn guarded() -> Options {
    Options::default().guard(Guard::default())
}

const BAD: [f32; 3] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];

/// Trains over good steps, with bad ones among them, and without.
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
    let mut with = build(gpu, rule.clone(), lookahead, options).await;
    let mut without = build(gpu, rule, lookahead, options).await;
    let mut skipped = 0;
    for number in 0..11 {
        // Before the first step, within cycles, at their ends, and several in a row.
        for bad in BAD.iter().take([1, 0, 1, 3, 0, 0, 2, 0, 1, 0, 1][number as usize]) {
            step(gpu, &mut with, 1000 + number, Some(*bad));
            skipped += 1;
        }
        step(gpu, &mut with, number, None);
        step(gpu, &mut without, number, None);
        let (found, expected) = (bits(&with).await, bits(&without).await);
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "{what}, step {number}");
        }
        let (a, b) = (counters(&with).await, counters(&without).await);
        let since_rescaled = a.since_rescaled;
        assert_eq!(a, Counters { skipped, since_rescaled, ..b }, "{what}, step {number}");
    }
}

async fn skipped_steps_change_no_bit(gpu: &Gpu) {
    let with = |policy| Some(Lookahead::new(3, 0.4).policy(policy));
    let all = [
        None,
        with(StatePolicy::Maintain),
        with(StatePolicy::Interpolate),
        with(StatePolicy::Reset),
        Some(Lookahead::new(1, 0.5)),
    ];
    for lookahead in all {
        compare(gpu, Adam::new(0.01), lookahead, &guarded()).await;
    }
    for lookahead in [with(StatePolicy::Maintain), with(StatePolicy::Reset)] {
        compare(gpu, RAdam::new(0.01), lookahead, &guarded()).await;
        compare(gpu, NAdam::new(0.01), lookahead, &guarded()).await;
        compare(gpu, Lamb::new(0.01), lookahead, &guarded()).await;
    }
}

async fn so_it_is_with_everything_around_the_rule(gpu: &Gpu) {
    let lookahead = Some(Lookahead::new(3, 0.4));
    for clip in [Clip::Value(0.3), Clip::GlobalNorm(0.7), Clip::TensorNorm(0.5)] {
        compare(gpu, AdamW::new(0.01), lookahead, &guarded().clip(clip).centralise(true)).await;
    }
    for average in [Average::Ema { decay: 0.8 }, Average::Swa { every: 2, from: 3 }] {
        compare(gpu, Adam::new(0.01), lookahead, &guarded().average(average)).await;
        compare(gpu, Adam::new(0.01), None, &guarded().average(average)).await;
    }
    for gradient in [GradientAt::LastStep, GradientAt::Synchronised] {
        for scope in [Scope::Model, Scope::Group] {
            let adaptive = Some(AdaptiveAlpha::new(0.1).gradient(gradient).scope(scope));
            compare(gpu, Adam::new(0.01), lookahead, &guarded().adaptive(adaptive)).await;
        }
    }
    let outer = std::sync::Arc::new(lookahead_wgpu::outer::SlowMo { momentum: 0.6 });
    compare(gpu, Adam::new(0.01), lookahead, &guarded().outer(outer)).await;
    compare(gpu, Adam::new(0.01), lookahead, &guarded().slow_bf16(true)).await;
}

/// A guard that skips nothing changes nothing.
async fn a_guarded_run_is_an_unguarded_one(gpu: &Gpu) {
    let with = |policy| Some(Lookahead::new(3, 0.4).policy(policy));
    for lookahead in [None, with(StatePolicy::Interpolate), with(StatePolicy::Reset)] {
        for options in [
            Options::default(),
            Options::default().clip(Clip::GlobalNorm(0.5)),
            Options::default().average(Average::Ema { decay: 0.7 }),
            Options::default()
                .clip(Clip::GlobalNorm(0.5))
                .adaptive(lookahead.map(|_| AdaptiveAlpha::new(0.1))),
            Options::default().average(Average::Polyak { from: 2 }),
        ] {
            if spared(gpu) {
                continue;
            }
            let mut a = build(gpu, AdamW::new(0.01), lookahead, &options).await;
            let mut b = build(gpu, AdamW::new(0.01), lookahead, &options.guard(Guard::default())).await;
            for number in 0..8 {
                step(gpu, &mut a, number, None);
                step(gpu, &mut b, number, None);
            }
            assert_eq!(bits(&a).await, bits(&b).await, "{lookahead:?}");
        }
    }
}

/// Syncs between steps and changed settings reach the GPU's schedule.
async fn calls_between_steps_reach_a_guarded_schedule(gpu: &Gpu) {
    let run = async |bad: &[u64]| {
        let mut optimizer = build(gpu, Adam::new(0.01), Some(Lookahead::new(4, 0.5)), &guarded()).await;
        for number in 0..12 {
            if bad.contains(&number) {
                step(gpu, &mut optimizer, 500 + number, Some(f32::NAN));
            }
            step(gpu, &mut optimizer, number, None);
            match number {
                1 => submit(gpu, |encoder| optimizer.sync_now(encoder)).unwrap(),
                3 => optimizer.set_k("default", 2).unwrap(),
                4 => optimizer.set_alpha("default", 0.8).unwrap(),
                5 => optimizer.set_learning_rate("default", 0.02).unwrap(),
                6 => submit(gpu, |encoder| optimizer.init_synced(encoder)).unwrap(),
                7 => optimizer.set_frozen("head", true).unwrap(),
                9 => optimizer.set_frozen("head", false).unwrap(),
                _ => {}
            }
        }
        let counters = counters(&optimizer).await;
        (bits(&optimizer).await, Counters { skipped: 0, since_rescaled: 0, ..counters })
    };
    // The gradients of a frozen group are not read: the steps of numbers 8 and 9 cannot be bad.
    assert_eq!(run(&[0, 2, 4, 6, 7, 10]).await, run(&[]).await);
    let optimizer = build(gpu, Adam::new(0.01), Some(Lookahead::default()), &guarded()).await;
    assert!(matches!(optimizer.position("default"), Err(Error::Guarded { .. })));
    assert!(matches!(optimizer.step_count("default"), Err(Error::Guarded { .. })));
}

/// A gradient that was bad once is forgotten when nothing is looked at any more.
async fn frozen_groups_are_not_skipped(gpu: &Gpu) {
    let mut optimizer = build(gpu, Adam::new(0.01), Some(Lookahead::new(2, 0.5)), &guarded()).await;
    step(gpu, &mut optimizer, 0, None);
    step(gpu, &mut optimizer, 1, Some(f32::NAN));
    for group in ["default", "head"] {
        optimizer.set_frozen(group, true).unwrap();
    }
    (2..5).for_each(|number| step(gpu, &mut optimizer, number, None));
    let counters = counters(&optimizer).await;
    assert_eq!((counters.steps, counters.skipped), (4, 1));
    assert_eq!(
        bits(&optimizer).await[0].1,
        bits(&optimizer).await[1].1,
        "the slow weights were synchronised"
    );
}

/// Many steps in one encoder, bad ones among them, are the same as one submit each.
async fn a_guard_needs_no_submit_of_its_own(gpu: &Gpu) {
    let shape: &[usize] = &[6];
    let make = async || {
        let builder =
            Optimizer::builder(Adam::new(0.01)).lookahead(Lookahead::new(3, 0.5)).guard(Guard::default());
        let mut optimizer = builder
            .tensor("w", shape)
            .pipelines(&gpu.pipelines)
            .build(&gpu.device, &gpu.queue)
            .await
            .unwrap();
        optimizer.upload("w", &noise(6, 1)).unwrap();
        optimizer
    };
    let source = |values: &[f32]| {
        let slice = gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 24,
            usage: wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        gpu.queue.write_buffer(&slice, 0, bytemuck::cast_slice(values));
        slice
    };
    let (good, bad) = (source(&noise(6, 2)), source(&[1.0, f32::NAN, 0.0, 0.0, 0.0, 0.0]));
    let record = |optimizer: &mut Optimizer, encoder: &mut wgpu::CommandEncoder, number: u32| {
        let gradient = optimizer.gradients("w").unwrap();
        let from = if number % 4 == 1 { &bad } else { &good };
        encoder.copy_buffer_to_buffer(from, 0, &gradient.buffer, gradient.offset, 24);
        optimizer.step(encoder).unwrap();
    };
    let (mut one, mut many) = (make().await, make().await);
    submit(gpu, |encoder| (0..600).for_each(|number| record(&mut one, encoder, number)));
    (0..600).for_each(|number| submit(gpu, |encoder| record(&mut many, encoder, number)));
    assert_eq!(bits(&one).await, bits(&many).await);
    let counters = counters(&one).await;
    assert_eq!((counters.steps, counters.skipped), (450, 150));
}

/// As torch.amp.GradScaler: divided by the scale, halved when a gradient is not finite, doubled after an
/// interval of finite ones.
async fn the_loss_scale_follows_the_gradients(gpu: &Gpu) {
    let scale = LossScale::default().initial(1024.0).growth(2.0).backoff(0.5).interval(3);
    let options = Options::default().guard(Guard::loss_scale(scale));
    let mut scaled = build(gpu, Adam::new(0.01), Some(Lookahead::new(3, 0.4)), &options).await;
    let mut plain = build(gpu, Adam::new(0.01), Some(Lookahead::new(3, 0.4)), &guarded()).await;
    let (mut now, mut tracker, mut good_steps) = (1024.0f32, 0, 0u64);
    for (number, bad) in [0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0].into_iter().enumerate() {
        for (seed, (name, shape)) in (0..).zip(SHAPES) {
            let gradient = noise(shape.iter().product(), 100 * (good_steps + 1) + seed);
            write_gradient(gpu, &plain, name, &gradient);
            let mut gradient: Vec<f32> = gradient.iter().map(|value| now * value).collect();
            gradient[0] = if bad == 1 { f32::INFINITY } else { gradient[0] };
            write_gradient(gpu, &scaled, name, &gradient);
        }
        submit(gpu, |encoder| scaled.step(encoder)).unwrap();
        if bad == 1 {
            (now, tracker) = (now / 2.0, 0);
        } else {
            submit(gpu, |encoder| plain.step(encoder)).unwrap();
            good_steps += 1;
            tracker += 1;
            if tracker == 3 {
                (now, tracker) = (now * 2.0, 0);
            }
        }
        let counters = counters(&scaled).await;
        assert_eq!((counters.loss_scale, counters.since_rescaled), (now, tracker), "step {number}");
        let slice = scaled.loss_scale().unwrap();
        assert_eq!(read_slice_async(gpu, &slice).await, [now]);
    }
    // Powers of two scale without rounding.
    assert_eq!(bits(&scaled).await, bits(&plain).await);
}

/// An infinity that only the sum of micro-batches has, and one that only half-width has.
async fn sums_and_half_widths_that_overflow_are_skipped(gpu: &Gpu) {
    let options = guarded().accumulate(Accumulation::sum(2));
    let mut optimizer = build(gpu, Sgd::new(0.1), None, &options).await;
    let before = bits(&optimizer).await;
    for _ in 0..2 {
        for (name, shape) in SHAPES {
            write_gradient(gpu, &optimizer, name, &vec![3e38; shape.iter().product()]);
        }
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
    }
    let weights = |all: &[(String, Vec<u32>)]| -> Vec<_> {
        all.iter().filter(|(name, _)| name.starts_with("weights")).cloned().collect()
    };
    assert_eq!(weights(&bits(&optimizer).await), weights(&before));
    assert_eq!(counters(&optimizer).await.skipped, 1);
    for (half, infinity) in [(Half::F16, 0x7c00u16), (Half::Bf16, 0x7f80)] {
        let options = guarded().half_gradients(half);
        let mut optimizer = build(gpu, Sgd::new(0.1), None, &options).await;
        let slice = optimizer.gradients("c").unwrap();
        gpu.queue.write_buffer(&slice.buffer, slice.offset, bytemuck::cast_slice(&[0u16, infinity, 0, 0]));
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        assert_eq!(counters(&optimizer).await.skipped, 1, "{half:?}");
        gpu.queue.write_buffer(&slice.buffer, slice.offset, bytemuck::cast_slice(&[0u16, 0, 0, 0]));
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        assert_eq!(counters(&optimizer).await.steps, 1, "{half:?}");
        let weights = download(&optimizer, Field::Weights, "c").await;
        assert_eq!(weights, noise(3, 2));
    }
}

/// The guard's tables reach so far; an import, which tells the host what was taken, begins anew.
#[test]
fn after_4096_skipped_steps_no_more_are_taken_until_an_import() {
    let gpu = gpu();
    let builder = Optimizer::builder(Adam::new(0.01)).guard(Guard::default()).tensor("w", &[1]);
    let mut optimizer = builder.pipelines(&gpu.pipelines).build_blocking(&gpu.device, &gpu.queue).unwrap();
    let run = |optimizer: &mut Optimizer, value: f32, steps: u32| {
        write_gradient(gpu, optimizer, "w", &[value]);
        submit(gpu, |encoder| (0..steps).for_each(|_| optimizer.step(encoder).unwrap()));
        let counters = optimizer.counters_blocking().unwrap();
        (counters.steps, counters.skipped)
    };
    assert_eq!(run(&mut optimizer, 1.0, 3), (3, 0));
    assert_eq!(run(&mut optimizer, f32::NAN, 4095), (3, 4095));
    assert_eq!(run(&mut optimizer, 1.0, 2), (5, 4095));
    assert_eq!(run(&mut optimizer, f32::NAN, 1), (5, 4096));
    assert_eq!(run(&mut optimizer, 1.0, 2), (5, 4098));
    let snapshot = optimizer.export_blocking().unwrap();
    optimizer.import(&snapshot).unwrap();
    assert_eq!(run(&mut optimizer, 1.0, 2), (7, 4098));
}

/// Finite gradients, whose updates are not: bit for bit as if those steps had never been.
async fn updates_that_are_not_finite_are_skipped(gpu: &Gpu) {
    let with = |policy| Some(Lookahead::new(3, 0.4).policy(policy));
    let cases: [(Arc<dyn Rule>, f32); 6] = [
        (Arc::new(Adam::new(0.01)), 1e25), // whose square is stored
        (Arc::new(Adam::new(0.01).amsgrad(true)), 3e38),
        (Arc::new(RAdam::new(0.01)), -1e30),
        (Arc::new(Sgd::new(1e10)), 1e30),
        (Arc::new(Sgd::new(1e10).momentum(0.9)), -1e29),
        (Arc::new(Lars::new(0.1)), f32::NAN), // whose ratios come before the decision
    ];
    for (r, (rule, bad)) in (0..).zip(cases) {
        let average = Some(Average::Ema { decay: 0.8 });
        let adaptive = Some(AdaptiveAlpha::new(0.1).gradient(GradientAt::Synchronised));
        let checked = Options::default().guard(Guard::default().check_updates());
        let all = [
            (None, checked.clone()),
            (with(StatePolicy::Maintain), checked.clone()),
            (with(StatePolicy::Reset), checked.clone().average(average)),
            (with(StatePolicy::Interpolate), checked.clone().adaptive(adaptive)),
        ];
        for (l, (lookahead, options)) in (0..).zip(all) {
            if r > 0 && l != r % 4 || spared(gpu) {
                continue;
            }
            let what = format!("{} {lookahead:?} {options:?}", rule.name());
            let build = async || {
                let mut builder = Optimizer::builder(Shared(rule.clone())).options(options.clone());
                if let Some(lookahead) = lookahead {
                    builder = builder.lookahead(lookahead);
                }
                for (name, shape) in SHAPES {
                    builder = builder.tensor(name, shape);
                }
                let mut optimizer =
                    builder.pipelines(&gpu.pipelines).build(&gpu.device, &gpu.queue).await.unwrap();
                for (seed, (name, shape)) in (0..).zip(SHAPES) {
                    optimizer.upload(name, &noise(shape.iter().product(), seed)).unwrap();
                }
                optimizer
            };
            let (mut with, mut without) = (build().await, build().await);
            let mut skipped = 0;
            for number in 0..7 {
                for _ in 0..[1, 0, 2, 0, 1, 1, 0][number as usize] {
                    // The sync that alone finds alpha has no update that could be bad.
                    if !(adaptive.is_some() && l == 3 && number % 4 == 3) {
                        step(gpu, &mut with, 1000 + number, Some(bad));
                        skipped += 1;
                    }
                }
                step(gpu, &mut with, number, None);
                step(gpu, &mut without, number, None);
                assert_eq!(bits(&with).await, bits(&without).await, "{what}, step {number}");
                let (a, b) = (counters(&with).await, counters(&without).await);
                // A gradient that is bad restarts the count since the loss scale changed, an update does not.
                let since_rescaled = if bad.is_nan() { a.since_rescaled } else { b.since_rescaled };
                assert_eq!(a, Counters { skipped, since_rescaled, ..b }, "{what}, step {number}");
            }
        }
    }
    for rule in [Arc::new(Lamb::new(0.1)) as Arc<dyn Rule>, Arc::new(AdaFactor::new(0.1))] {
        let builder =
            Optimizer::builder(Shared(rule)).guard(Guard::default().check_updates()).tensor("w", &[3]);
        let refused = builder.pipelines(&gpu.pipelines).build(&gpu.device, &gpu.queue).await.unwrap_err();
        assert!(matches!(refused, Error::Rule { .. }), "{refused}");
        assert!(refused.to_string().contains("leave `check_updates` out"), "{refused}");
    }
}

/// As the documentation says.
async fn an_update_that_is_not_finite_passes_an_ordinary_guard(gpu: &Gpu) {
    for guard in [Guard::default(), Guard::default().check_updates()] {
        let builder = Optimizer::builder(Sgd::new(1e10)).guard(guard).tensor("a", &[2]);
        let mut optimizer = builder.pipelines(&gpu.pipelines).build(&gpu.device, &gpu.queue).await.unwrap();
        write_gradient(gpu, &optimizer, "a", &[1e30, 1.0]);
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        let w = download(&optimizer, Field::Weights, "a").await;
        let skipped = counters(&optimizer).await.skipped;
        let due = if guard.checks_updates { (0.0, 0.0, 1) } else { (f32::NEG_INFINITY, -1e10, 0) };
        assert_eq!((w[0], w[1], skipped), due);
    }
}
