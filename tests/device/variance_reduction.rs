//! Variance reduction: gradients corrected by those at the slow weights, against the f64 twin and against trajectories of the
//! papers' formulas, on a logistic regression that it solves to the last digits of f32.

use crate::{
    common::{counters, download, export, largest_error, noise, spared, submit, widen, write_gradient},
    pairs::Case,
    regression::{BATCH, Problem, Recorded},
    twin::run_options,
};
use lookahead_wgpu::{
    Accumulation, AdaptiveAlpha, Average, Builder, Clip, Error, Field, Group, Guard, Half, ImportOptions,
    Lookahead, Optimizer, Options, Shape, Snapshot, StatePolicy,
    alpha::{Curvature, GradientAt},
    gpu::Gpu,
    rules::{self, Katyusha, Sgd},
    transform::GradientNoise,
    twin::Twin,
};

on_devices!(
    gradients_are_corrected_before_all_else,
    each_group_is_corrected_by_its_own,
    what_is_small_beside_large_gradients_is_kept,
    a_guard_sees_the_corrected_gradient,
    half_width_gradients_are_corrected_in_f32,
    a_flushed_step_is_of_corrected_gradients,
    a_run_resumes_within_a_cycle,
    it_begins_and_ends_over_a_snapshot,
    trajectories_agree_with_the_papers,
    svrg_converges_where_descent_stalls,
    katyusha_converges,
);

// Faults: one of the two planes is left out or has the other sign; the norm, the means of rows or what a guard looks at are of
// the gradient as it lies there; a micro-batch that is only accumulated is not corrected, or mu is taken in once a step.
async fn gradients_are_corrected_before_all_else(gpu: &Gpu) {
    let plain = || Options::default().variance_reduced(true);
    let adaptive = AdaptiveAlpha::new(0.1).curvature(Curvature::Fisher { decay: 0.9 });
    let all = [
        plain(),
        plain().clip(Clip::GlobalNorm(0.7)).centralise(true),
        plain().clip(Clip::TensorNorm(0.5)).maximize(true),
        plain().guard(Guard::default()).clip(Clip::GlobalNorm(0.7)),
        plain().guard(Guard::default().check_updates()).transform(GradientNoise::new(0.04)),
        plain().accumulate(Accumulation::mean(2)).centralise(true),
        plain().accumulate(Accumulation::sum(3)).guard(Guard::default()),
        plain().adaptive(adaptive.gradient(GradientAt::LastStep)),
        plain().adaptive(adaptive).average(Average::Ema { decay: 0.8 }),
    ];
    let mut number = 0;
    for (name, alpha) in [("sgd", 1.0), ("adam", 0.4), ("lamb", 0.5), ("adafactor", 0.5)] {
        for options in &all {
            let kind = rules::kind(name).unwrap();
            let tries = options.guard.is_some_and(|guard| guard.checks_updates);
            number += 1;
            if spared(gpu) || (tries && ["lamb", "adafactor"].contains(&name)) {
                continue;
            }
            let (lookahead, options) = (Some(Lookahead::new(3, alpha)), options.clone());
            let case = Case { kind, lookahead, options, home: number % 7, shape: Shape::from(&gpu.info) };
            run_options(gpu, &case, 5000 + number as u64).await;
        }
    }
}

async fn built(gpu: &Gpu, builder: Builder) -> Optimizer {
    builder.pipelines(&gpu.pipelines).build(&gpu.device, &gpu.queue).await.unwrap()
}

/// Writes a field of the caller's.
fn write(gpu: &Gpu, optimizer: &Optimizer, field: Field<'_>, tensor: &str, values: &[f32]) {
    let slice = optimizer.buffer(field, tensor).unwrap();
    gpu.queue.write_buffer(&slice.buffer, slice.offset, bytemuck::cast_slice(values));
}

/// Writes all three gradients of a step, from these seeds on.
fn write_all(gpu: &Gpu, optimizer: &Optimizer, tensor: &str, len: usize, seed: u64) {
    write_gradient(gpu, optimizer, tensor, &noise(len, seed));
    write(gpu, optimizer, Field::SnapshotGradients, tensor, &noise(len, seed + 1));
    write(gpu, optimizer, Field::FullGradients, tensor, &noise(len, seed + 2));
}

