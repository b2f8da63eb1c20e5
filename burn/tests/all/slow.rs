//! Slow weights and averages as modules of Burn's: what the optimizer downloads, bit for bit.

use burn::{module::Module, tensor::Device};
use lookahead_burn::{
    ModuleLookahead,
    lookahead_wgpu::{Average, Builder, Field, Group},
};

use crate::{devices::gpu, models::Model, module::settings, network::Network};

const PATHS: [&str; 4] = ["first.weight", "first.bias", "second.weight", "second.bias"];

fn device() -> Device {
    gpu().0.clone().autodiff()
}

fn bits(values: &[Vec<f32>]) -> Vec<Vec<u32>> {
    values.iter().map(|values| values.iter().map(|value| value.to_bits()).collect()).collect()
}

/// Trains, and compares after every step and before the first. A module that was given once does not change.
fn check(settings: Builder, field: Field<'_>, frozen: bool) {
    let group_of = |path: &str| if path.starts_with("first") { "first" } else { "default" }.to_owned();
    let mut network = Network::new(&device());
    let mut optimizer =
        ModuleLookahead::in_groups(settings.group(Group::new("first")), &network, &gpu().1, group_of)
            .unwrap();
    optimizer.optimizer_mut().set_frozen("first", frozen).unwrap();
    let mut given = vec![];
    for step in 0..12 {
        let asked = match field {
            Field::Average => optimizer.average(&network).unwrap(),
            _ => optimizer.slow(&network).unwrap(),
        };
        // Noted down before the values are read, and after.
        let loss = asked.loss(step);
        let values = Model::values(&asked);
        let download = |path| optimizer.optimizer().download_blocking(field, path).unwrap();
        let expected = PATHS.map(download);
        assert_eq!(bits(&values), bits(&expected), "before step {step}");
        assert_eq!(loss.into_scalar::<f32>(), asked.loss(step).into_scalar::<f32>());
        assert!(asked.first.weight.val().is_require_grad());
        let valid = match field {
            Field::Average => optimizer.average(&network.valid()).unwrap(),
            _ => optimizer.slow(&network.valid()).unwrap(),
        };
        assert!(!valid.first.weight.val().is_autodiff());
        assert_eq!(bits(&Model::values(&valid)), bits(&values));
        drop(valid);
        given.push((asked, values));
        let gradients = Model::gradients(&network, step);
        network = optimizer.step(network, gradients).unwrap();
        // The modules that were given are no clones of this one.
        assert_eq!(optimizer.copied(), if step == 0 { 4 } else { 0 }, "in step {step}");
    }
    for (step, (asked, values)) in given.iter().enumerate() {
        assert_eq!(bits(&Model::values(asked)), bits(values), "given before step {step}");
    }
}

#[test]
fn slow_weights_are_those_that_are_downloaded() {
    check(settings(), Field::SlowWeights, false);
}

#[test]
fn slow_weights_of_a_group_that_is_frozen_are_its_weights() {
    check(settings(), Field::SlowWeights, true);
}

#[test]
fn slow_weights_in_bf16_go_by_way_of_the_host() {
    check(settings().slow_bf16(), Field::SlowWeights, false);
}

#[test]
fn averages_are_those_that_are_downloaded() {
    check(settings().average(Average::Ema { decay: 0.7 }), Field::Average, false);
}

/// Of a module that has another shape under the parameter's name, as no training makes it.
#[test]
fn another_shape_is_refused() {
    use burn::{module::Param, tensor::Tensor};

    let network = Network::new(&device());
    let mut optimizer = ModuleLookahead::new(settings(), &network, &gpu().1).unwrap();
    let gradients = Model::gradients(&network, 0);
    let mut network = optimizer.step(network, gradients).unwrap();
    network.first.weight =
        Param::initialized(network.first.weight.id, Tensor::ones([2, 2], &device()).require_grad());
    let error = optimizer.slow(&network).err().unwrap();
    assert!(error.to_string().contains("`first.weight` has another shape"), "{error}");
}
