//! The algorithm's contract, and the faults that other implementations have: each has a test here that
//! fails when the fault is put in.

mod common;

use common::{noise, on_every_adapter, read_slice, submit, write_gradient};
use lookahead_wgpu::{
    DEFAULT_GROUP, Error, Field, Group, Lookahead, Optimizer, Rule, Schedule, StatePolicy,
    gpu::Gpu,
    rules::{Adam, Sgd},
};

const LEN: usize = 37;

fn build(gpu: &Gpu, rule: impl Rule + 'static, lookahead: Option<Lookahead>) -> Optimizer {
    let builder = Optimizer::builder(rule).tensor("w", &[LEN]);
    let builder = match lookahead {
        Some(lookahead) => builder.lookahead(lookahead),
        None => builder,
    };
    let mut optimizer = builder.build_blocking(&gpu.device, &gpu.queue).unwrap();
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

fn fast(optimizer: &Optimizer) -> Vec<f32> {
    optimizer.download_blocking(Field::Weights, "w").unwrap()
}

fn slow(optimizer: &Optimizer) -> Vec<f32> {
    optimizer.download_blocking(Field::SlowWeights, "w").unwrap()
}

fn state(optimizer: &Optimizer, slot: &str) -> Vec<f32> {
    optimizer.download_blocking(Field::State(slot), "w").unwrap()
}

/// The slow weights' buffer as kernels see it, not as `download` explains it.
fn slow_buffer(gpu: &Gpu, optimizer: &Optimizer) -> Vec<f32> {
    read_slice(gpu, &optimizer.slow_weights("w").unwrap())
}

fn close(found: &[f32], expected: &[f32]) -> bool {
    found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6)
}

// Fault: slow weights seeded late (at the first step, at the first sync, as zeros).
#[test]
fn slow_weights_start_as_the_weights_before_the_first_step() {
    on_every_adapter(|gpu| {
        let start = noise(LEN, 1);
        let mut optimizer = build(gpu, Sgd::new(0.1), Some(Lookahead::new(5, 0.5)));
        assert_eq!(slow(&optimizer), start, "before any step");
        assert_eq!(slow_buffer(gpu, &optimizer), start, "kernels may evaluate before any step");
        train(gpu, &mut optimizer, 0..3);
        assert_eq!(slow_buffer(gpu, &optimizer), start, "after three steps");
        assert_ne!(fast(&optimizer), start);
    });
}

// The same where kernels, not `upload`, wrote the weights; and a reseed before the first step shows them.
#[test]
fn weights_written_on_the_gpu_are_seeded_too() {
    on_every_adapter(|gpu| {
        for reseed in [false, true] {
            let mut optimizer = build(gpu, Sgd::new(0.1), Some(Lookahead::new(5, 0.5)));
            let start = noise(LEN, 2);
            let slice = optimizer.weights("w").unwrap();
            gpu.queue.write_buffer(&slice.buffer, slice.offset, bytemuck::cast_slice(&start));
            assert_eq!(slow(&optimizer), start);
            if reseed {
                submit(gpu, |encoder| optimizer.reseed(encoder)).unwrap();
                assert_eq!(slow_buffer(gpu, &optimizer), start);
            }
            train(gpu, &mut optimizer, 0..2);
            assert_eq!(slow_buffer(gpu, &optimizer), start);
        }
    });
}

// Fault: slow weights seeded before pre-trained weights were loaded.
#[test]
fn reseed_makes_the_slow_weights_follow_loaded_ones() {
    on_every_adapter(|gpu| {
        let mut optimizer = build(gpu, Sgd::new(0.1), Some(Lookahead::new(3, 0.5)));
        train(gpu, &mut optimizer, 0..2);
        let loaded = noise(LEN, 9);
        optimizer.upload("w", &loaded).unwrap();
        submit(gpu, |encoder| optimizer.reseed(encoder)).unwrap();
        assert_eq!((slow(&optimizer), fast(&optimizer)), (loaded.clone(), loaded));
        assert_eq!(optimizer.position(DEFAULT_GROUP), Ok(0), "a new cycle begins");
    });
}

