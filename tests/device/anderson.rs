//! Anderson acceleration: coefficients and trajectories of numpy's, the f64 twin's, and what becomes of a cycle.

use crate::{
    common::{self, download, largest_error, noise, spared, submit, widen, write_gradient},
    runs::Problem,
};
use lookahead_wgpu::{
    Accumulation, Anderson, Average, Builder, Clip, Error, Field, Group, Guard, ImportOptions, Lookahead,
    Optimizer, Options, Rule, StatePolicy,
    alpha::Scope,
    gpu::Gpu,
    rules::{self, AdaFactor, Adam, AdamW, Sgd},
    twin::Twin,
};
use serde::Deserialize;
use serde_json::{Map, Value};

on_devices!(
    coefficients_are_those_of_numpy,
    trajectories_are_those_of_numpy,
    whatever_goes_with_it_agrees_with_the_twin,
    a_quadratic_ends_in_one_cycle,
    one_column_is_lookahead,
    each_group_and_tensor_can_have_its_own,
    what_cannot_be_combined_takes_the_fixed_step,
    a_sync_between_steps_takes_the_fixed_step,
    a_frozen_group_keeps_its_iterates,
    k_can_change_between_cycles,
    a_cycle_under_way_begins_and_ends_with_an_import,
    a_guard_keeps_iterates_by_the_steps_that_it_takes,
    a_guarded_cycle_goes_on_from_a_snapshot,
    a_guarded_sync_without_all_iterates_is_fixed,
);

/// `tests/golden/anderson.json`, which `anderson.py` wrote.
#[derive(Deserialize)]
struct File {
    coefficients: Vec<Case>,
    problem: Problem,
    runs: Vec<Run>,
}

/// Iterates, by the numbers that they are made from, and their coefficients.
#[derive(Deserialize)]
struct Case {
    values: usize,
    columns: u32,
    spread: i64,
    seed: u32,
    power: i32,
    regularisation: f64,
    condition: f64,
    c: Vec<f64>,
}

/// A trajectory.
#[derive(Deserialize)]
struct Run {
    rule: String,
    hyper: Map<String, Value>,
    policy: StatePolicy,
    k: u32,
    alpha: f64,
    columns: u32,
    stride: u32,
    regularisation: f64,
    x: Vec<Vec<f64>>,
}

fn file() -> File {
    serde_json::from_str(include_str!("../golden/anderson.json")).unwrap()
}

impl Case {
    /// The iterates, as `anderson.py` makes them: exact in f32, as are their differences.
    fn iterates(&self) -> Vec<Vec<f32>> {
        let mut state = self.seed;
        let mut between = |most: i64| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            i64::from(state >> 8) % (2 * most + 1) - most
        };
        let mut point: Vec<i64> = (0..self.values).map(|_| between(1 << 19)).collect();
        let common: Vec<i64> = (0..self.values).map(|_| between(2000)).collect();
        let mut all = vec![point.clone()];
        for factor in &[16, 15, 13, 12, 10, 9, 8, 7][..self.columns as usize] {
            point
                .iter_mut()
                .zip(&common)
                .for_each(|(it, common)| *it += factor * common + between(self.spread));
            all.push(point.clone());
        }
        let scale = 2f32.powi(self.power);
        all.into_iter().map(|point| point.into_iter().map(|it| it as f32 * scale).collect()).collect()
    }
}

async fn built(gpu: &Gpu, builder: Builder) -> Optimizer {
    builder.pipelines(&gpu.pipelines).build(&gpu.device, &gpu.queue).await.unwrap()
}

async fn found(optimizer: &Optimizer) -> Vec<Option<Vec<f32>>> {
    optimizer.download_accelerations().await.unwrap()
}

/// A step of the tensor `w`.
fn step(gpu: &Gpu, optimizer: &mut Optimizer, gradient: &[f32]) {
    write_gradient(gpu, optimizer, "w", gradient);
    submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
}

