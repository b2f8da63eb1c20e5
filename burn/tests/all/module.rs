//! A whole module, stepped by `lookahead-wgpu` in Burn's memory.

use burn::{
    module::Param,
    optim::GradientsParams,
    tensor::{Device, Tensor, wgpu::WgpuSetup},
};
use lookahead_burn::{
    Error, ModuleLookahead,
    lookahead_wgpu::{
        self, Accumulation, Builder, Clip, Field, Group, Lookahead, Optimizer, Snapshot, guard::Guard,
        rules::Adam, wgpu,
    },
};

use crate::{
    devices::gpu,
    network::{Clipped, Network, RATE, error, lookahead, reference, reference_with},
};

fn device() -> Device {
    gpu().0.clone().autodiff()
}

/// With Burn's default epsilon.
pub fn settings() -> Builder {
    Optimizer::builder(Adam::new(RATE).eps(1e-5)).lookahead(Lookahead::new(5, 0.5))
}

fn bits(network: &Network) -> Vec<u32> {
    network.values().into_iter().map(f32::to_bits).collect()
}

fn train(optimizer: &mut ModuleLookahead, network: Network, steps: std::ops::Range<usize>) -> Network {
    steps.fold(network, |network, step| {
        let gradients = network.gradients(step);
        optimizer.step(network, gradients).unwrap()
    })
}

#[test]
fn a_network_is_trained_as_in_f64_and_as_by_burns_adam_in_one_dispatch() {
    let mut network = Network::new(&device());
    let mut optimizer = ModuleLookahead::new(settings(), &network, &gpu().1).unwrap();
    let mut burns_network = Network::new(&device());
    let mut burns = lookahead(5, 0.5);
    for step in 0..60 {
        network = train(&mut optimizer, network, step..step + 1);
        assert_eq!(optimizer.copied(), if step == 0 { 4 } else { 0 }, "in step {step}");
        assert_eq!(optimizer.dispatches(), 1);
        let gradients = burns_network.gradients(step);
        burns_network = burns.step(RATE, burns_network, gradients);
        if ![0, 1, 4, 5, 32, 58, 59].contains(&step) {
            continue;
        }
        let (fast, slow) = reference(step + 1, 5, 0.5);
        let found = network.values();
        let burns: Vec<_> = burns_network.values().into_iter().map(f64::from).collect();
        let slow_found = optimizer.slow(&network).unwrap().values();
        let errors = [error(&found, &fast), error(&slow_found, &slow), error(&found, &burns)];
        assert!(errors.iter().all(|error| *error < 2e-5), "{errors:?} after step {step}");
    }
    assert!(network.first.weight.val().is_require_grad());
}

#[test]
fn a_clone_keeps_its_weights() {
    let start = Network::new(&device());
    let before = bits(&start);
    let mut optimizer = ModuleLookahead::new(settings(), &start, &gpu().1).unwrap();
    let mut clones = vec![start.clone()];
    for step in 0..7 {
        let stepped = train(&mut optimizer, clones[step].clone(), step..step + 1);
        assert_eq!(optimizer.copied(), 4);
        clones.push(stepped);
    }
    assert_eq!(bits(&start), before);
    for (steps, clone) in clones.iter().enumerate().skip(1) {
        let (fast, _) = reference(steps, 5, 0.5);
        assert!(error(&clone.values(), &fast) < 2e-5, "the clone after {steps} steps");
    }
}

/// Clones that come and go, and other tensors between, so that no step finds tensors where the last one did.
#[test]
fn tensors_may_lie_elsewhere_in_every_step() {
    let mut network = Network::new(&device());
    let mut optimizer = ModuleLookahead::new(settings(), &network, &gpu().1).unwrap();
    let mut kept = Vec::new();
    for step in 0..23 {
        if step % 3 == 0 {
            kept.push(network.clone());
        }
        if step % 7 == 0 {
            kept.clear();
        }
        let between = Tensor::<2>::ones([step + 1, 40], &gpu().0);
        network = train(&mut optimizer, network, step..step + 1);
        drop(between);
        let (fast, _) = reference(step + 1, 5, 0.5);
        assert!(error(&network.values(), &fast) < 2e-5, "after step {step}");
    }
}

#[test]
fn a_step_with_nan_is_skipped_by_a_guard() {
    let mut network = Network::new(&device());
    let mut optimizer = ModuleLookahead::new(settings().guard(Guard::default()), &network, &gpu().1).unwrap();
    for step in 0..12 {
        if step % 4 == 1 {
            let mut gradients = network.gradients(step);
            let id = network.second.weight.id;
            let bad = gradients.remove::<2>(id).unwrap().mul_scalar(f32::NAN);
            gradients.register(id, bad);
            network = optimizer.step(network, gradients).unwrap();
        }
        network = train(&mut optimizer, network, step..step + 1);
    }
    let counters = optimizer.optimizer().counters_blocking().unwrap();
    assert_eq!((counters.steps, counters.skipped), (12, 3));
    let (fast, _) = reference(12, 5, 0.5);
    assert!(error(&network.values(), &fast) < 2e-5);
}

