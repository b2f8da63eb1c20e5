//! Rounds of several tasks, one after the other: Reptile.

use crate::{
    common::{counters, download, export, largest_error, noise, spared, submit, widen, write_gradient},
    pairs, twin,
};
use lookahead_wgpu::{
    Average, DEFAULT_GROUP, Error, Field, Group, GroupCounters, Guard, Half, ImportOptions, Lookahead,
    Optimizer, Options, Rule, Snapshot, StatePolicy,
    gpu::Gpu,
    outer::{HeavyBall, Nesterov, SlowMo},
    rules::{AdaFactor, Adam, Sgd},
    twin::Twin,
};
use serde::Deserialize;

on_devices!(
    trajectories_agree_with_the_published_algorithm,
    one_task_is_lookahead_bit_for_bit,
    each_two_options_agree_with_the_twin,
    factored_moments_begin_anew_with_each_task,
    groups_have_rounds_of_their_own,
    half_widths_agree_with_the_twin,
    the_host_knows_the_next_steps_task,
    a_sync_between_steps_ends_the_round_with_the_tasks_so_far,
    a_new_start_begins_the_round_anew,
    a_group_frozen_within_a_round_sits_its_tasks_out,
    skipped_steps_do_not_count,
    a_guarded_run_is_an_unguarded_one,
    a_run_goes_on_from_the_middle_of_a_round,
    a_snapshot_is_of_so_many_tasks,
);

#[derive(Deserialize)]
struct File {
    x0: Vec<f32>,
    gradients: Vec<Vec<f32>>,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    rule: String,
    tasks: u32,
    k: u32,
    alpha: f64,
    policy: StatePolicy,
    nesterov: Option<f64>,
    x: Vec<Vec<f64>>,
}

async fn trajectories_agree_with_the_published_algorithm(gpu: &Gpu) {
    let File { x0, gradients, runs } = serde_json::from_str(include_str!("../golden/reptile.json")).unwrap();
    assert_eq!(runs.len(), 36);
    for run in runs {
        if spared(gpu) {
            continue;
        }
        let rule: Box<dyn Rule> = match run.rule.as_str() {
            "sgd" => Box::new(Sgd::new(0.1)),
            "momentum" => Box::new(Sgd::new(0.1).momentum(0.9)),
            _ => Box::new(Adam::new(0.05)),
        };
        let lookahead = Lookahead::new(run.k, run.alpha).policy(run.policy).tasks(run.tasks);
        let mut builder = Optimizer::builder(rule).lookahead(lookahead).tensor("x", &[x0.len()]);
        if let Some(momentum) = run.nesterov {
            builder = builder.outer(Nesterov { momentum });
        }
        let mut optimizer = builder.pipelines(&gpu.pipelines).build(&gpu.device, &gpu.queue).await.unwrap();
        optimizer.upload("x", &x0).unwrap();
        for (step, (gradient, expected)) in gradients.iter().zip(&run.x).enumerate() {
            write_gradient(gpu, &optimizer, "x", gradient);
            submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
            let size = expected.iter().fold(1.0, |size: f64, x| size.max(x.abs()));
            let found = download(&optimizer, Field::Weights, "x").await;
            let found: Vec<f32> = found.iter().map(|x| (f64::from(*x) / size) as f32).collect();
            let expected: Vec<f64> = expected.iter().map(|x| x / size).collect();
            let error = largest_error(&found, &expected);
            let Run { rule, tasks, policy, nesterov, .. } = &run;
            let what = format!("{tasks} tasks of {rule}, {policy:?}, {nesterov:?}, step {step}");
            assert!(error < 1e-6, "{what}: off by {error:e}");
        }
    }
}

const LEN: usize = 37;
const HEAD: usize = 130;

