//! The noisy quadratic model: exact means and variances of the iterates (section 3.1 of the paper).

use super::{Descent, check_spectrum};
use crate::{Error, Lookahead, StatePolicy, error::check_hyperparameter};

/// The noisy quadratic model: at every step the loss is `1/2 (theta - c)'A(theta - c)` with `A = diag(a_i)` and its
/// minimum `c ~ N(0, diag(sigma_i^2))` drawn anew, so that the gradient is `a_i (theta_i - c_i)`.
#[derive(Debug, Clone, PartialEq)]
pub struct NoisyQuadratic {
    curvatures: Vec<f64>,
    deviations: Vec<f64>,
}

/// Mean and variance of each coordinate of a random iterate.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// `E[theta_i]`.
    pub mean: Vec<f64>,
    /// `V[theta_i]`.
    pub variance: Vec<f64>,
}

impl NoisyQuadratic {
    /// With the curvatures `a_i` and the standard deviations `sigma_i` of the noise.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] where there is no coordinate, the numbers of values differ, a curvature is not positive and
    /// finite, or a deviation is negative or not finite.
    pub fn new(curvatures: &[f64], deviations: &[f64]) -> Result<Self, Error> {
        check_spectrum(curvatures)?;
        check_values("deviations", deviations, curvatures.len())?;
        if let Some((i, value)) = deviations.iter().enumerate().find(|(_, value)| **value < 0.0) {
            let problem = format!("sigma_{i} = {value} is negative; a standard deviation is at least 0");
            return Err(Error::Model { what: "noise", problem });
        }
        Ok(Self { curvatures: curvatures.to_vec(), deviations: deviations.to_vec() })
    }

    /// The curvatures `a_i`.
    pub fn curvatures(&self) -> &[f64] {
        &self.curvatures
    }

    /// The standard deviations `sigma_i` of the noise.
    pub fn deviations(&self) -> &[f64] {
        &self.deviations
    }

    /// The expected loss of an iterate, `1/2 sum_i a_i (E[theta_i]^2 + V[theta_i] + sigma_i^2)`. Coordinates that
    /// `moments` lacks are at the minimum.
    pub fn loss(&self, moments: &Moments) -> f64 {
        let coordinates = self.curvatures.iter().zip(&self.deviations);
        let iterate =
            moments.mean.iter().zip(&moments.variance).map(|(mean, variance)| mean * mean + variance);
        let terms = coordinates.zip(iterate.chain(std::iter::repeat(0.0)));
        0.5 * terms.map(|((a, sigma), square)| a * (square + sigma * sigma)).sum::<f64>()
    }

    /// The exact moments of a run, step by step, from the point `start`.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] where `start` has another number of values or one that is not finite; whatever is wrong with
    /// the hyperparameters.
    pub fn recursion(
        &self,
        descent: Descent,
        lookahead: Option<Lookahead>,
        start: &[f64],
    ) -> Result<Recursion, Error> {
        descent.check(&self.curvatures)?;
        lookahead.as_ref().map_or(Ok(()), Lookahead::check)?;
        check_values("start", start, self.curvatures.len())?;
        let coordinates = self.curvatures.iter().zip(&self.deviations).zip(start);
        let coordinates: Vec<_> = coordinates
            .map(|((&curvature, deviation), &start)| Coordinate {
                inner: descent.matrix(curvature),
                noise: descent.learning_rate * curvature * deviation,
                mean: [start, 0.0, start, 0.0],
                covariance: [[0.0; 4]; 4],
                unsynchronised: [start, 0.0],
            })
            .collect();
        Ok(Recursion { coordinates, lookahead, steps: 0 })
    }

