//! Sixty steps of several models, beside the f64 twin and beside Burn's own optimizers in `Lookahead`.

use burn::optim::{AdamConfig, ModuleOptimizer, SgdConfig, momentum::MomentumConfig};
use lookahead_burn::{
    Lookahead, ModuleLookahead,
    lookahead_wgpu::{
        self, Builder, Group, Optimizer, Rule,
        guard::Guard,
        rules::{Adam, Sgd},
        twin::Twin,
    },
};

use crate::{
    devices::gpu,
    models::{Convolution, Model, Recurrent},
    network::{Network, error},
};

const RATE: f64 = 0.02;
const K: u32 = 5;
const ALPHA: f64 = 0.5;
const STEPS: usize = 60;

/// With Burn's default epsilon.
fn adam() -> Adam {
    Adam::new(RATE).eps(1e-5)
}

fn momentum() -> Sgd {
    Sgd::new(RATE).momentum(0.9)
}

fn settings(rule: impl Rule + 'static) -> Builder {
    Optimizer::builder(rule).lookahead(lookahead_wgpu::Lookahead::new(K, ALPHA))
}

fn burns_adam() -> ModuleOptimizer {
    Lookahead::new(AdamConfig::new().build(), K, ALPHA).unwrap().into()
}

fn burns_momentum() -> ModuleOptimizer {
    let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
    let sgd = SgdConfig::new().with_momentum(Some(momentum)).build();
    Lookahead::new(sgd, K, ALPHA).unwrap().into()
}

fn device() -> burn::tensor::Device {
    gpu().0.clone().autodiff()
}

fn widen(values: Vec<Vec<f32>>) -> Vec<Vec<f64>> {
    values.into_iter().map(|values| values.into_iter().map(f64::from).collect()).collect()
}

/// The optimizer in f64, with gradients by Burn on the CPU at its weights.
struct Reference<M> {
    model: M,
    twin: Twin,
}

impl<M: Model> Reference<M> {
    fn new(rule: impl Rule + 'static) -> Self {
        let model = M::new(&burn::tensor::Device::flex().autodiff());
        let lookahead = lookahead_wgpu::Lookahead::new(K, ALPHA);
        let twin = Twin::new(rule, widen(model.values())).lookahead(lookahead);
        Self { model, twin }
    }

    fn step(mut self, step: usize) -> Self {
        self.twin.step(&widen(self.model.gradient_values(step)), RATE);
        let narrow = |values: &Vec<f64>| values.iter().map(|value| *value as f32).collect();
        let weights = self.twin.weights.iter().map(narrow).collect();
        Self { model: self.model.filled(weights), twin: self.twin }
    }
}

/// How far values are off at most, relative to those above one.
fn off(found: &[Vec<f32>], expected: &[Vec<f64>]) -> f64 {
    error(&found.concat(), &expected.concat())
}

fn agree<M: Model>(rule: impl Rule + Clone + 'static, mut burns: ModuleOptimizer, tolerance: f64) {
    let name = rule.name().to_owned();
    let mut model = M::new(&device());
    let mut optimizer = ModuleLookahead::new(settings(rule.clone()), &model, &gpu().1).unwrap();
    let mut burns_model = M::new(&device());
    let mut reference = Reference::<M>::new(rule);
    let start = widen(model.values());
    let mut worst = 0.0f64;
    for step in 0..STEPS {
        let gradients = model.gradients(step);
        model = optimizer.step(model, gradients).unwrap();
        let gradients = burns_model.gradients(step);
        burns_model = burns.step(RATE, burns_model, gradients);
        reference = reference.step(step);
        if ![0, 1, 4, 5, 32, 58, 59].contains(&step) {
            continue;
        }
        let found = model.values();
        let slow = optimizer.slow(&model).unwrap().values();
        let burns_slow = lookahead_burn::slow(&burns_model, &burns).values();
        let errors = [
            off(&found, &reference.twin.weights),
            off(&slow, &reference.twin.slow_weights),
            off(&found, &widen(burns_model.values())),
            off(&slow, &widen(burns_slow)),
        ];
        worst = errors.iter().copied().fold(worst, f64::max);
        assert!(
            errors.iter().all(|error| *error < tolerance),
            "{}, {name}: {errors:?} after step {step}",
            M::NAME
        );
    }
    println!("{}, {name}: off by at most {worst:.1e} in {STEPS} steps", M::NAME);
    assert!(off(&model.values(), &start) > 100.0 * tolerance, "it was trained");
}