/// Two groups, the second with a k of its own.
async fn build(gpu: &Gpu, lookahead: Lookahead, options: &Options) -> Optimizer {
    let builder = Optimizer::builder(Adam::new(0.01).eps(1e-4)).lookahead(lookahead).options(options.clone());
    let builder = builder.group(Group::new("head").rule(Sgd::new(0.1).momentum(0.9)).k(2));
    let builder = builder.tensor("w", &[LEN]).tensor_in("head", "v", &[HEAD]).pipelines(&gpu.pipelines);
    let mut optimizer = builder.build(&gpu.device, &gpu.queue).await.unwrap();
    optimizer.upload("w", &noise(LEN, 1)).unwrap();
    optimizer.upload("v", &noise(HEAD, 2)).unwrap();
    optimizer
}

fn twin_of_w(lookahead: Lookahead, options: &Options) -> Twin {
    let twin = Twin::new(Adam::new(0.01).eps(1e-4), vec![widen(&noise(LEN, 1))]);
    twin.options(options.clone()).lookahead(lookahead)
}

fn step(gpu: &Gpu, optimizer: &mut Optimizer, number: u64) {
    write_gradient(gpu, optimizer, "w", &noise(LEN, 100 + number));
    write_gradient(gpu, optimizer, "v", &noise(HEAD, 200 + number));
    submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
}

/// One whose gradient a guard refuses.
fn bad_step(gpu: &Gpu, optimizer: &mut Optimizer) {
    write_gradient(gpu, optimizer, "w", &[f32::NAN; LEN]);
    submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
}

fn twin_step(twin: &mut Twin, number: u64) {
    twin.step(&[widen(&noise(LEN, 100 + number))], 0.01);
}

async fn close(optimizer: &Optimizer, twin: &Twin, what: &str) {
    let all = [
        (Field::Weights, &twin.weights[0]),
        (Field::SlowWeights, &twin.slow_weights[0]),
        (Field::TaskMean, &twin.task_mean[0]),
    ];
    for (field, expected) in all {
        let error = largest_error(&download(optimizer, field, "w").await, expected);
        assert!(error < 1e-5, "{what}: {field} is off by {error:e}");
    }
}

fn policies() -> [Lookahead; 2] {
    [StatePolicy::Maintain, StatePolicy::Reset].map(|policy| Lookahead::new(3, 0.4).policy(policy).tasks(3))
}

async fn one_task_is_lookahead_bit_for_bit(gpu: &Gpu) {
    let with = |policy| Lookahead::new(3, 0.4).policy(policy);
    for policy in [StatePolicy::Maintain, StatePolicy::Interpolate, StatePolicy::Reset] {
        let mut both = vec![];
        for lookahead in [with(policy), with(policy).tasks(1)] {
            let options = Options::default().outer(Nesterov { momentum: 0.5 });
            let mut optimizer = build(gpu, lookahead, &options).await;
            (0..8).for_each(|number| step(gpu, &mut optimizer, number));
            both.push((export(&optimizer).await, optimizer.memory(), optimizer.traffic()));
        }
        assert_eq!(both[0], both[1], "{policy:?}");
    }
}

/// Rounds of two tasks with whatever goes with them: rules, homes, half-width formats, outer steps, averages,
/// accumulation, guards, clipping, transformations, shapes.
async fn each_two_options_agree_with_the_twin(gpu: &Gpu) {
    let cases = pairs::of_tasks(false);
    assert!(cases.len() > 20, "{}", cases.len());
    for (number, case) in cases.iter().enumerate() {
        if !spared(gpu) {
            twin::run_options(gpu, case, number as u64).await;
        }
    }
}

/// The second moments that the driver keeps.
async fn factored_moments_begin_anew_with_each_task(gpu: &Gpu) {
    for lookahead in policies() {
        for guard in [None, Some(Guard::default())] {
            let options = Options::default().guard(guard);
            let rule = AdaFactor::new(0.05).min_dim_size_to_factor(4).momentum(0.9);
            let shape = vec![6, 9];
            let builder = Optimizer::builder(rule.clone()).lookahead(lookahead).options(options.clone());
            let builder = builder.tensor("w", &shape).pipelines(&gpu.pipelines);
            let mut optimizer = builder.build(&gpu.device, &gpu.queue).await.unwrap();
            optimizer.upload("w", &noise(54, 1)).unwrap();
            let twin = Twin::new(rule, vec![widen(&noise(54, 1))]).shapes(&[shape]).options(options);
            let mut twin = twin.lookahead(lookahead);
            for number in 0..14 {
                write_gradient(gpu, &optimizer, "w", &noise(54, 100 + number));
                submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
                twin.step(&[widen(&noise(54, 100 + number))], 0.05);
                close(&optimizer, &twin, &format!("{lookahead:?}, {guard:?}, step {number}")).await;
                // At its first step AdaFactor forgets them anyway.
                let rows = download(&optimizer, Field::State("exp_avg_sq_row"), "w").await;
                let resets = lookahead.policy == StatePolicy::Reset && (number + 1).is_multiple_of(3);
                assert_eq!(rows.iter().all(|row| *row == 0.0), resets, "{lookahead:?}, step {number}");
            }
        }
    }
}

