//! The host's half of the schedule: which step of which cycle each group is at. On wgpu's noop backend, so
//! that thousands of steps take no time.

use lookahead_wgpu::{
    Builder, Group, Lookahead, Optimizer, Schedule, StatePolicy,
    rules::{Adam, Sgd},
    wgpu::{CommandEncoder, Device, DeviceDescriptor, Queue},
};
use proptest::prelude::*;

struct Training {
    device: Device,
    queue: Queue,
    optimizer: Optimizer,
}

impl Training {
    fn new(builder: Builder) -> Self {
        let (device, queue) = Device::noop(&DeviceDescriptor::default());
        let optimizer = builder.build_blocking(&device, &queue).unwrap();
        Self { device, queue, optimizer }
    }

    fn record<T>(&mut self, record: impl FnOnce(&mut Optimizer, &mut CommandEncoder) -> T) -> T {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let result = record(&mut self.optimizer, &mut encoder);
        self.queue.submit([encoder.finish()]);
        result
    }

    fn steps(&mut self, count: u64) {
        self.record(|optimizer, encoder| (0..count).for_each(|_| optimizer.step(encoder).unwrap()));
    }

    /// The position and step count of a group.
    fn at(&self, group: &str) -> (u32, u64) {
        (self.optimizer.position(group).unwrap(), self.optimizer.step_count(group).unwrap())
    }
}

fn adam(lookahead: Lookahead) -> Builder {
    Optimizer::builder(Adam::default()).lookahead(lookahead).tensor("w", &[3])
}

#[test]
fn a_cycle_is_k_steps_long() {
    for k in [1, 2, 5, 7] {
        for policy in [StatePolicy::Maintain, StatePolicy::Interpolate, StatePolicy::Reset] {
            let mut training = Training::new(adam(Lookahead::new(k, 0.5).policy(policy)));
            assert_eq!((training.optimizer.steps(), training.at("default")), (0, (0, 0)));
            for step in 1..=3 * u64::from(k) {
                training.steps(1);
                let position = (step % u64::from(k)) as u32;
                let count = if policy == StatePolicy::Reset { u64::from(position) } else { step };
                assert_eq!(training.optimizer.steps(), step);
                assert_eq!(training.at("default"), (position, count), "k = {k}, {policy:?}");
            }
        }
    }
}

#[test]
fn the_rule_alone_has_no_cycle() {
    let mut training = Training::new(Optimizer::builder(Sgd::new(0.1)).tensor("w", &[3]));
    training.steps(4);
    assert_eq!((training.optimizer.steps(), training.at("default")), (4, (0, 4)));
}

#[test]
fn groups_have_cycles_of_their_own() {
    let reset = Lookahead::new(5, 0.5).policy(StatePolicy::Reset);
    let builder = adam(reset).group(Group::new("head").k(3)).tensor_in("head", "v", &[2]);
    let mut training = Training::new(builder);
    training.steps(7);
    assert_eq!((training.at("default"), training.at("head")), ((2, 2), (1, 1)));
    let names: Vec<_> = training.optimizer.groups().collect();
    assert_eq!(names, ["default", "head"]);
}

#[test]
fn frozen_groups_take_no_steps_and_rest_after_their_cycle() {
    let builder = adam(Lookahead::new(3, 0.5)).group(Group::new("head").frozen());
    let mut training = Training::new(builder.tensor_in("head", "v", &[2]));
    training.steps(2);
    assert_eq!((training.at("default"), training.at("head")), ((2, 2), (0, 0)));
    training.optimizer.set_frozen("head", false).unwrap();
    training.optimizer.set_frozen("default", true).unwrap();
    training.steps(3);
    assert_eq!((training.at("default"), training.at("head")), ((0, 2), (0, 3)));
    assert_eq!(training.optimizer.steps(), 5);
}

