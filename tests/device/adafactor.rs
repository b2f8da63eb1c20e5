//! AdaFactor, whose second moments are the driver's: against the f64 twin, and what is particular to them.

#[cfg(not(target_arch = "wasm32"))]
use crate::common::on_every_adapter;
use crate::common::{buffer, download, export, largest_error, noise, spared, submit, widen, write_gradient};
use lookahead_wgpu::{
    Accumulation, AdaptiveAlpha, Average, Clip, Error, Field, Group, Guard, Half, Lookahead, Optimizer,
    Options, Slice, StatePolicy,
    alpha::{GradientAt, Scope},
    gpu::Gpu,
    outer::Nesterov,
    rules::{AdaFactor, Adam},
    twin::Twin,
    wgpu,
};
#[cfg(not(target_arch = "wasm32"))]
use proptest::prelude::*;

on_devices!(
    the_kernels_agree_with_the_twin,
    long_dimensions_agree_with_the_twin,
    every_group_trains_as_if_alone,
    a_skipped_step_changes_no_bit,
    snapshots_hold_rows_and_columns,
    the_state_of_a_matrix_is_rows_and_columns,
    dispatches_do_not_grow_with_the_tensors,
    zero_gradients_move_no_weight,
);

/// Where weights and gradients lie.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Home {
    Owned,
    /// A buffer for each tensor's weights and one for its gradients.
    Separate,
    /// One buffer of everything, weights and gradients in turn.
    OnePool,
}

#[derive(Debug, Clone)]
struct Case {
    rule: AdaFactor,
    shapes: Vec<Vec<usize>>,
    lookahead: Option<Lookahead>,
    options: Options,
    home: Home,
}

impl Case {
    fn new(shapes: &[&[usize]]) -> Self {
        Self {
            rule: AdaFactor::new(0.05).min_dim_size_to_factor(2),
            shapes: shapes.iter().map(|shape| shape.to_vec()).collect(),
            lookahead: None,
            options: Options::default(),
            home: Home::Owned,
        }
    }

    fn lookahead(self, policy: StatePolicy) -> Self {
        Self { lookahead: Some(Lookahead::new(3, 0.4).policy(policy)), ..self }
    }

    fn lens(&self) -> Vec<usize> {
        self.shapes.iter().map(|shape| shape.iter().product()).collect()
    }

    fn start(&self) -> Vec<Vec<f32>> {
        self.lens().into_iter().zip(100..).map(|(len, seed)| noise(len, seed)).collect()
    }

    /// Gradients that bf16 holds too.
    fn gradients(&self, step: u64) -> Vec<Vec<f32>> {
        let bf16 = |value: f32| f32::from_bits(value.to_bits() & 0xffff_0000);
        let of = |(len, tensor)| noise(len, 1000 * (step + 1) + tensor).into_iter().map(bf16).collect();
        self.lens().into_iter().zip(0..).map(of).collect()
    }
}

struct Model {
    optimizer: Optimizer,
    names: Vec<String>,
    /// Each tensor's weights and gradients, where they are the caller's.
    places: Vec<(Slice, Slice)>,
    half: bool,
}

impl Model {
    async fn new(gpu: &Gpu, case: &Case) -> Self {
        Self::try_new(gpu, case).await.unwrap()
    }

