//! Anderson acceleration as the slow step: a least-squares combination of the iterates of the inner loop.
//!
//! Lookahead moves the slow weights on the line through two points, where the cycle began and where it ended, by a
//! fixed alpha. The paper (section 4) names Anderson acceleration as its relative that takes all the iterates of the
//! inner loop, with weights found from them. In a cycle of k inner steps `x_0 = phi, x_1, ..., x_k = theta_k` are the
//! weights after each. With m columns, [`stride`](method@Anderson::stride) s and `i = 0, ..., m - 1`, the iterates that count
//! are `y_i = x_(k - (m - i) s)` and `y_m = x_k`, and their residuals `r_i = y_(i+1) - y_i`. A sync finds
//!
//! ```text
//! c = argmin ||sum_i c_i r_i||^2 + lambda ||R||^2 ||c||^2,   sum_i c_i = 1
//!   = z / sum(z),   (R'R + lambda ||R||^2 I) z = 1,   ||R||^2 = sum_i ||r_i||^2
//!
//! phi <- sum_i c_i ((1 - alpha) y_i + alpha y_(i+1));   theta <- phi
//! ```
//!
//! which is regularised nonlinear acceleration (Scieur, d'Aspremont and Bach, 2016) in its online form (Scieur,
//! Oyallon, d'Aspremont and Bach, 2018), whose next cycle begins where the combination lies. alpha is
//! [`Lookahead`](crate::Lookahead)'s, there called mixing. With one column of stride k it is Lookahead itself, to the
//! last bit where slow weights are f32. Where those papers scale lambda with the spectral norm of R'R, this crate takes its trace, the square of
//! R's Frobenius norm: between once and m times as much, and found without an eigenvalue.
//!
//! ```
//! use lookahead_wgpu::{Anderson, Lookahead, Optimizer, rules::Sgd};
//! let builder = Optimizer::builder(Sgd::new(0.1))
//!     .lookahead(Lookahead::new(10, 1.0))
//!     .anderson(Anderson::new(5).regularisation(1e-8)); // from the last five residuals of ten
//! ```
//!
//! # When it helps
//!
//! Where the inner step is nearly the same linear map each time, as that of SGD without noise near a minimum: the
//! combination is then a polynomial of that map, which with more columns than the path has dimensions ends at the fixed
//! point in one cycle. Where residuals are mostly noise they are nearly orthogonal, and all coefficients near 1 / m
//! whatever lambda is: the combination is the mean of the last iterates, which calms the noise about as Lookahead does and
//! does no more. `cargo run --release -p anderson`, with SGD, k = 10 and m = 5 (lavapipe):
//!
//! | | quadratic, condition number 1000: loss after 600 steps | the same with noise | digits: training loss after 20 epochs |
//! |---|---|---|---|
//! | the rule alone | 1.5e-3 | 2.2e-2 | 0.081 |
//! | Lookahead, alpha = 0.5 | 5.2e-3 | 1.3e-2 | 0.132 |
//! | Anderson, alpha = 1, lambda = 1e-8 | 5.9e-7 | 1.0e-2 | 0.096 |
//! | Anderson, alpha = 1, lambda = 1e-2 | 1.8e-3 | 1.0e-2 | 0.096 |
//!
//! Losses of the quadratics are means of the last 120 steps, at the slow weights. The state of a rule, its momentum say, is
//! not combined: Lookahead's policy says what becomes of it.
//!
//! # What it costs
//!
//! m more planes of the weights' size ([`Memory::iterates`](crate::Memory::iterates)), one of which is written by each step
//! that counts; at a sync one small pass over all of them for m (m + 1) / 2 dot products, a kernel of one workgroup
//! that adds them up and solves the system, and the sync in a dispatch of its own. Nothing is read back. R'R has the
//! square of R's condition number, so that products and solution are in double-floats of 48 bits, whatever the device
//! has; the coefficients agree with those of an f64 solver to about `1e-13 / lambda`. On a CPU these products are most of a
//! sync: on lavapipe with two cores, of one million weights and five columns, it takes as long as some 16 steps of SGD.
//!
//! # Choices
//!
//! - **Scope.** One least-squares problem for the model (all tensors that synchronise in the same step), for each group
//!   or for each tensor.
//! - Where no weight has moved, a coefficient is not finite or the system is singular, and at a sync between steps
//!   ([`sync_now`](crate::Optimizer::sync_now)), the fixed step of Lookahead is taken.
//! - The last coefficients lie in [`Optimizer::accelerations`](crate::Optimizer::accelerations), to bind or to copy, and
//!   [`download_accelerations`](crate::Optimizer::download_accelerations) reads them.
//! - With the policy interpolate the slow copy of the state moves by alpha as ever.
//! - An adaptive alpha and another outer step do not go with it.
//! - With a guard, which alone knows where a cycle ends, the sync's kernels are dispatched in each step, and have nothing to do
//!   in most; k stays as it is.