#[test]
fn a_new_k_starts_with_the_next_cycle() {
    let mut training = Training::new(adam(Lookahead::new(2, 0.5)));
    training.steps(4);
    training.optimizer.set_k("default", 3).unwrap();
    let positions: Vec<_> = (0..7)
        .map(|_| {
            training.steps(1);
            training.at("default").0
        })
        .collect();
    assert_eq!(positions, [1, 2, 0, 1, 2, 0, 1]);
    assert_eq!(training.at("default").1, 11);
}

#[test]
fn a_sync_between_steps_begins_a_cycle() {
    for (policy, count) in [(StatePolicy::Maintain, 4), (StatePolicy::Reset, 0)] {
        let mut training = Training::new(adam(Lookahead::new(10, 0.5).policy(policy)));
        training.steps(4);
        training.record(|optimizer, encoder| optimizer.sync_now(encoder)).unwrap();
        assert_eq!((training.optimizer.steps(), training.at("default")), (4, (0, count)));
        training.optimizer.set_k("default", 2).unwrap();
        training.steps(3);
        let expected = if policy == StatePolicy::Reset { 1 } else { 7 };
        assert_eq!((training.optimizer.steps(), training.at("default")), (7, (1, expected)));
    }
}

#[test]
fn a_reseed_begins_a_cycle_and_keeps_the_state() {
    let mut training = Training::new(adam(Lookahead::new(5, 0.5).policy(StatePolicy::Reset)));
    training.steps(3);
    training.record(|optimizer, encoder| optimizer.init_synced(encoder)).unwrap();
    assert_eq!((training.optimizer.steps(), training.at("default")), (3, (0, 3)));
    training.steps(4);
    assert_eq!(training.at("default"), (4, 7));
    training.steps(1);
    assert_eq!(training.at("default"), (0, 0));
}

#[test]
fn exchanging_weights_moves_no_counter() {
    let mut training = Training::new(adam(Lookahead::new(5, 0.5)));
    training.steps(3);
    for _ in 0..2 {
        training.record(|optimizer, encoder| optimizer.swap_slow(encoder)).unwrap();
        assert_eq!((training.optimizer.steps(), training.at("default")), (3, (3, 3)));
    }
}

#[test]
fn the_learning_rate_is_that_of_the_next_step() {
    let builder = adam(Lookahead::new(5, 0.5))
        .group(Group::new("head").learning_rate_factor(10.0).rule(Sgd::new(0.5)))
        .tensor_in("head", "v", &[2])
        .schedule(Schedule::steps([(2, 0.1)]));
    let mut training = Training::new(builder);
    let rates = |training: &Training| {
        ["default", "head"].map(|group| training.optimizer.learning_rate(group).unwrap())
    };
    assert_eq!(rates(&training), [1e-3, 5.0]);
    training.steps(2);
    assert_eq!(rates(&training), [1e-3 * 0.1, 5.0 * 0.1]);
    training.optimizer.set_learning_rate("default", 0.2).unwrap();
    training.optimizer.set_learning_rate_factor("head", 0.0).unwrap();
    assert_eq!(rates(&training), [0.2 * 0.1, 0.0]);
    training.steps(1);
    assert_eq!(training.optimizer.steps(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Where encoders begin and end moves no counter: any split of the steps into submits is as good.
    #[test]
    fn submits_of_any_size_count_alike(
        k in 1u32..9,
        reset in any::<bool>(),
        submits in prop::collection::vec(0u64..700, 1..6),
    ) {
        let policy = if reset { StatePolicy::Reset } else { StatePolicy::Maintain };
        let mut training = Training::new(adam(Lookahead::new(k, 0.5).policy(policy)));
        for &count in &submits {
            training.steps(count);
        }
        let steps: u64 = submits.iter().sum();
        let position = steps % u64::from(k);
        let count = if reset { position } else { steps };
        prop_assert_eq!(training.optimizer.steps(), steps);
        prop_assert_eq!(training.at("default"), (position as u32, count));
    }
}