async fn groups_have_rounds_of_their_own(gpu: &Gpu) {
    for lookahead in policies() {
        let options = Options::default();
        let mut optimizer = build(gpu, lookahead, &options).await;
        let mut twin = twin_of_w(lookahead, &options);
        let head = Twin::new(Sgd::new(0.1).momentum(0.9), vec![widen(&noise(HEAD, 2))]);
        let mut head = head.lookahead(lookahead.k(2));
        for number in 0..19 {
            step(gpu, &mut optimizer, number);
            twin_step(&mut twin, number);
            head.step(&[widen(&noise(HEAD, 200 + number))], 0.1);
            close(&optimizer, &twin, &format!("{lookahead:?}, step {number}")).await;
            let found = download(&optimizer, Field::Weights, "v").await;
            let error = largest_error(&found, &head.weights[0]);
            assert!(error < 1e-5, "{lookahead:?}, step {number}: the head is off by {error:e}");
        }
    }
}

/// Gradients of values that both formats have, so that they are exact.
fn short(len: usize, seed: u64) -> Vec<f32> {
    noise(len, seed).iter().map(|value| (64.0 * value).round() / 64.0).collect()
}

/// The half-width copy of a tensor's weights is what they are, rounded: to the nearest bf16, or to an f16 next to them.
async fn is_copied(optimizer: &Optimizer, format: Half, tensor: &str, what: &str) {
    let weights = download(optimizer, Field::Weights, tensor).await;
    let copy = download(optimizer, Field::HalfWeights, tensor).await;
    for (weight, copy) in weights.iter().zip(&copy) {
        let is_near = match format {
            Half::F16 => (weight - copy).abs() <= 2f32.powi(-10) * weight.abs().max(6.2e-5),
            Half::Bf16 => *copy == half::bf16::from_f32(*weight).to_f32(),
        };
        assert!(is_near, "{what}: {copy} for {weight}");
    }
}

/// The slow weights' places are theirs in bf16, each next to the twin's: where the twin is to go on from.
async fn round_slow(optimizer: &Optimizer, tensor: &str, twin: &mut Twin, what: &str) {
    let slow = download(optimizer, Field::SlowWeights, tensor).await;
    for (found, expected) in slow.iter().zip(&twin.slow_weights[0]) {
        assert_eq!(found.to_bits() & 0xffff, 0, "{what}: {found} is no bf16");
        let error = (f64::from(*found) - expected).abs();
        assert!(error <= 2f64.powi(-7) * expected.abs() + 1e-6, "{what}: {found} for {expected}");
    }
    twin.slow_weights[0] = widen(&slow);
}