/// The gradient that these seeds amount to.
fn corrected(len: usize, seed: u64) -> Vec<f64> {
    let [gradient, snapshot, full] = [0, 1, 2].map(|more| widen(&noise(len, seed + more)));
    gradient.iter().zip(&snapshot).zip(&full).map(|((g, s), mu)| g - s + mu).collect()
}

async fn each_group_is_corrected_by_its_own(gpu: &Gpu) {
    let builder = Optimizer::builder(Sgd::new(0.1))
        .lookahead(Lookahead::new(3, 1.0))
        .variance_reduced()
        .group(Group::new("slow").k(2).alpha(0.5))
        .group(Group::new("frozen").frozen())
        .tensor("a", &[33])
        .tensor_in("frozen", "b", &[5])
        .tensor_in("slow", "c", &[140]);
    let mut optimizer = built(gpu, builder).await;
    let mut twins = Vec::new();
    for (name, len, lookahead) in [
        ("a", 33, Lookahead::new(3, 1.0)),
        ("b", 5, Lookahead::default()),
        ("c", 140, Lookahead::new(2, 0.5)),
    ] {
        let start = noise(len, len as u64);
        optimizer.upload(name, &start).unwrap();
        let twin = Twin::new(Sgd::new(0.1), vec![widen(&start)]);
        twins.push((name, len, twin.lookahead(lookahead)));
    }
    for step in 0..7 {
        for (name, len, twin) in &mut twins {
            let seed = 100 * step + 10 * *len as u64;
            write_all(gpu, &optimizer, name, *len, seed);
            if *name != "b" {
                twin.step(&[corrected(*len, seed)], 0.1);
            }
        }
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
    }
    for (name, _, twin) in &twins {
        let error = largest_error(&download(&optimizer, Field::Weights, name).await, &twin.weights[0]);
        assert!(error < 1e-6, "`{name}` is off by {error:e}");
    }
}

// Fault: the full gradient is added before that at the slow weights is taken away.
async fn what_is_small_beside_large_gradients_is_kept(gpu: &Gpu) {
    for accumulation in [None, Some(Accumulation::mean(2))] {
        let options = Options::default().variance_reduced(true).accumulate(accumulation);
        let builder = Optimizer::builder(Sgd::new(1.0)).lookahead(Lookahead::new(3, 1.0)).options(options);
        let mut optimizer = built(gpu, builder.tensor("w", &[6])).await;
        optimizer.upload("w", &[0.0; 6]).unwrap();
        for (field, value) in
            [(Field::Gradients, 1e6 + 0.5), (Field::SnapshotGradients, 1e6), (Field::FullGradients, 1e-3)]
        {
            write(gpu, &optimizer, field, "w", &[value; 6]);
        }
        for _ in 0..if accumulation.is_some() { 2 } else { 1 } {
            submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        }
        let error = largest_error(&download(&optimizer, Field::Weights, "w").await, &[-0.501; 6]);
        assert!(error < 1e-6, "{accumulation:?}: off by {error:e}");
    }
}

// Faults: what a guard looks at is the gradient as it lies there, or only where a transformation hides what is not finite.
async fn a_guard_sees_the_corrected_gradient(gpu: &Gpu) {
    let builder = || Optimizer::builder(Sgd::new(0.1)).lookahead(Lookahead::new(3, 1.0)).variance_reduced();
    let builder = || builder().guard(Guard::default()).tensor("w", &[40]);
    skips_what_is_not_finite(gpu, built(gpu, builder()).await).await;
    let hiding = builder().transform(Clip::Value(0.5)).transform(Clip::GlobalNorm(1e3));
    skips_what_is_not_finite(gpu, built(gpu, hiding).await).await;
}

