//! The closed forms of section 3 against the f64 twin of the optimizer, a general eigenvalue routine, line searches and
//! the paper's own formulas.

use lookahead_wgpu::{
    Error, Lookahead, StatePolicy,
    analysis::{
        Descent, NoisyQuadratic, Quadratic, best_learning_rate, critical_condition_number,
        log_spaced_curvatures, rate, stability_bound, worst_rate,
    },
    rules::Sgd,
    twin::Twin,
};
use nalgebra::{DMatrix, DVector};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::SmallRng};

const POLICIES: [StatePolicy; 3] = [StatePolicy::Maintain, StatePolicy::Interpolate, StatePolicy::Reset];

fn close(found: f64, expected: f64, tolerance: f64) {
    let error = (found - expected).abs() / expected.abs().max(f64::MIN_POSITIVE);
    assert!(error <= tolerance, "{found} where {expected} is expected: off by {error:e}");
}

/// A coordinate of the twin, which takes its gradient with the minimum at `shift(step)`. Returns theta after each step.
fn twin_path(
    descent: Descent,
    lookahead: Option<Lookahead>,
    curvature: f64,
    start: f64,
    steps: usize,
    shift: impl Fn(usize) -> f64,
) -> Vec<[f64; 2]> {
    let rule = Sgd::new(descent.learning_rate).momentum(descent.momentum);
    let mut twin = Twin::new(rule, vec![vec![start]]);
    if let Some(lookahead) = lookahead {
        twin = twin.lookahead(lookahead);
    }
    let mut take = |step| {
        let gradient = curvature * (twin.weights[0][0] - shift(step));
        twin.step(&[vec![gradient]], descent.learning_rate);
        [twin.weights[0][0], twin.slow_weights[0][0]]
    };
    (0..steps).map(&mut take).collect()
}

/// Everything is linear, so that the variance is the sum over all draws of the squared response to a draw of sigma.
#[test]
fn moments_are_those_of_the_twin_for_every_policy() {
    let (a, sigma, start, steps) = (0.7, 1.3, 2.5, 23);
    let model = NoisyQuadratic::new(&[a], &[sigma]).unwrap();
    let mut settings = vec![(Descent::sgd(0.4), None), (Descent::heavy_ball(0.3, 0.8), None)];
    for policy in POLICIES {
        for (k, alpha) in [(1, 0.5), (4, 0.3), (5, 0.8), (7, 1.0)] {
            let lookahead = Some(Lookahead::new(k, alpha).policy(policy));
            settings.extend([(Descent::sgd(0.4), lookahead), (Descent::heavy_ball(0.3, 0.8), lookahead)]);
        }
    }
    for (descent, lookahead) in settings {
        let mean = twin_path(descent, lookahead, a, start, steps, |_| 0.0);
        let responses: Vec<_> = (0..steps)
            .map(|draw| {
                let impulse = |step| if step == draw { sigma } else { 0.0 };
                twin_path(descent, lookahead, a, 0.0, steps, impulse)
            })
            .collect();
        let mut recursion = model.recursion(descent, lookahead, &[start]).unwrap();
        for step in 0..steps {
            recursion.step();
            let expected = |which: usize| {
                let variance: f64 = responses.iter().map(|path| path[step][which].powi(2)).sum();
                (mean[step][which], variance)
            };
            let (fast, slow) = (recursion.fast(), recursion.slow());
            for (moments, (mean, variance)) in
                [(&fast, expected(0)), (&slow, expected(usize::from(lookahead.is_some())))]
            {
                assert!((moments.mean[0] - mean).abs() < 1e-12, "{descent:?} {lookahead:?} step {step}");
                assert!(
                    (moments.variance[0] - variance).abs() < 1e-12,
                    "{descent:?} {lookahead:?} step {step}: {} and {variance}",
                    moments.variance[0]
                );
            }
            let loss = 0.5 * a * (fast.mean[0].powi(2) + fast.variance[0] + sigma * sigma);
            close(model.loss(&fast), loss, 1e-14);
        }
        assert_eq!(recursion.steps(), steps as u64);
    }
}