/// R'R is of a condition up to 1e17, and lambda 1e-8: f32 would have no digit of them.
async fn coefficients_are_those_of_numpy(gpu: &Gpu) {
    for case in file().coefficients {
        if spared(gpu) {
            continue;
        }
        let points = case.iterates();
        let anderson = Anderson::new(case.columns).regularisation(case.regularisation);
        let builder = Optimizer::builder(Sgd::new(1.0)).lookahead(Lookahead::new(case.columns, 0.75));
        let mut optimizer = built(gpu, builder.anderson(anderson).tensor("w", &[case.values])).await;
        optimizer.upload("w", &points[0]).unwrap();
        for pair in points.windows(2) {
            let gradient: Vec<f32> = pair[0].iter().zip(&pair[1]).map(|(from, to)| from - to).collect();
            step(gpu, &mut optimizer, &gradient);
        }
        let what = format!("{} columns of {}, condition {:e}", case.columns, case.values, case.condition);
        for (step, point) in points[..points.len() - 1].iter().enumerate() {
            assert_eq!(
                download(&optimizer, Field::Iterate(step as u32), "w").await,
                *point,
                "{what}, {step}"
            );
        }
        let c = found(&optimizer).await.remove(0).unwrap();
        assert_eq!(c.len(), case.c.len(), "{what}");
        let error = largest_error(&c, &case.c);
        assert!(error < 1e-4, "{what}: {c:?}, not {:?}", case.c);
        let sum: f64 = widen(&c).iter().sum();
        assert!((sum - 1.0).abs() < 1e-5, "{what}: {sum}");
        let term = |index: usize, pair: &[Vec<f32>], c: &f64| {
            c * (0.25 * f64::from(pair[0][index]) + 0.75 * f64::from(pair[1][index]))
        };
        let value = |index| points.windows(2).zip(&case.c).map(|(pair, c)| term(index, pair, c)).sum::<f64>();
        // In units of the first iterate's numbers.
        let unit = 2f64.powi(-case.power - 19);
        let expected: Vec<f64> = (0..case.values).map(|index| unit * value(index)).collect();
        let weights = download(&optimizer, Field::Weights, "w").await;
        let weights: Vec<f32> = weights.iter().map(|it| (f64::from(*it) * unit) as f32).collect();
        let error = largest_error(&weights, &expected);
        assert!(error < 1e-4, "{what}: weights are off by {error:e}");
    }
}

async fn trajectories_are_those_of_numpy(gpu: &Gpu) {
    let File { problem, runs, .. } = file();
    let names = problem.names();
    for run in runs {
        if spared(gpu) {
            continue;
        }
        let rule: Box<dyn Rule> = rules::read(&run.rule, run.hyper.clone()).unwrap();
        let lookahead = Lookahead::new(run.k, run.alpha).policy(run.policy);
        let anderson = Anderson::new(run.columns).stride(run.stride).regularisation(run.regularisation);
        let builder = Optimizer::builder(rule).lookahead(lookahead).anderson(anderson);
        let builder = builder.tensor(&names[0], &[2, 3]).tensor(&names[1], &[3]);
        let mut optimizer = built(gpu, builder).await;
        for (name, values) in names.iter().zip(problem.split(&problem.x0)) {
            optimizer.upload(name, &values).unwrap();
        }
        let mut x: Vec<f64> = problem.x0.iter().map(|value| f64::from(*value as f32)).collect();
        for (step, expected) in run.x.iter().enumerate() {
            for (name, values) in names.iter().zip(problem.split(&problem.gradient(step, &x))) {
                write_gradient(gpu, &optimizer, name, &values);
            }
            submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
            let mut values = Vec::new();
            for name in &names {
                values.extend(download(&optimizer, Field::Weights, name).await);
            }
            // Each iterate is rounded to 1e-7, and R'R with a lambda of 1e-4 has a condition of 1e4.
            let error = largest_error(&values, expected);
            let what = format!("{} {:?}, {anderson:?}, {lookahead:?}", run.rule, run.hyper);
            assert!(error < 2e-4, "{what}: off by {error:e} after step {step}");
            x = widen(&values);
        }
    }
}

fn shapes() -> Vec<Vec<usize>> {
    vec![vec![5, 7], vec![130], vec![3, 4, 5], vec![1]]
}

fn name(tensor: usize) -> String {
    format!("t{tensor}")
}

fn values(seed: u64) -> Vec<Vec<f32>> {
    let of = |(shape, tensor): (&Vec<usize>, u64)| noise(shape.iter().product(), 100 * seed + tensor);
    shapes().iter().zip(0..).map(of).collect()
}

