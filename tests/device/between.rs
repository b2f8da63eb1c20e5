//! What is called between steps: freezing, syncs, flushed and discarded micro-batches, a new start for what follows the
//! weights. With and without a guard, over tensors of the optimizer's own and borrowed ones.

use std::sync::Arc;

use crate::common::{buffer, counters, download, export, largest_error, noise, spared, submit, widen};
use lookahead_wgpu::{
    Accumulation, AdaptiveAlpha, Average, Builder, Clip, Error, Field, Gradients, Group, Guard, Lookahead,
    Optimizer, Options, Outer, Slice, StatePolicy,
    alpha::GradientAt,
    gpu::Gpu,
    outer::{HeavyBall, Interpolation, Nesterov, SlowMo},
    rules::{Adam, AdamW, Lamb, Sgd},
    twin::Twin,
    wgpu,
};

on_devices!(
    frozen_weights_stay_where_they_are,
    a_group_frozen_within_a_cycle_ends_it_and_rests,
    a_sync_at_the_start_of_a_cycle_changes_no_bit,
    a_flushed_step_is_one_of_fewer_micro_batches,
    a_flushed_step_agrees_with_the_twin,
    discarded_micro_batches_are_as_if_they_never_were,
    a_flushed_step_that_is_not_finite_is_skipped,
    a_reseed_begins_the_average_anew,
    an_average_begun_anew_does_not_count_skipped_steps,
    maximising_is_minimising_the_negative,
);

const LEN: usize = 37;

/// One tensor `w` in the group `body`, with weights and gradients of its own or borrowed.
struct Model<'a> {
    gpu: &'a Gpu,
    optimizer: Optimizer,
    gradient: Slice,
    borrowed: Option<Gradients>,
}

impl<'a> Model<'a> {
    async fn new(gpu: &'a Gpu, builder: Builder, borrowed: bool) -> Self {
        let builder = builder.group(Group::new("body"));
        if !borrowed {
            let builder = builder.tensor_in("body", "w", &[LEN]);
            let optimizer = builder.pipelines(&gpu.pipelines).build(&gpu.device, &gpu.queue).await.unwrap();
            let gradient = optimizer.gradients("w").unwrap();
            return Self { gpu, optimizer, gradient, borrowed: None };
        }
        let pool = buffer(gpu, 1024);
        let size = 4 * LEN as u64;
        let (weights, gradient) = (Slice::new(&pool, 4, size), Slice::new(&pool, 516, size));
        let builder = builder.borrowed_in("body", "w", &[LEN], weights);
        let optimizer = builder.pipelines(&gpu.pipelines).build(&gpu.device, &gpu.queue).await.unwrap();
        let borrowed = Some(optimizer.borrow_gradients(&[("w", gradient.clone())]).await.unwrap());
        Self { gpu, optimizer, gradient, borrowed }
    }

    fn step(&mut self, gradient: &[f32]) {
        let bytes = bytemuck::cast_slice(gradient);
        self.gpu.queue.write_buffer(&self.gradient.buffer, self.gradient.offset, bytes);
        let (optimizer, borrowed) = (&mut self.optimizer, &self.borrowed);
        submit(self.gpu, |encoder| match borrowed {
            Some(gradients) => optimizer.step_with(encoder, gradients),
            None => optimizer.step(encoder),
        })
        .unwrap();
    }

    fn call<T>(&mut self, call: impl FnOnce(&mut Optimizer, &mut wgpu::CommandEncoder) -> T) -> T {
        submit(self.gpu, |encoder| call(&mut self.optimizer, encoder))
    }

    async fn weights(&self) -> Vec<f32> {
        download(&self.optimizer, Field::Weights, "w").await
    }

    async fn field(&self, field: Field<'_>) -> Vec<f32> {
        download(&self.optimizer, field, "w").await
    }

    /// Everything that is kept, as bits.
    async fn bits(&self) -> Vec<(String, Vec<u32>)> {
        let snapshot = export(&self.optimizer).await;
        let fields = snapshot.tensors.into_iter().flat_map(|tensor| tensor.fields);
        fields.map(|(name, values)| (name, values.into_iter().map(f32::to_bits).collect())).collect()
    }
}