/// The paper's recursions of section 3.1, over a cycle.
#[test]
fn a_cycle_is_the_papers() {
    let (a, sigma, gamma, k, alpha) = (0.9, 0.6, 0.5, 6, 0.35);
    let model = NoisyQuadratic::new(&[a], &[sigma]).unwrap();
    let lookahead = Lookahead::new(k, alpha);
    let mut recursion = model.recursion(Descent::sgd(gamma), Some(lookahead), &[3.0]).unwrap();
    let r: f64 = 1.0 - gamma * a;
    let (mut mean, mut variance) = (3.0, 0.0);
    for _ in 0..10 {
        let mut theta = variance;
        for _ in 0..k {
            theta = r * r * theta + (gamma * a * sigma).powi(2);
            recursion.step();
        }
        close(recursion.unsynchronised().variance[0], theta, 1e-13);
        close(recursion.unsynchronised().mean[0], r.powi(k as i32) * mean, 1e-13);
        mean *= 1.0 - alpha + alpha * r.powi(k as i32);
        let covariance = r.powi(k as i32) * variance;
        let keep = 1.0 - alpha;
        variance = keep * keep * variance + alpha * alpha * theta + 2.0 * alpha * keep * covariance;
        close(recursion.slow().mean[0], mean, 1e-13);
        close(recursion.slow().variance[0], variance, 1e-13);
        assert_eq!(recursion.slow(), recursion.fast());
    }
}

/// Proposition 2: where the recursion stops moving. For odd and even k, and for learning rates on both sides of 1/a.
#[test]
fn recursions_converge_to_the_fixed_points() {
    let (curvatures, deviations) = ([0.2, 1.0, 1.7], [1.0, 0.5, 2.0]);
    let model = NoisyQuadratic::new(&curvatures, &deviations).unwrap();
    for gamma in [0.1, 0.6, 1.1] {
        for lookahead in
            [None, Some((5, 0.5)), Some((4, 0.2)), Some((1, 0.7)), Some((20, 0.9)), Some((3, 1.0))]
        {
            let lookahead = lookahead.map(|(k, alpha)| Lookahead::new(k, alpha));
            let mut recursion = model.recursion(Descent::sgd(gamma), lookahead, &[1.0; 3]).unwrap();
            for _ in 0..10_000 {
                recursion.step();
            }
            let alone = model.sgd_variance(gamma).unwrap();
            let expected = match &lookahead {
                Some(lookahead) => model.lookahead_variance(gamma, lookahead).unwrap(),
                None => alone.clone(),
            };
            for i in 0..3 {
                close(recursion.slow().variance[i], expected[i], 1e-11);
                assert!(recursion.slow().mean[i].abs() < 1e-15);
                // The text of the proposition.
                let (a, sigma, r) = (curvatures[i], deviations[i], 1.0 - gamma * curvatures[i]);
                close(alone[i], (gamma * a * sigma).powi(2) / (1.0 - r * r), 1e-12);
                if let Some(Lookahead { k, alpha, .. }) = lookahead {
                    let (k, outer) = (k as i32, alpha * alpha);
                    let top = outer * (1.0 - r.powi(2 * k));
                    let ratio = top / (top + 2.0 * alpha * (1.0 - alpha) * (1.0 - r.powi(k)));
                    close(expected[i], ratio * alone[i], 1e-12);
                    assert!(alpha == 1.0 || expected[i] < alone[i]);
                }
            }
        }
    }
}

#[test]
fn equal_variances_are_equal() {
    let single = NoisyQuadratic::new(&[0.8], &[1.5]).unwrap();
    let many = NoisyQuadratic::new(&[0.01, 0.1, 1.0], &[3.0, 1.0, 0.2]).unwrap();
    let excess = |model: &NoisyQuadratic, variance: &[f64]| -> f64 {
        model.curvatures().iter().zip(variance).map(|(a, v)| a * v).sum()
    };
    for model in [&single, &many] {
        for (k, alpha) in [(5, 0.5), (20, 0.2), (1, 0.9)] {
            let (gamma, lookahead) = (0.9, Lookahead::new(k, alpha));
            let slower = model.equivalent_learning_rate(gamma, &lookahead).unwrap();
            assert!(slower < gamma);
            let wanted = excess(model, &model.lookahead_variance(gamma, &lookahead).unwrap());
            close(excess(model, &model.sgd_variance(slower).unwrap()), wanted, 1e-12);
            close(model.equivalent_alpha(slower, gamma, k).unwrap(), alpha, 1e-11);
        }
    }
    let slower = single.equivalent_learning_rate(0.9, &Lookahead::new(5, 0.5)).unwrap();
    let variance = single.lookahead_variance(0.9, &Lookahead::new(5, 0.5)).unwrap()[0];
    close(slower, 2.0 * variance / (0.8 * (1.5 * 1.5 + variance)), 1e-12);
    close(single.equivalent_learning_rate(0.9, &Lookahead::new(5, 1.0)).unwrap(), 0.9, 1e-12);
}

