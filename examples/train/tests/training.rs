use crate::{rule, trained};
use clap::ValueEnum;
use lookahead_test_support::{gpu, on_every_adapter};
use lookahead_wgpu::Snapshot;
use lookahead_wgpu::gpu::Gpu;
use train::checkpoint::Checkpoint;
use train::data::Dataset;
use train::driver::{Checkpoints, Progress, Workbench};
use train::history::History;
use train::options::{
    Adaptive, AverageKind, CurvatureName, GradientName, HalfName, Options, OuterName, ScopeName,
};
use train::rule::RuleName;
use train::settings::{PolicyName, Settings};

fn settings(rule: RuleName, lookahead: Option<(u32, f64, PolicyName)>) -> Settings {
    Settings {
        rule,
        learning_rate: rule.default_learning_rate(),
        lookahead,
        options: Options::default(),
        hidden: vec![32],
        epochs: 3,
        batch: 64,
        seed: 1,
        tests_each_epoch: 2,
    }
}

fn train(gpu: &Gpu, settings: &Settings) -> History {
    let bench = Workbench::new(gpu.clone(), &Dataset::digits().unwrap()).unwrap();
    let (mut images, mut epochs) = (0, 0);
    let history = bench.train(settings, &mut |progress| match progress {
        Progress::Images { count, loss } => {
            assert!(loss.is_finite());
            images += count;
        }
        Progress::Epoch(epoch) => {
            epochs += 1;
            assert_eq!(epoch.epoch, epochs);
        }
    });
    let expected = u64::from(settings.epochs);
    assert_eq!((images, epochs), (1437 * expected, expected));
    history.unwrap()
}

#[test]
fn lookahead_learns_the_digits_on_every_adapter() {
    let _turn = crate::turn();
    on_every_adapter(|gpu| {
        let how =
            Settings { epochs: 8, ..settings(rule("heavy-ball"), Some((5, 0.5, PolicyName::Maintain))) };
        let history = train(gpu, &how);
        assert_eq!(history.name, "lookahead(heavy-ball)");
        assert_eq!(history.losses.len(), 8 * 23);
        assert_eq!(history.epochs.len(), 8);
        let steps: Vec<_> = history.samples.iter().map(|sample| sample.step).collect();
        assert_eq!(steps[..4], [12, 23, 35, 46]);
        let last = history.epochs.last().unwrap();
        assert!(last.accuracy() > 0.9, "{last:?}");
        assert!(last.train_loss < 0.3 && last.test_loss < 0.4, "{last:?}");
        // Fast and slow weights are the same at a sync: here, after 115 steps.
        assert_eq!(history.epochs[4].slow_accuracy, Some(history.epochs[4].fast_accuracy));
        assert!(history.samples.iter().any(|sample| sample.slow != Some(sample.fast)));
    });
}

/// The first sync comes after step k: until then, Lookahead and the rule alone do the same.
#[test]
fn a_comparison_starts_from_the_same_weights_and_sees_the_same_images() {
    let gpu = gpu();
    let alone = train(gpu, &settings(rule("adam"), None));
    let around = train(gpu, &settings(rule("adam"), Some((5, 0.5, PolicyName::Reset))));
    assert_eq!(alone.losses[..5], around.losses[..5]);
    assert_ne!(alone.losses[5], around.losses[5]);
    assert!(alone.samples.iter().all(|sample| sample.slow.is_none()));
    assert!(alone.lookahead.is_none() && around.lookahead.is_some());
    // An alpha of 1 leaves the rule as it is.
    let same = train(gpu, &settings(rule("adam"), Some((5, 1.0, PolicyName::Maintain))));
    for (a, b) in alone.losses.iter().zip(&same.losses) {
        assert!((a - b).abs() < 1e-3 * a, "{a} {b}");
    }
}