fn outers() -> Vec<Arc<dyn Outer>> {
    vec![
        Arc::new(Interpolation),
        Arc::new(HeavyBall { momentum: 0.5 }),
        Arc::new(Nesterov { momentum: 0.5 }),
        Arc::new(SlowMo { momentum: 0.5 }),
    ]
}

/// With and without a guard, owned and borrowed: all of them, or where much else is crossed with them, those of one half
/// or of the other.
const WAYS: [(bool, bool); 4] = [(false, false), (true, false), (false, true), (true, true)];

fn half(which: usize) -> impl Iterator<Item = (bool, bool)> {
    WAYS.into_iter()
        .enumerate()
        .filter(move |(way, _)| (way + way / 2 + which).is_multiple_of(2))
        .map(|(_, way)| way)
}

fn options(outer: &Arc<dyn Outer>, guarded: bool) -> Options {
    let guard = guarded.then(Guard::default);
    Options::default().outer(outer.clone()).guard(guard)
}

// Fault: the outer step's momentum goes on moving weights that are frozen.
async fn frozen_weights_stay_where_they_are(gpu: &Gpu) {
    for outer in outers() {
        for (guarded, borrowed) in WAYS {
            if spared(gpu) {
                continue;
            }
            let what = format!("{outer:?}, guard {guarded}, borrowed {borrowed}");
            let builder = Optimizer::builder(Sgd::new(1.0)).lookahead(Lookahead::new(1, 1.0));
            let mut model = Model::new(gpu, builder.options(options(&outer, guarded)), borrowed).await;
            model.step(&[1.0; LEN]);
            let before = model.bits().await;
            model.optimizer.set_frozen("body", true).unwrap();
            let moved = model.weights().await[0];
            (0..3).for_each(|_| model.step(&[1.0; LEN]));
            model.call(|optimizer, encoder| optimizer.sync_now(encoder)).unwrap();
            assert_eq!(model.bits().await, before, "{what}");
            model.optimizer.set_frozen("body", false).unwrap();
            model.step(&[1.0; LEN]);
            assert!(model.weights().await.iter().all(|w| *w <= moved - 1.0), "{what}: it goes on");
        }
    }
}

// Whatever the rule, the policy and alpha: its sync is the last that happens to it.
async fn a_group_frozen_within_a_cycle_ends_it_and_rests(gpu: &Gpu) {
    let lookahead = Lookahead::new(3, 0.5);
    let policies = [StatePolicy::Maintain, StatePolicy::Interpolate, StatePolicy::Reset];
    let run = async |builder: Builder, guarded: bool, borrowed: bool, what: &str| {
        if spared(gpu) {
            return;
        }
        let builder = if guarded { builder.guard(Guard::default()) } else { builder };
        let mut model = Model::new(gpu, builder, borrowed).await;
        model.optimizer.upload("w", &noise(LEN, 1)).unwrap();
        for step in 0..5 {
            model.step(&noise(LEN, 10 + step));
        }
        // Two steps into the second cycle of three.
        let (phi, theta) = (model.field(Field::SlowWeights).await, model.weights().await);
        if model.optimizer.set_frozen("body", true).is_err() {
            return; // where a guard counts in cycles
        }
        model.step(&noise(LEN, 20));
        let synced: Vec<f64> =
            phi.iter().zip(&theta).map(|(phi, theta)| f64::from(0.5 * (phi + theta))).collect();
        assert!(largest_error(&model.weights().await, &synced) < 1e-6, "{what}");
        let before = model.bits().await;
        assert_eq!(model.weights().await, model.field(Field::SlowWeights).await, "{what}");
        for step in 0..7 {
            model.step(&noise(LEN, 30 + step));
        }
        assert_eq!(model.bits().await, before, "{what}");
    };
    for (which, policy) in policies.into_iter().enumerate() {
        for (guarded, borrowed) in half(which) {
            let what = format!("guard {guarded}, borrowed {borrowed}, {policy:?}");
            let builder = Optimizer::builder(Adam::new(0.01)).lookahead(lookahead.policy(policy));
            run(builder, guarded, borrowed, &what).await;
        }
    }
    for (guarded, borrowed) in half(0) {
        run(Optimizer::builder(Lamb::new(0.01)).lookahead(lookahead), guarded, borrowed, "LAMB").await;
        // The momentum of an outer step, an alpha of its own and a clipped norm do not act on it, either.
        let builder = Optimizer::builder(AdamW::new(0.01)).lookahead(lookahead).clip(Clip::GlobalNorm(1.0));
        run(builder, guarded, borrowed, "clipped").await;
    }
}