/// Trains both over two cycles and compares weights, slow weights, coefficients, and the average.
async fn compare(gpu: &Gpu, rule: impl Rule + Clone + 'static, lookahead: Lookahead, options: &Options) {
    if spared(gpu) {
        return;
    }
    let what = format!("{} {lookahead:?} {options:?}", rule.name());
    let lr = rule.learning_rate();
    let mut builder = Optimizer::builder(rule.clone()).lookahead(lookahead).options(options.clone());
    for (tensor, shape) in shapes().iter().enumerate() {
        builder = builder.tensor(&name(tensor), shape);
    }
    let mut optimizer = built(gpu, builder).await;
    for (tensor, values) in values(0).iter().enumerate() {
        optimizer.upload(&name(tensor), values).unwrap();
    }
    let start = values(0).iter().map(|values| widen(values)).collect();
    let mut twin = Twin::new(rule, start).shapes(&shapes()).options(options.clone()).lookahead(lookahead);
    for call in 0..u64::from(2 * twin.calls_in_a_cycle() + 1) {
        let gradients = values(call + 1);
        for (tensor, values) in gradients.iter().enumerate() {
            write_gradient(gpu, &optimizer, &name(tensor), values);
        }
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        twin.step(&gradients.iter().map(|values| widen(values)).collect::<Vec<_>>(), lr);
    }
    let close = async |field: Field<'_>, tensor: usize, expected: &[f64]| {
        let error = largest_error(&download(&optimizer, field, &name(tensor)).await, expected);
        assert!(error < 1e-4, "{what}: {field} of tensor {tensor} is off by {error:e}");
    };
    for tensor in 0..shapes().len() {
        close(Field::Weights, tensor, &twin.weights[tensor]).await;
        let is_half = options.slow_bf16;
        if !is_half {
            close(Field::SlowWeights, tensor, &twin.slow_weights[tensor]).await;
        }
        if options.average.is_some() {
            close(Field::Average, tensor, &twin.average[tensor]).await;
        }
    }
    let coefficients = found(&optimizer).await;
    assert_eq!(coefficients.len(), twin.accelerations.len(), "{what}");
    for (found, expected) in coefficients.iter().zip(&twin.accelerations) {
        let error = largest_error(found.as_ref().unwrap(), expected.as_ref().unwrap());
        // Residuals of a few values are almost alike: how iterates are rounded, 1e-6 of a residual, weighs 1/lambda there.
        assert!(error < 5e-3, "{what}: {found:?}, not {expected:?}");
    }
}

async fn whatever_goes_with_it_agrees_with_the_twin(gpu: &Gpu) {
    let options = |anderson: Anderson| Options::default().anderson(anderson.regularisation(1e-3));
    let lookahead = |policy| Lookahead::new(4, 0.6).policy(policy);
    let three = options(Anderson::new(3));
    for policy in StatePolicy::ALL {
        compare(gpu, Sgd::new(0.1).momentum(0.9), lookahead(policy), &three).await;
        compare(gpu, Adam::new(0.01).eps(1e-4), lookahead(policy), &three).await;
    }
    let maintain = lookahead(StatePolicy::Maintain);
    for scope in [Scope::Model, Scope::Group, Scope::Tensor] {
        compare(gpu, AdamW::new(0.01).eps(1e-4), maintain, &options(Anderson::new(2).scope(scope))).await;
    }
    compare(gpu, Sgd::new(0.1), maintain, &options(Anderson::new(2).stride(2))).await;
    compare(gpu, Sgd::new(0.1), Lookahead::new(9, 1.0), &options(Anderson::new(8))).await;
    compare(gpu, Sgd::new(0.1), Lookahead::new(1, 0.5), &options(Anderson::new(1))).await;
    compare(gpu, Sgd::new(0.1), maintain, &three.clone().average(Average::Ema { decay: 0.9 })).await;
    compare(gpu, Sgd::new(0.1), maintain, &three.clone().average(Average::Swa { every: 2, from: 1 })).await;
    compare(gpu, Sgd::new(0.1), maintain, &three.clone().accumulate(Accumulation::mean(2))).await;
    compare(gpu, Sgd::new(0.1), maintain, &three.clone().clip(Clip::GlobalNorm(0.5)).centralise(true)).await;
    compare(gpu, AdaFactor::new(0.01).min_dim_size_to_factor(3), lookahead(StatePolicy::Interpolate), &three)
        .await;
    // The slow weights that it stores are rounded, and no more.
    compare(gpu, Sgd::new(0.1), maintain, &three.clone().slow_bf16(true)).await;
}

/// Weights after so many cycles of gradient descent on `1/2 sum a_i (x_i - b_i)^2`, without noise.
async fn descended(gpu: &Gpu, dimensions: usize, columns: u32, cycles: u32) -> f64 {
    let a: Vec<f32> = (0..dimensions).map(|index| 1.0 / (1.0 + index as f32)).collect();
    let b: Vec<f32> = (0..dimensions).map(|index| 0.5 - 0.25 * index as f32).collect();
    let anderson = Anderson::new(columns).regularisation(1e-11);
    let builder =
        Optimizer::builder(Sgd::new(0.9)).lookahead(Lookahead::new(columns, 1.0)).anderson(anderson);
    let mut optimizer = built(gpu, builder.tensor("w", &[dimensions])).await;
    let mut x = vec![2.0; dimensions];
    optimizer.upload("w", &x).unwrap();
    for _ in 0..cycles * columns {
        let gradient: Vec<f32> = (0..dimensions).map(|index| a[index] * (x[index] - b[index])).collect();
        step(gpu, &mut optimizer, &gradient);
        x = download(&optimizer, Field::Weights, "w").await;
    }
    largest_error(&x, &widen(&b))
}