async fn skips_what_is_not_finite(gpu: &Gpu, mut optimizer: Optimizer) {
    optimizer.upload("w", &noise(40, 1)).unwrap();
    let mut skipped = 0;
    for (step, field) in
        [Field::Gradients, Field::SnapshotGradients, Field::FullGradients].into_iter().enumerate()
    {
        write_all(gpu, &optimizer, "w", 40, 10 * step as u64);
        let mut bad = noise(40, 3);
        bad[step] = if step == 1 { f32::NAN } else { f32::INFINITY };
        write(gpu, &optimizer, field, "w", &bad);
        let before = download(&optimizer, Field::Weights, "w").await;
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        assert_eq!(download(&optimizer, Field::Weights, "w").await, before, "{field}");
        skipped += 1;
        assert_eq!(counters(&optimizer).await.skipped, skipped, "{field}");
    }
    // Two infinities make no number, and two large values a small one.
    write_gradient(gpu, &optimizer, "w", &[f32::INFINITY; 40]);
    write(gpu, &optimizer, Field::SnapshotGradients, "w", &[f32::INFINITY; 40]);
    submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
    write_gradient(gpu, &optimizer, "w", &[3e38; 40]);
    write(gpu, &optimizer, Field::SnapshotGradients, "w", &[2.9e38; 40]);
    write(gpu, &optimizer, Field::FullGradients, "w", &[-1e37; 40]);
    submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
    let counters = counters(&optimizer).await;
    assert_eq!((counters.skipped, counters.steps, counters.groups[0].position), (4, 1, 1));
}

async fn half_width_gradients_are_corrected_in_f32(gpu: &Gpu) {
    for half in [Half::F16, Half::Bf16] {
        let builder =
            || Optimizer::builder(Sgd::new(0.1)).lookahead(Lookahead::new(3, 0.5)).variance_reduced();
        let builder = || builder().clip(Clip::GlobalNorm(1.0)).tensor("w", &[37]);
        let mut wide = built(gpu, builder()).await;
        let mut narrow = built(gpu, builder().half_gradients(half)).await;
        for optimizer in [&mut wide, &mut narrow] {
            optimizer.upload("w", &noise(37, 1)).unwrap();
        }
        for step in 0..5 {
            // Values that the format has; the planes are f32's.
            let values: Vec<f32> =
                noise(37, 10 * step).iter().map(|value| (64.0 * value).round() / 64.0).collect();
            for optimizer in [&mut wide, &mut narrow] {
                write(gpu, optimizer, Field::SnapshotGradients, "w", &noise(37, 10 * step + 1));
                write(gpu, optimizer, Field::FullGradients, "w", &noise(37, 10 * step + 2));
            }
            write_gradient(gpu, &wide, "w", &values);
            let slice = narrow.gradients("w").unwrap();
            gpu.queue.write_buffer(&slice.buffer, slice.offset, &half.encode(&values));
            for optimizer in [&mut wide, &mut narrow] {
                submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
            }
        }
        assert_eq!(export(&wide).await, export(&narrow).await, "{half:?}");
    }
}

/// What lies in the gradients' buffers is not looked at.
async fn a_flushed_step_is_of_corrected_gradients(gpu: &Gpu) {
    let builder = Optimizer::builder(Sgd::new(0.5)).lookahead(Lookahead::new(9, 1.0)).variance_reduced();
    let builder = builder.accumulate(Accumulation::mean(3)).tensor("w", &[10]);
    let mut optimizer = built(gpu, builder).await;
    let start = noise(10, 1);
    optimizer.upload("w", &start).unwrap();
    for seed in [10, 20] {
        write_all(gpu, &optimizer, "w", 10, seed);
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
    }
    for field in [Field::Gradients, Field::SnapshotGradients, Field::FullGradients] {
        write(gpu, &optimizer, field, "w", &[1e30; 10]);
    }
    assert!(submit(gpu, |encoder| optimizer.flush(encoder)).unwrap());
    let [one, other] = [10, 20].map(|seed| corrected(10, seed));
    let expected: Vec<f64> = (0..10).map(|i| f64::from(start[i]) - 0.5 * 0.5 * (one[i] + other[i])).collect();
    assert!(largest_error(&download(&optimizer, Field::Weights, "w").await, &expected) < 1e-6);
}

fn svrg(alpha: f64) -> Builder {
    let lookahead = Lookahead::new(3, alpha).policy(StatePolicy::Interpolate);
    Optimizer::builder(Sgd::new(0.1).momentum(0.5)).lookahead(lookahead).variance_reduced().tensor("w", &[37])
}

/// As a caller trains: the full gradient when it is due, the two others with each step.
async fn train(gpu: &Gpu, optimizer: &mut Optimizer, steps: std::ops::Range<u64>) {
    for step in steps {
        write_gradient(gpu, optimizer, "w", &noise(37, 10 * step));
        write(gpu, optimizer, Field::SnapshotGradients, "w", &noise(37, 10 * step + 1));
        if optimizer.full_gradients_due().unwrap() {
            write(gpu, optimizer, Field::FullGradients, "w", &noise(37, 10 * step + 2));
        }
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
    }
}