/// A matrix `Q' diag(a) Q` with random Q, and a vector.
fn dense(curvatures: &[f64], seed: u64) -> (DMatrix<f64>, DVector<f64>) {
    let n = curvatures.len();
    let mut rng = SmallRng::seed_from_u64(seed);
    let q = DMatrix::from_fn(n, n, |_, _| rng.random_range(-1.0..1.0)).qr().q();
    let b = DVector::from_fn(n, |_, _| rng.random_range(-1.0..1.0));
    let a = q.transpose() * DMatrix::from_diagonal(&DVector::from_row_slice(curvatures)) * q;
    (0.5 * (&a + a.transpose()), b)
}

fn quadratic(a: &DMatrix<f64>, b: &DVector<f64>) -> Quadratic {
    Quadratic::new(a.transpose().as_slice(), b.as_slice()).unwrap()
}

/// Proposition 1 against the formula as the paper has it, with the minimum found by another library, and against a
/// golden-section search along the line.
#[test]
fn the_best_alpha_is_that_of_a_line_search() {
    for seed in 0..20 {
        let (a, b) = dense(&[0.05, 0.3, 1.0, 2.0, 7.0], seed);
        let model = quadratic(&a, &b);
        let minimum = a.clone().cholesky().unwrap().solve(&b);
        let mut rng = SmallRng::seed_from_u64(100 + seed);
        let [start, end] = [0, 1].map(|_| DVector::from_fn(5, |_, _| rng.random_range(-3.0..3.0)));
        let alpha = model.best_alpha(start.as_slice(), end.as_slice()).unwrap();

        let step = &start - &end;
        let formula = (&start - &minimum).dot(&(&a * &step)) / step.dot(&(&a * &step));
        close(alpha, formula, 1e-10);

        let loss = |alpha: f64| model.loss((&start + alpha * (&end - &start)).as_slice()).unwrap();
        let (mut low, mut high) = (alpha - 10.0, alpha + 7.0);
        for _ in 0..100 {
            let (left, right) = (low + 0.382 * (high - low), low + 0.618 * (high - low));
            if loss(left) < loss(right) { high = right } else { low = left }
        }
        // A minimum's value is flat, so that its place is known to half the digits.
        assert!((alpha - low).abs() < 1e-6, "{alpha} and {low}");

        let gradient = model.gradient(minimum.as_slice()).unwrap();
        assert!(gradient.iter().all(|slope| slope.abs() < 1e-12));
    }
}

/// With Â = A the estimate is alpha*, clipped; with another, the paper's formula with its inverse.
#[test]
fn the_estimated_alpha_is_the_papers() {
    let (a, b) = ([0.5, 2.0, 3.0], [1.0, -1.0, 0.2]);
    let model = Quadratic::diagonal(&a, &b).unwrap();
    let (start, end) = ([3.0, 1.0, -2.0], [2.0, -0.9, 0.8]);
    let best = model.best_alpha(&start, &end).unwrap();
    assert!(best > 0.1 && best < 1.0);
    close(model.estimated_alpha(&start, &end, &a, 0.1).unwrap(), best, 1e-12);
    close(model.estimated_alpha(&start, &end, &a, best + 0.01).unwrap(), best + 0.01, 1e-12);

    let estimate = [0.9, 1.5, 4.0];
    let gradient = model.gradient(&end).unwrap();
    let (mut top, mut bottom) = (0.0, 0.0);
    for i in 0..3 {
        let step = start[i] - end[i];
        top += (start[i] - (end[i] - gradient[i] / estimate[i])) * estimate[i] * step;
        bottom += step * estimate[i] * step;
    }
    close(
        model.estimated_alpha(&start, &end, &estimate, 0.1).unwrap(),
        (top / bottom).clamp(0.1, 1.0),
        1e-12,
    );
}