// Faults: a task starts at the slow weights before they are rounded, or the first of a round at the rounded ones; the mean is of
// rounded weights, or of the half-width copy; the copy is not written at a task's end; gradients are taken for f32.
async fn half_widths_agree_with_the_twin(gpu: &Gpu) {
    let [maintain, reset] = policies();
    for (lookahead, guard, weights, gradients) in [
        (maintain, None, Half::F16, Half::Bf16),
        (reset, None, Half::Bf16, Half::F16),
        (maintain, Some(Guard::default()), Half::Bf16, Half::Bf16),
        (reset, Some(Guard::default()), Half::F16, Half::F16),
    ] {
        if spared(gpu) {
            continue;
        }
        let options = Options::default().guard(guard).outer(Nesterov { momentum: 0.5 });
        let halves =
            options.clone().half_weights(Some(weights)).half_gradients(Some(gradients)).slow_bf16(true);
        let mut optimizer = build(gpu, lookahead, &halves).await;
        let head = Twin::new(Sgd::new(0.1).momentum(0.9), vec![widen(&noise(HEAD, 2))]);
        let head = head.options(options.clone()).lookahead(lookahead.k(2));
        let mut twins = [("w", LEN, 0.01, twin_of_w(lookahead, &options)), ("v", HEAD, 0.1, head)];
        for number in 0..20 {
            for (tensor, len, _, _) in &twins {
                let slice = optimizer.gradients(tensor).unwrap();
                let bytes = gradients.encode(&short(*len, 100 * number + *len as u64));
                assert_eq!(slice.size, bytes.len() as u64);
                gpu.queue.write_buffer(&slice.buffer, slice.offset, &bytes);
            }
            submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
            for (tensor, len, lr, twin) in &mut twins {
                let what = format!(
                    "{weights:?}, {gradients:?}, {lookahead:?}, {guard:?}, `{tensor}`, step {number}"
                );
                twin.step(&[widen(&short(*len, 100 * number + *len as u64))], *lr);
                for (field, expected) in [(Field::Weights, &twin.weights), (Field::TaskMean, &twin.task_mean)]
                {
                    let error = largest_error(&download(&optimizer, field, tensor).await, &expected[0]);
                    assert!(error < 1e-5, "{what}: {field} is off by {error:e}");
                }
                is_copied(&optimizer, weights, tensor, &what).await;
                round_slow(&optimizer, tensor, twin, &what).await;
            }
        }
    }
}

async fn the_host_knows_the_next_steps_task(gpu: &Gpu) {
    let lookahead = policies()[0];
    for guard in [None, Some(Guard::default())] {
        let mut optimizer = build(gpu, lookahead, &Options::default().guard(guard)).await;
        for number in 0..20u32 {
            let at = |k: u32| (number / k % 3, number % k);
            let of = |(task, position)| GroupCounters { count: u64::from(number), position, task };
            assert_eq!(counters(&optimizer).await.groups, [of(at(3)), of(at(2))]);
            if guard.is_none() {
                let host = |group| (optimizer.task(group).unwrap(), optimizer.position(group).unwrap());
                assert_eq!((host(DEFAULT_GROUP), host("head")), (at(3), at(2)));
            }
            step(gpu, &mut optimizer, u64::from(number));
        }
    }
    let optimizer = build(gpu, lookahead, &Options::default().guard(Guard::default())).await;
    assert_eq!(optimizer.task(DEFAULT_GROUP), Err(Error::Guarded { call: "task" }));
    let mut optimizer = build(gpu, lookahead, &Options::default()).await;
    (0..3).for_each(|number| step(gpu, &mut optimizer, number));
    // Between two tasks, and within a round.
    let error = optimizer.set_k(DEFAULT_GROUP, 4).unwrap_err();
    assert_eq!(error, Error::MidCycle { what: "k", group: "default".to_owned(), position: 3, k: 9 });
}

async fn a_sync_between_steps_ends_the_round_with_the_tasks_so_far(gpu: &Gpu) {
    for guard in [None, Some(Guard::default())] {
        for outer in [0.0, 0.6] {
            for at in [0, 1, 3, 4, 6, 8, 9] {
                if spared(gpu) {
                    continue;
                }
                let lookahead = policies()[usize::from(at % 2 == 1)];
                let options = Options::default().guard(guard).outer(HeavyBall { momentum: outer });
                let mut optimizer = build(gpu, lookahead, &options).await;
                let mut twin = twin_of_w(lookahead, &options);
                for number in 0..16 {
                    if number == at {
                        for _ in 0..2 {
                            submit(gpu, |encoder| optimizer.sync_now(encoder)).unwrap();
                            twin.sync_now(0.01);
                        }
                        let groups = counters(&optimizer).await.groups;
                        assert_eq!((groups[0].task, groups[0].position), (0, 0));
                    }
                    step(gpu, &mut optimizer, number);
                    twin_step(&mut twin, number);
                    let what = format!("{lookahead:?}, {guard:?}, synced before {at}, step {number}");
                    close(&optimizer, &twin, &what).await;
                }
            }
        }
    }
}