    /// The variance that SGD converges to (Proposition 2), of each coordinate:
    ///
    /// ```text
    /// V_SGD* = gamma^2 a^2 sigma^2 / (1 - (1 - gamma a)^2)
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Unstable`] where the learning rate gamma is not in (0, 2/max a).
    pub fn sgd_variance(&self, learning_rate: f64) -> Result<Vec<f64>, Error> {
        Descent::sgd(learning_rate).check(&self.curvatures)?;
        let coordinates = self.curvatures.iter().zip(&self.deviations);
        // The factor gamma a, divided out.
        let variance = |step: f64, sigma: f64| step * sigma * sigma / (2.0 - step);
        Ok(coordinates.map(|(a, sigma)| variance(learning_rate * a, *sigma)).collect())
    }

    /// The variance that the slow weights of Lookahead(SGD) converge to (Proposition 2), of each coordinate, with
    /// `r = 1 - gamma a`:
    ///
    /// ```text
    /// V_LA* = alpha^2 (1 - r^2k) / (alpha^2 (1 - r^2k) + 2 alpha (1 - alpha) (1 - r^k)) V_SGD*
    /// ```
    ///
    /// The policy does not matter, since SGD has no state.
    ///
    /// # Errors
    ///
    /// Those of [`sgd_variance`](Self::sgd_variance), and [`Error::Hyperparameter`] for k and alpha.
    pub fn lookahead_variance(&self, learning_rate: f64, lookahead: &Lookahead) -> Result<Vec<f64>, Error> {
        lookahead.check()?;
        let alone = self.sgd_variance(learning_rate)?;
        let ratio = |a: f64| {
            // The factor alpha (1 - r^k), divided out.
            let kept = (1.0 - learning_rate * a).powf(f64::from(lookahead.k));
            let moved = lookahead.alpha * (1.0 + kept);
            moved / (moved + 2.0 * (1.0 - lookahead.alpha))
        };
        Ok(self.curvatures.iter().zip(alone).map(|(a, variance)| ratio(*a) * variance).collect())
    }

    /// The learning rate at which SGD alone converges to the expected loss that Lookahead(SGD) converges to; with
    /// one coordinate, to the same variance. It is at most Lookahead's own.
    ///
    /// # Errors
    ///
    /// Those of [`lookahead_variance`](Self::lookahead_variance).
    pub fn equivalent_learning_rate(&self, learning_rate: f64, lookahead: &Lookahead) -> Result<f64, Error> {
        let wanted = self.excess(&self.lookahead_variance(learning_rate, lookahead)?);
        // V_SGD* grows with gamma.
        bisect(0.0, learning_rate, |trial| Ok(self.excess(&self.sgd_variance(trial)?) < wanted))
    }

    /// The alpha at which Lookahead(SGD) with learning rate `learning_rate` and period `k` converges to the
    /// expected loss that SGD alone converges to with the smaller learning rate `sgd_learning_rate`; with one
    /// coordinate, to the same variance.
    ///
    /// # Errors
    ///
    /// [`Error::Hyperparameter`] where `sgd_learning_rate` is not in (0, `learning_rate`] or k is 0;
    /// [`Error::Unstable`].
    pub fn equivalent_alpha(&self, sgd_learning_rate: f64, learning_rate: f64, k: u32) -> Result<f64, Error> {
        let allowed = sgd_learning_rate > 0.0 && sgd_learning_rate <= learning_rate;
        let range = "in (0, gamma], with gamma the learning rate within Lookahead";
        check_hyperparameter("sgd_learning_rate", sgd_learning_rate, |_| allowed, range)?;
        let wanted = self.excess(&self.sgd_variance(sgd_learning_rate)?);
        self.lookahead_variance(learning_rate, &Lookahead::new(k, 1.0))?;
        // V_LA* grows with alpha.
        let below = |alpha: f64| {
            Ok(self.excess(&self.lookahead_variance(learning_rate, &Lookahead::new(k, alpha))?) < wanted)
        };
        bisect(0.0, 1.0, below)
    }

    /// The expected loss above that of the minimum, of a random point with mean 0.
    fn excess(&self, variance: &[f64]) -> f64 {
        0.5 * self.curvatures.iter().zip(variance).map(|(a, variance)| a * variance).sum::<f64>()
    }
}

/// The point of `(low, high]` up to which `below` holds, to the last digit.
fn bisect(mut low: f64, mut high: f64, below: impl Fn(f64) -> Result<bool, Error>) -> Result<f64, Error> {
    loop {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            return Ok(high);
        }
        if below(middle)? {
            low = middle;
        } else {
            high = middle;
        }
    }
}

