//! Snapshots of an optimizer that was built otherwise: what is begun, and what is given up.

use crate::common::{noise, on_every_adapter, submit, write_gradient};
use lookahead_wgpu::{
    AdaptiveAlpha, Average, Builder, DEFAULT_GROUP, Error, Field, Guard, ImportOptions, Lookahead, LossScale,
    Optimizer, Snapshot, StatePolicy, Weights,
    alpha::Curvature,
    gpu::Gpu,
    outer::{HeavyBall, Nesterov},
    rules::{Adam, Sgd},
};

const LEN: usize = 5;

fn adam() -> Builder {
    Optimizer::builder(Adam::new(0.01)).tensor("w", &[LEN])
}

fn around() -> Builder {
    adam().lookahead(Lookahead::new(3, 0.5).policy(StatePolicy::Interpolate))
}

fn build(gpu: &Gpu, builder: Builder) -> Optimizer {
    builder.pipelines(&gpu.pipelines).build_blocking(&gpu.device, &gpu.queue).unwrap()
}

fn train(gpu: &Gpu, optimizer: &mut Optimizer, calls: std::ops::Range<u64>) {
    for call in calls {
        write_gradient(gpu, optimizer, "w", &noise(LEN, 100 + call));
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
    }
}

/// Four steps in.
fn trained(gpu: &Gpu, builder: Builder) -> Snapshot {
    let mut optimizer = build(gpu, builder);
    optimizer.upload("w", &noise(LEN, 1)).unwrap();
    train(gpu, &mut optimizer, 0..4);
    optimizer.export_blocking().unwrap()
}

fn get(optimizer: &Optimizer, field: Field<'_>) -> Vec<f32> {
    optimizer.download_blocking(field, "w").unwrap()
}

/// Plain `import` refuses, and names this option; with it the import is done.
#[track_caller]
fn taken(
    gpu: &Gpu,
    snapshot: &Snapshot,
    builder: Builder,
    option: &str,
    options: ImportOptions,
) -> Optimizer {
    let mut optimizer = build(gpu, builder);
    let before = optimizer.export_blocking().unwrap();
    let error = optimizer.import(snapshot).unwrap_err();
    assert!(matches!(error, Error::Snapshot { .. }), "{error:?}");
    let told = format!("`import_with` and `ImportOptions::new().{option}` would go on from it");
    assert!(error.to_string().contains(&told), "{error}");
    assert_eq!(optimizer.export_blocking().unwrap(), before);
    optimizer.import_with(snapshot, options).unwrap();
    optimizer
}

#[test]
fn the_rule_alone_becomes_lookahead() {
    on_every_adapter(|gpu| {
        let alone = trained(gpu, adam());
        let options = ImportOptions::new().begin_lookahead();
        for guarded in [false, true] {
            let guard = |builder: Builder| if guarded { builder.guard(Guard::default()) } else { builder };
            let builder = guard(around().outer(HeavyBall { momentum: 0.9 }));
            let mut optimizer = taken(gpu, &alone, builder, "begin_lookahead()", options);
            let start = get(&optimizer, Field::Weights);
            assert_eq!(start, alone.tensors[0].field(Field::Weights).unwrap());
            assert_eq!(get(&optimizer, Field::SlowWeights), start);
            assert_eq!(
                get(&optimizer, Field::SlowState("exp_avg")),
                get(&optimizer, Field::State("exp_avg"))
            );
            assert_eq!(get(&optimizer, Field::Outer("momentum_buffer")), [0.0; LEN]);
            let counters = optimizer.counters_blocking().unwrap();
            assert_eq!((counters.steps, counters.groups[0].count, counters.groups[0].position), (4, 4, 0));
            // Its first cycle: the rule's own steps, then halfway back, as the buffer began at zero.
            let mut rule = build(gpu, adam());
            rule.import(&alone).unwrap();
            train(gpu, &mut rule, 4..7);
            train(gpu, &mut optimizer, 4..7);
            let (fast, slow) = (get(&rule, Field::Weights), get(&optimizer, Field::SlowWeights));
            for ((start, fast), slow) in start.iter().zip(&fast).zip(&slow) {
                assert!((slow - (start + 0.5 * (fast - start))).abs() < 1e-6, "{start} {fast} {slow}");
            }
            assert_eq!(get(&optimizer, Field::Weights), slow);
        }
    });
}

