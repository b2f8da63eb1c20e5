//! The adaptive slow step size (section 2.1 of the paper).

use crate::error::{Error, check_hyperparameter};

/// alpha found anew at every sync, on the GPU, from the gradient and a diagonal estimate Â of the curvature:
///
/// ```text
/// alpha^ = clip(1 - g'd / (d'Âd), alpha_low, 1),   d = theta_k - phi,   g = grad L(theta_k)
/// ```
///
/// which is the paper's formula with the inverse multiplied out. On a quadratic with Â = A it is the best step
/// between phi and theta_k (Proposition 1). Where the denominator is zero or a sum is not finite, the
/// [`Lookahead`](crate::Lookahead)'s fixed alpha is taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdaptiveAlpha {
    /// Where Â comes from.
    pub curvature: Curvature,
    /// What shares an alpha.
    pub scope: Scope,
    /// The least alpha, in (0, 1].
    pub alpha_low: f64,
    /// Where the gradient is taken.
    pub gradient: GradientAt,
}

impl AdaptiveAlpha {
    /// With this least alpha, and the rest at the defaults: the corrected second moment, one alpha for the whole
    /// model, the gradient at theta_k.
    pub fn new(alpha_low: f64) -> Self {
        Self {
            curvature: Curvature::Corrected,
            scope: Scope::Model,
            alpha_low,
            gradient: GradientAt::Synchronised,
        }
    }

    /// With this curvature.
    pub fn curvature(self, curvature: Curvature) -> Self {
        Self { curvature, ..self }
    }

    /// With an alpha for each of these.
    pub fn scope(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    /// With the gradient taken here.
    pub fn gradient(self, gradient: GradientAt) -> Self {
        Self { gradient, ..self }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let allowed = self.alpha_low > 0.0 && self.alpha_low <= 1.0;
        check_hyperparameter("alpha_low", self.alpha_low, allowed, "in (0, 1]")?;
        match self.curvature {
            Curvature::Fisher { decay } => {
                let allowed = (0.0..1.0).contains(&decay);
                check_hyperparameter("the Fisher's decay", decay, allowed, "in [0, 1)")
            }
            _ => Ok(()),
        }
    }
}

/// The diagonal estimate Â of the curvature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Curvature {
    /// v^, the rule's bias-corrected second moment. A rule that has none gets the empirical Fisher with a decay
    /// of 0.999.
    Corrected,
    /// v, the second moment as the rule keeps it.
    Raw,
    /// sqrt(v^) + eps, by which Adam divides.
    Root,
    /// The empirical Fisher: a running mean of squared gradients with this decay, kept for the purpose in
    /// one more buffer, and bias-corrected.
    Fisher {
        /// How much of the mean stays at each step, in [0, 1).
        decay: f64,
    },
    /// What the caller writes into [`Optimizer::curvature`](crate::Optimizer::curvature).
    Given,
}

/// What shares an alpha.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All tensors that are synchronised.
    Model,
    /// Each group.
    Group,
    /// Each tensor.
    Tensor,
}

/// Where the gradient of the adaptive alpha is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GradientAt {
    /// At theta_k, as in the paper. A cycle then is k + 1 calls of `step`: k inner steps, and one that uses its
    /// gradient for alpha alone and synchronises.
    Synchronised,
    /// At theta_(k-1): the gradient of the k-th inner step is used once more. It costs no gradient, and is
    /// biased towards a larger alpha.
    LastStep,
}
