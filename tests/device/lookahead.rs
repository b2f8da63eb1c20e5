//! The algorithm's contract, and the faults that other implementations have: each has a test here that
//! fails when the fault is put in.

use crate::common::{counters, download, export, noise, read_slice_async, submit, write_gradient};
use lookahead_wgpu::{
    DEFAULT_GROUP, Error, Field, Group, Guard, Lookahead, Optimizer, Rule, Schedule, Snapshot, StatePolicy,
    gpu::Gpu,
    outer::{Nesterov, SlowMo},
    rules::{Adam, Sgd},
};

const LEN: usize = 37;

on_devices!(
    slow_weights_start_as_the_weights_before_the_first_step,
    weights_written_on_the_gpu_are_seeded_too,
    reseed_makes_the_slow_weights_follow_loaded_ones,
    syncs_come_right_after_every_kth_step,
    a_sync_moves_slow_weights_the_fraction_alpha,
    alpha_of_one_is_the_rule_alone_bit_for_bit,
    every_slot_is_interpolated_with_a_copy_of_its_own,
    a_reset_starts_every_slot_and_the_step_count_again,
    nan_in_the_state_does_not_survive_a_reset,
    an_imported_run_is_bit_equal_to_one_never_stopped,
    a_refused_step_is_as_if_it_never_was,
    evaluation_on_slow_weights_leaves_training_as_it_was,
    the_schedule_reaches_the_rule_at_every_step,
    a_frozen_group_is_synchronised,
    sync_now_ends_the_cycle_early,
    a_sync_after_the_last_step_is_that_steps_own,
    groups_are_synchronised_one_after_the_other,
    k_and_alpha_change_between_cycles,
);

async fn build(gpu: &Gpu, rule: impl Rule + 'static, lookahead: Option<Lookahead>) -> Optimizer {
    let builder = Optimizer::builder(rule).tensor("w", &[LEN]);
    let builder = match lookahead {
        Some(lookahead) => builder.lookahead(lookahead),
        None => builder,
    };
    let mut optimizer = builder.pipelines(&gpu.pipelines).build(&gpu.device, &gpu.queue).await.unwrap();
    optimizer.upload("w", &noise(LEN, 1)).unwrap();
    optimizer
}

/// Steps number `steps`, each with its own gradient.
fn train(gpu: &Gpu, optimizer: &mut Optimizer, steps: std::ops::Range<u64>) {
    for step in steps {
        write_gradient(gpu, optimizer, "w", &noise(LEN, 100 + step));
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
    }
}

async fn fast(optimizer: &Optimizer) -> Vec<f32> {
    download(optimizer, Field::Weights, "w").await
}

async fn slow(optimizer: &Optimizer) -> Vec<f32> {
    download(optimizer, Field::SlowWeights, "w").await
}

async fn state(optimizer: &Optimizer, slot: &str) -> Vec<f32> {
    download(optimizer, Field::State(slot), "w").await
}

/// The slow weights' buffer as kernels see it, not as `download` explains it.
async fn slow_buffer(gpu: &Gpu, optimizer: &Optimizer) -> Vec<f32> {
    read_slice_async(gpu, &optimizer.slow_weights("w").unwrap()).await
}

fn close(found: &[f32], expected: &[f32]) -> bool {
    found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6)
}

// Fault: slow weights seeded late (at the first step, at the first sync, as zeros).
async fn slow_weights_start_as_the_weights_before_the_first_step(gpu: &Gpu) {
    let start = noise(LEN, 1);
    let mut optimizer = build(gpu, Sgd::new(0.1), Some(Lookahead::new(5, 0.5))).await;
    assert_eq!(slow(&optimizer).await, start, "before any step");
    assert_eq!(slow_buffer(gpu, &optimizer).await, start, "kernels may evaluate before any step");
    train(gpu, &mut optimizer, 0..3);
    assert_eq!(slow_buffer(gpu, &optimizer).await, start, "after three steps");
    assert_ne!(fast(&optimizer).await, start);
}

