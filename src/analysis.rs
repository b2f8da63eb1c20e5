//! Section 3 of the paper in closed form: what Lookahead does on quadratics, in f64 on the host.
//!
//! Three questions have exact answers there, and `cargo run --release -p theory -- all` draws each of them,
//! with the shipped kernels simulated beside the formulas.
//!
//! # Noise: the variance in the long run
//!
//! On the noisy quadratic model (Schaul et al., 2013; section 3.1 of the paper) the minimum moves at random at every step.
//! SGD with a constant learning rate ends in a cloud around it, and Lookahead in a smaller one (Proposition 2).
//! [`NoisyQuadratic::recursion`] gives mean and variance at every step for SGD, heavy ball, and Lookahead around either
//! with any k, alpha and [`StatePolicy`](crate::StatePolicy); [`sgd_variance`](NoisyQuadratic::sgd_variance) and
//! [`lookahead_variance`](NoisyQuadratic::lookahead_variance) are the fixed points;
//! [`equivalent_learning_rate`](NoisyQuadratic::equivalent_learning_rate) and
//! [`equivalent_alpha`](NoisyQuadratic::equivalent_alpha) are the settings at which SGD and Lookahead end in equal ones.
//!
//! ```
//! use lookahead_wgpu::{Lookahead, analysis::{Descent, NoisyQuadratic}};
//! # fn main() -> Result<(), lookahead_wgpu::Error> {
//! let model = NoisyQuadratic::new(&[1.0], &[1.0])?; // a, sigma
//! let lookahead = Lookahead::new(5, 0.5);
//! let mut run = model.recursion(Descent::sgd(0.5), Some(lookahead), &[10.0])?;
//! for _ in 0..1000 {
//!     run.step();
//! }
//! let expected = model.lookahead_variance(0.5, &lookahead)?[0];
//! assert!((run.slow().variance[0] - expected).abs() < 1e-12);
//! assert!(expected < model.sgd_variance(0.5)?[0]);
//! # Ok(())
//! # }
//! ```
//!
//! # The best alpha
//!
//! Between the ends of an inner loop on a quadratic there is one best point, and Proposition 1 says where:
//! [`Quadratic::best_alpha`], for a dense A. [`Quadratic::estimated_alpha`] is what the optimizer's
//! [adaptive alpha](crate::alpha) makes of it with a diagonal curvature.
//!
//! # No noise: the rate of convergence
//!
//! Heavy ball on a quadratic is a linear dynamical system, and so is a cycle of Lookahead around it (section 3.2).
//! [`rate`] is its spectral radius per inner step, [`best_learning_rate`] the learning rate that is best for a
//! whole spectrum. Where the momentum is high for the condition number, heavy ball oscillates (under-damped): its rate
//! is stuck at sqrt(beta), whatever the learning rate. A sync averages over the oscillation, and Lookahead is faster: six
//! times at kappa = 10 with beta = 0.99, k = 20, alpha = 0.5 and the state reset. The gain fades as kappa grows and the
//! flattest coordinate comes to need the speed that momentum keeps; and above [`critical_condition_number`] that
//! coordinate creeps (over-damped), there is nothing to average, and Lookahead only holds it back.
//!
//! ```
//! use lookahead_wgpu::{Lookahead, analysis::{best_learning_rate, log_spaced_curvatures}};
//! # fn main() -> Result<(), lookahead_wgpu::Error> {
//! let curvatures = log_spaced_curvatures(10.0, 41)?;
//! let alone = best_learning_rate(0.99, None, &curvatures)?;
//! let lookahead = best_learning_rate(0.99, Some(&Lookahead::new(20, 0.5)), &curvatures)?;
//! assert!(1.0 - lookahead.rate > 2.0 * (1.0 - alone.rate)); // 0.0103 and 0.0050
//! # Ok(())
//! # }
//! ```

