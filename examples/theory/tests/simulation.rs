use crate::{assert_normal, turn};
use lookahead_test_support::on_every_adapter;
use lookahead_wgpu::analysis::{Descent, NoisyQuadratic};
use lookahead_wgpu::{Lookahead, StatePolicy};
use theory::moments::{Sums, variance_error};
use theory::prop2::{CURVATURES, DEVIATIONS, SETTINGS, START};
use theory::simulate::{Ensemble, Measure, Run, SimulationError, Simulator};

fn model() -> NoisyQuadratic {
    NoisyQuadratic::new(&CURVATURES, &DEVIATIONS).unwrap()
}

fn run(descent: Descent, lookahead: Option<Lookahead>, steps: u64, number: u32) -> Run {
    Run { descent, lookahead, steps, measure: Measure::All, splits_sync: false, seed: 1, number }
}

/// How far mean and variance of each coordinate are from the exact recursion, in standard errors, at each sample.
fn deviations(simulator: &Simulator<'_>, repeats: u32, run: &Run) -> Vec<f64> {
    let model = model();
    let ensemble = Ensemble { model: &model, start: &START, repeats };
    let mut exact = model.recursion(run.descent, run.lookahead, &START).unwrap();
    let count = f64::from(repeats);
    let mut deviations = Vec::new();
    for sample in simulator.measure(&ensemble, run).unwrap() {
        while exact.steps() < sample.step {
            exact.step();
        }
        let expected = if sample.is_before_sync { exact.unsynchronised() } else { exact.fast() };
        for (i, start) in START.iter().enumerate() {
            let (mean, variance) = (sample.moments.mean[i], sample.moments.variance[i]);
            if sample.step == 0 {
                assert_eq!((mean, variance), (*start, 0.0));
                continue;
            }
            deviations.push((mean - expected.mean[i]) / (expected.variance[i] / count).sqrt());
            let error = variance_error(expected.variance[i], count);
            deviations.push((variance - expected.variance[i]) / error);
        }
    }
    deviations
}

#[test]
fn every_step_of_sgd_heavy_ball_and_lookahead_has_the_exact_mean_and_variance() {
    let _turn = turn();
    on_every_adapter(|gpu| {
        let simulator = Simulator::new(gpu).unwrap();
        let heavy = Descent::heavy_ball(0.2, 0.8);
        let mut runs = vec![
            run(Descent::sgd(0.5), None, 30, 0),
            run(Descent::sgd(0.1), Some(Lookahead::new(3, 0.3)), 30, 1),
            run(Descent::sgd(0.5), Some(Lookahead::new(5, 0.5)), 30, 2),
            run(Descent::sgd(0.6), Some(Lookahead::new(10, 0.8)), 30, 3),
            run(Descent::sgd(0.5), Some(Lookahead::new(1, 0.5)), 30, 4),
            run(heavy, None, 30, 5),
        ];
        let policies = [StatePolicy::Maintain, StatePolicy::Interpolate, StatePolicy::Reset];
        for (number, policy) in (6..).zip(policies) {
            runs.push(run(heavy, Some(Lookahead::new(5, 0.5).policy(policy)), 30, number));
        }
        let split = run(Descent::sgd(0.5), Some(Lookahead::new(5, 0.5)), 30, 9);
        runs.push(Run { splits_sync: true, ..split });
        let all: Vec<_> = runs.iter().flat_map(|run| deviations(&simulator, 4096, run)).collect();
        // Those of successive steps go together: some hundred are independent.
        assert_normal("3060 means and variances", &all, 0.3);
    });
}

#[test]
fn ten_million_coordinate_repeats_agree_with_the_recursions() {
    let _turn = turn();
    const REPEATS: u32 = 1 << 18;
    const { assert!(SETTINGS.len() * START.len() * REPEATS as usize >= 10_000_000) };
    on_every_adapter(|gpu| {
        let simulator = Simulator::new(gpu).unwrap();
        let mut all = Vec::new();
        for (number, (k, alpha, gamma)) in (100..).zip(SETTINGS) {
            let lookahead = (alpha < 1.0).then(|| Lookahead::new(k, alpha));
            // Not a whole number of cycles for every k.
            let run = run(Descent::sgd(gamma), lookahead, 12, number);
            all.extend(deviations(&simulator, REPEATS, &Run { measure: Measure::Last, ..run }));
        }
        // 100 independent squares: the standard deviation of their mean is 0.14.
        assert_normal("13.1 million coordinate-repeats", &all, 0.6);
    });
}