#[test]
fn a_seed_fixes_a_run_to_the_bit() {
    let gpu = gpu();
    let how = settings(rule("nesterov"), Some((3, 0.8, PolicyName::Interpolate)));
    let first = train(gpu, &how);
    assert_eq!(first.losses, train(gpu, &how).losses);
    assert_ne!(first.losses, train(gpu, &Settings { seed: 2, ..how }).losses);
}

#[test]
fn batches_and_tests_of_any_number_fit() {
    let gpu = gpu();
    for (batch, tests, steps) in [(1437, 1, 1), (5000, 7, 1), (100, 1000, 15)] {
        let how = settings(rule("adamw"), Some((5, 0.5, PolicyName::Maintain)));
        let history = train(gpu, &Settings { batch, tests_each_epoch: tests, ..how });
        assert_eq!(history.losses.len(), 3 * steps);
        assert_eq!(history.samples.len(), 3 * steps.min(tests as usize));
    }
    let deep = Settings { hidden: vec![], ..settings(rule("sgd"), None) };
    assert!(train(gpu, &deep).epochs[2].accuracy() > 0.7);
}

#[test]
fn impossible_hyperparameters_are_errors() {
    let bench = Workbench::new(gpu().clone(), &Dataset::digits().unwrap()).unwrap();
    let refused = |how: &Settings| bench.train(how, &mut |_| ()).unwrap_err().to_string();
    let zero_k = settings(rule("adam"), Some((0, 0.5, PolicyName::Maintain)));
    assert!(refused(&zero_k).contains("k = 0"));
    let large_alpha = settings(rule("adam"), Some((5, 1.5, PolicyName::Maintain)));
    assert!(refused(&large_alpha).contains("alpha = 1.5"));
}

fn lookahead() -> Option<(u32, f64, PolicyName)> {
    Some((5, 0.5, PolicyName::Maintain))
}

fn with(options: Options) -> Settings {
    Settings { options, ..settings(rule("adam"), lookahead()) }
}

fn adaptive(curvature: CurvatureName, scope: ScopeName, gradient: GradientName) -> Option<Adaptive> {
    Some(Adaptive { curvature, alpha_low: 0.2, scope, gradient })
}

#[test]
fn every_rule_learns() {
    let bench = Workbench::new(gpu().clone(), &Dataset::digits().unwrap()).unwrap();
    for &rule in RuleName::value_variants() {
        let how = Settings { hidden: vec![16], epochs: 2, batch: 32, ..settings(rule, None) };
        let history = bench.train(&how, &mut |_| ()).unwrap();
        let (first, last) = (history.losses[0], history.epochs[1].test_loss);
        assert!(last < 0.95 * first, "{rule}: from {first} to {last}");
        assert_eq!(history.name, rule.to_string());
    }
}

#[test]
fn adaptive_alphas_are_reported_by_scope() {
    use {CurvatureName as C, GradientName as G, ScopeName as S};
    let gpu = gpu();
    for (curvature, scope, gradient, count) in [
        (C::Corrected, S::Model, G::Synchronised, 1),
        (C::Raw, S::Tensor, G::LastStep, 4),
        (C::Root, S::Group, G::Synchronised, 2),
        (C::Fisher, S::Model, G::LastStep, 1),
    ] {
        let how = Options { adaptive: adaptive(curvature, scope, gradient), ..Options::default() };
        let history = train(gpu, &Settings { epochs: 2, ..with(how) });
        assert!(history.alphas.len() >= 3, "{:?}", history.alphas);
        for alphas in &history.alphas {
            assert_eq!(alphas.values.len(), count);
            assert!(alphas.values.iter().all(|alpha| (0.2..=1.0).contains(&(*alpha as f32))), "{alphas:?}");
        }
        let last = &history.alphas[history.alphas.len() - 1];
        assert_eq!((last.step, history.alphas_of(&history.epochs[1])), (46, Some(&last.values[..])));
    }
}