    async fn try_new(gpu: &Gpu, case: &Case) -> Result<Self, Error> {
        let buffer = |values: u64| buffer(gpu, 4 * values);
        let slice = |buffer: &wgpu::Buffer, at: u64, len: u64| Slice::new(buffer, 4 * at, 4 * len);
        let lens: Vec<u64> = case.lens().into_iter().map(|len| len as u64).collect();
        let in_pool = lens.iter().filter(|_| case.home == Home::OnePool);
        let pool = buffer(1 + in_pool.map(|len| 2 * len + 3).sum::<u64>());
        let mut next = 1;
        let mut places = Vec::new();
        for &len in &lens {
            match case.home {
                Home::Owned => {}
                Home::Separate => {
                    places.push((slice(&buffer(len + 3), 1, len), slice(&buffer(len + 3), 2, len)));
                }
                Home::OnePool => {
                    places.push((slice(&pool, next, len), slice(&pool, next + len + 1, len)));
                    next += 2 * len + 3;
                }
            }
        }
        let names: Vec<_> = (0..lens.len()).map(|tensor| format!("t{tensor}")).collect();
        let mut builder = Optimizer::builder(case.rule.clone()).clip(case.options.clip);
        if let Some(lookahead) = case.lookahead {
            builder = builder.lookahead(lookahead);
        }
        let options = &case.options;
        builder = if let Some(adaptive) = options.adaptive { builder.adaptive(adaptive) } else { builder };
        builder = if let Some(average) = options.average { builder.average(average) } else { builder };
        builder = if let Some(some) = options.accumulate { builder.accumulate(some) } else { builder };
        builder = if options.centralise { builder.centralise() } else { builder };
        builder = if let Some(guard) = options.guard { builder.guard(guard) } else { builder };
        builder = if let Some(half) = options.half_weights { builder.half_weights(half) } else { builder };
        builder =
            if let Some(half) = options.half_gradients { builder.half_gradients(half) } else { builder };
        if options.outer.name() == "nesterov" {
            builder = builder.outer(Nesterov { momentum: 0.9 });
        }
        for (tensor, shape) in case.shapes.iter().enumerate() {
            builder = match places.get(tensor) {
                None => builder.tensor(&names[tensor], shape),
                Some((weights, _)) => builder.borrowed(&names[tensor], shape, weights.clone()),
            };
        }
        let mut optimizer = builder.pipelines(&gpu.pipelines).build(&gpu.device, &gpu.queue).await?;
        for (name, values) in names.iter().zip(case.start()) {
            optimizer.upload(name, &values)?;
        }
        Ok(Self { optimizer, names, places, half: options.half_gradients.is_some() })
    }

    async fn step(&mut self, gpu: &Gpu, gradients: &[Vec<f32>]) {
        for (tensor, values) in gradients.iter().enumerate() {
            let slices = match self.places.get(tensor) {
                None => self.optimizer.buffers(Field::Gradients, &self.names[tensor]).unwrap(),
                Some((_, place)) => vec![place.clone()],
            };
            let mut bytes: Vec<u8> = if self.half {
                values.iter().flat_map(|value| ((value.to_bits() >> 16) as u16).to_le_bytes()).collect()
            } else {
                bytemuck::cast_slice(values).to_vec()
            };
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            let mut rest = bytes.as_slice();
            for slice in slices {
                let (head, tail) = rest.split_at(slice.size as usize);
                gpu.queue.write_buffer(&slice.buffer, slice.offset, head);
                rest = tail;
            }
        }
        if self.places.is_empty() {
            return submit(gpu, |encoder| self.optimizer.step(encoder)).unwrap();
        }
        let slices: Vec<_> =
            self.names.iter().zip(&self.places).map(|(name, (_, place))| (&**name, place.clone())).collect();
        let borrowed = self.optimizer.borrow_gradients(&slices).await.unwrap();
        submit(gpu, |encoder| self.optimizer.step_with(encoder, &borrowed)).unwrap();
    }

    async fn values(&self, field: Field<'_>, tensor: usize) -> Vec<f32> {
        download(&self.optimizer, field, &self.names[tensor]).await
    }
}

const STEPS: u64 = 7;

/// Weights of size 1, moved by at most 0.05 a step; moments of gradients of size 1. An adaptive alpha is a
/// quotient of sums, each rounded.
const TOLERANCE: f64 = 5e-6;

