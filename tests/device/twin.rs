//! The step and norm kernels against their f64 twins, on random models and gradients.

#[cfg(not(target_arch = "wasm32"))]
use crate::common::on_every_adapter;
use crate::{
    common::{
        buffer, download, largest_error, noise, read_slice_async, spared, submit, widen, write_gradient,
    },
    pairs,
};
use lookahead_wgpu::{
    Clip, Field, Group, Lookahead, Optimizer, Rule, Slice, StatePolicy,
    alpha::Curvature,
    gpu::Gpu,
    rules::{AdaBelief, Adadelta, Adagrad, Adam, AdamW, Adamax, Lion, NAdam, RAdam, Ranger, RmsProp, Sgd},
    twin::Twin,
    wgpu,
};
#[cfg(not(target_arch = "wasm32"))]
use proptest::prelude::*;

on_devices!(
    each_two_options_agree_with_the_twin,
    each_two_options_agree_with_the_twin_too,
    each_two_options_agree_with_the_twin_as_well,
    norms_of_long_and_of_many_tensors_agree_with_the_twin,
    every_group_trains_as_if_alone,
    zero_gradients_move_no_weight,
);

#[derive(Debug, Clone)]
struct Case {
    rule: Which,
    lens: Vec<usize>,
    lookahead: Option<Lookahead>,
    clip: Clip,
    /// Gradients are of this size.
    scale: f32,
    home: Home,
    seed: u64,
}

#[derive(Debug, Clone, Copy)]
enum Which {
    Sgd,
    HeavyBall,
    Nesterov,
    Adagrad,
    RmsProp,
    RmsPropMomentum,
    RmsPropCentered,
    RmsPropCenteredMomentum,
    Adadelta,
    Adam,
    AdamW,
    AmsGrad,
    AmsGradW,
    Adamax,
    NAdam,
    RAdam,
    Ranger,
    AdaBelief,
    Lion,
}

const RULES: [Which; 19] = [
    Which::Sgd,
    Which::HeavyBall,
    Which::Nesterov,
    Which::Adagrad,
    Which::RmsProp,
    Which::RmsPropMomentum,
    Which::RmsPropCentered,
    Which::RmsPropCenteredMomentum,
    Which::Adadelta,
    Which::Adam,
    Which::AdamW,
    Which::AmsGrad,
    Which::AmsGradW,
    Which::Adamax,
    Which::NAdam,
    Which::RAdam,
    Which::Ranger,
    Which::AdaBelief,
    Which::Lion,
];

/// Where weights and gradients lie.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Home {
    Owned,
    /// A buffer for each tensor's weights and one for its gradients.
    Separate(Starts),
    /// One buffer of all weights and one of all gradients.
    TwoPools(Starts),
    /// One buffer of everything, weights and gradients in turn.
    OnePool(Starts),
}

/// Where in a buffer of the caller's tensors start.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Starts {
    /// Anywhere.
    Anywhere,
    /// At multiples of four values.
    ByVec4,
}

const HOMES: [Home; 7] = [
    Home::Owned,
    Home::Separate(Starts::Anywhere),
    Home::TwoPools(Starts::Anywhere),
    Home::OnePool(Starts::Anywhere),
    Home::Separate(Starts::ByVec4),
    Home::TwoPools(Starts::ByVec4),
    Home::OnePool(Starts::ByVec4),
];

