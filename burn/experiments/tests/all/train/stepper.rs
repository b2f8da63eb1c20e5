//! The optimizer by way of the host steps as Burn's own does within `Lookahead`.

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use experiments::run::method::{Inner, Method};
use experiments::run::record::Pace;
use experiments::train::{Place, Stepper};
use lookahead_burn::Lookahead;

#[derive(Module, Debug)]
struct Network {
    first: Linear,
    second: Linear,
}

impl Network {
    fn new(device: &Device) -> Self {
        device.seed(3);
        Self { first: LinearConfig::new(5, 70).init(device), second: LinearConfig::new(70, 1).init(device) }
    }

    fn gradients(&self, step: usize) -> GradientsParams {
        let numbers: Vec<f32> = (0..40).map(|at| ((at * 7 + step * 3) as f32).sin()).collect();
        let inputs = Tensor::<2>::from_data(TensorData::new(numbers, [8, 5]), &self.first.weight.device());
        let targets = inputs.clone().sum_dim(1);
        let outputs = self.second.forward(relu(self.first.forward(inputs)));
        GradientsParams::from_grads((outputs - targets).square().mean().backward(), self)
    }
}

#[derive(Default)]
struct Values(Vec<f32>);

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.extend(param.val().into_data().iter::<f32>());
    }
}

fn values(network: &Network) -> Vec<f32> {
    let mut values = Values::default();
    network.visit(&mut values);
    values.0
}

#[test]
fn weights_and_slow_weights_are_burns() {
    let device = Device::flex().autodiff();
    let mut ours = Network::new(&device);
    let mut theirs = ours.clone();
    let method = Method::new(Inner::Adam { beta2: 0.999, eps: 1e-8 }, 0.01).lookahead(5, 0.5);
    let place = Place::cpu(None).expect("an adapter");
    let mut stepper =
        Stepper::new(method.builder(Pace::Constant.schedule(1)), &ours, place).expect("an optimizer");
    let inner = AdamConfig::new().with_epsilon(1e-8).build();
    let mut burn: ModuleOptimizer = Lookahead::new(inner, 5, 0.5).expect("settings").into();
    for step in 0..63 {
        let (gradients, other) = (ours.gradients(step), theirs.gradients(step));
        ours = stepper.step(ours, gradients).expect("a step");
        theirs = burn.step(0.01, theirs, other);
    }
    let close = |ours: Vec<f32>, theirs: Vec<f32>| {
        let worst = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(ours.len() == 491 && worst < 2e-5, "{worst:e}");
    };
    close(values(&ours), values(&theirs));
    let slow = stepper.slow(&ours).expect("slow weights");
    close(values(&slow), values(&lookahead_burn::slow(&theirs, &burn)));
}