/// The largest error of weights, slow weights and moments.
async fn error(gpu: &Gpu, case: &Case) -> f64 {
    let mut model = Model::new(gpu, case).await;
    let start = case.start().iter().map(|values| widen(values)).collect();
    let mut twin = Twin::new(case.rule.clone(), start).options(case.options.clone()).shapes(&case.shapes);
    if let Some(lookahead) = case.lookahead {
        twin = twin.lookahead(lookahead);
    }
    for step in 0..STEPS {
        let gradients = case.gradients(step);
        model.step(gpu, &gradients).await;
        let wide: Vec<_> = gradients.iter().map(|values| widen(values)).collect();
        twin.step(&wide, case.rule.lr);
    }
    let mut worst = 0.0f64;
    for tensor in 0..case.shapes.len() {
        let mut close = async |field: Field<'_>, expected: &[f64]| {
            let error = largest_error(&model.values(field, tensor).await, expected);
            assert!(
                error < TOLERANCE,
                "{field} of {:?} is off by {error:e} in {case:?}",
                case.shapes[tensor]
            );
            worst = worst.max(error);
        };
        close(Field::Weights, &twin.weights[tensor]).await;
        let names: &[&str] = match twin.moments[tensor].len() {
            1 => &["exp_avg_sq"],
            _ => &["exp_avg_sq_row", "exp_avg_sq_col"],
        };
        for (axis, name) in names.iter().enumerate() {
            close(Field::State(name), &twin.moments[tensor][axis]).await;
            if case.lookahead.is_some_and(|lookahead| lookahead.policy == StatePolicy::Interpolate) {
                close(Field::SlowState(name), &twin.slow_moments[tensor][axis]).await;
            }
        }
        if case.rule.momentum > 0.0 {
            let mean: Vec<f64> = twin.state[tensor].iter().map(|state| state[0]).collect();
            close(Field::State("exp_avg"), &mean).await;
        }
        if case.lookahead.is_some() {
            close(Field::SlowWeights, &twin.slow_weights[tensor]).await;
        }
        if case.options.average.is_some() {
            close(Field::Average, &twin.average[tensor]).await;
        }
    }
    worst
}

/// Of one and no dimension, tall and wide, of three and four, with each pair of dimensions the largest.
const SHAPES: [&[usize]; 11] = [
    &[7],
    &[],
    &[3, 4],
    &[301, 5],
    &[3, 700],
    &[33, 129],
    &[5, 2, 7],
    &[2, 7, 5],
    &[7, 5, 2],
    &[6, 5, 3, 3],
    &[1, 9],
];

