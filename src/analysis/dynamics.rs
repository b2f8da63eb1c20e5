//! Convergence without noise: spectral radii of classical momentum and of Lookahead around it (section 3.2).

use super::{Descent, check_spectrum};
use crate::{Error, Lookahead, StatePolicy, error::check_hyperparameter};

/// The factor by which a coordinate of this curvature shrinks in each inner step, in the long run: the spectral radius
/// of the linear system that heavy ball is, or, with Lookahead, the k-th root of that of one cycle. The convergence
/// rate of the paper's Figure 4 is 1 minus it.
///
/// With `M = [[1 - gamma a, beta], [-gamma a, beta]]` on (theta, v) in the paper's form
/// (`v <- beta v - gamma a theta; theta <- theta + v`), and `P = M^k`, a cycle is
///
/// ```text
/// maintain     S = [[1 - alpha + alpha P11, alpha P12], [P21, P22]]
/// interpolate  S = (1 - alpha) I + alpha P
/// reset        s = 1 - alpha + alpha P11
/// ```
///
/// # Errors
///
/// [`Error::Model`] where the curvature is not positive and finite; [`Error::Unstable`] where the learning rate is
/// outside (0, 2 (1 + beta)/a); [`Error::Hyperparameter`] for beta, k and alpha.
pub fn rate(descent: Descent, lookahead: Option<&Lookahead>, curvature: f64) -> Result<f64, Error> {
    worst_rate(descent, lookahead, &[curvature])
}

/// The largest of the [`rate`]s of these curvatures: that of the whole quadratic.
///
/// # Errors
///
/// Those of [`rate`], and [`Error::Model`] where there is no curvature.
pub fn worst_rate(descent: Descent, lookahead: Option<&Lookahead>, curvatures: &[f64]) -> Result<f64, Error> {
    check_spectrum(curvatures)?;
    descent.check(curvatures)?;
    lookahead.map_or(Ok(()), Lookahead::check)?;
    Ok(worst(descent, lookahead, curvatures))
}

fn worst(descent: Descent, lookahead: Option<&Lookahead>, curvatures: &[f64]) -> f64 {
    let rates = curvatures.iter().map(|curvature| unchecked_rate(descent, lookahead, *curvature));
    rates.fold(0.0, f64::max)
}

fn unchecked_rate(descent: Descent, lookahead: Option<&Lookahead>, curvature: f64) -> f64 {
    let inner = descent.matrix(curvature);
    let Some(lookahead) = lookahead else { return spectral_radius(&inner) };
    let alpha = lookahead.alpha;
    let [[p11, p12], [p21, p22]] = power(inner, lookahead.k);
    let theta = 1.0 - alpha + alpha * p11;
    let radius = match lookahead.policy {
        StatePolicy::Maintain => spectral_radius(&[[theta, alpha * p12], [p21, p22]]),
        StatePolicy::Interpolate => {
            spectral_radius(&[[theta, alpha * p12], [alpha * p21, 1.0 - alpha + alpha * p22]])
        }
        StatePolicy::Reset => theta.abs(),
    };
    radius.powf(1.0 / f64::from(lookahead.k))
}

/// The largest absolute value of the two eigenvalues.
fn spectral_radius(matrix: &[[f64; 2]; 2]) -> f64 {
    let [[a, b], [c, d]] = matrix;
    let half_trace = 0.5 * (a + d);
    let discriminant = 0.25 * (a - d) * (a - d) + b * c;
    if discriminant < 0.0 {
        // A complex pair: its squared modulus is the determinant.
        (a * d - b * c).sqrt()
    } else {
        half_trace.abs() + discriminant.sqrt()
    }
}

fn power(matrix: [[f64; 2]; 2], exponent: u32) -> [[f64; 2]; 2] {
    let product = |a: [[f64; 2]; 2], b: [[f64; 2]; 2]| {
        a.map(|row| [0, 1].map(|column| row[0] * b[0][column] + row[1] * b[1][column]))
    };
    let mut result = [[1.0, 0.0], [0.0, 1.0]];
    let mut square = matrix;
    let mut rest = exponent;
    while rest > 0 {
        if rest % 2 == 1 {
            result = product(result, square);
        }
        square = product(square, square);
        rest /= 2;
    }
    result
}

/// A learning rate and the rate that it gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BestRate {
    /// gamma.
    pub learning_rate: f64,
    /// The [`worst_rate`] with it.
    pub rate: f64,
}