async fn a_new_start_begins_the_round_anew(gpu: &Gpu) {
    for guard in [None, Some(Guard::default())] {
        for at in [1, 3, 5, 7] {
            if spared(gpu) {
                continue;
            }
            let lookahead = policies()[0];
            let options = Options::default().guard(guard).outer(SlowMo { momentum: 0.5 });
            let mut optimizer = build(gpu, lookahead, &options).await;
            let mut twin = twin_of_w(lookahead, &options);
            for number in 0..16 {
                if number == at {
                    submit(gpu, |encoder| optimizer.init_synced(encoder)).unwrap();
                    twin.init_synced();
                }
                step(gpu, &mut optimizer, number);
                twin_step(&mut twin, number);
                close(&optimizer, &twin, &format!("{guard:?}, anew before {at}, step {number}")).await;
            }
        }
    }
}

/// The task under way ends where it was left, and those that come count as tasks that came to where they began.
async fn a_group_frozen_within_a_round_sits_its_tasks_out(gpu: &Gpu) {
    for guard in [None, Some(Guard::default())] {
        let lookahead = Lookahead::new(2, 0.5).tasks(3);
        let mut optimizer = build(gpu, lookahead, &Options::default().guard(guard)).await;
        let start = download(&optimizer, Field::Weights, "v").await;
        (0..3).for_each(|number| step(gpu, &mut optimizer, number));
        let (first, second) = (
            download(&optimizer, Field::TaskMean, "v").await,
            download(&optimizer, Field::Weights, "v").await,
        );
        optimizer.set_frozen("head", true).unwrap();
        step(gpu, &mut optimizer, 3);
        assert_eq!(download(&optimizer, Field::Weights, "v").await, start, "the second task has ended");
        (4..6).for_each(|number| step(gpu, &mut optimizer, number));
        let mean = |at: usize| (first[at] + second[at] + start[at]) / 3.0;
        let expected: Vec<f64> = (0..HEAD).map(|at| f64::from(0.5 * start[at] + 0.5 * mean(at))).collect();
        let ended = download(&optimizer, Field::Weights, "v").await;
        let error = largest_error(&ended, &expected);
        assert!(error < 1e-6, "{guard:?}: off by {error:e}");
        (6..9).for_each(|number| step(gpu, &mut optimizer, number));
        assert_eq!(download(&optimizer, Field::Weights, "v").await, ended, "it rests");
        optimizer.set_frozen("head", false).unwrap();
        step(gpu, &mut optimizer, 9);
        let head = counters(&optimizer).await.groups[1];
        assert_eq!((head.task, head.position), (0, 1), "a round begins");
    }
}

async fn skipped_steps_do_not_count(gpu: &Gpu) {
    for lookahead in policies() {
        for checks in [false, true] {
            if spared(gpu) {
                continue;
            }
            let guard = if checks { Guard::default().check_updates() } else { Guard::default() };
            let options = Options::default().guard(guard).average(Average::Ema { decay: 0.8 });
            let run = async |bad: &[u64]| {
                let mut optimizer = build(gpu, lookahead, &options).await;
                let mut all = Vec::new();
                for number in 0..20 {
                    for _ in bad.iter().filter(|&&bad| bad == number) {
                        bad_step(gpu, &mut optimizer);
                    }
                    step(gpu, &mut optimizer, number);
                    all.push(counters(&optimizer).await.groups);
                }
                (Snapshot { skipped: 0, since_rescaled: 0, ..export(&optimizer).await }, all)
            };
            // Before the first step, in the middle of a task and at its end, at a round's end, and several in a row.
            let bad = [0, 2, 3, 5, 5, 8, 9, 17];
            assert_eq!(run(&bad).await, run(&[]).await, "{lookahead:?}, {checks}");
        }
    }
}

