//! Several workers: what they compute is what the formulas say, and the same on all of them.

use std::{sync::Arc, thread::sleep, time::Duration};

use lookahead_mpi::{Error, Mode, Outcome, Wire, Workers, mpi::traits::Communicator};
use lookahead_wgpu::{
    Field, Lookahead, Optimizer,
    outer::{Interpolation, Nesterov, SlowMo},
    rules::{Adam, AdamW, Sgd},
    twin::Twin,
};

use crate::{
    launch::on_ranks,
    model::{bits, build, first_weights, gpu, largest_difference, plain_step, read, scripted, step, widened},
    twins::Twins,
};

#[test]
fn workers_on_equal_data_are_one() {
    for ranks in [2, 3] {
        on_ranks(ranks, "several::workers_on_equal_data_are_one", |world| {
            let gpu = gpu();
            let builder = || {
                let builder = Optimizer::builder(Adam::new(0.05)).lookahead(Lookahead::new(4, 0.7));
                builder.outer(Nesterov { momentum: 0.9 })
            };
            let (mut plain, mut optimizer) = (build(&gpu, builder()), build(&gpu, builder()));
            let mut workers = Workers::builder(world).build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
            for at in 0..12 {
                plain_step(&gpu, &mut plain, &scripted(0, at));
                step(&gpu, &mut workers, &mut optimizer, &scripted(0, at));
            }
            assert_eq!(bits(&optimizer), bits(&plain));
        });
    }
}

/// The gradient of a rank's own quadratic, `|w - target|^2 / 2` with curvatures of its own.
fn quadratic(rank: usize, weights: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let target = scripted(rank, 77);
    let pairs = weights.iter().zip(&target);
    let gradient = |w: &f32, t: &f32| (0.5 + 0.25 * rank as f32) * (w - t);
    pairs.map(|(w, t)| w.iter().zip(t).map(|(w, t)| gradient(w, t)).collect()).collect()
}

/// The mean of all ranks' gradients, which is that of a batch as large as all of theirs.
fn large_batch(ranks: usize, weights: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let all: Vec<_> = (0..ranks).map(|rank| quadratic(rank, weights)).collect();
    let mean = |tensor: usize, index: usize| all.iter().map(|g| g[tensor][index]).sum::<f32>() / ranks as f32;
    (0..weights.len())
        .map(|tensor| (0..weights[tensor].len()).map(|index| mean(tensor, index)).collect())
        .collect()
}

#[test]
fn one_step_a_round_is_the_large_batch() {
    on_ranks(4, "several::one_step_a_round_is_the_large_batch", |world| {
        let (gpu, rank) = (gpu(), world.rank() as usize);
        let mut plain = build(&gpu, Optimizer::builder(Sgd::new(0.1)));
        let averaging = Optimizer::builder(Sgd::new(0.1)).lookahead(Lookahead::new(1, 1.0));
        let mut local = build(&gpu, averaging);
        let mut exchanging = build(&gpu, Optimizer::builder(Sgd::new(0.1)));
        let (device, queue) = (&gpu.device, &gpu.queue);
        let mut on_weights = Workers::builder(world.duplicate()).build(&mut local, device, queue).unwrap();
        let on_gradients = Workers::builder(world).mode(Mode::Gradients);
        let mut on_gradients = on_gradients.build(&mut exchanging, device, queue).unwrap();
        for _ in 0..20 {
            let weights = read(&plain, Field::Weights);
            plain_step(&gpu, &mut plain, &large_batch(4, &weights));
            let gradients = quadratic(rank, &read(&local, Field::Weights));
            let report = step(&gpu, &mut on_weights, &mut local, &gradients).unwrap();
            // 1 + 4 + 1 blocks: three quarters of what is packed go out, and a rank's own part to three others.
            assert!(report.bytes >= 6 * 512 * 3 / 4 && report.bytes <= 6 * 512 * 3, "{}", report.bytes);
            let gradients = quadratic(rank, &read(&exchanging, Field::Weights));
            step(&gpu, &mut on_gradients, &mut exchanging, &gradients).unwrap();
        }
        let expected = widened(&read(&plain, Field::Weights));
        for optimizer in [&local, &exchanging] {
            let difference = largest_difference(&read(optimizer, Field::Weights), &expected);
            assert!(difference < 1e-5, "{difference}");
        }
        assert!(largest_difference(&first_weights(), &expected) > 0.1, "nothing has moved");
        on_gradients.check(&exchanging).unwrap();
    });
}

/// Trains workers beside their twins, five rounds of three steps, and compares.
fn compare(
    world: lookahead_mpi::mpi::topology::SimpleCommunicator,
    builder: lookahead_wgpu::Builder,
    learning_rate: f64,
    mut twins: Twins,
) {
    let (gpu, rank) = (gpu(), world.rank() as usize);
    let mut optimizer = build(&gpu, builder);
    let mut workers = Workers::builder(world).build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
    for at in 0..15 {
        twins.step(at, learning_rate);
        if step(&gpu, &mut workers, &mut optimizer, &scripted(rank, at)).is_some() {
            twins.round(learning_rate);
            let difference = largest_difference(&read(&optimizer, Field::SlowWeights), &twins.slow);
            assert!(difference < 2e-5, "step {at}: {difference}");
            assert_eq!(read(&optimizer, Field::Weights), read(&optimizer, Field::SlowWeights));
        }
    }
    assert_eq!(workers.rounds(), 5);
    assert!(largest_difference(&first_weights(), &twins.slow) > 0.05, "nothing has moved");
}