/// Each policy, home and clipping, with some of the others.
async fn the_kernels_agree_with_the_twin(gpu: &Gpu) {
    use StatePolicy::{Interpolate, Maintain, Reset};
    let with = |change: fn(&mut Case)| {
        let mut case = Case::new(&SHAPES);
        change(&mut case);
        case
    };
    let cases = [
        with(|_| ()),
        with(|case| case.home = Home::Separate).lookahead(Maintain),
        with(|case| case.home = Home::OnePool).lookahead(Interpolate),
        with(|case| case.rule = AdaFactor::new(0.05).relative_step(true).weight_decay(0.1)).lookahead(Reset),
        with(|case| {
            case.rule = case.rule.clone().clipping_threshold(None).multiply_by_parameter_scale(false);
            case.rule = case.rule.clone().momentum(0.9).decay_rate(0.5).eps(1e-3);
            case.options.clip = Clip::GlobalNorm(0.7);
        })
        .lookahead(Interpolate),
        with(|case| {
            case.options.clip = Clip::TensorNorm(0.5);
            case.options.centralise = true;
            case.options.accumulate = Some(Accumulation::mean(2));
            case.options.average = Some(Average::Ema { decay: 0.9 });
            case.home = Home::Separate;
        })
        .lookahead(Reset),
        with(|case| {
            case.options.clip = Clip::Value(0.3);
            case.options.guard = Some(Guard::default());
            case.options.half_gradients = Some(Half::Bf16);
            case.options.half_weights = Some(Half::Bf16);
        })
        .lookahead(Interpolate),
        with(|case| {
            let adaptive = AdaptiveAlpha::new(0.2).scope(Scope::Tensor).gradient(GradientAt::LastStep);
            case.options.adaptive = Some(adaptive);
        })
        .lookahead(Interpolate),
        with(|case| {
            case.options.adaptive = Some(AdaptiveAlpha::new(0.2));
            case.options.outer = std::sync::Arc::new(Nesterov { momentum: 0.9 });
            case.options.guard = Some(Guard::default());
        })
        .lookahead(Interpolate),
    ];
    for (number, case) in cases.iter().enumerate().filter(|_| !spared(gpu)) {
        println!("{:9.1e} case {number} on {}", error(gpu, case).await, gpu.label());
    }
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn random_shapes_agree_with_the_twin() {
    let any = prop::collection::vec(prop::collection::vec(1usize..25, 0..5), 1..9);
    // Such that four values side by side have one entry by one dimension: matrices, batches of them, and vectors.
    let even = prop_oneof![
        (1usize..25, 1usize..7).prop_map(|(rows, fours)| vec![rows, 4 * fours]),
        (1usize..4, 1usize..7, 1usize..7).prop_map(|(batch, rows, fours)| vec![batch, 4 * rows, 4 * fours]),
        (1usize..300).prop_map(|len| vec![len]),
    ];
    let shapes = prop_oneof![any, prop::collection::vec(even, 1..9)];
    let homes = prop::sample::select(vec![Home::Owned, Home::Separate, Home::OnePool]);
    on_every_adapter(|gpu| {
        let config = ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() };
        proptest!(config, |(shapes in &shapes, home in &homes, least in 1usize..5)| {
            let rule = AdaFactor::new(0.05).min_dim_size_to_factor(least);
            let case = Case { rule, shapes, home, ..Case::new(&[]) };
            if spared(gpu) {
                return Ok(());
            }
            let worst = pollster::block_on(error(gpu, &case));
            prop_assert!(worst < TOLERANCE);
        });
    });
}

/// Sums over many workgroups, and moments over several.
async fn long_dimensions_agree_with_the_twin(gpu: &Gpu) {
    let case = Case::new(&[&[20_000], &[5000, 3], &[3, 17_001], &[130, 150], &[600, 256], &[2, 700, 12]]);
    println!("{:9.1e} on {}", error(gpu, &case).await, gpu.label());
}

/// Tensors that no binding holds whole, cut wherever it comes. No browser gives a device with limits
/// below WebGPU's own, at which such tensors are too large for a test.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn tensors_in_pieces_agree_with_the_twin() {
    on_every_adapter(|gpu| {
        let limits = wgpu::Limits { max_storage_buffer_binding_size: 32 << 10, ..gpu.device.limits() };
        let small = pollster::block_on(Gpu::with_limits(&gpu.adapter, limits)).unwrap();
        for home in [Home::Owned, Home::Separate, Home::OnePool] {
            let case = Case { home, ..Case::new(&[&[90, 131], &[40, 9, 35], &[3], &[100, 4, 60]]) };
            println!("{:9.1e} {home:?} on {}", pollster::block_on(error(&small, &case)), gpu.label());
        }
        let large = Case::new(&[&[9000]]);
        let refused = pollster::block_on(Model::try_new(&small, &large)).err().unwrap();
        assert!(matches!(refused, Error::Limit { .. }), "{refused}");
    });
}