// The same where kernels, not `upload`, wrote the weights; and a init_synced before the first step shows them.
async fn weights_written_on_the_gpu_are_seeded_too(gpu: &Gpu) {
    for init_synced in [false, true] {
        let mut optimizer = build(gpu, Sgd::new(0.1), Some(Lookahead::new(5, 0.5))).await;
        let start = noise(LEN, 2);
        let slice = optimizer.weights("w").unwrap();
        gpu.queue.write_buffer(&slice.buffer, slice.offset, bytemuck::cast_slice(&start));
        assert_eq!(slow(&optimizer).await, start);
        if init_synced {
            submit(gpu, |encoder| optimizer.init_synced(encoder)).unwrap();
            assert_eq!(slow_buffer(gpu, &optimizer).await, start);
        }
        train(gpu, &mut optimizer, 0..2);
        assert_eq!(slow_buffer(gpu, &optimizer).await, start);
    }
}

// Fault: slow weights seeded before pre-trained weights were loaded.
async fn reseed_makes_the_slow_weights_follow_loaded_ones(gpu: &Gpu) {
    let mut optimizer = build(gpu, Sgd::new(0.1), Some(Lookahead::new(3, 0.5))).await;
    train(gpu, &mut optimizer, 0..2);
    let loaded = noise(LEN, 9);
    optimizer.upload("w", &loaded).unwrap();
    submit(gpu, |encoder| optimizer.init_synced(encoder)).unwrap();
    assert_eq!((slow(&optimizer).await, fast(&optimizer).await), (loaded.clone(), loaded));
    assert_eq!(optimizer.position(DEFAULT_GROUP), Ok(0), "a new cycle begins");
}

// Fault: the sync comes one step early or late, or with period k + 1.
async fn syncs_come_right_after_every_kth_step(gpu: &Gpu) {
    for k in 1..=4u64 {
        let mut optimizer = build(gpu, Sgd::new(0.1), Some(Lookahead::new(k as u32, 0.5))).await;
        let mut before = slow(&optimizer).await;
        for step in 0..9 {
            train(gpu, &mut optimizer, step..step + 1);
            let after = slow(&optimizer).await;
            let due = (step + 1) % k == 0;
            assert_eq!(after != before, due, "k = {k}, step {step}");
            assert_eq!(u64::from(optimizer.position(DEFAULT_GROUP).unwrap()), (step + 1) % k);
            if due {
                assert_eq!(fast(&optimizer).await, after, "fast and slow are bit-equal after a sync");
            }
            before = after;
        }
    }
}

async fn a_sync_moves_slow_weights_the_fraction_alpha(gpu: &Gpu) {
    let mut inner = build(gpu, Sgd::new(0.1), None).await;
    let mut optimizer = build(gpu, Sgd::new(0.1), Some(Lookahead::new(2, 0.3))).await;
    train(gpu, &mut inner, 0..2);
    train(gpu, &mut optimizer, 0..2);
    let phi = noise(LEN, 1);
    let expected: Vec<f32> =
        phi.iter().zip(fast(&inner).await).map(|(phi, theta)| phi + 0.3 * (theta - phi)).collect();
    assert!(close(&fast(&optimizer).await, &expected));
}

async fn alpha_of_one_is_the_rule_alone_bit_for_bit(gpu: &Gpu) {
    let mut alone = build(gpu, Adam::new(0.01), None).await;
    let mut optimizer = build(gpu, Adam::new(0.01), Some(Lookahead::new(2, 1.0))).await;
    train(gpu, &mut alone, 0..7);
    train(gpu, &mut optimizer, 0..7);
    assert_eq!(fast(&optimizer).await, fast(&alone).await);
}