fn rule(which: Which) -> Box<dyn Rule> {
    match which {
        Which::Sgd => Box::new(Sgd::new(0.05).weight_decay(0.02)),
        Which::HeavyBall => Box::new(Sgd::new(0.02).momentum(0.9).dampening(0.1)),
        Which::Nesterov => Box::new(Sgd::new(0.02).momentum(0.8).nesterov(true).weight_decay(0.01)),
        Which::Adagrad => Box::new(
            Adagrad::new(0.05).lr_decay(0.1).initial_accumulator_value(0.1).eps(1e-4).weight_decay(0.01),
        ),
        Which::RmsProp => Box::new(RmsProp::new(0.01).alpha(0.9).eps(1e-3).weight_decay(0.01)),
        Which::RmsPropMomentum => Box::new(RmsProp::new(0.003).momentum(0.9)),
        Which::RmsPropCentered => Box::new(RmsProp::new(0.01).alpha(0.8).centered(true)),
        Which::RmsPropCenteredMomentum => {
            Box::new(RmsProp::new(0.003).eps(1e-3).centered(true).momentum(0.8).weight_decay(0.01))
        }
        Which::Adadelta => Box::new(Adadelta::new(0.5).rho(0.8).eps(1e-3).weight_decay(0.01)),
        Which::Adam => Box::new(Adam::new(0.01).betas(0.8, 0.99).eps(1e-4).weight_decay(0.01)),
        Which::AdamW => Box::new(AdamW::new(0.01).eps(1e-4).weight_decay(0.1)),
        Which::AmsGrad => Box::new(Adam::new(0.01).betas(0.8, 0.6).amsgrad(true)),
        Which::AmsGradW => Box::new(AdamW::new(0.01).betas(0.8, 0.6).amsgrad(true)),
        Which::Adamax => Box::new(Adamax::new(0.01).betas(0.8, 0.7).eps(1e-3).weight_decay(0.01)),
        Which::NAdam => Box::new(NAdam::new(0.01).momentum_decay(0.1).eps(1e-4).weight_decay(0.01)),
        // From the sixth step on it rectifies.
        Which::RAdam => Box::new(RAdam::new(0.01).eps(1e-4).weight_decay(0.01)),
        Which::Ranger => Box::new(Ranger::new(0.01).weight_decay(0.1)),
        Which::AdaBelief => Box::new(AdaBelief::new(0.01).betas(0.8, 0.99).weight_decay(0.1)),
        Which::Lion => Box::new(Lion::new(0.01).weight_decay(0.1)),
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn cases() -> impl Strategy<Value = Case> {
    let policies = [StatePolicy::Maintain, StatePolicy::Interpolate, StatePolicy::Reset];
    let clips = [Clip::None, Clip::Value(0.3), Clip::GlobalNorm(0.7), Clip::TensorNorm(0.5)];
    let lookahead = (1u32..5, 0.05f64..=1.0, prop::sample::select(policies.to_vec()))
        .prop_map(|(k, alpha, policy)| Lookahead::new(k, alpha).policy(policy));
    let lens = prop::collection::vec(prop_oneof![1usize..70, 500usize..3000], 1..5);
    (
        prop::sample::select(RULES.to_vec()),
        lens,
        prop::option::weighted(0.8, lookahead),
        prop::sample::select(clips.to_vec()),
        prop::sample::select(vec![0.01f32, 1.0, 100.0]),
        prop::sample::select(HOMES.to_vec()),
        any::<u64>(),
    )
        .prop_map(|(rule, lens, lookahead, clip, scale, home, seed)| Case {
            rule,
            lens,
            lookahead,
            clip,
            scale,
            home,
            seed,
        })
}

const STEPS: usize = 7;

/// Weights of size 1 and updates of at most a tenth of it, each rounded to 6e-8, over 7 steps; state of
/// gradients of size `scale` to the same relative error. The GPU's division and square root may be off by
/// 2.5 ulp: 5.2e-6 were seen on an NVIDIA H100.
const TOLERANCE: f64 = 1e-5;

/// How a slot's values grow with the gradients' size.
fn power(which: Which, slot: &str) -> i32 {
    match (which, slot) {
        // Of what is already divided by the gradients' size.
        (Which::RmsPropMomentum | Which::RmsPropCenteredMomentum, "momentum_buffer") | (_, "acc_delta") => 0,
        (_, "exp_avg" | "exp_inf" | "grad_avg" | "momentum_buffer") => 1,
        (_, "exp_avg_sq" | "max_exp_avg_sq" | "exp_avg_var" | "square_avg" | "sum") => 2,
        _ => panic!("{which:?} has a slot `{slot}` of unknown size"),
    }
}

/// Where Lion's direction is as good as zero, f32 may see the other sign: seldom, and each time the weight is
/// off by two learning rates.
fn without_flips(which: Which, found: &[f32], mut expected: Vec<f64>) -> Vec<f64> {
    if let Which::Lion = which {
        let off = |found: f32, expected: f64| (f64::from(found) - expected).abs();
        let step = 2.0 * rule(which).learning_rate();
        let flipped = found
            .iter()
            .zip(&mut expected)
            .find(|(found, expected)| (TOLERANCE..1.1 * step).contains(&off(**found, **expected)));
        if let Some((found, expected)) = flipped {
            *expected = f64::from(*found);
        }
    }
    expected
}

async fn run(gpu: &Gpu, case: &Case) {
    if spared(gpu) {
        return;
    }
    let mut model = Model::new(gpu, case).await;
    let weights: Vec<Vec<f64>> = model.initial.iter().map(|values| widen(values)).collect();
    let mut twin = Twin::new(rule(case.rule), weights).clip(case.clip);
    if let Some(lookahead) = case.lookahead {
        twin = twin.lookahead(lookahead);
    }
    for step in 0..STEPS {
        let gradients: Vec<Vec<f32>> = case
            .lens
            .iter()
            .zip(0..)
            .map(|(&len, tensor)| {
                let values = noise(len, case.seed.wrapping_add(1000 * (step as u64 + 1) + tensor));
                values.into_iter().map(|value| case.scale * value).collect()
            })
            .collect();
        model.step(gpu, &gradients).await;
        let wide: Vec<Vec<f64>> = gradients.iter().map(|values| widen(values)).collect();
        let learning_rate = rule(case.rule).learning_rate();
        twin.step(&wide, learning_rate);
    }
    let names: Vec<String> = (0..case.lens.len()).map(|tensor| format!("t{tensor}")).collect();
    let close = async |field: Field<'_>, tensor: usize, expected: Vec<f64>, size: f64| {
        let found = download(&model.optimizer, field, &names[tensor]).await;
        let expected = without_flips(case.rule, &found, expected);
        let found: Vec<f32> = found.iter().map(|value| value / size as f32).collect();
        let expected: Vec<f64> = expected.iter().map(|value| value / size).collect();
        let error = largest_error(&found, &expected);
        assert!(error < TOLERANCE, "{field:?} of tensor {tensor} is off by {error:e}");
    };
    let slots = rule(case.rule).slots();
    for tensor in 0..names.len() {
        close(Field::Weights, tensor, twin.weights[tensor].clone(), 1.0).await;
        if case.lookahead.is_some() {
            close(Field::SlowWeights, tensor, twin.slow_weights[tensor].clone(), 1.0).await;
        }
        for (index, slot) in slots.iter().enumerate() {
            let size = f64::from(case.scale.max(1.0)).powi(power(case.rule, slot.name));
            let pick = |state: &Vec<Vec<f64>>| state.iter().map(|slots| slots[index]).collect::<Vec<_>>();
            close(Field::State(slot.name), tensor, pick(&twin.state[tensor]), size).await;
            if case.lookahead.is_some_and(|lookahead| lookahead.policy == StatePolicy::Interpolate) {
                close(Field::SlowState(slot.name), tensor, pick(&twin.slow_state[tensor]), size).await;
            }
        }
    }
    model.assert_neighbours_untouched().await;
}

/// One optimizer over tensors at home somewhere.
struct Model {
    optimizer: Optimizer,
    initial: Vec<Vec<f32>>,
    /// Each tensor's weights and gradients, where they are the caller's.
    places: Vec<(Slice, Slice)>,
    gpu: Gpu,
}

/// What the caller's buffers hold between the tensors.
const MARK: u32 = 0x7fa1_b2c3;

impl Model {
    async fn new(gpu: &Gpu, case: &Case) -> Self {
        let initial: Vec<Vec<f32>> =
            case.lens.iter().zip(0..).map(|(&len, tensor)| noise(len, case.seed ^ tensor)).collect();
        let places = places(gpu, &case.lens, case.home);
        let mut builder = Optimizer::builder(rule(case.rule)).clip(case.clip);
        if let Some(lookahead) = case.lookahead {
            builder = builder.lookahead(lookahead);
        }
        for (tensor, &len) in case.lens.iter().enumerate() {
            let name = format!("t{tensor}");
            builder = match places.get(tensor) {
                None => builder.tensor(&name, &[len]),
                Some((weights, _)) => builder.borrowed(&name, &[len], weights.clone()),
            };
        }
        let mut optimizer = builder.pipelines(&gpu.pipelines).build(&gpu.device, &gpu.queue).await.unwrap();
        for (tensor, values) in initial.iter().enumerate() {
            optimizer.upload(&format!("t{tensor}"), values).unwrap();
        }
        Self { optimizer, initial, places, gpu: gpu.clone() }
    }

    async fn step(&mut self, gpu: &Gpu, gradients: &[Vec<f32>]) {
        let names: Vec<String> = (0..gradients.len()).map(|tensor| format!("t{tensor}")).collect();
        if self.places.is_empty() {
            for (name, values) in names.iter().zip(gradients) {
                write_gradient(gpu, &self.optimizer, name, values);
            }
            return submit(gpu, |encoder| self.optimizer.step(encoder)).unwrap();
        }
        for ((_, place), values) in self.places.iter().zip(gradients) {
            gpu.queue.write_buffer(&place.buffer, place.offset, bytemuck::cast_slice(values));
        }
        let slices: Vec<(&str, Slice)> =
            names.iter().zip(&self.places).map(|(name, (_, place))| (name.as_str(), place.clone())).collect();
        let borrowed = self.optimizer.borrow_gradients(&slices).await.unwrap();
        submit(gpu, |encoder| self.optimizer.step_with(encoder, &borrowed)).unwrap();
    }

    /// What lies between the tensors in the caller's buffers is as it was.
    async fn assert_neighbours_untouched(&self) {
        let mut buffers: Vec<wgpu::Buffer> = Vec::new();
        for (weights, _) in &self.places {
            if !buffers.contains(&weights.buffer) {
                buffers.push(weights.buffer.clone());
            }
        }
        for buffer in buffers {
            let len = (buffer.size() / 4) as usize;
            let mut ours = vec![false; len];
            for slice in self.places.iter().flat_map(|(weights, gradients)| [weights, gradients]) {
                if slice.buffer == buffer {
                    ours[(slice.offset / 4) as usize..][..(slice.size / 4) as usize].fill(true);
                }
            }
            for (at, value) in
                read_slice_async(&self.gpu, &Slice::whole(&buffer)).await.into_iter().enumerate()
            {
                assert!(
                    ours[at] || value.to_bits() == MARK,
                    "value {at} of a borrowed buffer was overwritten"
                );
            }
        }
    }
}

/// Places for all tensors in the caller's buffers, with gaps between them.
fn places(gpu: &Gpu, lens: &[usize], home: Home) -> Vec<(Slice, Slice)> {
    let buffer = |values: u64| {
        let buffer = buffer(gpu, 4 * values);
        gpu.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&vec![MARK; values as usize]));
        buffer
    };
    let slice = |buffer: &wgpu::Buffer, at: u64, len: u64| Slice::new(buffer, 4 * at, 4 * len);
    let lens: Vec<u64> = lens.iter().map(|len| *len as u64).collect();
    // The first place from here on, a gap between.
    let place = |starts: Starts, from: u64| match starts {
        Starts::Anywhere => from + 1,
        Starts::ByVec4 => (from + 1).next_multiple_of(4),
    };
    // What all take, weights and gradients in turn.
    let room = 3 + 2 * lens.iter().map(|len| len + 4).sum::<u64>();
    let mut next = 0;
    match home {
        Home::Owned => vec![],
        Home::Separate(starts) => {
            let one = |len: u64, before: u64| slice(&buffer(before + len + 8), place(starts, before), len);
            lens.iter().map(|&len| (one(len, 0), one(len, 1))).collect()
        }
        Home::TwoPools(starts) => {
            let (weights, gradients) = (buffer(room), buffer(room));
            let pair = |&len: &u64| {
                let at = place(starts, next);
                next = at + len + 1;
                (slice(&weights, at, len), slice(&gradients, place(starts, at), len))
            };
            lens.iter().map(pair).collect()
        }
        Home::OnePool(starts) => {
            let pool = buffer(room);
            let pair = |&len: &u64| {
                let weights = place(starts, next);
                let gradients = place(starts, weights + len);
                next = gradients + len;
                (slice(&pool, weights, len), slice(&pool, gradients, len))
            };
            lens.iter().map(pair).collect()
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn random_models_agree_with_the_twin() {
    on_every_adapter(|gpu| {
        let config = ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() };
        proptest!(config, |(case in cases())| pollster::block_on(run(gpu, &case)));
    });
}

/// Settings in all pairs: rules, policies, homes and every option, each two values in some case.
async fn each_two_options_agree_with_the_twin(gpu: &Gpu) {
    third_of_each_two(gpu, 0).await;
}

async fn each_two_options_agree_with_the_twin_too(gpu: &Gpu) {
    third_of_each_two(gpu, 1).await;
}

async fn each_two_options_agree_with_the_twin_as_well(gpu: &Gpu) {
    third_of_each_two(gpu, 2).await;
}

/// In thirds, which run side by side.
async fn third_of_each_two(gpu: &Gpu, third: usize) {
    for (number, case) in pairs::of_options(false).iter().enumerate().skip(third).step_by(3) {
        if !spared(gpu) {
            run_options(gpu, case, number as u64).await;
        }
    }
}

/// Tensors of one to three dimensions, with rows that do not fit vec4s.
const SHAPES: [&[usize]; 5] = [&[5, 7], &[130], &[1], &[2, 3, 9], &[6, 1]];

/// Trains both for two cycles, and compares all that a step can change.
pub async fn run_options(gpu: &Gpu, case: &pairs::Case, seed: u64) {
    let lens = SHAPES.map(|shape| shape.iter().product::<usize>());
    let home = HOMES[case.home];
    let names: Vec<String> = (0..lens.len()).map(|tensor| format!("t{tensor}")).collect();
    let values = |kind: u64| -> Vec<Vec<f32>> {
        lens.iter().zip(0..).map(|(&len, tensor)| noise(len, 1000 * seed + 100 * kind + tensor)).collect()
    };
    let wide = |values: &[Vec<f32>]| -> Vec<Vec<f64>> { values.iter().map(|values| widen(values)).collect() };
    let mut builder = Optimizer::builder(case.rule()).options(case.options.clone());
    if let Some(lookahead) = case.lookahead {
        builder = builder.lookahead(lookahead);
    }
    let places = places(gpu, &lens, home);
    for (tensor, name) in names.iter().enumerate() {
        builder = match places.get(tensor) {
            None => builder.tensor(name, SHAPES[tensor]),
            Some((weights, _)) => builder.borrowed(name, SHAPES[tensor], weights.clone()),
        };
    }
    let what = format!("case {seed}, {case:?}");
    let builder = builder.shape(case.shape).pipelines(&gpu.pipelines);
    let optimizer = builder.build(&gpu.device, &gpu.queue).await;
    let mut model =
        Model { optimizer: optimizer.expect(&what), initial: values(0), places, gpu: gpu.clone() };
    let mut twin = Twin::new(case.rule(), wide(&model.initial))
        .shapes(&SHAPES.map(<[usize]>::to_vec))
        .options(case.options.clone());
    if let Some(lookahead) = case.lookahead {
        twin = twin.lookahead(lookahead);
    }
    for (name, values) in names.iter().zip(&model.initial) {
        model.optimizer.upload(name, values).unwrap();
    }
    if case.options.adaptive.is_some_and(|adaptive| adaptive.curvature == Curvature::Given) {
        for (tensor, name) in names.iter().enumerate() {
            let given: Vec<f32> = values(1)[tensor].iter().map(|value| value.abs() + 0.1).collect();
            let slice = model.optimizer.curvature(name).unwrap();
            gpu.queue.write_buffer(&slice.buffer, slice.offset, bytemuck::cast_slice(&given));
            twin.curvature[tensor] = widen(&given);
        }
    }
    let lr = case.kind.learning_rate;
    let scale = case.options.guard.and_then(|guard| guard.loss_scale).map_or(1.0, |scale| scale.initial);
    for step in 0..2 * u64::from(twin.calls_in_a_cycle()) + 1 {
        let gradients = values(2 + step);
        // Of a loss that is multiplied by the loss scale, a power of two.
        let scaled = gradients.iter().map(|it| it.iter().map(|value| scale as f32 * value).collect());
        if case.options.variance_reduced {
            for (field, seed) in
                [(Field::SnapshotGradients, 1000 + step), (Field::FullGradients, 2000 + step)]
            {
                // Small against the gradient, so that the rules' own tolerances hold.
                let given: Vec<Vec<f32>> =
                    values(seed).iter().map(|it| it.iter().map(|value| 0.25 * value).collect()).collect();
                for (name, values) in names.iter().zip(&given) {
                    let slice = model.optimizer.buffer(field, name).unwrap();
                    gpu.queue.write_buffer(&slice.buffer, slice.offset, bytemuck::cast_slice(values));
                }
                match field {
                    Field::FullGradients => twin.full_gradients = wide(&given),
                    _ => twin.snapshot_gradients = wide(&given),
                }
            }
        }
        model.step(gpu, &scaled.collect::<Vec<_>>()).await;
        twin.step(&wide(&gradients), lr);
    }
    // alpha^ is 1 less a quotient of sums that may be much larger than it: their rounding comes through so much larger.
    let tolerance = if case.options.adaptive.is_some() { 1e-3 } else { 1e-5 };
    let close = async |field: Field<'_>, tensor: usize, expected: &[f64]| {
        let error = largest_error(&download(&model.optimizer, field, &names[tensor]).await, expected);
        assert!(error < tolerance, "{field} of tensor {tensor} is off by {error:e}: {what}");
    };
    for tensor in 0..lens.len() {
        close(Field::Weights, tensor, &twin.weights[tensor]).await;
        for (index, slot) in case.rule().slots().iter().enumerate() {
            let expected: Vec<f64> = twin.state[tensor].iter().map(|slots| slots[index]).collect();
            close(Field::State(slot.name), tensor, &expected).await;
        }
        if case.lookahead.is_some() {
            close(Field::SlowWeights, tensor, &twin.slow_weights[tensor]).await;
        }
        if case.options.average.is_some() {
            close(Field::Average, tensor, &twin.average[tensor]).await;
        }
        if case.lookahead.is_some_and(|lookahead| lookahead.tasks > 1) {
            close(Field::TaskMean, tensor, &twin.task_mean[tensor]).await;
        }
    }
    model.assert_neighbours_untouched().await;
}