#[test]
fn lookahead_becomes_the_rule_alone() {
    on_every_adapter(|gpu| {
        let snapshot = trained(gpu, around().outer(HeavyBall { momentum: 0.9 }));
        let values = |field| snapshot.tensors[0].field(field).unwrap();
        assert_ne!(values(Field::Weights), values(Field::SlowWeights));
        for (weights, field) in [(Weights::Slow, Field::SlowWeights), (Weights::Fast, Field::Weights)] {
            let options = ImportOptions::new().end_lookahead(weights);
            let builder = adam().average(Average::Ema { decay: 0.5 });
            let needed = "end_lookahead(Weights::Slow).begin_average()";
            let mut optimizer = taken(gpu, &snapshot, builder, needed, options.begin_average());
            assert_eq!(get(&optimizer, Field::Weights), values(field));
            assert_eq!(get(&optimizer, Field::Average), values(field), "of the weights that go on");
            assert_eq!(get(&optimizer, Field::State("exp_avg")), values(Field::State("exp_avg")));
            // It goes on as the rule does from these values.
            let mut expected = snapshot.clone();
            expected.tensors[0].fields.retain(|(name, _)| name == "weights" || name.starts_with("state."));
            expected.tensors[0].fields[0].1 = values(field).to_vec();
            (expected.outer, expected.groups[0].policy) = ("interpolation".to_owned(), None);
            let mut rule = build(gpu, adam());
            rule.import(&expected).unwrap();
            train(gpu, &mut rule, 4..8);
            train(gpu, &mut optimizer, 4..8);
            assert_eq!(get(&optimizer, Field::Weights), get(&rule, Field::Weights));
            assert_eq!(optimizer.step_count(DEFAULT_GROUP), Ok(8));
        }
    });
}

#[test]
fn averages_begin_and_end() {
    on_every_adapter(|gpu| {
        let averaged = || around().average(Average::Ema { decay: 0.75 });
        let none = trained(gpu, around());
        let options = ImportOptions::new().begin_average();
        let mut optimizer = taken(gpu, &none, averaged(), "begin_average()", options);
        let before = get(&optimizer, Field::Weights);
        assert_eq!(get(&optimizer, Field::Average), before);
        // As at the start of training: a copy of the weights after the first step, then their mean.
        train(gpu, &mut optimizer, 4..5);
        let first = get(&optimizer, Field::Weights);
        assert_eq!(get(&optimizer, Field::Average), first);
        train(gpu, &mut optimizer, 5..6);
        let second = get(&optimizer, Field::Weights);
        for ((mean, first), second) in get(&optimizer, Field::Average).iter().zip(&first).zip(&second) {
            assert!((mean - (0.75 * first + 0.25 * second)).abs() < 1e-6);
        }
        let options = ImportOptions::new().end_average();
        let optimizer = taken(gpu, &trained(gpu, averaged()), around(), "end_average()", options);
        assert_eq!(get(&optimizer, Field::Weights), before);
    });
}

#[test]
fn outer_steps_begin_end_and_change() {
    on_every_adapter(|gpu| {
        let heavy = || around().outer(HeavyBall { momentum: 0.5 });
        let begin = ImportOptions::new().begin_outer();
        let optimizer = taken(gpu, &trained(gpu, around()), heavy(), "begin_outer()", begin);
        assert_eq!(get(&optimizer, Field::Outer("momentum_buffer")), [0.0; LEN]);
        let snapshot = trained(gpu, heavy());
        let buffer = snapshot.tensors[0].field(Field::Outer("momentum_buffer")).unwrap();
        assert!(buffer.iter().all(|value| *value != 0.0));
        let end = ImportOptions::new().end_outer();
        taken(gpu, &snapshot, around(), "end_outer()", end);
        // Another's buffer of the same name is not its own.
        let nesterov = around().outer(Nesterov { momentum: 0.5 });
        let optimizer = taken(gpu, &snapshot, nesterov, "begin_outer().end_outer()", end.begin_outer());
        assert_eq!(get(&optimizer, Field::Outer("momentum_buffer")), [0.0; LEN]);
        assert_eq!(get(&optimizer, Field::Weights), snapshot.tensors[0].field(Field::Weights).unwrap());
    });
}

#[test]
fn policies_change() {
    on_every_adapter(|gpu| {
        let policy = |policy| adam().lookahead(Lookahead::new(3, 0.5).policy(policy));
        let options = ImportOptions::new().change_policy();
        let maintained = trained(gpu, policy(StatePolicy::Maintain));
        let optimizer = taken(gpu, &maintained, around(), "change_policy()", options);
        assert_eq!(get(&optimizer, Field::SlowState("exp_avg")), get(&optimizer, Field::State("exp_avg")));
        assert_eq!(optimizer.position(DEFAULT_GROUP), Ok(1));
        taken(gpu, &trained(gpu, around()), policy(StatePolicy::Reset), "change_policy()", options);
    });
}

