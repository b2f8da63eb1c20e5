//! Training that is saved and resumed.

use burn::{
    optim::{AdamConfig, ModuleOptimizer, Optimizer, RmsPropConfig, SgdConfig, momentum::MomentumConfig},
    tensor::Device,
};
use lookahead_burn::{Lookahead, StatePolicy};

use crate::{
    devices::on_devices,
    network::{Network, RATE},
};

const STEPS: usize = 12;

fn bits(network: &Network) -> Vec<u32> {
    network.values().into_iter().map(f32::to_bits).collect()
}

/// Saved and loaded after every step, the rest of the training has the same bits.
fn check<O: Optimizer>(device: &Device, inner: O, policy: StatePolicy) {
    let optimizer = || ModuleOptimizer::from(Lookahead::new(inner.clone(), 5, 0.5).unwrap().policy(policy));
    let train = |(network, mut optimizer): (Network, ModuleOptimizer), steps: std::ops::Range<usize>| {
        let step = |network: Network, step| optimizer.step(RATE, network.clone(), network.gradients(step));
        let network = steps.fold(network, step);
        (network, optimizer)
    };
    let start = Network::new(device);
    let (expected, expected_optimizer) = train((start.clone(), optimizer()), 0..STEPS);
    let expected_slow = lookahead_burn::slow(&expected, &expected_optimizer);
    let mut before = (start, optimizer());
    for step in 1..STEPS {
        before = train(before, step - 1..step);
        let bytes = before.1.into_bytes().unwrap();
        let resumed = optimizer().from_bytes(bytes).unwrap();
        let (found, found_optimizer) = train((before.0.clone(), resumed), step..STEPS);
        assert_eq!(bits(&found), bits(&expected), "{policy:?}, from step {step} on, {device:?}");
        let found = lookahead_burn::slow(&found, &found_optimizer);
        assert_eq!(bits(&found), bits(&expected_slow), "slow weights, {policy:?}, from step {step} on");
    }
}

#[test]
fn resumed_after_any_step_training_goes_on_bit_for_bit() {
    on_devices(|device| {
        for policy in StatePolicy::ALL {
            check(device, AdamConfig::new().build(), policy);
        }
        // A state without tensors, and one that is interpolated by way of the host.
        let momentum = SgdConfig::new().with_momentum(Some(MomentumConfig::new()));
        check(device, SgdConfig::new().build(), StatePolicy::Interpolate);
        check(device, momentum.build(), StatePolicy::Interpolate);
        check(device, RmsPropConfig::new().build(), StatePolicy::Interpolate);
    });
}

#[test]
fn a_record_goes_through_a_file() {
    let device = Device::flex().autodiff();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("optimizer.bpk");
    let mut optimizer = crate::network::lookahead(5, 0.5);
    let network = (0..7).fold(Network::new(&device), |network, step| {
        optimizer.step(RATE, network.clone(), network.gradients(step))
    });
    optimizer.save(&path).unwrap();
    let mut resumed = crate::network::lookahead(5, 0.5).load(&path).unwrap();
    let expected = (7..STEPS).fold(network.clone(), |network, step| {
        optimizer.step(RATE, network.clone(), network.gradients(step))
    });
    let found = (7..STEPS)
        .fold(network, |network, step| resumed.step(RATE, network.clone(), network.gradients(step)));
    assert_eq!(bits(&found), bits(&expected));
}

/// The record of another optimizer has no slow weights: training begins anew, as between any two of Burn's optimizers.
#[test]
fn a_record_of_another_optimizer_is_passed_over() {
    let device = Device::flex().autodiff();
    let mut adam = AdamConfig::new().init();
    let network = Network::new(&device);
    let network = adam.step(RATE, network.clone(), network.gradients(0));
    let mut loaded = crate::network::lookahead(2, 0.5).load_record(adam.to_record());
    let mut fresh = crate::network::lookahead(2, 0.5);
    let gradients = || network.gradients(1);
    let found = loaded.step(RATE, network.clone(), gradients());
    let expected = fresh.step(RATE, network.clone(), gradients());
    assert_eq!(bits(&found), bits(&expected));
}