/// Beside a group with another rule and one with other settings of the same.
async fn every_group_trains_as_if_alone(gpu: &Gpu) {
    let first = AdaFactor::new(0.05).min_dim_size_to_factor(3);
    let last = AdaFactor::new(0.1).min_dim_size_to_factor(2).eps(1e-3).decay_rate(0.6);
    let lookahead = Lookahead::new(3, 0.5).policy(StatePolicy::Interpolate);
    let mut optimizer = Optimizer::builder(first.clone())
        .lookahead(lookahead)
        .group(Group::new("adam").rule(Adam::new(0.01)))
        .group(Group::new("last").rule(last.clone()).k(2).alpha(0.8))
        .tensor("a", &[5, 6])
        .tensor_in("last", "b", &[4, 3])
        .tensor_in("adam", "c", &[9])
        .tensor("d", &[2, 9])
        .pipelines(&gpu.pipelines)
        .build(&gpu.device, &gpu.queue)
        .await
        .unwrap();
    let shapes = [("a", [5, 6]), ("b", [4, 3]), ("d", [2, 9])];
    let start = |[a, b]: [usize; 2]| noise(a * b, (a + b) as u64);
    let twin = |rule: &AdaFactor, shape: [usize; 2], lookahead| {
        let twin = Twin::new(rule.clone(), vec![widen(&start(shape))]);
        twin.shapes(&[shape.to_vec()]).lookahead(lookahead)
    };
    let other = lookahead.k(2).alpha(0.8);
    let mut twins = [
        (first.lr, twin(&first, [5, 6], lookahead)),
        (last.lr, twin(&last, [4, 3], other)),
        (first.lr, twin(&first, [2, 9], lookahead)),
    ];
    for (name, shape) in shapes {
        optimizer.upload(name, &start(shape)).unwrap();
    }
    for step in 0..STEPS {
        for ((name, [a, b]), (lr, twin)) in shapes.into_iter().zip(&mut twins) {
            let gradient = noise(a * b, 100 * (step + 1) + a as u64);
            write_gradient(gpu, &optimizer, name, &gradient);
            twin.step(&[widen(&gradient)], *lr);
        }
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
    }
    for ((name, _), (_, twin)) in shapes.into_iter().zip(&twins) {
        let found = download(&optimizer, Field::Weights, name).await;
        let error = largest_error(&found, &twin.weights[0]);
        assert!(error < TOLERANCE, "`{name}` is off by {error:e}");
    }
    let unknown = optimizer.download(Field::State("exp_avg_sq"), "a").await.unwrap_err();
    assert!(unknown.to_string().contains("state.exp_avg_sq_row"), "{unknown}");
}

/// A step whose gradient is not finite changes no bit, be it of the factored state, and the next one goes on.
async fn a_skipped_step_changes_no_bit(gpu: &Gpu) {
    for policy in [StatePolicy::Maintain, StatePolicy::Interpolate, StatePolicy::Reset] {
        if spared(gpu) {
            continue;
        }
        let mut case = Case::new(&[&[6, 7], &[5]]).lookahead(policy);
        case.options.guard = Some(Guard::default());
        let mut with = Model::new(gpu, &case).await;
        let mut without = Model::new(gpu, &case).await;
        for step in 0..STEPS {
            let gradients = case.gradients(step);
            let before = export(&with.optimizer).await;
            let mut bad = gradients.clone();
            bad[(step % 2) as usize][3] = if step < 4 { f32::NAN } else { f32::INFINITY };
            with.step(gpu, &bad).await;
            let after = export(&with.optimizer).await;
            assert_eq!(after.tensors, before.tensors, "{policy:?}, step {step}");
            with.step(gpu, &gradients).await;
            without.step(gpu, &gradients).await;
        }
        let (with, without) = (export(&with.optimizer).await, export(&without.optimizer).await);
        assert_eq!(with.tensors, without.tensors, "{policy:?}");
    }
}