// Fault: "interpolate" whose cached copy aliases the live buffer, so that the momentum only shrinks: then
// the momentum after the second sync would be (1 - alpha) of itself, or itself. Also: policies that touch
// the momentum alone and do nothing for Adam.
async fn every_slot_is_interpolated_with_a_copy_of_its_own(gpu: &Gpu) {
    let alpha = 0.25;
    let lookahead = Lookahead::new(2, alpha).policy(StatePolicy::Interpolate);
    for slot in ["exp_avg", "exp_avg_sq"] {
        let mut optimizer = build(gpu, Adam::new(0.01), Some(lookahead)).await;
        let mut copy = vec![0.0f32; LEN];
        for cycle in 0..3 {
            train(gpu, &mut optimizer, 2 * cycle..2 * cycle + 1);
            // The same step without a sync, on a rule alone that starts from the same state.
            let mut alone = build(gpu, Adam::new(0.01), None).await;
            let mut snapshot = export(&alone).await;
            let live = export(&optimizer).await;
            for (name, values) in &mut snapshot.tensors[0].fields {
                let field = Field::parse(name).unwrap();
                values.copy_from_slice(live.tensors[0].field(field).unwrap());
            }
            snapshot.groups[0].count = live.groups[0].count;
            alone.import(&snapshot).unwrap();
            train(gpu, &mut alone, 2 * cycle + 1..2 * cycle + 2);
            train(gpu, &mut optimizer, 2 * cycle + 1..2 * cycle + 2);
            let before_sync = state(&alone, slot).await;
            for (copy, value) in copy.iter_mut().zip(&before_sync) {
                *copy += alpha as f32 * (value - *copy);
            }
            assert!(close(&state(&optimizer, slot).await, &copy), "{slot}, cycle {cycle}");
            let slow_slot = download(&optimizer, Field::SlowState(slot), "w").await;
            assert!(close(&slow_slot, &copy), "slow {slot}, cycle {cycle}");
        }
    }
}

async fn a_reset_starts_every_slot_and_the_step_count_again(gpu: &Gpu) {
    let lookahead = Lookahead::new(2, 0.5).policy(StatePolicy::Reset);
    let mut optimizer = build(gpu, Adam::new(0.01), Some(lookahead)).await;
    train(gpu, &mut optimizer, 0..2);
    for slot in ["exp_avg", "exp_avg_sq"] {
        assert_eq!(state(&optimizer, slot).await, vec![0.0; LEN], "{slot}");
    }
    assert_eq!(optimizer.step_count(DEFAULT_GROUP), Ok(0));
    // The cycle after it is that of a new optimizer at the same weights.
    let start = fast(&optimizer).await;
    train(gpu, &mut optimizer, 2..4);
    let mut fresh = build(gpu, Adam::new(0.01), Some(lookahead)).await;
    fresh.upload("w", &start).unwrap();
    train(gpu, &mut fresh, 2..4);
    assert_eq!(fast(&optimizer).await, fast(&fresh).await);
}

// Fault: NaN that survives a reset because it was multiplied by zero.
async fn nan_in_the_state_does_not_survive_a_reset(gpu: &Gpu) {
    let lookahead = Lookahead::new(1, 0.5).policy(StatePolicy::Reset);
    let mut optimizer = build(gpu, Adam::new(0.01), Some(lookahead)).await;
    write_gradient(gpu, &optimizer, "w", &[f32::NAN; LEN]);
    submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
    optimizer.upload("w", &noise(LEN, 1)).unwrap();
    submit(gpu, |encoder| optimizer.init_synced(encoder)).unwrap();
    train(gpu, &mut optimizer, 0..3);
    assert!(fast(&optimizer).await.iter().all(|value| value.is_finite()));
}

// Fault: saved state without slow weights or without the position in the cycle.
async fn an_imported_run_is_bit_equal_to_one_never_stopped(gpu: &Gpu) {
    for policy in [StatePolicy::Maintain, StatePolicy::Interpolate, StatePolicy::Reset] {
        let lookahead = Some(Lookahead::new(3, 0.5).policy(policy));
        let mut whole = build(gpu, Adam::new(0.01), lookahead).await;
        train(gpu, &mut whole, 0..11);
        for stop in 0..11 {
            let mut first = build(gpu, Adam::new(0.01), lookahead).await;
            train(gpu, &mut first, 0..stop);
            let snapshot = export(&first).await;
            let mut second = build(gpu, Adam::new(0.01), lookahead).await;
            second.import(&snapshot).unwrap();
            assert_eq!(export(&second).await, snapshot);
            train(gpu, &mut second, stop..11);
            assert_eq!(export(&second).await, export(&whole).await, "{policy:?}, stopped after {stop}");
        }
    }
}