/// With more columns than dimensions the residuals can be combined to nothing, and then the combination is the minimum.
async fn a_quadratic_ends_in_one_cycle(gpu: &Gpu) {
    for (dimensions, columns, cycles) in [(1, 2, 1), (2, 3, 1), (3, 4, 1), (3, 5, 1), (3, 3, 4), (4, 4, 4)] {
        let error = descended(gpu, dimensions, columns, cycles).await;
        assert!(error < 1e-5, "{dimensions} dimensions, {columns} columns: off by {error:e}");
    }
    // Lookahead alone is far from it.
    assert!(descended(gpu, 3, 1, 4).await > 0.1);
}

/// Weights and slow weights after some steps, bit for bit.
async fn trained(gpu: &Gpu, builder: Builder, steps: u64) -> Vec<Vec<u32>> {
    let mut optimizer = built(gpu, builder.tensor("w", &[333])).await;
    optimizer.upload("w", &noise(333, 1)).unwrap();
    for number in 0..steps {
        step(gpu, &mut optimizer, &noise(333, 10 + number));
    }
    let mut all = Vec::new();
    for field in [Field::Weights, Field::SlowWeights] {
        all.push(download(&optimizer, field, "w").await.into_iter().map(f32::to_bits).collect());
    }
    all
}

async fn one_column_is_lookahead(gpu: &Gpu) {
    let makes: [fn() -> Box<dyn Rule>; 2] = [|| Box::new(Sgd::new(0.1)), || Box::new(Adam::new(0.01))];
    for make in makes {
        for lookahead in [Lookahead::new(4, 0.3), Lookahead::new(1, 0.7), Lookahead::new(3, 1.0)] {
            let builder = || Optimizer::builder(make()).lookahead(lookahead);
            let one = Anderson::new(1).stride(lookahead.k);
            let accelerated = trained(gpu, builder().anderson(one), 9).await;
            assert!(accelerated == trained(gpu, builder(), 9).await, "{lookahead:?}");
        }
    }
}

/// Two groups of different k, the second of two tensors.
async fn two_groups(gpu: &Gpu, scope: Scope) -> (Vec<Vec<f32>>, Vec<Option<Vec<f32>>>) {
    let anderson = Anderson::new(2).scope(scope);
    let builder = Optimizer::builder(Adam::new(0.01)).lookahead(Lookahead::new(3, 0.8)).anderson(anderson);
    let builder = builder.group(Group::new("g").k(2).alpha(0.4)).tensor("a", &[40]);
    let mut optimizer = built(gpu, builder.tensor_in("g", "b", &[300]).tensor_in("g", "c", &[7])).await;
    let tensors = [("a", 40), ("b", 300), ("c", 7)];
    for (name, len) in tensors {
        optimizer.upload(name, &noise(len, 1)).unwrap();
    }
    for number in 0..7 {
        for (name, len) in tensors {
            write_gradient(gpu, &optimizer, name, &noise(len, 10 + number));
        }
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
    }
    let mut all = Vec::new();
    for (name, _) in tensors {
        all.push(download(&optimizer, Field::Weights, name).await);
    }
    (all, found(&optimizer).await)
}

/// One group of them, alone.
async fn one_group(gpu: &Gpu, tensors: &[(&str, usize)], lookahead: Lookahead) -> (Vec<Vec<f32>>, Vec<f32>) {
    let mut builder = Optimizer::builder(Adam::new(0.01)).lookahead(lookahead).anderson(Anderson::new(2));
    for (name, len) in tensors {
        builder = builder.tensor(name, &[*len]);
    }
    let mut optimizer = built(gpu, builder).await;
    for (name, len) in tensors {
        optimizer.upload(name, &noise(*len, 1)).unwrap();
    }
    for number in 0..7 {
        for (name, len) in tensors {
            write_gradient(gpu, &optimizer, name, &noise(*len, 10 + number));
        }
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
    }
    let mut all = Vec::new();
    for (name, _) in tensors {
        all.push(download(&optimizer, Field::Weights, name).await);
    }
    (all, found(&optimizer).await.remove(0).unwrap())
}