// Fault: a sync at the start of a cycle, where nothing has moved, applies the outer momentum once more.
async fn a_sync_at_the_start_of_a_cycle_changes_no_bit(gpu: &Gpu) {
    let adaptive = AdaptiveAlpha::new(0.1).gradient(GradientAt::LastStep);
    for (which, outer) in outers().into_iter().enumerate() {
        for (guarded, borrowed) in half(which / 2) {
            if spared(gpu) {
                continue;
            }
            let adaptive = (which % 2 == 1).then_some(adaptive);
            let what = format!("{outer:?}, guard {guarded}, borrowed {borrowed}, {adaptive:?}");
            let options = options(&outer, guarded).adaptive(adaptive);
            let builder = Optimizer::builder(Sgd::new(1.0)).lookahead(Lookahead::new(2, 0.5));
            let mut model = Model::new(gpu, builder.options(options), borrowed).await;
            let sync =
                |optimizer: &mut Optimizer, encoder: &mut wgpu::CommandEncoder| optimizer.sync_now(encoder);
            model.call(sync).unwrap();
            assert_eq!(model.weights().await, [0.0; LEN], "{what}: before any step");
            (0..2).for_each(|_| model.step(&[1.0; LEN]));
            let natural = model.bits().await;
            (0..2).for_each(|_| model.call(sync).unwrap());
            assert_eq!(model.bits().await, natural, "{what}: after a cycle's own sync");
            model.step(&[1.0; LEN]);
            model.call(sync).unwrap();
            let once = model.bits().await;
            assert_ne!(once, natural, "{what}: within a cycle");
            model.call(sync).unwrap();
            assert_eq!(model.bits().await, once, "{what}: twice");
        }
    }
}

async fn a_flushed_step_is_one_of_fewer_micro_batches(gpu: &Gpu) {
    for (guarded, borrowed) in WAYS {
        for (accumulation, expected) in [(Accumulation::mean(4), -2.0), (Accumulation::sum(4), -6.0)] {
            let what = format!("guard {guarded}, borrowed {borrowed}, {accumulation:?}");
            let mut builder = Optimizer::builder(Sgd::new(1.0)).accumulate(accumulation);
            if guarded {
                builder = builder.guard(Guard::default());
            }
            let mut model = Model::new(gpu, builder, borrowed).await;
            assert!(!model.call(|it, encoder| it.flush(encoder)).unwrap(), "{what}: nothing was accumulated");
            (0..6).for_each(|_| model.step(&[1.0; LEN]));
            // What lies in the gradients is not looked at.
            let nan = [f32::NAN; LEN];
            let bytes = bytemuck::cast_slice(&nan);
            gpu.queue.write_buffer(&model.gradient.buffer, model.gradient.offset, bytes);
            assert!(model.call(|it, encoder| it.flush(encoder)).unwrap(), "{what}");
            assert_eq!(model.weights().await, [expected; LEN], "{what}");
            assert!(!model.call(|it, encoder| it.flush(encoder)).unwrap(), "{what}: nothing is left");
            assert_eq!(model.weights().await, [expected; LEN], "{what}");
            assert_eq!(counters(&model.optimizer).await.steps, 2, "{what}");
        }
    }
}