// Fault: a skipped step that still advances k or the step count. Here the host refuses a step.
async fn a_refused_step_is_as_if_it_never_was(gpu: &Gpu) {
    let lookahead = Lookahead::new(3, 0.5);
    let calls = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counter = calls.clone();
    // Every third call gives no learning rate.
    let schedule = Schedule::custom(move |_| {
        let call = counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if call % 3 == 2 { f64::NAN } else { 1.0 }
    });
    let mut optimizer = Optimizer::builder(Adam::new(0.01))
        .lookahead(lookahead)
        .schedule(schedule)
        .tensor("w", &[LEN])
        .pipelines(&gpu.pipelines)
        .build(&gpu.device, &gpu.queue)
        .await
        .unwrap();
    optimizer.upload("w", &noise(LEN, 1)).unwrap();
    let mut refused = 0;
    for step in 0..7 {
        write_gradient(gpu, &optimizer, "w", &noise(LEN, 100 + step));
        while let Err(error) = submit(gpu, |encoder| optimizer.step(encoder)) {
            assert!(matches!(error, Error::LearningRate { .. }), "{error}");
            refused += 1;
        }
    }
    assert_eq!(refused, 3);
    let mut plain = build(gpu, Adam::new(0.01), Some(lookahead)).await;
    train(gpu, &mut plain, 0..7);
    let [refused, plain] = [export(&optimizer).await, export(&plain).await];
    assert_eq!(Snapshot { schedule: plain.schedule.clone(), ..refused }, plain);
}

// Fault: evaluation on weights that are not synchronised.
async fn evaluation_on_slow_weights_leaves_training_as_it_was(gpu: &Gpu) {
    let lookahead = Some(Lookahead::new(3, 0.5));
    let mut plain = build(gpu, Adam::new(0.01), lookahead).await;
    let mut evaluated = build(gpu, Adam::new(0.01), lookahead).await;
    for step in 0..8 {
        train(gpu, &mut plain, step..step + 1);
        let (fast_before, slow_before) = (fast(&evaluated).await, slow(&evaluated).await);
        submit(gpu, |encoder| evaluated.swap_slow(encoder)).unwrap();
        assert!(matches!(submit(gpu, |encoder| evaluated.step(encoder)), Err(Error::Swapped { .. })));
        let slice = evaluated.weights("w").unwrap();
        assert_eq!(
            read_slice_async(gpu, &slice).await,
            slow_before,
            "kernels bound to the weights see the slow ones"
        );
        submit(gpu, |encoder| evaluated.swap_slow(encoder)).unwrap();
        assert_eq!((fast(&evaluated).await, slow(&evaluated).await), (fast_before, slow_before));
        train(gpu, &mut evaluated, step..step + 1);
    }
    assert_eq!(export(&evaluated).await, export(&plain).await);
}

// Fault: learning-rate changes that never reach the inner optimizer.
async fn the_schedule_reaches_the_rule_at_every_step(gpu: &Gpu) {
    let mut optimizer = Optimizer::builder(Sgd::new(0.1))
        .lookahead(Lookahead::new(2, 1.0))
        .schedule(Schedule::steps([(2, 0.5), (4, 0.0)]))
        .tensor("w", &[LEN])
        .pipelines(&gpu.pipelines)
        .build(&gpu.device, &gpu.queue)
        .await
        .unwrap();
    write_gradient(gpu, &optimizer, "w", &[1.0; LEN]);
    let mut expected = 0.0;
    for (step, lr) in [0.1, 0.1, 0.05, 0.3, 0.0].into_iter().enumerate() {
        if step == 3 {
            optimizer.set_learning_rate(DEFAULT_GROUP, 0.6).unwrap();
        }
        assert!((optimizer.learning_rate(DEFAULT_GROUP).unwrap() - lr).abs() < 1e-12);
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        expected -= lr as f32;
        assert!(close(&fast(&optimizer).await, &[expected; LEN]), "lr {lr}");
    }
}

