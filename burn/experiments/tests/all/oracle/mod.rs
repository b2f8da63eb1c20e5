//! The models, trained with Lookahead, come to what PyTorch comes to: `oracle/make.py` says how it was made.

mod reference;

use burn::module::Module;
use burn::optim::{
    AdamConfig, GradientsParams, ModuleOptimizer, Optimizer, SgdConfig, momentum::MomentumConfig,
};
use burn::tensor::{Device, Tensor};
use experiments::models::block::{Kind, Shortcut};
use experiments::models::lstm::LanguageModelConfig;
use experiments::models::recurrent::State;
use experiments::models::resnet::{ResNetConfig, Stem};
use experiments::models::smoothing::cross_entropy;
use experiments::models::transformer::TransformerConfig;
use experiments::run::method::{Inner, Method};
use experiments::run::record::Pace;
use experiments::train::{Place, Stepper};
use lookahead_burn::Lookahead;
use reference::Reference;

/// As in `make.py`.
const K: u32 = 5;
const ALPHA: f64 = 0.5;
const BATCHES: usize = 4;
/// Of losses and weights, relative.
const TOLERANCE: f64 = 1e-4;

/// Trains from the initial weights on, and compares every loss, and the weights after the last step, which is a sync:
/// with Lookahead in Burn's tensor operations around `inner`, and with `method` by the kernels. `is_free` tells weights
/// that have no influence on the loss.
fn follows<M: Module>(
    reference: &Reference,
    make: impl Fn() -> M,
    inner: impl Optimizer,
    method: Method,
    is_free: impl Fn(&str) -> bool,
    mut loss: impl FnMut(&M, usize) -> Tensor<1>,
) {
    let mut burn: ModuleOptimizer = Lookahead::new(inner, K, ALPHA).expect("settings").into();
    let model = reference.load(make());
    let step = |model, gradients| burn.step(method.rate, model, gradients);
    trained(reference, model, step, &is_free, &mut loss);
    let model = reference.load(make());
    let builder = method.lookahead(K, ALPHA).builder(Pace::Constant.schedule(1));
    let mut ours =
        Stepper::new(builder, &model, Place::cpu(None).expect("an adapter")).expect("an optimizer");
    let step = |model, gradients| ours.step(model, gradients).expect("a step");
    trained(reference, model, step, &is_free, &mut loss);
}

fn trained<M: Module>(
    reference: &Reference,
    mut model: M,
    mut step: impl FnMut(M, GradientsParams) -> M,
    is_free: impl Fn(&str) -> bool,
    loss: &mut impl FnMut(&M, usize) -> Tensor<1>,
) {
    let mut worst = 0f64;
    for (index, expected) in reference.losses().iter().enumerate() {
        let loss = loss(&model, index);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = step(model, gradients);
        let found = loss.into_scalar::<f64>();
        worst = worst.max((found - expected).abs() / expected.abs());
    }
    let distances = reference.distances(&model).into_iter().filter(|(path, _)| !is_free(path));
    let (path, distance) = distances.max_by(|a, b| a.1.total_cmp(&b.1)).expect("weights");
    println!("losses {worst:.1e}, weights {distance:.1e} ({path})");
    assert!(worst < TOLERANCE, "a loss differs by {worst:e}");
    assert!(distance < TOLERANCE, "`{path}` differs by {distance:e}");
}

fn adam() -> impl Optimizer {
    AdamConfig::new().with_epsilon(1e-8).build()
}

fn method(rate: f64) -> Method {
    Method::new(Inner::Adam { beta2: 0.999, eps: 1e-8 }, rate)
}

fn device() -> Device {
    Device::flex().autodiff()
}

#[test]
fn a_residual_network_follows_pytorch() {
    let reference = Reference::new(include_bytes!("../../../oracle/convolution.safetensors"));
    let device = device();
    let config = ResNetConfig {
        channels: 3,
        stem: Stem::Cifar,
        kind: Kind::Basic,
        shortcut: Shortcut::Padded,
        width: 6,
        depths: vec![1, 1],
        classes: 5,
    };
    let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
    let inner = SgdConfig::new().with_momentum(Some(momentum)).build();
    follows(
        &reference,
        || config.init(&device),
        inner,
        Method::new(Inner::Sgd { momentum: 0.9 }, 0.02),
        |_| false,
        |model, step| {
            let logits = model.forward(reference.floats("images", step, &device));
            cross_entropy(logits, reference.numbers("labels", step, &device), 0.0, None)
        },
    );
}

#[test]
fn a_language_model_follows_pytorch() {
    let reference = Reference::new(include_bytes!("../../../oracle/language_model.safetensors"));
    let device = device();
    let config =
        LanguageModelConfig { features: 10, units: 14, layers: 2, ..LanguageModelConfig::penn_treebank(20) };
    let mut memory = Vec::new();
    follows(
        &reference,
        || config.clone().without_dropout().init(&device),
        adam(),
        method(0.01),
        |_| false,
        |model, step| {
            if step % BATCHES == 0 {
                memory = model.state(4);
            }
            let output =
                model.forward(reference.numbers("inputs", step, &device), std::mem::take(&mut memory));
            memory = output.state.iter().cloned().map(State::detach).collect();
            let regularisation = output.activation(2.0) + output.temporal(1.0);
            let targets = reference.numbers::<2>("targets", step, &device).flatten(0, 1);
            cross_entropy(output.logits, targets, 0.0, None) + regularisation
        },
    );
}

#[test]
fn a_transformer_follows_pytorch() {
    let reference = Reference::new(include_bytes!("../../../oracle/transformer.safetensors"));
    let device = device();
    let base = TransformerConfig::base(15);
    let config =
        TransformerConfig { features: 8, inner: 16, heads: 2, layers: 2, dropout: 0.0, longest: 16, ..base };
    // A softmax does not see the keys' biases: their gradients are rounding errors, which Adam magnifies.
    let is_free = |path: &str| path.ends_with("key.bias");
    follows(
        &reference,
        || config.init(&device),
        adam(),
        method(0.003),
        is_free,
        |model, step| {
            let [source, target] = ["source", "target"].map(|name| reference.numbers(name, step, &device));
            let logits = model.forward(source, target).flatten::<2>(0, 1);
            let labels = reference.numbers::<2>("labels", step, &device).flatten(0, 1);
            cross_entropy(logits, labels, 0.1, Some(0))
        },
    );
}
