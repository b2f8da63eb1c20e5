//! Interpolation of the inner optimizer's state, on the device and by way of the host.

use burn::{
    optim::{
        AdaGradConfig, AdafactorConfig, AdamConfig, AdamWConfig, AdanConfig, GradientsParams, LambConfig,
        LearningRate, LionConfig, ModuleOptimizer, MuonConfig, Optimizer, RecordState, RmsPropConfig,
        SgdConfig, StateSink, StateSource, momentum::MomentumConfig,
    },
    tensor::{Device, Tensor},
};
use lookahead_burn::{Lookahead, StatePolicy};

use crate::network::{Network, RATE};

/// An optimizer with a state of a type that no one has seen, which has to go by way of the host.
#[derive(Clone)]
struct Unseen<O>(O);

#[derive(Clone)]
struct UnseenState<S>(S);

impl<S: RecordState> RecordState for UnseenState<S> {
    fn state_flatten(&self, prefix: &str, sink: &mut StateSink) {
        self.0.state_flatten(prefix, sink);
    }

    fn state_unflatten(prefix: &str, source: &mut StateSource, device: &Device) -> Option<Self> {
        S::state_unflatten(prefix, source, device).map(Self)
    }
}

impl<O: Optimizer> Optimizer for Unseen<O> {
    type State<const D: usize> = UnseenState<O::State<D>>;

    fn step<const D: usize>(
        &self,
        learning_rate: LearningRate,
        tensor: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        let (tensor, state) = self.0.step(learning_rate, tensor, gradient, state.map(|state| state.0));
        (tensor, state.map(UnseenState))
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        UnseenState(O::to_device(state.0, device))
    }
}

/// The matrices of the network, which are all that Muon takes, after some cycles.
fn train<O: Optimizer>(inner: O, policy: StatePolicy) -> Vec<f32> {
    let mut network = Network::new(&Device::flex().autodiff());
    let mut optimizer: ModuleOptimizer = Lookahead::new(inner, 3, 0.5).unwrap().policy(policy).into();
    for step in 0..10 {
        let all = network.gradients(step);
        let mut gradients = GradientsParams::new();
        for id in [network.first.weight.id, network.second.weight.id] {
            gradients.register(id, all.get::<2>(id).unwrap());
        }
        network = optimizer.step(RATE, network, gradients);
    }
    network.values()
}

fn check<O: Optimizer>(name: &str, inner: O) {
    let interpolated = train(inner.clone(), StatePolicy::Interpolate);
    let by_host = train(Unseen(inner.clone()), StatePolicy::Interpolate);
    let errors = interpolated.iter().zip(&by_host).map(|(found, expected)| (found - expected).abs());
    let worst = errors.fold(0.0, f32::max);
    assert!(worst < 1e-5, "{name}: {worst:e}");
    assert_ne!(interpolated, train(inner, StatePolicy::Maintain), "{name}: nothing was interpolated");
}

#[test]
fn states_are_interpolated_alike_on_the_device_and_by_way_of_the_host() {
    let momentum = MomentumConfig::new();
    check("SGD", SgdConfig::new().with_momentum(Some(momentum)).build());
    check("Adam", AdamConfig::new().build());
    check("AMSGrad", AdamConfig::new().with_amsgrad(true).build());
    check("AdamW", AdamWConfig::new().build());
    check("Adafactor", AdafactorConfig::new().build());
    check("Adan", AdanConfig::new().build());
    check("LAMB", LambConfig::new().build());
    check("Lion", LionConfig::new().build());
    check("Muon", MuonConfig::new().build());
    check("AdaGrad", AdaGradConfig::new().build());
    check("RMSprop", RmsPropConfig::new().with_centered(true).build());
}