#[test]
fn gradients_are_clipped_by_the_norm_of_all() {
    let mut network = Network::new(&device());
    let settings = settings().clip(Clip::GlobalNorm(0.05));
    let mut optimizer = ModuleLookahead::new(settings, &network, &gpu().1).unwrap();
    network = train(&mut optimizer, network, 0..12);
    let (fast, _) = reference_with(12, 5, 0.5, Clipped::ByGlobalNorm(0.05));
    let (unclipped, _) = reference(12, 5, 0.5);
    assert!(error(&network.values(), &fast) < 2e-5);
    assert!(error(&network.values(), &unclipped) > 1e-3, "the clip did nothing");
}

#[test]
fn training_goes_on_from_a_checkpoint_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("training.safetensors");
    let start = Network::new(&device());
    let make = || ModuleLookahead::new(settings(), &start, &gpu().1).unwrap();
    let mut optimizer = make();
    let network = train(&mut optimizer, start.clone(), 0..7);
    optimizer.optimizer().export_blocking().unwrap().save(&path).unwrap();
    let expected = bits(&train(&mut optimizer, network, 7..13));

    let mut resumed = make();
    let before = bits(&start);
    let network = resumed.import(start.clone(), &Snapshot::load(&path).unwrap()).unwrap();
    assert_eq!(bits(&start), before, "the module that was loaded into has a clone");
    assert_eq!(bits(&train(&mut resumed, network, 7..13)), expected);
}

#[test]
fn a_sync_ahead_of_time_ends_the_cycle() {
    let network = Network::new(&device());
    let mut optimizer = ModuleLookahead::new(settings(), &network, &gpu().1).unwrap();
    let network = train(&mut optimizer, network, 0..7);
    let (fast, slow) = reference(7, 5, 0.5);
    let network = optimizer.sync(network).unwrap();
    let middle: Vec<_> = fast.iter().zip(&slow).map(|(fast, slow)| (fast + slow) / 2.0).collect();
    assert!(error(&network.values(), &middle) < 2e-5);
    assert_eq!(bits(&optimizer.slow(&network).unwrap()), bits(&network));
}

#[test]
fn a_parameter_without_a_gradient_is_left_alone() {
    let network = Network::new(&device());
    let without_first = |network: &Network| {
        let all = network.gradients(0);
        let mut gradients = GradientsParams::new();
        let (weight, bias) = (network.second.weight.id, network.second.bias.as_ref().unwrap().id);
        gradients.register(weight, all.get::<2>(weight).unwrap());
        gradients.register(bias, all.get::<1>(bias).unwrap());
        gradients
    };
    let first = |network: &Network| network.first.weight.val().into_data();
    let second = |network: &Network| network.second.weight.val().into_data();
    let state = |optimizer: &ModuleLookahead| {
        let optimizer = optimizer.optimizer();
        [Field::SlowWeights, Field::State("exp_avg"), Field::State("exp_avg_sq")]
            .map(|field| optimizer.download_blocking(field, "first.weight").unwrap())
    };
    // In every place of a cycle, the first one and the one that syncs among them, the step is one of the others alone.
    for idle in 0..6 {
        let mut optimizer = ModuleLookahead::new(settings(), &network, &gpu().1).unwrap();
        let mut with_zeros = ModuleLookahead::new(settings(), &network, &gpu().1).unwrap();
        let stepped = train(&mut optimizer, network.clone(), 0..idle);
        let other = train(&mut with_zeros, network.clone(), 0..idle);
        let (weights, kept) = (first(&stepped), state(&optimizer));
        let mut zeros = without_first(&stepped);
        zeros.register(stepped.first.weight.id, stepped.first.weight.val().inner().zeros_like());
        let first_bias = stepped.first.bias.as_ref().unwrap();
        zeros.register(first_bias.id, first_bias.val().inner().zeros_like());
        let gradients = without_first(&stepped);
        let stepped = optimizer.step(stepped, gradients).unwrap();
        let other = with_zeros.step(other, zeros).unwrap();
        assert_eq!(first(&stepped), weights, "{idle}");
        if idle > 0 {
            assert_eq!(state(&optimizer), kept, "{idle}");
        }
        assert_eq!(second(&stepped), second(&other), "{idle}");
        // And takes part again.
        let after = train(&mut optimizer, stepped, idle + 1..idle + 5);
        assert_ne!(first(&after), weights, "{idle}");
        assert_eq!(optimizer.optimizer().steps(), idle as u64 + 5);
    }
    let accumulating = settings().accumulate(Accumulation::mean(2));
    let mut optimizer = ModuleLookahead::new(accumulating, &network, &gpu().1).unwrap();
    let error = optimizer.step(network.clone(), without_first(&network)).err().unwrap();
    assert!(error.to_string().contains("`first.weight`"), "{error}");
    assert!(matches!(error, Error::Lookahead(lookahead_wgpu::Error::UnknownName { .. })), "{error:?}");

    let group = Group::new("first");
    let group_of = |path: &str| if path.starts_with("first") { "first" } else { "default" }.to_owned();
    let settings = settings().group(group);
    let mut optimizer = ModuleLookahead::in_groups(settings, &network, &gpu().1, group_of).unwrap();
    optimizer.optimizer_mut().set_frozen("first", true).unwrap();
    let gradients = without_first(&network);
    let stepped = optimizer.step(network.clone(), gradients).unwrap();
    assert_eq!(first(&stepped), first(&network));
    assert_ne!(second(&stepped), second(&network));
}

