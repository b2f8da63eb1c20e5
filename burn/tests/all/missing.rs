//! Parameters that have no gradient in some steps.

use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use lookahead_burn::Lookahead;

use crate::{
    devices::on_devices,
    network::{Network, RATE},
};

#[test]
fn a_parameter_without_a_gradient_is_left_alone_and_its_cycle_waits() {
    on_devices(|device| {
        let mut optimizer = Lookahead::new(SgdConfig::new().build(), 2, 0.5).unwrap().into();
        let step = |optimizer: &mut ModuleOptimizer, network: Network, step: usize, with_first| {
            let all = network.gradients(step);
            let mut gradients = GradientsParams::new();
            let [first, second] = [&network.first, &network.second].map(|layer| layer.weight.id);
            if with_first {
                gradients.register(first, all.get::<2>(first).unwrap());
            }
            gradients.register(second, all.get::<2>(second).unwrap());
            optimizer.step(RATE, network, gradients)
        };
        let first = |network: &Network| network.first.weight.val().into_data();
        let network = step(&mut optimizer, Network::new(device), 0, true);
        let after_one = first(&network);
        let network = step(&mut optimizer, network, 1, false);
        assert_eq!(first(&network), after_one);
        let slow = lookahead_burn::slow(&network, &optimizer);
        assert_ne!(first(&slow), after_one, "half-way through its cycle");
        let second = |network: &Network| network.second.weight.val().into_data();
        assert_eq!(second(&slow), second(&network), "synchronised");
        let network = step(&mut optimizer, network, 2, true);
        assert_eq!(first(&lookahead_burn::slow(&network, &optimizer)), first(&network));
        // The biases have never had one.
        let bias = |network: &Network| network.first.bias.as_ref().unwrap().val().into_data();
        assert_eq!(bias(&network), bias(&Network::new(device)));
        assert_eq!(bias(&lookahead_burn::slow(&network, &optimizer)), bias(&network));
    });
}
