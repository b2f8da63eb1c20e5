//! What setters change comes back, and snapshots fit whatever the order of names.

use super::resume::{adam, resumes_changed};
use crate::common::{noise, on_every_adapter, spared, submit, write_gradient};
use lookahead_wgpu::{
    Accumulation, AdaptiveAlpha, Average, Builder, Clip, DEFAULT_GROUP, Error, Field, Group, Guard,
    ImportOptions, Lookahead, Optimizer, Schedule, Snapshot, StatePolicy,
    alpha::{GradientAt, Scope},
    gpu::Gpu,
    outer::HeavyBall,
    rules::{AdaFactor, Adam, Sgd},
};

/// A change, made before a call of `step`.
type Change = (&'static str, u64, fn(&mut Optimizer) -> Result<(), Error>);

/// Each setter; k and alpha where a cycle of 3 begins.
const CHANGES: [Change; 8] = [
    ("frozen", 4, |it| it.set_frozen(DEFAULT_GROUP, true)),
    ("thawed", 5, |it| it.set_frozen(DEFAULT_GROUP, false)),
    ("learning rate", 2, |it| it.set_learning_rate(DEFAULT_GROUP, 0.03)),
    ("factor", 2, |it| it.set_learning_rate_factor(DEFAULT_GROUP, 0.3)),
    ("weight decay", 2, |it| it.set_weight_decay(DEFAULT_GROUP, 0.4)),
    ("rule", 2, |it| it.set_rule(DEFAULT_GROUP, Adam::new(0.02).betas(0.5, 0.6).eps(1e-3).weight_decay(0.2))),
    ("schedule", 2, |it| it.set_schedule(Schedule::steps([(3, 0.5), (5, 0.1)]))),
    ("k and alpha", 3, |it| {
        it.set_k(DEFAULT_GROUP, 2)?;
        it.set_alpha(DEFAULT_GROUP, 0.9)
    }),
];

#[test]
fn everything_that_a_setter_changes_comes_back() {
    on_every_adapter(|gpu| {
        let guarded = || adam().guard(Guard::default());
        for (label, at, change) in CHANGES {
            let before = |optimizer: &mut Optimizer, call: u64| {
                if call == at {
                    change(optimizer).unwrap();
                }
            };
            resumes_changed(gpu, label, adam, 7, None, before);
            resumes_changed(gpu, &format!("{label}, guarded"), guarded, 8, Some(1), before);
        }
        let all = |optimizer: &mut Optimizer, call: u64| {
            for (_, _, change) in CHANGES.iter().filter(|(_, at, _)| *at == call) {
                change(optimizer).unwrap();
            }
        };
        resumes_changed(gpu, "all", adam, 9, None, all);
        resumes_changed(gpu, "all, guarded", guarded, 9, Some(3), all);
        // With a guard a cycle under way keeps its k and alpha.
        let late = |optimizer: &mut Optimizer, call: u64| {
            if call == 1 {
                optimizer.set_k(DEFAULT_GROUP, 1).unwrap();
                optimizer.set_alpha(DEFAULT_GROUP, 0.3).unwrap();
            }
        };
        resumes_changed(gpu, "k and alpha within a cycle", guarded, 7, Some(2), late);
        let other = |optimizer: &mut Optimizer, call: u64| {
            if call == 1 {
                optimizer.set_k(DEFAULT_GROUP, 5).unwrap();
            }
        };
        resumes_changed(gpu, "a longer k within a cycle", guarded, 9, Some(4), other);
        // A function is the caller's to give again; the count of steps is not.
        let function = || adam().schedule(Schedule::custom(|step| 1.0 / (1 + step) as f64));
        resumes_changed(gpu, "a function", function, 7, None, |_, _| ());
    });
}

/// Trained on, the bias of a resumed run would move.
#[test]
fn what_was_frozen_stays_frozen() {
    on_every_adapter(|gpu| {
        let build = || {
            let builder = Optimizer::builder(Sgd::new(0.1)).group(Group::new("bias"));
            let builder = builder.tensor("w", &[2]).tensor_in("bias", "b", &[2]);
            builder.pipelines(&gpu.pipelines).build_blocking(&gpu.device, &gpu.queue).unwrap()
        };
        let step = |optimizer: &mut Optimizer| {
            write_gradient(gpu, optimizer, "w", &[1.0; 2]);
            write_gradient(gpu, optimizer, "b", &[1.0; 2]);
            submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        };
        let mut first = build();
        step(&mut first);
        first.set_frozen("bias", true).unwrap();
        let file = first.export_blocking().unwrap().to_bytes().unwrap();
        let mut second = build();
        second.import(&Snapshot::from_bytes(&file).unwrap()).unwrap();
        assert_eq!((second.is_frozen("bias"), second.is_frozen(DEFAULT_GROUP)), (Ok(true), Ok(false)));
        step(&mut second);
        assert_eq!(second.download_blocking(Field::Weights, "b").unwrap(), [-0.1; 2]);
        assert_eq!(second.download_blocking(Field::Weights, "w").unwrap(), [-0.2; 2]);
        // Unless the optimizer's own settings are asked for.
        let mut third = build();
        let options = ImportOptions::new().keep_settings();
        third.import_with(&Snapshot::from_bytes(&file).unwrap(), options).unwrap();
        step(&mut third);
        assert_eq!(third.download_blocking(Field::Weights, "b").unwrap(), [-0.2; 2]);
    });
}

/// With a guard, a setter holds from the next step that is taken, however many were skipped before: as in a run in
/// which they never were.
#[test]
fn skipped_steps_do_not_delay_a_setter() {
    on_every_adapter(|gpu| {
        let reset = Lookahead::new(3, 0.6).policy(StatePolicy::Reset);
        let adaptive = AdaptiveAlpha::new(0.1).gradient(GradientAt::Synchronised);
        let rules = || Optimizer::builder(Adam::new(0.01)).tensor("w", &[5]);
        let builders: [(&str, &dyn Fn() -> Builder); 4] = [
            ("alone", &rules),
            ("Lookahead", &|| rules().lookahead(Lookahead::new(3, 0.6)).average(Average::Ema { decay: 0.9 })),
            ("reset", &|| rules().lookahead(reset)),
            ("adaptive", &|| rules().lookahead(Lookahead::new(3, 0.6)).adaptive(adaptive)),
        ];
        for (label, builder) in builders {
            let run = |bad: &[u64]| {
                let mut optimizer = builder()
                    .guard(Guard::default())
                    .pipelines(&gpu.pipelines)
                    .build_blocking(&gpu.device, &gpu.queue)
                    .unwrap();
                optimizer.upload("w", &noise(5, 1)).unwrap();
                for call in 0..9 {
                    if call == 5 {
                        optimizer.set_rule(DEFAULT_GROUP, Adam::new(0.02).betas(0.5, 0.6)).unwrap();
                        optimizer.set_schedule(Schedule::cosine(2, 8, 0.1)).unwrap();
                        optimizer.set_weight_decay(DEFAULT_GROUP, 0.3).unwrap();
                    }
                    for _ in bad.iter().filter(|at| **at == call) {
                        write_gradient(gpu, &optimizer, "w", &[f32::NAN; 5]);
                        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
                    }
                    write_gradient(gpu, &optimizer, "w", &noise(5, 100 + call));
                    submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
                }
                optimizer.export_blocking().unwrap()
            };
            let expected = run(&[]);
            for bad in [&[1, 2, 2][..], &[4, 4, 4, 4], &[3, 7]] {
                let found = Snapshot { skipped: 0, ..run(bad) };
                assert_eq!(found.steps, expected.steps);
                assert_eq!(found.tensors, expected.tensors, "{label}, {bad:?}");
            }
        }
    });
}

#[test]
fn setters_and_getters() {
    on_every_adapter(|gpu| {
        let builder = Optimizer::builder(Sgd::new(1.0)).group(Group::new("head").weight_decay(0.25));
        let builder = builder.tensor("w", &[2]).tensor_in("head", "v", &[2]);
        let mut optimizer =
            builder.pipelines(&gpu.pipelines).build_blocking(&gpu.device, &gpu.queue).unwrap();
        optimizer.upload("w", &[1.0; 2]).unwrap();
        optimizer.upload("v", &[1.0; 2]).unwrap();
        let factor = |optimizer: &Optimizer, group| optimizer.weight_decay(group).unwrap().factor();
        assert_eq!((factor(&optimizer, DEFAULT_GROUP), factor(&optimizer, "head")), (0.0, 0.25));
        optimizer.set_weight_decay(DEFAULT_GROUP, 0.5).unwrap();
        assert_eq!(factor(&optimizer, DEFAULT_GROUP), 0.5);
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        assert_eq!(optimizer.download_blocking(Field::Weights, "w").unwrap(), [0.5; 2]);
        assert_eq!(optimizer.download_blocking(Field::Weights, "v").unwrap(), [0.75; 2]);
        // Another rule brings its own rate and decay; the factor stays.
        optimizer.set_learning_rate_factor("head", 0.5).unwrap();
        optimizer.set_rule("head", Sgd::new(2.0).weight_decay(1.0)).unwrap();
        assert_eq!(
            (optimizer.base_learning_rate("head"), optimizer.learning_rate_factor("head")),
            (Ok(2.0), Ok(0.5))
        );
        optimizer.set_schedule(Schedule::steps([(1, 0.5)])).unwrap();
        assert_eq!(optimizer.schedule(), &Schedule::steps([(1, 0.5)]));
        assert_eq!(
            (optimizer.learning_rate("head"), optimizer.learning_rate(DEFAULT_GROUP)),
            (Ok(0.5), Ok(0.5))
        );
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        assert_eq!(optimizer.download_blocking(Field::Weights, "w").unwrap(), [0.375; 2]);
        assert_eq!(optimizer.download_blocking(Field::Weights, "v").unwrap(), [0.375; 2]);
    });
}

/// Tensors in one order and in the other, with their groups.
fn ordered(gpu: &Gpu, turned: bool, alone: bool, around: &dyn Fn(Builder) -> Builder) -> Optimizer {
    let mut builder = around(Optimizer::builder(Adam::new(0.01)));
    let fast = || {
        let group = Group::new("fast").rule(Sgd::new(0.1).momentum(0.9));
        if alone { group } else { group.k(2).alpha(0.3) }
    };
    let factored = || Group::new("factored").rule(AdaFactor::new(0.05).min_dim_size_to_factor(2));
    let named = |builder: Builder, name: &str| match name {
        "a" => builder.tensor_in("fast", "a", &[2]),
        "b" => builder.tensor("b", &[3]),
        "c" => builder.tensor_in("factored", "c", &[3, 5]),
        _ => builder.tensor_in("factored", "d", &[2, 3]),
    };
    builder = if turned {
        builder.group(factored()).group(fast())
    } else {
        builder.group(fast()).group(factored())
    };
    let names = if turned { ["d", "b", "c", "a"] } else { ["a", "b", "c", "d"] };
    let builder = names.into_iter().fold(builder, named);
    builder.pipelines(&gpu.pipelines).build_blocking(&gpu.device, &gpu.queue).unwrap()
}

#[test]
fn the_order_of_tensors_and_groups_is_of_no_matter() {
    on_every_adapter(|gpu| {
        let lookahead =
            |builder: Builder| builder.lookahead(Lookahead::new(3, 0.6).policy(StatePolicy::Interpolate));
        let alpha = AdaptiveAlpha::new(0.1).scope(Scope::Tensor).gradient(GradientAt::LastStep);
        let arounds: [(&str, &dyn Fn(Builder) -> Builder); 5] = [
            ("alone", &|builder| builder),
            ("Lookahead", &lookahead),
            ("guard", &|builder| lookahead(builder).guard(Guard::default())),
            ("alpha", &|builder| lookahead(builder).adaptive(alpha).clip(Clip::TensorNorm(0.5))),
            ("sums", &|builder| {
                let builder = lookahead(builder).outer(HeavyBall { momentum: 0.5 });
                builder.accumulate(Accumulation::mean(2)).average(Average::Ema { decay: 0.9 })
            }),
        ];
        let step = |optimizer: &mut Optimizer, call: u64| {
            for (name, len) in [("a", 2), ("b", 3), ("c", 15), ("d", 6)] {
                let mut gradient = noise(len, 100 + call);
                if call == 1 && optimizer.loss_scale().is_some() {
                    gradient[0] = f32::INFINITY;
                }
                write_gradient(gpu, optimizer, name, &gradient);
            }
            submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        };
        let sorted = |optimizer: &Optimizer| {
            let mut snapshot = optimizer.export_blocking().unwrap();
            snapshot.tensors.sort_by(|a, b| a.name.cmp(&b.name));
            snapshot.groups.sort_by(|a, b| a.name.cmp(&b.name));
            snapshot
        };
        for (label, around) in arounds {
            if spared(gpu) {
                continue;
            }
            let alone = label == "alone";
            let mut first = ordered(gpu, false, alone, around);
            for name in ["a", "b", "c", "d"] {
                let len = first.tensors().find(|(other, _)| *other == name).unwrap().1.iter().product();
                first.upload(name, &noise(len, 1)).unwrap();
            }
            (0..5).for_each(|call| step(&mut first, call));
            if !label.contains("sums") {
                first.set_frozen("fast", true).unwrap();
            }
            let bytes = first.export_blocking().unwrap().to_bytes().unwrap();
            let mut second = ordered(gpu, true, alone, around);
            second.import(&Snapshot::from_bytes(&bytes).unwrap()).unwrap();
            assert_eq!(sorted(&second), sorted(&first), "{label}, imported");
            for call in 5..12 {
                step(&mut first, call);
                step(&mut second, call);
            }
            assert_eq!(sorted(&second), sorted(&first), "{label}, continued");
        }
    });
}

/// Written before settings were in the file: those are the optimizer's then.
#[test]
fn a_file_of_the_older_version_goes_on() {
    on_every_adapter(|gpu| {
        let builder = Optimizer::builder(Adam::new(0.01))
            .lookahead(Lookahead::new(4, 0.5).policy(StatePolicy::Interpolate))
            .group(Group::new("head").rule(Sgd::new(0.1).momentum(0.9)).weight_decay(0.5).frozen())
            .schedule(Schedule::steps([(2, 0.5)]))
            .tensor("w", &[2, 3])
            .tensor_in("head", "v", &[5]);
        let mut optimizer =
            builder.pipelines(&gpu.pipelines).build_blocking(&gpu.device, &gpu.queue).unwrap();
        let snapshot =
            Snapshot::from_bytes(include_bytes!("../../plain/checkpoint/version1.safetensors")).unwrap();
        optimizer.import(&snapshot).unwrap();
        let found = optimizer.export_blocking().unwrap();
        assert_eq!(found.tensors, snapshot.tensors);
        let head = &found.groups[1];
        assert_eq!((head.frozen, head.weight_decay, head.learning_rate), (Some(true), Some(0.5), 0.3));
        assert_eq!((found.groups[0].alpha, found.steps), (Some(0.25), 3));
        assert_eq!(optimizer.schedule(), &Schedule::steps([(2, 0.5)]));
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        assert_eq!(optimizer.position(DEFAULT_GROUP), Ok(0));
    });
}
