//! Models: how many parameters, which shapes, and that gradients reach all of them.

mod beam;
mod block;
mod dropout;
mod lstm;
mod padded;
mod resnet;
mod smoothing;
mod transformer;

use crate::support::{is_statistic, values};
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Int, Tensor};

/// Tests train on the CPU.
fn device() -> Device {
    let device = Device::flex().autodiff();
    device.seed(7);
    device
}

fn uniform<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), device)
}

/// Numbers below `most`, without an order that a model could follow by accident.
fn words<const D: usize>(shape: [usize; D], most: usize, device: &Device) -> Tensor<D, Int> {
    let count: usize = shape.iter().product();
    let numbers: Vec<i64> = (0..count).map(|index| ((index * 7 + index / 3) % most) as i64).collect();
    Tensor::<1, Int>::from_data(numbers.as_slice(), device).reshape(shape)
}

/// How many numbers are trained.
fn trained<M: Module>(model: &M) -> usize {
    struct Visitor {
        path: Vec<String>,
        count: usize,
    }
    impl ModuleVisitor for Visitor {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            if !is_statistic(&self.path) {
                self.count += parameter.lazy_shape().num_elements();
            }
        }
    }
    let mut visitor = Visitor { path: Vec::new(), count: 0 };
    model.visit(&mut visitor);
    visitor.count
}

/// The paths of parameters whose gradient is missing, not finite, or zero everywhere.
fn unreached<M: Module>(model: &M, loss: &Tensor<1>) -> Vec<String> {
    struct Visitor {
        gradients: GradientsParams,
        path: Vec<String>,
        found: Vec<String>,
    }
    impl ModuleVisitor for Visitor {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            if is_statistic(&self.path) {
                return;
            }
            let gradient = self.gradients.get::<D>(parameter.id).map(values).unwrap_or_default();
            let is_reached = gradient.iter().all(|value| value.is_finite())
                && gradient.iter().any(|value| value.abs() > 1e-8);
            if !is_reached {
                self.found.push(self.path.join("."));
            }
        }
    }
    let gradients = GradientsParams::from_grads(loss.backward(), model);
    let mut visitor = Visitor { gradients, path: Vec::new(), found: Vec::new() };
    model.visit(&mut visitor);
    visitor.found
}