//! # What the figures show
//!
//! The figures of the example are drawn from the formulas; their dots are runs of this crate's optimizer on the GPU, each
//! coordinate of each of thousands of independent repeats being one parameter.
//!
//! - **Figure 3**, expected loss after 1000 updates by learning rate. Small learning rates have not arrived yet, and
//!   Lookahead, which takes a smaller part of each inner loop, is behind; large ones have arrived, and what is left is
//!   variance, of which Lookahead has less. The best losses are nearly equal, but Lookahead's lies at a larger
//!   learning rate (0.75 for alpha = 0.2, 0.15 for SGD) and in a wider valley. The paper's dimension, spectrum and
//!   noise are not known; ours are 50 coordinates with a_i = 1/i, noise of variance 0.01/a_i, a start at 1 in each,
//!   and k = 5, and what is drawn is the loss above that of the minimum (0.25).
//! - **Proposition 2**, variance by step. An inner loop raises the variance towards SGD's fixed point and a sync lowers it,
//!   as the test accuracy does in the paper's Figure 10. To have the weights just before a sync, that run calls
//!   [`sync_now`](crate::Optimizer::sync_now); the table's runs have the sync fused into the k-th step.
//! - **Figure 4**, convergence rate by condition number, with the paper's k = 20 and alpha = 0.5. The momentum is 0.99,
//!   and the spectrum 41 curvatures spaced evenly in their logarithm: kinks in the curves are where another of them becomes
//!   the worst. Interpolating and resetting the state beat heavy ball alone up to a condition number of about 80,
//!   maintaining it up to about 1000. From there to the border at 1.6e5 heavy ball is ahead, of the state maintained by
//!   little; and beyond it, of all three, by a factor of 2 or more.
//! - **Proposition 1**, loss along theta_0 to theta_k on a quadratic that is not diagonal, with alpha* and the estimate that
//!   the GPU makes of diag(A), clipped to \[0.1, 1\]: plain SGD ends short of the best point (alpha* = 1.40, clipped to 1),
//!   heavy ball beyond it (0.57; the estimate is 0.41).

mod dynamics;
mod noisy;
mod quadratic;

pub use dynamics::{
    BestRate, best_learning_rate, critical_condition_number, log_spaced_curvatures, rate, stability_bound,
    worst_rate,
};
pub use noisy::{Moments, NoisyQuadratic, Recursion};
pub use quadratic::Quadratic;

use crate::Error;

/// The inner optimizer of the analysis: SGD, or heavy ball ("classical momentum") as PyTorch and
/// [`rules::Sgd`](crate::rules::Sgd) have it,
///
/// ```text
/// v <- beta v + g;   theta <- theta - gamma v
/// ```
///
/// With a constant learning rate gamma, that is the paper's `v <- beta v - gamma g; theta <- theta + v`, with another
/// unit for v.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Descent {
    /// gamma, in (0, 2 (1 + beta)/L) with L the largest curvature.
    pub learning_rate: f64,
    /// beta, in [0, 1).
    pub momentum: f64,
}

impl Descent {
    /// SGD: no momentum.
    pub fn sgd(learning_rate: f64) -> Self {
        Self { learning_rate, momentum: 0.0 }
    }

    /// Heavy ball.
    pub fn heavy_ball(learning_rate: f64, momentum: f64) -> Self {
        Self { learning_rate, momentum }
    }

    fn check(&self, curvatures: &[f64]) -> Result<(), Error> {
        let bound = stability_bound(self.momentum, curvatures)?;
        if self.learning_rate > 0.0 && self.learning_rate < bound {
            return Ok(());
        }
        Err(Error::Unstable { learning_rate: self.learning_rate, momentum: self.momentum, bound })
    }

    /// What a step does to (theta, v) in the paper's unit of v.
    fn matrix(&self, curvature: f64) -> [[f64; 2]; 2] {
        let step = self.learning_rate * curvature;
        [[1.0 - step, self.momentum], [-step, self.momentum]]
    }
}

fn check_spectrum(curvatures: &[f64]) -> Result<(), Error> {
    let refuse = |problem| Err(Error::Model { what: "spectrum", problem });
    if curvatures.is_empty() {
        return refuse("it is empty; give at least one curvature".to_owned());
    }
    match curvatures.iter().position(|value| !(*value > 0.0 && value.is_finite())) {
        Some(i) => refuse(format!("curvature {i} is {}; each must be finite and above 0", curvatures[i])),
        None => Ok(()),
    }
}