/// Long tensors take several spans of the first pass, and many tensors several ranges of the second.
async fn norms_of_long_and_of_many_tensors_agree_with_the_twin(gpu: &Gpu) {
    let many: Vec<usize> = (0..300).map(|index| 1 + index % 7).collect();
    for lens in [vec![100_003, 3, 40_000], many.clone()] {
        for clip in [Clip::GlobalNorm(0.7), Clip::TensorNorm(0.5)] {
            let (rule, lookahead, home) = (Which::Sgd, None, Home::Owned);
            run(gpu, &Case { rule, lens: lens.clone(), lookahead, clip, scale: 1.0, home, seed: 3 }).await;
        }
    }
}

/// Groups differ in rule, learning-rate factor, decay, k and alpha, and each is as if it were alone. A group
/// in the middle is frozen.
async fn every_group_trains_as_if_alone(gpu: &Gpu) {
    let adam = Adam::new(0.01).eps(1e-4);
    let mut optimizer = Optimizer::builder(adam.clone())
        .lookahead(Lookahead::new(3, 0.5))
        .group(Group::new("frozen").frozen())
        .group(Group::new("decayed").learning_rate_factor(0.5).weight_decay(0.3).k(2).alpha(0.8))
        .group(Group::new("other").rule(Sgd::new(0.1).momentum(0.9)))
        .tensor("a", &[33])
        .tensor_in("other", "b", &[70])
        .tensor_in("frozen", "c", &[5])
        .tensor_in("decayed", "d", &[2, 50])
        .tensor("e", &[1])
        .pipelines(&gpu.pipelines)
        .build(&gpu.device, &gpu.queue)
        .await
        .unwrap();
    let lens = [("a", 33), ("b", 70), ("c", 5), ("d", 100), ("e", 1)];
    for (name, len) in lens {
        optimizer.upload(name, &noise(len, len as u64)).unwrap();
    }
    let start = |len: usize| vec![widen(&noise(len, len as u64))];
    let mut twins = [
        ("a", 0.01, Twin::new(adam.clone(), start(33)).lookahead(Lookahead::new(3, 0.5))),
        ("b", 0.1, Twin::new(Sgd::new(0.1).momentum(0.9), start(70)).lookahead(Lookahead::new(3, 0.5))),
        ("d", 0.005, Twin::new(adam.weight_decay(0.3), start(100)).lookahead(Lookahead::new(2, 0.8))),
    ];
    for step in 0..7 {
        let gradient = |len: usize| noise(len, 100 * (step + 1) + len as u64);
        for (name, len) in lens {
            write_gradient(gpu, &optimizer, name, &gradient(len));
        }
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        for (_, lr, twin) in &mut twins {
            let len = twin.weights[0].len();
            twin.step(&[widen(&gradient(len))], *lr);
        }
    }
    for (name, _, twin) in &twins {
        let found = download(&optimizer, Field::Weights, name).await;
        let error = largest_error(&found, &twin.weights[0]);
        assert!(error < TOLERANCE, "`{name}` is off by {error:e}");
    }
    assert_eq!(download(&optimizer, Field::Weights, "c").await, noise(5, 5));
}

