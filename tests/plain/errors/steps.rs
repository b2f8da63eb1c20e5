//! Calls at the wrong time, and steps that are not taken.

use lookahead_wgpu::{Field, Group, Guard, Optimizer, Options, Schedule, StatePolicy, rules::Adam};

use super::{Noop, check, lookahead, sgd};

#[test]
fn a_step_without_a_learning_rate_is_not_taken() {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    static GOOD: AtomicBool = AtomicBool::new(false);
    let noop = Noop::new();
    for bad in [f64::NAN, f64::INFINITY, -1.0, 1e40] {
        GOOD.store(false, Relaxed);
        let schedule = Schedule::custom(move |step| if step == 4 && !GOOD.load(Relaxed) { bad } else { 1.0 });
        let group = Group::new("head").rule(Adam::new(0.1)).learning_rate_factor(10.0).k(2);
        let builder = lookahead(3, 0.5).group(group).tensor_in("head", "v", &[5]).schedule(schedule);
        let mut optimizer = noop.build(builder);
        for _ in 0..4 {
            noop.step(&mut optimizer).unwrap();
        }
        let counters = |optimizer: &Optimizer| {
            let of = |group| (optimizer.position(group).unwrap(), optimizer.step_count(group).unwrap());
            (optimizer.steps(), of("default"), of("head"))
        };
        assert_eq!(counters(&optimizer), (4, (1, 4), (0, 4)));
        for _ in 0..2 {
            let error = noop.step(&mut optimizer).unwrap_err();
            let told = format!("is {}", 0.1 * bad);
            check(error, "LearningRate", &["step 4", "group `default`", &told, "was not taken"]);
            assert_eq!(counters(&optimizer), (4, (1, 4), (0, 4)));
        }
        GOOD.store(true, Relaxed);
        noop.step(&mut optimizer).unwrap();
        assert_eq!(counters(&optimizer), (5, (2, 5), (1, 5)));
    }
}

/// A learning rate that f32 holds is no use where kernels are told it as a product of which f32 does not hold a part.
#[test]
fn parts_of_a_learning_rate_that_f32_does_not_hold() {
    let noop = Noop::new();
    for (lr, factor, schedule) in [
        (1e38, 1e5, 1e-10),   // lr factor is infinite
        (1e-30, 1e-20, 1e25), // it is 0
        (1e-30, 1.0, 1e40),   // the schedule's factor is infinite
        (0.0, 1.0, 1e40),
        (1e30, 1.0, 1e-40), // it is 0
    ] {
        for guard in [None, Some(Guard::default())] {
            let options = Options::default().guard(guard);
            let builder = Optimizer::builder(Adam::new(lr)).options(options).tensor("w", &[4]);
            let mut optimizer = noop.build(builder.schedule(Schedule::custom(move |_| schedule)));
            optimizer.set_learning_rate_factor("default", factor).unwrap();
            check(noop.step(&mut optimizer).unwrap_err(), "LearningRate", &["step 0", "group `default`"]);
            assert_eq!(optimizer.steps(), 0);
        }
    }
    // So small a learning rate is 0, whatever the way there.
    for (lr, schedule) in [(1e-30, 1e-30), (0.1, 1e-300), (0.0, 1e-40), (1e30, 0.0)] {
        let builder = Optimizer::builder(Adam::new(lr)).tensor("w", &[4]);
        let mut optimizer = noop.build(builder.schedule(Schedule::custom(move |_| schedule)));
        noop.step(&mut optimizer).unwrap();
    }
}