// Fault: the sync comes one step early or late, or with period k + 1.
#[test]
fn syncs_come_right_after_every_kth_step() {
    on_every_adapter(|gpu| {
        for k in 1..=4u64 {
            let mut optimizer = build(gpu, Sgd::new(0.1), Some(Lookahead::new(k as u32, 0.5)));
            let mut before = slow(&optimizer);
            for step in 0..9 {
                train(gpu, &mut optimizer, step..step + 1);
                let after = slow(&optimizer);
                let due = (step + 1) % k == 0;
                assert_eq!(after != before, due, "k = {k}, step {step}");
                assert_eq!(u64::from(optimizer.position(DEFAULT_GROUP).unwrap()), (step + 1) % k);
                if due {
                    assert_eq!(fast(&optimizer), after, "fast and slow are bit-equal after a sync");
                }
                before = after;
            }
        }
    });
}

#[test]
fn a_sync_moves_slow_weights_the_fraction_alpha() {
    on_every_adapter(|gpu| {
        let mut inner = build(gpu, Sgd::new(0.1), None);
        let mut optimizer = build(gpu, Sgd::new(0.1), Some(Lookahead::new(2, 0.3)));
        train(gpu, &mut inner, 0..2);
        train(gpu, &mut optimizer, 0..2);
        let phi = noise(LEN, 1);
        let expected: Vec<f32> =
            phi.iter().zip(fast(&inner)).map(|(phi, theta)| phi + 0.3 * (theta - phi)).collect();
        assert!(close(&fast(&optimizer), &expected));
    });
}

#[test]
fn alpha_of_one_is_the_rule_alone_bit_for_bit() {
    on_every_adapter(|gpu| {
        let mut alone = build(gpu, Adam::new(0.01), None);
        let mut optimizer = build(gpu, Adam::new(0.01), Some(Lookahead::new(2, 1.0)));
        train(gpu, &mut alone, 0..7);
        train(gpu, &mut optimizer, 0..7);
        assert_eq!(fast(&optimizer), fast(&alone));
    });
}

// Fault: "interpolate" whose cached copy aliases the live buffer, so that the momentum only shrinks: then
// the momentum after the second sync would be (1 - alpha) of itself, or itself. Also: policies that touch
// the momentum alone and do nothing for Adam.
#[test]
fn every_slot_is_interpolated_with_a_copy_of_its_own() {
    on_every_adapter(|gpu| {
        let alpha = 0.25;
        let lookahead = Lookahead::new(2, alpha).policy(StatePolicy::Interpolate);
        for slot in ["exp_avg", "exp_avg_sq"] {
            let mut optimizer = build(gpu, Adam::new(0.01), Some(lookahead));
            let mut copy = vec![0.0f32; LEN];
            for cycle in 0..3 {
                train(gpu, &mut optimizer, 2 * cycle..2 * cycle + 1);
                // The same step without a sync, on a rule alone that starts from the same state.
                let mut alone = build(gpu, Adam::new(0.01), None);
                let mut snapshot = alone.export_blocking().unwrap();
                let live = optimizer.export_blocking().unwrap();
                for (name, values) in &mut snapshot.tensors[0].fields {
                    let field = Field::parse(name).unwrap();
                    values.copy_from_slice(live.tensors[0].field(field).unwrap());
                }
                snapshot.groups[0].count = live.groups[0].count;
                alone.import(&snapshot).unwrap();
                train(gpu, &mut alone, 2 * cycle + 1..2 * cycle + 2);
                train(gpu, &mut optimizer, 2 * cycle + 1..2 * cycle + 2);
                let before_sync = state(&alone, slot);
                for (copy, value) in copy.iter_mut().zip(&before_sync) {
                    *copy += alpha as f32 * (value - *copy);
                }
                assert!(close(&state(&optimizer, slot), &copy), "{slot}, cycle {cycle}");
                let slow_slot = optimizer.download_blocking(Field::SlowState(slot), "w").unwrap();
                assert!(close(&slow_slot, &copy), "slow {slot}, cycle {cycle}");
            }
        }
    });
}