#[test]
fn what_requires_no_gradient_is_left_alone() {
    let mut network = Network::new(&device());
    network.first.weight = network.first.weight.set_require_grad(false);
    let before = network.first.weight.val().into_data();
    let mut optimizer = ModuleLookahead::new(settings(), &network, &gpu().1).unwrap();
    let names: Vec<_> = optimizer.optimizer().tensors().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names, ["first.bias", "second.weight", "second.bias"]);
    let mut network = train(&mut optimizer, network, 0..3);
    assert_eq!(network.first.weight.val().into_data(), before);

    network.first.weight = network.first.weight.set_require_grad(true);
    let gradients = network.gradients(3);
    let error = optimizer.step(network, gradients).err().unwrap();
    assert!(error.to_string().contains("`first.weight` has a gradient, and required none"), "{error}");
}

#[test]
fn tensors_of_another_backend_are_refused() {
    let network = Network::new(&Device::flex().autodiff());
    let error = ModuleLookahead::new(settings(), &network, &gpu().1).err().unwrap();
    assert!(matches!(error, Error::Burn(_)), "{error:?}");
    let here = Network::new(&device());
    let mut optimizer = ModuleLookahead::new(settings(), &here, &gpu().1).unwrap();
    let gradients = here.gradients(0);
    let mut elsewhere = here;
    elsewhere.first.weight = Param::initialized(elsewhere.first.weight.id, network.first.weight.val());
    let error = optimizer.step(elsewhere, gradients).err().unwrap();
    assert!(error.to_string().contains("`first.weight` has weights on "), "{error}");
}

#[test]
fn a_module_of_other_parameters_is_refused() {
    let network = Network::new(&device());
    let mut optimizer = ModuleLookahead::new(settings(), &network, &gpu().1).unwrap();
    let other = Network::new(&device());
    let gradients = other.gradients(0);
    let error = optimizer.step(other, gradients).err().unwrap();
    assert!(error.to_string().contains("`first.weight` has a gradient, and required none"), "{error}");
    let error = optimizer.sync(Network::new(&device())).err().unwrap();
    assert!(error.to_string().contains("`first.weight` is not in this module"), "{error}");
}

#[test]
fn tied_parameters_are_refused() {
    let mut network = Network::new(&device());
    network.second.bias = Some(network.first.bias.clone().unwrap());
    let error = ModuleLookahead::new(settings(), &network, &gpu().1).err().unwrap();
    assert!(error.to_string().contains("`second.bias` is there twice"), "{error}");
}

/// What is only noted down when a step comes is carried out with the weights of before.
#[test]
fn outputs_of_before_a_step_have_the_weights_of_before() {
    let mut network = Network::new(&device());
    let mut optimizer = ModuleLookahead::new(settings(), &network, &gpu().1).unwrap();
    for step in 0..6 {
        let expected = network.loss(step).into_scalar::<f32>();
        let gradients = network.gradients(step);
        let loss = network.loss(step).inner();
        network = optimizer.step(network, gradients).unwrap();
        let after = network.loss(step).inner();
        assert_eq!(loss.into_scalar::<f32>(), expected, "in step {step}");
        assert_ne!(after.into_scalar::<f32>(), expected, "in step {step}");
    }
}

/// Of the queue of a device that Burn does not use.
#[test]
fn the_setup_of_another_device_is_an_error() {
    let WgpuSetup { instance, adapter, backend, .. } = gpu().1.clone();
    let descriptor = wgpu::DeviceDescriptor { required_limits: adapter.limits(), ..Default::default() };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
    let setup = WgpuSetup { instance, adapter, device, queue, backend };
    let network = Network::new(&self::device());
    let error = ModuleLookahead::new(settings(), &network, &setup).err().unwrap();
    assert!(matches!(error, Error::Lookahead(lookahead_wgpu::Error::Device { .. })), "{error:?}");
}