async fn each_group_and_tensor_can_have_its_own(gpu: &Gpu) {
    if spared(gpu) {
        return;
    }
    let (first, second) = (Lookahead::new(3, 0.8), Lookahead::new(2, 0.4));
    let (a, of_a) = one_group(gpu, &[("a", 40)], first).await;
    let (b, of_b) = one_group(gpu, &[("b", 300)], second).await;
    let (c, of_c) = one_group(gpu, &[("c", 7)], second).await;
    let (both, of_both) = one_group(gpu, &[("b", 300), ("c", 7)], second).await;
    assert_ne!(of_b, of_both);
    let (weights, coefficients) = two_groups(gpu, Scope::Group).await;
    assert_eq!(coefficients, [Some(of_a.clone()), Some(of_both.clone())]);
    assert!(weights == [a.clone(), both.clone()].concat());
    let (weights, coefficients) = two_groups(gpu, Scope::Tensor).await;
    assert_eq!(coefficients, [Some(of_a), Some(of_b), Some(of_c)]);
    assert!(weights == [a, b, c].concat());
    // The model's are those of what synchronises together: after steps 2 and 4 the second group alone.
    let (weights, coefficients) = two_groups(gpu, Scope::Model).await;
    assert_eq!(coefficients.len(), 1);
    assert!(coefficients[0].as_ref().is_some_and(|found| *found != of_both), "{coefficients:?}");
    assert!(weights[1] != both[0]);
}

/// An optimizer of one tensor with Anderson acceleration, or without.
async fn short(gpu: &Gpu, anderson: Option<Anderson>) -> Optimizer {
    let options = Options::default().anderson(anderson);
    let builder = Optimizer::builder(Sgd::new(0.5)).lookahead(Lookahead::new(3, 0.4)).options(options);
    let mut optimizer = built(gpu, builder.tensor("w", &[5])).await;
    optimizer.upload("w", &noise(5, 1)).unwrap();
    optimizer
}

/// Bits of the weights.
async fn bits(optimizer: &Optimizer) -> Vec<u32> {
    download(optimizer, Field::Weights, "w").await.into_iter().map(f32::to_bits).collect()
}

async fn what_cannot_be_combined_takes_the_fixed_step(gpu: &Gpu) {
    for value in [0.0, f32::INFINITY, f32::NAN, 1e38] {
        let mut optimizer = short(gpu, Some(Anderson::new(2))).await;
        let mut plain = short(gpu, None).await;
        assert_eq!(found(&optimizer).await, [None]);
        // One weight alone overflows: the others are where Lookahead has them.
        let mut gradient = [0.0; 5];
        gradient[2] = value;
        for sign in [1.0, -8.0, 8.0] {
            let gradient = gradient.map(|it| it * sign);
            step(gpu, &mut optimizer, &gradient);
            step(gpu, &mut plain, &gradient);
        }
        assert_eq!(found(&optimizer).await, [None], "{value}");
        if value == 0.0 {
            assert_eq!(bits(&optimizer).await, bits(&plain).await);
        } else {
            let [here, there] = [bits(&optimizer).await, bits(&plain).await];
            assert_eq!([here[0], here[1], here[3]], [there[0], there[1], there[3]], "{value}");
        }
    }
    // What was found stays to be read where nothing moved since.
    let mut optimizer = short(gpu, Some(Anderson::new(2))).await;
    (0..3).for_each(|number| step(gpu, &mut optimizer, &noise(5, number)));
    let first = found(&optimizer).await;
    assert!(first[0].is_some());
    (0..3).for_each(|_| step(gpu, &mut optimizer, &[0.0; 5]));
    assert_eq!(found(&optimizer).await, first);
}

async fn a_sync_between_steps_takes_the_fixed_step(gpu: &Gpu) {
    let mut optimizer = short(gpu, Some(Anderson::new(2))).await;
    let mut plain = short(gpu, None).await;
    for number in 0..2 {
        for optimizer in [&mut optimizer, &mut plain] {
            step(gpu, optimizer, &noise(5, number));
        }
    }
    for optimizer in [&mut optimizer, &mut plain] {
        submit(gpu, |encoder| optimizer.sync_now(encoder)).unwrap();
    }
    assert_eq!(bits(&optimizer).await, bits(&plain).await);
    assert_eq!(found(&optimizer).await, [None]);
    // The next cycle is whole, and what it found serves no sync but its own.
    (0..5).for_each(|number| step(gpu, &mut optimizer, &noise(5, 5 + number)));
    assert!(found(&optimizer).await[0].is_some());
    let (phi, theta) = (
        download(&optimizer, Field::SlowWeights, "w").await,
        download(&optimizer, Field::Weights, "w").await,
    );
    submit(gpu, |encoder| optimizer.sync_now(encoder)).unwrap();
    let expected: Vec<f64> =
        phi.iter().zip(&theta).map(|(phi, theta)| f64::from(*theta) + 0.6 * f64::from(phi - theta)).collect();
    let error = largest_error(&download(&optimizer, Field::Weights, "w").await, &expected);
    assert!(error < 1e-6, "off by {error:e}");
}

