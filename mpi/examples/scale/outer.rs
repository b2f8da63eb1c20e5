//! The outer step: the library's own, in f64, and as a matrix.

use std::sync::Arc;

use clap::ValueEnum;
use lookahead_wgpu::outer::{HeavyBall, Interpolation, Nesterov, Outer, SlowMo};
use serde::Serialize;

use crate::error::ScaleError;

/// Which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OuterName {
    /// Lookahead's own; with alpha = 1 the mean itself (Local SGD)
    Interpolation,
    /// SGD with momentum
    HeavyBall,
    /// DiLoCo's
    Nesterov,
    /// SlowMo's
    SlowMo,
}

/// It with its settings.
#[derive(Debug, Clone)]
pub struct OuterStep {
    outer: Arc<dyn Outer>,
    alpha: f64,
}

/// A round as a matrix over phi and the momentum b, and what noise of theta adds to each.
#[derive(Debug, Clone, Copy)]
pub struct Linear {
    pub matrix: [[f64; 2]; 2],
    pub noise: [f64; 2],
}

impl OuterStep {
    pub fn new(name: OuterName, momentum: f64, alpha: f64) -> Self {
        let outer: Arc<dyn Outer> = match name {
            OuterName::Interpolation => Arc::new(Interpolation),
            OuterName::HeavyBall => Arc::new(HeavyBall { momentum }),
            OuterName::Nesterov => Arc::new(Nesterov { momentum }),
            OuterName::SlowMo => Arc::new(SlowMo { momentum }),
        };
        Self { outer, alpha }
    }

    /// Refuses settings outside their ranges.
    pub fn check(&self) -> Result<(), ScaleError> {
        if !(self.alpha > 0.0 && self.alpha <= 1.0) {
            return Err(ScaleError::Alpha(self.alpha));
        }
        Ok(self.outer.check()?)
    }

    /// phi after a round that ended at theta. `b` is zero at the start.
    pub fn step(&self, phi: f64, theta: f64, learning_rate: f64, b: &mut f64) -> f64 {
        self.outer.step(phi, theta, self.alpha, learning_rate, std::slice::from_mut(b))
    }

    /// The same where `theta = r phi + noise`: each column is a step from a unit vector, as it is linear.
    pub fn linear(&self, r: f64, learning_rate: f64) -> Linear {
        let column = |phi: f64, mut b: f64, noise: f64| {
            let phi = self.step(phi, r * phi + noise, learning_rate, &mut b);
            [phi, b]
        };
        let (of_phi, of_b) = (column(1.0, 0.0, 0.0), column(0.0, 1.0, 0.0));
        Linear { matrix: [[of_phi[0], of_b[0]], [of_phi[1], of_b[1]]], noise: column(0.0, 0.0, 1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Finds: columns and rows that are changed over, and noise that is taken for phi.
    #[test]
    fn the_matrix_is_what_the_formulas_say() {
        let (alpha, mu, r, rate) = (0.6, 0.9, 0.3, 0.2);
        let d = 1.0 - r;
        let gain = alpha * (1.0 + mu);
        for (name, matrix, noise) in [
            (OuterName::Interpolation, [[1.0 - alpha * d, 0.0], [0.0, 1.0]], [alpha, 0.0]),
            (OuterName::HeavyBall, [[1.0 - alpha * d, -alpha * mu], [d, mu]], [alpha, -1.0]),
            (OuterName::Nesterov, [[1.0 - gain * d, -alpha * mu * mu], [d, mu]], [gain, -1.0]),
            (
                OuterName::SlowMo,
                [[1.0 - alpha * d, -alpha * rate * mu], [d / rate, mu]],
                [alpha, -1.0 / rate],
            ),
        ] {
            let found = OuterStep::new(name, mu, alpha).linear(r, rate);
            let all = |matrix: [[f64; 2]; 2], noise: [f64; 2]| [matrix.concat(), noise.to_vec()].concat();
            for (found, expected) in all(found.matrix, found.noise).iter().zip(all(matrix, noise)) {
                assert!((found - expected).abs() < 1e-14, "{name:?}: {found}, not {expected}");
            }
        }
    }
}