// Faults: a file has no full gradients; after an import they are due within a cycle, or not due at its start.
async fn a_run_resumes_within_a_cycle(gpu: &Gpu) {
    let mut whole = built(gpu, svrg(0.5)).await;
    whole.upload("w", &noise(37, 1)).unwrap();
    for stop in 0..7 {
        let bytes = export(&whole).await.to_bytes().unwrap();
        let snapshot = Snapshot::from_bytes(&bytes).unwrap();
        let fields: Vec<_> = snapshot.tensors[0].fields.iter().map(|(name, _)| name.as_str()).collect();
        assert!(fields.contains(&"full_gradients") && !fields.contains(&"snapshot_gradients"), "{fields:?}");
        let mut other = built(gpu, svrg(0.5)).await;
        train(gpu, &mut other, 100..102).await;
        other.import(&snapshot).unwrap();
        assert_eq!(export(&other).await.to_bytes().unwrap(), bytes);
        assert_eq!(other.full_gradients_due().unwrap(), stop % 3 == 0, "stopped at {stop}");
        train(gpu, &mut other, stop..stop + 4).await;
        let mut rest = built(gpu, svrg(0.5)).await;
        rest.upload("w", &noise(37, 1)).unwrap();
        train(gpu, &mut rest, 0..stop + 4).await;
        assert_eq!(export(&other).await, export(&rest).await, "stopped at {stop}");
        train(gpu, &mut whole, stop..stop + 1).await;
    }
}

async fn it_begins_and_ends_over_a_snapshot(gpu: &Gpu) {
    let without = || {
        let lookahead = Lookahead::new(3, 0.5).policy(StatePolicy::Interpolate);
        Optimizer::builder(Sgd::new(0.1).momentum(0.5)).lookahead(lookahead).tensor("w", &[37])
    };
    let mut plain = built(gpu, without()).await;
    plain.upload("w", &noise(37, 1)).unwrap();
    write_gradient(gpu, &plain, "w", &noise(37, 2));
    submit(gpu, |encoder| plain.step(encoder)).unwrap();
    let mut reduced = built(gpu, svrg(0.5)).await;
    let refused = reduced.import(&export(&plain).await).unwrap_err().to_string();
    assert!(refused.contains("it has no full gradients"), "{refused}");
    assert!(refused.contains("ImportOptions::new().begin_variance_reduction()"), "{refused}");
    let options = ImportOptions::new().begin_variance_reduction();
    train(gpu, &mut reduced, 0..1).await;
    reduced.import_with(&export(&plain).await, options).unwrap();
    assert_eq!(download(&reduced, Field::FullGradients, "w").await, [0.0; 37]);
    assert!(reduced.full_gradients_due().unwrap(), "within a cycle, too");
    train(gpu, &mut reduced, 0..1).await;
    let refused = plain.import(&export(&reduced).await).unwrap_err();
    assert!(matches!(refused, Error::Snapshot { .. }));
    assert!(refused.to_string().contains("end_variance_reduction()"), "{refused}");
    plain.import_with(&export(&reduced).await, ImportOptions::new().end_variance_reduction()).unwrap();
    assert_eq!(download(&plain, Field::Weights, "w").await, download(&reduced, Field::Weights, "w").await);
}

/// The problem's weights at a field.
async fn at(optimizer: &Optimizer, field: Field<'_>) -> Vec<f64> {
    widen(&download(optimizer, field, "w").await)
}

/// One step on a mini-batch, as a caller takes it.
async fn descend(gpu: &Gpu, optimizer: &mut Optimizer, problem: &Problem, batch: &[usize]) {
    let narrow = |values: Vec<f64>| values.iter().map(|value| *value as f32).collect::<Vec<_>>();
    let weights = at(optimizer, Field::Weights).await;
    write_gradient(gpu, optimizer, "w", &narrow(problem.gradient(&weights, batch)));
    if optimizer.snapshot_gradients("w").is_ok() {
        let snapshot = at(optimizer, Field::SlowWeights).await;
        write(gpu, optimizer, Field::SnapshotGradients, "w", &narrow(problem.gradient(&snapshot, batch)));
        if optimizer.full_gradients_due().unwrap() {
            write(gpu, optimizer, Field::FullGradients, "w", &narrow(problem.full_gradient(&snapshot)));
        }
    }
    submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
}