#[test]
fn a_reset_starts_every_slot_and_the_step_count_again() {
    on_every_adapter(|gpu| {
        let lookahead = Lookahead::new(2, 0.5).policy(StatePolicy::Reset);
        let mut optimizer = build(gpu, Adam::new(0.01), Some(lookahead));
        train(gpu, &mut optimizer, 0..2);
        for slot in ["exp_avg", "exp_avg_sq"] {
            assert_eq!(state(&optimizer, slot), vec![0.0; LEN], "{slot}");
        }
        assert_eq!(optimizer.step_count(DEFAULT_GROUP), Ok(0));
        // The cycle after it is that of a new optimizer at the same weights.
        let start = fast(&optimizer);
        train(gpu, &mut optimizer, 2..4);
        let mut fresh = build(gpu, Adam::new(0.01), Some(lookahead));
        fresh.upload("w", &start).unwrap();
        train(gpu, &mut fresh, 2..4);
        assert_eq!(fast(&optimizer), fast(&fresh));
    });
}

// Fault: NaN that survives a reset because it was multiplied by zero.
#[test]
fn nan_in_the_state_does_not_survive_a_reset() {
    on_every_adapter(|gpu| {
        let lookahead = Lookahead::new(1, 0.5).policy(StatePolicy::Reset);
        let mut optimizer = build(gpu, Adam::new(0.01), Some(lookahead));
        write_gradient(gpu, &optimizer, "w", &[f32::NAN; LEN]);
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        optimizer.upload("w", &noise(LEN, 1)).unwrap();
        submit(gpu, |encoder| optimizer.reseed(encoder)).unwrap();
        train(gpu, &mut optimizer, 0..3);
        assert!(fast(&optimizer).iter().all(|value| value.is_finite()));
    });
}

// Fault: saved state without slow weights or without the position in the cycle.
#[test]
fn an_imported_run_is_bit_equal_to_one_never_stopped() {
    on_every_adapter(|gpu| {
        for policy in [StatePolicy::Maintain, StatePolicy::Interpolate, StatePolicy::Reset] {
            let lookahead = Some(Lookahead::new(3, 0.5).policy(policy));
            let mut whole = build(gpu, Adam::new(0.01), lookahead);
            train(gpu, &mut whole, 0..11);
            for stop in 0..11 {
                let mut first = build(gpu, Adam::new(0.01), lookahead);
                train(gpu, &mut first, 0..stop);
                let snapshot = first.export_blocking().unwrap();
                let mut second = build(gpu, Adam::new(0.01), lookahead);
                second.import(&snapshot).unwrap();
                assert_eq!(second.export_blocking().unwrap(), snapshot);
                train(gpu, &mut second, stop..11);
                assert_eq!(
                    second.export_blocking().unwrap(),
                    whole.export_blocking().unwrap(),
                    "{policy:?}, stopped after {stop}"
                );
            }
        }
    });
}

// Fault: a skipped step that still advances k or the step count. Here the host refuses a step.
#[test]
fn a_refused_step_is_as_if_it_never_was() {
    on_every_adapter(|gpu| {
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
            .build_blocking(&gpu.device, &gpu.queue)
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
        let mut plain = build(gpu, Adam::new(0.01), Some(lookahead));
        train(gpu, &mut plain, 0..7);
        assert_eq!(optimizer.export_blocking().unwrap(), plain.export_blocking().unwrap());
    });
}

// Fault: evaluation on weights that are not synchronised.
#[test]
fn evaluation_on_slow_weights_leaves_training_as_it_was() {
    on_every_adapter(|gpu| {
        let lookahead = Some(Lookahead::new(3, 0.5));
        let mut plain = build(gpu, Adam::new(0.01), lookahead);
        let mut evaluated = build(gpu, Adam::new(0.01), lookahead);
        for step in 0..8 {
            train(gpu, &mut plain, step..step + 1);
            let (fast_before, slow_before) = (fast(&evaluated), slow(&evaluated));
            submit(gpu, |encoder| evaluated.swap_slow(encoder)).unwrap();
            assert!(matches!(submit(gpu, |encoder| evaluated.step(encoder)), Err(Error::Swapped { .. })));
            let slice = evaluated.weights("w").unwrap();
            assert_eq!(
                read_slice(gpu, &slice),
                slow_before,
                "kernels bound to the weights see the slow ones"
            );
            submit(gpu, |encoder| evaluated.swap_slow(encoder)).unwrap();
            assert_eq!((fast(&evaluated), slow(&evaluated)), (fast_before, slow_before));
            train(gpu, &mut evaluated, step..step + 1);
        }
        assert_eq!(evaluated.export_blocking().unwrap(), plain.export_blocking().unwrap());
    });
}