#[test]
fn a_sync_of_its_own_does_what_the_fused_one_does() {
    let _turn = turn();
    on_every_adapter(|gpu| {
        let simulator = Simulator::new(gpu).unwrap();
        let model = model();
        let ensemble = Ensemble { model: &model, start: &START, repeats: 256 };
        let fused = run(Descent::sgd(0.5), Some(Lookahead::new(4, 0.5)), 12, 0);
        let split = Run { splits_sync: true, ..fused.clone() };
        let fused = simulator.measure(&ensemble, &fused).unwrap();
        let split = simulator.measure(&ensemble, &split).unwrap();
        assert_eq!((fused.len(), split.len()), (13, 16));
        let after: Vec<_> = split.iter().filter(|sample| !sample.is_before_sync).collect();
        for (fused, split) in fused.iter().zip(after) {
            for (a, b) in fused.moments.variance.iter().zip(&split.moments.variance) {
                assert!((a - b).abs() <= 1e-5 * a, "step {}: {a} and {b}", fused.step);
            }
        }
        // The sync lowers the variance.
        let (before, after) = (&split[4], &split[5]);
        assert!(before.is_before_sync && before.step == 4 && after.step == 4);
        assert!(after.moments.variance[0] < 0.5 * before.moments.variance[0]);
    });
}

#[test]
fn a_small_variance_around_a_large_mean_is_not_lost() {
    let _turn = turn();
    on_every_adapter(|gpu| {
        // One step adds noise of variance 1 to a thousand.
        let model = NoisyQuadratic::new(&[1e-3], &[1e3]).unwrap();
        let ensemble = Ensemble { model: &model, start: &[1000.0], repeats: 1 << 16 };
        let run = Run { measure: Measure::Last, ..run(Descent::sgd(1.0), None, 1, 0) };
        let samples = Simulator::new(gpu).unwrap().measure(&ensemble, &run).unwrap();
        let error = variance_error(1.0, f64::from(ensemble.repeats));
        assert!((samples[0].moments.variance[0] - 1.0).abs() < 5.0 * error, "{samples:?}");
        assert!((samples[0].moments.mean[0] - 999.0).abs() < 5.0 / 256.0, "{samples:?}");
    });
}

#[test]
fn runs_that_cannot_be_are_refused() {
    let _turn = turn();
    on_every_adapter(|gpu| {
        let simulator = Simulator::new(gpu).unwrap();
        let model = model();
        let ensemble = |repeats| Ensemble { model: &model, start: &START, repeats };
        let sgd = run(Descent::sgd(0.5), None, 4, 0);
        for repeats in [0, 128, 300] {
            let outcome = simulator.measure(&ensemble(repeats), &sgd);
            assert!(matches!(outcome, Err(SimulationError::Repeats(found)) if found == repeats));
        }
        for steps in [0, u32::MAX.into(), (1 << 32) + 4, u64::MAX] {
            let outcome = simulator.measure(&ensemble(256), &Run { steps, ..sgd.clone() });
            assert!(matches!(outcome, Err(SimulationError::Steps { .. })));
        }
        let bad = Run { lookahead: Some(Lookahead::new(0, 0.5)), ..sgd };
        assert!(matches!(simulator.measure(&ensemble(256), &bad), Err(SimulationError::Library(_))));
    });
}

#[test]
fn parts_join_to_the_moments_of_the_whole() {
    let values = [1.0, 4.0, -2.0, 0.5, 1e4, 3.0, 7.0];
    let sums = |values: &[f64]| {
        let single = values.iter().map(|value| Sums { count: 1.0, mean: *value, squares: 0.0 });
        single.fold(Sums::default(), Sums::join)
    };
    let (all, joined) = (sums(&values), sums(&values[..3]).join(sums(&values[3..])));
    let mean = values.iter().sum::<f64>() / 7.0;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 6.0;
    for sums in [all, joined] {
        assert!((sums.mean - mean).abs() < 1e-9 && (sums.variance() / variance - 1.0).abs() < 1e-12);
    }
}