/// Refuses values that are not one finite number for each coordinate.
fn check_values(name: &str, values: &[f64], coordinates: usize) -> Result<(), Error> {
    let refuse = |problem| Err(Error::Model { what: "model", problem });
    if values.len() != coordinates {
        let given = values.len();
        return refuse(format!("it has {coordinates} coordinates, and {name} has {given} values"));
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(i) => refuse(format!("value {i} of {name} is {}, which is no finite number", values[i])),
        None => Ok(()),
    }
}

/// A run of the model, of which the exact moments are known at every step; [`NoisyQuadratic::recursion`] begins one.
#[derive(Debug, Clone)]
pub struct Recursion {
    coordinates: Vec<Coordinate>,
    lookahead: Option<Lookahead>,
    steps: u64,
}

/// The linear system of one coordinate: theta, v, and their slow copies phi and u.
#[derive(Debug, Clone)]
struct Coordinate {
    /// What an inner step does to (theta, v).
    inner: [[f64; 2]; 2],
    /// Standard deviation of what it adds to theta and to v.
    noise: f64,
    mean: [f64; 4],
    covariance: [[f64; 4]; 4],
    /// Mean and variance of theta after the last inner step, before a sync.
    unsynchronised: [f64; 2],
}

impl Coordinate {
    /// Multiplies the state by a matrix.
    fn transform(&mut self, matrix: &[[f64; 4]; 4]) {
        let rows = |columns: &[[f64; 4]; 4]| {
            matrix.map(|row| columns.map(|column| (0..4).map(|i| row[i] * column[i]).sum::<f64>()))
        };
        self.mean = matrix.map(|row| (0..4).map(|i| row[i] * self.mean[i]).sum());
        // F C F': `rows` gives F C' (C is its own transpose), and then F (F C)'.
        self.covariance = rows(&rows(&self.covariance));
    }

    fn step(&mut self) {
        let [[tt, tv], [vt, vv]] = self.inner;
        self.transform(&[[tt, tv, 0.0, 0.0], [vt, vv, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]);
        // One and the same draw moves theta and v.
        for row in &mut self.covariance[..2] {
            for value in &mut row[..2] {
                *value += self.noise * self.noise;
            }
        }
        self.unsynchronised = [self.mean[0], self.covariance[0][0]];
    }

    fn sync(&mut self, lookahead: &Lookahead) {
        let alpha = lookahead.alpha;
        let keep = 1.0 - alpha;
        let moved = [alpha, 0.0, keep, 0.0];
        let (v, u) = match lookahead.policy {
            StatePolicy::Maintain => ([0.0, 1.0, 0.0, 0.0], [0.0; 4]),
            StatePolicy::Interpolate => ([0.0, alpha, 0.0, keep], [0.0, alpha, 0.0, keep]),
            StatePolicy::Reset => ([0.0; 4], [0.0; 4]),
        };
        self.transform(&[moved, v, moved, u]);
    }

    fn moments(&self, index: usize) -> [f64; 2] {
        [self.mean[index], self.covariance[index][index]]
    }
}

impl Recursion {
    /// Takes an inner step, and after every k-th the sync, as the optimizer does.
    pub fn step(&mut self) {
        self.steps += 1;
        let sync = self.lookahead.filter(|lookahead| self.steps.is_multiple_of(u64::from(lookahead.k)));
        for coordinate in &mut self.coordinates {
            coordinate.step();
            if let Some(lookahead) = &sync {
                coordinate.sync(lookahead);
            }
        }
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The fast weights theta. After a sync they are where the slow weights are.
    pub fn fast(&self) -> Moments {
        self.collect(|coordinate| coordinate.moments(0))
    }

    /// The slow weights phi; the fast ones where there is no Lookahead.
    pub fn slow(&self) -> Moments {
        let index = if self.lookahead.is_some() { 2 } else { 0 };
        self.collect(|coordinate| coordinate.moments(index))
    }

    /// The fast weights after the last inner step, before the sync that may have followed it.
    pub fn unsynchronised(&self) -> Moments {
        self.collect(|coordinate| coordinate.unsynchronised)
    }

    fn collect(&self, moments: impl Fn(&Coordinate) -> [f64; 2]) -> Moments {
        let (mean, variance) = self.coordinates.iter().map(|coordinate| moments(coordinate).into()).unzip();
        Moments { mean, variance }
    }
}
