//! Borrowed tensors of a frozen group need no gradients: nothing depends on them, whatever the options.

use crate::common::{buffer, noise, on_every_adapter, spared, submit};
use lookahead_wgpu::{
    Accumulation, AdaptiveAlpha, Anderson, Average, Builder, Clip, Error, Gradients, Group, Guard, Half,
    Lookahead, Optimizer, Options, Rule, Slice, Snapshot, StatePolicy,
    alpha::{Curvature, GradientAt, Scope},
    gpu::Gpu,
    outer::Nesterov,
    rules::{AdaFactor, Adam, Lamb, Sgd},
};

/// Group, name, shape. The frozen ones lie between the others.
const TENSORS: [(&str, &str, [usize; 2]); 4] =
    [("default", "a", [6, 40]), ("head", "b", [5, 21]), ("default", "c", [70, 1]), ("head", "d", [1, 7])];

/// Scales of gradients: those of frozen tensors would ruin whatever reads them.
const FROZEN: [f32; 2] = [1.0, f32::NAN];
const FREE: [f32; 2] = [1.0, 1.0];

/// Where weights and gradients lie.
#[derive(Debug, Clone, Copy)]
enum Home {
    /// In turn in one buffer.
    Near,
    /// In two buffers.
    Apart,
}

/// A model in buffers of its own.
struct Model {
    optimizer: Optimizer,
    places: Vec<(Slice, Slice)>,
    half: Option<Half>,
}

impl Model {
    fn new(gpu: &Gpu, rule: &dyn Fn() -> Box<dyn Rule>, options: &Options, home: Home) -> Self {
        let (one, two) = (buffer(gpu, 8192), buffer(gpu, 8192));
        let half = options.half_gradients;
        let width = if half.is_some() { 2 } else { 4 };
        let mut at = 0;
        let places = TENSORS.map(|(_, _, [rows, columns])| {
            let len = (rows * columns) as u64;
            let gradients = (width * len).next_multiple_of(4);
            let weights = Slice::new(&one, at, 4 * len);
            let gradients = match home {
                Home::Near => Slice::new(&one, at + 4 * len, gradients),
                Home::Apart => Slice::new(&two, at, gradients),
            };
            at += 8 * len;
            (weights, gradients)
        });
        let head = Group::new("head").learning_rate_factor(0.5).frozen();
        let policy = StatePolicy::Interpolate;
        let mut builder: Builder = Optimizer::builder(rule())
            .options(options.clone())
            .lookahead(Lookahead::new(3, 0.5).policy(policy))
            .group(head);
        for ((group, name, shape), (weights, _)) in TENSORS.iter().zip(&places) {
            builder = builder.borrowed_in(group, name, shape, weights.clone());
        }
        let mut optimizer =
            builder.pipelines(&gpu.pipelines).build_blocking(&gpu.device, &gpu.queue).unwrap();
        for (seed, (_, name, [rows, columns])) in TENSORS.iter().enumerate() {
            optimizer.upload(name, &noise(rows * columns, seed as u64)).unwrap();
        }
        Self { optimizer, places: places.to_vec(), half }
    }

    /// The gradients of all tensors, or of those that are not the head's.
    fn gradients(&self, with_head: bool) -> Result<Gradients, Error> {
        let all = TENSORS.iter().zip(&self.places).filter(|((group, ..), _)| with_head || *group != "head");
        let slices: Vec<_> = all.map(|((_, name, _), (_, slice))| (*name, slice.clone())).collect();
        self.optimizer.borrow_gradients_blocking(&slices)
    }

    /// Steps whose gradients are noise, other in each, times this for the head and for the others.
    fn train(&mut self, gpu: &Gpu, gradients: &Gradients, seed: u64, steps: u64, [others, head]: [f32; 2]) {
        for step in 0..steps {
            for (index, ((group, _, [rows, columns]), (_, slice))) in
                TENSORS.iter().zip(&self.places).enumerate()
            {
                let mut values = noise(rows * columns, seed + 10 * step + index as u64);
                let scale = if *group == "head" { head } else { others };
                values.iter_mut().for_each(|value| *value *= scale);
                gpu.queue.write_buffer(&slice.buffer, slice.offset, &encoded(&values, self.half));
            }
            submit(gpu, |encoder| self.optimizer.step_with(encoder, gradients)).unwrap();
        }
    }

    fn snapshot(&self) -> Snapshot {
        let snapshot = self.optimizer.export_blocking().unwrap();
        for tensor in &snapshot.tensors {
            for (field, values) in &tensor.fields {
                assert!(values.iter().all(|value| value.is_finite()), "{field} of {}", tensor.name);
            }
        }
        snapshot
    }
}

fn encoded(values: &[f32], half: Option<Half>) -> Vec<u8> {
    match half {
        None => bytemuck::cast_slice(values).to_vec(),
        Some(_) => {
            // bf16, cut off: the upper half of an f32.
            let mut words: Vec<u16> = values.iter().map(|value| (value.to_bits() >> 16) as u16).collect();
            words.resize(words.len().next_multiple_of(2), 0);
            bytemuck::cast_slice(&words).to_vec()
        }
    }
}

type MakeRule = fn() -> Box<dyn Rule>;

