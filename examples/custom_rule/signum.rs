//! Signum (Bernstein et al., "signSGD: compressed optimisation for non-convex problems", 2018).

use lookahead_wgpu::{
    Error, Rule, check_hyperparameter,
    rules::{Slot, Step},
};

/// Signum: `m <- beta m + (1 - beta) g; w <- w - lr sign(m)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Signum {
    /// Learning rate: how far every weight moves in a step.
    pub lr: f64,
    /// Decay of the momentum, in [0, 1).
    pub beta: f64,
}

impl Rule for Signum {
    fn name(&self) -> &str {
        "signum"
    }

    fn wgsl(&self) -> &str {
        include_str!("signum.wgsl")
    }

    fn slots(&self) -> Vec<Slot> {
        vec![Slot::zero("momentum")]
    }

    fn learning_rate(&self) -> f64 {
        self.lr
    }

    /// The members of `Hyper`, in their order.
    fn hyper(&self, _: u64, out: &mut Vec<f32>) {
        out.extend([self.beta, 1.0 - self.beta].map(|value| value as f32));
    }

    /// What `update` in the WGSL does, in f64, for one weight.
    fn update(&self, step: &Step, weight: f64, gradient: f64, state: &mut [f64]) -> f64 {
        let m = self.beta * state[0] + (1.0 - self.beta) * gradient;
        state[0] = m;
        let sign = if m == 0.0 { 0.0 } else { m.signum() };
        weight - step.learning_rate * sign
    }

    fn check(&self) -> Result<(), Error> {
        check_hyperparameter("lr", self.lr, |lr| lr >= 0.0, "finite and at least 0")?;
        check_hyperparameter("beta", self.beta, |beta| (0.0..1.0).contains(&beta), "in [0, 1)")
    }
}