/// Frozen after its first step, a group stays for two residuals and goes on for the last.
async fn a_frozen_group_keeps_its_iterates(gpu: &Gpu) {
    let builder = Optimizer::builder(Sgd::new(0.5)).lookahead(Lookahead::new(4, 0.4));
    let builder = builder.anderson(Anderson::new(4)).group(Group::new("g")).tensor("a", &[6]);
    let mut optimizer = built(gpu, builder.tensor_in("g", "w", &[5])).await;
    let start = noise(5, 1);
    optimizer.upload("w", &start).unwrap();
    let gradients: Vec<Vec<f32>> = (0..4).map(|number| noise(5, 10 + number)).collect();
    for (number, gradient) in gradients.iter().enumerate() {
        optimizer.set_frozen("g", number == 1 || number == 2).unwrap();
        write_gradient(gpu, &optimizer, "a", &noise(6, 20 + number as u64));
        step(gpu, &mut optimizer, gradient);
    }
    let moved = |from: &[f32], by: &[f32]| from.iter().zip(by).map(|(x, g)| x - 0.5 * g).collect::<Vec<_>>();
    let first = moved(&start, &gradients[0]);
    for (step, expected) in [start, first.clone(), first.clone(), first].iter().enumerate() {
        assert_eq!(download(&optimizer, Field::Iterate(step as u32), "w").await, *expected, "{step}");
    }
    assert!(found(&optimizer).await[0].is_some());
}

async fn k_can_change_between_cycles(gpu: &Gpu) {
    let mut optimizer = short(gpu, Some(Anderson::new(2))).await;
    (0..3).for_each(|number| step(gpu, &mut optimizer, &noise(5, number)));
    let error = optimizer.set_k("default", 1).unwrap_err();
    assert!(matches!(&error, Error::Hyperparameter { name, value: 1.0, .. } if name == "k"), "{error}");
    optimizer.set_k("default", 5).unwrap();
    let mut points = vec![];
    for number in 0..5 {
        points.push(download(&optimizer, Field::Weights, "w").await);
        step(gpu, &mut optimizer, &noise(5, 5 + number));
    }
    for step in [3, 4] {
        let kept = download(&optimizer, Field::Iterate(step), "w").await;
        assert_eq!(kept, points[step as usize]);
    }
    assert!(optimizer.download(Field::Iterate(1), "w").await.is_err());
}

async fn a_cycle_under_way_begins_and_ends_with_an_import(gpu: &Gpu) {
    let (mut optimizer, mut plain) = (short(gpu, Some(Anderson::new(3))).await, short(gpu, None).await);
    for optimizer in [&mut optimizer, &mut plain] {
        (0..2).for_each(|number| step(gpu, optimizer, &noise(5, number)));
    }
    let [with, without] = [common::export(&optimizer).await, common::export(&plain).await];
    let mut other = short(gpu, Some(Anderson::new(3))).await;
    let told = other.import(&without).unwrap_err().to_string();
    assert!(told.contains("`iterate.0`") && told.contains("begin_anderson()"), "{told}");
    other.import_with(&without, ImportOptions::new().begin_anderson()).unwrap();
    let told = plain.import(&with).unwrap_err().to_string();
    assert!(told.contains("`iterate.0`") && told.contains("end_anderson()"), "{told}");
    let mut ended = short(gpu, None).await;
    ended.import_with(&with, ImportOptions::new().end_anderson()).unwrap();
    for optimizer in [&mut other, &mut plain, &mut ended] {
        step(gpu, optimizer, &noise(5, 2));
    }
    assert_eq!(bits(&ended).await, bits(&plain).await);
    // Of other kernels, whose sums a device may round otherwise.
    let expected = widen(&download(&plain, Field::Weights, "w").await);
    assert!(largest_error(&download(&other, Field::Weights, "w").await, &expected) < 1e-6);
    assert_eq!(found(&other).await, [None]);
    // At the start of a cycle there is nothing to tell.
    let snapshot = common::export(&plain).await;
    optimizer.import(&snapshot).unwrap();
    (0..3).for_each(|number| step(gpu, &mut optimizer, &noise(5, 5 + number)));
    assert!(found(&optimizer).await[0].is_some());
}

/// Guarded, with what `with` adds.
async fn guarded(gpu: &Gpu, anderson: Anderson, k: u32, with: impl Fn(Builder) -> Builder) -> Optimizer {
    let builder = Optimizer::builder(Adam::new(0.05)).lookahead(Lookahead::new(k, 0.7)).anderson(anderson);
    let builder = builder.guard(Guard::default()).tensor("w", &[333]).tensor("v", &[7]);
    let mut optimizer = built(gpu, with(builder)).await;
    optimizer.upload("w", &noise(333, 1)).unwrap();
    optimizer
}

fn guarded_step(gpu: &Gpu, optimizer: &mut Optimizer, number: u64) {
    write_gradient(gpu, optimizer, "v", &noise(7, 50 + number));
    step(gpu, optimizer, &noise(333, 10 + number));
}