#[test]
fn an_mlp_is_trained_alike() {
    agree::<Network>(adam(), burns_adam(), 2e-5);
    agree::<Network>(momentum(), burns_momentum(), 2e-6);
}

#[test]
fn a_convolution_network_is_trained_alike() {
    agree::<Convolution>(adam(), burns_adam(), 2e-5);
    agree::<Convolution>(momentum(), burns_momentum(), 2e-6);
}

#[test]
fn an_lstm_is_trained_alike() {
    agree::<Recurrent>(adam(), burns_adam(), 2e-5);
    agree::<Recurrent>(momentum(), burns_momentum(), 2e-6);
}

/// A clone is kept at every third step, a batch of NaN comes at every seventh, and a checkpoint is taken and loaded.
#[test]
fn an_lstm_is_trained_alike_through_all_that_happens() {
    let make = |model: &Recurrent| {
        ModuleLookahead::new(settings(adam()).guard(Guard::default()), model, &gpu().1).unwrap()
    };
    let mut model = Recurrent::new(&device());
    let mut optimizer = make(&model);
    let mut reference = Reference::<Recurrent>::new(adam());
    let mut kept = vec![];
    for step in 0..40 {
        if step % 3 == 0 {
            kept.push((model.clone(), model.values()));
        }
        if step % 7 == 2 {
            let loss = model.loss(step) * f32::NAN;
            let gradients = burn::optim::GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(model, gradients).unwrap();
        }
        if step == 17 {
            let checkpoint = optimizer.optimizer().export_blocking().unwrap();
            let other = Recurrent::new(&device());
            optimizer = make(&other);
            model = optimizer.import(other, &checkpoint).unwrap();
        }
        let gradients = model.gradients(step);
        model = optimizer.step(model, gradients).unwrap();
        reference = reference.step(step);
        let errors = [
            off(&model.values(), &reference.twin.weights),
            off(&optimizer.slow(&model).unwrap().values(), &reference.twin.slow_weights),
        ];
        assert!(errors.iter().all(|error| *error < 2e-5), "{errors:?} after step {step}");
    }
    assert_eq!(optimizer.optimizer().counters_blocking().unwrap().skipped, 6);
    for (model, values) in kept {
        assert_eq!(model.values(), values, "a clone keeps its weights");
    }
}

/// Frozen, and let go after a cycle and a half: its own cycle begins then.
#[test]
fn a_frozen_layer_waits() {
    let group_of = |path: &str| if path.starts_with("first") { "first" } else { "default" }.to_owned();
    let mut model = Convolution::new(&device());
    let start = model.values();
    let settings = settings(momentum()).group(Group::new("first"));
    let mut optimizer = ModuleLookahead::in_groups(settings, &model, &gpu().1, group_of).unwrap();
    optimizer.optimizer_mut().set_frozen("first", true).unwrap();
    for step in 0..14 {
        if step == 7 {
            optimizer.optimizer_mut().set_frozen("first", false).unwrap();
        }
        let gradients = model.gradients(step);
        model = optimizer.step(model, gradients).unwrap();
        let (values, slow) = (model.values(), optimizer.slow(&model).unwrap().values());
        assert_eq!(values[..2] == start[..2], step < 7, "the first layer after step {step}");
        let first_is_synced = step < 7 || (step - 6) % 5 == 0;
        assert_eq!(values[..2] == slow[..2], first_is_synced, "the first layer after step {step}");
        assert_eq!(values[2..] == slow[2..], (step + 1) % 5 == 0, "the others after step {step}");
    }
}
