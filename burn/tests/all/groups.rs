//! Parameter groups, each with an optimizer of its own.

use burn::{
    module::ParamGroup,
    nn::Linear,
    optim::{AdamConfig, ModuleOptimizer, SgdConfig},
    tensor::{Device, Tolerance},
};
use lookahead_burn::Lookahead;

use crate::{
    devices::on_devices,
    network::{Network, RATE, lookahead},
};

/// The network and a copy of this optimizer, after so many steps.
fn train(device: &Device, optimizer: &ModuleOptimizer, steps: usize) -> (Network, ModuleOptimizer) {
    let mut optimizer = optimizer.clone();
    let network = (0..steps).fold(Network::new(device), |network, step| {
        optimizer.step(RATE, network.clone(), network.gradients(step))
    });
    (network, optimizer)
}

#[test]
fn a_group_with_lookahead_beside_one_without() {
    on_devices(|device| {
        let sgd = || SgdConfig::new().build();
        let group = || ParamGroup::from_predicate("second");
        let around = |alpha| Lookahead::new(sgd(), 3, alpha).unwrap();
        let grouped = SgdConfig::new().init().with_group(group(), around(0.5), None);
        let (network, mut optimizer) = train(device, &grouped, 4);

        // One step after the sync: fast and slow weights differ in the group, and nowhere else.
        let slow = lookahead_burn::slow(&network, &optimizer);
        let weights = |network: &Network| {
            (network.first.weight.val().into_data(), network.second.weight.val().into_data())
        };
        assert_eq!(weights(&slow).0, weights(&network).0);
        assert_ne!(weights(&slow).1, weights(&network).1);

        // A sync ahead of time moves the group, and nothing else.
        let synced = lookahead_burn::sync(network.clone(), &mut optimizer);
        assert_eq!(weights(&synced).0, weights(&network).0);
        let middle = slow.second.weight.val() * 0.5 + network.second.weight.val() * 0.5;
        middle.into_data().assert_approx_eq::<f32>(&weights(&synced).1, Tolerance::absolute(1e-6));
        assert_eq!(weights(&lookahead_burn::slow(&synced, &optimizer)), weights(&synced));

        // The other group took no step by that.
        let expected = SgdConfig::new().init().step(RATE, synced.clone(), synced.gradients(4));
        let found = optimizer.step(RATE, synced.clone(), synced.gradients(4));
        assert_eq!(weights(&found).0, weights(&expected).0);
    });
}

#[test]
fn groups_of_other_k_sync_at_their_own_steps() {
    on_devices(|device| {
        let group = || ParamGroup::from_predicate("second");
        let adam = || AdamConfig::new().build();
        let grouped = lookahead(2, 0.5).with_group(group(), Lookahead::new(adam(), 3, 0.25).unwrap(), None);
        let is_synced = |steps| {
            let (network, optimizer) = train(device, &grouped, steps);
            let slow = lookahead_burn::slow(&network, &optimizer);
            let same = |a: &Linear, b: &Linear| a.weight.val().into_data() == b.weight.val().into_data();
            (same(&slow.first, &network.first), same(&slow.second, &network.second))
        };
        let found = [1, 2, 3, 4, 5, 6].map(is_synced);
        assert_eq!(
            found,
            [(false, false), (true, false), (false, true), (true, false), (false, false), (true, true)]
        );
    });
}