/// A step that a guard skips.
fn skipped_step(gpu: &Gpu, optimizer: &mut Optimizer) {
    step(gpu, optimizer, &[f32::NAN; 333]);
}

/// Weights, slow weights and coefficients, bit for bit.
async fn all_bits(optimizer: &Optimizer) -> Vec<Vec<u32>> {
    let mut all = vec![];
    for (field, name) in [(Field::Weights, "w"), (Field::SlowWeights, "w"), (Field::Weights, "v")] {
        all.push(download(optimizer, field, name).await.into_iter().map(f32::to_bits).collect());
    }
    let found = found(optimizer).await.into_iter().flatten().flatten();
    all.push(found.map(f32::to_bits).collect());
    all
}

/// Columns, k, and what is built besides.
type GuardedCase = (Anderson, u32, fn(Builder) -> Builder);

// Faults: iterates kept by the host's count; a plane that a skipped step takes; coefficients of a step that has no sync.
async fn a_guard_keeps_iterates_by_the_steps_that_it_takes(gpu: &Gpu) {
    let reset = |builder: Builder| builder.lookahead(Lookahead::new(5, 0.7).policy(StatePolicy::Reset));
    let tried = |builder: Builder| builder.guard(Guard::default().check_updates());
    let cases: [GuardedCase; 5] = [
        (Anderson::new(3), 5, |builder| builder),
        (Anderson::new(2).stride(2), 5, |builder| builder.clip(Clip::GlobalNorm(1.0))),
        (Anderson::new(3).scope(Scope::Tensor), 3, |builder| builder),
        (Anderson::new(4), 5, reset),
        (Anderson::new(2), 4, tried),
    ];
    for (number, (anderson, k, with)) in cases.into_iter().enumerate() {
        let mut optimizer = guarded(gpu, anderson, k, with).await;
        let mut other = guarded(gpu, anderson, k, with).await;
        let options = |builder: Builder| with(builder).options(Options::default().anderson(anderson));
        let mut plain = guarded(gpu, anderson, k, options).await;
        assert!(plain.loss_scale().is_none());
        for at in 0..13 {
            for optimizer in [&mut optimizer, &mut other, &mut plain] {
                guarded_step(gpu, optimizer, at);
            }
            for _ in 0..[1, 0, 0, 2, 0, 1, 0][at as usize % 7] {
                skipped_step(gpu, &mut optimizer);
            }
            assert!(all_bits(&optimizer).await == all_bits(&other).await, "case {number}, step {at}");
        }
        assert!(found(&optimizer).await[0].is_some(), "case {number}");
        if number != 1 {
            let expected = widen(&download(&plain, Field::SlowWeights, "w").await);
            let error = largest_error(&download(&optimizer, Field::SlowWeights, "w").await, &expected);
            assert!(error < 1e-3, "case {number}: {error}");
        }
    }
}

// Faults: iterates that a skipped step has not kept are in the snapshot; those that there are count as missing.
async fn a_guarded_cycle_goes_on_from_a_snapshot(gpu: &Gpu) {
    for at in 1..6 {
        let built = async || guarded(gpu, Anderson::new(3), 5, |builder| builder).await;
        let (mut whole, mut cut) = (built().await, built().await);
        for number in 0..10 {
            guarded_step(gpu, &mut whole, number);
        }
        for number in 0..at {
            guarded_step(gpu, &mut cut, number);
            skipped_step(gpu, &mut cut);
        }
        let snapshot = common::export(&cut).await;
        let kept = snapshot.tensors[0].fields.iter().filter(|(name, _)| name.starts_with("iterate")).count();
        // Those of the third to fifth step, before these.
        assert_eq!(kept as u64, [0, 0, 0, 1, 2, 0][at as usize], "after {at} steps");
        let mut resumed = built().await;
        resumed.import(&snapshot).unwrap();
        for number in at..10 {
            skipped_step(gpu, &mut resumed);
            guarded_step(gpu, &mut resumed, number);
        }
        assert!(all_bits(&resumed).await == all_bits(&whole).await, "after {at} steps");
    }
}