/// Rules and options that read gradients each in a way of their own.
fn cases() -> Vec<(&'static str, MakeRule, Options)> {
    let adam: MakeRule = || Box::new(Adam::new(0.01));
    let none = Options::default;
    let adaptive = |scope, at| none().adaptive(AdaptiveAlpha::new(0.1).scope(scope).gradient(at));
    vec![
        ("plain", adam, none()),
        ("sgd", || Box::new(Sgd::new(0.1).momentum(0.9)), none()),
        ("trust", || Box::new(Lamb::new(0.01)), none()),
        ("factored", || Box::new(AdaFactor::new(0.01).min_dim_size_to_factor(4)), none()),
        ("value", adam, none().clip(Clip::Value(0.1))),
        ("global norm", adam, none().clip(Clip::GlobalNorm(0.1))),
        ("tensor norm", adam, none().clip(Clip::TensorNorm(0.1))),
        ("centralised", adam, none().centralise(true)),
        ("guard", adam, none().guard(Guard::default()).clip(Clip::GlobalNorm(0.1))),
        ("accumulation", adam, none().accumulate(Accumulation::mean(2))),
        ("accumulation, guard", adam, none().accumulate(Accumulation::sum(2)).guard(Guard::default())),
        ("half", adam, none().half_gradients(Half::Bf16).centralise(true)),
        ("alpha of the model", adam, adaptive(Scope::Model, GradientAt::LastStep)),
        ("alpha of a group", adam, adaptive(Scope::Group, GradientAt::LastStep)),
        ("alpha of a tensor", adam, adaptive(Scope::Tensor, GradientAt::Synchronised)),
        ("alpha, guard", adam, adaptive(Scope::Model, GradientAt::LastStep).guard(Guard::default())),
        ("anderson", adam, none().anderson(Anderson::new(2))),
        (
            "outer, average",
            adam,
            none()
                .outer(Nesterov::default())
                .average(Average::Ema { decay: 0.9 })
                .slow_bf16(true)
                .half_weights(Half::F16),
        ),
    ]
}

/// Frozen from the start, let go, and frozen again in the middle of a cycle: left out, or given as NaN, which is the
/// same to the bit. Gradients that lack what trains again are refused.
#[test]
fn gradients_of_frozen_tensors_may_be_left_out() {
    on_every_adapter(|gpu| {
        for (index, (name, rule, options)) in cases().into_iter().enumerate() {
            if spared(gpu) {
                continue;
            }
            let home = if index % 2 == 0 { Home::Near } else { Home::Apart };
            let [given, left_out] = [true, false].map(|with_head| {
                let mut model = Model::new(gpu, &rule, &options, home);
                let frozen = model.gradients(with_head).unwrap();
                model.train(gpu, &frozen, 100, 4, FROZEN);
                let first = model.snapshot();
                // A guard cannot follow this.
                if model.optimizer.set_frozen("head", false).is_err() {
                    return (first, None);
                }
                if !with_head {
                    let before = model.snapshot();
                    let refused = submit(gpu, |encoder| model.optimizer.step_with(encoder, &frozen));
                    let error = refused.unwrap_err();
                    assert_eq!(error, Error::MissingGradients { tensors: "`b`, `d`".to_owned() });
                    assert!(model.snapshot() == before, "{name}: nothing was recorded");
                    let error = model.gradients(false).unwrap_err();
                    assert!(matches!(&error, Error::UnknownName { name, .. } if name == "b"), "{error}");
                }
                let all = model.gradients(true).unwrap();
                model.train(gpu, &all, 200, 4, FREE);
                let second = model.snapshot();
                assert!(second.tensors[1].fields[0] != first.tensors[1].fields[0], "{name}: `b` trains");
                model.optimizer.set_frozen("head", true).unwrap();
                let frozen = model.gradients(with_head).unwrap();
                model.train(gpu, &frozen, 300, 6, FROZEN);
                (first, Some((second, model.snapshot())))
            });
            assert!(given == left_out, "{name}, {home:?}");
            let trained = &left_out.0.tensors;
            assert!(trained[0].fields[0].1 != noise(240, 0), "{name}: `a` trains");
            assert!(trained[1].fields[0].1 == noise(105, 1), "{name}: `b` stays");
        }
    });
}

/// A group that is frozen while its weights are away from the slow ones has no say in alpha.
#[test]
fn a_frozen_group_finds_no_alpha() {
    on_every_adapter(|gpu| {
        let rule: MakeRule = || Box::new(Adam::new(0.01));
        let run = |scope: Scope, freeze: bool, alone: bool| {
            let adaptive = AdaptiveAlpha::new(0.01).scope(scope).curvature(Curvature::Root);
            let adaptive = Some(adaptive.gradient(GradientAt::LastStep));
            let options = Options::default().adaptive(adaptive);
            let mut model = Model::new(gpu, &rule, &options, Home::Apart);
            model.optimizer.set_frozen("head", alone).unwrap();
            let all = model.gradients(true).unwrap();
            model.train(gpu, &all, 100, 1, if alone { FROZEN } else { FREE });
            model.train(gpu, &all, 100, 1, if alone { FROZEN } else { FREE });
            if freeze {
                model.optimizer.set_frozen("head", true).unwrap();
            }
            // Against the way that the weights went, so far that alpha lies between its bounds.
            model.train(gpu, &all, 100, 1, [-0.01, if freeze || alone { f32::NAN } else { -0.02 }]);
            model.optimizer.download_alphas_blocking().unwrap()
        };
        // The head had a say; frozen in mid-cycle it has none, as where it was frozen from the start.
        let (free, frozen, alone) =
            (run(Scope::Model, false, false), run(Scope::Model, true, false), run(Scope::Model, false, true));
        assert!(free[0].is_some() && alone[0].is_some(), "{free:?}, {frozen:?}, {alone:?}");
        assert_ne!(free, alone);
        assert_eq!(frozen, alone);
        let groups = run(Scope::Group, true, false);
        assert_eq!(groups.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false]);
        let tensors = run(Scope::Tensor, true, false);
        assert_eq!(tensors.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true, false]);
    });
}