#[test]
fn guards_and_loss_scales_begin_and_end() {
    on_every_adapter(|gpu| {
        let scale = LossScale::default().initial(1024.0);
        let scaled = || around().guard(Guard::loss_scale(scale));
        let (none, with) = (trained(gpu, around()), trained(gpu, scaled()));
        // A guard alone changes nothing.
        let mut guarded = build(gpu, around().guard(Guard::default()));
        guarded.import(&none).unwrap();
        let counters = guarded.counters_blocking().unwrap();
        assert_eq!((counters.steps, counters.groups[0].position), (4, 1));
        let mut plain = build(gpu, around());
        plain.import(&guarded.export_blocking().unwrap()).unwrap();
        train(gpu, &mut guarded, 4..8);
        train(gpu, &mut plain, 4..8);
        assert_eq!(guarded.export_blocking().unwrap().tensors, plain.export_blocking().unwrap().tensors);

        let options = ImportOptions::new().begin_loss_scale();
        let optimizer = taken(gpu, &none, scaled(), "begin_loss_scale()", options);
        assert_eq!(optimizer.counters_blocking().unwrap().loss_scale, 1024.0);
        let options = ImportOptions::new().end_loss_scale();
        for builder in [around(), around().guard(Guard::default())] {
            let optimizer = taken(gpu, &with, builder, "end_loss_scale()", options);
            let counters = optimizer.counters_blocking().unwrap();
            assert_eq!((counters.loss_scale, counters.since_rescaled), (1.0, 0));
        }
    });
}

#[test]
fn curvatures_begin_and_end() {
    on_every_adapter(|gpu| {
        let sgd = || Optimizer::builder(Sgd::new(0.1)).lookahead(Lookahead::new(2, 0.5)).tensor("w", &[LEN]);
        let adaptive = || sgd().adaptive(AdaptiveAlpha::new(0.1).curvature(Curvature::Fisher { decay: 0.9 }));
        let options = ImportOptions::new().begin_curvature();
        let optimizer = taken(gpu, &trained(gpu, sgd()), adaptive(), "begin_curvature()", options);
        assert_eq!(get(&optimizer, Field::Fisher), [0.0; LEN]);
        let options = ImportOptions::new().end_curvature();
        // Three steps of its cycles are two here.
        let mut snapshot = trained(gpu, adaptive());
        snapshot.groups[0].position = 1;
        taken(gpu, &snapshot, sgd(), "end_curvature()", options);
    });
}

/// Between two steps nothing is accumulated that could be lost.
#[test]
fn accumulation_needs_no_option() {
    on_every_adapter(|gpu| {
        let accumulation = || around().accumulate(lookahead_wgpu::Accumulation::mean(2));
        let mut optimizer = build(gpu, accumulation());
        optimizer.import(&trained(gpu, around())).unwrap();
        train(gpu, &mut optimizer, 4..6);
        let snapshot = optimizer.export_blocking().unwrap();
        assert_eq!((snapshot.steps, snapshot.accumulated), (5, 0));
        build(gpu, around()).import(&snapshot).unwrap();
        train(gpu, &mut optimizer, 6..7);
        let error = build(gpu, around()).import(&optimizer.export_blocking().unwrap()).unwrap_err();
        assert!(error.to_string().contains("1 micro-batches are accumulated in it"), "{error}");
    });
}

#[test]
fn settings_are_kept_where_that_is_asked_for() {
    on_every_adapter(|gpu| {
        let snapshot = trained(gpu, around());
        let options = ImportOptions::new().keep_settings();
        let short = || adam().lookahead(Lookahead::new(2, 0.9).policy(StatePolicy::Interpolate));
        let mut optimizer = build(gpu, short());
        optimizer.set_learning_rate(DEFAULT_GROUP, 0.5).unwrap();
        optimizer.import_with(&snapshot, options).unwrap();
        assert_eq!(optimizer.base_learning_rate(DEFAULT_GROUP), Ok(0.5));
        assert_eq!(optimizer.lookahead(DEFAULT_GROUP).unwrap().unwrap().k, 2);
        optimizer.import(&snapshot).unwrap();
        assert_eq!(optimizer.base_learning_rate(DEFAULT_GROUP), Ok(0.01));
        assert_eq!(optimizer.lookahead(DEFAULT_GROUP).unwrap().unwrap().k, 3);
        // A cycle that is longer than the optimizer's own.
        let mut late = snapshot.clone();
        late.groups[0].position = 2;
        let error = optimizer
            .import(&late)
            .and_then(|()| build(gpu, short()).import_with(&late, options))
            .unwrap_err();
        assert!(error.to_string().contains("at step 2 of a cycle of 2 here"), "{error}");
        // With a guard it ends with its own k.
        let mut guarded = build(gpu, short().guard(Guard::default()));
        guarded.import_with(&late, options).unwrap();
        train(gpu, &mut guarded, 4..5);
        assert_eq!(guarded.counters_blocking().unwrap().groups[0].position, 0);
        train(gpu, &mut guarded, 5..7);
        assert_eq!(guarded.counters_blocking().unwrap().groups[0].position, 0);
    });
}