/// The whole block matrix of one cycle on (theta, v) or (phi, v), for a dense A, from the update rules.
fn cycle(a: &DMatrix<f64>, descent: Descent, lookahead: &Lookahead) -> DMatrix<f64> {
    let n = a.nrows();
    let one = DMatrix::<f64>::identity(n, n);
    let (gamma, beta, alpha) = (descent.learning_rate, descent.momentum, lookahead.alpha);
    // v' = beta v + A theta; theta' = theta - gamma v'.
    let mut inner = DMatrix::zeros(2 * n, 2 * n);
    inner.view_mut((0, 0), (n, n)).copy_from(&(&one - gamma * a));
    inner.view_mut((0, n), (n, n)).copy_from(&(-gamma * beta * &one));
    inner.view_mut((n, 0), (n, n)).copy_from(a);
    inner.view_mut((n, n), (n, n)).copy_from(&(beta * &one));
    let mut whole = DMatrix::identity(2 * n, 2 * n);
    for _ in 0..lookahead.k {
        whole = &inner * whole;
    }
    // At the start of a cycle theta = phi, and the slow copy of v is v.
    let (mut slow, mut kept) = (DMatrix::identity(2 * n, 2 * n), whole.clone());
    match lookahead.policy {
        StatePolicy::Maintain => {
            kept.view_mut((0, 0), (n, 2 * n)).fill(0.0);
            slow.view_mut((n, n), (n, n)).fill(0.0);
            whole.view_mut((n, 0), (n, 2 * n)).fill(0.0);
        }
        StatePolicy::Interpolate => kept.fill(0.0),
        StatePolicy::Reset => {
            kept.fill(0.0);
            slow.view_mut((n, n), (n, n)).fill(0.0);
            whole.view_mut((n, 0), (n, 2 * n)).fill(0.0);
            whole.view_mut((0, n), (2 * n, n)).fill(0.0);
        }
    }
    (1.0 - alpha) * slow + alpha * whole + kept
}

fn spectral_radius(matrix: DMatrix<f64>) -> f64 {
    matrix.complex_eigenvalues().iter().map(|value| value.norm()).fold(0.0, f64::max)
}