// Fault: frozen or unused parameters that are not synchronised.
async fn a_frozen_group_is_synchronised(gpu: &Gpu) {
    let mut optimizer = Optimizer::builder(Adam::new(0.01))
        .lookahead(Lookahead::new(4, 0.5))
        .group(Group::new("body"))
        .tensor_in("body", "w", &[LEN])
        .pipelines(&gpu.pipelines)
        .build(&gpu.device, &gpu.queue)
        .await
        .unwrap();
    optimizer.upload("w", &noise(LEN, 1)).unwrap();
    train(gpu, &mut optimizer, 0..2);
    let (phi, theta) = (slow(&optimizer).await, fast(&optimizer).await);
    let moment = state(&optimizer, "exp_avg").await;
    optimizer.set_frozen("body", true).unwrap();
    train(gpu, &mut optimizer, 2..4);
    let synced: Vec<f32> = phi.iter().zip(&theta).map(|(phi, theta)| 0.5 * (phi + theta)).collect();
    assert!(close(&slow(&optimizer).await, &synced));
    assert_eq!(fast(&optimizer).await, slow(&optimizer).await);
    assert_eq!(state(&optimizer, "exp_avg").await, moment);
    assert_eq!(optimizer.step_count("body"), Ok(2));
}

async fn sync_now_ends_the_cycle_early(gpu: &Gpu) {
    let mut optimizer = build(gpu, Sgd::new(0.1).momentum(0.9), Some(Lookahead::new(5, 0.5))).await;
    train(gpu, &mut optimizer, 0..2);
    let (phi, theta) = (slow(&optimizer).await, fast(&optimizer).await);
    submit(gpu, |encoder| optimizer.sync_now(encoder)).unwrap();
    let synced: Vec<f32> = phi.iter().zip(&theta).map(|(phi, theta)| 0.5 * (phi + theta)).collect();
    assert!(close(&slow(&optimizer).await, &synced));
    assert_eq!(fast(&optimizer).await, slow(&optimizer).await);
    assert_eq!(optimizer.position(DEFAULT_GROUP), Ok(0));
    // Before any step there is nothing to move.
    let mut fresh = build(gpu, Sgd::new(0.1), Some(Lookahead::default())).await;
    submit(gpu, |encoder| fresh.sync_now(encoder)).unwrap();
    assert_eq!((fast(&fresh).await, slow(&fresh).await), (noise(LEN, 1), noise(LEN, 1)));
}

// Fault: the learning rate of the step to come, which SlowMo sees.
async fn a_sync_after_the_last_step_is_that_steps_own(gpu: &Gpu) {
    for (policy, guarded) in StatePolicy::ALL.into_iter().zip([false, true, false]) {
        let built = async |k| {
            let mut builder = Optimizer::builder(Adam::new(0.1))
                .lookahead(Lookahead::new(k, 0.5).policy(policy))
                .outer(SlowMo { momentum: 0.7 })
                .schedule(Schedule::custom(|step| 0.7f64.powi(step as i32)))
                .tensor("w", &[LEN]);
            if guarded {
                builder = builder.guard(Guard::default());
            }
            let builder = builder.pipelines(&gpu.pipelines);
            let mut optimizer = builder.build(&gpu.device, &gpu.queue).await.unwrap();
            optimizer.upload("w", &noise(LEN, 1)).unwrap();
            optimizer
        };
        let (mut fused, mut between) = (built(3).await, built(u32::MAX).await);
        train(gpu, &mut fused, 0..8);
        for steps in [0..3, 3..6, 6..8] {
            if steps.start > 0 {
                submit(gpu, |encoder| between.sync_last_step(encoder)).unwrap();
            }
            train(gpu, &mut between, steps);
        }
        for field in
            [Field::Weights, Field::SlowWeights, Field::State("exp_avg"), Field::Outer("slow_momentum")]
        {
            let (one, other) = (fused.download_all(field).await, between.download_all(field).await);
            assert_eq!(one, other, "{field} with {policy:?}");
        }
        assert_eq!(counters(&fused).await.groups, counters(&between).await.groups);
    }
}