#[test]
fn local_sgd_is_its_twin() {
    on_ranks(3, "several::local_sgd_is_its_twin", |world| {
        let rule = Sgd::new(0.1).momentum(0.9);
        let twins = Twins::new(3, Arc::new(Interpolation), 0.6, |weights| Twin::new(rule.clone(), weights));
        let builder = Optimizer::builder(rule.clone()).lookahead(Lookahead::new(3, 0.6));
        compare(world, builder, 0.1, twins);
    });
}

#[test]
fn slow_mo_is_its_twin() {
    for ranks in [2, 4] {
        on_ranks(ranks, "several::slow_mo_is_its_twin", |world| {
            let (rule, outer) = (Sgd::new(0.1).momentum(0.5), SlowMo { momentum: 0.7 });
            let size = world.size() as usize;
            let twins = Twins::new(size, Arc::new(outer), 1.0, |weights| Twin::new(rule.clone(), weights));
            let builder = Optimizer::builder(rule.clone()).lookahead(Lookahead::new(3, 1.0)).outer(outer);
            compare(world, builder, 0.1, twins);
        });
    }
}

#[test]
fn diloco_is_its_twin() {
    for ranks in [2, 4] {
        on_ranks(ranks, "several::diloco_is_its_twin", |world| {
            let (rule, outer) = (AdamW::new(0.02).weight_decay(0.1), Nesterov { momentum: 0.9 });
            let size = world.size() as usize;
            let twins = Twins::new(size, Arc::new(outer), 0.7, |weights| Twin::new(rule.clone(), weights));
            let builder = Optimizer::builder(rule.clone()).lookahead(Lookahead::new(3, 0.7)).outer(outer);
            compare(world, builder, 0.02, twins);
        });
    }
}

#[test]
fn a_straggler_is_shown() {
    on_ranks(3, "several::a_straggler_is_shown", |world| {
        let (gpu, rank) = (gpu(), world.rank() as usize);
        let mut optimizer = build(&gpu, Optimizer::builder(Sgd::new(0.1)).lookahead(Lookahead::new(1, 0.5)));
        let mut workers = Workers::builder(world).build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
        step(&gpu, &mut workers, &mut optimizer, &scripted(rank, 0));
        if rank == 1 {
            sleep(Duration::from_millis(500));
        }
        let report = step(&gpu, &mut workers, &mut optimizer, &scripted(rank, 1)).unwrap();
        assert_eq!(report.straggler(0.2), Some(1), "{report:?}");
        assert!(report.waited[0] > 0.2 && report.waited[2] > 0.2 && report.waited[1] < 0.2, "{report:?}");
        assert_eq!(report.outcome, Outcome::Synchronised);
        assert!((workers.mean(rank as f64) - 1.0).abs() < 1e-12);
    });
}

// Fault: outer state that stays apart.
#[test]
fn what_an_adapter_rounds_otherwise_is_mended() {
    on_ranks(3, "several::what_an_adapter_rounds_otherwise_is_mended", |world| {
        let (gpu, rank) = (gpu(), world.rank() as usize);
        let builder = Optimizer::builder(Adam::new(0.05)).lookahead(Lookahead::new(2, 0.5));
        let mut optimizer = build(&gpu, builder.outer(Nesterov { momentum: 0.9 }));
        let mut workers = Workers::builder(world).build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
        for at in 0..6 {
            if rank == 2 && at == 3 {
                // As another adapter would have rounded it.
                let slice = optimizer.slow_weights("a").unwrap();
                let near = f32::from_bits(read(&optimizer, Field::SlowWeights)[0][5].to_bits() + 3);
                gpu.queue.write_buffer(&slice.buffer, slice.offset + 20, &near.to_le_bytes());
            }
            let Some(report) = step(&gpu, &mut workers, &mut optimizer, &scripted(rank, at)) else {
                continue;
            };
            assert_eq!(report.mended, if at == 3 { vec![2] } else { vec![] }, "step {at}");
            assert_eq!(read(&optimizer, Field::Weights), read(&optimizer, Field::SlowWeights));
            workers.check(&optimizer).unwrap();
        }
        let momentum = read(&optimizer, Field::Outer("momentum_buffer"));
        let sum: f64 = momentum.iter().flatten().map(|value| f64::from(value.to_bits())).sum();
        assert_eq!(workers.mean(sum), sum, "momentum differs");
    });
}

#[test]
fn other_bits_on_one_rank_are_found() {
    on_ranks(3, "several::other_bits_on_one_rank_are_found", |world| {
        let (gpu, rank) = (gpu(), world.rank() as usize);
        let mut optimizer = build(&gpu, Optimizer::builder(Sgd::new(0.1)).lookahead(Lookahead::new(2, 0.5)));
        let workers = Workers::builder(world).wire(Wire::F32);
        let mut workers = workers.build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
        step(&gpu, &mut workers, &mut optimizer, &scripted(rank, 0));
        workers.check(&optimizer).unwrap();
        if rank == 2 {
            let slice = optimizer.slow_weights("a").unwrap();
            gpu.queue.write_buffer(&slice.buffer, slice.offset + 8, &1e-3f32.to_le_bytes());
        }
        for problem in [workers.check(&optimizer).unwrap_err(), workers.round(&mut optimizer).unwrap_err()] {
            assert!(matches!(problem, Error::Diverged { rank: 2, .. }), "{problem}");
        }
    });
}