use serde::{Deserialize, Serialize};

use crate::{
    config::{alpha::Scope, lookahead::Lookahead},
    error::{Error, check_hyperparameter},
};

/// The most columns that the kernels' least-squares problem has.
const MAX_COLUMNS: u32 = 8;

/// The slow step is a combination of the inner loop's iterates, found at every sync, on the GPU:
///
/// ```text
/// c = argmin ||sum_i c_i r_i||^2 + lambda ||R||^2 ||c||^2,   sum_i c_i = 1,   r_i = y_(i+1) - y_i
/// phi <- sum_i c_i ((1 - alpha) y_i + alpha y_(i+1))
/// ```
///
/// over the last `columns` residuals of iterates `stride` steps apart, `||R||^2 = sum_i ||r_i||^2`. Where they cannot be
/// found, [`Lookahead`]'s fixed step is taken.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Anderson {
    /// m, how many residuals are combined, and how many iterates are kept: from 1 to 8. `columns * stride` is at most k.
    pub columns: u32,
    /// Steps from an iterate that counts to the next, at least 1.
    #[serde(default = "one")]
    pub stride: u32,
    /// lambda, at least 1e-12, below which the rounding of the products would decide.
    #[serde(default = "regularisation")]
    pub regularisation: f64,
    /// What shares coefficients.
    #[serde(default)]
    pub scope: Scope,
}

impl Anderson {
    /// With so many columns, and the rest at the defaults: every iterate counts, lambda is 1e-8, and the whole model
    /// shares its coefficients.
    pub fn new(columns: u32) -> Self {
        Self { columns, stride: one(), regularisation: regularisation(), scope: Scope::default() }
    }

    /// With so many steps from an iterate that counts to the next.
    pub fn stride(self, stride: u32) -> Self {
        Self { stride, ..self }
    }

    /// With this lambda.
    pub fn regularisation(self, regularisation: f64) -> Self {
        Self { regularisation, ..self }
    }

    /// With coefficients for each of these.
    pub fn scope(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    /// The steps of a cycle of k after which an iterate counts, the k-th aside, in their order: none where k is too small.
    pub(crate) fn iterates(&self, k: u32) -> Vec<u32> {
        let first = self.columns.checked_mul(self.stride).and_then(|steps| k.checked_sub(steps));
        first.map_or(vec![], |first| (0..self.columns).map(|column| first + column * self.stride).collect())
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let (columns, stride) = (f64::from(self.columns), f64::from(self.stride));
        let most = f64::from(MAX_COLUMNS);
        check_hyperparameter("Anderson's columns", columns, |it| (1.0..=most).contains(&it), "from 1 to 8")?;
        check_hyperparameter("Anderson's stride", stride, |it| it >= 1.0, "at least 1")?;
        check_hyperparameter(
            "Anderson's regularisation",
            self.regularisation,
            |it| (1e-12..=1e6).contains(&it),
            "from 1e-12 to 1e6",
        )
    }

    /// Refuses cycles that have fewer steps than count.
    pub(crate) fn check_cycle(&self, lookahead: &Lookahead) -> Result<(), Error> {
        if !self.iterates(lookahead.k).is_empty() {
            return Ok(());
        }
        let allowed = "at least Anderson's columns times its stride";
        Err(Error::Hyperparameter { name: "k".to_owned(), value: f64::from(lookahead.k), allowed })
    }
}

fn one() -> u32 {
    1
}

fn regularisation() -> f64 {
    1e-8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_iterates_count() {
        assert_eq!(Anderson::new(3).iterates(3), [0, 1, 2]);
        assert_eq!(Anderson::new(2).iterates(7), [5, 6]);
        assert_eq!(Anderson::new(3).stride(2).iterates(7), [1, 3, 5]);
        assert_eq!(Anderson::new(1).stride(6).iterates(6), [0]);
        assert_eq!(Anderson::new(3).stride(2).iterates(5), [0u32; 0]);
        assert_eq!(Anderson::new(8).stride(u32::MAX).iterates(5), [0u32; 0]);
    }
}