async fn a_guarded_run_is_an_unguarded_one(gpu: &Gpu) {
    for lookahead in policies() {
        if spared(gpu) {
            continue;
        }
        let run = async |guard: Option<Guard>| {
            let options = Options::default().guard(guard).outer(Nesterov { momentum: 0.7 });
            let mut optimizer = build(gpu, lookahead, &options).await;
            (0..20).for_each(|number| step(gpu, &mut optimizer, number));
            export(&optimizer).await
        };
        let (with, without) = (run(Some(Guard::default())).await, run(None).await);
        assert_eq!((with.tensors, with.groups), (without.tensors, without.groups), "{lookahead:?}");
    }
}

async fn a_run_goes_on_from_the_middle_of_a_round(gpu: &Gpu) {
    for (lookahead, guard) in policies().into_iter().zip([None, Some(Guard::default())]) {
        if spared(gpu) {
            continue;
        }
        let options = Options::default().guard(guard).outer(Nesterov { momentum: 0.7 });
        let run = async |stop: Option<u64>| {
            let mut optimizer = build(gpu, lookahead, &options).await;
            for number in 0..12 {
                if guard.is_some() && [1, 7].contains(&number) {
                    bad_step(gpu, &mut optimizer);
                }
                if stop == Some(number) {
                    let bytes = export(&optimizer).await.to_bytes().unwrap();
                    optimizer = build(gpu, lookahead, &options).await;
                    optimizer.import(&Snapshot::from_bytes(&bytes).unwrap()).unwrap();
                }
                step(gpu, &mut optimizer, number);
            }
            export(&optimizer).await
        };
        let whole = run(None).await;
        for stop in 0..12 {
            assert_eq!(run(Some(stop)).await, whole, "{lookahead:?}, stopped before step {stop}");
        }
    }
}

/// Before the first task of a round has ended, and between two rounds, it may be taken by an optimizer of another number of
/// tasks, and goes on as that one's own.
async fn a_snapshot_is_of_so_many_tasks(gpu: &Gpu) {
    let of = async |tasks: u32| build(gpu, Lookahead::new(2, 0.5).tasks(tasks), &Options::default()).await;
    for (from, to, steps) in [(1, 3, 1), (3, 1, 1), (3, 2, 1), (3, 2, 6), (2, 4, 4)] {
        let (mut optimizer, mut other) = (of(from).await, of(to).await);
        (0..steps).for_each(|number| step(gpu, &mut optimizer, number));
        other.import(&export(&optimizer).await).unwrap();
        for field in [Field::Weights, Field::SlowWeights] {
            assert_eq!(download(&other, field, "v").await, download(&optimizer, field, "v").await);
        }
        let task = |steps: u64| (steps % (2 * u64::from(to)) / 2) as u32;
        let begun = if steps == 1 { 1 } else { 0 };
        for more in 1..5 {
            step(gpu, &mut other, 100 + more);
            assert_eq!(other.task(DEFAULT_GROUP), Ok(task(begun + more)), "{from} to {to}, {more} steps on");
        }
    }
    let mut optimizer = of(3).await;
    (0..5).for_each(|number| step(gpu, &mut optimizer, number));
    let snapshot = export(&optimizer).await;
    let error = of(1).await.import(&snapshot).unwrap_err().to_string();
    let told = "the group `default` is in the middle of a round of 3 tasks of 2 steps, and a round has 1 task of 2 steps here";
    assert!(error.contains(told) && error.contains("`task_mean`"), "{error}");
    for other in [2, 4] {
        let error = of(other).await.import(&snapshot).unwrap_err().to_string();
        assert!(error.contains(&format!("and a round has {other} tasks of 2 steps here")), "{error}");
    }
    let mut wider = build(gpu, Lookahead::new(4, 0.5).tasks(3), &Options::default()).await;
    let error = wider.import_with(&snapshot, ImportOptions::new().keep_settings()).unwrap_err().to_string();
    let told = "in the middle of a round of 3 tasks of 2 steps, and a round has 3 tasks of 4 steps here";
    assert!(error.contains(told), "{error}");
}
