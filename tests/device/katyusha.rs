//! Katyusha, a rule whose steps read the slow weights, against the f64 twin.

use crate::{
    common::{
        buffer, counters, download, export, largest_error, noise, spared, submit, widen, write_gradient,
    },
    pairs::Case,
    twin::run_options,
};
use lookahead_wgpu::{
    Accumulation, Average, Builder, Clip, DEFAULT_GROUP, Error, Field, Group, Guard, Half, Lookahead,
    Optimizer, Options, Schedule, Shape, Slice, Snapshot,
    gpu::Gpu,
    outer::Nesterov,
    rules::{self, Katyusha, Sgd},
    twin::Twin,
};

on_devices!(
    options_agree_with_the_twin,
    groups_and_shares_agree_with_the_twin,
    a_first_step_pulls_back_to_where_it_began,
    a_sync_between_steps_takes_the_mean_so_far,
    a_skipped_step_changes_nothing,
    slow_weights_may_be_half_width,
    a_run_resumes_within_a_cycle,
);

async fn options_agree_with_the_twin(gpu: &Gpu) {
    let all = [
        Options::default(),
        Options::default().variance_reduced(true).clip(Clip::TensorNorm(0.5)),
        Options::default().variance_reduced(true).guard(Guard::default()).centralise(true),
        Options::default().accumulate(Accumulation::mean(2)).average(Average::Ema { decay: 0.8 }),
        Options::default().variance_reduced(true).outer(Nesterov { momentum: 0.6 }),
    ];
    let kind = &rules::ANCHORED[0].kinds[0];
    for (number, (options, alpha)) in
        all.iter().flat_map(|options| [(options, 1.0), (options, 0.4)]).enumerate()
    {
        if !spared(gpu) {
            let (lookahead, options) = (Some(Lookahead::new(3, alpha)), options.clone());
            let case = Case { kind, lookahead, options, home: number % 7, shape: Shape::from(&gpu.info) };
            run_options(gpu, &case, 7000 + number as u64).await;
        }
    }
}

async fn built(gpu: &Gpu, builder: Builder) -> Optimizer {
    builder.pipelines(&gpu.pipelines).build(&gpu.device, &gpu.queue).await.unwrap()
}

fn rule() -> Katyusha {
    Katyusha::new(0.1).tau1(0.3).tau2(0.45).sigma(0.7)
}

async fn close(optimizer: &Optimizer, field: Field<'_>, tensor: &str, expected: &[f64]) {
    let error = largest_error(&download(optimizer, field, tensor).await, expected);
    assert!(error < 2e-6, "{field} of `{tensor}` is off by {error:e}");
}

async fn all_close(optimizer: &Optimizer, tensor: &str, twin: &Twin) {
    close(optimizer, Field::Weights, tensor, &twin.weights[0]).await;
    close(optimizer, Field::SlowWeights, tensor, &twin.slow_weights[0]).await;
    let slots = if twin.state[0][0].is_empty() { &[][..] } else { &["z", "mean", "mean_weight"] };
    for (index, slot) in slots.iter().enumerate() {
        let expected: Vec<f64> = twin.state[0].iter().map(|slots| slots[index]).collect();
        close(optimizer, Field::State(slot), tensor, &expected).await;
    }
}

// Faults: the anchor is that of before a sync, or the weights; the mean goes on over a sync; x does not move with x~.
async fn groups_and_shares_agree_with_the_twin(gpu: &Gpu) {
    let builder = Optimizer::builder(rule())
        .lookahead(Lookahead::new(3, 1.0))
        .schedule(Schedule::steps([(4, 0.5)]))
        .group(Group::new("short").k(2).alpha(0.5).weight_decay(0.2))
        .group(Group::new("plain").rule(Sgd::new(0.1)))
        .group(Group::new("frozen").frozen())
        .tensor("a", &[33])
        .tensor_in("short", "b", &[140])
        .tensor_in("plain", "c", &[5])
        .tensor_in("frozen", "d", &[3]);
    let mut optimizer = built(gpu, builder).await;
    let start = |len: usize| noise(len, len as u64);
    for (name, len) in [("a", 33), ("b", 140), ("c", 5), ("d", 3)] {
        optimizer.upload(name, &start(len)).unwrap();
    }
    let begin = |len: usize| vec![widen(&start(len))];
    let mut twins = [
        ("a", 33, Twin::new(rule(), begin(33)).lookahead(Lookahead::new(3, 1.0))),
        ("b", 140, Twin::new(rule().weight_decay(0.2), begin(140)).lookahead(Lookahead::new(2, 0.5))),
        ("c", 5, Twin::new(Sgd::new(0.1), begin(5)).lookahead(Lookahead::new(3, 1.0))),
    ];
    for step in 0..8 {
        for (name, len, twin) in &mut twins {
            let gradient = noise(*len, 100 * (step + 1) + *len as u64);
            write_gradient(gpu, &optimizer, name, &gradient);
            twin.step(&[widen(&gradient)], if step < 4 { 0.1 } else { 0.05 });
        }
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        for (name, _, twin) in &twins {
            all_close(&optimizer, name, twin).await;
        }
    }
    assert_eq!(download(&optimizer, Field::Weights, "d").await, start(3));
}