/// A run that is exported and imported goes on to the same bits.
async fn snapshots_hold_rows_and_columns(gpu: &Gpu) {
    let case = Case::new(&[&[6, 7], &[5]]).lookahead(StatePolicy::Interpolate);
    let mut whole = Model::new(gpu, &case).await;
    for step in 0..4 {
        whole.step(gpu, &case.gradients(step)).await;
    }
    let snapshot = export(&whole.optimizer).await;
    let lens = |tensor: usize| -> Vec<(&str, usize)> {
        let fields = &snapshot.tensors[tensor].fields;
        fields.iter().map(|(name, values)| (name.as_str(), values.len())).collect()
    };
    let rows = [("state.exp_avg_sq_row", 6), ("state.exp_avg_sq_col", 7)];
    assert_eq!(lens(0)[2..4], rows);
    assert_eq!(lens(0)[4..], [("slow_state.exp_avg_sq_row", 6), ("slow_state.exp_avg_sq_col", 7)]);
    assert_eq!(lens(1)[2..], [("state.exp_avg_sq", 5), ("slow_state.exp_avg_sq", 5)]);
    let mut other = Model::new(gpu, &case).await;
    other.optimizer.import(&snapshot).unwrap();
    for step in 4..STEPS {
        whole.step(gpu, &case.gradients(step)).await;
        other.step(gpu, &case.gradients(step)).await;
    }
    assert_eq!(export(&whole.optimizer).await, export(&other.optimizer).await);
    let mut short = snapshot.clone();
    short.tensors[0].fields[2].1.pop();
    let refused = other.optimizer.import(&short).unwrap_err();
    assert!(matches!(refused, Error::Snapshot { .. }), "{refused}");
}

async fn the_state_of_a_matrix_is_rows_and_columns(gpu: &Gpu) {
    let mut case = Case::new(&[&[1024, 1024]]);
    case.rule = AdaFactor::new(0.01);
    let memory = Model::new(gpu, &case).await.optimizer.memory();
    assert_eq!((memory.state, memory.slow_state), (4 * (1024 + 1024), 0));
    assert!(memory.controls < memory.weights / 4, "{memory}");
    let case = case.lookahead(StatePolicy::Interpolate);
    let memory = Model::new(gpu, &case).await.optimizer.memory();
    assert_eq!((memory.state, memory.slow_state), (4 * 2048, 4 * 2048));
    // Too small to be factored.
    let memory = Model::new(gpu, &Case { shapes: vec![vec![100, 200]], ..case }).await.optimizer.memory();
    assert_eq!(memory.state, 4 * 100 * 200);
}

async fn dispatches_do_not_grow_with_the_tensors(gpu: &Gpu) {
    let few = Model::new(gpu, &Case::new(&[&[3, 4]])).await.optimizer.dispatches();
    let many = Case::new(&[[3, 4].as_slice(), &[5]].repeat(60));
    assert_eq!((few, Model::new(gpu, &many).await.optimizer.dispatches()), (1, 1));
    println!("{:9.1e} of 120 tensors on {}", error(gpu, &many).await, gpu.label());
}

/// Weights without a gradient, by row, by column or at all, stay.
async fn zero_gradients_move_no_weight(gpu: &Gpu) {
    let case = Case::new(&[&[3, 4], &[5]]);
    let mut model = Model::new(gpu, &case).await;
    let mut matrix = vec![0.0; 12];
    matrix[5] = 100.0;
    for _ in 0..3 {
        model.step(gpu, &[matrix.clone(), vec![0.0; 5]]).await;
    }
    let (found, start) = (model.values(Field::Weights, 0).await, case.start());
    for (index, (found, start)) in found.iter().zip(&start[0]).enumerate() {
        assert_eq!(found == start, index != 5, "weight {index} went from {start} to {found}");
    }
    assert_eq!(model.values(Field::Weights, 1).await, start[1]);
}

#[test]
fn settings_out_of_range_are_refused() {
    let rule = || AdaFactor::new(0.1);
    for (rule, name) in [
        (rule().eps(0.0), "eps"),
        (rule().eps(1e-40), "eps"),
        (rule().decay_rate(0.0), "decay_rate"),
        (rule().min_dim_size_to_factor(0), "min_dim_size_to_factor"),
        (rule().clipping_threshold(Some(0.0)), "clipping_threshold"),
        (rule().momentum(1.0), "momentum"),
        (rule().weight_decay(-1.0), "weight_decay"),
        (AdaFactor::new(f64::NAN), "lr"),
    ] {
        let refused = lookahead_wgpu::kernels::check(&rule).unwrap_err();
        assert!(matches!(&refused, Error::Hyperparameter { name: found, .. } if found == name), "{refused}");
    }
}