#[test]
fn rates_are_the_eigenvalues_of_the_whole_block_matrix() {
    let curvatures = [0.02, 0.11, 0.35, 0.8, 1.0];
    let (a, _) = dense(&curvatures, 7);
    let mut compared = 0;
    for momentum in [0.0, 0.5, 0.9, 0.99] {
        for share in [0.003, 0.05, 0.3, 0.8, 0.97] {
            let bound = stability_bound(momentum, &curvatures).unwrap();
            let descent = Descent::heavy_ball(share * bound, momentum);
            let alone = spectral_radius(cycle(&a, descent, &Lookahead::new(1, 1.0)));
            // A double eigenvalue is known to half the digits.
            close(worst_rate(descent, None, &curvatures).unwrap(), alone, 1e-6);
            for policy in POLICIES {
                for (k, alpha) in [(1, 0.5), (5, 0.5), (20, 0.5), (7, 0.2), (6, 1.0)] {
                    let lookahead = Lookahead::new(k, alpha).policy(policy);
                    let radius = spectral_radius(cycle(&a, descent, &lookahead));
                    let found = worst_rate(descent, Some(&lookahead), &curvatures).unwrap();
                    close(found.powf(f64::from(k)), radius, 1e-6);
                    let each = curvatures.map(|a| rate(descent, Some(&lookahead), a).unwrap());
                    close(found, each.into_iter().fold(0.0, f64::max), 0.0);
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 300);
}

/// 1 - rate at kappa = 10, 100 and 1e4, of an independent computation on a grid of 0.01 decades.
#[test]
fn figure_4_has_the_known_values() {
    let known = [
        (10.0, [0.0050, 0.0103, 0.0179, 0.0292]),
        (100.0, [0.0050, 0.0056, 0.0044, 0.0040]),
        (1e4, [0.0050, 0.0044, 0.0029, 0.0014]),
    ];
    for (kappa, expected) in known {
        let curvatures = log_spaced_curvatures(kappa, 41).unwrap();
        close(curvatures[0], 1.0 / kappa, 1e-12);
        assert_eq!((curvatures.len(), curvatures[40]), (41, 1.0));
        let policies = POLICIES.map(|policy| Some(Lookahead::new(20, 0.5).policy(policy)));
        for (lookahead, expected) in [None].into_iter().chain(policies).zip(expected) {
            // That grid, powers of ten, first.
            let bound = stability_bound(0.99, &curvatures).unwrap();
            let grid = (-800..=100).map(|i| 10f64.powf(f64::from(i) / 100.0)).filter(|gamma| *gamma < bound);
            let rates = grid.map(|gamma| {
                worst_rate(Descent::heavy_ball(gamma, 0.99), lookahead.as_ref(), &curvatures).unwrap()
            });
            let on_grid = 1.0 - rates.fold(1.0, f64::min);
            assert!((on_grid - expected).abs() < 5.1e-5, "{on_grid} and {expected}");
            let best = best_learning_rate(0.99, lookahead.as_ref(), &curvatures).unwrap();
            let found = 1.0 - best.rate;
            println!("kappa {kappa}: {:?}: {found:.5}", lookahead.map(|lookahead| lookahead.policy));
            assert!(found > on_grid - 1e-9 && found < on_grid + 3e-4, "{found} and {on_grid}");
            let descent = Descent::heavy_ball(best.learning_rate, 0.99);
            assert_eq!(worst_rate(descent, lookahead.as_ref(), &curvatures).unwrap(), best.rate);
        }
    }
}

/// Gradient descent's best learning rate is 2/(L + l), with the rate (kappa - 1)/(kappa + 1); heavy ball's rate cannot
/// be below sqrt(beta).
#[test]
fn the_best_learning_rate_is_the_known_one() {
    for kappa in [2.0, 50.0, 1e4] {
        let curvatures = log_spaced_curvatures(kappa, 30).unwrap();
        let best = best_learning_rate(0.0, None, &curvatures).unwrap();
        close(best.learning_rate, 2.0 / (1.0 + 1.0 / kappa), 1e-8);
        close(best.rate, (kappa - 1.0) / (kappa + 1.0), 1e-8);
    }
    let single = best_learning_rate(0.0, None, &[4.0]).unwrap();
    close(single.learning_rate, 0.25, 1e-6);
    close(best_learning_rate(0.81, None, &[0.1, 1.0]).unwrap().rate, 0.9, 1e-12);
    let critical = critical_condition_number(0.81).unwrap();
    close(critical, 361.0, 1e-12);
    let below = best_learning_rate(0.81, None, &log_spaced_curvatures(0.99 * critical, 9).unwrap()).unwrap();
    close(below.rate, 0.9, 1e-9);
    let above = best_learning_rate(0.81, None, &log_spaced_curvatures(1.5 * critical, 9).unwrap()).unwrap();
    assert!(above.rate > 0.91);
}

#[test]
fn bad_input_is_an_error_that_says_what_to_do() {
    let model = NoisyQuadratic::new(&[1.0, 2.0], &[0.5, 0.0]).unwrap();
    let says = |result: Result<(), Error>, words: &str| {
        let message = result.expect_err(words).to_string();
        assert!(message.contains(words), "{message}");
    };
    let noisy = |a: &[f64], sigma: &[f64]| NoisyQuadratic::new(a, sigma).map(drop);
    says(noisy(&[], &[]), "it is empty; give at least one curvature");
    says(noisy(&[1.0, 0.0], &[1.0, 1.0]), "curvature 1 is 0; each must be finite and above 0");
    says(noisy(&[f64::NAN], &[1.0]), "curvature 0 is NaN");
    says(noisy(&[1.0], &[-0.5]), "sigma_0 = -0.5 is negative");
    says(noisy(&[1.0], &[f64::INFINITY]), "value 0 of deviations is inf");
    says(noisy(&[1.0], &[1.0, 2.0]), "it has 1 coordinates, and deviations has 2 values");

    let run = |descent, lookahead| model.recursion(descent, lookahead, &[0.0; 2]).map(drop);
    let unstable = "the learning rate 1 does not converge with momentum 0: it must be above 0 and below \
                    2 (1 + momentum) / (largest curvature) = 1";
    says(run(Descent::sgd(1.0), None), unstable);
    for learning_rate in [0.0, -0.1, f64::NAN, f64::INFINITY] {
        says(run(Descent::sgd(learning_rate), None), "does not converge");
        says(model.sgd_variance(learning_rate).map(drop), "does not converge");
    }
    assert!(run(Descent::heavy_ball(1.5, 0.9), None).is_ok());
    for momentum in [1.0, -0.1, f64::NAN] {
        says(run(Descent::heavy_ball(0.1, momentum), None), "it must be in [0, 1)");
        says(best_learning_rate(momentum, None, &[1.0]).map(drop), "it must be in [0, 1)");
    }
    says(run(Descent::sgd(0.1), Some(Lookahead::new(0, 0.5))), "k = 0 is not allowed");
    says(run(Descent::sgd(0.1), Some(Lookahead::new(5, 0.0))), "alpha = 0 is not allowed");
    says(model.lookahead_variance(0.1, &Lookahead::new(5, 1.5)).map(drop), "alpha = 1.5");
    says(model.recursion(Descent::sgd(0.1), None, &[0.0]).map(drop), "start has 1 values");
    says(model.recursion(Descent::sgd(0.1), None, &[0.0, f64::NAN]).map(drop), "value 1 of start is NaN");
    says(model.equivalent_alpha(0.5, 0.4, 5).map(drop), "sgd_learning_rate = 0.5 is not allowed");
    says(model.equivalent_alpha(0.3, 0.4, 0).map(drop), "k = 0");

    let quadratic = |a: &[f64], b: &[f64]| Quadratic::new(a, b).map(drop);
    says(quadratic(&[], &[]), "n at least 1");
    says(quadratic(&[1.0, 2.0], &[1.0, 2.0]), "A must have 2 x 2");
    says(quadratic(&[1.0, 2.0, 2.0, 1.0], &[0.0; 2]), "A is not positive definite");
    says(quadratic(&[1.0, 0.2, 0.3, 1.0], &[0.0; 2]), "A[1][0] = 0.3, A[0][1] = 0.2");
    says(quadratic(&[f64::NAN], &[0.0]), "NaN is in A or b");
    says(Quadratic::diagonal(&[1.0, -2.0], &[0.0; 2]).map(drop), "A is not positive definite");
    says(Quadratic::diagonal(&[1.0], &[0.0; 2]).map(drop), "diag(A) must have 2");
    // A million coordinates, whose whole matrix no machine has room for.
    let wide = Quadratic::diagonal(&vec![2.0; 1_000_000], &vec![2.0; 1_000_000]).unwrap();
    close(wide.loss(&vec![1.0; 1_000_000]).unwrap(), -1e6, 1e-12);
    let bowl = Quadratic::diagonal(&[1.0, 2.0], &[0.0; 2]).unwrap();
    says(bowl.best_alpha(&[1.0; 2], &[1.0; 2]).map(drop), "the points must differ");
    says(bowl.best_alpha(&[1.0; 2], &[1.0]).map(drop), "theta_k has 1");
    says(bowl.estimated_alpha(&[1.0; 2], &[0.0; 2], &[0.0; 2], 0.1).map(drop), "there is no best alpha");
    says(bowl.estimated_alpha(&[1.0; 2], &[0.0; 2], &[1.0; 2], 0.0).map(drop), "alpha_low = 0");
    says(bowl.loss(&[1.0]).map(drop), "x has 1");

    says(rate(Descent::sgd(0.1), None, -1.0).map(drop), "curvature 0 is -1");
    says(worst_rate(Descent::sgd(0.1), None, &[]).map(drop), "it is empty");
    says(log_spaced_curvatures(0.5, 3).map(drop), "condition_number = 0.5");
    says(log_spaced_curvatures(2.0, 0).map(drop), "count = 0");
    says(critical_condition_number(1.0).map(drop), "momentum = 1");
}

/// Numbers of every kind.
fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>(), -3.0..3.0, Just(0.0), Just(1.0), Just(f64::NAN), Just(f64::INFINITY)]
}

proptest! {
    /// Whatever is given, there is a result or an error, and no panic; what is accepted gives no NaN.
    #[test]
    fn no_input_panics(
        values in prop::collection::vec(any_number(), 0..6),
        others in prop::collection::vec(any_number(), 0..6),
        gamma in any_number(),
        beta in any_number(),
        alpha in any_number(),
        k in prop_oneof![0u32..30, Just(u32::MAX)],
        policy in 0usize..3,
    ) {
        let lookahead = Lookahead::new(k, alpha).policy(POLICIES[policy]);
        let descent = Descent::heavy_ball(gamma, beta);
        if let Ok(model) = NoisyQuadratic::new(&values, &others) {
            let _ = model.equivalent_learning_rate(gamma, &lookahead);
            let _ = model.equivalent_alpha(beta, gamma, k);
            if let Ok(mut recursion) = model.recursion(descent, Some(lookahead), &others) {
                recursion.step();
                prop_assert!(recursion.fast().variance.iter().all(|variance| !variance.is_nan()));
            }
        }
        if let Ok(rate) = worst_rate(descent, Some(&lookahead), &values) {
            prop_assert!(!rate.is_nan());
        }
        let _ = log_spaced_curvatures(gamma, others.len());
        let _ = critical_condition_number(beta);
        for model in [Quadratic::new(&values, &others), Quadratic::diagonal(&values, &others)] {
            let Ok(model) = model else { continue };
            let _ = model.best_alpha(&others, &values);
            let _ = model.estimated_alpha(&others, &values, &others, alpha);
        }
    }
}