async fn a_flushed_step_agrees_with_the_twin(gpu: &Gpu) {
    let adaptive = AdaptiveAlpha::new(0.1).gradient(GradientAt::LastStep);
    for (which, (clip, adaptive)) in [
        (Clip::None, None),
        (Clip::GlobalNorm(0.5), None),
        (Clip::TensorNorm(0.5), Some(adaptive)),
        (Clip::Value(0.1), Some(AdaptiveAlpha::new(0.1))),
    ]
    .into_iter()
    .enumerate()
    {
        for (guarded, borrowed) in half(which) {
            if spared(gpu) {
                continue;
            }
            let options = Options::default()
                .clip(clip)
                .adaptive(adaptive)
                .accumulate(Accumulation::mean(3))
                .average(Average::Ema { decay: 0.9 })
                .guard(guarded.then(Guard::default))
                .maximize(borrowed);
            let what = format!("borrowed {borrowed}, {options:?}");
            let lookahead = Lookahead::new(2, 0.5);
            let rule = AdamW::new(0.05).weight_decay(0.1);
            let builder = Optimizer::builder(rule.clone()).lookahead(lookahead).options(options.clone());
            let mut model = Model::new(gpu, builder, borrowed).await;
            let start = noise(LEN, 1);
            model.optimizer.upload("w", &start).unwrap();
            let mut twin = Twin::new(rule, vec![widen(&start)]).lookahead(lookahead).options(options);
            for epoch in 0..4 {
                for batch in 0..5 {
                    let gradient = noise(LEN, 100 * (epoch + 1) + batch);
                    model.step(&gradient);
                    twin.step(&[widen(&gradient)], 0.05);
                }
                assert!(model.call(|it, encoder| it.flush(encoder)).unwrap());
                twin.flush(0.05);
                for (field, expected) in [
                    (Field::Weights, &twin.weights),
                    (Field::SlowWeights, &twin.slow_weights),
                    (Field::Average, &twin.average),
                ] {
                    let error = largest_error(&model.field(field).await, &expected[0]);
                    assert!(error < 1e-5, "{what}: {field} after epoch {epoch} is off by {error:e}");
                }
            }
        }
    }
}

async fn discarded_micro_batches_are_as_if_they_never_were(gpu: &Gpu) {
    for (guarded, borrowed) in WAYS {
        let mut ends = Vec::new();
        for discards in [false, true] {
            let mut builder = Optimizer::builder(Adam::new(0.1)).accumulate(Accumulation::mean(3));
            if guarded {
                builder = builder.guard(Guard::default());
            }
            let mut model = Model::new(gpu, builder, borrowed).await;
            assert_eq!(model.optimizer.discard(), 0);
            if discards {
                (0..2).for_each(|_| model.step(&[f32::NAN; LEN]));
                let error = model.optimizer.set_frozen("body", true).unwrap_err();
                assert!(
                    matches!(error, Error::Accumulating { accumulated: 2, micro_batches: 3, .. }),
                    "{error}"
                );
                assert_eq!(model.optimizer.discard(), 2);
            }
            (0..3).for_each(|step| model.step(&noise(LEN, step)));
            ends.push((model.weights().await, counters(&model.optimizer).await));
        }
        assert_eq!(ends[0], ends[1]);
    }
}

async fn a_flushed_step_that_is_not_finite_is_skipped(gpu: &Gpu) {
    let builder =
        Optimizer::builder(Adam::new(0.1)).accumulate(Accumulation::mean(3)).guard(Guard::default());
    let mut model = Model::new(gpu, builder, false).await;
    model.step(&[f32::INFINITY; LEN]);
    let before = model.weights().await;
    assert!(model.call(|it, encoder| it.flush(encoder)).unwrap());
    let counted = counters(&model.optimizer).await;
    assert_eq!((counted.steps, counted.skipped), (0, 1));
    assert_eq!(model.weights().await, before);
    model.step(&[1.0; LEN]);
    assert!(model.call(|it, encoder| it.flush(encoder)).unwrap());
    assert_eq!(counters(&model.optimizer).await.steps, 1);
}