/// A weight that nothing has pulled at yet divides no zero by zero.
async fn zero_gradients_move_no_weight(gpu: &Gpu) {
    let rules: Vec<Box<dyn Rule>> = vec![
        Box::new(Adagrad::default()),
        Box::new(RmsProp::default()),
        Box::new(RmsProp::default().momentum(0.9)),
        Box::new(RmsProp::default().centered(true)),
        Box::new(RmsProp::default().centered(true).momentum(0.9)),
        Box::new(Adadelta::default()),
        Box::new(Adam::default()),
        Box::new(Adam::default().amsgrad(true)),
        Box::new(Adamax::default()),
        Box::new(NAdam::default()),
        Box::new(RAdam::default()),
        Box::new(AdaBelief::default()),
        Box::new(AdaBelief::default().eps_root(0.0)),
        Box::new(Lion::default().weight_decay(0.0)),
    ];
    for rule in rules {
        let name = rule.name().to_owned();
        let builder = Optimizer::builder(rule).tensor("w", &[5]);
        let mut optimizer = builder.pipelines(&gpu.pipelines).build(&gpu.device, &gpu.queue).await.unwrap();
        optimizer.upload("w", &noise(5, 1)).unwrap();
        for _ in 0..STEPS {
            write_gradient(gpu, &optimizer, "w", &[0.0; 5]);
            submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        }
        let found = download(&optimizer, Field::Weights, "w").await;
        assert_eq!(found, noise(5, 1), "{name}");
    }
}