// Fault: learning-rate changes that never reach the inner optimizer.
#[test]
fn the_schedule_reaches_the_rule_at_every_step() {
    on_every_adapter(|gpu| {
        let mut optimizer = Optimizer::builder(Sgd::new(0.1))
            .lookahead(Lookahead::new(2, 1.0))
            .schedule(Schedule::steps([(2, 0.5), (4, 0.0)]))
            .tensor("w", &[LEN])
            .build_blocking(&gpu.device, &gpu.queue)
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
            assert!(close(&fast(&optimizer), &[expected; LEN]), "lr {lr}");
        }
    });
}

// Fault: frozen or unused parameters that are not synchronised.
#[test]
fn a_frozen_group_is_synchronised() {
    on_every_adapter(|gpu| {
        let mut optimizer = Optimizer::builder(Adam::new(0.01))
            .lookahead(Lookahead::new(4, 0.5))
            .group(Group::new("body"))
            .tensor_in("body", "w", &[LEN])
            .build_blocking(&gpu.device, &gpu.queue)
            .unwrap();
        optimizer.upload("w", &noise(LEN, 1)).unwrap();
        train(gpu, &mut optimizer, 0..2);
        let (phi, theta) = (slow(&optimizer), fast(&optimizer));
        let moment = state(&optimizer, "exp_avg");
        optimizer.set_frozen("body", true).unwrap();
        train(gpu, &mut optimizer, 2..4);
        let synced: Vec<f32> = phi.iter().zip(&theta).map(|(phi, theta)| 0.5 * (phi + theta)).collect();
        assert!(close(&slow(&optimizer), &synced));
        assert_eq!(fast(&optimizer), slow(&optimizer));
        assert_eq!(state(&optimizer, "exp_avg"), moment);
        assert_eq!(optimizer.step_count("body"), Ok(2));
    });
}

#[test]
fn sync_now_ends_the_cycle_early() {
    on_every_adapter(|gpu| {
        let mut optimizer = build(gpu, Sgd::new(0.1).momentum(0.9), Some(Lookahead::new(5, 0.5)));
        train(gpu, &mut optimizer, 0..2);
        let (phi, theta) = (slow(&optimizer), fast(&optimizer));
        submit(gpu, |encoder| optimizer.sync_now(encoder)).unwrap();
        let synced: Vec<f32> = phi.iter().zip(&theta).map(|(phi, theta)| 0.5 * (phi + theta)).collect();
        assert!(close(&slow(&optimizer), &synced));
        assert_eq!(fast(&optimizer), slow(&optimizer));
        assert_eq!(optimizer.position(DEFAULT_GROUP), Ok(0));
        // Before any step there is nothing to move.
        let mut fresh = build(gpu, Sgd::new(0.1), Some(Lookahead::default()));
        submit(gpu, |encoder| fresh.sync_now(encoder)).unwrap();
        assert_eq!((fast(&fresh), slow(&fresh)), (noise(LEN, 1), noise(LEN, 1)));
    });
}

#[test]
fn k_and_alpha_change_between_cycles() {
    on_every_adapter(|gpu| {
        let mut optimizer = build(gpu, Sgd::new(0.1), Some(Lookahead::new(2, 0.5)));
        train(gpu, &mut optimizer, 0..1);
        let error = optimizer.set_k(DEFAULT_GROUP, 3).unwrap_err();
        assert!(matches!(error, Error::MidCycle { position: 1, k: 2, .. }), "{error}");
        train(gpu, &mut optimizer, 1..2);
        optimizer.set_k(DEFAULT_GROUP, 3).unwrap();
        optimizer.set_alpha(DEFAULT_GROUP, 1.0).unwrap();
        let before = slow(&optimizer);
        train(gpu, &mut optimizer, 2..4);
        assert_eq!(slow(&optimizer), before);
        train(gpu, &mut optimizer, 4..5);
        assert_ne!(slow(&optimizer), before);
    });
}
