//! Slow weights for evaluation.

use burn::{
    module::Module,
    optim::{AdamConfig, ModuleOptimizer},
    tensor::Device,
};

use crate::{
    devices::on_devices,
    network::{Network, RATE, lookahead},
};

fn after(device: &Device, optimizer: &mut ModuleOptimizer, steps: usize) -> Network {
    (0..steps).fold(Network::new(device), |network, step| {
        optimizer.step(RATE, network.clone(), network.gradients(step))
    })
}

#[test]
fn asking_for_slow_weights_changes_nothing() {
    on_devices(|device| {
        let mut asked = lookahead(5, 0.5);
        let mut network = Network::new(device);
        for step in 0..7 {
            let before = network.values();
            let slow = lookahead_burn::slow(&network, &asked);
            assert_eq!(network.values(), before);
            if step % 5 == 0 {
                assert_eq!(slow.values(), before, "at a sync, and before the first step");
            }
            network = asked.step(RATE, network.clone(), network.gradients(step));
        }
        assert_eq!(network.values(), after(device, &mut lookahead(5, 0.5), 7).values());
    });
}

#[test]
fn slow_weights_are_as_trainable_as_the_module() {
    on_devices(|device| {
        let mut optimizer = lookahead(5, 0.5);
        let network = after(device, &mut optimizer, 3);
        let slow = lookahead_burn::slow(&network, &optimizer);
        assert!(slow.first.weight.val().is_require_grad());
        let valid = lookahead_burn::slow(&network.valid(), &optimizer);
        assert!(!valid.first.weight.val().is_autodiff());
        assert_eq!(valid.values(), slow.values());
    });
}

#[test]
fn a_sync_starts_a_new_cycle() {
    on_devices(|device| {
        let mut optimizer = lookahead(5, 0.5);
        let network = after(device, &mut optimizer, 3);
        let mut network = lookahead_burn::sync(network, &mut optimizer);
        for step in 3..8 {
            let slow = lookahead_burn::slow(&network, &optimizer);
            assert_eq!(slow.values() == network.values(), step == 3, "before step {step}");
            network = optimizer.step(RATE, network.clone(), network.gradients(step));
        }
        assert_eq!(lookahead_burn::slow(&network, &optimizer).values(), network.values());
    });
}

#[test]
fn other_optimizers_are_left_alone() {
    on_devices(|device| {
        let mut optimizer = AdamConfig::new().init();
        let network = after(device, &mut optimizer, 3);
        let before = network.values();
        assert_eq!(lookahead_burn::slow(&network, &optimizer).values(), before);
        let network = lookahead_burn::sync(network, &mut optimizer);
        assert_eq!(network.values(), before);
        let network = optimizer.step(RATE, network.clone(), network.gradients(3));
        assert_eq!(network.values(), after(device, &mut AdamConfig::new().init(), 4).values());
    });
}