#[test]
fn while_fast_and_slow_weights_are_exchanged() {
    let noop = Noop::new();
    let mut optimizer = noop.build(lookahead(3, 0.5));
    noop.step(&mut optimizer).unwrap();
    let snapshot = optimizer.export_blocking().unwrap();
    let mut encoder = noop.encoder();
    optimizer.swap_slow(&mut encoder).unwrap();
    let told = |call: &str| format!("{call} is not possible while the weights are exchanged");
    check(optimizer.step(&mut encoder).unwrap_err(), "Swapped", &[&told("step"), "call `swap_slow`"]);
    check(optimizer.sync_now(&mut encoder).unwrap_err(), "Swapped", &[&told("sync_now")]);
    check(optimizer.sync_last_step(&mut encoder).unwrap_err(), "Swapped", &[&told("sync_last_step")]);
    check(optimizer.init_synced(&mut encoder).unwrap_err(), "Swapped", &[&told("init_synced")]);
    check(optimizer.upload("w", &[0.0; 3]).unwrap_err(), "Swapped", &[&told("upload")]);
    check(optimizer.import(&snapshot).unwrap_err(), "Swapped", &[&told("import")]);
    check(optimizer.export_blocking().unwrap_err(), "Swapped", &[]);
    for field in [Field::Weights, Field::SlowWeights] {
        let error = optimizer.download_blocking(field, "w").unwrap_err();
        check(error, "Swapped", &[&told("download")]);
    }
    assert_eq!((optimizer.steps(), optimizer.position("default").unwrap()), (1, 1));
    optimizer.swap_slow(&mut encoder).unwrap();
    optimizer.step(&mut encoder).unwrap();
    assert_eq!((optimizer.steps(), optimizer.position("default").unwrap()), (2, 2));
}

#[test]
fn slow_weights_of_a_rule_alone() {
    let noop = Noop::new();
    let mut optimizer = noop.build(sgd().tensor("w", &[3]));
    let mut encoder = noop.encoder();
    check(optimizer.slow_weights("w").unwrap_err(), "NoLookahead", &["the tensor `w` has no slow weights"]);
    check(optimizer.buffers(Field::SlowWeights, "w").unwrap_err(), "NoLookahead", &["the tensor `w`"]);
    let download = optimizer.download_blocking(Field::SlowWeights, "w").unwrap_err();
    check(download, "NoLookahead", &["the tensor `w`"]);
    let told = ["the optimizer has no slow weights", "built without `lookahead`"];
    check(optimizer.sync_now(&mut encoder).unwrap_err(), "NoLookahead", &told);
    check(optimizer.sync_last_step(&mut encoder).unwrap_err(), "NoLookahead", &told);
    let mut of_groups = |groups: &[&str]| optimizer.sync_last_step_of(groups, &mut encoder).unwrap_err();
    let (none, unknown) = (of_groups(&["default"]), of_groups(&["other"]));
    check(none, "NoLookahead", &told);
    check(unknown, "UnknownName", &["group", "`other`", "default"]);
    check(optimizer.init_synced(&mut encoder).unwrap_err(), "NoLookahead", &told);
    check(optimizer.swap_slow(&mut encoder).unwrap_err(), "NoLookahead", &told);
    optimizer.step(&mut encoder).unwrap();
    assert_eq!(optimizer.lookahead("default").unwrap(), None);
}

#[test]
fn state_before_the_first_step_is_the_initial_one() {
    let noop = Noop::new();
    let interpolate = lookahead_wgpu::Lookahead::new(2, 0.5).policy(StatePolicy::Interpolate);
    let mut optimizer =
        noop.build(Optimizer::builder(Adam::default()).lookahead(interpolate).tensor("w", &[2]));
    optimizer.upload("w", &[1.0, 2.0]).unwrap();
    for (field, expected) in [
        (Field::Weights, [1.0, 2.0]),
        (Field::SlowWeights, [1.0, 2.0]),
        (Field::State("exp_avg"), [0.0; 2]),
        (Field::SlowState("exp_avg_sq"), [0.0; 2]),
    ] {
        assert_eq!(optimizer.download_blocking(field, "w").unwrap(), expected, "{field:?}");
    }
}

/// Also where the untrained weights were evaluated first.
#[test]
fn weights_that_are_uploaded_before_the_first_step_are_the_slow_ones_too() {
    let noop = Noop::new();
    let mut optimizer = noop.build(lookahead(2, 0.5));
    let mut encoder = noop.encoder();
    for _ in 0..2 {
        optimizer.swap_slow(&mut encoder).unwrap();
    }
    noop.queue.submit([encoder.finish()]);
    optimizer.upload("w", &[1.0, 2.0, 3.0]).unwrap();
    assert_eq!(optimizer.download_blocking(Field::SlowWeights, "w").unwrap(), [1.0, 2.0, 3.0]);
}
