//! Reptile (Nichol, Achiam, Schulman 2018): workers with a task each are one worker that has these tasks one after the other
//! in a round, since both take the outer step on the mean of what the tasks have come to.

use lookahead_mpi::{Workers, mpi::traits::Communicator};
use lookahead_wgpu::{
    Builder, Field, Lookahead, Optimizer, Rule, StatePolicy,
    gpu::Gpu,
    outer::Nesterov,
    rules::{Adam, Sgd},
};
use serde::Deserialize;

use crate::{
    launch::on_ranks,
    model::{
        build, encoder, first_weights, gpu, largest_difference, plain_step, read, scripted, step, widened,
    },
};

/// Tasks of a round.
const TASKS: u64 = 4;
/// Steps of a task.
const STEPS: u32 = 3;

/// The gradient of a task's quadratic, `c |w - target|^2 / 2`, whose target is no other task's.
fn gradient(task: u64, weights: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let (target, curvature) = (scripted(task as usize, 55), 0.5 + 0.25 * (task % TASKS) as f32);
    let pairs = weights.iter().zip(&target);
    pairs.map(|(w, t)| w.iter().zip(t).map(|(w, t)| curvature * (w - t)).collect()).collect()
}

fn with_outer(builder: Builder, momentum: Option<f64>) -> Builder {
    match momentum {
        Some(momentum) => builder.outer(Nesterov { momentum }),
        None => builder,
    }
}

/// Those of the file of trajectories.
fn rule(name: &str) -> Box<dyn Rule> {
    match name {
        "sgd" => Box::new(Sgd::new(0.1)),
        "momentum" => Box::new(Sgd::new(0.1).momentum(0.9)),
        "adam" => Box::new(Adam::new(0.05)),
        other => panic!("{other}"),
    }
}

/// Rules whose state, if any, no other task finds.
const RULES: [(&str, StatePolicy); 3] =
    [("sgd", StatePolicy::Maintain), ("momentum", StatePolicy::Reset), ("adam", StatePolicy::Reset)];

// Faults: a sum instead of a mean, fast weights that go on from their own task's, a state or a count of steps that the next
// task finds.
#[test]
fn a_task_each_is_a_round_of_tasks() {
    on_ranks(TASKS as usize, "tasks::a_task_each_is_a_round_of_tasks", |world| {
        let (gpu, rank) = (gpu(), world.rank() as u64);
        for momentum in [None, Some(0.7)] {
            for (name, policy) in RULES {
                let lookahead = Lookahead::new(STEPS, 0.5).policy(policy);
                let builder = |lookahead| {
                    build(&gpu, with_outer(Optimizer::builder(rule(name)).lookahead(lookahead), momentum))
                };
                let mut plain = builder(lookahead.tasks(TASKS as u32));
                let mut optimizer = builder(lookahead);
                let workers = Workers::builder(world.duplicate());
                let mut workers = workers.build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
                for round in 0..6 {
                    let tasks = round * TASKS..(round + 1) * TASKS;
                    for at in 0..STEPS {
                        let gradients = gradient(tasks.start + rank, &read(&optimizer, Field::Weights));
                        let report = step(&gpu, &mut workers, &mut optimizer, &gradients);
                        assert_eq!(report.is_some(), at == STEPS - 1);
                    }
                    for task in tasks {
                        for _ in 0..STEPS {
                            let gradients = gradient(task, &read(&plain, Field::Weights));
                            plain_step(&gpu, &mut plain, &gradients);
                        }
                    }
                    for field in [Field::Weights, Field::SlowWeights] {
                        let expected = widened(&read(&plain, field));
                        let error = largest_difference(&read(&optimizer, field), &expected);
                        assert!(
                            error < 1e-6,
                            "{name}, {momentum:?}, round {round}: {field} off by {error:e}"
                        );
                    }
                }
                let moved = largest_difference(&first_weights(), &widened(&read(&plain, Field::Weights)));
                assert!(moved > 0.1, "nothing has moved");
            }
        }
    });
}

#[derive(Deserialize)]
struct File {
    x0: Vec<f32>,
    gradients: Vec<Vec<f32>>,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    rule: String,
    tasks: usize,
    k: usize,
    alpha: f64,
    policy: StatePolicy,
    nesterov: Option<f64>,
    x: Vec<Vec<f64>>,
}

impl Run {
    /// Whether no task finds the state of the one before, which is another worker's.
    fn is_of_workers(&self, ranks: usize) -> bool {
        self.tasks == ranks && (self.rule == "sgd" || self.policy == StatePolicy::Reset)
    }

    fn optimizer(&self, gpu: &Gpu, x0: &[f32]) -> Optimizer {
        let lookahead = Lookahead::new(self.k as u32, self.alpha).policy(self.policy);
        let builder = with_outer(Optimizer::builder(rule(&self.rule)).lookahead(lookahead), self.nesterov);
        let builder = builder.tensor("x", &[x0.len()]).pipelines(&gpu.pipelines);
        let mut optimizer = builder.build_blocking(&gpu.device, &gpu.queue).unwrap();
        optimizer.upload("x", x0).unwrap();
        optimizer
    }

    /// Fails where the weights are not those after a step.
    fn compare(&self, optimizer: &Optimizer, at: usize) {
        let size = self.x[at].iter().fold(1.0, |size: f64, x| size.max(x.abs()));
        let error = largest_difference(&read(optimizer, Field::Weights), &[self.x[at].clone()]) / size;
        let Self { rule, tasks, policy, nesterov, .. } = self;
        assert!(
            error < 1e-6,
            "{tasks} tasks of {rule}, {policy:?}, {nesterov:?}, step {at}: off by {error:e}"
        );
    }
}

// Faults: those above, in what both share.
#[test]
fn trajectories_agree_with_the_published_algorithm() {
    for ranks in [2, 3] {
        on_ranks(ranks, "tasks::trajectories_agree_with_the_published_algorithm", |world| {
            let (gpu, rank, ranks) = (gpu(), world.rank() as usize, world.size() as usize);
            let File { x0, gradients, runs } =
                serde_json::from_str(include_str!("../../../tests/golden/reptile.json")).unwrap();
            let runs: Vec<_> = runs.into_iter().filter(|run| run.is_of_workers(ranks)).collect();
            assert_eq!(runs.len(), 8);
            for run in runs {
                let mut optimizer = run.optimizer(&gpu, &x0);
                let workers = Workers::builder(world.duplicate());
                let mut workers = workers.build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
                let steps = ranks * run.k;
                // What is left of the gradients is no round.
                for round in gradients.chunks_exact(steps).zip(0..).map(|(_, round)| round * steps) {
                    for at in (round + rank * run.k..).take(run.k) {
                        let slice = optimizer.gradients("x").unwrap();
                        let values = bytemuck::cast_slice(&gradients[at]);
                        gpu.queue.write_buffer(&slice.buffer, slice.offset, values);
                        let report = workers.step(&mut optimizer, encoder(&gpu)).unwrap();
                        run.compare(&optimizer, if report.is_some() { round + steps - 1 } else { at });
                    }
                }
                assert_eq!(workers.rounds(), 4);
            }
        });
    }
}