async fn a_guarded_sync_without_all_iterates_is_fixed(gpu: &Gpu) {
    let mut optimizer = guarded(gpu, Anderson::new(3), 4, |builder| builder).await;
    let plain = |builder: Builder| builder.options(Options::default().guard(Guard::default()));
    let mut fixed = guarded(gpu, Anderson::new(3), 4, plain).await;
    for optimizer in [&mut optimizer, &mut fixed] {
        (0..2).for_each(|number| guarded_step(gpu, optimizer, number));
    }
    let mut begun = guarded(gpu, Anderson::new(3), 4, |builder| builder).await;
    let snapshot = common::export(&fixed).await;
    begun.import_with(&snapshot, ImportOptions::new().begin_anderson()).unwrap();
    for optimizer in [&mut begun, &mut fixed] {
        (2..4).for_each(|number| guarded_step(gpu, optimizer, number));
    }
    let expected = widen(&download(&fixed, Field::Weights, "w").await);
    assert!(largest_error(&download(&begun, Field::Weights, "w").await, &expected) < 1e-6);
    assert_eq!(found(&begun).await, [None]);
    // The next cycle is whole, and between steps the fixed step is taken.
    (4..8).for_each(|number| guarded_step(gpu, &mut begun, number));
    assert!(found(&begun).await[0].is_some());
    submit(gpu, |encoder| optimizer.sync_now(encoder)).unwrap();
    assert_eq!(found(&optimizer).await, [None]);
    assert!(matches!(optimizer.set_k("default", 6), Err(Error::Guarded { call: "set_k" })));
}

/// In many windows, in the caller's buffers, and however kernels are cut, it is the same.
#[cfg(not(target_arch = "wasm32"))]
mod homes {
    use super::*;
    use crate::common::{buffer, on_every_adapter};
    use lookahead_wgpu::{Shape, Slice, wgpu};

    const LENS: [(&str, usize); 3] = [("a", 5000), ("b", 3001), ("c", 20_001)];

    /// The weights and coefficients after three cycles.
    fn run(gpu: &Gpu, shape: Shape, is_borrowed: bool, at: u64) -> (Vec<Vec<f32>>, Vec<f32>) {
        let mut builder = Optimizer::builder(Adam::new(0.01)).lookahead(Lookahead::new(3, 0.8));
        let mut slices = vec![];
        for (name, len) in LENS {
            let (weights, gradients) = (buffer(gpu, 4 * len as u64 + at), buffer(gpu, 4 * len as u64 + at));
            let slice = |buffer: &wgpu::Buffer| Slice::new(buffer, at, 4 * len as u64);
            builder = match is_borrowed {
                true => builder.borrowed(name, &[len], slice(&weights)),
                false => builder.tensor(name, &[len]),
            };
            slices.push((name, slice(&gradients)));
        }
        let builder = builder.anderson(Anderson::new(3)).shape(shape).pipelines(&gpu.pipelines);
        let mut optimizer = builder.build_blocking(&gpu.device, &gpu.queue).unwrap();
        LENS.iter().for_each(|(name, len)| optimizer.upload(name, &noise(*len, 1)).unwrap());
        let gradients = is_borrowed.then(|| optimizer.borrow_gradients_blocking(&slices).unwrap());
        for number in 0..9 {
            for ((name, len), (_, slice)) in LENS.iter().zip(&slices) {
                let values = noise(*len, 10 + number);
                let mut rest = values.as_slice();
                let parts = match is_borrowed {
                    true => vec![slice.clone()],
                    false => optimizer.buffers(Field::Gradients, name).unwrap(),
                };
                for part in parts {
                    let (head, tail) = rest.split_at((part.size / 4) as usize);
                    gpu.queue.write_buffer(&part.buffer, part.offset, bytemuck::cast_slice(head));
                    rest = tail;
                }
            }
            submit(gpu, |encoder| match &gradients {
                Some(gradients) => optimizer.step_with(encoder, gradients),
                None => optimizer.step(encoder),
            })
            .unwrap();
        }
        let weights = LENS.iter().map(|(name, _)| optimizer.download_blocking(Field::Weights, name).unwrap());
        let weights = weights.collect();
        (weights, optimizer.download_accelerations_blocking().unwrap().remove(0).unwrap())
    }

    #[test]
    fn windows_borrowed_buffers_and_shapes() {
        on_every_adapter(|gpu| {
            if spared(gpu) {
                return;
            }
            let (weights, found) = run(gpu, Shape::CPU, false, 0);
            let limits = wgpu::Limits { max_storage_buffer_binding_size: 64 << 10, ..gpu.device.limits() };
            let small = pollster::block_on(Gpu::with_limits(&gpu.adapter, limits)).unwrap();
            let others = [
                run(gpu, Shape::GPU, false, 0),
                run(gpu, Shape::CPU, true, 16),
                run(gpu, Shape::GPU, true, 4),
                run(&small, Shape::CPU, false, 0),
                run(&small, Shape::GPU, false, 0),
            ];
            for (number, (other, coefficients)) in others.into_iter().enumerate() {
                assert!(largest_error(&coefficients, &widen(&found)) < 1e-6, "{number}: {coefficients:?}");
                for (other, weights) in other.iter().zip(&weights) {
                    assert!(largest_error(other, &widen(weights)) < 1e-6, "{number}");
                }
            }
        });
    }
}