/// SVRG, Lookahead over it, Katyusha and plain descent, in numpy from the papers' formulas.
async fn trajectories_agree_with_the_papers(gpu: &Gpu) {
    let (problem, recorded) = (Problem::read(), Recorded::read());
    for run in &recorded.runs {
        if spared(gpu) {
            continue;
        }
        let mut optimizer = built(gpu, run.builder(&recorded).tensor("w", &[problem.features()])).await;
        for (step, batch) in recorded.batches.iter().enumerate() {
            descend(gpu, &mut optimizer, &problem, batch).await;
            if let Some((_, expected)) = run.x.iter().find(|(after, _)| *after == step + 1) {
                let found = download(&optimizer, Field::Weights, "w").await;
                let error = largest_error(&found, expected);
                assert!(error < 1e-5, "{}: off by {error:e} after step {}", run.name, step + 1);
            }
        }
    }
}

/// How far a field is from the minimum.
async fn distance(optimizer: &Optimizer, field: Field<'_>, minimum: &[f64]) -> f64 {
    let weights = at(optimizer, field).await;
    weights.iter().zip(minimum).map(|(w, least)| (w - least).powi(2)).sum::<f64>().sqrt()
}

/// The distance of the slow weights to the minimum after each cycle of two passes over the mini-batches, which are the same in
/// every run.
async fn distances(gpu: &Gpu, problem: &Problem, minimum: &[f64], builder: Builder, cycles: u32) -> Vec<f64> {
    let mut optimizer = built(gpu, builder.tensor("w", &[problem.features()])).await;
    let mut found = vec![distance(&optimizer, Field::Weights, minimum).await];
    for step in 0..cycles * cycle(problem) {
        descend(gpu, &mut optimizer, problem, &problem.draw(u64::from(step))).await;
        if (step + 1).is_multiple_of(cycle(problem)) {
            let has_slow = optimizer.slow_weights("w").is_ok();
            let field = if has_slow { Field::SlowWeights } else { Field::Weights };
            found.push(distance(&optimizer, field, minimum).await);
        }
    }
    found
}

fn cycle(problem: &Problem) -> u32 {
    2 * (problem.samples() / BATCH) as u32
}

/// f32 has no more digits: here a step of 0.05 times the gradient is below half a place of the weights.
const FLOOR: f64 = 1e-5;

/// The distance to the minimum falls by a factor in each cycle until f32 ends it; that of plain descent at the same rate,
/// from the same mini-batches, stays where their variance keeps it.
async fn svrg_converges_where_descent_stalls(gpu: &Gpu) {
    if spared(gpu) {
        return;
    }
    let (problem, minimum) = (Problem::read(), Recorded::read().minimum);
    let rate = || Optimizer::builder(Sgd::new(0.05));
    for (alpha, factor, cycles) in [(1.0, 0.6, 20), (0.5, 0.85, 9)] {
        let builder = rate().lookahead(Lookahead::new(cycle(&problem), alpha)).variance_reduced();
        let distances = distances(gpu, &problem, &minimum, builder, cycles).await;
        for pair in distances.windows(2) {
            assert!(pair[1] < factor * pair[0] || pair[1] < FLOOR, "alpha {alpha}: {distances:?}");
        }
        assert!(alpha < 1.0 || distances[cycles as usize] < FLOOR, "{distances:?}");
    }
    let stalled = distances(gpu, &problem, &minimum, rate(), 9).await;
    assert!(stalled[5..].iter().all(|distance| *distance > 1e-2), "{stalled:?}");
}

/// Its momentum makes the distance swing; over four cycles it falls.
async fn katyusha_converges(gpu: &Gpu) {
    if spared(gpu) {
        return;
    }
    let (problem, minimum) = (Problem::read(), Recorded::read().minimum);
    let (k, cycles) = (cycle(&problem), 24);
    let rule = Katyusha::new(0.05).sigma(0.1);
    let builder = Optimizer::builder(rule).lookahead(Lookahead::new(k, 1.0)).variance_reduced();
    let distances = distances(gpu, &problem, &minimum, builder, cycles).await;
    for five in distances.windows(5) {
        assert!(five[4] < 0.5 * five[0] || five[4] < FLOOR, "{distances:?}");
    }
    assert!(distances[cycles as usize] < FLOOR, "{distances:?}");
}