// With Lookahead and without; the average forgets what was before.
async fn a_reseed_begins_the_average_anew(gpu: &Gpu) {
    for (which, average) in [
        Average::Ema { decay: 0.99 },
        Average::Polyak { from: 0 },
        Average::Polyak { from: 2 },
        Average::Swa { every: 2, from: 1 },
    ]
    .into_iter()
    .enumerate()
    {
        for (guarded, borrowed) in half(which / 2) {
            let lookahead = (which % 2 == 1).then(|| Lookahead::new(2, 0.5));
            let what = format!("{average:?}, guard {guarded}, borrowed {borrowed}, {lookahead:?}");
            let mut builder = Optimizer::builder(Sgd::new(0.0)).average(average);
            builder = if guarded { builder.guard(Guard::default()) } else { builder };
            builder = if let Some(lookahead) = lookahead { builder.lookahead(lookahead) } else { builder };
            let mut model = Model::new(gpu, builder, borrowed).await;
            (0..10).for_each(|_| model.step(&[1.0; LEN]));
            model.optimizer.upload("w", &[100.0; LEN]).unwrap();
            model.call(|it, encoder| it.init_synced(encoder)).unwrap();
            assert_eq!(model.field(Field::Average).await, [100.0; LEN], "{what}");
            model.step(&[1.0; LEN]);
            assert_eq!(model.field(Field::Average).await, [100.0; LEN], "{what}");
            // What comes after it counts as after step 0.
            let mut twin =
                Twin::new(Sgd::new(0.0), vec![vec![0.0]]).options(Options::default().average(average));
            twin.step(&[vec![0.0]], 0.0);
            twin.average = vec![vec![100.0]];
            for step in 0..4 {
                let value = step as f32;
                model.optimizer.upload("w", &[value; LEN]).unwrap();
                if lookahead.is_some() {
                    // The slow weights' pull is not what is looked at.
                    let slow = model.optimizer.slow_weights("w").unwrap();
                    let bytes = [value; LEN];
                    gpu.queue.write_buffer(&slow.buffer, slow.offset, bytemuck::cast_slice(&bytes));
                }
                model.step(&[1.0; LEN]);
                twin.weights = vec![vec![f64::from(value)]];
                twin.step(&[vec![0.0]], 0.0);
                let expected = vec![twin.average[0][0]; LEN];
                let error = largest_error(&model.field(Field::Average).await, &expected);
                assert!(error < 1e-6, "{what}: step {step} is off by {error:e}");
            }
        }
    }
    let mut alone = Model::new(gpu, Optimizer::builder(Sgd::new(0.1)), false).await;
    let error = alone.call(|it, encoder| it.init_synced(encoder)).unwrap_err();
    assert!(matches!(error, Error::NoLookahead { .. }), "{error}");
}

async fn an_average_begun_anew_does_not_count_skipped_steps(gpu: &Gpu) {
    for average in
        [Average::Ema { decay: 0.9 }, Average::Polyak { from: 1 }, Average::Swa { every: 2, from: 1 }]
    {
        let run = async |bad: bool| {
            let builder = Optimizer::builder(Adam::new(0.1)).average(average).guard(Guard::default());
            let mut model = Model::new(gpu, builder, false).await;
            for step in 0..9 {
                if bad && [1, 2, 4, 7].contains(&step) {
                    model.step(&[f32::NAN; LEN]);
                }
                if step == 3 {
                    model.optimizer.upload("w", &noise(LEN, 50)).unwrap();
                    model.call(|it, encoder| it.init_synced(encoder)).unwrap();
                }
                if step == 6 {
                    // What a snapshot says of the average is the GPU's.
                    let snapshot = export(&model.optimizer).await;
                    assert_eq!((snapshot.steps, snapshot.average_start), (6, 3));
                    model.optimizer.import(&snapshot).unwrap();
                }
                model.step(&noise(LEN, step));
            }
            model.bits().await
        };
        assert_eq!(run(true).await, run(false).await, "{average:?}");
    }
}

// As PyTorch's `maximize`: weight decay still shrinks.
async fn maximising_is_minimising_the_negative(gpu: &Gpu) {
    let clips = [Clip::GlobalNorm(0.5), Clip::Value(0.1), Clip::TensorNorm(0.5)];
    for (which, clip) in clips.into_iter().enumerate() {
        for (guarded, borrowed) in half(which) {
            let mut ends = Vec::new();
            for maximize in [false, true] {
                let options = Options::default()
                    .clip(clip)
                    .maximize(maximize)
                    .centralise(true)
                    .accumulate(Accumulation::mean(2))
                    .guard(guarded.then(Guard::default));
                let rule = Adam::new(0.1).weight_decay(0.3);
                let builder = Optimizer::builder(rule).lookahead(Lookahead::new(2, 0.5)).options(options);
                let mut model = Model::new(gpu, builder, borrowed).await;
                model.optimizer.upload("w", &noise(LEN, 1)).unwrap();
                for step in 0..8 {
                    let sign = if maximize { -1.0 } else { 1.0 };
                    let gradient: Vec<f32> = noise(LEN, 10 + step).iter().map(|g| sign * g).collect();
                    model.step(&gradient);
                }
                ends.push((model.weights().await, model.field(Field::State("exp_avg_sq")).await));
            }
            assert_eq!(ends[0], ends[1], "{clip:?}, guard {guarded}, borrowed {borrowed}");
        }
    }
}