/// Steps of the grid for each factor of ten of the learning rate.
const GRID: u32 = 100;
/// Factors of ten below the largest stable learning rate that the grid covers.
const DECADES: u32 = 8;

/// The learning rate at which the [`worst_rate`] is smallest.
///
/// It is looked for on a grid of 0.01 decades over the eight decades below the largest stable one,
/// 2 (1 + beta)/L, and then by golden-section search between the grid's neighbours of the best of them, to a relative
/// error of 1e-9. The rate is at most that of any point of the grid; a valley between two points of the grid, narrower
/// than 2.3 %, may be missed.
///
/// # Errors
///
/// [`Error::Model`] where there is no curvature or one is not positive and finite; [`Error::Hyperparameter`] for beta, k
/// and alpha.
pub fn best_learning_rate(
    momentum: f64,
    lookahead: Option<&Lookahead>,
    curvatures: &[f64],
) -> Result<BestRate, Error> {
    let bound = stability_bound(momentum, curvatures)?;
    lookahead.map_or(Ok(()), Lookahead::check)?;
    let at = |exponent: f64| {
        let learning_rate = bound * 10f64.powf(-exponent);
        let descent = Descent::heavy_ball(learning_rate, momentum);
        BestRate { learning_rate, rate: worst(descent, lookahead, curvatures) }
    };
    let cell = 1.0 / f64::from(GRID);
    let grid = (1..=GRID * DECADES).map(|i| f64::from(i) * cell);
    let (exponent, best) = grid
        .map(|exponent| (exponent, at(exponent)))
        .min_by(|(_, a), (_, b)| a.rate.total_cmp(&b.rate))
        .unwrap_or((cell, at(cell)));

    let shrink = 0.5 * (5f64.sqrt() - 1.0);
    // The bound itself is not stable.
    let (mut low, mut high) = ((exponent - cell).max(1e-12), exponent + cell);
    let (mut left, mut right) = (high - shrink * (high - low), low + shrink * (high - low));
    let (mut at_left, mut at_right) = (at(left), at(right));
    while high - low > 4e-10 {
        if at_left.rate < at_right.rate {
            (high, right, at_right) = (right, left, at_left);
            left = high - shrink * (high - low);
            at_left = at(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + shrink * (high - low);
            at_right = at(right);
        }
    }
    let refined = if at_left.rate < at_right.rate { at_left } else { at_right };
    Ok(if refined.rate < best.rate { refined } else { best })
}

/// The learning rates below this converge: 2 (1 + beta)/L, with L the largest curvature.
///
/// # Errors
///
/// [`Error::Model`] where there is no curvature or one is not positive and finite; [`Error::Hyperparameter`] for beta.
pub fn stability_bound(momentum: f64, curvatures: &[f64]) -> Result<f64, Error> {
    check_spectrum(curvatures)?;
    check_momentum(momentum)?;
    let largest = curvatures.iter().copied().fold(0.0, f64::max);
    Ok(2.0 * (1.0 + momentum) / largest)
}

fn check_momentum(momentum: f64) -> Result<(), Error> {
    check_hyperparameter("momentum", momentum, |momentum| (0.0..1.0).contains(&momentum), "in [0, 1)")
}

/// The condition number up to which heavy ball with this momentum can oscillate at every curvature at once
/// (under-damped): `((1 + sqrt(beta)) / (1 - sqrt(beta)))^2`. Beyond it the flattest coordinates creep (over-damped),
/// whatever the learning rate.
///
/// # Errors
///
/// [`Error::Hyperparameter`] for beta.
pub fn critical_condition_number(momentum: f64) -> Result<f64, Error> {
    check_momentum(momentum)?;
    let root = momentum.sqrt();
    Ok(((1.0 + root) / (1.0 - root)).powi(2))
}

/// `count` curvatures from 1/kappa to 1, spaced evenly in their logarithm; one curvature is 1.
///
/// # Errors
///
/// [`Error::Hyperparameter`] where the condition number kappa is not finite and at least 1, or `count` is 0.
pub fn log_spaced_curvatures(condition_number: f64, count: usize) -> Result<Vec<f64>, Error> {
    let allowed = condition_number >= 1.0;
    check_hyperparameter("condition_number", condition_number, |_| allowed, "finite and at least 1")?;
    check_hyperparameter("count", count as f64, |count| count >= 1.0, "at least 1")?;
    let last = (count - 1).max(1) as f64;
    Ok((0..count).rev().map(|i| condition_number.powf(-(i as f64) / last)).collect())
}
