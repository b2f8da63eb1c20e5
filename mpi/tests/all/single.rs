//! One worker is Lookahead on one machine, bit for bit.

use lookahead_mpi::{Mode, NEVER, Packing, Wire, Workers};
use lookahead_wgpu::{
    DEFAULT_GROUP, Guard, Lookahead, Optimizer, Schedule, StatePolicy,
    outer::{HeavyBall, Interpolation, Nesterov, Settings, SlowMo},
    rules::{Adam, RmsProp},
};

use crate::{
    launch::on_ranks,
    model::{bits, build, gpu, plain_step, scripted, step},
};

const OUTER: [Settings; 4] =
    [Settings::Interpolation, Settings::HeavyBall(0.6), Settings::Nesterov(0.9), Settings::SlowMo(0.7)];

fn with_outer(builder: lookahead_wgpu::Builder, outer: Settings) -> lookahead_wgpu::Builder {
    match outer {
        Settings::HeavyBall(momentum) => builder.outer(HeavyBall { momentum }),
        Settings::Nesterov(momentum) => builder.outer(Nesterov { momentum }),
        Settings::SlowMo(momentum) => builder.outer(SlowMo { momentum }),
        _ => builder.outer(Interpolation),
    }
}

// Faults: the outer step at the next step's learning rate, a sync too many or too few, a mean that rounds.
#[test]
fn one_worker_is_lookahead_with_every_outer_step_and_policy() {
    on_ranks(1, "single::one_worker_is_lookahead_with_every_outer_step_and_policy", |world| {
        let gpu = gpu();
        for (number, outer) in OUTER.into_iter().enumerate() {
            for policy in StatePolicy::ALL {
                let builder = |k| {
                    let builder = Optimizer::builder(Adam::new(0.05))
                        .lookahead(Lookahead::new(k, 0.5).policy(policy))
                        .schedule(Schedule::custom(|step| 0.9f64.powi(step as i32)));
                    // With a reset a guard allows no long period.
                    let is_guarded = number % 2 == 1 && !policy.resets();
                    let builder = if is_guarded { builder.guard(Guard::default()) } else { builder };
                    build(&gpu, with_outer(builder, outer))
                };
                let (mut plain, mut optimizer) = (builder(3), builder(NEVER));
                let packing = if number < 2 { Packing::Host } else { Packing::Device };
                let workers = Workers::builder(lookahead_mpi::mpi::traits::Communicator::duplicate(&world));
                let workers = workers.period(3).packing(packing);
                let mut workers = workers.build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
                assert_eq!(workers.packing(), packing);
                for at in 0..9 {
                    plain_step(&gpu, &mut plain, &scripted(0, at));
                    let report = step(&gpu, &mut workers, &mut optimizer, &scripted(0, at));
                    assert_eq!(report.is_some(), at % 3 == 2);
                    assert_eq!(report.map_or(0, |report| report.bytes), 0, "to nobody");
                }
                assert_eq!(bits(&optimizer), bits(&plain), "{outer:?}, {policy:?}");
                assert_eq!(workers.rounds(), 3);
            }
        }
    });
}

#[test]
fn the_period_is_the_optimizers_k_where_none_is_given() {
    on_ranks(1, "single::the_period_is_the_optimizers_k_where_none_is_given", |world| {
        let gpu = gpu();
        let builder = || Optimizer::builder(RmsProp::new(0.01)).lookahead(Lookahead::new(4, 0.5));
        let (mut plain, mut optimizer) = (build(&gpu, builder()), build(&gpu, builder()));
        let mut workers = Workers::builder(world).build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
        assert_eq!(workers.period(), 4);
        assert_eq!(optimizer.lookahead(DEFAULT_GROUP).unwrap().unwrap().k, NEVER);
        for at in 0..10 {
            plain_step(&gpu, &mut plain, &scripted(0, at));
            step(&gpu, &mut workers, &mut optimizer, &scripted(0, at));
        }
        assert_eq!(bits(&optimizer), bits(&plain), "in mid-cycle");
        // At the end of training.
        let mut encoder = crate::model::encoder(&gpu);
        plain.sync_now(&mut encoder).unwrap();
        gpu.queue.submit([encoder.finish()]);
        workers.round(&mut optimizer).unwrap();
        assert_eq!(bits(&optimizer), bits(&plain));
    });
}

#[test]
fn one_worker_that_exchanges_gradients_is_plain_training() {
    on_ranks(1, "single::one_worker_that_exchanges_gradients_is_plain_training", |world| {
        let gpu = gpu();
        let builder = || Optimizer::builder(Adam::new(0.01)).lookahead(Lookahead::new(3, 0.5));
        let (mut plain, mut optimizer) = (build(&gpu, builder()), build(&gpu, builder()));
        let workers = Workers::builder(world).mode(Mode::Gradients).wire(Wire::F32);
        let mut workers = workers.build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
        for at in 0..7 {
            plain_step(&gpu, &mut plain, &scripted(0, at));
            let report = step(&gpu, &mut workers, &mut optimizer, &scripted(0, at)).unwrap();
            assert_eq!((report.round, report.steps), (at + 1, at + 1));
        }
        assert_eq!(bits(&optimizer), bits(&plain));
    });
}