/// Of weights that the caller has written, so that the slow ones begin with the first step.
// Fault: it is anchored at what lies where the slow weights will.
async fn a_first_step_pulls_back_to_where_it_began(gpu: &Gpu) {
    for (k, guard) in [(1, None), (3, None), (3, Some(Guard::default()))] {
        let lookahead = Lookahead::new(k, 0.5);
        let [weights, gradients] = [0; 2].map(|_| Slice::new(&buffer(gpu, 256), 0, 80));
        let builder =
            Optimizer::builder(rule()).options(Options::default().guard(guard)).lookahead(lookahead);
        let mut optimizer = built(gpu, builder.borrowed("w", &[20], weights.clone())).await;
        gpu.queue.write_buffer(&weights.buffer, 0, bytemuck::cast_slice(&noise(20, 1)));
        let placed = optimizer.borrow_gradients(&[("w", gradients.clone())]).await.unwrap();
        let mut twin = Twin::new(rule(), vec![widen(&noise(20, 1))]).lookahead(lookahead);
        for step in 0..4 {
            let gradient = noise(20, 10 + step);
            gpu.queue.write_buffer(&gradients.buffer, 0, bytemuck::cast_slice(&gradient));
            submit(gpu, |encoder| optimizer.step_with(encoder, &placed)).unwrap();
            twin.step(&[widen(&gradient)], 0.1);
            all_close(&optimizer, "w", &twin).await;
        }
    }
}

/// As if k had been the steps so far.
async fn a_sync_between_steps_takes_the_mean_so_far(gpu: &Gpu) {
    let builder = Optimizer::builder(rule()).lookahead(Lookahead::new(10, 0.5)).tensor("w", &[20]);
    let mut optimizer = built(gpu, builder).await;
    optimizer.upload("w", &noise(20, 1)).unwrap();
    let mut twin = Twin::new(rule(), vec![widen(&noise(20, 1))]).lookahead(Lookahead::new(3, 0.5));
    for step in 0..6 {
        let gradient = noise(20, 10 + step);
        write_gradient(gpu, &optimizer, "w", &gradient);
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        twin.step(&[widen(&gradient)], 0.1);
        if step % 3 == 2 {
            submit(gpu, |encoder| optimizer.sync_now(encoder)).unwrap();
        }
        all_close(&optimizer, "w", &twin).await;
    }
    // Nothing has moved since.
    let before = export(&optimizer).await;
    submit(gpu, |encoder| optimizer.sync_now(encoder)).unwrap();
    assert_eq!(export(&optimizer).await, before);
}

async fn a_skipped_step_changes_nothing(gpu: &Gpu) {
    let builder = Optimizer::builder(rule()).lookahead(Lookahead::new(2, 1.0)).guard(Guard::default());
    let mut optimizer = built(gpu, builder.tensor("w", &[20])).await;
    optimizer.upload("w", &noise(20, 1)).unwrap();
    let mut twin = Twin::new(rule(), vec![widen(&noise(20, 1))]).lookahead(Lookahead::new(2, 1.0));
    for step in 0..7 {
        let mut gradient = noise(20, 10 + step);
        if [0, 3].contains(&step) {
            gradient[7] = f32::NAN;
        } else {
            twin.step(&[widen(&gradient)], 0.1);
        }
        write_gradient(gpu, &optimizer, "w", &gradient);
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        all_close(&optimizer, "w", &twin).await;
    }
    assert_eq!(counters(&optimizer).await.skipped, 2);
}

/// Gradients of a format that holds them; slow weights that are off by their rounding.
async fn slow_weights_may_be_half_width(gpu: &Gpu) {
    let builder = || Optimizer::builder(rule()).lookahead(Lookahead::new(2, 1.0)).tensor("w", &[20]);
    let mut wide = built(gpu, builder()).await;
    let mut narrow =
        built(gpu, builder().slow_bf16().half_gradients(Half::Bf16).half_weights(Half::F16)).await;
    for optimizer in [&mut wide, &mut narrow] {
        optimizer.upload("w", &noise(20, 1)).unwrap();
    }
    for step in 0..6 {
        let values: Vec<f32> = noise(20, 10 + step).iter().map(|it| (64.0 * it).round() / 64.0).collect();
        write_gradient(gpu, &wide, "w", &values);
        let slice = narrow.gradients("w").unwrap();
        gpu.queue.write_buffer(&slice.buffer, slice.offset, &Half::Bf16.encode(&values));
        for optimizer in [&mut wide, &mut narrow] {
            submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        }
    }
    let expected = widen(&download(&wide, Field::Weights, "w").await);
    let error = largest_error(&download(&narrow, Field::Weights, "w").await, &expected);
    assert!(error > 0.0 && error < 0.02, "{error}");
}

async fn a_run_resumes_within_a_cycle(gpu: &Gpu) {
    let builder = || Optimizer::builder(rule()).lookahead(Lookahead::new(3, 1.0)).tensor("w", &[20]);
    let train = |optimizer: &mut Optimizer, steps: std::ops::Range<u64>| {
        for step in steps {
            write_gradient(gpu, optimizer, "w", &noise(20, 10 + step));
            submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        }
    };
    let mut whole = built(gpu, builder()).await;
    whole.upload("w", &noise(20, 1)).unwrap();
    for stop in 0..6 {
        let bytes = export(&whole).await.to_bytes().unwrap();
        let mut other = built(gpu, builder()).await;
        train(&mut other, 100..102);
        other.import(&Snapshot::from_bytes(&bytes).unwrap()).unwrap();
        let mut rest = built(gpu, builder()).await;
        rest.upload("w", &noise(20, 1)).unwrap();
        train(&mut rest, 0..stop + 4);
        train(&mut other, stop..stop + 4);
        assert_eq!(export(&other).await, export(&rest).await, "stopped at {stop}");
        train(&mut whole, stop..stop + 1);
    }
    // Another tau1 goes on, too.
    whole.set_rule(DEFAULT_GROUP, rule().tau1(0.5)).unwrap();
    assert!(matches!(whole.set_rule(DEFAULT_GROUP, Sgd::new(0.1)), Err(Error::Rule { .. })));
}