// Faults: the other groups' cycles begin anew, on the host or where a guard counts; their weights move.
async fn groups_are_synchronised_one_after_the_other(gpu: &Gpu) {
    const GROUPS: [&str; 2] = ["w", "u"];
    for (policy, guarded) in StatePolicy::ALL.into_iter().zip([false, true, false]) {
        let built = async |periods: [u32; 2]| {
            let mut builder = Optimizer::builder(Adam::new(0.1))
                .lookahead(Lookahead::new(2, 0.5).policy(policy))
                .outer(Nesterov { momentum: 0.7 });
            for (name, k) in GROUPS.into_iter().zip(periods) {
                builder = builder.group(Group::new(name).k(k)).tensor_in(name, name, &[LEN]);
            }
            if guarded {
                builder = builder.guard(Guard::default());
            }
            let builder = builder.pipelines(&gpu.pipelines);
            let mut optimizer = builder.build(&gpu.device, &gpu.queue).await.unwrap();
            GROUPS.iter().for_each(|name| optimizer.upload(name, &noise(LEN, 1)).unwrap());
            optimizer
        };
        let (mut fused, mut between) = (built([3, 2]).await, built([u32::MAX; 2]).await);
        for step in 0..7 {
            for optimizer in [&mut fused, &mut between] {
                let bad = guarded && step == 4;
                let gradient = if bad { vec![f32::NAN; LEN] } else { noise(LEN, 100 + step) };
                GROUPS.iter().for_each(|name| write_gradient(gpu, optimizer, name, &gradient));
                submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
            }
            // A step that the guard skips ends no cycle.
            let taken = if guarded && step >= 4 { step } else { step + 1 };
            let due = |k: u64| taken.is_multiple_of(k) && !(guarded && step == 4);
            let groups: Vec<&str> =
                GROUPS.into_iter().zip([3, 2]).filter(|(_, k)| due(*k)).map(|(name, _)| name).collect();
            for group in groups {
                submit(gpu, |encoder| between.sync_last_step_of(&[group], encoder)).unwrap();
            }
            for field in
                [Field::Weights, Field::SlowWeights, Field::State("exp_avg"), Field::Outer("momentum_buffer")]
            {
                let (one, other) = (fused.download_all(field).await, between.download_all(field).await);
                assert_eq!(one, other, "{field} with {policy:?}, step {step}");
            }
            assert_eq!(
                counters(&fused).await.groups,
                counters(&between).await.groups,
                "{policy:?}, step {step}"
            );
        }
    }
}

async fn k_and_alpha_change_between_cycles(gpu: &Gpu) {
    let mut optimizer = build(gpu, Sgd::new(0.1), Some(Lookahead::new(2, 0.5))).await;
    train(gpu, &mut optimizer, 0..1);
    let error = optimizer.set_k(DEFAULT_GROUP, 3).unwrap_err();
    assert!(matches!(error, Error::MidCycle { position: 1, k: 2, .. }), "{error}");
    train(gpu, &mut optimizer, 1..2);
    optimizer.set_k(DEFAULT_GROUP, 3).unwrap();
    optimizer.set_alpha(DEFAULT_GROUP, 1.0).unwrap();
    let before = slow(&optimizer).await;
    train(gpu, &mut optimizer, 2..4);
    assert_eq!(slow(&optimizer).await, before);
    train(gpu, &mut optimizer, 4..5);
    assert_ne!(slow(&optimizer).await, before);
}