#[test]
fn outer_steps_and_centralised_gradients_change_the_run() {
    let gpu = gpu();
    let plain = train(gpu, &with(Options::default()));
    for outer in [OuterName::HeavyBall, OuterName::Nesterov, OuterName::SlowMo] {
        let history = train(gpu, &with(Options { outer: Some((outer, 0.5)), ..Options::default() }));
        assert_eq!(history.losses[..5], plain.losses[..5]);
        assert!(history.epochs[2].train_loss < plain.epochs[2].train_loss, "{outer:?}");
        assert!(history.memory.outer > 0);
    }
    let centralised = train(gpu, &with(Options { centralise: true, ..Options::default() }));
    assert_eq!(centralised.losses[0], plain.losses[0]);
    assert_ne!(centralised.losses[5..], plain.losses[5..]);
}

#[test]
fn averages_are_tested_and_leave_training_alone() {
    let gpu = gpu();
    let plain = train(gpu, &with(Options::default()));
    assert!(plain.samples.iter().all(|sample| sample.average.is_none()));
    for kind in [AverageKind::Ema(0.9), AverageKind::Polyak(40), AverageKind::Swa(5, 44)] {
        let history = train(gpu, &with(Options { average: Some(kind), ..Options::default() }));
        assert_eq!(history.losses, plain.losses);
        let accuracy = history.epochs[2].average_accuracy.unwrap();
        assert!(accuracy > 0.6, "{kind:?}: {accuracy}");
        assert!(history.samples.iter().all(|sample| sample.average.is_some()));
    }
    // Of the last weights alone.
    let copy = train(gpu, &with(Options { average: Some(AverageKind::Ema(0.0)), ..Options::default() }));
    assert!(copy.samples.iter().all(|sample| sample.average == Some(sample.fast)));
}

#[test]
fn half_width_follows_full_width() {
    let gpu = gpu();
    let plain = train(gpu, &with(Options::default()));
    for (half, loss_scale) in [(HalfName::F16, Some(1024.0)), (HalfName::Bf16, None)] {
        let how = with(Options { half: Some(half), loss_scale, ..Options::default() });
        let history = train(gpu, &how);
        assert_ne!(history.losses, plain.losses);
        for (found, expected) in history.losses.iter().zip(&plain.losses) {
            assert!((found - expected).abs() < 0.05 * expected, "{half:?}: {found}, not {expected}");
        }
        assert_eq!(history.memory.gradients * 2, plain.memory.gradients);
        let skipped = history.guard.map(|guard| (guard.skipped, guard.loss_scale));
        assert_eq!(skipped, loss_scale.map(|_| (0, 1024.0)));
    }
}

#[test]
fn steps_that_overflow_are_skipped_and_counted() {
    let gpu = gpu();
    let how = with(Options { half: Some(HalfName::F16), loss_scale: Some(1e9), ..Options::default() });
    let history = train(gpu, &how);
    let guard = history.guard.unwrap();
    assert!((5..40).contains(&guard.skipped), "{guard:?}");
    assert_eq!(guard.loss_scale, 1e9 / 2f32.powi(guard.skipped as i32));
    assert!(history.losses[68] < 0.8 * history.losses[0]);
    let guarded = train(gpu, &with(Options { guard: true, ..Options::default() }));
    let plain = train(gpu, &with(Options::default()));
    assert_eq!(guarded.guard.map(|guard| (guard.skipped, guard.loss_scale)), Some((0, 1.0)));
    for (a, b) in guarded.losses.iter().zip(&plain.losses) {
        assert!((a - b).abs() < 1e-3 * b, "{a} {b}");
    }
}

/// Two batches of 32 images are one of 64, but for rounding.
#[test]
fn micro_batches_add_up_to_a_batch() {
    let gpu = gpu();
    let whole = train(gpu, &with(Options::default()));
    let how = Settings { batch: 32, ..with(Options { accumulate: Some(2), ..Options::default() }) };
    let parts = train(gpu, &how);
    assert_eq!(parts.losses.len(), 3 * 45);
    for (pair, expected) in parts.losses[..44].chunks(2).zip(&whole.losses) {
        let mean = (pair[0] + pair[1]) / 2.0;
        assert!((mean - expected).abs() < 1e-3 * expected, "{mean}, not {expected}");
    }
}

