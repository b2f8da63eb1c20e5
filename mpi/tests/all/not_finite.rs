//! A value that is not finite, on one rank.

use lookahead_mpi::{Mode, Outcome, Packing, Workers, mpi::traits::Communicator};
use lookahead_wgpu::{
    DEFAULT_GROUP, Field, Guard, Lookahead, LossScale, Optimizer,
    rules::{Adam, Sgd},
};

use crate::{
    launch::on_ranks,
    model::{build, gpu, read, scripted, step},
};

/// A rank's gradients, with one value of rank 1 that is not finite at this step.
fn gradients(rank: usize, at: u64, broken: std::ops::Range<u64>, value: f32) -> Vec<Vec<f32>> {
    let mut gradients = scripted(rank, at);
    if rank == 1 && broken.contains(&at) {
        gradients[1][200] = value;
    }
    gradients
}

// Faults: NaN in the mean; a rank whose moments stay NaN.
#[test]
fn a_round_with_it_is_given_up_by_all() {
    on_ranks(3, "not_finite::a_round_with_it_is_given_up_by_all", |world| {
        let (gpu, rank) = (gpu(), world.rank() as usize);
        for packing in [Packing::Host, Packing::Device] {
            let builder = Optimizer::builder(Adam::new(0.05)).lookahead(Lookahead::new(2, 0.5));
            let mut optimizer = build(&gpu, builder);
            let workers = Workers::builder(world.duplicate()).packing(packing);
            let mut workers = workers.build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
            let mut outcomes = Vec::new();
            let mut slow = vec![read(&optimizer, Field::SlowWeights)];
            for at in 0..8 {
                let gradients = gradients(rank, at, 2..3, f32::NAN);
                let Some(report) = step(&gpu, &mut workers, &mut optimizer, &gradients) else { continue };
                outcomes.push(report.outcome);
                slow.push(read(&optimizer, Field::SlowWeights));
                assert_eq!(read(&optimizer, Field::Weights), slow[slow.len() - 1]);
                let count = optimizer.step_count(DEFAULT_GROUP).unwrap();
                // Rank 1 begins its moments anew.
                assert_eq!(count, if rank == 1 && at >= 3 { at - 3 } else { at + 1 });
            }
            let discarded = Outcome::Discarded { ranks: vec![1] };
            let fine = Outcome::Synchronised;
            assert_eq!(outcomes, [fine.clone(), discarded, fine.clone(), fine]);
            assert_eq!(slow[1], slow[2]);
            assert!(slow[0] != slow[1] && slow[2] != slow[3] && slow[3] != slow[4]);
            let state = read(&optimizer, Field::State("exp_avg"));
            assert!(slow.iter().flatten().chain(&state).flatten().all(|value| value.is_finite()));
        }
    });
}

#[test]
fn a_step_with_it_is_taken_by_none() {
    on_ranks(2, "not_finite::a_step_with_it_is_taken_by_none", |world| {
        let (gpu, rank) = (gpu(), world.rank() as usize);
        for packing in [Packing::Host, Packing::Device] {
            let mut optimizer = build(&gpu, Optimizer::builder(Adam::new(0.05)));
            let workers = Workers::builder(world.duplicate()).mode(Mode::Gradients).packing(packing);
            let mut workers = workers.build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
            for at in 0..4 {
                let before = read(&optimizer, Field::Weights);
                let gradients = gradients(rank, at, 1..2, f32::INFINITY);
                let report = step(&gpu, &mut workers, &mut optimizer, &gradients).unwrap();
                let skipped = report.outcome == Outcome::Discarded { ranks: vec![1] };
                assert_eq!(skipped, at == 1);
                assert_eq!(read(&optimizer, Field::Weights) == before, at == 1);
            }
            assert_eq!(optimizer.steps(), 3);
            workers.check(&optimizer).unwrap();
        }
    });
}

#[test]
fn guards_of_all_ranks_skip_a_step_alike() {
    on_ranks(2, "not_finite::guards_of_all_ranks_skip_a_step_alike", |world| {
        let (gpu, rank) = (gpu(), world.rank() as usize);
        let scale = LossScale::default().initial(1024.0);
        let mut optimizer = build(&gpu, Optimizer::builder(Adam::new(0.05)).guard(Guard::loss_scale(scale)));
        let workers = Workers::builder(world).mode(Mode::Gradients);
        let mut workers = workers.build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
        for at in 0..4 {
            let gradients = gradients(rank, at, 1..2, f32::NAN);
            let report = step(&gpu, &mut workers, &mut optimizer, &gradients).unwrap();
            assert_eq!(report.outcome != Outcome::Synchronised, at == 1);
        }
        let counters = optimizer.counters_blocking().unwrap();
        assert_eq!((counters.steps, counters.skipped, counters.loss_scale), (3, 1, 512.0));
        workers.check(&optimizer).unwrap();
    });
}

// Fault: a round that begins at the number of steps that its rank had before a guard's was imported.
#[test]
fn rounds_end_together_after_one_that_was_given_up() {
    on_ranks(2, "not_finite::rounds_end_together_after_one_that_was_given_up", |world| {
        let (gpu, rank) = (gpu(), world.rank() as usize);
        let builder = Optimizer::builder(Sgd::new(10.0)).lookahead(Lookahead::new(3, 0.5));
        let mut optimizer = build(&gpu, builder.guard(Guard::default()));
        let mut workers = Workers::builder(world).build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
        let mut ends = Vec::new();
        for at in 0..9 {
            let mut gradients = scripted(rank, at);
            // A step that is skipped, and one after which a weight is infinite.
            gradients[0][0] =
                if rank == 1 { [f32::NAN, 3e38].get(at as usize).copied().unwrap_or(1.0) } else { 1.0 };
            ends.extend(
                step(&gpu, &mut workers, &mut optimizer, &gradients).map(|report| (at, report.outcome)),
            );
        }
        let fine = Outcome::Synchronised;
        assert_eq!(ends, [(2, Outcome::Discarded { ranks: vec![1] }), (5, fine.clone()), (8, fine)]);
        workers.check(&optimizer).unwrap();
    });
}

// Fault: a rank that has taken no step does not synchronise, and its slow weights are behind.
#[test]
fn a_round_whose_steps_a_guard_has_all_skipped_goes_on() {
    on_ranks(2, "not_finite::a_round_whose_steps_a_guard_has_all_skipped_goes_on", |world| {
        let (gpu, rank) = (gpu(), world.rank() as usize);
        let builder =
            Optimizer::builder(Adam::new(0.05)).lookahead(Lookahead::new(2, 0.5)).guard(Guard::default());
        let mut optimizer = build(&gpu, builder);
        let mut workers = Workers::builder(world).build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
        let mut outcomes = Vec::new();
        for at in 0..6 {
            let gradients = gradients(rank, at, 2..4, f32::NAN);
            outcomes
                .extend(step(&gpu, &mut workers, &mut optimizer, &gradients).map(|report| report.outcome));
        }
        let fine = Outcome::Synchronised;
        assert_eq!(outcomes, [fine.clone(), Outcome::Postponed { ranks: vec![1] }, fine]);
        assert_eq!(optimizer.counters_blocking().unwrap().steps, if rank == 1 { 4 } else { 6 });
        workers.check(&optimizer).unwrap();
    });
}