/// From whatever checkpoint: in the middle of an epoch, of a cycle, of a step.
#[test]
fn a_resumed_run_stays_on_its_curve_to_the_bit() {
    let bench = Workbench::new(gpu().clone(), &Dataset::digits().unwrap()).unwrap();
    let all = Options {
        adaptive: adaptive(CurvatureName::Fisher, ScopeName::Tensor, GradientName::Synchronised),
        anderson: None,
        outer: Some((OuterName::Nesterov, 0.5)),
        average: Some(AverageKind::Polyak(3)),
        half: None,
        guard: true,
        loss_scale: None,
        accumulate: Some(3),
        centralise: true,
    };
    let f16 = Options { half: Some(HalfName::F16), loss_scale: Some(1e9), ..Options::default() };
    let anderson = Options { anderson: Some((2, 1e-8)), ..Options::default() };
    for how in [with(Options::default()), with(f16), with(all), with(anderson)] {
        let (whole, kept) = trained(&bench, &how, 10);
        assert_eq!(kept.len(), 7);
        assert_eq!(whole.losses, bench.train(&how, &mut |_| ()).unwrap().losses);
        // A history may be longer than its snapshot.
        let longer = (kept[1].0.clone(), kept[3].1.clone());
        for start in [kept[0].clone(), longer, kept[4].clone(), kept[6].clone()] {
            let (mut images, mut epochs) = (0, 0);
            let mut watch = |progress: Progress<'_>| match progress {
                Progress::Images { count, .. } => images += count,
                Progress::Epoch(_) => epochs += 1,
            };
            let what = format!("{:?} from {} steps on", how.options, start.0.steps);
            let checkpoints = Checkpoints { start: Some(start), every: 1000, keep: &mut |_, _| Ok(()) };
            let resumed = bench.train_with(&how, checkpoints, &mut watch).unwrap();
            assert_eq!(resumed.losses, whole.losses, "{what}");
            assert_eq!(resumed.samples, whole.samples, "{what}");
            assert_eq!(resumed.guard, whole.guard, "{what}");
            let losses = |history: &History| -> Vec<_> {
                history.epochs.iter().map(|epoch| (epoch.train_loss, epoch.test_loss)).collect()
            };
            assert_eq!(losses(&resumed), losses(&whole), "{what}");
            assert_eq!((images, epochs), (3 * 1437, 3), "{what}");
        }
    }
}

/// Set for a process that trains until it is killed: where it keeps its checkpoint.
const VICTIM: &str = "LOOKAHEAD_TRAIN_VICTIM";

fn victims_settings() -> Settings {
    Settings { epochs: 40, ..with(Options::default()) }
}

/// Trains with a checkpoint at every tenth step; alone it does nothing, since nothing kills it.
#[test]
fn a_run_to_be_killed() {
    let Some(path) = std::env::var_os(VICTIM) else { return };
    let how = victims_settings();
    let checkpoint = Checkpoint::new(std::path::Path::new(&path), "digits", &how).unwrap();
    let bench = Workbench::new(gpu().clone(), &Dataset::digits().unwrap()).unwrap();
    let mut keep = |snapshot: &Snapshot, history: &History| checkpoint.keep(snapshot, history);
    let start = checkpoint.start(true).unwrap();
    let checkpoints = Checkpoints { start, every: 10, keep: &mut keep };
    bench.train_with(&how, checkpoints, &mut |_| ()).unwrap();
}

/// Killed (SIGKILL) at moments that nobody chose, resumed each time, and on the same curve.
#[test]
fn a_run_that_is_killed_loses_at_most_the_steps_since_its_last_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.safetensors");
    let steps = || Snapshot::load(&path).map_or(0, |snapshot| snapshot.steps);
    let mut at_last = 0;
    for round in 0..4 {
        let mut victim = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["a_run_to_be_killed", "--nocapture"])
            .env(VICTIM, &path)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Until it is past its last checkpoint, and then some time that differs.
        let patience = std::time::Instant::now();
        while steps() < at_last + 10 {
            assert!(patience.elapsed().as_secs() < 120, "no checkpoint after {at_last} steps");
            assert!(victim.try_wait().unwrap().is_none(), "it ended by itself after {at_last} steps");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        std::thread::sleep(std::time::Duration::from_millis(7 * round));
        victim.kill().unwrap();
        victim.wait().unwrap();
        // Whatever it was at, the file is whole.
        let kept = Snapshot::load(&path).unwrap();
        assert!(kept.steps >= at_last + 10 && kept.steps.is_multiple_of(10), "{}", kept.steps);
        at_last = kept.steps;
    }
    let how = victims_settings();
    let checkpoint = Checkpoint::new(&path, "digits", &how).unwrap();
    let bench = Workbench::new(gpu().clone(), &Dataset::digits().unwrap()).unwrap();
    let start = checkpoint.start(true).unwrap();
    let checkpoints = Checkpoints { start, every: 10_000, keep: &mut |_, _| Ok(()) };
    let resumed = bench.train_with(&how, checkpoints, &mut |_| ()).unwrap();
    let whole = bench.train(&how, &mut |_| ()).unwrap();
    assert_eq!(resumed.losses, whole.losses);
    assert_eq!(resumed.samples, whole.samples);
}

#[test]
fn a_checkpoint_of_another_network_or_rule_is_refused() {
    let bench = Workbench::new(gpu().clone(), &Dataset::digits().unwrap()).unwrap();
    let how = Settings { epochs: 1, ..with(Options::default()) };
    let last = trained(&bench, &how, 100).1.pop();
    let refused = |how: &Settings| {
        let checkpoints = Checkpoints { start: last.clone(), every: 100, keep: &mut |_, _| Ok(()) };
        bench.train_with(how, checkpoints, &mut |_| ()).unwrap_err().to_string()
    };
    let message = refused(&Settings { hidden: vec![33], ..how.clone() });
    assert!(message.contains("fc1.weight"), "{message}");
    let message = refused(&Settings { rule: rule("sgd"), ..how.clone() });
    assert!(message.contains("adam") && message.contains("sgd"), "{message}");
}

#[test]
fn impossible_options_are_errors() {
    let bench = Workbench::new(gpu().clone(), &Dataset::digits().unwrap()).unwrap();
    let refused = |how: Settings, expected: &str| {
        let message = bench.train(&how, &mut |_| ()).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    };
    let none = Options::default;
    let outer = |outer| with(Options { outer: Some(outer), ..none() });
    refused(outer((OuterName::Nesterov, 1.0)), "outer momentum = 1");
    refused(outer((OuterName::SlowMo, -0.1)), "slow momentum = -0.1");
    let average = |kind| with(Options { average: Some(kind), ..none() });
    refused(average(AverageKind::Ema(1.5)), "decay = 1.5");
    refused(average(AverageKind::Swa(0, 0)), "period = 0");
    refused(with(Options { loss_scale: Some(0.0), ..none() }), "loss scale = 0");
    refused(with(Options { accumulate: Some(0), ..none() }), "micro-batches = 0");
    let alpha = adaptive(CurvatureName::Raw, ScopeName::Model, GradientName::LastStep);
    let low = alpha.map(|alpha| Adaptive { alpha_low: 0.0, ..alpha });
    refused(with(Options { adaptive: low, ..none() }), "alpha_low = 0");
    let options = Options { adaptive: alpha, ..none() };
    refused(Settings { options: options.clone(), ..settings(rule("sgd"), lookahead()) }, "no second moment");
    refused(Settings { options, ..settings(rule("adam"), None) }, "without `lookahead`");
}
